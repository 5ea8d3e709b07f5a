"""Many small tries in one process, one after the other; it ends with the first that hangs or crashes."""

import contextlib
import io
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

from benchmarks.torture.children import Child, Ended, main_of
from benchmarks.torture.outcomes import HANG, NOTICED, RIGHT, TRACEBACK, Outcome, fault_of

_LIMIT = 60  # seconds for a small try

Small = Callable[[], Outcome]


def batch(tries: Iterable[tuple[str, Small]], folder: Path) -> list[Outcome]:
    """Carry out tries; each says what it is, for the note of one that ends the process, and then what became of it."""
    said = folder / "said.jsonl"

    def job() -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        with said.open("w", encoding="utf-8") as file:
            for name, small in tries:
                print(json.dumps(name), file=file, flush=True)
                signal.alarm(_LIMIT)
                outcome = small()
                signal.alarm(0)
                note = f"{name}: {outcome.note}"
                print(json.dumps(asdict(Outcome(outcome.what, note))), file=file, flush=True)

    ended = Child(job).wait(limit=3600)
    lines = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    outcomes = [Outcome(**line) for line in lines if isinstance(line, dict)]
    if ended.code or ended.hung:
        what = HANG if ended.hung or ended.code == -signal.SIGALRM else TRACEBACK
        outcomes.append(Outcome(what, f"{lines[-1]}: {ended.code} {ended.err[-1500:]}"))
    return outcomes


def invoke(*line: str | Path) -> Ended:
    """A console script in this process."""
    out, err, code = io.StringIO(), io.StringIO(), 1
    sys.argv = list(map(str, line))
    started = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main_of(sys.argv[0])()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        except BaseException:
            traceback.print_exc()
    return Ended(code, out.getvalue(), err.getvalue(), time.monotonic() - started)


def told(ended: Ended) -> Outcome:
    """The outcome where any result is right that a command gives without complaint."""
    return fault_of(ended) or Outcome(NOTICED if ended.code else RIGHT, ended.line if ended.code else "")


def call(function: Callable[[], object]) -> Outcome:
    """The outcome of a function of the library, which says by ValueError or OSError what is wrong."""
    try:
        function()
    except (ValueError, OSError) as error:
        return Outcome(NOTICED, str(error))
    except Exception:
        return Outcome(TRACEBACK, traceback.format_exc()[-1500:])
    return Outcome(RIGHT)
