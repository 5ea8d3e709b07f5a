import pytest
from sets import labels, write_images

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES, find_source

# List -> its lines; a person of one number is another one in training and test.
LISTS = {
    "list_train.txt": ["0000/0000_000_01_0303morning_0008_0.jpg 0", "0001/0001_000_02_0303noon_0010_1.jpg 1"],
    "list_val.txt": ["0000/0000_001_14_0303afternoon_0008_0.jpg 0"],
    "list_query.txt": ["0000/0000_000_05_0303morning_0008_0.jpg 0"],
    "list_gallery.txt": ["0000/0000_001_09_0303morning_0008_0.jpg 0", "0003/0003_000_05_0303morning_0008_2.jpg 3"],
}


def write(root, train="mask_train_v2", test="mask_test_v2"):
    for name, lines in LISTS.items():
        folder = train if name in ("list_train.txt", "list_val.txt") else test
        write_images(root, [f"{folder}/{line.split()[0]}" for line in lines])
        (root / name).write_text("\n".join(lines) + "\n")


def read(root, splits=("train", "test")):
    return SOURCES["msmt17"].read(root, splits, Options())


@pytest.mark.parametrize("folders", [("mask_train_v2", "mask_test_v2"), ("train", "test")])
def test_lists_say_who_is_where(tmp_path, folders):
    write(tmp_path, *folders)
    assert find_source(tmp_path).name == "msmt17"
    listing = read(tmp_path)
    train, test = folders
    assert labels(listing.entries["train"]) == [
        ("train", 1, 1, f"{train}/0000/0000_000_01_0303morning_0008_0.jpg"),
        ("train", 2, 2, f"{train}/0001/0001_000_02_0303noon_0010_1.jpg"),
        ("train", 1, 14, f"{train}/0000/0000_001_14_0303afternoon_0008_0.jpg"),
    ]
    assert labels(listing.entries["test"]) == [
        ("query", 3, 5, f"{test}/0000/0000_000_05_0303morning_0008_0.jpg"),
        ("gallery", 3, 9, f"{test}/0000/0000_001_09_0303morning_0008_0.jpg"),
        ("gallery", 4, 5, f"{test}/0003/0003_000_05_0303morning_0008_2.jpg"),
    ]
    assert listing.protocol == "cross_camera"
    assert list(listing.people) == ["", "train/0000", "train/0001", "test/0000", "test/0003"]
    assert [name for name in listing.cameras if name] == ["c1", "c2", "c5", "c9", "c14"]
    assert read(tmp_path, ["test"]).entries["test"] == listing.entries["test"]


@pytest.mark.parametrize(
    "line, message",
    [
        ("0000/0000_000_05_0303morning_0008_0.jpg 0", r"line 2: 0000/.*jpg stands in line 1 too"),
        ("0000/0000_009_05_0303morning_0008_0.jpg 0", r"line 2: no such file: .*0000_009.* unpacked whole\?"),
        ("0000/0000_009_05_0303morning_0008_0.jpg", "line 2: expected an image and its person's number"),
        ("0000/0000_009_05_0303morning_0008_0.jpg -1", "line 2: expected an image and its person's number"),
        ("0000/other.jpg 0", "line 2: other.jpg: the file name is not one of"),
    ],
)
def test_what_is_wrong_names_list_and_line(tmp_path, line, message):
    write(tmp_path)
    with (tmp_path / "list_query.txt").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(ValueError, match=rf"list_query\.txt, {message}"):
        read(tmp_path)


def test_a_folder_that_is_none_is_told_what_it_misses(tmp_path):
    with pytest.raises(ConfigError, match="the lists .* list_gallery.txt; list_train.txt is not there"):
        find_source(tmp_path, "msmt17")
    for name in LISTS:
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="expected a folder mask_train_v2 or train"):
        find_source(tmp_path, "msmt17")
