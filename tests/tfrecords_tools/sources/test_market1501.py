import pytest
from examples import few
from hypothesis import given
from hypothesis import strategies as st
from sets import labels, write_images

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index, read_info
from tfrecords_tools.sources.market1501 import parse_market_name
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES, find_source
from tfrecords_tools.writer import convert

MARKET = [
    "bounding_box_train/0002_c1s1_000451_03.jpg",
    "bounding_box_train/0002_c3s1_000551_01.jpg",
    "bounding_box_train/0007_c2s3_001051_00.jpg",
    "query/0001_c1s1_001051_00.jpg",
    "query/0004_c6s2_000001_00.jpg",
    "bounding_box_test/-1_c1s1_000401_03.jpg",
    "bounding_box_test/0000_c2s1_000151_01.jpg",
    "bounding_box_test/0001_c1s1_001053_00.jpg",
    "bounding_box_test/0001_c5s1_001051_00.jpg.jpg",
    "bounding_box_test/0004_c6s2_000009_00.jpg",
]


def read(root, splits=("train", "test")):
    return SOURCES["market1501"].read(root, splits, Options())


@pytest.mark.parametrize(
    "name, parsed",
    [
        ("0002_c1s1_000451_03.jpg", (2, 1, 451)),  # Market-1501
        ("-1_c3s2_000001_00.jpg", (-1, 3, 1)),
        ("0000_c6s4_009999_10.jpg", (0, 6, 9999)),
        ("1501_c6s4_009999_10.jpg.jpg", (1501, 6, 9999)),
        ("0001_c2_f0046182.jpg", (1, 2, 46182)),  # DukeMTMC-reID
        ("0000_c15_0003.jpg", (0, 15, 3)),  # MSMT17
        ("0000_012_03_0303morning_0008_0.jpg", (0, 3, None)),  # its own name there
        ("0003_c1_21.png", (3, 1, 21)),  # CUHK03, new protocol
        ("0003_c1.PNG", (3, 1, None)),
    ],
)
def test_a_name_says_person_camera_and_frame(name, parsed):
    assert parse_market_name(name) == parsed


@pytest.mark.parametrize("name", ["0002.jpg", "-2_c1.jpg", "0002_c1s1_000451_03.bmp", "c1_0002.jpg", "0002_c.jpg", ""])
def test_other_names_are_refused(name):
    with pytest.raises(ValueError, match="the file name is not one of Market-1501"):
        parse_market_name(name)


PARTS = st.sampled_from(["0001", "-1", "_c1", "s2", "_000451", "_f004", *"é\n²", "_03", ".jpg", ".PNG", "9" * 20])


@few
@given(st.one_of(st.text(max_size=24), st.lists(PARTS, max_size=7).map("".join)))
def test_names_of_any_letters_never_break_the_parser(name):
    try:
        person, camera, frame = parse_market_name(name)
    except ValueError:
        return
    assert person >= -1
    assert camera >= 0
    assert frame is None or frame >= 0


def test_a_person_of_training_and_test_is_warned_of(tmp_path, caplog):
    write_images(tmp_path, MARKET)
    read(tmp_path)
    assert caplog.messages == []
    write_images(tmp_path, [f"bounding_box_train/000{person}_c1s1_000001_00.jpg" for person in (4, 1)])
    read(tmp_path, ["train"])  # test is made of the same set, if at another time
    said = "2 people stand in train and in test, the first: 1; their scores are better than those of people never seen"
    assert caplog.messages == [said]


def test_the_folders_are_told_and_listed(tmp_path):
    write_images(tmp_path, MARKET)
    assert find_source(tmp_path).name == "market1501"
    listing = read(tmp_path)
    assert listing.protocol == "cross_camera"
    assert list(listing.cameras) == ["", "c1", "c2", "c3", "", "c5", "c6"]
    assert labels(listing.entries["train"]) == [
        ("train", 2, 1, MARKET[0]),
        ("train", 2, 3, MARKET[1]),
        ("train", 7, 2, MARKET[2]),
    ]
    assert labels(listing.entries["test"]) == [
        ("query", 1, 1, MARKET[3]),
        ("query", 4, 6, MARKET[4]),
        ("gallery", 0, 2, MARKET[6]),
        ("gallery", 1, 1, MARKET[7]),
        ("gallery", 1, 5, MARKET[8]),
        ("gallery", 4, 6, MARKET[9]),
    ]
    assert [one.thumbnail.bbox for one in listing.entries["test"]] == [0, 1, 0, 1, 2, 3]
    assert listing.notes == {"train": {}, "test": {"junk images left out": 1}}


def test_records_keep_the_bytes_and_say_the_rest(tmp_path):
    written = write_images(tmp_path / "set", MARKET)
    convert(tmp_path / "set", tmp_path / "out", shards=2)
    info = read_info(tmp_path / "out")["splits"]
    test = info["test"]
    assert {name: test[name] for name in ("images", "queries", "gallery", "identities", "actions", "cameras")} == {
        "images": 6, "queries": 2, "gallery": 4, "identities": 3, "actions": 1, "cameras": 4,
    }  # fmt: skip
    assert (test["source"], test["protocol"], test["shards"]) == ("market1501", "cross_camera", 2)
    # Person 4 is on one camera only.
    assert test["notes"] == {"junk images left out": 1, "queries without a match": 1}
    with read_index(tmp_path / "out/test") as index:
        assert index.camera.tolist() == [1, 6, 2, 1, 5, 6]
        assert index.cameras.tolist() == ["", "c1", "c2", "c3", "", "c5", "c6"]
        assert index.person.tolist() == [1, 4, 0, 1, 1, 4]
        assert [len(set(index.shard[index.action == 0])), len(index.shards)] == [2, 2]  # one action, in two files
        for record, name in zip(index.read(range(6)), [*MARKET[3:5], *MARKET[6:]], strict=True):
            assert written[name] in record
            assert name.encode() in record


def test_people_numbered_from_0_in_both_splits_are_other_people(tmp_path):
    write_images(
        tmp_path,
        [
            "bounding_box_train/0000_c1_0001.jpg",
            "bounding_box_train/0001_c2_0001.jpg",
            "query/0000_c1_0002.jpg",
            "bounding_box_test/0000_c2_0002.jpg",
            "bounding_box_test/0005_c2_0003.jpg",
        ],
    )
    listing = read(tmp_path)
    assert [one.thumbnail.person for one in listing.entries["train"]] == [1, 2]
    assert [one.thumbnail.person for one in listing.entries["test"]] == [3, 3, 4]
    assert list(listing.people) == ["", "train/0000", "train/0001", "test/0000", "test/0005"]
    assert read(tmp_path, ["test"]).entries["test"] == listing.entries["test"]


def test_distractors_are_no_queries(tmp_path):
    write_images(tmp_path, [*MARKET, "query/0000_c1s1_000001_00.jpg"])
    listing = read(tmp_path)
    assert [person for subset, person, *_ in labels(listing.entries["test"]) if subset == "query"] == [1, 4]
    assert listing.notes["test"]["queries of nobody in particular left out"] == 1


def test_hidden_and_other_files_are_told(tmp_path, caplog):
    write_images(tmp_path, MARKET)
    for name in ("._0001_c1s1_000001_00.jpg", "Thumbs.db"):
        (tmp_path / "query" / name).write_bytes(b"")
    assert len(read(tmp_path).entries["test"]) == 6
    assert caplog.messages == [
        f"{tmp_path}/query: skipped 2: ._0001_c1s1_000001_00.jpg (hidden), Thumbs.db (not .png or .jpg or .jpeg)"
    ]


# === Refused ===


def test_a_name_of_another_form_is_named(tmp_path):
    write_images(tmp_path, [*MARKET, "query/x.jpg"])
    with pytest.raises(ValueError, match=rf"^{tmp_path}/query/x\.jpg: the file name is not one of Market-1501"):
        read(tmp_path)


def test_an_empty_folder(tmp_path):
    write_images(tmp_path, MARKET)
    for path in (tmp_path / "query").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="query: no image here; was the archive unpacked whole?"):
        read(tmp_path)


@pytest.mark.parametrize(
    "names, message",
    [
        ([], "expected the folders bounding_box_train, query, bounding_box_test, none of them is there"),
        (MARKET[3:5], "expected the folders bounding_box_train, query, bounding_box_test, none of them"),
        (MARKET[:5], "of the last two only one is there"),
        ([f"labeled/{name}" for name in MARKET], "give one of labeled in it"),
    ],
)
def test_a_folder_that_is_none_is_told_what_it_misses(tmp_path, names, message):
    write_images(tmp_path, names)
    with pytest.raises(ConfigError, match=message):
        find_source(tmp_path, "market1501")


def test_a_split_that_it_has_not(tmp_path):
    write_images(tmp_path, MARKET[:3])
    assert SOURCES["market1501"].splits(tmp_path, Options()) == ["train"]
    with pytest.raises(ConfigError, match="has no split 'test', only train; leave it out"):
        read(tmp_path)


def test_a_fraction_of_a_single_action(tmp_path):
    write_images(tmp_path / "set", MARKET)
    with pytest.raises(ConfigError, match="fraction: keeps whole actions, and this training set is a single one"):
        convert(tmp_path / "set", tmp_path / "out", fraction=0.5)
    assert not (tmp_path / "out").exists()
