"""An archive of one split to the split's folder: nothing lands outside of it, and nothing grows beyond bounds."""

import errno
import os
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from tfrecords_tools.errors import one_line

BLOCK = 4096  # bytes that a file takes on a disk, at least; images of this set have a few thousand
_GROWTH = 20  # times (ours): PNG files do not shrink in an archive, label lists shrink to a tenth
_SMALL = 1 << 26  # bytes, up to which an archive may grow whatever it weighs
_CHUNK = 1 << 20
_LEFT_OUT = "__MACOSX"  # a folder that macOS adds
_HIDDEN = ".kreid-download-"


def unpack(archive: Path, folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Unpack the zip file of a split; the folder is there whole or not at all.

    Args:
        archive: its files stand in a folder of the split's name, or in none.
        folder: the split's, which is not there.
        progress: called with the files that are there and all.

    Raises:
        ValueError: naming the archive and the member: it is damaged, would land outside of the folder, is a link, or
            unpacks to more than images and lists can, or than there is room for.
        OSError: where something cannot be written.
    """
    _clear(folder)
    staged = Path(tempfile.mkdtemp(prefix=f"{_HIDDEN}{folder.name}-", dir=folder.parent))
    try:
        with zipfile.ZipFile(archive) as content:
            members = _checked(archive, content.infolist(), folder.name)
            _check_room(archive, members.values(), folder)
            for number, (place, member) in enumerate(members.items(), 1):
                target = staged / place
                target.parent.mkdir(parents=True, exist_ok=True)
                with content.open(member) as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, _CHUNK)
                progress(number, len(members))
        staged.chmod(0o777 & ~_umask())
        staged.rename(folder)
    except (OSError, *_DAMAGED) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # the disk's, not of what is read
            error.filename = str(folder)  # a full disk does not say where, and nobody asked for what is hidden
            raise
        raise ValueError(
            f"{archive}: not a whole zip file ({one_line(error) or type(error).__name__}); remove it and download again"
        ) from None
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _checked(archive: Path, members: list[zipfile.ZipInfo], split: str) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """Return the files by their place in the split's folder; complain of any that an honest archive does not hold."""
    found: list[tuple[PurePosixPath, zipfile.ZipInfo]] = []
    for member in members:
        place = PurePosixPath(member.filename.replace("\\", "/"))
        kind = stat.S_IFMT(member.external_attr >> 16)
        if place.is_absolute() or ".." in place.parts or ":" in member.filename.partition("/")[0]:
            raise ValueError(f"{archive}: {one_line(member.filename)} would be written outside of {split}; {_FOREIGN}")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise ValueError(f"{archive}: {one_line(member.filename)} is a link or a device, no file; {_FOREIGN}")
        if not member.is_dir() and place.parts[:1] != (_LEFT_OUT,):
            found.append((place, member))
    inside = all(place.parts[:1] == (split,) for place, _ in found)
    files = {PurePosixPath(*place.parts[1:]) if inside else place: member for place, member in found}
    if len(files) != len(found):
        raise ValueError(f"{archive}: names a file twice; {_FOREIGN}")
    if inner := next((place for place in files if not files.keys().isdisjoint(place.parents)), None):
        raise ValueError(f"{archive}: {one_line(inner)} lies in what is a file there; {_FOREIGN}")
    if not files or PurePosixPath() in files:
        raise ValueError(f"{archive}: holds no files of {split}; {_FOREIGN}")
    unpacked, packed = (sum(getattr(each, size) for each in files.values()) for size in ("file_size", "compress_size"))
    weight = archive.stat().st_size
    if unpacked > max(_SMALL, _GROWTH * weight) or packed > weight:
        raise ValueError(f"{archive}: {weight:,} bytes would unpack to {unpacked:,}, more than images can; {_FOREIGN}")
    return files


# What Python's reader of zip files raises for damaged ones; an OSError for places that are not in the file.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    UnicodeError,
    struct.error,
)
_FOREIGN = "it is not what SoccerNet published; remove it"


def _check_room(archive: Path, members: Iterable[zipfile.ZipInfo], folder: Path) -> None:
    needed = sum(-(-member.file_size // BLOCK) * BLOCK for member in members)
    check_room(folder.parent, needed, f"what {archive.name} unpacks to takes")


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise ValueError where a disk has less room than that.

    Args:
        folder: on the disk; it need not be there yet.
        needed: bytes.
        what: takes them, for the message: "the archives take".
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ValueError(
            f"{folder}: {what} {needed / 1e9:,.2f} GB, and {free / 1e9:,.2f} GB are free on that disk; make room, or "
            "give a folder elsewhere"
        )


def _clear(folder: Path) -> None:
    """Remove what a run left that was killed while it unpacked this split."""
    for leftover in folder.parent.glob(f"{_HIDDEN}{folder.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
