"""The weights of a run and their digest: one fits the other at any moment, and what does not fit is refused."""

import errno
import os
import shutil
import subprocess

import keras
import numpy as np
import pytest

from kreid import runs
from kreid.files import atomic
from kreid.runs.weights import read_weights, write_weights

pytestmark = pytest.mark.usefixtures("resnet_stem")

NAMES = ["model.weights.h5", "model.weights.sha256"]


class Killed(BaseException):
    """Ends a block as a kill does: nothing catches it."""


def network(value=0.0):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    model.layers[0].bias.assign([value, value])
    return model


def bias(content):
    from kreid.weights.memory import from_bytes

    model = network()
    from_bytes(model, content)
    return float(model.layers[0].bias[0])


def test_the_digest_has_the_form_of_sha256sum(tmp_path):
    write_weights(network(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES
    assert (tmp_path / NAMES[1]).read_text() == f"{runs.weights_digest(tmp_path)}  model.weights.h5\n"
    if tool := shutil.which("sha256sum"):
        subprocess.run([tool, "--check", "--quiet", NAMES[1]], cwd=tmp_path, check=True)


@pytest.mark.parametrize("earlier", [False, True], ids=["with a digest", "of an earlier version"])
@pytest.mark.parametrize(("rename", "kept"), [(1, 1.0), (2, 1.0), (3, 2.0)])
def test_a_kill_before_any_rename_leaves_weights_that_fit(tmp_path, monkeypatch, rename, kept, earlier):
    write_weights(network(1.0), tmp_path)
    if earlier:
        (tmp_path / NAMES[1]).unlink()
    replace, count = os.replace, []

    def killed(*arguments, **options):
        count.append(arguments)
        if len(count) == rename:
            raise Killed
        replace(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        with pytest.raises(Killed):
            write_weights(network(2.0), tmp_path)
    assert bias(read_weights(tmp_path)) == kept
    write_weights(network(3.0), tmp_path)
    assert bias(read_weights(tmp_path)) == 3.0
    assert len((tmp_path / NAMES[1]).read_text().splitlines()) == 1


def test_a_flipped_bit_anywhere_is_noticed(tmp_path):
    write_weights(network(), tmp_path)
    path = tmp_path / NAMES[0]
    whole = path.read_bytes()
    for place in (*range(0, len(whole), len(whole) // 40), len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=f"{path}: not what was written, .*sha256sum model.weights.h5 > model"):
            read_weights(tmp_path)
    for content in (b"", whole[:-1], whole + b"\0"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="not what was written"):
            read_weights(tmp_path)


@pytest.mark.parametrize("text", ["", "\n", "nothing  model.weights.h5\n"])
def test_a_digest_of_nothing_is_refused_too(tmp_path, text):
    write_weights(network(), tmp_path)
    (tmp_path / NAMES[1]).write_text(text)
    with pytest.raises(ValueError, match="or delete model.weights.sha256"):
        read_weights(tmp_path)


def test_weights_changed_on_purpose(tmp_path):
    write_weights(network(), tmp_path)
    network(5.0).save_weights(tmp_path / NAMES[0])
    digest = f"{runs.weights_digest(tmp_path).upper()} *model.weights.h5\n"  # as other programs write it
    (tmp_path / NAMES[1]).write_text(digest)
    assert bias(read_weights(tmp_path)) == 5.0
    network(6.0).save_weights(tmp_path / NAMES[0])
    (tmp_path / NAMES[1]).unlink()
    assert bias(read_weights(tmp_path)) == 6.0


def test_a_training_may_go_on_while_weights_are_read(tmp_path, monkeypatch):
    from kreid.runs import weights as module

    write_weights(network(1.0), tmp_path)
    read, first = module._digests, []

    def slow(run):
        found = read(run)
        if not first:
            first.append(found)
            write_weights(network(2.0), run)
        return found

    monkeypatch.setattr(module, "_digests", slow)
    assert bias(read_weights(tmp_path)) == 2.0


@pytest.mark.parametrize("full", [1, 2, 3])
def test_a_full_disk_leaves_what_was_there(tmp_path, monkeypatch, full):
    """Whichever of the three files has no room: no traceback of HDF5, nothing half-written."""
    write_weights(network(1.0), tmp_path)
    count, sync = [], os.fsync

    def no_room(number):
        count.append(number)
        if len(count) == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(number)

    with monkeypatch.context() as patched:
        patched.setattr(atomic.os, "fsync", no_room)
        with pytest.raises(OSError, match="No space left on device") as error:
            write_weights(network(2.0), tmp_path)
    assert error.value.filename == str(tmp_path / NAMES[full % 2])
    assert bias(read_weights(tmp_path)) == (1.0 if full < 3 else 2.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES


def test_loading_a_run_looks_at_the_bytes_first(run_folder, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    model = runs.load_model(run)  # no digest, as earlier versions left it
    write_weights(model, run)
    for variable, same in zip(runs.load_model(run).variables, model.variables, strict=True):
        np.testing.assert_array_equal(variable, same)
    path = run / NAMES[0]
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="not what was written"):
        runs.load_model(run)
    (run / NAMES[1]).unlink()
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    with pytest.raises(ValueError, match="not weights of the model that config.yaml beside it describes") as error:
        runs.load_model(run)
    assert "\n" not in str(error.value)
