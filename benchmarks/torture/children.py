"""Commands in processes of their own: forks of one that has imported TensorFlow and computed nothing.

So a command costs a second and not ten. The process is one in which no thread runs when it forks.
"""

import importlib
import os
import select
import signal
import sys
import time
import tomllib
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[2]
SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
LIMIT = 120.0  # seconds after which a command hangs, many times what it takes on a busy machine
_TICK = 0.02

Job = Callable[[], None]


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (minus the signal that ended it), what it said, and whether it hung."""

    code: int
    out: str
    err: str
    seconds: float
    hung: bool = False

    @property
    def line(self) -> str:
        """The last line of standard error."""
        return (self.err.strip().splitlines() or [""])[-1]


class Child:
    """A job in a process, and session, of its own, whose standard streams are pipes."""

    def __init__(self, job: Job) -> None:
        pipes = [os.pipe(), os.pipe()]
        sys.stdout.flush()
        sys.stderr.flush()
        self.number = os.fork()
        if not self.number:
            _become(job, *(write for _, write in pipes))
        self._said = {read: bytearray() for read, _ in pipes}
        for read, write in pipes:
            os.close(write)
            os.set_blocking(read, False)
        self._started = time.monotonic()

    def wait(self, limit: float = LIMIT, send: int | None = None, after: float = 0.0) -> Ended:
        """Wait for the end, and send a signal after so many seconds where one is given."""
        status, hung = 0, False
        while True:
            number, status = os.waitpid(self.number, os.WNOHANG)
            self._read(0 if number else _TICK)
            passed = time.monotonic() - self._started
            if number:
                break
            if send is not None and passed >= after:
                os.kill(self.number, send)
                send = None
            if passed > limit and not hung:
                hung = True
                os.killpg(self.number, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.number, signal.SIGKILL)  # what it has left running
        said = [part.decode(errors="replace") for part in self._said.values()]
        for read in self._said:
            os.close(read)
        return Ended(os.waitstatus_to_exitcode(status), *said, time.monotonic() - self._started, hung)

    def _read(self, patience: float) -> None:
        if not select.select(list(self._said), [], [], patience)[0]:
            return
        empty = True
        for read, said in self._said.items():
            with suppress(BlockingIOError):
                while part := os.read(read, 1 << 16):
                    said += part
                    empty = False
        if empty and patience:  # both are closed, or the other end is about to be
            time.sleep(patience)


def script(line: Sequence[str | Path], cwd: Path) -> Job:
    """The console script of a command line, as a shell starts it in a folder."""
    name, *arguments = map(str, line)

    def job() -> None:
        os.chdir(cwd)
        sys.argv = [name, *arguments]
        main_of(name)()

    return job


def main_of(name: str) -> Callable[[], None]:
    """The function behind a console script."""
    module, _, function = SCRIPTS[name].partition(":")
    return getattr(importlib.import_module(module), function)


def run(line: Sequence[str | Path], cwd: Path, around: Callable[[Job], Job] = lambda job: job, **how: float) -> Ended:
    """Run a command to its end; `around` may change what it meets."""
    return Child(around(script(line, cwd))).wait(**how)


def _become(job: Job, out: int, err: int) -> NoReturn:
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", errors="backslashreplace", closefd=False)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore it
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        job()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
