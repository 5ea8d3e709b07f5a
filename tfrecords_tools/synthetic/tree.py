"""Draws a complete SoccerNet-v3 ReID tree of synthetic football players, for trying things out and for tests.

A game has two squads and officials; an action shows some of them in one frame of the main camera, the action frame,
and in replay frames of other cameras. As in the real set a query is a person of the action frame who is seen again in a
replay; the gallery holds the other views of query people and the boxes of people without a match; identities count
inside one action only.
"""

import json
import logging
import os
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from PIL import Image

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.formats import as_rgb, open_image
from tfrecords_tools.locks import LOCK_NAME, lock_folder
from tfrecords_tools.naming import Thumbnail, format_name, parse_name
from tfrecords_tools.sources.soccernet import SPLITS
from tfrecords_tools.synthetic.crop import draw_crop
from tfrecords_tools.synthetic.pitch import draw_camera, draw_ground
from tfrecords_tools.synthetic.plan import (
    ACTIONS_PER_GAME,
    Action,
    choices_of,
    name_box,
    name_folder,
    people_of,
    plan_action,
)

DEFAULT_ACTIONS = {"train": 60, "valid": 12, "test": 12, "challenge": 4}

INCOMPLETE = ".reid-incomplete"  # the tree until it is complete
_LOG = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
Label = dict[str, int | str | None]  # what `bbox_info.json` says of a thumbnail


@dataclass(frozen=True)
class Job:
    """An action to draw, and where its counts begin: boxes run over a list, frames over a split, people over all."""

    root: Path
    seed: int
    action: Action
    first_person: int
    first_frame: int
    first_box: Mapping[str, int]


def draw(
    root: str | os.PathLike,
    actions: Mapping[str, int] | None = None,
    seed: int = 0,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Path:
    """Draw a SoccerNet-v3 ReID tree under `root`/reid: folders, file names and JSON files as in the real set.

    Same arguments, same bytes (by the same Pillow), with any number of workers; a set with more actions of a split
    starts with the pictures of a smaller one. The tree appears under its name only when complete; what a drawing that
    was killed has left is removed by the next one. Labels of the challenge split are written nowhere.

    Args:
        root: Folder to draw into; made if missing, must be empty.
        actions: Number of actions of each split to draw; default `DEFAULT_ACTIONS` (ours). An action has 26 images in
            the mean, sizes are distributed as in the real set. Splits left out are not drawn.
        seed: Chooses games, people and pictures; 0 or more.
        workers: Processes to draw with, each some 140 images/s. More than one needs a main module that can be imported.
        progress: Called with (actions drawn, actions in all) after each action.

    Returns:
        The folder that holds the splits, `root`/reid.

    Raises:
        ConfigError: On an unknown split, a count that is no positive integer, a negative seed, or a root that is not an
            empty folder or in which another drawing is at work.

    Example:
        >>> draw("synthetic", {"train": 60, "test": 12})
        PosixPath('synthetic/reid')

    Reference:
        https://github.com/SoccerNet/sn-reid for the layout of the real set.
    """
    counts = dict(DEFAULT_ACTIONS if actions is None else actions)
    check_arguments(counts, seed, workers)
    with fresh_folder(Path(root)) as folder:
        draw_splits(folder, counts, seed, workers, progress)
    return Path(root) / "reid"


def check_arguments(counts: Mapping[str, int], seed: int, workers: int) -> None:
    """Raise ConfigError for arguments `draw` cannot follow."""
    if not counts:
        raise ConfigError(f"actions: expected a number for at least one of {', '.join(SPLITS)}, received none")
    for split in counts:
        if split not in SPLITS:
            raise ConfigError(f"actions: expected splits among {', '.join(SPLITS)}, received {split!r}")
    numbers = [(f"actions[{split!r}]", count, 1) for split, count in counts.items()]
    for name, value, least in [*numbers, ("seed", seed, 0), ("workers", workers, 1)]:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            hint = "; leave a split out to draw none of it" if name.startswith("actions") else ""
            raise ConfigError(f"{name}: expected a whole number from {least} up, received {value!r}{hint}")


@contextmanager
def fresh_folder(root: Path) -> Iterator[Path]:
    """Give a folder to draw into that becomes `root`/reid at the end, or vanishes if drawing fails."""
    check_free(root)
    made = not root.exists()
    try:
        with lock_folder(root, "kreid-convert --synthetic") as held:
            check_free(root)
            partial = root / INCOMPLETE
            if partial.exists():
                if not held:
                    raise ConfigError(
                        f"{partial}: left by a run that was killed, or one under way; remove it if none is"
                    )
                shutil.rmtree(partial)
                _LOG.warning("%s: removed, it was left by a run that was killed", partial)
            partial.mkdir()
            try:
                yield partial
                partial.rename(root / "reid")
            except BaseException as error:
                shutil.rmtree(partial, ignore_errors=True)
                if isinstance(error, OSError) and error.errno:
                    error.filename = str(root)  # a full disk does not say where, and nobody asked for what is hidden
                raise
    finally:
        if made:
            with suppress(OSError):  # it holds something now, or was never made
                root.rmdir()


def check_free(root: Path) -> None:
    """Raise ConfigError for a root that is no folder, or holds more than what a drawing that was killed has left."""
    found = sorted({path.name for path in root.iterdir()} - {INCOMPLETE, LOCK_NAME}) if root.is_dir() else []
    if found or (root.exists() and not root.is_dir()):
        what = f"found {', '.join(found[:3])}" if found else "received a file"
        hint = ", or leave out --synthetic to convert what is there" if "reid" in found else ""
        raise ConfigError(
            f"{root}: expected a folder that is missing or empty, to draw into, {what}; give another one{hint}"
        )


def draw_splits(root: Path, counts: Mapping[str, int], seed: int, workers: int, progress: Progress | None) -> None:
    """Draw the splits into `root` and write their JSON files."""
    jobs = plan_jobs(root, counts, seed)
    found: dict[str, dict[str, dict[str, Label]]] = {
        split: {subset: {} for subset in SPLITS[split]} for split in counts
    }

    def collect(results: Iterable[list[tuple[str, Label]]]) -> None:
        for done, (job, entries) in enumerate(zip(jobs, results, strict=True), start=1):
            for subset, entry in entries:
                found[job.action.split][subset][str(entry["bbox_idx"])] = entry
            if progress:
                progress(done, len(jobs))

    if workers == 1:
        collect(map(draw_action, jobs))
    else:  # spawned and not forked, since the caller may hold TensorFlow's threads
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent) as pool:
            collect(pool.map(draw_action, jobs))
    for split, lists in found.items():
        if split == "train":
            (root / split / "train_bbox_info.json").write_text(json.dumps(lists["train"]), encoding="utf-8")
        elif split != "challenge":
            (root / split / "bbox_info.json").write_text(json.dumps(lists), encoding="utf-8")


def end_with_parent() -> None:
    """Let this worker end when its parent does, however that ends: one that was killed tells its workers nothing."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def plan_jobs(root: Path, counts: Mapping[str, int], seed: int) -> list[Job]:
    """Return every action to draw with its first indices, splits in SoccerNet's order."""
    jobs, person = [], 0
    for split in (split for split in SPLITS if split in counts):
        frame, box = 0, dict.fromkeys(SPLITS[split], 0)
        for index in range(counts[split]):
            action = plan_action(seed, split, index)
            jobs.append(Job(root, seed, action, person, frame, box))
            person, frame = person + len(action.cast), frame + len(action.cameras)
            box = {subset: first + action.count(subset) for subset, first in box.items()}
    return jobs


def draw_action(job: Job) -> list[tuple[str, Label]]:
    """Draw and save the pictures of one action; return list and JSON entry of each."""
    action, counter = job.action, dict(job.first_box)
    random = choices_of(job.seed, action.split, action.index, "pictures")
    people = people_of(job.seed, action.split, action.index)
    cast = [people[i] for i in action.cast]
    shirts = tuple(dict.fromkeys(person.kit.shirt for person in people))
    ground = draw_ground(choices_of(job.seed, action.split, action.index // ACTIONS_PER_GAME, "ground"), shirts)
    cameras = [draw_camera(random, kind) for kind in action.cameras]
    stamps = [random.getrandbits(32) for _ in cameras]
    entries = []
    for spot, sighting in enumerate(action.sightings):
        person = cast[sighting.person]
        neighbours = [other for other in cast if other is not person]
        image = draw_crop(person, neighbours, ground, cameras[sighting.frame], random)
        thumbnail = Thumbnail(
            bbox=counter[sighting.subset],
            action=action.index,
            person=job.first_person + sighting.person,
            frame=job.first_frame + sighting.frame,
            role=person.role,
            jersey=action.jerseys[sighting.person],
            uai=name_box(action, sighting, spot, stamps[sighting.frame]),
            height=image.height,
            width=image.width,
        )
        counter[sighting.subset] += 1
        entries.append((sighting.subset, save(job, sighting.subset, thumbnail, image)))
    return entries


def save(job: Job, subset: str, thumbnail: Thumbnail, image: Image.Image) -> Label:
    """Write a picture under its SoccerNet name and return its JSON entry."""
    split = job.action.split
    folder = job.root / split if split == "train" else job.root / split / subset
    place = name_folder(job.seed, split, job.action.index)
    if split == "challenge":
        withheld = thumbnail._replace(person=None, frame=None, role=None, jersey=None, uai=None)
        name = format_name(withheld)
    else:
        folder, name = folder / place, format_name(thumbnail)
    folder.mkdir(parents=True, exist_ok=True)
    image.save(folder / name, compress_type=zlib.Z_RLE)  # three times as fast as the default on noise, and as small
    return {
        "bbox_idx": thumbnail.bbox,
        "action_idx": thumbnail.action,
        "person_uid": thumbnail.person,
        "frame_idx": thumbnail.frame,
        "clazz": thumbnail.role,
        "id": str(thumbnail.jersey),
        "UAI": thumbnail.uai,
        "relative_path": place,
        "height": thumbnail.height,
        "width": thumbnail.width,
    }


def sheet(images: str | os.PathLike | Iterable[str | os.PathLike], columns: int = 16, height: int = 128) -> Image.Image:
    """Return a contact sheet: thumbnails side by side at one height, the views of a person next to each other.

    Args:
        images: A folder, of which every PNG is shown by action, person and index; or files, in the order wanted.
        columns: Thumbnails in a row.
        height: Height of a row in pixels; thumbnails wider than tall are cut.

    Raises:
        ValueError: When there is no picture to show, or no room for one.

    Example:
        >>> sheet("synthetic/reid/test").save("test.png")
    """
    if isinstance(images, str | os.PathLike):
        found = [(parse_name(path.name), path) for path in Path(images).rglob("*.png")]
        found.sort(key=lambda pair: (pair[0].action, -1 if pair[0].person is None else pair[0].person, pair[0].bbox))
        paths = [path for _, path in found]
    else:
        paths = [Path(image) for image in images]
    if not paths:
        raise ValueError(f"{images}: expected a folder with thumbnails (*.png) or a list of them, found none")
    if columns < 1 or height < 1:
        raise ValueError(f"columns, height: expected 1 or more, received {columns} and {height}")
    width = height * 5 // 8
    rows = (len(paths) + columns - 1) // columns
    page = Image.new("RGB", (min(columns, len(paths)) * (width + 2), rows * (height + 2)), (32, 32, 32))
    for i, path in enumerate(paths):
        with open_image(path.read_bytes()) as image:
            size = (max(1, round(image.width * height / image.height)), height)
            tile = as_rgb(image).resize(size, Image.Resampling.BILINEAR)
        left = max(0, (tile.width - width) // 2)
        row, column = divmod(i, columns)
        tile = tile.crop((left, 0, left + min(width, tile.width), height))
        page.paste(tile, (column * (width + 2) + (width - tile.width) // 2, row * (height + 2)))
    return page
