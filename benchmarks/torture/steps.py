"""A command's steps on disk, counted; the process may kill itself right before one of them."""

import builtins
import io
import json
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.torture.children import Job

_STEPS = ("replace", "rename", "unlink", "remove", "rmdir", "mkdir", "fsync")
WRITE = "write"


def counted(into: Path) -> Callable[[Job], Job]:
    """Around a command: write the names of its steps into a file, as JSON."""

    def around(job: Job) -> Job:
        def counting() -> None:
            steps = _Steps(None)
            try:
                job()
            finally:
                into.write_text(json.dumps(steps.done))

        return counting

    return around


def killed_before(step: int, name: str | None = None) -> Callable[[Job], Job]:
    """Around a command: it is killed right before this step (of this name), a write after half of it."""

    def around(job: Job) -> Job:
        def dying() -> None:
            _Steps(step, name)
            job()

        return dying

    return around


def largest_file(size: int) -> Callable[[Job], Job]:
    """Around a command: no file may get larger, as on a disk that is full."""

    def around(job: Job) -> Job:
        def limited() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            job()

        return limited

    return around


class _Steps:
    """Counts from now on what this process does with files through Python."""

    def __init__(self, last: int | None, only: str | None = None) -> None:
        self.done: list[str] = []
        self._last, self._only = last, only
        for name in _STEPS:
            setattr(os, name, self._counting(name, getattr(os, name)))
        self._open = io.open
        io.open = builtins.open = self._opened

    def count(self, name: str) -> bool:
        """Note a step; whether it is the one to die before."""
        if self._only not in (None, name):
            return False
        self.done.append(name)
        return self._last is not None and len(self.done) > self._last

    def _counting(self, name: str, step: Callable) -> Callable:
        def call(*arguments: Any, **options: Any) -> Any:
            if self.count(name):
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **options)

        return call

    def _opened(self, file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        opened = self._open(file, mode, *arguments, **options)
        return _Written(opened, self) if set(mode) & set("wax+") and not isinstance(file, int) else opened


class _Written:
    """A file whose writes are steps."""

    def __init__(self, file: Any, steps: _Steps) -> None:
        self._file, self._steps = file, steps

    def write(self, data: Any) -> int:
        if self._steps.count(WRITE):
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Written":
        self._file.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._file.__exit__(*exception)

    def __iter__(self) -> Any:
        return iter(self._file)
