import io
import zlib

import numpy as np
import pytest
from odd_images import NO_IMAGE, READ, REFUSED
from PIL import Image, PngImagePlugin
from tiny_tree import make_image

from tfrecords_tools.formats import read_whole
from tfrecords_tools.images import load_image
from tfrecords_tools.png import SIGNATURE, plain_png


def part(kind, content=b""):
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def saved(mode, **options):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(60, dtype=np.uint8).reshape(10, 6)).convert(mode).save(buffer, "PNG", **options)
    return buffer.getvalue()


PNG = saved("RGB")
HEAD, PIXELS, END = PNG[8:33], PNG[33:-12], PNG[-12:]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_every_kind_of_pixel_is_known(mode):
    assert plain_png(saved(mode)) == (10, 6)


def test_a_file_of_many_parts_is_whole():
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "a")
    assert plain_png(saved("RGB", pnginfo=text, dpi=(72, 72), transparency=(1, 2, 3))) == (10, 6)
    assert plain_png(SIGNATURE + HEAD + part(b"IDAT", PIXELS[8:20]) + part(b"IDAT", PIXELS[20:-4]) + END) == (10, 6)


@pytest.mark.parametrize("data", [PNG, saved("P"), saved("1")], ids=["RGB", "P", "1"])
def test_no_byte_can_change_or_go_missing(data):
    for place in range(len(data)):
        for bit in range(8):
            assert plain_png(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]) is None, (place, bit)
        assert plain_png(data[:place]) is None
        assert plain_png(data[:place] + data[place + 1 :]) is None


@pytest.mark.parametrize(
    "parts",
    {
        "no_pixels": (HEAD, END),
        "no_end": (HEAD, PIXELS),
        "end_first": (HEAD, END, PIXELS),
        "two_heads": (HEAD, HEAD, PIXELS, END),
        "no_head": (PIXELS, END),
        "pixels_apart": (HEAD, part(b"IDAT", PIXELS[8:20]), part(b"tIME", bytes(7)), part(b"IDAT", PIXELS[20:-4]), END),
        "palette_missing": (part(b"IHDR", HEAD[8:17] + b"\3\0\0\0"), PIXELS, END),
        "palette_late": (part(b"IHDR", HEAD[8:17] + b"\3\0\0\0"), PIXELS, part(b"PLTE", bytes(9)), END),
        "no_width": (part(b"IHDR", bytes(4) + HEAD[12:-4]), PIXELS, END),
        "seven_bits": (part(b"IHDR", HEAD[8:16] + b"\7" + HEAD[17:-4]), PIXELS, END),
        "unknown": (HEAD, part(b"abCd"), PIXELS, END),
        "turned": (HEAD, part(b"eXIf", b"MM"), PIXELS, END),
        "turned_in_a_text": (HEAD, part(b"tEXt", b"Raw profile type exif\0"), PIXELS, END),
        "much_behind": (HEAD, PIXELS, END, bytes(5000)),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_what_is_odd_takes_a_closer_look(parts):
    assert plain_png(SIGNATURE + b"".join(parts[1])) is None


@pytest.mark.parametrize("data", [*READ.values(), *REFUSED.values(), *NO_IMAGE.values()])
def test_no_more_is_let_pass_than_by_decoding(data):
    size = plain_png(data)
    if size is not None:
        image = read_whole(data)
        assert (image.height, image.width) == size


def test_pixels_written_wrong_are_noticed_by_decoding_alone(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(SIGNATURE + HEAD + part(b"IDAT", PIXELS[8:20]) + END)
    assert load_image(path, pixels=False).height == 10
    with pytest.raises(ValueError, match="is not a whole PNG or JPEG image"):
        load_image(path)


@pytest.mark.parametrize(
    "how", [{"resize": (4, 4)}, {"image_format": "jpeg"}, {"image_format": "uncompressed"}], ids=str
)
def test_what_is_encoded_anew_is_decoded_anyhow(tmp_path, how):
    path = tmp_path / "a.png"
    path.write_bytes(make_image(1)[:-12])
    with pytest.raises(ValueError, match="is not a whole PNG or JPEG image"):
        load_image(path, pixels=False, **how)


def test_more_pixels_than_wanted_are_refused_by_the_head(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    with pytest.raises(ValueError, match=r"has 6 x 10 pixels, more than the 59 that are let pass"):
        load_image(path, pixels=False, max_pixels=59)
