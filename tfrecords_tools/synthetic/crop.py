"""Draws one bounding-box crop of a person: figure, neighbours, surroundings, camera."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, pi
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from tfrecords_tools.synthetic.figure import Brush, bounds, draw_figure
from tfrecords_tools.synthetic.pitch import Camera, Ground, draw_backdrop, draw_shadow, expose
from tfrecords_tools.synthetic.skeleton import POSES, Skeleton, View, build_skeleton, draw_pose
from tfrecords_tools.synthetic.squads import Person

HEIGHTS, WIDTHS = (40, 250), (20, 110)  # pixels
NEIGHBOUR = 0.3  # chance of another player in the crop
KEEPER_POSES = ("stand", "crouch", "shuffle", "point", "celebrate", "header", "kick")
OFFICIAL_POSES = ("stand", "walk", "jog", "run", "point", "hips")
POSES_OF = {
    "Player": (*POSES, "stand", "walk", "jog", "run"),
    "Goalkeeper": KEEPER_POSES,
    "Main": OFFICIAL_POSES,
    "Side": OFFICIAL_POSES,
}  # by the first word of the role

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Stance:
    """A person posed in front of a camera: `scale` pixels a body height, the zero of the body at pixel `origin`."""

    person: Person
    bones: Skeleton
    view: View
    scale: float
    origin: tuple[float, float]

    def brush(self, image: Image.Image, zoom: int, light: float) -> Brush:
        """Return what draws this person on an image `zoom` times as large as the crop."""
        return Brush(image, self.view, self.scale * zoom, (self.origin[0] * zoom, self.origin[1] * zoom), light)


def clip(value: float, limits: tuple[float, float]) -> float:
    """Return `value` held inside `limits`."""
    return min(limits[1], max(limits[0], value))


def frame_box(box: Box, camera: Camera, random: Random) -> tuple[Box, tuple[int, int]]:
    """Return the box as an annotator would draw it, in body heights, and its crop's size (width, height) in pixels.

    Args:
        box: The person, exactly: left, top, right, bottom.
        camera: Its `height` is that of the crop of somebody standing upright.
        random: Source of every choice.
    """
    left, right = box[0] - random.gauss(0.0, 0.015), box[2] + random.gauss(0.0, 0.015)
    top, bottom = box[1] - random.gauss(0.01, 0.015), box[3] + random.gauss(0.01, 0.015)
    if camera.kind == "close" and random.random() < 0.12:  # the picture ends above the feet
        bottom -= random.uniform(0.2, 0.45) * (bottom - top)
    aspect = (right - left) / (bottom - top)
    height = clip(camera.height * exp(random.gauss(0, 0.16)) * (bottom - top), HEIGHTS)
    height = round(clip(min(height, WIDTHS[1] / aspect), HEIGHTS))
    width = round(clip(height * aspect, WIDTHS))
    missing = (bottom - top) * width / height - (right - left)
    return (left - missing / 2, top, right + missing / 2, bottom), (width, height)


def pose_neighbour(person: Person, size: tuple[int, int], main: Stance, behind: bool, random: Random) -> Stance:
    """Return somebody beside `main`, behind or before: partly in the crop of `size` (width, height) pixels."""
    near = -1 if behind else 1
    right = random.choice((-1, 1)) * random.uniform(0.3, 0.6) * size[0] * (1 if behind else 1.3)
    down = near * random.uniform(0.03, 0.15) * size[1]
    return Stance(
        person,
        build_skeleton(person, draw_pose(random, tuple(POSES))),
        View(random.uniform(0, 2 * pi), main.view.elevation),
        main.scale * (1 + 0.05 * near),
        (main.origin[0] + right, main.origin[1] + down),
    )


def draw_crop(
    person: Person, neighbours: Sequence[Person], ground: Ground, camera: Camera, random: Random
) -> Image.Image:
    """Return the crop of one person: RGB, 40 to 250 pixels high and 20 to 110 wide.

    Pose, direction, neighbours and surroundings are new in every crop: two crops of a person share the person alone.

    Args:
        person: Who is shown.
        neighbours: Who may stand partly in the crop.
        ground: Where.
        camera: What took the picture.
        random: Source of every choice.
    """
    noise = np.random.default_rng(random.getrandbits(64))
    bones = build_skeleton(person, draw_pose(random, POSES_OF[person.role.partition("_")[0]]))
    view = View(random.uniform(0, 2 * pi), camera.elevation)
    (left, top, _, bottom), size = frame_box(bounds(person, bones, view), camera, random)
    scale = size[1] / (bottom - top)
    stances = [Stance(person, bones, view, scale, (-left * scale, -top * scale))]
    if neighbours and random.random() < NEIGHBOUR:
        behind = random.random() < 0.65
        other = pose_neighbour(random.choice(neighbours), size, stances[0], behind, random)
        stances.insert(0 if behind else 1, other)
    image = draw_backdrop(size, ground, camera, random, noise)
    toward = -camera.light * pi / 2 + random.uniform(-0.6, 0.6)
    for stance in stances:
        draw_shadow(stance.brush(image, 1, camera.light), stance.bones, ground, toward)
    zoom = 3 if size[1] < 80 else 2
    image = image.resize((size[0] * zoom, size[1] * zoom), Image.Resampling.BILINEAR)
    for stance in stances:
        draw_figure(stance.brush(image, zoom, camera.light), stance.person, stance.bones)
    if camera.kind == "goal" and random.random() < 0.3:
        draw_net(image, random)
    return expose(image.reduce(zoom), camera, noise)


def draw_net(image: Image.Image, random: Random) -> None:
    """Draw the meshes of a goal net in front of everything."""
    draw, ink, pen = ImageDraw.Draw(image, "RGBA"), (250, 250, 250, 90), max(1, image.height // 160)
    step, slant = random.uniform(0.06, 0.12) * image.height, random.uniform(-0.2, 0.2) * image.height
    for i in range(-4, int(image.height / step) + 4):
        draw.line((0, i * step, image.width, i * step + slant), fill=ink, width=pen)
        draw.line((i * step, 0, i * step - slant, image.height), fill=ink, width=pen)
