"""Pixels: equal to Pillow's, equal to the plan, augmented by a seed alone."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from configurations import EVERYTHING
from PIL import Image

from kreid.config import Data
from kreid.data import TrainingSet, decode_and_resize, file_batches, record_batches, training_batches
from tfrecords_tools import schema

GOLDEN = np.load(Path(__file__).parent / "golden" / "resize.npz")


@pytest.mark.parametrize("case", range(6))
def test_decode_and_resize_equals_pillow(case):
    """Grey, RGBA, shrinking and growing images; Pillow rounds twice to 8 bits on the way, hence one grey level."""
    ours = decode_and_resize(GOLDEN[f"{case}/png"].tobytes(), (256, 128)).numpy()
    assert ours.shape == (256, 128, 3)
    assert ours.dtype == np.float32
    assert np.abs(ours - GOLDEN[f"{case}/resized"]).max() <= 1.0


def test_jpeg_decodes_as_pillow_does():
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (8, 4, 3), "uint8")).resize((64, 128), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    smooth.save(buffer, "JPEG", quality=90)
    pillow = np.asarray(Image.open(io.BytesIO(buffer.getvalue())).convert("RGB"))
    np.testing.assert_array_equal(decode_and_resize(buffer.getvalue(), (128, 64)).numpy(), pillow)


def test_training_batches_follow_the_plan(records):
    training_set = TrainingSet(records, Data(persons=4, views=3, flip=0.0), seed=2)
    plan = list(itertools.islice(training_set.sampler.epoch(0), 3))
    for (images, labels), batch in zip(training_batches(training_set, (64, 32), iter(plan)), plan, strict=True):
        np.testing.assert_array_equal(labels, training_set.label[batch])
        record = training_set.index.read(training_set.rows[batch[:1]])[0]
        expected = decode_and_resize(schema.parse(tf.constant(record))["image"], (64, 32))
        np.testing.assert_array_equal(images[0], expected)
        assert images.shape == (12, 64, 32, 3)


def test_labels_are_dense_and_people_stay_in_their_action(records):
    training_set = TrainingSet(records, Data(), seed=0)
    people, actions = training_set.label.T
    assert set(people) == set(range(training_set.num_classes))
    assert set(actions) == set(range(actions.max() + 1))
    assert len(np.unique(training_set.label, axis=0)) == training_set.num_classes


def test_a_resumed_stream_continues_the_unbroken_one(records):
    training_set = TrainingSet(records, Data(persons=4, views=2, **EVERYTHING), seed=1)
    plan = list(itertools.islice(training_set.sampler.epoch(0), 4))
    whole = list(training_batches(training_set, (32, 16), iter(plan)))
    rest = list(training_batches(training_set, (32, 16), iter(plan[2:]), first_draw=2 * 8))
    for (image, label), (image_again, label_again) in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(image, image_again)
        np.testing.assert_array_equal(label, label_again)


def test_workers_share_every_batch(records):
    training_set = TrainingSet(records, Data(persons=4, views=2, **EVERYTHING), seed=1)
    plan = list(itertools.islice(training_set.sampler.epoch(0), 2))
    whole = [image.numpy() for image, _ in training_batches(training_set, (32, 16), iter(plan))]
    halves = [
        [image.numpy() for image, _ in training_batches(training_set, (32, 16), iter(plan), worker=(number, 2))]
        for number in range(2)
    ]
    for batch, *parts in zip(whole, *halves, strict=True):
        np.testing.assert_array_equal(batch, np.concatenate(parts))


def test_augmentation_is_for_training_alone(records):
    """The same images through both ways, every change switched on: evaluation knows of none."""
    training_set = TrainingSet(records, Data(persons=4, views=2, **EVERYTHING), seed=1)
    encoded = [schema.parse(tf.constant(one))["image"] for one in training_set.index.read(range(8))]
    plain = np.stack([decode_and_resize(one, (32, 16)) for one in encoded])
    np.testing.assert_array_equal(next(iter(record_batches(records / "train", (32, 16), batch_size=8))), plain)
    images, _ = next(iter(training_batches(training_set, (32, 16), [np.arange(8)])))
    assert (np.abs(images - plain).max(axis=(1, 2, 3)) > 1).all()


def test_records_and_files_give_equal_pixels(records, tmp_path):
    (images, *_) = record_batches(records / "test", (64, 32), batch_size=5)
    tree = records.parent / "tree"
    from tfrecords_tools.index import read_index
    from tfrecords_tools.soccernet import scan

    index = read_index(records / "test")
    paths = {(e.thumbnail.bbox, e.subset == "query"): e.path for e in scan(tree, "test")}
    first = [paths[int(b), bool(q)] for b, q in zip(index.bbox[:5], index.is_query[:5], strict=True)]
    np.testing.assert_array_equal(next(iter(file_batches(first, (64, 32)))), images)


def test_fraction_keeps_the_first_actions(records):
    whole, half = (TrainingSet(records, Data(persons=2, views=2, fraction=f), seed=0) for f in (1.0, 0.5))
    assert set(half.index.action[half.rows]) == {0, 1, 2, 3}
    assert len(half.rows) < len(whole.rows) == len(whole.index)
