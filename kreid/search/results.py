"""What a search found: the nearest crops of a gallery for every query; NumPy only."""

from collections.abc import Iterator
from dataclasses import dataclass

from kreid.ranking.neighbours import Found
from kreid.search.crops import Crops


@dataclass(frozen=True, eq=False)
class Results:
    """The nearest crops of a gallery for every query.

    Args:
        title: heading of the page.
        queries: what was looked for.
        gallery: what was looked through.
        found: rows of `gallery` and their distances for each row of `queries`, from `kreid.ranking.search`.
        metric: of the distances.
    """

    title: str
    queries: Crops
    gallery: Crops
    found: Found
    metric: str

    def rows(self) -> Iterator[tuple[str, list[tuple[str, float]]]]:
        """Yield the name of each query, and names and distances of what was found, nearest first."""
        for query, (index, distance) in enumerate(zip(self.found.index, self.found.distance, strict=True)):
            names = map(self.gallery.name, index.tolist())
            yield self.queries.name(query), list(zip(names, distance.tolist(), strict=True))
