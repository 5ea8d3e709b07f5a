"""The columns of an index while its records are written. No TensorFlow."""

from array import array
from typing import Any

import numpy as np

from tfrecords_tools.entry import Entry
from tfrecords_tools.index import COLUMNS
from tfrecords_tools.problems import Problem


class Columns:
    """What is known of the records written so far, row by row: see `index.Index`; numbers take 8 bytes each.

    Attributes:
        columns: the arrays of the index.
        games: their positions in the index, in order.
        tracks: the same.
        problems: the images that were skipped.
        missized: how many images have not the size of their names.
        first_missized: the first of them.
    """

    def __init__(self) -> None:
        self.columns = {name: array("q") for name in COLUMNS}
        self.games: dict[str, int] = {}
        self.tracks: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.missized = 0
        self.first_missized = ""

    def __len__(self) -> int:
        return len(self.columns["offset"])

    def values(self, column: str) -> np.ndarray:
        """The values that stand in a column, each once, in order."""
        return np.unique(np.array(self.columns[column], np.int64))

    def add(self, entry: Entry, shard: int, offset: int, length: int, checksum: int) -> None:
        """Append a record, by its place and by what its entry says."""
        thumbnail = entry.thumbnail
        row = {
            "shard": shard,
            "offset": offset,
            "length": length,
            "checksum": checksum,
            "bbox": thumbnail.bbox,
            "action": thumbnail.action,
            "person": -1 if thumbnail.person is None else thumbnail.person,
            "is_query": entry.subset == "query",
            "game": self.games.setdefault(entry.game, len(self.games)),
            "camera": -1 if entry.camera is None else entry.camera,
            "track": self.tracks.setdefault(entry.track, len(self.tracks)) if entry.track else -1,
        }
        for column, value in row.items():
            self.columns[column].append(value)

    def mark(self) -> dict[str, int]:
        """Return how much there is, for `since`."""
        return {"rows": len(self), "games": len(self.games), "tracks": len(self.tracks), "problems": len(self.problems)}

    def since(self, mark: dict[str, int]) -> dict[str, Any]:
        """Return what was added after a `mark`, as JSON holds it."""
        return {
            "columns": {name: column[mark["rows"] :].tolist() for name, column in self.columns.items()},
            "games": list(self.games)[mark["games"] :],
            "tracks": list(self.tracks)[mark["tracks"] :],
            "problems": self.problems[mark["problems"] :],
            "missized": [self.missized, self.first_missized],
        }

    def extend(self, added: dict[str, Any]) -> None:
        """Append what `since` returned."""
        for name, column in self.columns.items():
            column.extend(map(int, added["columns"][name]))
        for known, names in ((self.games, added["games"]), (self.tracks, added["tracks"])):
            for name in names:
                known.setdefault(name, len(known))
        self.problems += [Problem(*problem) for problem in added["problems"]]
        self.missized, self.first_missized = added["missized"]

    def join(self, added: dict[str, Any]) -> None:
        """Append what `since` returned of another table, whose games and tracks are counted from its own first one."""
        columns = dict(added["columns"])
        for column, known in (("game", self.games), ("track", self.tracks)):
            places = [known.setdefault(name, len(known)) for name in added[f"{column}s"]]
            columns[column] = [places[place] if place >= 0 else -1 for place in columns[column]]
        missized, first = added["missized"]
        counted = [self.missized + missized, self.first_missized or first]
        self.extend({"columns": columns, "games": [], "tracks": [], "problems": added["problems"], "missized": counted})
