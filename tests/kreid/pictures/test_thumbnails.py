"""Thumbnails show what a network sees, of every kind of PNG and JPEG, and nothing turns them."""

import io

import numpy as np
import pytest
from odd_images import READ, REFUSED, SIZE
from PIL import Image

from kreid.data.images import decode
from kreid.pictures.thumbnails import join, shrink, webp


@pytest.mark.parametrize("name", READ)
def test_a_thumbnail_shows_the_pixels_of_the_network(name):
    small = shrink(READ[name], SIZE[1], name)  # not smaller than it is
    np.testing.assert_array_equal(np.asarray(small), decode(READ[name]).numpy())


@pytest.mark.parametrize("number", range(1, 9))
def test_no_browser_turns_it(number):
    data = READ[f"JPEG, orientation {number}"]
    for written in (webp(shrink(data, 12, "x")), join([data, data], 12, ["x", "y"]).webp):
        image = Image.open(io.BytesIO(written))
        assert not image.getexif()
        assert "exif" not in image.info
        assert b"EXIF" not in written


def test_another_format_is_named():
    with pytest.raises(ValueError, match="^crop 3: expected an image, .*is a GIF image; only PNG and JPEG are read"):
        shrink(REFUSED["GIF"], 12, "crop 3")
