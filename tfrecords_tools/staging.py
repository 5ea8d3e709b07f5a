"""All or nothing on disk: what is being written stands in a hidden folder until it is complete, and is then moved.

Moving takes several steps, and a process may be killed between any two. So what is to be moved is written down first,
in a journal beside it; the moves can be made again from wherever they were cut short, and whoever opens the folder next
makes them. A hidden folder without a journal is what a run left that was killed before, and of no use to anybody.
"""

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tfrecords_tools.addresses import is_address
from tfrecords_tools.errors import ConfigError, one_line
from tfrecords_tools.json_text import load_json
from tfrecords_tools.locks import lock_folder

PREFIX = ".kreid-convert-"
JOURNAL = "journal.json"
_REPLACED = ".replaced"
_LOG = logging.getLogger(__name__)


@contextmanager
def claim(out: Path, keep: bool = False) -> Iterator[None]:
    """Hold a folder for one conversion, and remove what killed ones left there, in the way that `recover` does not.

    Args:
        out: the folder that will hold the result, see `publish`. It is made if need be, and removed again if nothing
            was published into it.
        keep: leave there what killed ones left, to go on from, see `find_begun`.

    Raises:
        ConfigError: where another is at work in it.
        OSError: where it cannot be written.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        with lock_folder(out, "kreid-convert") as held:
            for leftover in find_leftovers(out):
                if keep and not held:
                    raise ConfigError(f"--resume: {leftover}: perhaps a run under way; remove it if none is")
                if not held:
                    _LOG.warning("%s: left by a run that was killed, or one under way; remove it if none is", leftover)
                elif not keep and not (leftover / JOURNAL).exists():
                    shutil.rmtree(leftover, ignore_errors=True)
                    _LOG.warning("%s: removed, it was left by a run that was killed", leftover)
            yield
    finally:
        for folder in made:
            with suppress(OSError):  # it holds something now, or was never made
                folder.rmdir()


@contextmanager
def stage(out: Path, begun: Path | None = None) -> Iterator[Path]:
    """Make a hidden folder inside `out` to write into, and remove it in the end, whatever happens.

    Inside, because only a rename within one file system is atomic.

    Args:
        out: the folder that will hold the result, which is there; see `claim`.
        begun: the hidden folder of a killed run to go on in; other leftovers are removed.

    Raises:
        OSError: from the block, naming a file by the place that it was meant for.

    Example:
        >>> with claim(out), stage(out) as staged:
        ...     (staged / "train").mkdir()
        ...     publish(staged, out, ["train"])
    """
    staged = out
    try:
        for leftover in find_begun(out):
            if leftover != begun:
                shutil.rmtree(leftover, ignore_errors=True)
        # Named before it is made, so that a signal in between leaves nothing either.
        staged = begun or out / f"{PREFIX}{secrets.token_hex(8)}"
        staged.mkdir(mode=0o700, exist_ok=begun is not None)
        yield staged
    except OSError as error:
        if error.errno:
            name = staged if error.filename is None else Path(os.fsdecode(error.filename))
            if name.is_relative_to(staged):
                inside = name.relative_to(staged)
                ours = inside.parts and inside.parts[0].startswith((PREFIX, JOURNAL))
                error.filename = str(out if ours else out / inside)
        raise
    finally:
        if staged != out and not (staged / JOURNAL).exists():
            shutil.rmtree(staged, ignore_errors=True)


def publish(staged: Path, out: Path, names: Sequence[str], request: dict[str, Any] | None = None) -> None:
    """Move files and folders from `staged` to `out`, replacing those of the same name, in the order given.

    If one move fails, or is interrupted, those before it are taken back. If the process is killed, whoever opens `out`
    next completes them, see `recover`. A file is replaced in one atomic step.

    Args:
        staged: the folder that `stage` made.
        out: the folder given to it.
        names: what to move; put the file that makes the others known last.
        request: what `complete` gives back of a run that was killed: what it was asked for.
    """
    for path in staged.rglob("*"):
        if path.is_file():
            _flush(path)
    written = {"names": list(names), "request": request}
    replace_text(staged / JOURNAL, json.dumps({**written, "digest": _digest(written)}))
    try:
        _move(staged, out, names)
    except BaseException:
        if (staged / names[-1]).exists():
            _take_back(staged, out, names)
        raise
    _close(staged)


def recover(folder: str | os.PathLike) -> None:
    """Complete what a conversion that was killed had begun to put in place; every reader of records calls this first.

    Args:
        folder: what `kreid-convert` wrote, or the folder of one of its splits.

    Raises:
        ValueError: where that cannot be done by this process; it says who can.
    """
    if is_address(os.fspath(folder)):
        return  # written by a pipeline or copied there, its info.json last; nothing is put in place in it
    folder = Path(folder)
    for out in dict.fromkeys((folder, folder.resolve().parent)):
        if not _unfinished(out):
            continue
        said = f"{out}: kreid-convert was killed while it put these records in place; run it once more into this folder"
        try:
            with lock_folder(out, "kreid command", wait=True) as held:
                if not held:
                    raise ValueError(said)
                complete(out)
        except OSError as error:
            raise ValueError(
                f"{said}, or any command that reads them, as one who may write there ({error.strerror})"
            ) from error


def complete(out: Path) -> list[dict[str, Any] | None]:
    """Complete what runs that were killed had begun to put in place, for one who holds the folder.

    Returns:
        What was asked of each run, see `publish`; mostly there is none.

    Raises:
        ValueError: for a journal that cannot be read, or is not what was written.
        OSError: where something cannot be moved.
    """
    requests = []
    for staged in _unfinished(out):
        try:
            journal = load_json((staged / JOURNAL).read_bytes())
            digest, names, request = journal.pop("digest"), journal["names"], journal["request"]
            if digest != _digest(journal):  # a name less is a split that is removed in the end
                raise ValueError("its digest differs")
            if not all(isinstance(name, str) and Path(name).name == name for name in names):
                raise ValueError(f"names {names}")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{staged / JOURNAL}: not what kreid-convert wrote, {one_line(error)}; remove {staged} and run "
                "kreid-convert again, with --overwrite"
            ) from None
        _move(staged, out, names)
        _close(staged)
        _LOG.warning("%s: completed the work of a kreid-convert that was killed: %s", out, ", ".join(names))
        requests.append(request)
    return requests


def is_unfinished(out: Path) -> bool:
    """Whether a run that was killed had begun to put its work in place, which `complete` can complete."""
    return bool(_unfinished(out))


def find_leftovers(out: Path) -> list[Path]:
    """Return the hidden folders in `out`: of a run that was killed, or of one that is under way."""
    return sorted(out.glob(f"{PREFIX}*"))


def find_begun(out: Path) -> list[Path]:
    """Return the hidden folders of runs that were killed before they had all their work done, the newest first."""
    found = [path for path in find_leftovers(out) if not (path / JOURNAL).exists()]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def replace_text(path: Path, text: str) -> None:
    """Write a file in one step, so that it is there whole or as it was, and on the disk."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    _flush(new)
    new.replace(path)


def _digest(journal: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(journal, sort_keys=True).encode()).hexdigest()


def _unfinished(out: Path) -> list[Path]:
    return sorted(path.parent for path in out.glob(f"{PREFIX}*/{JOURNAL}"))


def _move(staged: Path, out: Path, names: Sequence[str]) -> None:
    """Move what has not been moved yet."""
    for name in names:
        if (staged / name).exists():
            if (out / name).is_dir():
                (out / name).replace(staged / f"{name}{_REPLACED}")
            (staged / name).replace(out / name)


def _take_back(staged: Path, out: Path, names: Sequence[str]) -> None:
    """Undo the moves, of which the last one was not made; then forget them."""
    for name in reversed(names):
        if not (staged / name).exists():
            (out / name).replace(staged / name)
        if (staged / f"{name}{_REPLACED}").exists():
            (staged / f"{name}{_REPLACED}").replace(out / name)
    (staged / JOURNAL).unlink()


def _close(staged: Path) -> None:
    """Remove the hidden folder after all moves: the journal last, so that a kill leaves nothing to wonder about."""
    for path in staged.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
    (staged / JOURNAL).unlink()
    shutil.rmtree(staged, ignore_errors=True)


def _flush(path: Path) -> None:
    """Let a file reach the disk: what it replaces will be gone, also for a machine that loses its power."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
