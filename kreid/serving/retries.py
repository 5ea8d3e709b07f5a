"""When a request that failed is sent again: longer and longer pauses, those that the server asks for, and an end."""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from kreid.serving.answers import PassingError

_FIRST, _LONGEST = 0.5, 30.0  # seconds of a pause
_TO_STRANGERS = 3  # tries: requests begin together, and one may fail before another is answered
_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Retries:
    """Sends requests of several threads again until they are answered, or patience ends.

    To an address that has never answered anything, a request is sent three times and no more: it is wrong, most likely.

    Args:
        patience: seconds for which a request is sent again and again.
        clock: seconds from anywhere.
        sleep: waits so many seconds; by default until `stop`, at most.
        chance: a number from 0 to 1, so that requests that failed together do not come back together.
    """

    def __init__(
        self,
        patience: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.patience, self._clock, self._chance = patience, clock, chance
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._reached = False

    def stop(self) -> None:
        """Send nothing again from now on."""
        self._stopped.set()

    def ask(self, request: Callable[[], Answer]) -> Answer:
        """Return what `request` does, in the end.

        Raises:
            ValueError: what the last try raised, and how many there were.
        """
        start, tries = self._clock(), 0
        while True:
            tries += 1
            try:
                answer = request()
            except PassingError as error:
                self._reached |= error.reached
                if self._stopped.is_set() or (tries == _TO_STRANGERS and not self._reached):
                    raise
                pause = self._pause(tries, error.after)
                self._check(error, tries, self._clock() - start, pause)
                _LOG.warning("the server %s; trying again for up to %g s", error, self.patience)
                self._sleep(pause)
            else:
                self._reached = True
                return answer

    def _pause(self, tries: int, after: float | None) -> float:
        if after is not None:
            return after
        longest = min(_LONGEST, _FIRST * 2.0 ** min(tries - 1, 10))
        return longest * (0.5 + 0.5 * self._chance())

    def _check(self, error: PassingError, tries: int, taken: float, pause: float) -> None:
        if taken + pause <= self.patience:
            return
        asked = f", and it asks for {error.after:,.0f} s more" if error.after else ""
        times = "once" if tries == 1 else f"{tries} times"
        raise ValueError(f"{error}; tried {times} in {taken:,.0f} s{asked}, patience is {self.patience:g} s") from None
