"""All or nothing on disk: what is being written stands in a hidden folder until it is complete."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = ".kreid-convert-"


@contextmanager
def stage(out: Path) -> Iterator[Path]:
    """Make a hidden folder inside `out` to write into, and remove it in the end, whatever happens.

    Inside, because only a rename within one file system is atomic. `out` is made if need be, and removed again if
    nothing was published into it.

    Args:
        out: the folder that will hold the result, see `publish`.

    Example:
        >>> with stage(out) as staged:
        ...     (staged / "train").mkdir()
        ...     publish(staged, out, ["train"])
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=PREFIX, dir=out))
        try:
            yield staged
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    finally:
        for folder in made:
            with suppress(OSError):  # it holds something now, or was never made
                folder.rmdir()


def find_leftovers(out: Path) -> list[Path]:
    """Return the hidden folders in `out`: of a run that was killed, or of one that is under way."""
    return sorted(out.glob(f"{PREFIX}*"))


def publish(staged: Path, out: Path, names: Sequence[str]) -> None:
    """Move files and folders from `staged` to `out`, replacing those of the same name, in the order given.

    If one move fails, or is interrupted, those before it are taken back. A file is replaced in one atomic step.

    Args:
        staged: the folder that `stage` made.
        out: the folder given to it.
        names: what to move; put the file that makes the others known last.
    """
    moves: list[tuple[Path, Path]] = []

    def move(source: Path, target: Path) -> None:
        moves.append((source, target))
        source.replace(target)

    try:
        for name in names:
            if (out / name).is_dir():
                move(out / name, staged / f"{name}.replaced")
            move(staged / name, out / name)
    except BaseException:
        for source, target in reversed(moves):
            if not source.exists() and target.exists():
                target.replace(source)
        raise
