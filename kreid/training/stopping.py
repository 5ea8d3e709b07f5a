"""Ctrl-C and SIGTERM, which schedulers send before they kill: kept until the step at hand is done."""

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

log = logging.getLogger(__name__)


class Stop:
    """Keeps the first signal to stop while the block runs; a second one acts at once.

    Args:
        asked: a signal that came before the block.

    Attributes:
        asked: the signal that came, None so far.

    Example:
        >>> with Stop() as stop:
        ...     for step in steps:
        ...         step()
        ...         if stop.asked:
        ...             save()
        ...             stop.obey()
    """

    def __init__(self, asked: int | None = None) -> None:
        self.asked = asked
        self._before: dict[int, Callable | int] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self._before = {number: known for number, known in handlers.items() if known not in (None, signal.SIG_IGN)}
            for number in self._before:
                signal.signal(number, self._keep)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def obey(self) -> None:
        """Let the signal do what it would have done; SIGTERM where another machine was asked to stop."""
        self._restore()
        signal.raise_signal(self.asked or signal.SIGTERM)

    def _keep(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        self._restore()
        log.warning("stopping after this step; once more to stop at once")

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
