"""Which files are read, and that their pixels are the same to Pillow and to TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from odd_images import NO_IMAGE, READ, REFUSED, encode, smooth, turned
from PIL import Image

from tfrecords_tools.formats import as_rgb, image_kind, open_image, orientation, read_whole


@pytest.mark.parametrize("name", READ)
def test_pixels_are_those_of_tensorflow(name):
    data = READ[name]
    assert image_kind(data) == name.split()[0].strip(",")
    expected = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    for image in (open_image(data), read_whole(data)):
        rgb = as_rgb(image)
        np.testing.assert_array_equal(np.asarray(rgb), expected)
        assert (rgb.mode, rgb.info) == ("RGB", {})


def test_of_several_pictures_the_first_counts():
    first = np.asarray(smooth())
    for name in ("PNG animated", "PNG animated, its own picture apart"):
        np.testing.assert_array_equal(np.asarray(as_rgb(open_image(READ[name]))), first)
    mpo = np.asarray(as_rgb(open_image(READ["JPEG with a second picture (MPO)"]))).astype(int)
    assert np.abs(mpo - first).mean() < np.abs(mpo - np.asarray(smooth(1))).mean() / 4


@pytest.mark.parametrize("name", REFUSED)
def test_another_format_is_named(name):
    for reader in (image_kind, open_image, read_whole):
        with pytest.raises(ValueError, match=f"^is a {name} image; only PNG and JPEG are read; convert it"):
            reader(REFUSED[name])


def test_what_is_no_image_is_quoted():
    with pytest.raises(ValueError, match=r"^is not an image \(b'<!DOCTYPE ht'\.\.\.\); only PNG and JPEG are read"):
        image_kind(NO_IMAGE["a page"])
    with pytest.raises(ValueError, match="^is empty; get it again"):
        image_kind(b"")


@pytest.mark.parametrize("number", range(1, 9))
def test_the_orientation_is_told_and_not_applied(number):
    image = open_image(turned(number))
    assert orientation(image) == number
    assert image.size == smooth().size
    np.testing.assert_array_equal(np.asarray(as_rgb(image)), np.asarray(Image.open(open_image(turned(1)).fp)))


@pytest.mark.parametrize(
    "exif", [b"", b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\x01"], ids=["none", "text", "cut"]
)
@pytest.mark.filterwarnings("ignore:.*EXIF")
def test_nonsense_for_an_orientation_is_none(exif):
    assert orientation(open_image(encode(smooth(), "JPEG", exif=exif))) == 1
    assert orientation(open_image(turned(9))) == 1


def test_a_damaged_header_is_told_without_the_names_of_objects():
    data = encode(smooth(), "PNG")
    with pytest.raises(ValueError, match=r"^is not a whole PNG or JPEG image \(its header is damaged\); replace it"):
        read_whole(data[:30])
