"""The figure and its picture: hand-worked geometry, every trait visible, cameras that change what they say."""

from dataclasses import replace
from math import dist, pi, radians
from random import Random

import numpy as np
import pytest
from PIL import Image

from tfrecords_tools.synthetic.crop import HEIGHTS, POSES_OF, WIDTHS, draw_crop, frame_box
from tfrecords_tools.synthetic.figure import DIGITS, Brush, Trunk, bounds, draw_figure
from tfrecords_tools.synthetic.pitch import KINDS, Camera, Ground, draw_backdrop, draw_camera, draw_ground, draw_shadow
from tfrecords_tools.synthetic.pitch import expose as expose_picture
from tfrecords_tools.synthetic.skeleton import POSES, View, build_skeleton, draw_pose
from tfrecords_tools.synthetic.squads import HAIR_STYLES, PATTERNS, Kit, Person

RED, BLUE, GREEN, KEY = (220, 20, 20), (20, 20, 220), (20, 200, 20), (255, 0, 255)
KIT = Kit("plain", RED, BLUE, (255, 255, 255), GREEN, (240, 240, 0), (0, 240, 240))
PERSON = Person(
    role="Player_team_left",
    number=18,
    kit=KIT,
    skin=(206, 152, 112),
    hair="short",
    hair_colour=(30, 20, 20),
    beard=False,
    boots=(24, 24, 26),
    sock=0.06,
    long_sleeves=False,
    under_sleeves=None,
    tights=None,
    tape=None,
    gloves=None,
    headband=None,
    armband=None,
    girth=1.0,
    legs=1.0,
)
CAMERA = Camera("main", 0.3, 120, (1, 1, 1), 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 95, -1.0)
GROUND = Ground((80, 130, 60), 0.1, 0.2, 0.5, (RED, BLUE, GREEN), (RED, BLUE))


def paint(person=PERSON, yaw=0.0, pose="stand", scale=200, elevation=0.1, light=-1.0):
    """The figure on a background of a colour nobody wears, its zero at (200, 260) of 400 x 300 pixels."""
    image = Image.new("RGB", (400, 300), KEY)
    brush = Brush(image, View(yaw, elevation), scale, (200, 260), light)
    draw_figure(brush, person, build_skeleton(person, POSES[pose]))
    return np.asarray(image).astype(int)


def share(picture, colour):
    """Share of pixels of exactly a colour."""
    return float((picture == np.asarray(colour)).all(axis=-1).mean())


# === Skeleton and view ===


@pytest.mark.parametrize("name", list(POSES))
def test_bones_keep_their_length_and_the_lower_foot_stands(name):
    person = replace(PERSON, legs=1.1)
    bones = build_skeleton(person, POSES[name])
    for side in (0, 1):
        assert dist(bones.hips[side], bones.knees[side]) == pytest.approx(0.245 * 1.1)
        assert dist(bones.knees[side], bones.ankles[side]) == pytest.approx(0.235 * 1.1)
        assert dist(bones.shoulders[side], bones.elbows[side]) == pytest.approx(0.165)
        assert dist(bones.elbows[side], bones.hands[side]) == pytest.approx(0.165)
    assert dist(bones.hip, bones.neck) == pytest.approx(0.325)
    assert min(point[2] for point in bones.ankles + bones.toes) == pytest.approx(0.025)
    assert bones.head[2] > bones.neck[2] > bones.hip[2]


def test_standing_upright_is_about_one_body_height():
    bones = build_skeleton(PERSON, POSES["stand"])
    left, top, right, bottom = bounds(PERSON, bones, View(0.0, 0.0))
    assert bottom - top == pytest.approx(1.0, abs=0.06)
    assert 0.25 < right - left < 0.5


def test_limbs_swing_the_way_the_pose_says():
    bones = build_skeleton(PERSON, POSES["kick"])  # left leg forward, left arm back
    forward, left, _ = zip(*bones.knees, strict=True)
    assert forward[0] > 0.15
    assert forward[0] > forward[1]
    assert left[0] > 0 > left[1]
    assert bones.elbows[0][0] < bones.shoulders[0][0]
    lifted = build_skeleton(PERSON, POSES["celebrate"])
    assert all(hand[2] > lifted.head[2] for hand in lifted.hands)


@pytest.mark.parametrize(
    "yaw, point, expected",
    [
        (0.0, (1, 0, 0), (0, 0, 1)),  # forward is towards the camera
        (0.0, (0, 1, 0), (1, 0, 0)),  # the left hand of who faces us is on our right
        (pi / 2, (1, 0, 0), (1, 0, 0)),  # runs to the right
        (pi, (1, 0, 0), (0, 0, -1)),  # shows the back
        (1.234, (0, 0, 1), (0, -1, 0)),  # up is up
    ],
)
def test_view_from_the_side(yaw, point, expected):
    assert View(yaw, 0.0)(point) == pytest.approx(expected, abs=1e-12)


def test_view_from_above_moves_the_near_down():
    _, down, near = View(0.0, radians(30))((1, 0, 0))
    assert down == pytest.approx(0.5)
    assert near == pytest.approx(3**0.5 / 2)
    assert View(0.7, 0.4)((0.3, -0.2, 0.9)) == pytest.approx(View(0.7 + 2 * pi, 0.4)((0.3, -0.2, 0.9)))


def test_poses_swap_sides_and_vary():
    source = Random(0)
    poses = [draw_pose(source, ("kick",)) for _ in range(40)]
    kicking_left = [pose.thighs[0] > pose.thighs[1] for pose in poses]
    assert 8 < sum(kicking_left) < 32
    for pose, left in zip(poses, kicking_left, strict=True):
        assert (pose.arms[0] < pose.arms[1]) == left  # the opposite arm swings with the leg
    assert len({pose.lean for pose in poses}) == 40
    assert all(angle >= 0 for pose in poses for angle in pose.knees + pose.elbows)


# === Figure ===

TRAITS = {
    "number": 71,
    "skin": (70, 44, 32),
    "hair": "afro",
    "hair_colour": (240, 230, 190),
    "boots": (255, 84, 184),
    "sock": 0.62,
    "long_sleeves": True,
    "under_sleeves": (250, 250, 250),
    "tights": (250, 250, 250),
    "tape": (250, 250, 250),
    "gloves": (10, 10, 10),
    "headband": (250, 250, 250),
    "armband": (250, 250, 250),
    "girth": 1.25,
    "legs": 1.1,
}


SIDES = {"front": 0.0, "right": pi / 2, "back": pi, "left": -pi / 2}
HIDDEN = {("number", "right"), ("number", "left"), ("armband", "right")}


@pytest.mark.parametrize("trait, side", [(trait, side) for trait in TRAITS for side in SIDES])
def test_every_trait_shows_from_every_side(trait, side):
    yaw = SIDES[side]
    changed = paint(replace(PERSON, **{trait: TRAITS[trait]}), yaw) != paint(PERSON, yaw)
    assert (changed.any(axis=-1).sum() > 25) == ((trait, side) not in HIDDEN)


def test_a_beard_shows_in_front_only():
    bearded = replace(PERSON, beard=True)
    assert (paint(bearded, 0.0) != paint(PERSON, 0.0)).any()
    assert not (paint(bearded, pi) != paint(PERSON, pi)).any()


@pytest.mark.parametrize("hair", sorted(set(HAIR_STYLES)))
def test_hair_styles_differ(hair):
    looks = [paint(replace(PERSON, hair=other), 2.2) for other in sorted(set(HAIR_STYLES)) if other != hair]
    assert all((paint(replace(PERSON, hair=hair), 2.2) != other).any() for other in looks)


@pytest.mark.parametrize("pattern", sorted(set(PATTERNS)))
def test_patterns_show_the_second_colour_and_plain_does_not(pattern):
    for yaw in (0.0, pi):
        picture = paint(replace(PERSON, number=0, kit=replace(KIT, pattern=pattern)), yaw)
        assert (share(picture, BLUE) > 0.002) == (pattern != "plain" and (pattern, yaw) != ("sash", pi))
        assert share(picture, RED) > 0.002


def test_halves_are_the_left_and_the_right_of_the_wearer():
    halved = replace(PERSON, number=0, kit=replace(KIT, pattern="halves"))
    for yaw, red_is_left in ((0.0, True), (pi, False)):
        picture = paint(halved, yaw)
        columns = [np.flatnonzero((picture == colour).all(axis=-1).any(axis=0)).mean() for colour in (RED, BLUE)]
        assert (columns[0] < columns[1]) == red_is_left


def test_the_number_on_the_back_is_the_larger_and_reads_from_left_to_right():
    white = np.asarray(KIT.figures)
    back, chest, side = (paint(PERSON, yaw) for yaw in (pi, 0.0, pi / 2))
    assert share(back, white) > 2 * share(chest, white) > 0
    assert share(side, white) == 0
    columns = (back == white).all(axis=-1).sum(axis=0)
    used = np.flatnonzero(columns)
    middle = (used[0] + used[-1]) / 2
    assert columns[used[0] : int(middle)].sum() < columns[int(middle) + 1 :].sum()  # 1 has less ink than 8


def test_digits_are_ten_different_strokes_inside_their_box():
    assert len(set(DIGITS)) == 10
    assert all(0 <= value <= 1 for digit in DIGITS for point in digit for value in point)


def test_light_falls_on_the_side_it_comes_from():
    for light in (-1.0, 1.0):
        picture = paint(replace(PERSON, number=0), pi, light=light)
        dark = np.flatnonzero((picture == np.asarray(RED) * (255 - 60) // 255).all(axis=-1).any(axis=0))
        lit = np.flatnonzero((picture == RED).all(axis=-1).any(axis=0))
        assert (dark.mean() - lit.mean()) * -light > 0


@pytest.mark.parametrize("pose", list(POSES))
@pytest.mark.parametrize("yaw", [0.0, 0.8, 2.0, 3.1, 4.5])
def test_bounds_hold_the_figure_closely(pose, yaw):
    picture = paint(PERSON, yaw, pose)
    rows, columns = np.nonzero((picture != KEY).any(axis=-1))
    left, top, right, bottom = bounds(PERSON, build_skeleton(PERSON, POSES[pose]), View(yaw, 0.1))
    drawn = np.array([columns.min() - 200, rows.min() - 260, columns.max() - 200, rows.max() - 260]) / 200
    assert np.abs(drawn - [left, top, right, bottom]).max() < 0.05


def test_trunk_shows_one_half():
    for yaw in np.linspace(0, 2 * pi, 17):
        trunk = Trunk(PERSON, build_skeleton(PERSON, POSES["stand"]), View(yaw, 0.0))
        assert trunk.faces(0.0) == (np.cos(yaw) > 0) or abs(np.cos(yaw)) < 0.5
        assert trunk.faces(pi) == (np.cos(yaw) < 0) or abs(np.cos(yaw)) < 0.5
        front, back = trunk.band(-0.2, 0.2, 0.2, 0.8), trunk.band(pi - 0.2, pi + 0.2, 0.2, 0.8)
        assert bool(front) != bool(back) or abs(np.cos(yaw)) < 0.5


# === Surroundings and camera ===


def test_main_camera_sees_grass_and_a_low_one_the_crowd():
    def greens(kind):
        camera, ground = replace(CAMERA, kind=kind), replace(GROUND, boards=(BLUE, BLUE, BLUE))
        pictures = [
            np.asarray(draw_backdrop((60, 120), ground, camera, Random(i), np.random.default_rng(i)), float)
            for i in range(30)
        ]
        return np.mean([(picture[..., 1] > picture[..., 2] + 20).mean() for picture in pictures])

    assert greens("main") > 0.85
    assert greens("close") < 0.7


def test_shadow_only_darkens_and_grows_with_the_sun():
    areas = []
    for sun in (0.0, 1.0):
        image = Image.new("RGB", (300, 300), (90, 140, 70))
        bones = build_skeleton(PERSON, POSES["stand"])
        draw_shadow(Brush(image, View(0.3, 0.4), 100, (150, 200)), bones, replace(GROUND, sun=sun), pi / 2)
        picture = np.asarray(image).astype(int)
        assert (picture <= [90, 140, 70]).all()
        columns = np.flatnonzero((picture != [90, 140, 70]).any(axis=-1).any(axis=0))
        assert columns.mean() > 150  # it falls to the right
        areas.append(len(columns))
    assert areas[1] > 1.5 * areas[0] > 0


@pytest.fixture
def card():
    """Grey with a white square in the middle."""
    image = Image.new("RGB", (64, 128), (100, 100, 100))
    image.paste((200, 200, 200), (24, 52, 40, 76))
    return image


def expose(image, **changes):
    return np.asarray(expose_picture(image, replace(CAMERA, **changes), np.random.default_rng(0)), float)


def test_a_perfect_camera_changes_next_to_nothing(card):
    assert np.abs(expose(card) - np.asarray(card, float)).mean() < 1.5


def test_exposure_does_what_its_settings_say(card):
    plain = expose(card)
    warm = expose(card, gains=(1.2, 1.0, 0.8)).mean(axis=(0, 1)) - plain.mean(axis=(0, 1))
    assert warm[0] > 10
    assert abs(warm[1]) < 3
    assert warm[2] < -10
    assert expose(card, gamma=2.0).mean() < plain.mean() - 20
    assert expose(card, contrast=0.5).std() < 0.7 * plain.std()
    assert expose(card, haze=20.0).mean() == pytest.approx(plain.mean() + 20, abs=2)
    assert expose(card, noise=6.0)[:40].std() == pytest.approx(6, abs=1.5)


def test_motion_smears_sideways_and_defocus_both_ways(card):
    def edges(picture):
        return np.abs(np.diff(picture, axis=1)).max(), np.abs(np.diff(picture, axis=0)).max()

    across, down = edges(expose(card))
    smeared, blurred = edges(expose(card, smear=4.0)), edges(expose(card, blur=4.0))
    assert smeared[0] < 0.4 * across
    assert smeared[1] > 0.8 * down
    assert blurred[0] < 0.4 * across
    assert blurred[1] < 0.4 * down


@pytest.mark.parametrize("name", list(KINDS))
def test_cameras_of_a_kind_vary_around_it(name):
    cameras = [draw_camera(Random(seed), name) for seed in range(200)]
    assert np.median([camera.height for camera in cameras]) == pytest.approx(KINDS[name].height, rel=0.1)
    assert {camera.light for camera in cameras} == {-1.0, 1.0}
    assert max(camera.smear for camera in cameras) == 0 if name == "main" else True
    assert all(KINDS[name].elevation[0] <= camera.elevation <= KINDS[name].elevation[1] for camera in cameras)


def test_ground_takes_the_shirts_into_the_crowd():
    ground = draw_ground(Random(0), [KEY])
    assert KEY in ground.crowd
    assert len(set(ground.boards)) == 3


# === Crop ===


@pytest.mark.parametrize(
    "box, height",
    [
        ((-0.2, -1.0, 0.2, 0.0), 120),
        ((-0.05, -1.0, 0.05, 0.0), 30),  # both too small
        ((-0.6, -0.9, 0.6, 0.0), 240),  # too wide
        ((-0.1, -1.0, 0.1, 0.0), 900),  # too high
        ((-0.7, -0.4, 0.7, 0.0), 250),  # a slide
    ],
)
def test_box_and_size_have_one_shape_inside_the_limits(box, height):
    for seed in range(30):
        (left, top, right, bottom), size = frame_box(box, replace(CAMERA, height=height), Random(seed))
        assert WIDTHS[0] <= size[0] <= WIDTHS[1]
        assert HEIGHTS[0] <= size[1] <= HEIGHTS[1]
        assert (right - left) / (bottom - top) == pytest.approx(size[0] / size[1])
        assert (left + right) / 2 == pytest.approx((box[0] + box[2]) / 2, abs=0.06)


def test_same_choices_same_crop():
    one, same, other = (draw_crop(PERSON, [PERSON], GROUND, CAMERA, Random(seed)) for seed in (1, 1, 2))
    assert one.tobytes() == same.tobytes()
    assert (one.size, one.tobytes()) != (other.size, other.tobytes())


@pytest.mark.parametrize("role", ["Player_team_left", "Goalkeeper_team_right", "Main_referee", "Side_referee"])
@pytest.mark.parametrize("kind", list(KINDS))
def test_every_role_before_every_camera(role, kind):
    person = replace(PERSON, role=role, number=0 if "referee" in role else 1)
    assert set(POSES_OF[role.split("_")[0]]) <= set(POSES)
    for seed in range(8):
        picture = np.asarray(draw_crop(person, [], GROUND, replace(CAMERA, kind=kind), Random(seed)), float)
        middle = picture[len(picture) // 5 : len(picture) * 4 // 5]
        reds = (middle[..., 0] > 150) & (middle[..., 1:].max(axis=-1) < 90)
        assert reds.mean() > 0.03  # the shirt


def test_a_neighbour_covers_part_of_some_crops():
    blue = replace(PERSON, kit=replace(KIT, shirt=BLUE))
    shares = []
    for seed in range(60):
        picture = np.asarray(draw_crop(PERSON, [blue], replace(GROUND, crowd=(RED,)), CAMERA, Random(seed)), float)
        shares.append(((picture[..., 2] > 150) & (picture[..., :2].max(axis=-1) < 90)).mean())
    with_neighbour = np.mean(np.asarray(shares) > 0.01)
    assert 0.1 < with_neighbour < 0.5
