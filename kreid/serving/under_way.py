"""Several requests under way at once. The standard library alone."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")


def answers_to(
    requests: Iterable[Request], ask: Callable[[Request], Answer], at_once: int, stop: Callable[[], None]
) -> Iterator[tuple[Request, Answer]]:
    """Yield requests with their answers, as these come.

    After a failure, of a request or of what makes them, no more are begun; the answers of those under way are yielded
    before it is raised. The threads do not hold up a process that ends, as after Ctrl-C.

    Args:
        requests: made in the caller's thread, each when there is room for it.
        ask: called in other threads.
        at_once: so many threads.
        stop: called where nothing shall be tried again.

    Raises:
        Exception: the first that was raised.
    """
    waiting: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Request, Answer | None, Exception | None]] = queue.SimpleQueue()

    def work() -> None:
        while (request := waiting.get()) is not None:
            try:
                done.put((request, ask(request), None))
            except Exception as error:
                done.put((request, None, error))

    for _ in range(at_once):
        threading.Thread(target=work, daemon=True).start()
    made, under_way, failure = iter(requests), 0, None
    try:
        while True:
            while failure is None and under_way < at_once:
                try:
                    waiting.put(next(made))
                except StopIteration:
                    break
                except Exception as error:
                    failure = error
                    break
                under_way += 1
            if not under_way:
                break
            request, answer, failed = done.get()
            under_way -= 1
            if failed is None:
                yield request, answer  # type: ignore[misc]  # an answer where there is no error
            else:
                failure = failure or failed
            if failure is not None:
                stop()
    finally:
        stop()
        for _ in range(at_once):
            waiting.put(None)
    if failure is not None:
        raise failure
