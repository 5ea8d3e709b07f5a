"""What surrounds a player in a broadcast picture, and what the camera does to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from math import cos, exp, sin
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from tfrecords_tools.synthetic.figure import Brush
from tfrecords_tools.synthetic.skeleton import Point, Skeleton
from tfrecords_tools.synthetic.squads import SKINS, Colour

GRASS: tuple[Colour, ...] = ((84, 132, 58), (66, 118, 52), (104, 142, 66), (58, 104, 58), (96, 124, 48))
BOARDS: tuple[Colour, ...] = (
    (20, 40, 120),
    (200, 30, 40),
    (240, 240, 240),
    (16, 16, 20),
    (240, 180, 20),
    (20, 120, 160),
    (90, 20, 90),
)
COATS: tuple[Colour, ...] = ((40, 40, 48), (70, 60, 60), (180, 170, 165), (150, 120, 90), (110, 80, 65), (60, 70, 100))


class Kind(NamedTuple):
    """A kind of camera: what varies around what.

    `elevation` in radians (least, most); `height` of the crop of a standing player in pixels, median, and `spread` of
    its logarithm; `blur` radius in pixels at a crop height of 128, median; `stand` is the chance of boards and crowd
    behind the player, and `foot` where the boards meet the grass (share of the height, least and most).
    """

    elevation: tuple[float, float]
    height: float
    spread: float
    blur: float
    stand: float
    foot: tuple[float, float]


KINDS = {
    "main": Kind((0.28, 0.5), 99, 0.2, 0.7, 0.12, (0.05, 0.3)),
    "close": Kind((0.02, 0.1), 172, 0.18, 0.6, 0.9, (0.5, 0.85)),
    "goal": Kind((0.1, 0.25), 127, 0.25, 0.8, 0.6, (0.2, 0.6)),
    "reverse": Kind((0.12, 0.3), 137, 0.2, 0.9, 0.45, (0.15, 0.5)),
}


@dataclass(frozen=True)
class Ground:
    """Where a game is played. Colours are RGB, 0-255.

    `mown` is the contrast of the stripes in the grass, 0 to 1, and `slant` their slope; `sun` goes from 0, even
    floodlight, to 1, hard shadows.
    """

    grass: Colour
    mown: float
    slant: float
    sun: float
    boards: tuple[Colour, ...]
    crowd: tuple[Colour, ...]


@dataclass(frozen=True)
class Camera:
    """What all crops of one frame have in common.

    `height` is that of the crop of a standing player, in pixels; `gains` are the white balance; `gamma`, `contrast` and
    `haze` (grey levels added) the exposure; `blur` and `smear` (motion, sideways) radii in pixels at a crop height of
    128; `noise` in grey levels; `quality` that of a JPEG, 0 to 100; `light` comes from the left (-1) or the right (1).
    """

    kind: str
    elevation: float
    height: float
    gains: tuple[float, float, float]
    gamma: float
    contrast: float
    haze: float
    blur: float
    smear: float
    noise: float
    quality: int
    light: float


def draw_ground(random: Random, shirts: Sequence[Colour]) -> Ground:
    """Return the ground of a game; some of the crowd wear the colours `shirts`."""
    return Ground(
        grass=random.choice(GRASS),
        mown=random.uniform(0.05, 0.15),
        slant=random.uniform(-0.8, 0.8),
        sun=max(0.0, random.uniform(-0.5, 1.0)),
        boards=tuple(random.sample(BOARDS, 3)),
        crowd=COATS + tuple(shirts),
    )


def draw_camera(random: Random, name: str) -> Camera:
    """Return a camera of a kind named in `KINDS`, with light and colours of its own."""
    kind = KINDS[name]
    warm, tint = random.gauss(0, 0.07), random.gauss(0, 0.04)
    return Camera(
        kind=name,
        elevation=random.uniform(*kind.elevation),
        height=kind.height * exp(random.gauss(0, kind.spread)),
        gains=(1 + warm, 1 + tint, 1 - warm),
        gamma=exp(random.gauss(0, 0.22)),
        contrast=random.uniform(0.75, 1.1),
        haze=max(0.0, random.gauss(4, 10)),
        blur=kind.blur * exp(random.gauss(0, 0.4)),
        smear=max(0.0, random.gauss(0.2, 1.0)) if name != "main" else 0.0,
        noise=random.uniform(1.0, 6.0),
        quality=random.choice((30, 45, 60, 80)),
        light=random.choice((-1.0, 1.0)),
    )


def draw_backdrop(
    size: tuple[int, int], ground: Ground, camera: Camera, random: Random, noise: np.random.Generator
) -> Image.Image:
    """Return what lies behind a player, (width, height) in pixels: grass, lines, boards and crowd."""
    width, height = size
    texture = noise.normal(1.0, 0.05, (height // 3 + 1, width // 3 + 1, 1))
    grass = np.asarray(ground.grass) * random.uniform(0.85, 1.12) * texture
    image = Image.fromarray(np.clip(grass, 0, 255).astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image, "RGBA")
    slant, wide = ground.slant * height, random.uniform(0.5, 1.6) * width
    start, tone = random.uniform(-1.5, 0.5) * wide, random.choice((0, 255))
    for left in (start, start + 2 * wide):
        stripe = [(left, 0), (left + wide, 0), (left + wide + slant, height), (left + slant, height)]
        draw.polygon(stripe, fill=(tone, tone, tone, int(255 * ground.mown)))
    if random.random() < 0.3:
        x, y = random.uniform(0, width), random.uniform(0.5, 1) * height
        angle = random.choice((0.05, -0.1, 0.6, 1.3, 2.0))
        dx, dy = 2 * height * cos(angle), 2 * height * sin(angle)
        draw.line((x - dx, y - dy, x + dx, y + dy), fill=(240, 244, 236, 200), width=max(1, round(0.018 * height)))
    kind = KINDS[camera.kind]
    if random.random() < kind.stand:
        draw_stand(image, random.uniform(*kind.foot), ground, random, noise)
    return image


def draw_stand(image: Image.Image, foot: float, ground: Ground, random: Random, noise: np.random.Generator) -> None:
    """Draw advertising boards whose lower edge is at `foot` (share of the height), and the crowd over them."""
    width, height = image.size
    bottom = int(foot * height)
    top = max(0, bottom - int(random.uniform(0.16, 0.3) * height))
    if top > 1:
        image.paste(draw_crowd((width, top), max(4.0, height / 18), ground, noise), (0, 0))
    draw = ImageDraw.Draw(image, "RGBA")
    edge = random.uniform(-1, 1) * width
    for i, colour in enumerate(ground.boards):
        left = edge + (i - 0.5) * 1.3 * width
        draw.rectangle((left, top, left + 1.3 * width, bottom), fill=colour)
        ink = (255, 255, 255, 220) if sum(colour) < 400 else (*ground.boards[(i + 1) % 3], 220)
        x, middle, tall = left + 0.1 * width, (top + bottom) / 2, (bottom - top) * 0.3
        while x < left + 1.2 * width:  # letters too soft to read
            step = random.uniform(0.025, 0.065) * height
            draw.rectangle((x, middle - tall, x + step * 0.6, middle + tall * random.choice((1, 1, 0.2))), fill=ink)
            x += step
    draw.rectangle((0, bottom, width, bottom + max(1, height // 60)), fill=(0, 0, 0, 70))


def draw_crowd(size: tuple[int, int], seat: float, ground: Ground, noise: np.random.Generator) -> Image.Image:
    """Return a crowd out of focus, (width, height) in pixels: a head over each coat, rows `seat` pixels apart."""
    rows, columns = int(size[1] / seat) + 1, int(size[0] / (0.8 * seat)) + 1
    coats = np.asarray(ground.crowd, np.float64)[noise.integers(len(ground.crowd), size=(rows, columns))]
    grey = coats.mean(axis=-1, keepdims=True)
    coats = (0.55 * coats + 0.45 * grey) * noise.uniform(0.3, 0.75, (rows, columns, 1))
    faces = np.asarray(SKINS, np.float64)[noise.integers(len(SKINS), size=(rows, columns))]
    lines = np.stack([faces * 0.6, coats, coats * 0.8], axis=1).reshape(3 * rows, columns, 3)
    return Image.fromarray(lines.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)


def draw_shadow(brush: Brush, bones: Skeleton, ground: Ground, toward: float) -> None:
    """Draw the shadow of a body on the grass.

    Args:
        brush: Image, view and scale to draw with.
        bones: The body, of which every limb is projected along the light.
        ground: Its sun makes shadows long and dark.
        toward: Where the shadow falls, in radians: 0 towards the camera, pi/2 to the right.
    """
    length, strength = 0.25 + 0.8 * ground.sun, int(60 + 70 * ground.sun)
    forward, left = length * cos(toward - brush.view.yaw), length * sin(toward - brush.view.yaw)
    mask = Image.new("L", brush.image.size)
    pen = ImageDraw.Draw(mask)

    def bar(points: Sequence[Point], thick: float) -> None:
        flat = [brush.at((point[0] + forward * point[2], point[1] + left * point[2], 0.0)) for point in points]
        pen.line(flat, fill=strength, width=max(1, int(thick * brush.scale)), joint="curve")

    for side in (0, 1):
        bar((bones.hips[side], bones.knees[side], bones.ankles[side], bones.toes[side]), 0.06)
        bar((bones.shoulders[side], bones.elbows[side], bones.hands[side]), 0.05)
    bar((bones.hip, bones.neck), 0.17)
    bar((bones.neck, bones.head), 0.09)
    brush.image.paste((8, 16, 10), mask=mask)


def expose(image: Image.Image, camera: Camera, noise: np.random.Generator) -> Image.Image:
    """Return the picture as the camera delivers it: soft, in its own light and white balance, noisy, compressed."""
    scale = max(0.6, image.height / 128)
    image = image.filter(ImageFilter.GaussianBlur(((camera.blur + camera.smear) * scale, camera.blur * scale)))
    level = np.arange(256) / 255 * np.asarray(camera.gains)[:, None]  # one table a channel
    tables = 255 * (0.45 + (level**camera.gamma - 0.45) * camera.contrast) + camera.haze
    image = image.point(np.clip(tables, 0, 255).astype(np.uint8).ravel().tolist())
    grain = noise.standard_normal((image.height, image.width, 3), np.float32) * np.float32(camera.noise)
    image = Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))
    memory = BytesIO()
    image.save(memory, "JPEG", quality=camera.quality)
    return Image.open(memory).convert("RGB")
