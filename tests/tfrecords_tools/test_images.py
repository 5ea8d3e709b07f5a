import io
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from odd_images import NO_IMAGE, READ, REFUSED, turned
from PIL import Image, ImageFile
from tiny_tree import make_image

from tfrecords_tools import images
from tfrecords_tools.entry import Box
from tfrecords_tools.images import load_image, load_images


def save(tmp_path, data, name="a.png"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_original_bytes_are_kept(tmp_path, mode):
    data = make_image(0, mode=mode)
    loaded = load_image(save(tmp_path, data))
    assert (loaded.data, loaded.height, loaded.width) == (data, 12, 6)


def test_jpeg_under_a_png_name_is_an_image_too(tmp_path):
    data = make_image(0, image_format="JPEG")
    assert load_image(save(tmp_path, data)).data == data


def test_jpeg_with_a_preview_inside_is_a_jpeg(tmp_path):
    """Pillow gives the format of such a camera's file as MPO."""
    buffer = io.BytesIO()
    first, preview = (Image.open(io.BytesIO(make_image(number))).convert("RGB") for number in (0, 1))
    first.save(buffer, "MPO", save_all=True, append_images=[preview])
    path = save(tmp_path, buffer.getvalue())
    assert load_image(path).data == buffer.getvalue()
    resized = Image.open(io.BytesIO(load_image(path, resize=(4, 4)).data))
    assert (resized.format, resized.size) == ("JPEG", (4, 4))


@pytest.mark.parametrize("size", [(24, 12), (6, 3), (5, 9), (12, 6)])
def test_resize_is_pillows_bilinear(tmp_path, size):
    data = make_image(1)
    loaded = load_image(save(tmp_path, data), resize=size)
    expected = np.asarray(Image.open(io.BytesIO(data)).resize(size[::-1], Image.Resampling.BILINEAR))
    assert np.array_equal(pixels(loaded.data), expected)
    assert (loaded.height, loaded.width) == (12, 6)
    assert Image.open(io.BytesIO(loaded.data)).format == "PNG"


def test_shrinking_averages_the_pixels_that_fall_together(tmp_path):
    buffer = io.BytesIO()
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    Image.fromarray(stripes).save(buffer, "PNG")
    shrunk = pixels(load_image(save(tmp_path, buffer.getvalue()), resize=(2, 2)).data)
    assert np.abs(shrunk.astype(int) - 100).max() <= 15  # without antialiasing it would be 0 or 200 or an accident


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1"])
def test_resized_images_are_rgb(tmp_path, mode):
    loaded = load_image(save(tmp_path, make_image(2, mode=mode)), resize=(4, 4))
    assert pixels(loaded.data).shape == (4, 4, 3)


@pytest.mark.parametrize("source", ["PNG", "JPEG"])
@pytest.mark.parametrize("image_format", ["png", "jpeg"])
def test_format_is_changed_only_where_it_differs(tmp_path, source, image_format):
    data = make_image(3, height=40, width=40, image_format=source)
    stored = load_image(save(tmp_path, data), image_format=image_format).data
    assert Image.open(io.BytesIO(stored)).format == image_format.upper()
    assert (stored == data) is (image_format.upper() == source)
    if image_format == "png":
        assert np.array_equal(pixels(stored), pixels(data))


@pytest.mark.parametrize("source", ["PNG/RGB", "PNG/L", "PNG/P", "PNG/RGBA", "PNG/1", "JPEG/RGB", "JPEG/L"])
def test_uncompressed_png_has_the_same_pixels_to_every_reader(tmp_path, source):
    image_format, mode = source.split("/")
    # Over 65,535 bytes, which is as much as one stored block of a PNG holds.
    data = make_image(8, height=301, width=97, mode=mode, image_format=image_format)
    loaded = load_image(save(tmp_path, data), image_format="uncompressed")
    image = Image.open(io.BytesIO(loaded.data))
    image.verify()  # of every checksum
    assert (image.format, image.mode, loaded.height, loaded.width) == ("PNG", "RGB", 301, 97)
    original = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    assert np.array_equal(pixels(loaded.data), original)
    assert np.array_equal(tf.io.decode_jpeg(loaded.data, channels=3).numpy(), original)
    assert 0 < len(loaded.data) - 301 * (3 * 97 + 1) < 100


def test_uncompressed_png_of_another_size(tmp_path):
    path = save(tmp_path, make_image(5))
    stored = load_image(path, resize=(7, 9), image_format="uncompressed").data
    assert np.array_equal(pixels(stored), pixels(load_image(path, resize=(7, 9)).data))


def test_jpeg_has_quality_95(tmp_path):
    data = make_image(4, height=40, width=40)
    expected = io.BytesIO()
    Image.open(io.BytesIO(data)).save(expected, "JPEG", quality=95)
    assert load_image(save(tmp_path, data), image_format="jpeg").data == expected.getvalue()


def test_original_format_survives_a_resize(tmp_path):
    stored = load_image(save(tmp_path, make_image(5, image_format="JPEG")), resize=(4, 4)).data
    assert Image.open(io.BytesIO(stored)).format == "JPEG"


PNG = make_image(6, height=60, width=60)
JPEG = make_image(6, height=60, width=60, image_format="JPEG")


def flip(data, place):
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


BAD = {
    "signature_only": PNG[:8],
    "png_cut_in_the_header": PNG[:20],
    "png_cut_in_the_pixels": PNG[: len(PNG) // 2],
    "png_cut_before_the_last_row": PNG[:-40],
    "png_without_end": PNG[:-12],
    "png_end_cut": PNG[:-4],
    "png_damaged_pixels": flip(PNG, len(PNG) // 2),
    "png_damaged_checksum": flip(PNG, len(PNG) - 15),
    "png_damaged_size": flip(PNG, 17),
    "jpeg_cut": JPEG[: len(JPEG) // 2],
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_bad_image_is_named(tmp_path, data):
    path = save(tmp_path, data)
    with pytest.raises(ValueError, match="is not a whole PNG or JPEG image") as refused:
        load_image(path)
    assert str(refused.value).startswith(f"{path}: ")


def test_a_file_of_another_kind_is_named(tmp_path):
    for data, message in (
        (REFUSED["WEBP"], "is a WEBP image; only"),
        (NO_IMAGE["text"], "is not an image"),
        (b"", "is empty"),
    ):
        with pytest.raises(ValueError, match=rf"a\.png: {message}"):
            load_image(save(tmp_path, data))


@pytest.mark.parametrize("cut", range(1, 13))
def test_png_that_lacks_any_of_its_last_bytes(tmp_path, cut):
    with pytest.raises(ValueError, match="is not a whole PNG"):
        load_image(save(tmp_path, PNG[:-cut]))


@pytest.mark.parametrize("data", [PNG, JPEG], ids=["png", "jpeg"])
def test_bytes_behind_the_image_do_no_harm(tmp_path, data):
    assert load_image(save(tmp_path, data + b"junk")).data == data + b"junk"


@pytest.mark.parametrize("name", READ)
def test_every_kind_is_stored_as_training_sees_it(tmp_path, name):
    """Whatever the record's format, its pixels are those of the file; an orientation does not go along."""
    path = save(tmp_path, READ[name])
    expected = tf.io.decode_jpeg(READ[name], channels=3, dct_method="INTEGER_ACCURATE").numpy()
    assert load_image(path).data == READ[name]
    for resize, image_format in ((None, "uncompressed"), (expected.shape[:2], "png")):
        loaded = load_image(path, resize, image_format)
        assert (loaded.height, loaded.width) == expected.shape[:2]
        np.testing.assert_array_equal(tf.io.decode_jpeg(loaded.data, channels=3).numpy(), expected)
        assert Image.open(io.BytesIO(loaded.data)).getexif() == {}


def test_turned_images_are_counted_and_the_first_is_named(tmp_path, caplog):
    paths = [save(tmp_path, turned(number), f"{number}.jpg") for number in range(1, 9)]
    assert [image.orientation for image in load_images(paths)] == list(range(1, 9))
    (message,) = caplog.messages
    assert message.startswith("7 images have an EXIF orientation, which is not applied: ")
    assert message.endswith(f"{paths[1]} (orientation 2)")


def test_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30 * 30)
    with pytest.raises(ValueError, match=r"a\.png: is not a whole"):
        load_image(save(tmp_path, PNG))


def test_more_pixels_than_are_let_pass_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = save(tmp_path, PNG)
    height, width = load_image(path).height, load_image(path).width
    assert load_image(path, max_pixels=height * width).data == PNG
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=rf"a\.png: has {width} x {height} pixels, more than the .*; make it smaller"):
        load_image(path, max_pixels=height * width - 1)


def test_boxes_are_cut_out_and_each_frame_is_read_once(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "frame.png"
    Image.fromarray(pixels).save(path)
    reads = []
    boxes = [Box(2, 3, 4, 5), None, Box(-3, -2, 6, 8), Box(28, 17, 9, 9), Box(30, 0, 5, 5)]
    found = list(load_images([path] * 5, boxes=boxes, check=lambda path, data: reads.append(path), workers=3))
    assert len(reads) == 2  # the whole image, and the frame
    expected = [pixels[3:8, 2:6], pixels, pixels[:6, :3], pixels[17:, 28:]]
    for image, part in zip(found, expected, strict=False):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image.data))), part)
        assert (image.height, image.width) == part.shape[:2]
    assert str(found[4]) == (
        f"{path}: the box at x 30, y 0, 5 wide and 5 high, leaves nothing of the frame of 30 x 20 pixels; mend it, or "
        "leave it out"
    )


def test_a_frame_that_is_bad_fails_every_box_of_it(tmp_path):
    path = save(tmp_path, b"no image")
    found = list(load_images([path] * 3, boxes=[Box(0, 0, 1, 1)] * 3, workers=2))
    assert [str(one).startswith(f"{path}: is not an image") for one in found] == [True] * 3


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_image(tmp_path / "a.png")


def test_many_come_in_order_with_their_errors(tmp_path):
    paths = [save(tmp_path, b"" if number % 7 == 3 else make_image(number), f"{number}.png") for number in range(200)]
    paths.append(tmp_path / "missing.png")
    outcomes = list(load_images(paths, workers=3))
    assert len(outcomes) == 201
    for number, outcome in enumerate(outcomes[:200]):
        if number % 7 == 3:
            assert str(outcome).startswith(f"{paths[number]}: is empty")
        else:
            assert outcome.data == make_image(number)
    assert isinstance(outcomes[200], FileNotFoundError)


def test_no_images():
    assert list(load_images([])) == []


def test_only_a_bounded_number_is_read_ahead(monkeypatch):
    asked = []

    def slowly(path, *how):
        asked.append(path)
        return images.Encoded(b"", path, 1)

    monkeypatch.setattr(images, "load_image", slowly)
    stream = load_images(range(10_000), workers=2)
    assert next(stream).height == 0
    time.sleep(0.2)
    assert len(asked) <= 2 * 32 + 2
    stream.close()
    assert threading.active_count() < 20


def test_fault_of_the_program_is_not_kept_quiet(monkeypatch):
    def fail(path, *how):
        raise KeyError("bug")

    monkeypatch.setattr(images, "load_image", fail)
    with pytest.raises(KeyError, match="bug"):
        list(load_images([1]))


def test_who_leaves_early_waits_for_no_thread(tmp_path):
    """As the garbage collector does, in whatever thread: waiting there for others has hung a whole program."""
    quick, slow = save(tmp_path, make_image(0)), save(tmp_path, make_image(1), "slow.png")
    go_on = threading.Event()

    def check(path, data):
        assert path == quick or go_on.wait(60)

    found = load_images([quick] * images._LOT + [slow] * 100, check=check, workers=1)
    next(found)
    leaving = threading.Thread(target=found.close, daemon=True)
    leaving.start()
    leaving.join(5)
    has_left = not leaving.is_alive()
    go_on.set()
    assert has_left
