"""Pixels: equal to Pillow's, equal to the plan, augmented by a seed alone."""

import dataclasses
import io
import itertools
import os
import re
import shutil
from pathlib import Path

import numpy as np
import paths
import pytest
import tensorflow as tf
from configurations import EVERYTHING
from PIL import Image

from kreid.config.sections import Data
from kreid.data.images import decode_and_resize, file_batches, read_image
from kreid.data.records import first_damaged, record_batches
from kreid.data.training_set import TrainingSet, training_batches
from kreid.errors import ConfigError
from tfrecords_tools import schema
from tfrecords_tools.index import read_index
from tfrecords_tools.sources.soccernet import scan

GOLDEN = np.load(paths.GOLDEN / "resize.npz")


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


def test_one_image_is_read_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (9, 5, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels)
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:-40])
    for name, message in (("b.png", "b.png: is not a whole PNG or JPEG image"), ("c.png", "c.png: no such image file")):
        with pytest.raises(ValueError, match=message):
            read_image(tmp_path / name)


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
    index = read_index(records / "test")
    paths = {(e.thumbnail.bbox, e.subset == "query"): e.path for e in scan(tree, "test")}
    first = [paths[int(b), bool(q)] for b, q in zip(index.bbox[:5], index.is_query[:5], strict=True)]
    np.testing.assert_array_equal(next(iter(file_batches(first, (64, 32)))), images)


def test_only_what_is_drawn_is_read(records, monkeypatch):
    training_set = TrainingSet(records, Data(persons=2, views=2), seed=1)
    plan = list(itertools.islice(training_set.sampler.epoch(0), 3))
    read, rows = training_set.index.read, []
    monkeypatch.setattr(type(training_set.index), "read", lambda index, some: rows.extend(some) or read(some))
    assert len(list(training_batches(training_set, (32, 16), plan))) == 3
    np.testing.assert_array_equal(rows, training_set.rows[np.concatenate(plan)])


def test_a_file_cut_while_training_is_named(records, tmp_path):
    shutil.copytree(records, tmp_path / "copy")
    training_set = TrainingSet(tmp_path / "copy", Data(persons=2, views=2), seed=1)
    batches = iter(training_batches(training_set, (32, 16), training_set.sampler.epoch(0)))
    next(batches)
    os.truncate(training_set.index.shards[0], 1000)
    said = (
        r"train-00000-of-00001.tfrecord: action \d+ bbox \d+: the record is damaged, no record of the expected length"
    )
    with pytest.raises(tf.errors.OpError, match=said):
        list(batches)
    assert re.search(said + ".*run kreid-convert again", first_damaged(training_set.index, training_set.rows))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="asks Linux for the memory in use")
def test_memory_stays_flat_over_epochs(records):
    training_set = TrainingSet(records, Data(persons=4, views=2, **EVERYTHING), seed=1)
    epochs = [list(training_set.sampler.epoch(number)) for number in range(10)]
    batches = iter(training_batches(training_set, (128, 64), itertools.chain(*epochs)))
    resident, drawn = [], []
    for epoch in epochs:
        drawn.append(sum(next(batches)[0].numpy().nbytes for _ in epoch))
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    assert resident[-1] - resident[1] < sum(drawn[2:]) / 4
    assert sum(drawn[2:]) > 100e6


def test_held_out_actions_are_neither_drawn_nor_lost(records):
    whole = TrainingSet(records, Data(persons=2, views=2), seed=0)
    part = TrainingSet(records, Data(persons=2, views=2), seed=0, held_out=[0, 5])
    assert whole.held_out is None
    assert set(part.index.action[part.held_out]) == {0, 5}
    np.testing.assert_array_equal(np.sort(np.concatenate([part.rows, part.held_out])), whole.rows)
    assert part.num_classes == len(np.unique(part.index.person[part.rows]))
    drawn = np.concatenate(list(part.sampler.epoch(0)))
    assert not np.isin(part.index.action[part.rows[drawn]], [0, 5]).any()


def test_rows_of_records_come_in_their_order(records):
    (whole,) = record_batches(records / "test", (16, 8), batch_size=1000)
    rows = [7, 0, 40, 7]
    some = record_batches(records / "test", (16, 8), batch_size=3, rows=rows)
    for _ in range(2):  # a dataset can be gone through again
        np.testing.assert_array_equal(np.concatenate(list(some)), whole.numpy()[rows])


def test_fraction_keeps_the_first_actions(records):
    whole, half = (TrainingSet(records, Data(persons=2, views=2, fraction=f), seed=0) for f in (1.0, 0.5))
    assert set(half.index.action[half.rows]) == {0, 1, 2, 3}
    assert len(half.rows) < len(whole.rows) == len(whole.index)


def test_a_fraction_that_is_not_there_is_a_mistake_of_the_configuration(records, monkeypatch):
    with pytest.raises(ConfigError, match=r"is 64 images a batch, but the training set has \d+ .*larger data.fraction"):
        TrainingSet(records, Data(persons=16, fraction=0.125), seed=0)
    part = dataclasses.replace(read_index(records / "train"), fraction=0.25)
    monkeypatch.setattr("kreid.data.training_set.read_index", lambda folder: part)
    with pytest.raises(ConfigError, match=r"data.fraction: 0.5 was asked for, but .* holds only 0.25"):
        TrainingSet(records, Data(persons=2, views=2, fraction=0.5), seed=0)


def test_records_without_labels_are_no_training_set(records, monkeypatch):
    monkeypatch.setattr("kreid.data.training_set.split_folder", lambda data, split: data / "challenge")
    with pytest.raises(ValueError, match="challenge: nothing can be trained on records whose labels are withheld"):
        TrainingSet(records, Data(persons=2, views=2), seed=0)


def test_labels_tell_roles_without_the_side_and_jersey_numbers_where_asked(records):
    """Held against the names of the files; an official has no number."""
    plain = TrainingSet(records, Data(persons=4, views=4), seed=2)
    found = TrainingSet(records, Data(persons=4, views=4), seed=2, attributes=True)
    np.testing.assert_array_equal(found.label[:, :2], plain.label)
    entries = {entry.thumbnail.bbox: entry.thumbnail for entry in scan(records.parent / "tree", "train")}
    thumbnails = [entries[bbox] for bbox in found.index.bbox[found.rows].tolist()]
    roles = [thumbnail.role.removesuffix("_team_left").removesuffix("_team_right") for thumbnail in thumbnails]
    names = sorted(set(roles))
    assert "Player" in names
    assert found.num_roles == len(names)
    assert [names[number] for number in found.label[:, 2]] == roles
    jerseys = [thumbnail.jersey or "" for thumbnail in thumbnails]
    numbers = sorted(set(jerseys) - {""})
    assert found.num_jerseys == len(numbers)
    assert ["" if number < 0 else numbers[number] for number in found.label[:, 3]] == jerseys
    assert "" in jerseys
    images, labels = next(iter(training_batches(found, (16, 8), itertools.islice(found.sampler.epoch(0), 1))))
    assert images.shape == (16, 16, 8, 3)
    assert labels.shape == (16, 4)
