"""Compact bilinear pooling beside the Fourier form of the same sketch: speed and peak memory.

    python benchmarks/fusion.py [--batch 32] [--rounds 9]

Maps of 16 x 8 places, 2048 and 128 channels, are fused into 8000 numbers in TensorFlow's graph mode. The Fourier form
makes a count sketch of both maps at every place, multiplies their transforms and sums the results over the places. It
is written twice: as it usually is (a sparse matrix makes the sketch, complex transforms), and as well as we can write
it (segment sums, transforms of real numbers). Every round times each form once, and a ratio is the median over the
rounds. Peak memory is what one call adds in a process of its own (Linux only).

Wanted beside the usual form: at least 5 times as fast, forward and with gradients, at below half the peak memory; then
the exit status is 0, otherwise 1.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

PLACES, CHANNELS, DIM = (16, 8), (2048, 128), 8000
WANTED_SPEED, WANTED_MEMORY = 5.0, 0.5
KREID, USUAL, REAL = "kreid", "Fourier, usual", "Fourier, real"
MODES = ("forward", "forward + backward")


def make_forms():
    """Return the three forms, functions of both maps that share their hashes."""
    import tensorflow as tf

    from kreid.layers.bilinear import CompactBilinearPooling

    layer = CompactBilinearPooling(DIM, normalize=False)
    layer.build([(None, *PLACES, channels) for channels in CHANNELS])
    hashes = [(layer.h1.value, layer.s1.value), (layer.h2.value, layer.s2.value)]
    matrices = [sketch_matrix(*(value.numpy() for value in pair)) for pair in hashes]

    def usual(*maps):
        sketches = [
            tf.transpose(tf.sparse.sparse_dense_matmul(matrix, tf.reshape(x, (-1, x.shape[-1])), adjoint_b=True))
            for matrix, x in zip(matrices, maps, strict=True)
        ]
        first, second = (tf.signal.fft(tf.complex(sketch, tf.zeros_like(sketch))) for sketch in sketches)
        return over_places(tf.math.real(tf.signal.ifft(first * second)))

    def real(*maps):
        sketches = [
            tf.transpose(tf.math.unsorted_segment_sum(tf.transpose(tf.reshape(x, (-1, x.shape[-1])) * s), h, DIM))
            for (h, s), x in zip(hashes, maps, strict=True)
        ]
        first, second = (tf.signal.rfft(sketch) for sketch in sketches)
        return over_places(tf.signal.irfft(first * second, [DIM]))

    def over_places(sketches):
        return tf.reduce_mean(tf.reshape(sketches, (-1, PLACES[0] * PLACES[1], DIM)), axis=1)

    return {KREID: lambda *maps: layer(list(maps)), USUAL: usual, REAL: real}


def sketch_matrix(bins, signs):
    """Return the sparse (DIM, channels) matrix whose product with a vector is its count sketch."""
    import tensorflow as tf

    places = np.stack([bins, np.arange(len(bins))], axis=1).astype("int64")
    return tf.sparse.reorder(tf.SparseTensor(places, signs, (DIM, len(bins))))


def compiled(form, mode, cotangent):
    """Return the form as a graph; with gradients it returns the sketch too, or nothing would compute it."""
    import tensorflow as tf

    def with_gradients(*maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            sketch = form(*maps)
            total = tf.reduce_sum(sketch * cotangent)
        return sketch, *tape.gradient(total, maps)

    return tf.function((lambda *maps: (form(*maps),)) if mode == MODES[0] else with_gradients)


def inputs(batch):
    """Return both maps and what the gradient of the sketch is."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    shapes = [(batch, *PLACES, CHANNELS[0]), (batch, *PLACES, CHANNELS[1]), (batch, DIM)]
    return [tf.constant(rng.standard_normal(shape, "float32")) for shape in shapes]


def seconds(function, maps):
    begin = time.perf_counter()
    for output in function(*maps):
        output[0, 0].numpy()
    return time.perf_counter() - begin


def time_forms(batch, rounds):
    """Return {mode: {form: seconds of every round}}, having checked that the forms agree."""
    *maps, cotangent = inputs(batch)
    forms, times = make_forms(), {}
    for mode in MODES:
        functions = {name: compiled(form, mode, cotangent) for name, form in forms.items()}
        outputs = {name: [output.numpy() for output in function(*maps)] for name, function in functions.items()}
        for name in (USUAL, REAL):
            for ours, theirs in zip(outputs[KREID], outputs[name], strict=True):
                assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max(), name
        times[mode] = {name: [] for name in forms}
        for _ in range(rounds):
            for name, function in functions.items():
                times[mode][name].append(seconds(function, maps))
    return times


def memory(line):
    """Return this process's memory in MB: `VmRSS` is what it has now, `VmHWM` the most that it had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(text.split()[1]) for text in lines if text.startswith(line)) * 1024 / 1e6


def measure_memory(name, mode, batch):
    """Return the MB that one call adds to a process that has imported, traced and computed with a batch of one."""
    *maps, cotangent = inputs(batch)
    function = compiled(make_forms()[name], mode, cotangent[:1])
    seconds(function, [x[:1] for x in maps])
    function = compiled(make_forms()[name], mode, cotangent).get_concrete_function(*maps)
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    seconds(function, maps)
    return memory("VmHWM") - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--memory", nargs=2, metavar=("FORM", "MODE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(json.dumps(measure_memory(*arguments.memory, arguments.batch)))
        return 0
    peaks = {}
    for mode in MODES:
        for name in (KREID, USUAL, REAL):
            command = [sys.executable, __file__, "--memory", name, mode, "--batch", str(arguments.batch)]
            peaks[mode, name] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    times = time_forms(arguments.batch, arguments.rounds)
    print("| | form | ms | its time / kreid's | peak MB | kreid's peak / its |\n|---|---|---|---|---|---|")
    reached = True
    for mode in MODES:
        for name in (KREID, USUAL, REAL):
            speed = float(np.median(np.divide(times[mode][name], times[mode][KREID])))
            share = peaks[mode, KREID] / peaks[mode, name]
            milliseconds = 1e3 * np.median(times[mode][name])
            print(f"| {mode} | {name} | {milliseconds:.0f} | {speed:.1f} | {peaks[mode, name]:.0f} | {share:.2f} |")
            if name == USUAL:
                reached &= speed >= WANTED_SPEED and share < WANTED_MEMORY
    verdict = "reached" if reached else "missed"
    print(f"\nwanted beside the usual form: {WANTED_SPEED:g} x as fast, {WANTED_MEMORY:g} of the memory: {verdict}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
