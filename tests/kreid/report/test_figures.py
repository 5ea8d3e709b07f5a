"""The report's figures and joined pictures, against naive computations."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from tiny_report import colour, make_ranking, picture

from kreid.data.records import find_records
from kreid.pictures.thumbnails import join
from kreid.ranking.figures import QueryFigures
from kreid.ranking.scores import average_precision
from kreid.report.figures import Group, by_role, by_size, closeness, hardest_first, histogram, score
from kreid.report.images import HEIGHTS, choose_height, collect
from tfrecords_tools.index import read_index

NAN = float("nan")


def scored(precision):
    """Figures with this average precision, NaN for a query without a match."""
    precision = np.asarray(precision)
    ones = np.ones(len(precision), int)
    return QueryFigures(np.arange(len(precision)), ones, ones, precision, (~np.isnan(precision)).astype(int))


def test_by_size_agrees_with_its_own_labels():
    rng = np.random.default_rng(0)
    size, precision = rng.integers(20, 300, 500), rng.random(500)
    precision[::9] = NAN
    groups = by_size(scored(precision), size, "height", step=10)
    assert len(groups) == 6
    covered = np.zeros(500, bool)
    for group in groups:
        low, high = map(int, group.label.split("–"))
        inside = (size >= low) & (size <= high)
        assert group.search == f"height:{low}-{high}"
        assert group.count == np.count_nonzero(inside & ~np.isnan(precision))
        assert group.mean == pytest.approx(np.nanmean(precision[inside]))
        assert not (covered & inside).any()
        covered |= inside
    assert covered[~np.isnan(precision)].all()


@pytest.mark.parametrize(
    "sizes, labels",
    [
        ([128, 128, 128], ["128"]),
        ([5], ["5"]),
        ([1, 1, 1, 1, 1, 1, 1, 9], ["1–9"]),
        ([1, 2, 3], ["1", "2", "3"]),
        ([83] + [84] * 36 + [95] * 26, ["83–94", "95"]),  # one query alone is no range
        ([83] + [84] * 36 + [85] * 26, ["83–85"]),  # alike
        ([10] * 9 + [11] * 9, ["10–11"]),
        ([10] * 9 + [12] * 9, ["10", "11–12"]),
    ],
)
def test_by_size_of_few_values(sizes, labels):
    groups = by_size(scored(np.full(len(sizes), 0.5)), np.array(sizes), "gallery")
    assert [group.label for group in groups] == labels
    assert sum(group.count for group in groups) == len(sizes)


def test_by_role_puts_rare_roles_together():
    role = np.array(["common"] * 5 + [f"rare_{n}" for n in range(9)] + ["unseen"])
    precision = np.array([0.2] * 5 + [n / 10 for n in range(9)] + [NAN])
    groups = by_role(scored(precision), role)
    assert len(groups) == 8
    assert groups[0] == Group("common", 'role:"common"', pytest.approx(0.2), 5)
    assert groups[1].label == "rare 0"
    assert groups[-1].label == "other roles"
    assert groups[-1].count == 3
    assert groups[-1].mean == pytest.approx(0.7)


def test_by_role_names_the_unknown():
    assert by_role(scored([0.5]), np.array([""])) == [Group("unknown", 'role:""', 0.5, 1)]


def test_histogram_counts_borders_upwards():
    groups = histogram(scored([0.0, 0.1, 0.3, 1 / 3, 0.7, 0.1 + 0.2, 1.0, NAN]))
    assert [group.count for group in groups] == [1, 1, 0, 3, 0, 0, 0, 1, 0, 1]
    assert sum(group.mean for group in groups) == pytest.approx(1)
    assert groups[3].search == "ap:30-40"


def test_hardest_first_without_labels_is_the_closest_call(tmp_path):
    ranking, _ = make_ranking(tmp_path, actions=((3, 6), (2, 1), (1, 0)), withheld=True)
    gap = closeness(ranking)
    naive = []
    for start, stop in zip(ranking.offsets, ranking.offsets[1:], strict=False):
        near = ranking.distance[start:stop]
        naive.append((near[1] - near[0]) / near[1] if len(near) > 1 else NAN)
    np.testing.assert_allclose(gap, naive)
    assert gap[hardest_first(ranking, None)][:3].tolist() == sorted(gap[:3])


def test_closeness_of_equal_images_is_zero():
    ranking = SimpleNamespace(
        sizes=np.array([2]), offsets=np.array([0, 2]), distance=np.zeros(2), __len__=lambda self: 1
    )
    ranking = type("Ranking", (), {**vars(ranking)})()
    assert closeness(ranking).tolist() == [0.0]


def test_hardest_first_breaks_ties_by_action_and_index(tmp_path):
    ranking, _ = make_ranking(tmp_path, actions=((3, 3), (2, 2)))
    order = hardest_first(ranking, scored([1.0, NAN, 0.5, 0.5, 0.1]))
    assert order.tolist() == [4, 2, 3, 0, 1]


def test_one_action_has_no_interval(tmp_path):
    ranking, _ = make_ranking(tmp_path, actions=((3, 6),))
    fields = {"role": np.array(["a"] * 3), "height": np.array([50, 60, 70])}
    scores = score(QueryFigures.of(ranking), fields)
    assert [one.low for one in scores.headline] == [None] * 3
    assert scores.headline[0].value == pytest.approx(average_precision(ranking).mean())


def test_join_puts_every_picture_where_its_box_says():
    sizes = [(40, 20), (90, 30), (200, 80), (30, 200), (1, 1)]
    encoded = [
        picture(number, *size, image_format="JPEG" if number % 2 else "PNG") for number, size in enumerate(sizes)
    ]
    sheet = join(encoded, 64, [""] * len(sizes))
    assert [box[2:] for box in sheet.boxes] == [(20, 40), (21, 64), (26, 64), (128, 19), (1, 1)]
    strip = Image.open(io.BytesIO(sheet.webp)).convert("RGB")
    for number, (x, y, width, height) in enumerate(sheet.boxes[:4]):
        middle = strip.getpixel((x + width // 2, y + height // 2))
        assert np.abs(np.subtract(middle, colour(number))).max() < 10, number


def test_join_goes_on_below_before_webp_ends():
    sheet = join([picture(number, 64, 120) for number in range(150)], 64, [""] * 150)
    strip = Image.open(io.BytesIO(sheet.webp)).convert("RGB")
    assert max(strip.size) < 16383
    assert len({box[:2] for box in sheet.boxes}) == 150
    for number in (0, 33, 34, 35, 149):
        x, y, width, height = sheet.boxes[number]
        middle = strip.getpixel((x + width // 2, y + height // 2))
        assert np.abs(np.subtract(middle, colour(number))).max() < 10, number


def test_join_refuses_more_than_a_webp_holds():
    with pytest.raises(ValueError, match="the first and 8,399 more: too many pictures"):
        join([picture(0, 128, 64)] * 8400, 128, ["the first"] * 8400)


def test_join_takes_grey_and_transparent_pictures():
    encoded = []
    for mode in ("L", "RGBA", "P", "LA", "I;16"):
        buffer = io.BytesIO()
        Image.new(mode, (20, 40)).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    assert len(join(encoded, 64, [""] * 5).boxes) == 5


def test_join_names_what_is_no_picture():
    with pytest.raises(ValueError, match="the third one: expected an image"):
        join([picture(0, 9, 9), picture(0, 9, 9), picture(0, 99, 99)[:60]], 64, ["", "", "the third one"])


def test_height_follows_the_budget(tmp_path):
    _, records = make_ranking(tmp_path, actions=((2, 6), (2, 4), (1, 3)))
    with read_index(records) as index:
        rows = np.arange(len(index))
        roomy, each = choose_height(index, rows, index.action, budget=1e9)
        tight, least = choose_height(index, rows, index.action, budget=0)
    assert (roomy, tight) == (HEIGHTS[0], HEIGHTS[-1])
    assert least <= each


def test_collect_shows_some_and_reads_all(tmp_path):
    ranking, records = make_ranking(tmp_path, actions=((2, 6), (2, 4), (1, 3)))
    with read_index(records) as index:
        rows = np.arange(len(index))
        shown = (index.action != 1) & (rows % 2 == 0)
        fields, sheets = collect(index, rows, shown, 64)
        assert find_records(ranking.images, index).tolist() == rows.tolist()
    assert [len(sheet.boxes) for sheet in sheets] == [np.count_nonzero(shown & (index.action == one)) for one in (0, 2)]
    assert fields["height"].tolist() == [40 + 10 * (row % 5) for row in rows]
    assert set(fields["game"]) == {"league/2015/A - B"}
