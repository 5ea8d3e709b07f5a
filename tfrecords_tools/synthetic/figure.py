"""Draws one person as seen by a camera: trunk, limbs and head of the skeleton, and what the person wears on top."""

from bisect import bisect_left
from collections.abc import Sequence
from math import atan2, ceil, cos, floor, pi, sin
from typing import NamedTuple

from PIL import Image, ImageDraw

from tfrecords_tools.synthetic.skeleton import Point, Skeleton, View, mix
from tfrecords_tools.synthetic.squads import Colour, Person, shade

Pixel = tuple[float, float]

# Trunk from the crotch to the neck: height along the spine, half width, half depth.
TRUNK = (
    (-0.16, 0.070, 0.062),
    (0.02, 0.088, 0.070),
    (0.30, 0.080, 0.064),
    (0.70, 0.102, 0.070),
    (0.90, 0.118, 0.062),
    (1.00, 0.100, 0.046),
    (1.07, 0.036, 0.036),
)
EYES = (40, 30, 28)
LEVELS = [level for level, _, _ in TRUNK]
# Digits as strokes in a box of width and height 1, top left (0, 0).
DIGITS = (
    ((0, 0), (1, 0), (1, 1), (0, 1), (0, 0)),
    ((0.2, 0.2), (0.6, 0), (0.6, 1)),
    ((0, 0), (1, 0), (1, 0.5), (0, 0.5), (0, 1), (1, 1)),
    ((0, 0), (1, 0), (1, 0.5), (0.3, 0.5), (1, 0.5), (1, 1), (0, 1)),
    ((0, 0), (0, 0.55), (1, 0.55), (1, 0), (1, 1)),
    ((1, 0), (0, 0), (0, 0.45), (1, 0.45), (1, 1), (0, 1)),
    ((1, 0), (0, 0), (0, 1), (1, 1), (1, 0.5), (0, 0.5)),
    ((0, 0), (1, 0), (0.4, 1)),
    ((0, 0.5), (0, 0), (1, 0), (1, 1), (0, 1), (0, 0.5), (1, 0.5)),
    ((1, 0.5), (0, 0.5), (0, 0), (1, 0), (1, 1), (0, 1)),
)


class Brush:
    """Draws body points through a view onto an image: pixel = origin + scale * (right, down).

    Args:
        image: RGB, drawn onto.
        view: Of the body.
        scale: Pixels a body height.
        origin: Pixel of the body's zero.
        light: -1 when the light comes from the left, 1 from the right.
    """

    def __init__(self, image: Image.Image, view: View, scale: float, origin: Pixel, light: float = -1.0) -> None:
        self.image, self.draw = image, ImageDraw.Draw(image)
        self.view, self.scale, self.origin, self.light = view, scale, origin, light

    def at(self, point: Point) -> Pixel:
        """Return the pixel of a body point."""
        right, down, _ = self.view(point)
        return self.origin[0] + self.scale * right, self.origin[1] + self.scale * down

    def disc(self, centre: Pixel, wide: float, high: float, colour: Colour) -> None:
        """Fill an ellipse; radii in pixels."""
        x, y = centre
        self.draw.ellipse((x - wide, y - high, x + wide, y + high), fill=colour)

    def taper(self, first: Pixel, second: Pixel, thick: float, thin: float, colour: Colour) -> None:
        """Fill a round-ended bar from `first` to `second`, `thick` and `thin` being its radii in pixels."""
        (x0, y0), (x1, y1) = first, second
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        if length > 0.5:
            nx, ny = (y0 - y1) / length, (x1 - x0) / length
            self.draw.polygon(
                [
                    (x0 + nx * thick, y0 + ny * thick),
                    (x1 + nx * thin, y1 + ny * thin),
                    (x1 - nx * thin, y1 - ny * thin),
                    (x0 - nx * thick, y0 - ny * thick),
                ],
                fill=colour,
            )
        self.disc(first, thick, thick, colour)
        self.disc(second, thin, thin, colour)

    def limb(self, first: Point, second: Point, thick: float, thin: float, colour: Colour) -> None:
        """Draw a limb with radii in body heights: dark, then the lit side on top."""
        start, end = self.at(first), self.at(second)
        thick, thin, shift = thick * self.scale, thin * self.scale, self.light * 0.2
        self.taper(start, end, thick, thin, shade(colour, 0.68))
        start, end = (start[0] + shift * thick, start[1]), (end[0] + shift * thin, end[1])
        self.taper(start, end, thick * 0.8, thin * 0.8, colour)

    def patch(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon of body points; nothing if there are none."""
        if points:
            self.draw.polygon([self.at(point) for point in points], fill=colour)

    def veil(self, points: Sequence[Point], strength: int) -> None:
        """Darken a polygon of body points; `strength` 0 to 255."""
        ImageDraw.Draw(self.image, "RGBA").polygon([self.at(point) for point in points], fill=(0, 0, 0, strength))


class Trunk:
    """The surface of a person's trunk: an elliptic tube around the spine, seen by one view.

    Angles go round the tube: 0 front, pi/2 left, pi back.
    """

    def __init__(self, person: Person, bones: Skeleton, view: View) -> None:
        self.bones, self.girth = bones, person.girth
        self.edge = atan2(0.1 * cos(view.yaw), 0.066 * sin(view.yaw))  # the visible half is edge - pi .. edge

    def __call__(self, height: float, angle: float, swell: float = 1.0) -> Point:
        """Return the surface point at a height along the spine (0 hip, 1 neck) and an angle round it."""
        above = min(max(1, bisect_left(LEVELS, height)), len(TRUNK) - 1)
        (low, width, depth), (high, wider, deeper) = TRUNK[above - 1], TRUNK[above]
        share, swell = (height - low) / (high - low), swell * self.girth
        forward = (depth + (deeper - depth) * share) * cos(angle) * swell
        left = (width + (wider - width) * share) * sin(angle) * swell
        centre = self.bones.hip
        if height > 0:
            centre = mix(centre, self.bones.neck, height)
        else:  # below the hip the trunk hangs down, however far it leans above
            centre = (centre[0], centre[1], centre[2] + 0.325 * height)
        return centre[0] + forward, centre[1] + left, centre[2]

    def band(self, start: float, end: float, low: float, high: float, swell: float = 1.0) -> list[Point]:
        """Return the outline of the visible part of a patch between two angles and two heights; empty when hidden."""
        middle = self.edge - pi / 2
        turn = 2 * pi * round((middle - (start + end) / 2) / (2 * pi))
        start, end = max(start + turn, self.edge - pi), min(end + turn, self.edge)
        if end - start < 0.05:
            return []
        heights = [low, *(level for level in LEVELS if low < level < high), high]
        right = [self(height, end, swell) for height in heights]
        left = [self(height, start, swell) for height in reversed(heights)]
        return right + left

    def faces(self, angle: float) -> bool:
        """Return whether the surface at an angle looks towards the camera."""
        return cos(angle - self.edge + pi / 2) > 0.25


def draw_shirt(brush: Brush, trunk: Trunk, person: Person) -> None:
    """Draw the shirt on the trunk: colour, pattern, shade, number on the back and on the chest."""
    kit, start, end = person.kit, trunk.edge - pi, trunk.edge
    brush.patch(trunk.band(start, end, -0.06, 1.04), kit.shirt)
    for patch in find_pattern(trunk, kit.pattern):
        brush.patch(patch, kit.second)
    dark = (start, start + 0.9) if brush.light > 0 else (end - 0.9, end)
    brush.veil(trunk.band(*dark, -0.06, 1.0), 60)
    brush.veil(trunk.band(start, end, -0.1, -0.06), 90)  # below the hem, where shirt and shorts may be of one colour
    if person.number:
        back, chest = Number(pi, 0.86, 0.46, 1.5, 0.013), Number(0.5, 0.74, 0.2, 0.6, 0.007)
        for place in (back, chest):
            draw_number(brush, trunk, person.number, kit.figures, place)


def find_pattern(trunk: Trunk, pattern: str) -> list[list[Point]]:
    """Return the outlines of the parts of a shirt in its second colour, as far as they can be seen."""
    start, end, low, high = trunk.edge - pi, trunk.edge, -0.06, 1.0
    if pattern in ("stripes", "pinstripes"):
        step, share = (pi / 4, 0.5) if pattern == "stripes" else (pi / 6, 0.2)
        places = range(floor(start / step) - 1, ceil(end / step) + 1)
        return [trunk.band(i * step, (i + share) * step, low, high) for i in places]
    if pattern == "hoops":
        return [trunk.band(start, end, 0.05 + 0.34 * i, 0.21 + 0.34 * i) for i in range(3)]
    if pattern == "halves":
        return [trunk.band(0, pi, low, high)]
    if pattern == "sash":
        return [trunk.band(-1.1 + 0.44 * i, -0.5 + 0.44 * i, 0.8 - 0.2 * i, 1.0 - 0.2 * i) for i in range(5)]
    return []


class Number(NamedTuple):
    """Where a number stands on the trunk: `angle` of its middle, `top` and height `high` along the spine.

    `span` is its width in radians, `pen` half the width of its stroke in body heights.
    """

    angle: float
    top: float
    high: float
    span: float
    pen: float


def draw_number(brush: Brush, trunk: Trunk, number: int, colour: Colour, place: Number) -> None:
    """Draw a number of one or two digits on the trunk, if its place faces the camera."""
    if not trunk.faces(place.angle):
        return
    digits = [int(digit) for digit in str(number)]
    wide = place.span * 0.42
    start = place.angle - (place.span if len(digits) == 2 else wide) / 2
    for i, digit in enumerate(digits):
        left = start + i * (place.span - wide)
        points = [brush.at(trunk(place.top - v * place.high, left + u * wide, 1.02)) for u, v in DIGITS[digit]]
        brush.draw.line(points, fill=colour, width=max(1, round(2 * place.pen * brush.scale)), joint="curve")


def draw_leg(brush: Brush, person: Person, bones: Skeleton, side: int) -> None:
    """Draw one leg: thigh, tights, shorts, calf, sock and boot."""
    kit, girth = person.kit, 0.4 + 0.6 * person.girth
    hip, knee, ankle, toe = bones.hips[side], bones.knees[side], bones.ankles[side], bones.toes[side]
    brush.limb(knee, ankle, 0.034 * girth, 0.019, person.skin)
    sock = mix(knee, ankle, 0.1 + 0.9 * person.sock)
    brush.limb(sock, ankle, (0.037 - 0.012 * person.sock) * girth, 0.024, kit.socks)
    if person.sock < 0.5:
        brush.limb(sock, mix(sock, ankle, 0.1), 0.036 * girth, 0.036 * girth, kit.trim)
    if person.tape and person.sock < 0.5:
        brush.limb(mix(knee, ankle, 0.84), mix(knee, ankle, 0.92), 0.027, 0.027, person.tape)
    heel = mix(ankle, toe, -0.22)
    brush.limb(mix(ankle, heel, 0.5), toe, 0.029, 0.022, person.boots)
    brush.limb(hip, knee, 0.056 * girth, 0.035 * girth, person.skin)
    if person.tights:
        brush.limb(hip, mix(hip, knee, 0.88), 0.058 * girth, 0.041 * girth, person.tights)
    hem = mix(hip, knee, 0.62)
    brush.limb(hip, hem, 0.063 * girth, 0.06 * girth, kit.shorts)


def draw_arm(brush: Brush, person: Person, bones: Skeleton, side: int) -> None:
    """Draw one arm: sleeve or skin, base layer, wrist tape, gloves, the captain's armband on the left."""
    kit, girth = person.kit, 0.4 + 0.6 * person.girth
    shoulder, elbow, hand = bones.shoulders[side], bones.elbows[side], bones.hands[side]
    lower = kit.shirt if person.long_sleeves else person.under_sleeves or person.skin
    brush.limb(elbow, hand, 0.026 * girth, 0.02, lower)
    brush.limb(shoulder, elbow, 0.034 * girth, 0.027 * girth, lower)
    palm = mix(elbow, hand, 1.12)
    brush.limb(hand, palm, 0.021, 0.019, person.gloves or person.skin)
    if person.gloves and person.role.startswith("Goalkeeper"):
        brush.limb(hand, palm, 0.03, 0.03, person.gloves)
    if person.tape:
        brush.limb(mix(elbow, hand, 0.78), mix(elbow, hand, 0.92), 0.024, 0.024, person.tape)
    sleeve = kit.second if kit.pattern == "halves" and side == 0 else kit.shirt
    cuff = mix(shoulder, elbow, 0.72)
    if not person.long_sleeves:
        brush.limb(mix(shoulder, elbow, 0.66), cuff, 0.038 * girth, 0.038 * girth, kit.trim)
    brush.limb(shoulder, mix(shoulder, elbow, 0.62), 0.04 * girth, 0.038 * girth, sleeve)
    if person.armband and side == 0:
        brush.limb(mix(shoulder, elbow, 0.4), mix(shoulder, elbow, 0.58), 0.042 * girth, 0.041 * girth, person.armband)


def draw_head(brush: Brush, person: Person, bones: Skeleton) -> None:
    """Draw neck, hair in its style, and as much of the face as is turned to the camera."""
    side, front = sin(brush.view.yaw - bones.turn), cos(brush.view.yaw - bones.turn)
    (x, y), wide, high = brush.at(bones.head), 0.050 * brush.scale, 0.066 * brush.scale
    skin, hair, dark = person.skin, person.hair_colour, shade(person.skin, 0.75)
    brush.limb(mix(bones.neck, bones.head, -0.1), mix(bones.neck, bones.head, 0.6), 0.036, 0.032, dark)
    if person.hair == "long":
        top, tips = (x - side * wide * 0.4, y - high * 0.2), (x - side * wide * 0.9, y + high * 1.15)
        brush.taper(top, tips, wide * 1.12, wide * 0.8, hair)
    elif person.hair == "tail" and front < 0.6:
        top, tips = (x - side * wide, y - high * 0.5), (x - side * wide * 1.7, y + high * 0.9)
        brush.taper(top, tips, wide * 0.45, wide * 0.25, hair)
    elif person.hair == "bun":
        brush.disc((x - side * wide * 0.5, y - high * 1.15), wide * 0.55, wide * 0.5, hair)
    elif person.hair == "quiff":
        brush.disc((x + side * wide * 0.5, y - high * 0.9), wide * 0.55, wide * 0.5, hair)
    swell = {"afro": 1.4, "buzz": 1.0, "bald": 1.0}.get(person.hair, 1.08)
    stubble = ((skin[0] + hair[0]) // 2, (skin[1] + hair[1]) // 2, (skin[2] + hair[2]) // 2)
    crown = {"bald": skin, "buzz": stubble}.get(person.hair, hair)
    brush.disc((x, y - high * (swell - 1) * 0.8), wide * swell, high * swell, crown)
    if front < -0.3:  # the nape shows below the hair
        brush.disc((x, y + high * 0.7), wide * 0.62, high * 0.36, dark)
    else:
        draw_face(brush, person, (x, y), side, front)
    if person.headband:
        line, pen = y - high * 0.3, max(2, int(high * 0.26))
        brush.draw.line([(x - wide * 1.02, line), (x + wide * 1.02, line)], fill=person.headband, width=pen)


def draw_face(brush: Brush, person: Person, centre: Pixel, side: float, front: float) -> None:
    """Draw the face on the head at `centre`; `side` and `front` say how far it looks to the right and at the camera."""
    (x, y), wide, high = centre, 0.050 * brush.scale, 0.066 * brush.scale
    face = min(0.9, 0.62 + 0.3 * max(0.0, front))
    x += side * wide * (0.96 - face)
    brush.disc((x, y + high * 0.2), wide * face, high * 0.8, person.skin)
    if person.beard:
        brush.disc((x, y + high * 0.62), wide * face * 0.86, high * 0.4, person.hair_colour)
        mouth = (x + side * wide * 0.2, y + high * 0.5)
        brush.disc(mouth, wide * 0.3, high * 0.12, shade(person.skin, 0.8))
    for eye in (-0.36, 0.36):
        if front > 0.1 or eye * side > 0:
            place = (x + wide * (eye * max(front, 0.3) + 0.25 * side), y + high * 0.12)
            brush.disc(place, wide * 0.1, high * 0.06, EYES)


def draw_figure(brush: Brush, person: Person, bones: Skeleton) -> None:
    """Draw a person, far parts first.

    Args:
        brush: Image, view and scale to draw with.
        person: Traits and kit.
        bones: Joints, from `build_skeleton`.
    """
    trunk = Trunk(person, bones, brush.view)

    def depth(point: Point) -> float:
        return brush.view(point)[2]

    far, near = sorted((0, 1), key=lambda side: depth(bones.shoulders[side]))
    draw_arm(brush, person, bones, far)
    for side in (far, near):
        draw_leg(brush, person, bones, side)
    brush.patch(trunk.band(trunk.edge - pi, trunk.edge, -0.16, 0.2, 1.05), person.kit.shorts)
    if depth(bones.hands[near]) < depth(bones.hip) - 0.05:
        draw_arm(brush, person, bones, near)
        draw_shirt(brush, trunk, person)
    else:
        draw_shirt(brush, trunk, person)
        draw_arm(brush, person, bones, near)
    draw_head(brush, person, bones)


def bounds(person: Person, bones: Skeleton, view: View) -> tuple[float, float, float, float]:
    """Return the box (left, top, right, bottom) of a figure in body heights, as `View` places it."""
    wide = 0.045 * person.girth
    reach = [(point, wide) for pair in (bones.shoulders, bones.elbows, bones.knees, bones.hips) for point in pair]
    reach += [(point, 0.03) for pair in (bones.hands, bones.toes, bones.ankles) for point in pair]
    reach.append((bones.head, 0.075))
    flat = [(*view(point)[:2], radius) for point, radius in reach]
    return (
        min(x - r for x, _, r in flat),
        min(y - r for _, y, r in flat),
        max(x + r for x, _, r in flat),
        max(y + r for _, y, r in flat),
    )
