"""OpenVINO, for Intel's processors: an `.xml` file with the graph and a `.bin` file beside it with the weights."""

import functools
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np

# OpenVINO would report that it is used, by a process that it forks: without this package it does not.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino  # noqa: E402

Run = Callable[[np.ndarray], np.ndarray]


@functools.cache
def core() -> openvino.Core:
    """Return the one core of the process, which lives as long.

    Each core gives the process a stack for its signal handlers, and when it goes puts back that of the core before,
    which may be gone: Ctrl-C then was a segmentation fault.
    """
    return openvino.Core()


def write(network: keras.Model, path: Path, precision: str, calibration: np.ndarray, about: Mapping[str, str]) -> None:
    """Write the network; float16 is of the weights, in which OpenVINO computes is the reader's choice."""
    full = path.with_name("full.xml")
    network.export(str(full), format="openvino", verbose=False)
    model = core().read_model(full)
    model.outputs[0].tensor.set_names({"embedding"})
    for name, text in about.items():
        model.set_rt_info(text, ["kreid", name])
    openvino.save_model(model, path, compress_to_fp16=precision == "float16")
    del model  # which holds the file of weights
    for left in (full, full.with_suffix(".bin")):
        left.unlink()


def read(path: Path) -> Run:
    """Return a function from images to embeddings; in float32, where a CPU may compute in 16 bits unless it is told."""
    compiled = core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: np.ndarray) -> np.ndarray:
        return compiled([images])[0]

    return run
