"""What a person reads while a network trains, by a clock that stands still."""

from types import SimpleNamespace

import pytest
from screens import Clock, screen, terminal

from kreid.training.progress import Progress
from tfrecords_tools.console.lines import say
from tfrecords_tools.console.progress import Bars

MINED = {"loss": 0.25, "active": 0.5, "positive": 1.25, "negative": 1.5}
DONE = {**MINED, "valid_mAP": 0.123, "valid_rank1": 0.5}
MINED_WORDS = "loss 0.2500  active 50%  d+ 1.250 d- 1.500"
DONE_WORDS = "loss 0.2500  active 50%  d+ 1.250 d- 1.500  valid mAP 12.3 rank-1 50.0"


@pytest.fixture
def clock():
    return Clock()


def train(progress, clock, steps=4, epochs=2, first=0, seconds=5.0, logs=MINED, batch=10):
    """Tell of a run: every step takes so many seconds, the first of an epoch ten times as long."""
    state = SimpleNamespace(epoch=0, step=first, images=first * batch, sums=dict.fromkeys(logs, 0.0))
    state.sums = {name: value * first for name, value in logs.items()}
    while state.epoch < epochs:
        progress.start(state, steps, batch)
        while state.step < steps:
            clock.now += seconds * (10 if state.step == first else 1)
            state.step, state.images = state.step + 1, state.images + batch
            state.sums = {name: state.sums[name] + value for name, value in logs.items()}
            progress.update(state)
        state.epoch, state.step, first = state.epoch + 1, 0, 0
        progress.epoch_done(state, logs | {name: DONE[name] for name in ("valid_mAP", "valid_rank1")})
        state.sums = dict.fromkeys(logs, 0.0)
    progress.close()


def test_lines_tell_of_steps_now_and_then_and_of_every_epoch(clock, capsys):
    train(Progress(2, bars=Bars(stays=False, clock=clock)), clock, steps=6)
    assert capsys.readouterr().err.splitlines() == [
        f"epoch 1/2 step 4/6  {MINED_WORDS}  2.0 images/s  0:40 left",  # of the run, and not of the epoch
        f"epoch 1/2 done  {DONE_WORDS}",
        f"epoch 2/2 step 2/6  {MINED_WORDS}  2.0 images/s  0:20 left",
        f"epoch 2/2 step 4/6  {MINED_WORDS}  2.0 images/s  0:10 left",
        f"epoch 2/2 done  {DONE_WORDS}",
    ]


def test_a_terminal_shows_a_bar_and_keeps_the_lines_of_epochs(clock):
    shown, seen = terminal(), []
    progress = Progress(2, bars=Bars(stays=False, console=shown, clock=clock))
    close = progress.close
    progress.close = lambda: None
    update = progress.update
    progress.update = lambda state: (update(state), seen.append(screen(shown)))
    train(progress, clock, logs={"loss": 0.25})
    say("a warning")
    assert seen[2][0].endswith(" 3/4 2.0 images/s  0:25 left")
    assert seen[2][0].startswith("epoch 1/2 step ━━━")
    assert seen[2][1] == "  loss 0.2500"
    assert seen[5][0] == "epoch 1/2 done  loss 0.2500  valid mAP 12.3 rank-1 50.0"
    assert seen[5][1].startswith("epoch 2/2 step ━━━")
    close()
    after = [f"epoch {number}/2 done  loss 0.2500  valid mAP 12.3 rank-1 50.0" for number in (1, 2)]
    assert screen(shown) == [*after, "a warning", ""]


def test_quiet_says_nothing(clock, capsys):
    train(Progress(2, quiet=True), clock)
    shown = terminal()
    train(Progress(2, quiet=True, bars=Bars(shown=False, console=shown, clock=clock)), clock)
    assert capsys.readouterr().err == ""
    assert shown.file.getvalue() == ""


def test_a_resumed_run_may_have_but_an_epoch_to_finish(clock, capsys):
    progress = Progress(1, bars=Bars(stays=False, clock=clock))
    progress.epoch_done(SimpleNamespace(epoch=1, step=0, images=40, sums={}), {"loss": 0.5})
    progress.close()
    assert capsys.readouterr().err == "epoch 1/1 done  loss 0.5000\n"


def test_a_resumed_epoch_goes_on_where_it_was(clock):
    shown = terminal()
    progress = Progress(1, bars=Bars(stays=False, console=shown, clock=clock))
    progress.start(SimpleNamespace(epoch=0, step=3, images=30, sums={"loss": 1.5}), 4, 10)
    assert screen(shown)[0].rstrip().endswith(" 3/4")
    progress.close()
