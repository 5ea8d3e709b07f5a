"""What the page's script works on: images, queries and ranked galleries as flat lists, a few megabytes at real size."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isnan
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from kreid.pictures.thumbnails import Sheet, webp
from kreid.ranking.figures import QueryFigures
from kreid.ranking.lists import Ranking
from kreid.report.figures import closeness

_LOOKED_QUERIES, _LOOKED_PLACES = 50, 3


class Look(NamedTuple):
    """What the network sees in a query and in a picture of its gallery.

    Attributes:
        picture: `(H, W, 3)` uint8, RGB: tiles of one size beside one another, the query's in a row and the gallery
            picture's below it.
        groups: by heading, what is written below each tile, in order; a line break starts a second line.
        note: what is written below all of them.
    """

    picture: np.ndarray
    groups: dict[str, list[str]]
    note: str = ""


Looker = Callable[[np.ndarray], Iterable[Look | None]]


def page_data(
    ranking: Ranking,
    listed: np.ndarray,
    rows: np.ndarray,
    fields: Mapping[str, np.ndarray],
    sheets: Sequence[Sheet],
    figures: QueryFigures | None,
) -> dict[str, Any]:
    """Return plain lists and numbers.

    Args:
        ranking: what is shown.
        listed: positions in `ranking.query`, in the order of the list.
        rows: (N,) rows of `ranking.images` whose pictures are shown, by action, queries first.
        fields: "role", "jersey", "game", "height", "width", (N,) each.
        sheets: of these pictures, in order, an action's own.
        figures: of every query, None where nothing is scored.

    Returns:
        "images": lists of N; "actions" and "starts": an action's index and its first image; "sheets": the first image
        of each; "queries": in the order of `listed`, "start" being where its list begins in "entries", which hold the
        image's number inside its action and the distance, "size" how many gallery images count for it.
    """
    images = ranking.images
    action, starts = np.unique(images.action[rows], return_index=True)
    place = np.full(len(images), -1)
    place[rows] = np.arange(len(rows))
    inside = place - starts[np.minimum(np.searchsorted(action, images.action), len(action) - 1)]
    lists = [np.arange(ranking.offsets[query], ranking.offsets[query + 1]) for query in listed]
    entries = np.concatenate(lists)
    described: dict[str, Any] = {name: getattr(images, name)[rows].tolist() for name in ("bbox", "person")}
    described |= {name: fields[name].tolist() for name in ("height", "width")}
    described |= {name: _numbered(fields[name]) for name in ("role", "jersey", "game")}
    described["box"] = [number for sheet in sheets for box in sheet.boxes for number in box]
    queries: dict[str, Any] = {
        "image": place[ranking.query[listed]].tolist(),
        "start": np.cumsum([0, *map(len, lists)]).tolist(),
        "gap": _brief(closeness(ranking)[listed]),
        "size": (ranking.sizes if figures is None else figures.gallery_size)[listed].tolist(),
    }
    if figures is not None:
        queries["ap"] = _brief(figures.average_precision[listed], 8)
        queries["first"] = figures.first_match[listed].tolist()
    return {
        "labelled": figures is not None,
        "images": described,
        "actions": action.tolist(),
        "starts": starts.tolist(),
        "sheets": np.cumsum([0, *(len(sheet.boxes) for sheet in sheets[:-1])]).tolist(),
        "queries": queries,
        "entries": {"image": inside[ranking.gallery[entries]].tolist(), "distance": _brief(ranking.distance[entries])},
    }


def looks(
    ranking: Ranking, listed: np.ndarray, rows: np.ndarray, figures: QueryFigures | None, look: Looker
) -> tuple[dict[str, bytes], dict[str, dict]]:
    """Return what the network sees in the hardest listed queries, each beside its best gallery images.

    Args:
        ranking: what is shown.
        listed: positions in `ranking.query`, hardest first.
        rows: as in `page_data`.
        figures: as in `page_data`.
        look: see `write_report`.

    Returns:
        By the two images' positions in `rows`, as in "3-17": WebP images; and {"groups": lists of [heading, [text of
        each tile]], "note": text}.

    Raises:
        ValueError: `look` returned something else than pictures.
    """
    first = np.zeros(len(ranking), np.int64) if figures is None else figures.first_match
    pairs = []
    for query in listed[:_LOOKED_QUERIES]:
        start, stop = ranking.offsets[query : query + 2]
        places = {*range(start, min(start + _LOOKED_PLACES, stop))}
        places |= {start + first[query] - 1} if 0 < first[query] <= stop - start else set()
        pairs += [(ranking.query[query], row) for row in ranking.gallery[sorted(places)]]
    place = {int(row): number for number, row in enumerate(rows)}
    pictures, texts = {}, {}
    for pair, found in zip(pairs, look(np.array(pairs, np.int64).reshape(-1, 2)), strict=True):
        if found is not None:
            key = "-".join(str(place[int(row)]) for row in pair)
            if np.ndim(found.picture) != 3 or np.shape(found.picture)[2] != 3 or found.picture.dtype != np.uint8:
                raise ValueError(f"look: pair {key}: expected a picture, (H, W, 3) uint8")
            pictures[key] = webp(Image.fromarray(found.picture))
            texts[key] = {"groups": list(found.groups.items()), "note": found.note}
    return pictures, texts


def _numbered(texts: np.ndarray) -> dict[str, list]:
    names, which = np.unique(texts, return_inverse=True)
    return {"names": names.tolist(), "which": which.tolist()}


def _brief(values: np.ndarray, digits: int = 4) -> list[float | None]:
    """Return numbers with so many digits that count; None for NaN, which JSON does not have."""
    return [None if isnan(value) else float(f"{value:.{digits}g}") for value in values.tolist()]
