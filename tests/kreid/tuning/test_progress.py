"""What a person reads while configurations are tried."""

from types import SimpleNamespace

import pytest
from screens import Clock, screen, terminal

from kreid.tuning.progress import Progress
from tfrecords_tools.console.progress import Bars


def search(progress):
    """Tell of a trial of two folds, of three epochs each; return it."""
    trial = SimpleNamespace(number=3, scores=[], seconds=[])
    progress.say("trial 3: margin 0.1")
    for fold, (score, seconds, left) in enumerate(((0.5, 60, 3.5), (0.25, 120, -1))):
        for epoch in (1, 2, 3):
            progress.epoch_done(trial, fold, epoch, 3, score / 4 * epoch)
        trial.scores.append(score)
        trial.seconds.append(seconds)
        progress.fold_done(trial, 2, "mAP", "1 of 4 trials done", left)
    progress.close()


LINES = [
    "trial 3: margin 0.1",
    "trial 3 fold 1/2  mAP 50.0  1 of 4 trials done, 3:30 left",  # 3.5 folds of a minute
    "trial 3 fold 2/2  mAP 25.0  1 of 4 trials done, 0:00 left",
]


def test_a_line_a_fold(capsys):
    search(Progress())
    assert capsys.readouterr().err.splitlines() == LINES


def test_a_terminal_shows_the_epochs_of_the_fold_at_work(monkeypatch, capsys):
    shown, seen, clock = terminal(), [], Clock()
    progress = Progress(bars=Bars("", stays=False, every=None, console=shown, clock=clock))
    epoch_done = progress.epoch_done

    def told(*epoch):
        clock.now += 60
        epoch_done(*epoch)
        seen.append(screen(shown))

    monkeypatch.setattr(progress, "epoch_done", told)
    search(progress)
    *above, bar, figures = seen[4]
    assert capsys.readouterr().err.splitlines() == LINES[:1]  # before there was a bar
    assert above == LINES[1:2]
    assert bar.startswith("trial 3 fold 2 epoch ━━━")
    assert bar.endswith(" 2/3 1:00 left")
    assert figures == "  12.5 %"
    assert screen(shown) == [*LINES[1:], ""]


@pytest.mark.parametrize("how", ["done", "failed"])
def test_a_fold_that_ends_leaves_no_bar(how):
    shown = terminal()
    progress = Progress(bars=Bars("", stays=False, every=None, console=shown, clock=Clock()))
    trial = SimpleNamespace(number=0, scores=[0.5], seconds=[1.0])
    progress.epoch_done(trial, 0, 1, 3, 0.5)
    assert len(screen(shown)) == 2
    progress.fold_done(trial, 5, "mAP", "", 0) if how == "done" else progress.end_fold()
    assert "epoch" not in screen(shown)[-1]
    progress.close()


def test_quiet_says_nothing(capsys):
    search(Progress(quiet=True))
    assert capsys.readouterr().err == ""
