"""Pictures of what a network sees: ordered colours, maps over their place, every map with its name."""

import numpy as np
import pytest
from look_toy import sketch, toy

from kreid.look import sheets as look_pictures
from kreid.look.sheets import by_part, image_picture, make_view, pair_picture
from kreid.look.viewer import Viewer
from kreid.pictures.colours import enlarge, lay_over, lay_over_signed, scale, signed

GREY = np.full((40, 20, 3), 120, np.uint8)


def lightness(colours):
    """CIE L*, 0 to 100, of sRGB colours."""
    linear = np.where(colours / 255 <= 0.04045, colours / 255 / 12.92, ((colours / 255 + 0.055) / 1.055) ** 2.4)
    return 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16


def test_more_is_lighter_by_even_steps():
    steps = np.diff(lightness(scale(np.linspace(0, 1, 21))))
    assert steps.min() > 2
    assert steps.max() < 2.5 * steps.min()
    np.testing.assert_array_equal(scale([-1, 2]), scale([0, 1]))


def test_signs_are_orange_and_blue():
    takes, adds = signed([-0.1, 0.1]).astype(int)
    assert adds[0] - adds[2] > 100
    assert takes[2] - takes[0] > 100


def test_enlarged_cells_stay_at_their_place():
    values = np.zeros((4, 2), np.float32)
    values[2, 1] = 1
    large = enlarge(values, (40, 20))
    assert large.shape == (40, 20)
    assert np.unravel_index(large.argmax(), large.shape) == pytest.approx((24.5, 17), abs=3)  # of rows 20-29, 10-19
    assert large[25, 15] == pytest.approx(1, abs=0.06)
    assert large[5].max() == large[25, 2] == 0
    assert large.mean() == pytest.approx(values.mean())


def test_maps_colour_the_pixels_of_their_cell():
    values = np.zeros((4, 2))
    values[2, 1] = 1
    drawn = lay_over(GREY, values)
    assert drawn.dtype == np.uint8
    bright = lightness(drawn)
    assert bright[22:28, 15:].min() > bright[:10].max() + 20
    drawn = lay_over_signed(GREY, -values).astype(int)
    assert (drawn[22:28, 15:, 2] - drawn[22:28, 15:, 0]).min() > 60
    assert (drawn[:10] == 90).all()  # nothing but the darkened image


def seen_pair(size=(8, 4)):
    rng = np.random.default_rng(0)
    viewer = Viewer(toy(size, fusion=sketch()))
    pixels = rng.integers(0, 255, (2, 30, 16, 3)).astype(np.uint8)
    views = [make_view(name, one, size) for name, one in zip(("one.png", "two.png"), pixels, strict=True)]
    return viewer, views, viewer.see(rng.normal(size=(2, *size, 3)))


@pytest.fixture
def captions(monkeypatch):
    written = []
    caption = look_pictures._caption
    monkeypatch.setattr(look_pictures, "_caption", lambda *args: written.append(args[0]) or caption(*args))
    return written


def test_every_map_of_an_image_has_its_name(captions):
    viewer, views, seen = seen_pair()
    picture = image_picture(views[0], seen[0], viewer.parts)
    assert captions == ["image", "conv1", *viewer.parts]
    assert picture.width < 1000
    assert image_picture(views[0], seen[0], viewer.parts, "A note.").height > picture.height
    captions.clear()
    image_picture(views[0], seen[0]._replace(parts=None), ())
    assert captions == ["image", "conv1"]


def test_a_pair_shows_its_strongest_parts(captions):
    viewer, views, seen = seen_pair()
    pair = viewer.compare(*seen)
    pair_picture(views, pair)
    order = [pair.parts[number] for number, _ in by_part(pair)]
    assert captions == ["A", "all together", "B", "all together", *order[:9]]
    assert set(order[:2]) == {"nose", "left knee"}
    shares = [share for _, share in by_part(pair)]
    assert sum(shares) == pytest.approx(pair.similarity, abs=1e-5)
    captions.clear()
    one = pair._replace(parts=("appearance",), values=pair.values.sum(-1, keepdims=True), rest=np.array([0.1, 0.1]))
    pair_picture(views, one)
    assert captions == ["A", "all together", "B", "all together"]


@pytest.mark.parametrize("size, height", [((256, 128), 264), ((32, 32), 132), ((8, 1000), 33), ((1000, 8), 528)])
def test_views_have_the_shape_that_the_network_sees(size, height):
    for pixels in (np.zeros((1, 1, 3), np.uint8), np.full((300, 7, 3), 255, np.uint8)):
        view = make_view("x", pixels, size)
        assert view.large.shape == (height, 132, 3)
        assert view.small.shape[1] == 84
        assert (view.large == pixels[0, 0]).all()


def test_flat_maps_and_long_names_can_be_drawn():
    viewer, views, _ = seen_pair()
    first, second = viewer.see(np.zeros((2, 8, 4, 3)))
    views = [view._replace(name="ü名" * 200) for view in views]
    pair = viewer.compare(first, second)
    assert pair.similarity == 0
    assert image_picture(views[0], first, viewer.parts).width < 1000
    assert pair_picture(views, pair).width < 1000
