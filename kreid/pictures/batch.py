"""A picture of one training batch as the network gets it: after augmentation, grouped by action and person."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from kreid.config.sections import Config, Data
from kreid.data.records import read_fields
from kreid.data.training_set import TrainingSet, training_batches
from kreid.errors import ConfigError
from kreid.pictures.layout import flow, font

_CHANGES = ("flip", "hue", "saturation", "contrast", "brightness", "crop_padding", "erase")
_WIDTH = 1360  # pixels a row of actions may take, unless one image is wider
_LEAST = 132  # pixels of a cell, for its caption
_HEIGHT = 192  # small images are enlarged to about this
_GAP, _BORDER, _LINE = 10, 5, 16
_INK, _PAPER, _SINGLE = "#222222", "#ffffff", "#b8b8b8"
_SEVERAL = ("#d62728", "#1f77b4", "#2ca02c", "#ff9f0e", "#9467bd", "#17becf", "#8c564b", "#e377c2")


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch of training images.

    Args:
        images: `(B, height, width, 3)` RGB 0-255, augmented.
        person: `(B,)` identities as in the file names.
        action: `(B,)`.
        bbox: `(B,)` index of the thumbnail in its list.
        frame: `(B,)` index of the frame it was cut from.
    """

    images: np.ndarray
    person: np.ndarray
    action: np.ndarray
    bbox: np.ndarray
    frame: np.ndarray

    def anchors(self, same_action: bool = True) -> np.ndarray:
        """`(B,)` bool: has another image of its person and one of another person (of its action) in the batch."""
        same = self.person[:, None] == self.person
        other = ~same & (self.action[:, None] == self.action) if same_action else ~same
        return (same.sum(axis=1) > 1) & other.any(axis=1)


def draw_batch(config: Config, data: str | Path, epoch: int = 1, step: int = 1) -> Batch:
    """Draw one batch of a run: the images that training gets at that step, changed in the same way.

    Args:
        config: the whole configuration.
        data: what `kreid-convert` wrote.
        epoch: which epoch, from 1.
        step: which batch of the epoch, from 1.

    Raises:
        ConfigError: where there is no such epoch or step, or no batch at all.
        ValueError: where the records cannot be used.

    Example:
        >>> batch = draw_batch(load_config("configs/osnet.yaml"), "records", epoch=2)
    """
    if not 1 <= epoch <= config.train.epochs:
        raise ConfigError(f"epoch: expected 1 to train.epochs, which is {config.train.epochs}, received {epoch}")
    training_set = TrainingSet(data, config.data, config.train.seed)
    plan = list(islice(training_set.sampler.epoch(epoch - 1), config.train.steps_per_epoch))
    if not 1 <= step <= len(plan):
        raise ConfigError(f"step: expected 1 to {len(plan)}, the batches of an epoch, received {step}")
    drawn = ((epoch - 1) * len(plan) + step - 1) * training_set.sampler.batch_size
    batches = training_batches(training_set, config.model.image_size, plan[step - 1 : step], first_draw=drawn)
    images = next(iter(batches))[0].numpy()
    index, rows = training_set.index, training_set.rows[plan[step - 1]]
    frame = np.concatenate([part["frame"] for part in read_fields(index, rows)])
    return Batch(images, index.person[rows], index.action[rows], index.bbox[rows], frame)


def settings(data: Data) -> str:
    """Say in a line how the `data` section draws and changes images."""
    changes = {name: value for name, value in data.model_dump().items() if name in _CHANGES and value}
    drawn = f"{data.sampler}, {data.persons} x {data.views}, fraction {data.fraction:g}"
    return ", ".join([drawn, *(f"{name} {value:g}" for name, value in changes.items())])


def contact_sheet(batch: Batch, lines: Sequence[str] = (), same_action: bool = True) -> Image.Image:
    """Draw a batch, an action in a block with its people side by side.

    People with two or more images in the batch have a coloured border, another one for each of an action (after eight
    they repeat): their images are anchors and each other's positives. People with one image have a grey border: they
    are negatives only.

    Args:
        batch: the images.
        lines: what to write above.
        same_action: whether negatives come from the anchor's action alone (`loss.same_action`).
    """
    blocks = [_block(batch, rows, same_action) for rows in _by_action(batch)]
    places, height = flow([block.size for block in blocks], _WIDTH, _GAP)
    head = _head([*lines, _count(batch, same_action)])
    width = max(head.width, *(x + block.width for (x, _), block in zip(places, blocks, strict=True)))
    sheet = Image.new("RGB", (width + 2 * _GAP, head.height + height + 2 * _GAP), _PAPER)
    sheet.paste(head, (_GAP, _GAP))
    for (x, y), block in zip(places, blocks, strict=True):
        sheet.paste(block, (_GAP + x, _GAP + head.height + y))
    return sheet


def _by_action(batch: Batch) -> Iterator[np.ndarray]:
    """Each action's images, in the order drawn; its people with most images first, each one's in order of frame."""
    _, first = np.unique(batch.action, return_index=True)
    for action in batch.action[np.sort(first)]:
        rows = np.flatnonzero(batch.action == action)
        images = np.array([(batch.person == person).sum() for person in batch.person[rows]])
        yield rows[np.lexsort((batch.bbox[rows], batch.frame[rows], batch.person[rows], -images))]


def _block(batch: Batch, rows: np.ndarray, same_action: bool) -> Image.Image:
    """One action's images under a heading."""
    height, width = batch.images.shape[1:3]
    scale = max(1, min(round(_HEIGHT / height), _WIDTH // width))
    size = (width * scale, height * scale)
    cell = (max(size[0] + 2 * _BORDER, _LEAST) + _GAP, size[1] + 2 * _BORDER + 2 * _LINE + _GAP)
    columns = min(len(rows), max(1, _WIDTH // cell[0]))
    block = Image.new("RGB", (columns * cell[0], -(-len(rows) // columns) * cell[1] + 3 * _LINE), _PAPER)
    pen = ImageDraw.Draw(block)
    people, counts = np.unique(batch.person[rows], return_counts=True)
    anchors = int(batch.anchors(same_action)[rows].sum())
    pen.text((0, 0), f"action {batch.action[rows[0]]}", _INK, font(15))
    count = f"{_number(len(people), 'person', 'people')}, {_number(anchors, 'anchor')}"
    pen.text((0, 18), count, _INK, font(12))
    colours = {person: _SEVERAL[i % len(_SEVERAL)] for i, person in enumerate(dict.fromkeys(batch.person[rows]))}
    colours |= dict.fromkeys(people[counts == 1], _SINGLE)
    for place, row in enumerate(rows):
        person = batch.person[row]
        x, y = place % columns * cell[0], 3 * _LINE + place // columns * cell[1] - 8
        pen.rectangle((x, y, x + size[0] + 2 * _BORDER - 1, y + size[1] + 2 * _BORDER - 1), colours[person])
        pixels = Image.fromarray(np.rint(batch.images[row]).astype(np.uint8))
        block.paste(pixels.resize(size, Image.Resampling.NEAREST), (x + _BORDER, y + _BORDER))
        caption = f"person {person}\nframe {batch.frame[row]}, bbox {batch.bbox[row]}"
        pen.multiline_text((x, y + size[1] + 2 * _BORDER + 2), caption, _INK, font(12), spacing=2)
    return block


def _head(lines: Sequence[str]) -> Image.Image:
    """The lines above the images, and what the colours mean."""
    legend = (
        (_SEVERAL[0], "a colour for each person of an action with two or more images: anchors, each other's positives"),
        (_SINGLE, "a person with one image: negatives only"),
    )
    widest = max(font(12).getlength(text) for text in [*lines, *(text for _, text in legend)])
    head = Image.new("RGB", (round(widest) + 3 * _LINE, (len(lines) + len(legend) + 1) * 20), _PAPER)
    pen = ImageDraw.Draw(head)
    for number, line in enumerate(lines):
        pen.text((0, 20 * number), line, _INK, font(12))
    for number, (colour, text) in enumerate(legend, start=len(lines)):
        pen.rectangle((0, 20 * number, 13, 20 * number + 13), colour)
        pen.text((20, 20 * number), text, _INK, font(12))
    return head


def _count(batch: Batch, same_action: bool) -> str:
    people, actions = len(np.unique(batch.person)), len(np.unique(batch.action))
    counts = _number(len(batch.person), "image"), _number(people, "person", "people"), _number(actions, "action")
    return f"{', '.join(counts)}, {_number(int(batch.anchors(same_action).sum()), 'anchor')}"


def _number(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"
