"""Random changes of training images: each does what its keys say, as often as they say, and as its seed says."""

import numpy as np
import pytest
import tensorflow as tf
from configurations import EVERYTHING

from kreid.config.sections import Data
from kreid.data.augmentation import augment

MEAN = np.array([123.675, 116.28, 103.53], np.float32)
LUMA = np.array([0.299, 0.587, 0.114])
NOISE = np.random.default_rng(0).uniform(60, 160, (16, 8, 3)).astype("float32")  # no change clips these


def drawn(image, count=300, seed=7, **keys):
    """`count` changed copies of an image: (count, height, width, 3)."""
    config = Data(**{"flip": 0.0, **keys})
    dataset = tf.data.Dataset.range(count).map(lambda draw: augment(tf.constant(image), tf.stack([seed, draw]), config))
    return dataset.batch(count).get_single_element().numpy()


def luma_and_chroma(images):
    """(..., 1) luma and (..., 2) colour about grey; any two axes do that are 0 for grey."""
    luma = images @ LUMA[:, None]
    yiq = np.array([[0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
    return luma, images @ yiq.T


def assert_uniform(values, low, high):
    """Between the two, and with the mean and the spread of a uniform draw, within five standard errors."""
    values = (np.asarray(values) - low) / (high - low)
    assert values.min() >= -1e-3
    assert values.max() <= 1 + 1e-3
    assert abs(values.mean() - 0.5) < 5 * np.sqrt(1 / 12 / len(values))
    assert abs(values.std() - np.sqrt(1 / 12)) < 5 * np.sqrt(1 / 80 / len(values))


def test_everything_but_the_flip_is_off_by_default():
    np.testing.assert_array_equal(drawn(NOISE, 20), np.stack([NOISE] * 20))
    images = drawn(NOISE, 20, flip=0.5)
    assert {(np.array_equal(one, NOISE), np.array_equal(one, NOISE[:, ::-1])) for one in images} == {
        (True, False),
        (False, True),
    }


def test_flip_follows_its_probability_and_its_seed():
    flipped = (drawn(NOISE, 1000, flip=0.3) != NOISE).any(axis=(1, 2, 3))
    assert abs(flipped.mean() - 0.3) < 5 * np.sqrt(0.21 / 1000)
    np.testing.assert_array_equal(drawn(NOISE, 9, flip=1.0), np.stack([NOISE[:, ::-1]] * 9))
    # Recorded: a run of an older version is repeated only if the same draws flip.
    assert "".join("01"[int(one)] for one in flipped[:24]) == "011000001000011010000000"


def test_crop_shifts_by_whole_pixels_uniformly():
    padded = np.tile(MEAN, (20, 12, 1))
    padded[2:18, 2:10] = NOISE
    expected = {(top, left): padded[top : top + 16, left : left + 8] for top in range(5) for left in range(5)}
    places = []
    for image in drawn(NOISE, 1000, crop_padding=2):
        fitting = [place for place, crop in expected.items() if np.array_equal(image, crop)]
        assert len(fitting) == 1
        places += fitting
    counts = np.unique(places, axis=0, return_counts=True)[1]
    assert len(counts) == 25
    assert ((counts - 40) ** 2 / 40).sum() < 51.2, "chi-square of 24 degrees of freedom, one in a thousand"


def rectangles(images, image):
    """Top, left, height, width of what differs from `image`; all of it must have the mean colour and no gap."""
    boxes = []
    for one in images:
        erased = (one != image).all(axis=-1)
        rows, columns = np.flatnonzero(erased.any(axis=1)), np.flatnonzero(erased.any(axis=0))
        box = rows[0], columns[0], len(rows), len(columns)
        assert erased.sum() == box[2] * box[3]
        assert (one[erased] == MEAN).all()
        np.testing.assert_array_equal(one[~erased], image[~erased])
        boxes.append(box)
    return np.array(boxes).T


def test_erased_rectangles_have_the_area_and_aspect_asked_for():
    image = np.full((128, 64, 3), 7, np.float32)
    top, left, height, width = rectangles(drawn(image, 500, erase=1.0), image)
    rounding = (height + width + 1) / 2 / (128 * 64)  # each side is up to half a pixel off
    area = height * width / (128 * 64)
    assert (area >= 0.02 - rounding).all()
    assert (area <= 0.4 + rounding).all()
    assert abs(area.mean() - 0.21) < 5 * 0.38 / np.sqrt(12 * 500)
    assert ((height + 0.5) / (width - 0.5) >= 0.3).all()
    assert ((height - 0.5) / (width + 0.5) <= 1 / 0.3).all()
    small = area < 0.15  # whose aspect the image does not bound
    assert_uniform(np.log(height / width)[small], np.log(0.27), -np.log(0.27))
    assert_uniform((top + 0.5) / (128 - height + 1), 0, 1)
    assert_uniform(((left + 0.5) / (64 - width + 1))[width < 50], 0, 1)


def test_erase_follows_its_probability():
    changed = (drawn(NOISE, 1000, erase=0.5) != NOISE).any(axis=(1, 2, 3))
    assert abs(changed.mean() - 0.5) < 5 * np.sqrt(0.25 / 1000)


@pytest.mark.parametrize("shape", [(8, 64, 3), (64, 8, 3), (3, 3, 3)])
def test_rectangles_fit_images_of_any_shape(shape):
    image = np.full(shape, 7, np.float32)
    _, _, height, width = rectangles(drawn(image, 100, erase=1.0, erase_area=[0.3, 0.8], erase_aspect=0.9), image)
    rounding = (height + width + 1) / 2
    assert (np.abs(height * width - 0.55 * shape[0] * shape[1]) <= 0.25 * shape[0] * shape[1] + rounding).all()
    np.testing.assert_array_equal(drawn(image, 2, erase=1.0, erase_area=[1, 1])[0], np.tile(MEAN, (*shape[:2], 1)))


def test_brightness_multiplies():
    factors = drawn(NOISE, brightness=0.2) / NOISE
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-4
    assert_uniform(factors[:, 0, 0, 0], 0.8, 1.2)


def test_contrast_scales_the_distance_to_the_mean_grey():
    grey = (NOISE @ LUMA).mean()
    factors = (drawn(NOISE, contrast=0.4) - grey) / (NOISE - grey)
    assert np.ptp(factors[:, np.abs(NOISE - grey) > 5], axis=1).max() < 1e-3
    assert_uniform(np.median(factors, axis=(1, 2, 3)), 0.6, 1.4)


def test_saturation_scales_colour_and_keeps_grey():
    luma, chroma = luma_and_chroma(NOISE)
    changed_luma, changed_chroma = luma_and_chroma(drawn(NOISE, saturation=0.5))
    np.testing.assert_allclose(changed_luma, np.stack([luma] * 300), atol=1e-3)
    factors = (changed_chroma * chroma).sum(axis=(1, 2, 3)) / (chroma**2).sum()
    np.testing.assert_allclose(changed_chroma, factors[:, None, None, None] * chroma, atol=1e-3)
    assert_uniform(factors, 0.5, 1.5)


def test_hue_turns_colour_and_keeps_its_strength_and_grey():
    luma, chroma = luma_and_chroma(NOISE)
    changed_luma, changed_chroma = luma_and_chroma(drawn(NOISE, hue=0.2))
    np.testing.assert_allclose(changed_luma, np.stack([luma] * 300), atol=1e-3)
    before, after = chroma @ [1, 1j], changed_chroma @ [1, 1j]
    turns = np.angle((after * before.conj()).sum(axis=(1, 2))) / (2 * np.pi)
    np.testing.assert_allclose(after, np.exp(2j * np.pi * turns)[:, None, None] * before, atol=1e-3)
    assert_uniform(turns, -0.2, 0.2)


def test_values_stay_in_range():
    image = np.random.default_rng(0).choice([0.0, 255.0], (16, 8, 3)).astype("float32")
    images = drawn(image, 100, hue=0.5, saturation=1.0, contrast=1.0, brightness=1.0)
    assert images.min() == 0
    assert images.max() == 255


def test_the_seed_decides_every_pixel():
    images = drawn(NOISE, 50, flip=0.5, **EVERYTHING)
    np.testing.assert_array_equal(images, drawn(NOISE, 50, flip=0.5, **EVERYTHING))
    assert len(np.unique(images, axis=0)) == 50
    assert not any(np.array_equal(*pair) for pair in zip(images, drawn(NOISE, 50, seed=8, **EVERYTHING), strict=True))


def test_changes_draw_independently():
    """Another change switched on leaves a change's draws as they were, and which images it takes says nothing of it."""
    crops, both = drawn(NOISE, crop_padding=2), drawn(NOISE, crop_padding=2, erase=0.5)
    erased = (crops != both).any(axis=(1, 2, 3))
    assert 100 < erased.sum() < 200
    flipped = (drawn(NOISE, flip=0.5) != NOISE).any(axis=(1, 2, 3))
    shifted = crops[:, 0, 0, 0] == MEAN[0]
    for one, other in ((flipped, erased), (flipped, shifted), (shifted, erased)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(300)
