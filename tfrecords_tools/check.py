"""Reads back everything that `kreid-convert` wrote, and lists what is wrong with it. Imports TensorFlow."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfrecords_tools.arrays import read_arrays
from tfrecords_tools.decoding import Decoder
from tfrecords_tools.errors import one_line
from tfrecords_tools.example import FIELDS
from tfrecords_tools.formats import read_whole
from tfrecords_tools.index import INDEX_NAME, Index, read_index, read_info
from tfrecords_tools.info import Info, SplitInfo
from tfrecords_tools.naming import parse_name
from tfrecords_tools.scorable import find_unmatched, why_unscorable
from tfrecords_tools.sources.assembly import NOBODY

_COLUMNS = ("bbox", "action", "person", "camera")  # numbers that stand in the index and in the record
_PEOPLE_INSIDE_ACTIONS = ("soccernet",)  # sources that count people anew in every action, by any number


@dataclass
class Findings:
    """What was found: a line each, and how many images were read of each split.

    Args:
        problems: what is wrong, naming the file or record.
        images: images of each split that could be opened.
    """

    problems: list[str] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)


def check_records(out: Path, advance: Callable[[str, int], Callable[[], None]] | None = None) -> Findings:
    """Read everything that `kreid-convert` wrote into a folder.

    Checksums, fields and images of every record; the record against the index, the index against `info.json`; a stored
    image against the size that record and file name say. That a person stands in one action, and outside of
    SoccerNet's sets in one split; that every query has a match under the set's protocol, and that there is a query
    where people are known, but for the training set.

    Args:
        out: the folder.
        advance: called with each split and its number of records; what it returns is called once a record.

    Returns:
        What is wrong, and how much was read.

    Raises:
        ValueError: there is no readable `info.json`.

    Example:
        >>> check_records(Path("records")).problems
        []
    """
    info = read_info(out)
    found = Findings()
    people: dict[str, set[int]] = {}
    for split, told in info["splits"].items():
        try:
            index = read_index(out / split)
            version = 2 if "camera" in read_arrays(out / split / INDEX_NAME) else 1
        except ValueError as error:
            found.problems.append(str(error))
            continue
        step = advance(split, len(index)) if advance else lambda: None
        found.images[split] = len(index)
        found.problems += _check_split(index, split, told, version, step)
        if told["source"] not in _PEOPLE_INSIDE_ACTIONS:
            people[split] = set(index.person.tolist()) - {NOBODY, -1}
    found.problems += _check_folder(out, info)
    found.problems += [
        f"{out}: {len(both)} people stand in {first} and in {second}, the first: {min(both)}"
        for place, (first, mine) in enumerate(people.items())
        for second, others in list(people.items())[place + 1 :]
        if (both := mine & others)
    ]
    return found


def _check_folder(out: Path, info: Info) -> list[str]:
    unknown = sorted({path.parent.name for path in out.glob(f"*/{INDEX_NAME}")} - set(info["splits"]))
    return [f"{out / name}: holds records that info.json does not know" for name in unknown]


def _check_split(index: Index, split: str, told: SplitInfo, version: int, step: Callable[[], None]) -> list[str]:
    problems = []
    check = Decoder().check
    with index:
        for row in range(len(index)):
            step()
            try:
                (record,) = index.read([row])
                problems += [f"{index.name(row)}: {text}" for text in _check_record(record, index, row, told, version)]
                _check_image(record, index.name(row), check)
            except ValueError as error:
                problems.append(str(error))
    return [*problems, *_check_people(index, split, told)]


def _fields(record: bytes) -> dict[str, Any]:
    """The values of a record by name.

    Raises:
        ValueError: it is no `tf.train.Example`.
    """
    example = tf.train.Example()
    try:
        example.ParseFromString(record)
    except Exception as error:  # the message's own class, which protobuf hides
        raise ValueError(f"is no tf.train.Example, {one_line(error)}") from None
    values = {}
    for name, feature in example.features.feature.items():
        content = getattr(feature, feature.WhichOneof("kind") or "bytes_list").value
        values[name] = content[0] if len(content) == 1 else None
    return values


def _check_record(record: bytes, index: Index, row: int, told: SplitInfo, version: int) -> Iterator[str]:
    """Say what is wrong with the fields of a record, and with its image's size."""
    try:
        values = _fields(record)
    except ValueError as error:
        yield str(error)
        return
    wanted = [one for one in FIELDS if one.since <= version]
    wrong = [one.name for one in wanted if not isinstance(values.get(one.name), int if one.kind is int else bytes)]
    if wrong:
        yield f"lacks the field {wrong[0]}, or has it in another form"
        return
    expected: dict[str, Any] = {name: int(getattr(index, name)[row]) for name in _COLUMNS}
    expected["game"] = str(index.games[index.game[row]])
    expected["track"] = str(index.tracks[index.track[row]]) if index.track[row] >= 0 else ""
    for name, value in expected.items():
        received = values.get(name, value)
        text = received.decode("utf-8", "surrogateescape") if isinstance(received, bytes) else received
        if text != value:
            yield f"{name} is {one_line(text)}, and {one_line(value)} in the index"
    if (values["subset"] == b"query") != bool(index.is_query[row]):
        yield f"subset is {one_line(values['subset'])}, unlike in the index"
    yield from _check_size(values, told)


def _check_size(values: dict[str, Any], told: SplitInfo) -> Iterator[str]:
    size = (values["height"], values["width"])
    try:
        image = read_whole(values["image"])
    except ValueError as error:
        yield f"the image {error}"
        return
    stored = (image.height, image.width)
    expected = size if told["resize"] is None else tuple(told["resize"])
    if stored != expected:
        yield f"the image is {stored[0]} x {stored[1]} pixels, expected {expected[0]} x {expected[1]}"
    if told["source"] == "soccernet" and values.get("source"):
        try:
            name = parse_name(values["source"].decode("utf-8", "surrogateescape"))
        except ValueError as error:
            yield one_line(error)
            return
        if (name.height, name.width) != size:
            yield f"its name says {name.height} x {name.width} pixels, and it has {size[0]} x {size[1]}"


def _check_image(record: bytes, name: str, check: Callable[[Path, bytes], None]) -> None:
    """Raise ValueError if TensorFlow cannot decode a record's image."""
    image = _fields(record).get("image")
    if isinstance(image, bytes):
        check(Path(name), image)


def _check_people(index: Index, split: str, told: SplitInfo) -> list[str]:
    """Say which people stand in two actions, and how many queries have no match."""
    problems = []
    nobody = -1 if told["source"] in _PEOPLE_INSIDE_ACTIONS else NOBODY
    known = (index.person >= 0) & (index.person != nobody)
    pairs = np.unique(np.stack([index.person[known], index.action[known]], axis=1), axis=0)
    persons, actions = np.unique(pairs[:, 0], return_counts=True)
    if (actions > 1).any():
        several = persons[actions > 1]
        problems.append(f"{index.folder}: {len(several)} people stand in several actions, the first: {several[0]}")
    unmatched = find_unmatched(index.action, index.person, index.camera, index.is_query, told["protocol"])
    lonely = np.flatnonzero(unmatched & (index.person >= 0))
    queries = int(index.is_query.sum())
    labelled = split != "train" and bool((index.person >= 0).all())
    if labelled and (why := why_unscorable(queries, queries - len(lonely), told["protocol"])):
        problems.append(f"{index.folder}: {why}")
    elif len(lonely):
        problems.append(
            f"{index.folder}: {len(lonely)} of {queries} queries have no match, the first: {index.name(int(lonely[0]))}"
        )
    return problems
