"""What the network sees in the pairs of a report: asked for in pairs, drawn as tiles with their names."""

import numpy as np
import pytest
from look_toy import sketch, toy
from tiny_report import colour, make_ranking

from kreid.look.pairs import Pair
from kreid.look.viewer import Seen, Viewer
from kreid.report import looks as look_report
from kreid.report.looks import pair_looks, spread, tiles


@pytest.fixture
def looked(tmp_path, monkeypatch):
    monkeypatch.setattr(look_report, "_PAIRS", 3)  # several portions
    ranking, records = make_ranking(tmp_path)
    asked = []
    drawn = look_report.tiles
    monkeypatch.setattr(look_report, "tiles", lambda images, *rest: asked.append(images) or drawn(images, *rest))
    pairs = np.stack([np.repeat(ranking.query, ranking.sizes), ranking.gallery], axis=1)[:7]
    looks = list(pair_looks(Viewer(toy((8, 4), fusion=sketch())), ranking, records, "A note.")(pairs))
    return ranking.images, pairs, asked, looks


def test_each_pair_is_looked_at_in_order(looked):
    images, pairs, asked, looks = looked
    assert len(looks) == len(asked) == 7
    for both, pair in zip(asked, pairs, strict=True):
        for image, row in zip(both, pair, strict=True):
            assert image.shape == (128, 64, 3)
            np.testing.assert_allclose(image.mean((0, 1)), colour(images.person[row]), atol=2)


def test_tiles_have_names(looked):
    for look in looked[3]:
        assert list(look.groups) == ["What makes them alike", "Activation", "Part maps"]
        captions = [caption for group in look.groups.values() for caption in group]
        assert look.picture.shape == (256, 64 * len(captions), 3)
        assert captions[0].startswith("all together\n+")
        assert [caption.split("\n")[0] for caption in captions[1:3]] == look.groups["Part maps"][:2]
        assert set(captions[1:3]) != {"nose", "left knee"}  # they come with a number
        assert look.groups["Activation"] == ["conv1"]
        assert look.note == "A note."


def test_without_parts_the_places_are_shown(looked):
    values = np.zeros((2, 4, 2, 1))
    values[1, 3, 1] = 0.5
    seen = [Seen({"conv5": np.eye(4, 2)}, None, None, np.ones(1), [])] * 2
    look = tiles(looked[2][0], seen, Pair(0.5, ("appearance",), values, np.zeros(2)), ())
    assert look.groups == {"What makes them alike": ["all together\n+0.500"], "Activation": ["conv5"]}
    alike = look.picture[:, :64].astype(int)
    orange = alike[..., 0] - alike[..., 2] > 60
    assert orange[128 + 100 :, 40:].mean() > 0.8  # the gallery picture's last row, right
    assert orange[:128].mean() < 0.5 * orange[228:].mean()


def test_layers_are_spread_from_the_first_to_the_last():
    assert spread(["conv1", "conv2", "conv3", "conv4", "conv5"], 3) == ["conv1", "conv3", "conv5"]
    assert spread(["conv1", "conv2"], 3) == ["conv1", "conv2"]
    assert spread(["conv1"], 3) == ["conv1"]
