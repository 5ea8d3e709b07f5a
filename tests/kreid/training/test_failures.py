"""What is said of each failure, from an error made by hand."""

import errno
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf

from kreid.data.records import read_fields
from kreid.errors import ConfigError, DivergedError
from kreid.training.failures import Failures, file_names, first_line
from kreid.training.state import State
from tfrecords_tools.index import read_index
from tfrecords_tools.naming import parse_name


@pytest.fixture
def out(tmp_path):
    """A run folder with a state in it."""
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "state-00002-0000000.npz").touch()
    return folder.parent


def last_good(out):
    state = out / "checkpoints" / "state-00002-0000000.npz"
    return f"the last good state is {state}, to go on from (--resume, in Python resume=True)"


def exactly(said):
    """A pattern of these words and no others."""
    return rf"\A{re.escape(said)}\Z"


def test_the_last_good_state_is_the_newest(out, tmp_path):
    assert Failures(out, several=False).last_good() == last_good(out)
    (out / "checkpoints" / "state-00001-0000009.npz").touch()
    assert Failures(out, several=False).last_good() == last_good(out)
    assert Failures(tmp_path / "new", several=False).last_good() == "there is no state yet"


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (OSError(errno.ENOSPC, "whatever", "run/log.csv"), ValueError, "run/log.csv: No space left on device"),
        (OSError(errno.ENOSPC, "whatever"), ValueError, "{out}: No space left on device"),
        (OSError("HDF5 says: unable to write"), ValueError, "{out}: HDF5 says: unable to write"),
        (
            tf.errors.ResourceExhaustedError(None, None, "{{function_node f}} OOM when allocating\nHint: much more"),
            ConfigError,
            "a batch does not fit in the device's memory (OOM when allocating); lower data.persons and raise "
            "train.accumulate, set train.remat (Transformers) or train.precision=mixed_bfloat16; kreid-batch "
            "--cost says what a step needs",
        ),
    ],
)
@pytest.mark.parametrize("several", [True, False])
def test_what_the_machine_lacks_is_named(out, error, kind, said, several):
    whole = exactly(f"{said.format(out=out)}; {last_good(out)}")
    with pytest.raises(kind, match=whole) as caught, Failures(out, several).named():
        raise error
    assert type(caught.value) is kind


def test_another_error_of_tensorflow_is_a_lost_worker_only_where_there_are_some(out):
    error = tf.errors.UnavailableError(None, None, "no heartbeat")
    lost = exactly(f"another worker was lost; {last_good(out)}")
    with pytest.raises(ValueError, match=lost), Failures(out, several=True).named():
        raise error
    with pytest.raises(tf.errors.UnavailableError), Failures(out, several=False).named():
        raise error


def test_what_a_mistake_raises_goes_through(out):
    with pytest.raises(KeyError), Failures(out, several=True).named():
        raise KeyError("a mistake of ours")


@pytest.mark.parametrize(
    ("loss", "what"), [(np.nan, "loss is nan"), (np.inf, "loss is inf"), (0.5, "gradient is not finite")]
)
def test_a_run_that_diverges_names_the_place_and_the_images(out, records, loss, what):
    with read_index(records / "train") as index:
        rows = np.arange(3, 15)
        error = Failures(out, several=False).diverged(State(epoch=1, step=4), loss, index, rows)
        names = file_names(index, rows[:8])
    assert type(error) is DivergedError
    assert str(error) == (
        f"the {what} at epoch 2 step 5 (batch: {', '.join(names)}, ...); lower train.learning_rate or set "
        f"train.clip_norm; {last_good(out)}"
    )


def test_records_know_the_files_they_were_made_from(records):
    with read_index(records / "train") as index:
        rows = np.array([9, 2, 5])
        names = file_names(index, rows)
        (fields,) = read_fields(index, rows)
    assert len(names) == 3
    for row, name in enumerate(names):
        read = parse_name(name)
        for field in ("bbox", "action", "person", "frame", "height", "width"):
            assert getattr(read, field) == fields[field][row]


@pytest.fixture
def copy(records, tmp_path):
    """The valid split's records, to be spoilt."""
    shutil.copytree(records / "valid", tmp_path / "records" / "valid")
    shutil.copy(records / "info.json", tmp_path / "records")
    return tmp_path / "records" / "valid"


def test_a_damaged_record_is_named(out, copy):
    (shard,) = copy.glob("*.tfrecord")
    with read_index(copy) as index:
        sound, damaged = index.read([1])[0], index.read([4])[0]
        content = shard.read_bytes()
        assert content.count(damaged) == 1
        middle = len(damaged) // 2
        shard.write_bytes(content.replace(damaged, damaged[:middle] + b"x" * 60 + damaged[middle + 60 :]))
        assert index.read([1])[0] == sound
    error = tf.errors.InvalidArgumentError(None, None, "{{node x}} Unknown image file format\nand a trace")
    with read_index(copy) as index:
        said = Failures(out, several=True).unreadable(error, index, np.array([1, 4, 5]))
        assert type(said) is ValueError
        assert str(said) == (
            f"{shard}: action {index.action[4]} bbox {index.bbox[4]}: the record is damaged, its checksum differs; run "
            f"kreid-convert again (with --overwrite if the folder stays); {last_good(out)}"
        )
        # Records that are sound: what TensorFlow says, or on several machines the trouble of another one.
        said = Failures(out, several=False).unreadable(error, index, np.array([1, 5]))
        assert str(said) == f"Unknown image file format; {last_good(out)}"
        assert Failures(out, several=True).unreadable(error, index, np.array([1, 5])) is error


def test_a_file_of_records_that_vanished_is_named(out, copy):
    error = tf.errors.UnknownError(None, None, "FileNotFoundError")
    with read_index(copy) as index:
        index.shards[0].unlink()
        said = Failures(out, several=True).unreadable(error, index, np.array([0]))
    message = rf"{index.shards[0]}: No such file or directory.*; {re.escape(last_good(out))}"
    assert re.fullmatch(message, str(said))


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("no heartbeat\nfor ten seconds", "no heartbeat"),
        (
            "{{function_node __wrapped__Decode}} {{node Decode}} Unknown format [Op:Decode]",
            "Unknown format [Op:Decode]",
        ),
        ("long " * 100, ("long " * 100)[:200]),
    ],
)
def test_notes_of_tensorflow_are_left_out(said, line):
    assert first_line(tf.errors.UnknownError(None, None, said)) == line
