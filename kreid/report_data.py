"""What the page's script works on: images, queries and ranked galleries as flat lists, a few megabytes at real size."""

import io
from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np

from kreid.ranking import Ranking, first_hit
from kreid.report_numbers import closeness
from kreid.report_thumbnails import WEBP, Sheet, shrink

_LOOKED_QUERIES, _LOOKED_PLACES, _LOOK_HEIGHT = 50, 3, 256


def page_data(
    ranking: Ranking,
    listed: np.ndarray,
    rows: np.ndarray,
    fields: Mapping[str, np.ndarray],
    sheets: Sequence[Sheet],
    precision: np.ndarray | None,
) -> dict[str, Any]:
    """Return plain lists and numbers.

    Args:
        ranking: what is shown.
        listed: positions in `ranking.query`, in the order of the list.
        rows: (N,) rows of `ranking.images` whose pictures are shown, by action, queries first.
        fields: "role", "jersey", "game", "height", "width", (N,) each.
        sheets: one per action.
        precision: average precision of every query, None where nothing is scored.

    Returns:
        "images": lists of N; "actions" and "starts": an action's index and its first image; "queries": in the order of
        `listed`, "start" being where its gallery begins in "entries", which hold the image's number inside its action
        and the distance.
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
    }
    if precision is not None:
        queries |= {"ap": _brief(precision[listed], 8), "first": first_hit(ranking)[listed].tolist()}
    return {
        "labelled": precision is not None,
        "images": described,
        "actions": action.tolist(),
        "starts": starts.tolist(),
        "queries": queries,
        "entries": {"image": inside[ranking.gallery[entries]].tolist(), "distance": _brief(ranking.distance[entries])},
    }


def looks(
    ranking: Ranking, listed: np.ndarray, rows: np.ndarray, look: Callable[[int], bytes | None]
) -> dict[int, bytes]:
    """Return what the network looks at in the hardest listed queries and their best gallery images.

    Args:
        ranking: what is shown.
        listed: positions in `ranking.query`, hardest first.
        rows: as in `page_data`.
        look: see `write_report`.

    Returns:
        WebP images by position in `rows`; decoded and encoded anew, so that the page holds pictures and nothing else.

    Raises:
        ValueError: `look` returned something that is no image.
    """
    match = ranking.match if (ranking.images.person >= 0).all() else np.zeros(len(ranking.gallery), bool)
    wanted: dict[int, None] = {}
    for query in listed[:_LOOKED_QUERIES]:
        start, stop = ranking.offsets[query : query + 2]
        places = {*range(start, min(start + _LOOKED_PLACES, stop)), *(start + np.flatnonzero(match[start:stop])[:1])}
        wanted |= dict.fromkeys([int(ranking.query[query]), *ranking.gallery[sorted(places)].tolist()])
    place = {int(row): number for number, row in enumerate(rows)}
    found = {}
    for row in wanted:
        encoded = look(row)
        if encoded is not None:
            file = io.BytesIO()
            shrink(encoded, _LOOK_HEIGHT, f"look({row})").save(file, **WEBP)
            found[place[row]] = file.getvalue()
    return found


def _numbered(texts: np.ndarray) -> dict[str, list]:
    names, which = np.unique(texts, return_inverse=True)
    return {"names": names.tolist(), "which": which.tolist()}


def _brief(values: np.ndarray, digits: int = 4) -> list[float | None]:
    """Return numbers with so many digits that count; None for NaN, which JSON does not have."""
    return [None if isnan(value) else float(f"{value:.{digits}g}") for value in values.tolist()]
