"""What every command shares: exit codes, one-line errors, the path printed last.

Exit codes: 0 done, 1 bad data (`ValueError`, `OSError`), 2 bad arguments or configuration (`ConfigError`, whoever
raises it, and what Typer itself refuses), 130 interrupted, 143 terminated. A user's mistake never shows a traceback;
set `KREID_TRACEBACK=1` to see where an error came from. Anything else that is raised is a fault of the program and
keeps its traceback.

Importing this module costs Typer and nothing more, so a command can answer `--help` and a wrong argument at once.
"""

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, Protocol, TextIO, runtime_checkable

import typer

from tfrecords_tools.addresses import local_path
from tfrecords_tools.console.lines import printable, say
from tfrecords_tools.errors import ConfigError
from tfrecords_tools.remote import path_of

INTERRUPTED = 128 + signal.SIGINT  # the shell's convention
TERMINATED = 128 + signal.SIGTERM
_MOMENT = 0.05  # seconds, in which a `__del__` ends


def make_app() -> typer.Typer:
    """Return an empty Typer application with the settings all commands share.

    Plain help text (square brackets are text, not markup), no shell completion options, no decorated tracebacks.

    Example:
        >>> app = make_app()
        >>> @app.command()
        ... def evaluate(run: Path) -> None:
        ...     finish(run / "metrics.json")
        >>> def main() -> None:
        ...     run(app)
    """
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )


def run(app: typer.Typer, args: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave the process with its exit code; the body of every `main()`.

    Meanwhile warnings that this package logs appear as `warning: ...` on standard error, and SIGTERM ends the command
    like Ctrl-C does: `finally` blocks run.

    Args:
        app: the Typer application, see `make_app`.
        args: the arguments without the program's name; by default those of the command line.

    Raises:
        SystemExit: always; `code` is the exit code described in this module's head.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow's C++ shows errors only
    previous = _turn_termination_into_exit()
    unraisable, again = sys.unraisablehook, _Again(sys.unraisablehook)
    sys.unraisablehook = again
    logger, handler = logging.getLogger("tfrecords_tools"), _LogHandler(logging.WARNING)
    logger.addHandler(handler)
    try:
        code = _exit_code(app, args)
    finally:
        logger.removeHandler(handler)
        sys.unraisablehook = unraisable
        again.cancel()
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)
        for stream in (sys.stdout, sys.stderr):
            _let_go(stream)
    raise SystemExit(code)


def parse_path(text: str) -> Path:
    """Return a path typed by the user, for `typer.Argument(parser=parse_path)`.

    Raises:
        typer.BadParameter: for an empty one: `Path("")` is the current folder, a shell's unset variable is not; for
            one like an option, which stands where a value was forgotten; and for an address.
    """
    try:
        return local_path(parse_place(text))
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def parse_place(text: str) -> Path:
    """Return a path, or what stands for an address: where records are read, and where a runner may do the work.

    Raises:
        typer.BadParameter: as `parse_path`, but for the address, unless it names no host.
    """
    if not text:
        raise typer.BadParameter("expected a path, received an empty one (an unset shell variable?)")
    if text.startswith("--"):
        raise typer.BadParameter(f"expected a path, received the option {text} (a file of that name is ./{text})")
    try:
        return path_of(text)
    except ConfigError as error:
        raise typer.BadParameter(str(error)) from None


def warn(message: str) -> None:
    """Print `warning: message` on one line of standard error."""
    note(f"warning: {message}")


def note(message: str) -> None:
    """Print `message` on one line of standard error: progress a person reads, apart from the result."""
    say(_one_line(message))


def finish(path: os.PathLike | str) -> None:
    """Print `path`, what the command wrote, as the last line of standard output, for `$(... | tail -n 1)`."""
    if sys.stdout is not None:
        print(printable(os.fspath(path), sys.stdout), flush=True)


@runtime_checkable
class _Complaint(Protocol):
    """Typer's own complaints: their base class is not public, and comes from Click in older versions of Typer."""

    def format_message(self) -> str:
        """What is wrong, in a sentence."""


class _LogHandler(logging.Handler):
    """Prints what libraries log the way `warn` and `note` print."""

    def emit(self, record: logging.LogRecord) -> None:
        note(f"{record.levelname.lower()}: {record.getMessage()}")


def _exit_code(app: typer.Typer, args: Sequence[str] | None) -> int:
    try:
        result = app(args, standalone_mode=False)
        if sys.stdout is not None:  # as it is where it was closed before Python began
            sys.stdout.flush()
        # Typer returns the code of `typer.Exit` in place of the function's result, which commands leave at None; newer
        # versions do so for Ctrl-C too, older ones raise Abort.
        code = result if isinstance(result, int) else 0
        return _fail("interrupted", code) if code == INTERRUPTED else code
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted", INTERRUPTED)
    except SystemExit as error:
        if error.code != TERMINATED:
            raise
        return _fail("terminated", TERMINATED)
    except BrokenPipeError:  # the reader (`| head`) has gone
        return 1
    except ConfigError as error:
        return _fail(str(error), 2)
    except (ValueError, OSError) as error:
        return _fail(_describe(error), 1)
    except Exception as error:
        if not isinstance(error, _Complaint):
            raise
        return _fail(_describe_usage(error), getattr(error, "exit_code", 2))


def _turn_termination_into_exit() -> Callable[[int, FrameType | None], object] | int | None:
    """Make SIGTERM raise SystemExit(143), so that `finally` blocks remove what is half-written; return what was set."""

    def leave(number: int, frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    try:
        return signal.signal(signal.SIGTERM, leave)
    except ValueError:  # not the main thread: signals are not ours to handle
        return None


class _Again:
    """Sends a signal once more, a moment later, where Python drops what its handler raised: inside a `__del__`."""

    def __init__(self, other: Callable[["sys.UnraisableHookArgs"], object]) -> None:
        self._other = other
        self._timer: threading.Timer | None = None
        self._over = False
        self._lock = threading.Lock()

    def __call__(self, dropped: "sys.UnraisableHookArgs") -> None:
        error = dropped.exc_value
        if isinstance(error, KeyboardInterrupt):
            number = signal.SIGINT
        elif isinstance(error, SystemExit) and error.code == TERMINATED:
            number = signal.SIGTERM
        else:
            self._other(dropped)
            return
        self._timer = threading.Timer(_MOMENT, self._send, (number,))
        self._timer.daemon = True
        self._timer.start()

    def _send(self, number: int) -> None:
        # To the main thread, which may wait in a call that no signal to another thread ends; and never once the handler
        # may be gone, for it would then end the process.
        with self._lock:
            if not self._over:
                signal.pthread_kill(threading.main_thread().ident or 0, number)

    def cancel(self) -> None:
        """Send nothing any more."""
        with self._lock:
            self._over = True
        if self._timer is not None:
            self._timer.cancel()


def _fail(message: str, code: int) -> int:
    if os.environ.get("KREID_TRACEBACK"):
        traceback.print_exc()
    note(f"error: {message}")
    return code


def _describe(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error) or type(error).__name__


def _describe_usage(error: _Complaint) -> str:
    context = getattr(error, "ctx", None)
    message = error.format_message()
    return message if context is None else f"{message.rstrip('.')}. Try '{context.command_path} --help'."


def _one_line(message: str) -> str:
    """Join the lines of `message` (libraries raise errors of several), keeping the spaces inside each."""
    return "; ".join(line.strip() for line in message.splitlines() if line.strip())


def _let_go(stream: TextIO | None) -> None:
    """Write what a standard stream still holds, or drop it if nobody reads it.

    Python flushes it once more on leaving, which must neither fail aloud nor change the exit code.
    """
    if stream is None or stream.closed:
        return
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
