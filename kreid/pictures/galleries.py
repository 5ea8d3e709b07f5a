"""A picture of some queries and the best images of their galleries, for TensorBoard."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from kreid.data.records import find_records, read_fields
from kreid.pictures.thumbnails import shrink
from kreid.ranking.lists import Ranking
from tfrecords_tools.index import read_index

_HIT, _MISS, _QUERY = "#2e9e44", "#d03a2f", "#404040"
_CELL, _BORDER = (64, 128), 4  # width and height in pixels, pixels
PLACES = 8  # gallery images of a query, at most


def gallery_picture(ranking: Ranking, records: str | Path, queries: int) -> np.ndarray:
    """Some queries, always the same ones, each with the best images of its gallery: green are hits, red are misses.

    Args:
        ranking: what `rank` returned, of the nearest `PLACES` images of each query at least.
        records: the valid split's folder.
        queries: how many, spread evenly over all; a row each.

    Returns:
        `(height, width, 3)` uint8.
    """
    chosen = np.unique(np.linspace(0, len(ranking) - 1, queries).astype(int))
    cells = []  # row of the picture, column, image, colour
    for row, query in enumerate(chosen):
        places = np.arange(*ranking.offsets[query : query + 2])[:PLACES]
        colours = [_QUERY, *np.where(ranking.match[places], _HIT, _MISS)]
        images = [ranking.query[query], *ranking.gallery[places]]
        cells += [(row, column, *cell) for column, cell in enumerate(zip(images, colours, strict=True))]
    with read_index(records) as index:
        wanted = find_records(ranking.images, index)[[image for _, _, image, _ in cells]]
        encoded = [image for part in read_fields(index, wanted) for image in part["image"]]
    width, height = (side + 2 * _BORDER for side in _CELL)
    picture = Image.new("RGB", ((PLACES + 1) * width, len(chosen) * height))
    for (row, column, image, colour), content in zip(cells, encoded, strict=True):
        thumbnail = shrink(content, _CELL[1], f"{records}: bbox {ranking.images.bbox[image]}")
        thumbnail = ImageOps.expand(ImageOps.pad(thumbnail, _CELL), _BORDER, colour)
        picture.paste(thumbnail, (column * width, row * height))
    return np.asarray(picture)
