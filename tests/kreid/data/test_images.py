"""Image files become batches, or are refused in words before TensorFlow meets them."""

import numpy as np
import pytest
import tensorflow as tf
from odd_images import READ, REFUSED, turned

from kreid.data.images import check_images, decode_and_resize, file_batches, read_image
from tfrecords_tools.images import load_image


def write(folder, contents):
    paths = []
    for name, data in contents.items():
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    return paths


def test_every_kind_of_file_becomes_the_pixels_that_a_record_becomes(tmp_path):
    paths = write(tmp_path, {f"{number} \udce9.png": data for number, data in enumerate(READ.values())})  # not UTF-8
    check_images(paths)
    images = np.concatenate([batch.numpy() for batch in file_batches(paths, (12, 8), batch_size=5)])
    np.testing.assert_array_equal(images, [decode_and_resize(data, (12, 8)) for data in READ.values()])


def test_a_png_is_decoded_once_where_its_checksums_tell(tmp_path, monkeypatch):
    good = write(tmp_path, {"a.png": READ["PNG RGB"], "b.png": READ["PNG P"]})
    expected = [decode_and_resize(path.read_bytes(), (12, 8)) for path in good]
    monkeypatch.setattr("tfrecords_tools.images.read_whole", None)  # Pillow's
    np.testing.assert_array_equal(np.concatenate(list(file_batches(good, (12, 8)))), expected)
    monkeypatch.undo()
    data = READ["PNG RGB"]
    (bad,) = write(tmp_path, {"c.png": data[:45] + bytes([data[45] ^ 1]) + data[46:]})
    with pytest.raises(tf.errors.OpError):
        list(file_batches([bad], (12, 8)))


@pytest.mark.parametrize("name", REFUSED)
def test_another_format_is_refused_whatever_its_name(tmp_path, name):
    paths = write(tmp_path, {"a.jpg": READ["JPEG RGB"], "b.jpg": REFUSED[name]})
    for read in (check_images, lambda paths: [read_image(path) for path in paths]):
        with pytest.raises(ValueError, match=rf"b\.jpg: is a {name} image; only PNG and JPEG are read"):
            read(paths)
    with pytest.raises(tf.errors.OpError):
        list(file_batches(paths, (12, 8)))


def test_a_cut_jpeg_is_refused_before_a_decoder_speaks(tmp_path, capfd):
    (path,) = write(tmp_path, {"a.jpg": READ["JPEG RGB"][:-30]})
    for read in (read_image, lambda path: check_images([path])):
        with pytest.raises(ValueError, match=r"a\.jpg: is not a whole PNG or JPEG image"):
            read(path)
    with pytest.raises(tf.errors.OpError):
        list(file_batches([path], (12, 8)))
    assert "jpeg" not in capfd.readouterr().err.lower()


def test_what_tensorflow_alone_refuses_is_named(tmp_path):
    """A PNG whose last chunk claims to be long, which Pillow overlooks."""
    data = bytearray(READ["PNG P"])
    data[-12] = 108  # the first byte of its length
    (path,) = write(tmp_path, {"a.png": bytes(data)})
    load_image(path)
    with pytest.raises(tf.errors.OpError):
        list(file_batches([path], (12, 8)))
    for read in (read_image, lambda path: check_images([path])):
        with pytest.raises(ValueError, match=r"a\.png: is damaged so that training could not decode it"):
            read(path)


def test_turned_images_are_told_once(tmp_path, caplog):
    paths = write(tmp_path, {f"{number}.jpg": turned(number) for number in (1, 6, 8)})
    list(file_batches(paths, (12, 8)))
    assert [message[:35] for message in caplog.messages] == ["2 images have an EXIF orientation, "]
