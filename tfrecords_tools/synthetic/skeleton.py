"""How a person stands: poses, the skeleton in three dimensions and the view of a camera on it.

Lengths are in body heights of an average player. The body's own axes are forward, left and up; a view turns them into
image right, image down and depth towards the camera.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, pi, radians, sin
from random import Random

from tfrecords_tools.synthetic.squads import Person

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, forward positive: `lean` of the trunk, then pairs (left, right).

    `thighs` and `arms` swing from hanging down, `knees` and `elbows` bend, `spread` opens the legs and `lift` the arms
    sideways, `turn` turns the head to the left.
    """

    lean: float
    thighs: tuple[float, float]
    knees: tuple[float, float]
    arms: tuple[float, float]
    elbows: tuple[float, float]
    spread: tuple[float, float] = (4, 4)
    lift: tuple[float, float] = (10, 10)
    turn: float = 0


# Left leg forward where the sides differ; `draw_pose` swaps sides and adds jitter.
POSES: dict[str, Pose] = {
    "stand": Pose(2, (3, -3), (2, 4), (0, 4), (12, 14), (6, 6), (9, 9)),
    "walk": Pose(4, (22, -16), (8, 18), (-18, 18), (18, 24), (3, 3), (8, 8)),
    "jog": Pose(10, (38, -14), (42, 52), (-34, 28), (74, 82), (3, 3), (12, 12)),
    "run": Pose(16, (58, -28), (64, 46), (-52, 44), (84, 92), (2, 2), (12, 12)),
    "stride": Pose(14, (40, -40), (12, 66), (-44, 50), (70, 86), (3, 3), (14, 14)),
    "kick": Pose(-6, (58, -10), (14, 16), (-42, 26), (24, 30), (8, 10), (38, 48)),
    "shuffle": Pose(14, (24, 12), (34, 28), (14, 10), (50, 56), (24, 22), (26, 26)),
    "crouch": Pose(34, (62, 56), (84, 76), (34, 38), (40, 42), (20, 20), (22, 22)),
    "celebrate": Pose(-4, (8, -6), (6, 8), (20, 14), (14, 16), (8, 8), (142, 150)),
    "hips": Pose(2, (3, -2), (3, 4), (-14, -14), (72, 72), (8, 8), (34, 34)),
    "point": Pose(4, (10, -8), (6, 10), (78, -6), (6, 18), (5, 5), (16, 10)),
    "header": Pose(-8, (6, -16), (28, 60), (40, 20), (50, 60), (8, 8), (58, 64)),
}


def draw_pose(random: Random, names: Sequence[str]) -> Pose:
    """Return one of the named poses with the sides swapped half of the time and a few degrees of jitter."""
    pose = POSES[random.choice(names)]
    step = random.choice((1, -1))

    def pair(angles: tuple[float, float], jitter: float) -> tuple[float, float]:
        left, right = angles[::step]
        return left + random.gauss(0, jitter), right + random.gauss(0, jitter)

    def bent(angles: tuple[float, float], jitter: float) -> tuple[float, float]:
        left, right = pair(angles, jitter)
        return max(0.0, left), max(0.0, right)

    return Pose(
        lean=pose.lean + random.gauss(0, 4),
        thighs=pair(pose.thighs, 6),
        knees=bent(pose.knees, 6),
        arms=pair(pose.arms, 8),
        elbows=bent(pose.elbows, 8),
        spread=pair(pose.spread, 2),
        lift=pair(pose.lift, 5),
        turn=random.gauss(0, 22),
    )


@dataclass(frozen=True)
class Skeleton:
    """Joints as (forward, left, up); pairs are (left, right). The lower foot stands on up = 0."""

    hip: Point
    neck: Point
    head: Point
    turn: float
    shoulders: tuple[Point, Point]
    elbows: tuple[Point, Point]
    hands: tuple[Point, Point]
    hips: tuple[Point, Point]
    knees: tuple[Point, Point]
    ankles: tuple[Point, Point]
    toes: tuple[Point, Point]


def along(start: Point, length: float, swing: float, out: float) -> Point:
    """Return the end of a bone hanging from `start`, swung forward and opened to the left by radians."""
    return (
        start[0] + length * sin(swing) * cos(out),
        start[1] + length * sin(out),
        start[2] - length * cos(swing) * cos(out),
    )


def mix(first: Point, second: Point, share: float) -> Point:
    """Return the point `share` of the way from `first` to `second`."""
    (x, y, z), (u, v, w) = first, second
    return x + (u - x) * share, y + (v - y) * share, z + (w - z) * share


def build_skeleton(person: Person, pose: Pose) -> Skeleton:
    """Return the joints of a person in a pose."""
    lean, width, legs = radians(pose.lean), 0.6 + 0.4 * person.girth, person.legs
    hip: Point = (0.0, 0.0, 0.0)
    neck = along(hip, -0.325, -lean, 0.0)
    head = along(neck, -0.104, -0.6 * lean, 0.0)
    joints: dict[str, list[Point]] = {name: [] for name in ("shoulder", "elbow", "hand", "hip", "knee", "ankle", "toe")}
    for side, sign in enumerate((1, -1)):
        top = along(neck, 0.03, -lean, 0.0)
        shoulder = (top[0], sign * 0.106 * width, top[2])
        arm, out = radians(pose.arms[side]), sign * radians(pose.lift[side])
        elbow = along(shoulder, 0.165, arm, out)
        bend = radians(pose.elbows[side])
        hand = along(elbow, 0.165, arm + bend, out * max(0.0, 1 - bend / 2))  # a bent arm folds in front of the body
        joint = (0.0, sign * 0.052 * width, -0.01)
        thigh, open_ = radians(pose.thighs[side]), sign * radians(pose.spread[side])
        knee = along(joint, 0.245 * legs, thigh, open_)
        ankle = along(knee, 0.235 * legs, thigh - radians(pose.knees[side]), open_)
        foot = 0.5 * (thigh - radians(pose.knees[side]))
        toe = along(ankle, 0.105, pi / 2 - 0.35 + foot, 0.25 * sign)
        for name, point in zip(joints, (shoulder, elbow, hand, joint, knee, ankle, toe), strict=True):
            joints[name].append(point)
    ground = min(point[2] for point in joints["ankle"] + joints["toe"]) - 0.025

    def lift(point: Point) -> Point:
        return point[0], point[1], point[2] - ground

    pairs = {name: (lift(left), lift(right)) for name, (left, right) in joints.items()}
    return Skeleton(
        lift(hip),
        lift(neck),
        lift(head),
        radians(pose.turn),
        pairs["shoulder"],
        pairs["elbow"],
        pairs["hand"],
        pairs["hip"],
        pairs["knee"],
        pairs["ankle"],
        pairs["toe"],
    )


class View:
    """A camera on one body, without perspective.

    Args:
        yaw: Direction of the body in radians: 0 faces the camera, pi/2 runs to the right of the picture.
        elevation: How far the camera looks down, in radians.
    """

    def __init__(self, yaw: float, elevation: float) -> None:
        self.yaw, self.elevation = yaw, elevation
        self._turn, self._tilt = (sin(yaw), cos(yaw)), (sin(elevation), cos(elevation))

    def __call__(self, point: Point) -> Point:
        """Return (right, down, towards the camera) of a body point."""
        forward, left, up = point
        (turn_sin, turn_cos), (tilt_sin, tilt_cos) = self._turn, self._tilt
        near = forward * turn_cos - left * turn_sin
        return forward * turn_sin + left * turn_cos, near * tilt_sin - up * tilt_cos, near * tilt_cos + up * tilt_sin
