"""Pictures of what a network sees: one of an image with its maps, one of a pair with what makes it alike."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from kreid.data.images import resize
from kreid.look.pairs import Pair
from kreid.look.viewer import Seen, relative
from kreid.pictures.colours import lay_over, lay_over_signed, scale, signed
from kreid.pictures.layout import below, beside, fitted, font

LARGE, SMALL = 132, 84  # pixels across a picture in the first row, and in the others
_MARGIN, _GAP, _COLUMNS = 20, 8, 9
_PAPER, _INK, _QUIET = (20, 24, 28), (238, 241, 243), (160, 170, 178)
_SHOWN = 9  # parts with a bar; so many pictures fit beside one another in the rows below
_RAMP, _WIDEST = 120, 840  # pixels of a colour scale, of a line of text


class View(NamedTuple):
    """An image as it is drawn.

    Attributes:
        name: what it is called in a picture.
        large: `(H, LARGE, 3)` uint8, RGB, and `small`, `(h, SMALL, 3)`: as the network sees it, which stretches every
            image to one shape.
    """

    name: str
    large: np.ndarray
    small: np.ndarray


def make_view(name: str, pixels: np.ndarray, image_size: tuple[int, int]) -> View:
    """Resize an image, `(h, w, 3)` as `kreid.data.read_image` gives it, to be drawn.

    Args:
        name: what it is called in a picture.
        pixels: RGB 0-255.
        image_size: `Viewer.image_size`; the drawn image has its shape, or the nearest between 4 : 1 and 1 : 4.
    """
    return View(name, *(draw_size(pixels, image_size, width) for width in (LARGE, SMALL)))


def draw_size(pixels: np.ndarray, image_size: tuple[int, int], width: int) -> np.ndarray:
    """Resize an image to `width` pixels across: uint8, see `make_view`."""
    height = np.clip(round(width * image_size[0] / image_size[1]), width // 4, 4 * width)
    return np.round(np.asarray(resize(pixels, (int(height), width)))).astype(np.uint8)


def image_picture(view: View, seen: Seen, parts: Sequence[str], note: str = "") -> Image.Image:
    """Draw one image with its activation and part maps.

    Args:
        view: the image.
        seen: what `Viewer.see` found.
        parts: `Viewer.parts`.
        note: `Viewer.note`.
    """
    first = [_tile(view.large, "image")]
    first += [_tile(lay_over(view.large, relative(one)), name, _grid(one)) for name, one in seen.activation.items()]
    ramp = np.repeat(scale(np.linspace(0, 1, _RAMP))[None], 12, axis=0)
    legend = [_text("each map from its lowest", 12, _QUIET), Image.fromarray(ramp), _text("to its highest", 12, _QUIET)]
    blocks = [_text(view.name, 17), beside(legend, _PAPER)]
    blocks += [_text("Activation: norm over the channels of each place", 13, _QUIET), *_rows(first, 7)]
    if seen.parts is not None:
        maps = [(name, seen.parts[..., number]) for number, name in enumerate(parts)]
        maps += [("limbs (norm)", seen.limbs)] if seen.limbs is not None else []
        tiles = [_tile(lay_over(view.small, relative(one)), name, _range(one)) for name, one in maps]
        title = f"Parts: the last confidence map, {_grid(seen.parts)} places, and the range of each"
        blocks += [*_notes(title, note), *_rows(tiles, _COLUMNS)]
    return _sheet(blocks)


def pair_picture(views: Sequence[View], pair: Pair, note: str = "") -> Image.Image:
    """Draw two images, A and B, with the places and parts that make them alike.

    Args:
        views: the two images.
        pair: what `Viewer.compare` found.
        note: `Viewer.note`.
    """
    whole = pair.values.sum(-1)  # (2, h, w)
    strongest = np.abs(whole).max()
    tiles = []
    for letter, view, values in zip("AB", views, whole, strict=True):
        drawn = lay_over_signed(view.large, values / (strongest or 1))
        tiles += [_tile(view.large, letter), _tile(drawn, "all together", f"a place up to {strongest:.3f}")]
    order = by_part(pair)
    bars = [_bars(pair, order)] if len(order) > 1 else []
    ramp = lay_over_signed(np.full((12, _RAMP, 3), 90, np.uint8), np.linspace(-1, 1, _RAMP)[None])
    legend = [_text("makes them less alike", 12, _QUIET), Image.fromarray(ramp), _text("more alike", 12, _QUIET)]
    blocks = [_text(f"Cosine similarity {pair.similarity:.3f}: what each place adds to it", 17)]
    blocks += [_text(f"{letter}  {view.name}", 13, _QUIET) for letter, view in zip("AB", views, strict=True)]
    blocks += [beside(legend, _PAPER), beside([*tiles, *bars], _PAPER)]
    if len(order) > 1:
        blocks += _strongest_parts(views, pair, order[:_SHOWN], note)
    return _sheet(blocks)


def _strongest_parts(
    views: Sequence[View], pair: Pair, order: Sequence[tuple[int, float]], note: str
) -> list[Image.Image]:
    peak = np.abs(pair.values[..., [number for number, _ in order]]).max()
    height = views[0].small.shape[0]
    columns = [below([_text(letter, 13, _QUIET, height) for letter in "AB"], _PAPER)]
    for number, share in order:
        maps = [
            lay_over_signed(view.small, pair.values[row, ..., number] / (peak or 1)) for row, view in enumerate(views)
        ]
        columns.append(
            below([*map(Image.fromarray, maps), _caption(pair.parts[number], f"{share:+.3f}", SMALL)], _PAPER)
        )
    return [*_notes(f"What counts most, a place up to {peak:.3f}", note), beside(columns, _PAPER)]


def _notes(*lines: str) -> list[Image.Image]:
    return [_text(line, 13, _QUIET) for line in lines if line]


def by_part(pair: Pair) -> list[tuple[int, float]]:
    """Parts by how much they add or take away, the strongest first: number and share of the similarity.

    Seen from either image the shares differ a little, for a sketch of the outer product mixes parts; this is the mean.
    """
    shares = pair.values.sum((1, 2)).mean(0)
    return [(int(number), float(shares[number])) for number in np.argsort(-np.abs(shares), kind="stable")]


def _bars(pair: Pair, order: Sequence[tuple[int, float]]) -> Image.Image:
    """Draw the strongest parts' shares, the others' together, and what no place adds."""
    rows = [(pair.parts[number], share) for number, share in order[:_SHOWN]]
    others = sum(share for _, share in order[_SHOWN:])
    rows += [(f"{len(order) - _SHOWN} others", others)] if len(order) > _SHOWN else []
    rest = float(pair.rest.mean())
    rows += [("constants", rest)] if abs(rest) >= 0.0005 else []
    longest = max(abs(share) for _, share in rows) or 1.0
    canvas = Image.new("RGB", (300, 22 * len(rows)), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, (name, share) in enumerate(rows):
        y = 22 * number
        draw.text((112, y + 11), name, _INK, font(12), "rm")
        draw.rectangle((120, y + 4, 121 + 110 * abs(share) / longest, y + 18), tuple(map(int, signed(share))))
        draw.text((240, y + 11), f"{share:+.3f}", _QUIET, font(12), "lm")
    return canvas


def _range(values: np.ndarray) -> str:
    return f"{_short(values.min())} to {_short(values.max())}"


def _short(number: float) -> str:
    for limit, unit in ((1e6, "M"), (1e3, "k")):  # a part stream from random weights has no small numbers
        if abs(number) >= limit:
            return f"{number / limit:.0f}{unit}"
    return f"{number:.0f}" if abs(number) >= 10 else f"{number:.2g}"


def _grid(values: np.ndarray) -> str:
    return f"{values.shape[0]} by {values.shape[1]}"


def _tile(pixels: np.ndarray, name: str, note: str = "") -> Image.Image:
    """A picture with its name and a quiet note below."""
    picture = Image.fromarray(pixels)
    return below([picture, _caption(name, note, picture.width)], _PAPER)


def _caption(name: str, note: str, width: int) -> Image.Image:
    canvas = Image.new("RGB", (width, 34), _PAPER)
    draw = ImageDraw.Draw(canvas)
    draw.text((width / 2, 2), fitted(name, width, 12), _INK, font(12), "ma")
    draw.text((width / 2, 17), note, _QUIET, font(11), "ma")
    return canvas


def _rows(tiles: Sequence[Image.Image], columns: int) -> list[Image.Image]:
    return [beside(tiles[start : start + columns], _PAPER) for start in range(0, len(tiles), columns)]


def _sheet(blocks: Sequence[Image.Image]) -> Image.Image:
    inside = below(blocks, _PAPER, _GAP)
    canvas = Image.new("RGB", (inside.width + 2 * _MARGIN, inside.height + 2 * _MARGIN), _PAPER)
    canvas.paste(inside, (_MARGIN, _MARGIN))
    return canvas


def _text(words: str, size: int, colour: tuple[int, int, int] = _INK, height: int | None = None) -> Image.Image:
    words = fitted(words, _WIDEST, size)
    canvas = Image.new("RGB", (max(1, round(font(size).getlength(words))), height or round(1.35 * size)), _PAPER)
    ImageDraw.Draw(canvas).text((0, 0), words, colour, font(size))
    return canvas
