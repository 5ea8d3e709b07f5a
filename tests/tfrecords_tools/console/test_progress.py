"""Bars on a terminal, lines elsewhere, and nothing that stops the work they tell of."""

import io
import logging
import sys

import pytest
from screens import Clock, screen, terminal

from tfrecords_tools import console
from tfrecords_tools.console import progress
from tfrecords_tools.console.lines import say
from tfrecords_tools.console.progress import Bars, counted, duration

FULL = "━" * 40


@pytest.fixture
def clock():
    return Clock()


def fill(bars, clock, task, done, seconds):
    """Let so many be done, one after another, in so many seconds."""
    for number in range(1, done + 1):
        clock.now += seconds / done
        bars.update(task, number)


# === On a terminal ===


def test_a_bar_tells_how_many_how_fast_and_how_long(clock):
    shown = terminal()
    with Bars(console=shown, clock=clock) as bars:
        task = bars.add("train", 40)
        fill(bars, clock, task, 10, seconds=20)
        (line,) = screen(shown)
        assert line.startswith("train     ━━━━━━━━━━")
        assert line.endswith(" 10/40 0.5 images/s  1:00 left")
        fill(bars, clock, task, 40, seconds=4000)
    assert screen(shown) == [f"train     {FULL} 40/40 0.0 images/s  in 1:07:00", ""]


def test_bars_stand_under_each_other_and_stay(clock):
    shown = terminal()
    with Bars("actions", console=shown, clock=clock) as bars:
        for split in ("train", "challenge"):
            fill(bars, clock, bars.add(split, 1200), 1200, seconds=2)
    assert screen(shown) == [
        f"train     {FULL} 1200/1200 600 actions/s  in 0:02",
        f"challenge {FULL} 1200/1200 600 actions/s  in 0:02",
        "",
    ]


def test_figures_stand_under_their_bar_and_vanish_with_it(clock):
    shown = terminal(width=60)
    bars = Bars("", stays=False, console=shown, clock=clock)
    task = bars.add("fold 1", 4)
    clock.now += 1
    bars.update(task, 3, "loss 0.25  " + "d+ 0.1 " * 9, "soon")
    head, figures = screen(shown)
    assert head.startswith("fold 1    ━━━")
    assert head.endswith(" 3/4 soon")
    assert figures.startswith("  loss 0.25  d+ 0.1 d+")
    assert len(figures) <= 60
    bars.remove(task)
    assert screen(shown) == [""]
    bars.close()
    bars.close()
    assert screen(shown) == [""]


def test_what_is_said_stands_above_the_bars_as_it_is(clock, capsys):
    shown = terminal()
    name = "a [bold red]b[/].png \x1b[31mred"
    handler = console.command._LogHandler()
    with Bars(console=shown, clock=clock) as bars:
        task = bars.add("train", 2)
        bars.update(task, 1)
        say(name)
        console.warn("two\nlines")
        console.note("word " * 40)
        handler.emit(logging.LogRecord("kreid", logging.WARNING, "", 0, "[%d] gaps", (3,), None))
        print("stray", file=sys.stderr)
        say("\udcff.png")
    assert screen(shown)[:2] == ["a [bold red]b[/].png red", "warning: two; lines"]  # the escape is the terminal's
    assert "\x1b[31m" in shown.file.getvalue()
    assert screen(shown)[2:-2] == ["word " * 39 + "word", "warning: [3] gaps", "stray", "\\udcff.png"]
    assert screen(shown)[-2].startswith("train     ━━━")
    say("afterwards")
    assert capsys.readouterr().err == "afterwards\n"


def test_bars_are_drawn_ten_times_a_second(clock):
    shown = terminal()
    with Bars(console=shown, clock=clock) as bars:
        task = bars.add("train", 10_000)
        sizes = []
        for number in range(1, 1001):
            clock.now += 0.001
            bars.update(task, number)
            sizes.append(len(shown.file.getvalue()))
    assert 9 <= len(set(sizes)) - 1 <= 10


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), ValueError("I/O operation on closed file.")])
def test_a_terminal_that_has_gone_stops_nothing(clock, error):
    class Gone(io.StringIO):
        gone = False

        def write(self, text):
            if self.gone:
                raise error
            return super().write(text)

    file = Gone()
    with Bars(console=terminal(file), clock=clock) as bars:
        task = bars.add("train", 3)
        file.gone = True
        fill(bars, clock, task, 3, seconds=3)
        say("a line that nobody sees")
        other = bars.add("valid", 3)
        bars.remove(other)
    assert not isinstance(sys.stderr, type(file))
    say("and one after it")


# === Elsewhere ===


def test_a_line_every_ten_seconds_and_one_at_the_end(clock, capsys):
    with Bars(clock=clock) as bars:
        fill(bars, clock, bars.add("train", 3200), 3200, seconds=25)
        fill(bars, clock, bars.add("valid", 2), 2, seconds=4)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "train 1,281/3,200  128 images/s  0:15 left",
        "train 2,561/3,200  128 images/s  0:05 left",
        "train 3,200/3,200  128 images/s  in 0:25",
    ]


def test_what_takes_less_is_not_told(clock, capsys):
    with Bars(clock=clock) as bars:
        fill(bars, clock, bars.add("train", 100), 100, seconds=9.9)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("options", [{"shown": False}, {"every": None}, {"shown": False, "console": terminal()}])
def test_nothing_is_told_where_nothing_is_wanted(clock, capsys, options):
    with Bars(clock=clock, **options) as bars:
        task = bars.add("train", 100)
        fill(bars, clock, task, 99, seconds=990)
        bars.advance(task)
        bars.remove(task)
    assert capsys.readouterr().err == ""
    assert screen(options.get("console", terminal())) == [""]


def test_what_does_not_stay_has_no_last_line(clock, capsys):
    with Bars("", stays=False, clock=clock) as bars:
        task = bars.add("epoch 1/2 step", 4)
        for step in range(1, 5):
            bars.update(task, step, "loss 0.5", "soon")
            clock.now += 10
    assert capsys.readouterr().err == "epoch 1/2 step 2/4  loss 0.5  soon\nepoch 1/2 step 3/4  loss 0.5  soon\n"


def test_file_names_are_written_as_they_are(clock, capsys):
    with Bars(clock=clock) as bars:
        bars.add("train", 2)
        console.note("a [bold]b[/bold].png \x1b[31mred")
    assert capsys.readouterr().err == "a [bold]b[/bold].png \x1b[31mred\n"


# === Counting ===


def test_counting_anew_begins_another_bar(clock, monkeypatch):
    shown = terminal()
    monkeypatch.setattr(progress, "Bars", lambda unit: Bars(unit, console=shown, clock=clock))
    with counted("embedding", "crops") as show:
        for done, total in ((64, 70), (70, 70), (70, 70), (30, 80)):
            clock.now += 0.5
            show(done, total)
    lines = screen(shown)
    assert lines[:2] == [f"embedding {FULL} 70/70 12.0 crops/s", f"embedding {FULL} 70/70"]
    assert "30/80" in lines[2]
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599.4, "59:59"), (90_061, "25:01:01")]
)
def test_durations_read_as_a_clock(seconds, text):
    assert duration(seconds) == text


# === What standard error is ===


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "term", "moves"),
    [(Terminal(), "xterm", True), (Terminal(), "dumb", False), (io.StringIO(), "xterm", False), (None, "xterm", False)],
)
def test_only_a_terminal_has_bars_whatever_the_environment_says(clock, monkeypatch, stream, term, moves):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", stream)
    with Bars(clock=clock) as bars:
        fill(bars, clock, bars.add("train", 2), 2, seconds=30)
    assert ("\x1b[" in (stream.getvalue() if stream else "")) == moves


def test_a_closed_standard_error_is_no_terminal(clock, monkeypatch):
    stream = Terminal()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    with Bars(clock=clock) as bars:
        fill(bars, clock, bars.add("train", 2), 2, seconds=30)
