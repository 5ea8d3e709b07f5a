from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tiny_tree import make_image

from tfrecords_tools.entry import Entry
from tfrecords_tools.example import FIELDS, serialize
from tfrecords_tools.info import VERSION
from tfrecords_tools.naming import parse_name
from tfrecords_tools.schema import parse

LABELLED = Entry(
    parse_name("54404-1940-33397-5089-Player_team_right-9-014r002_00858c3b0003-775x449.png"),
    Path("somewhere.png"),
    "valid",
    "gallery",
    "españa_laliga/2014-2015/2015-02-21 - 18-00 Córdoba 1 - 1 Almería",
    camera=3,
    track="main/17",
    source="valid/gallery/somewhere.png",
)
CHALLENGE = Entry(parse_name("17-3-128x64.png"), Path("a.png"), "challenge", "query", "")
IMAGE = make_image(0)


def as_python(record):
    return {name: tensor.numpy() for name, tensor in parse(tf.constant(record)).items()}


def test_every_field_comes_back():
    assert as_python(serialize(LABELLED, IMAGE)) == {
        "image": IMAGE,
        "bbox": 54404,
        "action": 1940,
        "person": 33397,
        "frame": 5089,
        "role": b"Player_team_right",
        "jersey": b"9",
        "uai": b"014r002_00858c3b0003",
        "height": 775,
        "width": 449,
        "subset": b"gallery",
        "split": b"valid",
        "game": "españa_laliga/2014-2015/2015-02-21 - 18-00 Córdoba 1 - 1 Almería".encode(),
        "camera": 3,
        "track": b"main/17",
        "source": b"valid/gallery/somewhere.png",
    }


def test_withheld_fields_are_minus_one_and_empty():
    read = as_python(serialize(CHALLENGE, IMAGE))
    assert (read["person"], read["frame"], read["role"], read["jersey"], read["uai"]) == (-1, -1, b"", b"", b"")
    assert (read["camera"], read["track"], read["source"]) == (-1, b"", b"")
    assert (read["bbox"], read["action"], read["height"], read["width"], read["game"]) == (17, 3, 128, 64, b"")


def test_record_is_a_plain_example_of_the_table():
    # An outside reader: the protobuf message itself.
    example = tf.train.Example.FromString(serialize(LABELLED, IMAGE))
    assert set(example.features.feature) == {field.name for field in FIELDS}
    for field in FIELDS:
        kind = example.features.feature[field.name].WhichOneof("kind")
        assert kind == ("int64_list" if field.kind is int else "bytes_list"), field.name


@pytest.mark.parametrize("entry", [LABELLED, CHALLENGE], ids=["labelled", "challenge"])
@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16383, 70000])
def test_bytes_are_those_that_protobuf_writes(entry, size):
    thumbnail = entry.thumbnail._replace(bbox=2**63 - 1, action=128, height=0)
    entry = entry._replace(thumbnail=thumbnail, camera=-(2**63), track="t" * size)
    record = serialize(entry, bytes(size))
    assert tf.train.Example.FromString(record).SerializeToString(deterministic=True) == record


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_a_number_that_no_record_holds_is_refused(value):
    with pytest.raises(ValueError, match="expected a number of 64 bits"):
        serialize(LABELLED._replace(camera=value), b"")


def test_changed_table_asks_for_a_new_version():
    # Names, order and kinds of version 2. Whoever changes them must raise VERSION and this line.
    table = " ".join(f"{field.name}:{field.kind.__name__}" for field in FIELDS)
    assert (VERSION, table) == (
        2,
        "image:bytes bbox:int action:int person:int frame:int role:str jersey:str uai:str height:int width:int "
        "subset:str split:str game:str camera:int track:str source:str",
    )


def test_a_record_of_version_1_lacks_what_came_later():
    example = tf.train.Example.FromString(serialize(LABELLED, IMAGE))
    for field in FIELDS:
        if field.since > 1:
            del example.features.feature[field.name]
    read = as_python(example.SerializeToString())
    assert (read["camera"], read["track"], read["source"], read["bbox"]) == (-1, b"", b"", 54404)


def test_equal_input_gives_equal_bytes():
    assert serialize(LABELLED, IMAGE) == serialize(LABELLED, bytes(IMAGE))


def test_parse_works_inside_a_dataset():
    dataset = tf.data.Dataset.from_tensor_slices([serialize(LABELLED, IMAGE), serialize(CHALLENGE, IMAGE)]).map(parse)
    assert [int(one["person"]) for one in dataset] == [33397, -1]
    assert dataset.element_spec["image"] == tf.TensorSpec((), tf.string)
    assert dataset.element_spec["person"] == tf.TensorSpec((), tf.int64)


def test_stored_image_decodes():
    pixels = tf.io.decode_jpeg(parse(tf.constant(serialize(LABELLED, IMAGE)))["image"], channels=3)
    expected = np.random.default_rng(0).integers(0, 256, (12, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(pixels, expected)


def test_text_that_is_not_utf8_keeps_its_bytes():
    entry = Entry(
        CHALLENGE.thumbnail, Path("a.png"), "challenge", "query", b"caf\xe9".decode("utf-8", "surrogateescape")
    )
    assert as_python(serialize(entry, IMAGE))["game"] == b"caf\xe9"


@pytest.mark.parametrize("name", [field.name for field in FIELDS if field.since == 1])
def test_record_that_lacks_a_field_is_refused(name):
    example = tf.train.Example.FromString(serialize(LABELLED, IMAGE))
    del example.features.feature[name]
    with pytest.raises(tf.errors.InvalidArgumentError, match=name):
        parse(tf.constant(example.SerializeToString()))


def test_bytes_that_are_no_record_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="parse"):
        parse(tf.constant(b"not a record"))
