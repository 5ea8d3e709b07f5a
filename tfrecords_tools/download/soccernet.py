"""The splits of SoccerNet-v3 ReID: their archives by the package `SoccerNet`, unpacked where kreid-convert looks."""

import contextlib
import io
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tfrecords_tools.console.command import note
from tfrecords_tools.console.progress import counted
from tfrecords_tools.download.archive import check_room, unpack
from tfrecords_tools.download.transfer import PARTIAL, Remote, explain, fetch, size_of
from tfrecords_tools.errors import ConfigError, one_line
from tfrecords_tools.locks import lock_folder

TASK = "reid"  # as the package calls it: the folder too, in which kreid-convert looks for splits
PASSWORD = "SoccerNet"  # which the package takes for public data
REPOSITORY = "SoccerNet/SN-ReID-2023"  # where the package finds the task on Hugging Face, for its sizes
_UNPACKED = 1.3  # times an archive (ours): images do not shrink in it, and the last block of a file is never full


def download(
    splits: Sequence[str], to: Path, source: str = "huggingface", password: str = PASSWORD, server: str | None = None
) -> Path:
    """Download splits and unpack them; what is there already is not asked for again.

    Args:
        splits: names of splits.
        to: the folder that kreid-convert is given afterwards; splits stand in its folder `reid`.
        source: "huggingface", by the package's own downloader, or "exrcsdrive", the older share with a password.
        password: of the share.
        server: address of a share in place of EXRCSDrive's.

    Returns:
        The folder of the splits.

    Raises:
        ConfigError: where the package is not installed.
        ValueError: for whatever stands in the way, in a line: what a server answers, a disk too small, an archive that
            is not one of images.
        OSError: where something cannot be written.
    """
    package = _package()
    folder = to / TASK
    with lock_folder(folder, "kreid-download"):
        missing = [split for split in splits if not (folder / split).is_dir()]
        for split in splits:
            if split not in missing:
                note(f"{folder / split}: there already")
        absent = [split for split in missing if not _archive(folder, split).is_file()]
        if absent and source == "huggingface":
            _from_hugging_face(package, absent, to, folder, missing)
        elif absent:
            _from_share(package, absent, to, folder, missing, password, server)
        for split in missing:
            with counted(f"unpacking {split}", "files") as progress:
                unpack(_archive(folder, split), folder / split, progress)
            note(f"{_archive(folder, split)}: unpacked, it may be removed")
    return folder


def _archive(folder: Path, split: str) -> Path:
    return folder / f"{split}.zip"


def _package() -> Any:
    try:
        from SoccerNet import Downloader
    except ImportError as error:
        raise ConfigError(
            f"the package SoccerNet cannot be loaded ({one_line(error)}); pip install 'kreid[soccernet]'"
        ) from None
    return Downloader


def _check_room(folder: Path, sizes: dict[str, int], missing: Sequence[str]) -> None:
    """Say how much is to come, and complain where it finds no room, archives and what is in them."""
    whole = {split: sizes.get(split) or _archive(folder, split).stat().st_size for split in missing}
    for split, size in sizes.items():
        note(f"{split}.zip: {size / 1e9:,.2f} GB")
    here = sum(path.stat().st_size for split in sizes if (path := _partial(folder, split)).exists())
    needed = sum(sizes.values()) - here + int(_UNPACKED * sum(whole.values()))
    check_room(folder, needed, "archives and what is in them take about")


def _partial(folder: Path, split: str) -> Path:
    return folder / f"{split}.zip{PARTIAL}"


def _from_share(
    package: Any,
    absent: Sequence[str],
    to: Path,
    folder: Path,
    missing: Sequence[str],
    password: str,
    server: str | None,
) -> None:
    """Fetch archives from a share: the package knows the addresses, and who may ask; it cannot go on after a break."""
    remotes: list[Remote] = []

    class Listing(package.SoccerNetDownloader):
        """Notes what would be fetched."""

        def downloadFile(  # the package's name
            self, path_local: str, path_owncloud: str, user: str = "", password: str = "", verbose: bool = True
        ) -> int:
            """Take the place of a download."""
            remotes.append(Remote(path_owncloud, Path(path_local), user, password))
            return 0

    listing = Listing(str(to), server) if server else Listing(str(to))
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", DeprecationWarning)  # of the share
        listing.downloadDataTask(task=TASK, split=list(absent), password=password, source="EXRCSDrive")
    if {remote.path for remote in remotes} != {_archive(folder, split) for split in absent}:
        raise ValueError(
            f"the installed SoccerNet package fetches {', '.join(str(remote.path) for remote in remotes) or 'nothing'} "
            f"for the splits {', '.join(absent)}; install SoccerNet 0.2, or take --source huggingface"
        )
    sizes = [size_of(remote) for remote in remotes]
    _check_room(folder, {remote.path.stem: size for remote, size in zip(remotes, sizes, strict=True)}, missing)
    for remote, size in zip(remotes, sizes, strict=True):
        with counted(f"downloading {remote.path.name}", "MB") as progress:
            fetch(remote, size, partial(_in_megabytes, progress))


def _in_megabytes(progress: Any, done: int, total: int) -> None:
    progress(done // 10**6, max(1, total // 10**6))


def _from_hugging_face(package: Any, absent: Sequence[str], to: Path, folder: Path, missing: Sequence[str]) -> None:
    """Let the package fetch archives: its library goes on after a break, and knows the reader's account."""
    from huggingface_hub import HfApi  # the package needs it

    try:
        found = HfApi().get_paths_info(REPOSITORY, [f"{split}.zip" for split in absent], repo_type="dataset")
        sizes = {Path(each.path).stem: each.size for each in found}
        for split in absent:
            if split not in sizes:
                raise ValueError(f"{REPOSITORY} on Hugging Face: {explain(404)} ({split}.zip)")
        _check_room(folder, sizes, missing)
        package.SoccerNetDownloader(str(to)).downloadDataTask(task=TASK, split=list(absent), source="HuggingFace")
    except Exception as error:  # of the library's HTTP client, whichever it has
        if not isinstance(error, (ValueError, OSError)) and not _of_http(error):
            raise
        raise _explained(error) from None
    for split in absent:
        if not _archive(folder, split).is_file():
            raise ValueError(f"{_archive(folder, split)}: the package SoccerNet did not bring it, and did not say why")


def _of_http(error: Exception) -> bool:
    """Whether an error is of requests or of httpx or its successors, whose base classes are no OSError."""
    return any(base.__name__ in ("HTTPError", "RequestException") for base in type(error).__mro__)


def _explained(error: Exception) -> Exception:
    """What an error of Hugging Face's library means; itself, where it is none."""
    causes = [cause for cause in (error, error.__cause__, error.__context__) if cause is not None]
    for cause in causes:
        status = getattr(getattr(cause, "response", None), "status_code", None)
        if status in (401, 403):
            return ValueError(
                f"{REPOSITORY} on Hugging Face: {status}, this account may not read it; ask for access at "
                f"https://huggingface.co/datasets/{REPOSITORY}, then `hf auth login`; or take --source exrcsdrive"
            )
        if status is not None:
            return ValueError(f"{REPOSITORY} on Hugging Face: {explain(status)}")
    if type(error) is ValueError or (isinstance(error, OSError) and error.filename):
        return error
    return ValueError(
        f"{REPOSITORY} on Hugging Face: no answer ({one_line(error)}); see to the network, then try again"
    )
