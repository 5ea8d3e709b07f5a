import pytest

from tfrecords_tools.errors import ConfigError
from tfrecords_tools.sources import table
from tfrecords_tools.sources.source import Options, first_image, option_name
from tfrecords_tools.sources.table import SOURCES, find_source


def test_a_source_says_itself_how_it_is_called():
    assert all(name == source.name for name, source in SOURCES.items())


def test_a_tree_of_soccernet_is_told(tree):
    assert find_source(tree).name == find_source(tree / "reid").name == find_source(tree, "soccernet").name


def test_a_foreign_folder_is_told_what_each_source_misses(tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(ConfigError) as refused:
        find_source(tmp_path)
    said = str(refused.value)
    assert said.startswith(f"{tmp_path}: held against every source, and none fits (")
    assert all(f"{name}: " in said for name in SOURCES)
    assert "\n" not in said
    for name in SOURCES:
        with pytest.raises(ConfigError) as one:
            find_source(tmp_path, name)
        assert str(one.value).removeprefix(f"{tmp_path}: ") in said


def test_a_file_that_is_no_csv(tmp_path):
    (tmp_path / "market.zip").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=r"market\.zip: a file; expected a folder of images, unpacked, or a CSV file"):
        find_source(tmp_path / "market.zip")


@pytest.mark.parametrize("name", [None, *SOURCES])
def test_a_folder_that_is_not_there(tmp_path, name):
    with pytest.raises(ConfigError, match="nowhere: no such folder; expected "):
        find_source(tmp_path / "nowhere", name)


def test_an_unknown_name(tmp_path):
    with pytest.raises(ConfigError, match="--source: expected one of soccernet.*received 'market'"):
        find_source(tmp_path, "market")


@pytest.mark.parametrize(
    "option",
    [
        {"train_share": -0.1},
        {"train_share": 1.1},
        {"train_share": float("nan")},
        {"margin": -1},
        {"min_visibility": 2},
        {"seed": -1},
        {"every": 0},
        {"min_size": 0},
    ],
    ids=str,
)
def test_an_option_out_of_its_range(option):
    ((name, value),) = option.items()
    with pytest.raises(ConfigError, match=rf"{name}: expected .* received {value}"):
        Options(**option)


def test_an_option_that_a_source_does_not_take():
    with pytest.raises(ConfigError, match="--min-size: the source soccernet takes no such option"):
        table.SOURCES["soccernet"].check_options(Options(min_size=3))
    assert option_name("train_share") == "--train-share"


def test_the_first_image_is_no_hidden_one(tmp_path):
    assert first_image(tmp_path) is None
    for name in ("__MACOSX/a.png", ".cache/a.png", "b/._a.png", "b/notes.txt", "c/z.JPG", "d/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert first_image(tmp_path) == tmp_path / "c/z.JPG"
