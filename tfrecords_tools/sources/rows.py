"""CSV files that people write: every error names file and line."""

import codecs
import csv
import io
import logging
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from tfrecords_tools.errors import one_line
from tfrecords_tools.given_names import means_nobody, same_form

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a file, by the names of its columns; a column that the file lacks is "".

    Args:
        path: the file.
        line: from 1.
        places: the columns' positions in `cells`, for all lines of a file the same one.
        cells: what stands in them.
    """

    path: Path
    line: int
    places: Mapping[str, int] = field(default_factory=dict)
    cells: Sequence[str] = ()

    def __getitem__(self, name: str) -> str:
        place = self.places.get(name, len(self.cells))
        return self.cells[place] if place < len(self.cells) else ""

    def error(self, what: str) -> ValueError:
        """The error of this line, to raise."""
        return ValueError(f"{self.path}, line {self.line}: {one_line(what, 400)}")

    def whole(self, name: str) -> int | None:
        """A whole number from 0 up, None where the cell is empty."""
        text = self[name]
        if not text:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise self.error(f"{name}: expected a whole number from 0 up, received {text!r}")
        return int(text)

    def number(self, name: str) -> float:
        """A finite number."""
        try:
            value = float(self[name])
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or abs(value) > 1e9:
            raise self.error(f"{name}: expected a number, received {self[name]!r}")
        return value

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of some words, or "" where the cell is empty."""
        if self[name] and self[name] not in choices:
            raise self.error(f"{name}: expected one of {', '.join(choices)}, received {self[name]!r}")
        return self[name]

    def check_person(self) -> None:
        """Raise ValueError for a person whose name says that it is nobody known: all of them would be one person."""
        if means_nobody(self["person"]):
            raise self.error(
                f"person: received {self['person']!r}; leave it empty for nobody in particular, or leave the row out"
            )


def read_header(path: Path) -> list[str]:
    """Return the names of a CSV file's columns, whatever is wrong with the file below; [] where it is no CSV."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return [name.strip() for name in next(csv.reader(file), [])]
    except csv.Error:
        return []


def foreign_coding(path: Path) -> str:
    """Return the coding of a file that is no UTF-8 by its first bytes, as Excel saves some; "" where it may be."""
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or (b"\0" in start[:2] and start[:2] != b"\0\0"):
        return "UTF-16"
    return ""


def read_rows(path: Path, needed: Sequence[str], recurring: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the lines of a CSV file, cells without the spaces around them; empty lines are passed over.

    Args:
        path: UTF-8, with a line of names first, separated by commas.
        needed: columns that it must have.
        recurring: columns that say the same of many lines: each of their texts is held once.

    Raises:
        ValueError: naming file and line, where it is no UTF-8, a needed column is missing, a column stands twice, or a
            line has more or fewer cells than the first.
        OSError: where it cannot be read.
    """
    if coding := foreign_coding(path):
        raise ValueError(f"{path}, line 1: a file in {coding}; save it as UTF-8")
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: not UTF-8 (byte {data[error.start]:#04x}); save it as UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] = []
    places: dict[str, int] = {}
    shared: list[int] = []
    try:
        for cells in reader:
            values = [cell.strip() for cell in cells]
            if not any(values):
                continue
            if "\0" in "".join(values):  # at the end of a name an index would lose it
                raise Row(path, reader.line_num).error("holds the character NUL; take it out, or save it as UTF-8")
            if not names:
                names = values
                places = {name: place for place, name in enumerate(names)}
                shared = [places[name] for name in recurring if name in places]
                _check_header(Row(path, reader.line_num), names, needed)
                continue
            row = Row(path, reader.line_num, places, values)
            if len(values) != len(names):
                raise row.error(f"expected {len(names)} cells ({', '.join(names)}), received {len(values)}")
            for place in shared:
                values[place] = sys.intern(values[place])
            yield row
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not CSV: {one_line(error)}") from None
    if not names:
        raise ValueError(f"{path}, line 1: expected the columns {', '.join(needed)}, received an empty file")


def _check_header(row: Row, names: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in names]
    if missing:
        raise row.error(
            f"the column {missing[0]} is missing; expected {', '.join(needed)}, separated by commas, received "
            f"{', '.join(names)}"
        )
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise row.error(f"the column {twice[0]!r} stands twice; take one out")


def track_key(camera: str, track: str) -> tuple[str, str]:
    """What a track is looked up by among identities: its names in the form of `given_names.same_form`."""
    return same_form(camera), same_form(track)


def read_identities(path: Path) -> dict[tuple[str, str], str]:
    """Read which person each track is: columns camera, track, person; a person of "" is nobody in particular.

    Returns:
        Persons by `track_key`.

    Raises:
        ValueError: naming file and line, see `read_rows`; also for a track that stands twice, or a person such as -1.
    """
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for row in read_rows(path, ("camera", "track", "person")):
        row.check_person()
        key = track_key(row["camera"], row["track"])
        if key in found:
            raise row.error(f"track {key[1]!r} of camera {key[0]!r} stands in line {found[key][1]} too; remove one")
        found[key] = (row["person"], row.line)
    return {key: person for key, (person, _) in found.items()}


def warn_of_absent(
    path: Path | None, joined: Mapping[tuple[str, str], str], there: AbstractSet[tuple[str, str]]
) -> None:
    """Say how many tracks of a file of identities are not among those that are there, and the first of them."""
    absent = sorted(set(joined) - there)
    if absent:
        _LOG.warning(
            "%s: %d of %d tracks have no images, the first: track %r of camera %r",
            path, len(absent), len(joined), absent[0][1], absent[0][0],
        )  # fmt: skip
