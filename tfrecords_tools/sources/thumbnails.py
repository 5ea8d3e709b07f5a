"""A quarter of a million thumbnails of SoccerNet-v3 ReID in little memory: entries are made when they are asked for.

Of every image its folder, place there, index and action are kept as numbers, and its name within one text a folder:
some 100 bytes, where an entry takes a thousand.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, overload

import numpy as np

from tfrecords_tools.entry import Entry
from tfrecords_tools.naming import parse_name

_OPEN = 8  # folders whose names are kept apart: an action's queries and gallery, and those of its neighbours


class Place(NamedTuple):
    """A folder of thumbnails; `source` is where it lies in the set, `names` its files', with "/" between them."""

    path: Path
    subset: str
    game: str
    source: str
    names: str


class Thumbnails(Sequence[Entry]):
    """Entries of one split, in an order of their own.

    Args:
        split: the split.
        places: its folders.
        folder: `(M,)` position in `places` of each image.
        name: `(M,)` position of its name there.
        bbox: `(M,)` its index.
        actions: `(M,)` its action.
    """

    def __init__(
        self,
        split: str,
        places: Sequence[Place],
        folder: np.ndarray,
        name: np.ndarray,
        bbox: np.ndarray,
        actions: np.ndarray,
    ) -> None:
        self.split, self.places = split, places
        self.folder, self.name, self.bbox, self.actions = folder, name, bbox, actions
        self._names = lru_cache(_OPEN)(lambda place: self.places[place].names.split("/"))

    def __len__(self) -> int:
        return len(self.folder)

    @overload
    def __getitem__(self, row: int) -> Entry: ...

    @overload
    def __getitem__(self, row: slice) -> "Thumbnails": ...

    def __getitem__(self, row: int | slice) -> "Entry | Thumbnails":
        if isinstance(row, slice):
            return self.rows(row)
        return self._entry(int(self.folder[row]), int(self.name[row]))

    def __iter__(self) -> Iterator[Entry]:
        for row in range(len(self)):
            yield self[row]

    def rows(self, rows: slice | np.ndarray) -> "Thumbnails":
        """Return the entries at some positions, in their order."""
        return Thumbnails(
            self.split, self.places, self.folder[rows], self.name[rows], self.bbox[rows], self.actions[rows]
        )

    def paths(self) -> Iterator[str]:
        """Yield the files of all entries, in their order."""
        for folder, name in zip(self.folder.tolist(), self.name.tolist(), strict=True):
            yield f"{self.places[folder].path}/{self._names(folder)[name]}"

    def _entry(self, folder: int, name: int) -> Entry:
        place, text = self.places[folder], self._names(folder)[name]
        path = place.path / text
        return Entry(parse_name(text), path, self.split, place.subset, place.game, source=place.source + text)


class ByIndex(Mapping[int, Entry]):
    """The entries of one list by their bbox index, which stands once."""

    def __init__(self, entries: Thumbnails) -> None:
        self._entries = entries.rows(np.argsort(entries.bbox))

    def __getitem__(self, bbox: int) -> Entry:
        row = int(np.searchsorted(self._entries.bbox, bbox))
        if row == len(self) or self._entries.bbox[row] != bbox:
            raise KeyError(bbox)
        return self._entries[row]

    def __iter__(self) -> Iterator[int]:
        return iter(self._entries.bbox.tolist())

    def __len__(self) -> int:
        return len(self._entries)
