from pathlib import Path

import pytest
import tensorflow as tf
from tiny_tree import make_image

from kreid.data.images import decode
from tfrecords_tools.decoding import Decoder
from tfrecords_tools.images import load_image

# The marker of a JPEG's end, one bit of it changed: Pillow has read all pixels by then.
NO_END = make_image(0, image_format="JPEG")[:-1] + b"\xdb"


@pytest.fixture(scope="module")
def decoder():
    return Decoder()


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_sound_image_passes(decoder, mode, image_format):
    decoder.check(Path("x"), make_image(0, mode=mode, image_format=image_format))


def test_damage_that_pillow_lets_pass_is_refused_in_a_line(decoder, tmp_path):
    (tmp_path / "x.png").write_bytes(NO_END)
    load_image(tmp_path / "x.png")
    with pytest.raises(ValueError, match=r"^a/x\.png: is damaged so that training could not decode it \(.*\); replace"):
        decoder.check(Path("a/x.png"), NO_END)


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 100, b"\xff\xd8\xff", NO_END, *(make_image(1, image_format=kind)[:-40] for kind in ("PNG", "JPEG"))],
)
def test_what_is_refused_is_what_training_refuses(decoder, data):
    with pytest.raises(tf.errors.OpError):
        decode(tf.constant(data))
    with pytest.raises(ValueError, match="x: is damaged so that training could not decode it"):
        decoder.check(Path("x"), data)
