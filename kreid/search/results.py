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
        found: rows of `gallery` and their distances for each row of `queries`, as `kreid.search.nearest` gives them.
        metric: of the distances.
        left_out: queries that were left out of their own results, being crops of the gallery too.
    """

    title: str
    queries: Crops
    gallery: Crops
    found: Found
    metric: str
    left_out: int = 0

    def rows(self) -> Iterator[tuple[str, list[tuple[str, float]]]]:
        """Yield the name of each query, and names and distances of what was found, nearest first."""
        for query in range(len(self.queries)):
            found = [(self.gallery.name(member), distance) for member, distance in self.places(query)]
            yield self.queries.name(query), found

    def places(self, query: int) -> list[tuple[int, float]]:
        """Return rows of `gallery` and distances of what was found for a query, nearest first."""
        pairs = zip(self.found.index[query].tolist(), self.found.distance[query].tolist(), strict=True)
        return [(member, distance) for member, distance in pairs if member >= 0]
