"""A drawn batch: exactly what training gets, and a picture that says which images are anchors."""

import itertools

import numpy as np
import pytest
from configurations import EVERYTHING, changed
from PIL import Image, ImageColor

from kreid.cli.batch import app
from kreid.data.training_set import TrainingSet, training_batches
from kreid.pictures.batch import Batch, contact_sheet, draw_batch, settings
from tfrecords_tools.console.command import run

RED, BLUE, GREY = (np.array(ImageColor.getrgb(colour)) for colour in ("#d62728", "#1f77b4", "#b8b8b8"))


def colour_of(row):
    return np.array((7 * row, 3, 250))


def batch_of(person, action, size=(16, 8)):
    """A batch of plain images, each of a colour of its own."""
    colours = np.array([colour_of(row) for row in range(len(person))], np.float32)
    images = np.tile(colours[:, None, None], (1, *size, 1))
    return Batch(images, np.array(person), np.array(action), 100 + np.arange(len(person)), np.arange(len(person)))


def find(sheet, colour):
    """Top, left and size of the first image of the sheet in a colour, and the colour of the border around it."""
    here = sheet[..., 0] == colour[0]
    here[here] = (sheet[here] == colour).all(axis=-1)  # where the first channel agrees, for a quarter of the time
    rows, columns = np.flatnonzero(here.any(axis=1)), np.flatnonzero(here.any(axis=0))
    assert here[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    return rows[0], columns[0], len(rows), len(columns), sheet[rows[0] - 3, columns[0] - 3]


def test_the_batch_is_the_one_training_gets(records, tiny_one):
    config = changed(tiny_one, data=EVERYTHING)
    training_set = TrainingSet(records, config.data, config.train.seed)
    epochs = [list(training_set.sampler.epoch(number))[:3] for number in range(2)]  # train.steps_per_epoch is 3
    stream = training_batches(training_set, config.model.image_size, itertools.chain(*epochs))
    images, labels = list(stream)[4]
    batch = draw_batch(config, records, epoch=2, step=2)
    np.testing.assert_array_equal(batch.images, images)
    rows = training_set.rows[epochs[1][1]]
    np.testing.assert_array_equal(batch.bbox, training_set.index.bbox[rows])
    np.testing.assert_array_equal(batch.person, np.unique(training_set.index.person)[labels[:, 0]])


def test_anchors_have_a_positive_and_a_negative():
    batch = batch_of([1, 1, 2, 3, 3, 4], [0, 0, 0, 1, 1, 2])
    assert batch.anchors().tolist() == [True, True, False, False, False, False]
    assert batch.anchors(same_action=False).tolist() == [True, True, False, True, True, False]


def test_borders_tell_people_apart():
    """Action 0: person 1 twice, person 2 twice, person 3 once; action 1: person 4 once."""
    sheet = np.asarray(contact_sheet(batch_of([3, 1, 4, 2, 1, 2], [0, 0, 1, 0, 0, 0]), ["a line"]))
    places = [find(sheet, colour_of(row)) for row in range(6)]
    for (*_, border), colour in zip(places, (GREY, RED, GREY, BLUE, RED, BLUE), strict=True):
        np.testing.assert_array_equal(border, colour)
    assert [place[2:4] for place in places] == [(192, 96)] * 6, "enlarged twelve times"
    top, left, *_ = zip(*places, strict=True)
    assert list(np.lexsort((left, top))) == [1, 4, 3, 5, 0, 2], "by action, then people with most images first"
    assert len({top[row] for row in (0, 1, 3, 4, 5)}) == 1


def test_images_keep_their_pixels_and_their_size():
    batch = batch_of([1, 1], [0, 0], size=(256, 128))
    batch.images[0, 50, 60] = (254.6, 0.4, 99.5)
    sheet = np.asarray(contact_sheet(batch))
    top, left, *size, _ = find(sheet, colour_of(1))
    assert size == [256, 128]
    first = sheet[top : top + 256, left - 148 : left - 20]
    np.testing.assert_array_equal(first[50, 60], (255, 0, 100))
    assert (first == colour_of(0)).all(axis=-1).sum() == 256 * 128 - 1


@pytest.mark.parametrize("size", [(16, 8), (8, 16), (32, 700), (1, 1)])
def test_sheets_of_any_shape_show_every_image(size):
    batch = batch_of(np.arange(30) // 2, [0] * 25 + [1, 2, 3, 4, 5], size)
    sheet = np.asarray(contact_sheet(batch))
    for row in range(30):
        find(sheet, colour_of(row))


def test_settings_name_what_is_switched_on(tiny_one):
    assert settings(tiny_one.data) == "same_action, 4 x 4, fraction 1, flip 0.5"
    config = changed(tiny_one, data={"erase": 0.5, "flip": 0, "fraction": 0.1, "crop_padding": 4})
    assert settings(config.data) == "same_action, 4 x 4, fraction 0.1, crop_padding 4, erase 0.5"


def test_command(records, tiny_one, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(tiny_one.model_dump_json(), encoding="utf-8")
    arguments = [str(tmp_path / "run.yaml"), "--data", str(records), "--out", str(tmp_path / "sheet.png")]
    with pytest.raises(SystemExit) as end:
        run(app, [*arguments, "--epoch", "2", "--set", "data.erase=1"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"{tmp_path / 'sheet.png'}\n"
    config = changed(tiny_one, data={"erase": 1})
    lines = [f"{tmp_path / 'run.yaml'}, epoch 2, step 1", settings(config.data)]
    expected = contact_sheet(draw_batch(config, records, epoch=2), lines)
    np.testing.assert_array_equal(Image.open(tmp_path / "sheet.png"), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epoch", "3"], "epoch: expected 1 to train.epochs, which is 2, received 3"),
        (["--step", "4"], "step: expected 1 to 3, the batches of an epoch, received 4"),
        (["--step", "0"], "--step"),
        (["--out", "sheet.gif"], "--out sheet.gif: expected a name that ends in .png"),
        (["--data", "nowhere"], "--data nowhere: no such folder"),
        (["--set", "data.persons=1000"], "data.persons x data.views is 4000"),
    ],
)
def test_mistakes_end_with_2_and_one_line(records, tiny_one, tmp_path, capsys, arguments, message):
    (tmp_path / "run.yaml").write_text(tiny_one.model_dump_json(), encoding="utf-8")
    whole = [str(tmp_path / "run.yaml"), "--data", str(records), "--out", str(tmp_path / "sheet.png"), *arguments]
    with pytest.raises(SystemExit) as end:
        run(app, whole)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "sheet.png").exists()
