"""Where a run stands: counted by hand, and saved and restored field by field."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from kreid.config.sections import Train
from kreid.errors import ConfigError
from kreid.runs import checkpoints
from kreid.training import state as module
from kreid.training.state import SavedStates, State, fingerprint, former_fingerprint
from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.index import Index

# Every field otherwise than at the start.
SOMEWHERE = {
    "epoch": 3,
    "step": 7,
    "sums": {"loss": 4.25, "active": 0.1},
    "images": 5120,
    "steps": 9,
    "best": 0.625,
    "best_epoch": 2,
    "seconds": 61.5,
    "busy": 40.25,
    "data": "242 images (0123456789ab)",
    "valid": "17 images (ba9876543210, by action)",
}


@pytest.fixture
def clock(monkeypatch):
    """Its `now` is the time."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def variables(*values):
    return [keras.Variable(np.float32(value), name=f"v{number}") for number, value in enumerate(values)]


def test_steps_add_up_to_the_means_of_an_epoch():
    state = State(epoch=4, images=100)
    state.count({"loss": 1.0, "active": 0.5}, 16)
    state.count({"loss": 4.0, "active": 0.25}, 16)
    assert (state.epoch, state.step, state.images, state.steps) == (4, 2, 132, 0)
    state.end_epoch()
    assert (state.epoch, state.step, state.images, state.steps) == (5, 0, 132, 2)
    assert state.mean_figures() == {"loss": 2.5, "active": 0.375}
    state.finish_epoch()
    assert state == State(epoch=5, images=132)


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([None, None, None], [1, 2, 3]),  # nothing tells which is best: the last
        ([0.5, 0.4, 0.6], [1, 3]),
        ([0.5, 0.5], [1]),  # the first of equals
        ([0.0], [1]),  # whatever is better than none
        ([None, 0.3, None, 0.2, 0.4], [1, 2, 5]),  # validated every second epoch, and after the last
    ],
)
def test_weights_are_kept_where_they_are_best(scores, kept):
    state = State()
    found = []
    for state.epoch, score in enumerate(scores, 1):
        if state.keeps(score):
            found.append(state.epoch)
    assert found == kept
    best = max((score for score in scores if score is not None), default=None)
    assert state.best_epoch == (None if best is None else 1 + scores.index(best))
    assert state.best == (-1.0 if best is None else best)


def test_every_field_and_variable_comes_back(tmp_path, clock):
    state = State(**SOMEWHERE)
    assert all(value != asdict(State())[name] for name, value in SOMEWHERE.items()), "a field that nothing could lose"
    kept = variables([0.1, -0.0, np.nan], 2.0**-149)
    SavedStates(tmp_path, Train(), kept).save(state)
    file = tmp_path / "checkpoints" / "state-00003-0000007.npz"
    saved = read_arrays(file)
    assert list(saved) == ["progress", *(f"{number:05d}:{variable.path}" for number, variable in enumerate(kept))]
    assert list(json.loads(str(saved["progress"])).items()) == list(SOMEWHERE.items())

    others = variables([1, 1, 1], 1)
    assert SavedStates(tmp_path, Train(), others).restore(SOMEWHERE["data"]) == State(**SOMEWHERE)
    for old, new in zip(kept, others, strict=True):
        assert np.asarray(new).tobytes() == np.asarray(old).tobytes(), new.path


def test_any_damage_of_the_newest_state_leads_to_the_one_before(tmp_path, caplog):
    """Every byte changed in its turn, cut anywhere: an older state and a warning, or the newest one as it was."""
    older, newer = variables([1.0, 2.0]), variables([3.0, 4.0])
    SavedStates(tmp_path, Train(), older).save(State(epoch=1, data="here"))
    SavedStates(tmp_path, Train(), newer).save(State(epoch=2, data="here"))
    newest = tmp_path / "checkpoints" / "state-00002-0000000.npz"
    whole, found = newest.read_bytes(), []
    places = [*range(0, len(whole), 17), *range(30, 110), *range(len(whole) - 180, len(whole))]
    damages = [whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :] for at in places]
    damages += [whole[:length] for length in range(0, len(whole), 97)]
    for damage in damages:
        newest.write_bytes(damage)
        others = variables([0.0, 0.0])
        caplog.clear()
        state = SavedStates(tmp_path, Train(), others).restore("here")
        assert np.asarray(others[0]).tolist() == {1: [1.0, 2.0], 2: [3.0, 4.0]}[state.epoch]
        assert ("damaged" in caplog.text) == (state.epoch == 1)
        found.append(state.epoch)
    assert found.count(1) > 0.7 * len(found), "the rest are dates and the like, which nothing reads"


@pytest.mark.parametrize(
    "change",
    [
        lambda progress: [1, 2],
        lambda progress: None,
        lambda progress: {key: value for key, value in progress.items() if key != "step"},
        lambda progress: {**progress, "more": 1},
        lambda progress: {**progress, "step": "7"},
        lambda progress: {**progress, "step": 7.5},
        lambda progress: {**progress, "sums": {"loss": "high"}},
        lambda progress: {**progress, "data": None},
        lambda progress: {**progress, "best_epoch": [1]},
    ],
)
def test_a_place_that_is_none_leads_to_the_state_before(tmp_path, caplog, change):
    saved = SavedStates(tmp_path, Train(), variables(1.0))
    saved.save(State(epoch=1, data="here"))
    progress = {**asdict(State(data="here")), "epoch": 2}
    checkpoints.save(tmp_path / "checkpoints", variables(2.0), progress)
    path = tmp_path / "checkpoints" / "state-00002-0000000.npz"
    write_arrays(path, {**read_arrays(path), "progress": json.dumps(change(progress))})
    others = variables(0.0)
    assert SavedStates(tmp_path, Train(), others).restore("here").epoch == 1
    assert float(others[0]) == 1.0
    assert f"{path}: damaged (" in caplog.text
    assert len([line for line in caplog.text.splitlines() if "damaged" in line]) == 1


def test_a_state_that_could_not_be_read_does_not_outlive_the_next(tmp_path):
    """With one state kept, the one just written is not removed in favour of a damaged one with a later name."""
    saved = SavedStates(tmp_path, Train(keep=1), variables(1))
    saved.save(State(epoch=1))
    damaged = tmp_path / "checkpoints" / "state-00002-0000000.npz"
    damaged.write_bytes(b"")
    saved.save(State(epoch=1, step=3))
    assert [path.name for path in damaged.parent.iterdir()] == ["state-00001-0000003.npz"]


def test_there_may_be_no_state_yet(tmp_path, caplog):
    (variable,) = variables(3)
    assert SavedStates(tmp_path, Train(), [variable]).restore("242 images") is None
    assert float(variable) == 3.0
    assert "no state yet, starting from the beginning" in caplog.text


def test_a_state_of_other_records_is_refused(tmp_path):
    saved = SavedStates(tmp_path, Train(), variables(1))
    saved.save(State(data="8 images (abc)"))
    message = rf"data: {tmp_path} was trained on 8 images \(abc\), received 9 images \(def\); give the same records"
    with pytest.raises(ConfigError, match=message):
        saved.restore("9 images (def)")


def test_a_state_is_due_after_some_minutes_and_takes_its_time(tmp_path, clock):
    saved, state = SavedStates(tmp_path, Train(checkpoint_minutes=2), variables(1)), State(seconds=5.0)
    clock.now = 220.0
    assert not saved.is_due(), "two minutes, and no more"
    clock.now = 221.0
    assert saved.is_due()
    saved.save(state)
    assert state.seconds == 5.0 + 121.0
    assert not saved.is_due(), "it was written just now"
    clock.now = 223.0
    saved.take_time(state)
    assert state.seconds == 5.0 + 121.0 + 2.0
    never = SavedStates(tmp_path, Train(checkpoint_minutes=0), [])
    clock.now = 1e9
    assert not never.is_due(), "0 minutes mean after epochs only"


def test_the_newest_states_stay(tmp_path):
    saved = SavedStates(tmp_path, Train(keep=2), variables(1))
    for epoch, step in [(1, 0), (9, 0), (9, 5), (10, 0)]:
        saved.save(State(epoch=epoch, step=step))
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["state-00009-0000005.npz", "state-00010-0000000.npz"]


def test_other_machines_write_nothing_but_know_the_time(tmp_path, clock):
    saved, state = SavedStates(tmp_path, Train(), variables(1), active=False), State()
    clock.now = 107.0
    saved.save(state)
    assert state.seconds == 7.0
    assert not list(tmp_path.iterdir())


def index_of(**changes):
    """Four images, as much of an index as a fingerprint takes."""
    names = ("bbox", "action", "person", "is_query", "game", "camera", "track", "length", "checksum")
    columns = {**{name: np.arange(4) for name in names}, **changes}
    index = SimpleNamespace(**columns)
    index.digest = lambda rows: Index.digest(index, rows)
    return index


def test_a_training_set_is_told_by_its_images_alone():
    def of(rows, protocol="", **changes):
        return fingerprint(index_of(**changes), np.array(rows), protocol)

    said, other = of([0, 1, 2]), np.array([0, 1, 9, 3])
    assert said.startswith("3 images (")
    assert said == of([0, 1, 2], bbox=np.array([0, 1, 2, 99])), "an image that is not trained on"
    others = [of([0, 1, 3]), of([0, 2, 1])]
    others += [of([0, 1, 2], **{name: other}) for name in ("person", "camera", "checksum")]
    assert len({said, *others}) == 1 + len(others)
    assert of([0, 1, 2], "action") == said.replace(")", ", by action)")


def test_a_state_of_earlier_versions_is_gone_on_with_on_its_own_set(tmp_path):
    rows = np.arange(3)
    former = former_fingerprint(index_of(), rows)
    assert former == "3 images (e169dc199ac0)", "as version 0.1 wrote it"
    names = ("bbox", "action", "person", "length")
    others = [former_fingerprint(index_of(**{name: -np.arange(4)}), rows) for name in names]
    assert len({former, *others}) == 5
    saved = SavedStates(tmp_path, Train(), variables(1))
    progress = {key: value for key, value in {**SOMEWHERE, "data": former}.items() if key != "valid"}
    checkpoints.save(tmp_path / "checkpoints", saved.variables, progress, 2)
    with pytest.raises(ConfigError, match=r"was trained on 3 images \(e169dc199ac0\), received 3 images \(now\)"):
        saved.restore("3 images (now)", "valid", "3 images (other)")
    assert saved.restore("3 images (now)", "2 images (a)", former) == State(
        **{**SOMEWHERE, "data": "3 images (now)", "valid": "2 images (a)"}
    )


def test_scores_of_another_valid_split_are_not_mixed(tmp_path):
    saved = SavedStates(tmp_path, Train(), variables(1))
    saved.save(State(data="here", valid="2 images (a, by action)"))
    message = rf"data: {tmp_path} was validated on 2 images \(a, by action\), received 2 images \(b, by action\), whose"
    with pytest.raises(ConfigError, match=message):
        saved.restore("here", "2 images (b, by action)")
    for valid in ("2 images (a, by action)", ""):
        assert saved.restore("here", valid).valid == "2 images (a, by action)", "what is not validated now, yet was"
    saved.save(State(data="here"))
    assert saved.restore("here", "2 images (b, by action)").valid == "2 images (b, by action)", "begun without"
