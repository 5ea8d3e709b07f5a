import unicodedata
from collections import Counter
from contextlib import suppress

import pytest
from examples import few, names, refused
from hypothesis import given
from hypothesis import strategies as st
from sets import labels, write_images

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.index import read_index, read_info
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES, find_source
from tfrecords_tools.writer import convert

DIVIDED = [
    "train/main/p1/0001.jpg",
    "train/main/p1/0002.png",
    "train/side/p2/0001.jpg",
    "test/query/main/p3/0001.jpg",
    "test/gallery/side/p3/0001.jpg",
    "test/gallery/side/p4/0001.jpg",
]
PLAIN = [f"{camera}/p{person}/{view}.jpg" for camera in ("main", "side") for person in range(6) for view in range(3)]


def read(root, splits=("train", "test"), **options):
    return SOURCES["folders"].read(root, splits, Options(**options))


def test_a_divided_set_is_as_its_folders_say(tmp_path):
    write_images(tmp_path, DIVIDED)
    assert find_source(tmp_path).name == "folders"
    listing = read(tmp_path)
    assert listing.protocol == "cross_camera"
    assert list(listing.cameras) == ["main", "side"]
    assert list(listing.people) == ["", "p1", "p2", "p3", "p4"]
    assert labels(listing.entries["train"]) == [
        ("train", 1, 0, DIVIDED[0]),
        ("train", 1, 0, DIVIDED[1]),
        ("train", 2, 1, DIVIDED[2]),
    ]
    assert labels(listing.entries["test"]) == [
        ("query", 3, 0, DIVIDED[3]),
        ("gallery", 3, 1, DIVIDED[4]),
        ("gallery", 4, 1, DIVIDED[5]),
    ]
    assert [one.track for one in listing.entries["test"]] == ["main/p3", "side/p3", "side/p4"]
    assert [one.thumbnail.frame for one in listing.entries["train"]] == [1, 2, 1]


def test_a_person_of_two_splits_is_named(tmp_path, caplog):
    write_images(tmp_path, [*DIVIDED, "train/side/p3/0001.jpg"])
    read(tmp_path)
    assert [message.partition(";")[0] for message in caplog.messages] == [
        "1 person stands in train and in test, the first: p3"
    ]


def test_query_and_gallery_alone_are_a_test_set(tmp_path):
    write_images(tmp_path, ["query/a/p/1.jpg", "gallery/b/p/1.jpg"])
    assert find_source(tmp_path).splits(tmp_path, Options()) == ["test"]
    assert [one.subset for one in read(tmp_path, ["test"]).entries["test"]] == ["query", "gallery"]


def test_val_is_valid_and_its_queries_are_chosen(tmp_path):
    write_images(tmp_path, [f"val/{camera}/p/{view}.jpg" for camera in "ab" for view in range(2)])
    subsets = [one.subset for one in read(tmp_path, ["valid"]).entries["valid"]]
    assert subsets == ["query", "query", "gallery", "gallery"]


def test_an_undivided_set_is_divided_by_its_seed(tmp_path):
    write_images(tmp_path, PLAIN)
    listing = read(tmp_path, seed=4)
    people = {split: {one.thumbnail.person for one in listing.entries[split]} for split in ("train", "test")}
    assert [len(people["train"]), len(people["test"]), people["train"] & people["test"]] == [3, 3, set()]
    assert Counter(one.subset for one in listing.entries["test"]) == {"query": 6, "gallery": 12}
    assert labels(read(tmp_path, seed=4).entries["test"]) == labels(listing.entries["test"])
    assert labels(read(tmp_path, ["test"], seed=4).entries["test"]) == labels(listing.entries["test"])
    assert any(
        labels(read(tmp_path, seed=seed).entries["test"]) != labels(listing.entries["test"]) for seed in range(4)
    )
    assert SOURCES["folders"].splits(tmp_path, Options(train_share=0)) == ["test"]


def test_tracks_are_joined_to_people(tmp_path, caplog):
    write_images(
        tmp_path / "set", [f"{camera}/t{track}/{view}.png" for camera in "ab" for track in range(3) for view in "12"]
    )
    joins = "camera,track,person\na,t0,anna\nb,t1,anna\na,t1,bert\nb,t2,bert\nb,t0,\nb,t9,carl\n"
    (tmp_path / "tracks.csv").write_text(joins)
    listing = read(tmp_path / "set", ["test"], identities=tmp_path / "tracks.csv", train_share=0)
    assert list(listing.people) == ["", "anna", "bert"]
    tracks = {one.track: one.thumbnail.person for one in listing.entries["test"]}
    assert tracks == {"a/t0": 1, "b/t1": 1, "a/t1": 2, "b/t2": 2, "b/t0": 0}
    assert listing.notes["test"] == {"images of tracks without an identity left out": 2}
    assert caplog.messages == [
        f"{tmp_path}/tracks.csv: 1 of 6 tracks have no images, the first: track 't9' of camera 'b'"
    ]


def test_tracks_are_joined_whatever_the_form_of_their_letters(tmp_path, caplog):
    written = ("left\u00e9", "anne\u0301")
    write_images(tmp_path / "set", [f"{camera}/{track}/1.png" for camera in written for track in written])
    listed = [unicodedata.normalize(form, name) for name in written for form in ("NFC", "NFD")]
    rows = [f"{listed[0]},{listed[3]},p", f"{listed[1]},{listed[0]},q", f"{listed[3]},{listed[2]},p"]
    (tmp_path / "tracks.csv").write_text("\n".join(["camera,track,person", *rows]), encoding="utf-8")
    listing = read(tmp_path / "set", ["test"], identities=tmp_path / "tracks.csv", train_share=0)
    assert len(listing.entries["test"]) == 3
    assert listing.notes["test"]["images of tracks without an identity left out"] == 1
    assert caplog.messages == []
    (tmp_path / "tracks.csv").write_text("\n".join(["camera,track,person", rows[1], f"{listed[0]},{listed[0]},p"]))
    with pytest.raises(ValueError, match="line 3: track .* stands in line 2 too; remove one"):
        read(tmp_path / "set", identities=tmp_path / "tracks.csv")


def test_one_camera_is_scored_inside_the_action(tmp_path):
    write_images(tmp_path, [f"main/p{person}/{view}.jpg" for person in range(4) for view in "12"])
    listing = read(tmp_path, ["test"], train_share=0)
    assert listing.protocol == "action"
    assert Counter(one.subset for one in listing.entries["test"]) == {"query": 4, "gallery": 4}


def test_records_keep_the_bytes_and_name_people_and_cameras(tmp_path):
    written = write_images(tmp_path / "set", DIVIDED)
    convert(tmp_path / "set", tmp_path / "out")
    assert read_info(tmp_path / "out")["splits"]["test"]["tracks"] == 3
    with read_index(tmp_path / "out/test") as index:
        assert [index.people[person] for person in index.person] == ["p3", "p3", "p4"]
        assert [index.cameras[camera] for camera in index.camera] == ["main", "side", "side"]
        assert [index.tracks[track] for track in index.track] == ["main/p3", "side/p3", "side/p4"]
        for record, name in zip(index.read(range(3)), DIVIDED[3:], strict=True):
            assert written[name] in record


# === Refused ===


@pytest.mark.parametrize(
    "names, message",
    [
        (["a/1.jpg"], r"a/1\.jpg: this image is out of place; expected .*camera/track/\*\.jpg"),
        (["a/b/1.jpg", "a/b/c/1.jpg"], r"a/b/c/1\.jpg: this image is out of place"),
        (["train/query/a/b/1.jpg"], "training images are neither query nor gallery"),
        (["train/a/b/1.jpg", "side/a/1.jpg"], "side: stands beside train; either all folders here are"),
        (["test/query/a/b/1.jpg", "test/gallery/a/b/1.jpg", "test/c/d/1.jpg"], "is neither in query nor in gallery"),
        (["test/query/a/b/1.jpg"], "test has query alone; expected query and gallery, or neither"),
        (["Main/a/1.jpg", "main/a/1.jpg"], "two cameras of one name, 'Main' and 'main'"),
        (["1/a/1.jpg", "01/a/1.jpg"], "two cameras of one name, '01' and '1': rename one"),
        (["a/7/1.jpg", "b/0007/1.jpg"], "two people of one name, '0007' and '7': rename one"),
        (["a/Anna/1.jpg", "b/Anna /1.jpg"], "two people of one name, 'Anna' and 'Anna ': rename one"),
    ],
)  # fmt: skip
def test_a_layout_that_is_none(tmp_path, names, message):
    write_images(tmp_path, names)
    with pytest.raises(ValueError, match=message):
        read(tmp_path, SOURCES["folders"].splits(tmp_path, Options()))


def test_a_set_of_one_person_cannot_be_divided(tmp_path):
    write_images(tmp_path, ["a/p/1.jpg", "b/p/1.jpg"])
    with pytest.raises(ValueError, match="split 'train': no image is left for it; give it some, or leave it out"):
        read(tmp_path)
    assert len(read(tmp_path, ["test"]).entries["test"]) == 2


@pytest.mark.parametrize(
    "names, message",
    [
        ([], "no PNG or JPEG here; expected camera/track"),
        (["1.jpg"], r"expected camera/track/.*, found 1\.jpg"),
        (["a/b/c/d/1.jpg"], r"found a/b/c/d/1\.jpg"),
    ],
)
def test_a_folder_that_is_none_is_told_what_it_misses(tmp_path, names, message):
    write_images(tmp_path, names)
    with pytest.raises(ConfigError, match=message):
        find_source(tmp_path, "folders")


def test_one_person_in_two_spellings_of_a_table_is_told(tmp_path):
    write_images(tmp_path / "set", ["a/1/1.jpg", "b/01/1.jpg"])  # tracks, which a table tells apart
    (tmp_path / "tracks.csv").write_text("camera,track,person\na,1,3\nb,01,3.0\n")
    with pytest.raises(ValueError, match=r"two people of one name, '3' and '3\.0': rename one"):
        read(tmp_path / "set", identities=tmp_path / "tracks.csv")


@pytest.mark.parametrize("name", ["-1", "unknown"])
def test_a_name_for_nobody_is_not_a_person(tmp_path, name):
    write_images(tmp_path / "set", ["a/p/1.jpg", f"a/{name}/1.jpg", f"b/{name}/1.jpg"])
    with pytest.raises(ValueError, match=f"set/a/{name}: all of '{name}' would be one person; leave the folder out"):
        read(tmp_path / "set")
    table = tmp_path / "tracks.csv"
    table.write_text(f"camera,track,person\na,p,q\na,{name},{name}\n")
    with pytest.raises(ValueError, match=rf"tracks\.csv, line 3: person: received '{name}'; leave it empty for nobody"):
        read(tmp_path / "set", identities=table)
    table.write_text(f"camera,track,person\na,p,q\na,{name},\n")  # the track's name says nothing of the person
    entries = read(tmp_path / "set", ["test"], identities=table, train_share=0).entries["test"]
    assert {one.track: one.thumbnail.person for one in entries} == {"a/p": 1, f"a/{name}": 0}


def test_identities_that_join_nothing(tmp_path):
    write_images(tmp_path / "set", PLAIN)
    (tmp_path / "tracks.csv").write_text("camera,track,person\nmain,x,y\n")
    with pytest.raises(ValueError, match=r"tracks\.csv: joins no track of"):
        read(tmp_path / "set", identities=tmp_path / "tracks.csv")


@few
@given(st.lists(st.tuples(names, names), min_size=1, max_size=4, unique=True))
def test_names_of_any_letters_never_break_it(tmp_path_factory, pairs):
    root = tmp_path_factory.mktemp("set")
    made = set()
    for camera, track in pairs:
        folder = root / f"c{camera}_" / f"t{track}_"  # no ending of an image's: such folders are passed over, and told
        with suppress(UnicodeEncodeError):  # no file system has it
            folder.mkdir(parents=True, exist_ok=True)
            made |= {(folder / f"{view}.png").touch() or (folder, view) for view in "12"}
    if not made:
        return
    said = []
    assert refused(
        lambda: said.append(read(root)), ("two cameras of one name", "two people of one name", "no image is left")
    )
    if said:
        assert sum(len(entries) for entries in said[0].entries.values()) == len(made)


def test_the_last_number_of_a_name_is_its_frame(tmp_path):
    names = ["c1/7/cam2_p7_000012.jpg", "c1/7/f9.png", "c1/7/crop.png"]
    write_images(tmp_path, names)
    entries = SOURCES["folders"].read(tmp_path, ["test"], Options(train_share=0)).entries["test"]
    assert {one.path.name: one.thumbnail.frame for one in entries} == {
        "cam2_p7_000012.jpg": 12, "f9.png": 9, "crop.png": None,
    }  # fmt: skip


def test_one_track_in_two_forms_of_a_letter_is_told(tmp_path):
    write_images(tmp_path, ["left/ann\u00e9/1.png", "right/anne\u0301/1.png", "left/b/1.png", "right/b/1.png"])
    with pytest.raises(ValueError, match="two people of one name, 'anne.u0301' and 'ann.xe9': rename one"):
        read(tmp_path)
