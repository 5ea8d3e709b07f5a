import io
import re
import sys
import types
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from file_server import serving
from tiny_tree import write_tree

from tfrecords_tools import console
from tfrecords_tools.download import cli, soccernet
from tfrecords_tools.sources.table import find_source

pytest.importorskip("SoccerNet")


class Refusal(OSError):
    """As Hugging Face's library raises for a status."""

    def __init__(self, status):
        super().__init__(f"{status} Client Error")
        self.response = SimpleNamespace(status_code=status)


class HTTPError(Exception):
    """As an HTTP client raises where nobody answers."""


class Hub:
    """In place of Hugging Face's library: archives by name, and what is raised."""

    def __init__(self):
        self.files, self.error, self.asked = {}, None, []

    def get_paths_info(self, repository, paths, repo_type):
        assert (repository, repo_type) == ("SoccerNet/SN-ReID-2023", "dataset")
        if self.error:
            raise self.error
        return [SimpleNamespace(path=path, size=len(self.files[path])) for path in paths if path in self.files]

    def snapshot_download(self, repo_id, repo_type, revision, local_dir, allow_patterns):
        assert repo_id == soccernet.REPOSITORY
        self.asked += allow_patterns
        for name in allow_patterns:
            Path(local_dir, name).write_bytes(self.files[name])


@pytest.fixture
def hub(monkeypatch):
    """The package SoccerNet itself, without the forty others that it brings along."""
    hub = Hub()
    for name, content in {
        "huggingface_hub": {"HfApi": lambda: hub, "snapshot_download": hub.snapshot_download},
        "huggingface_hub.utils": {"HfHubHTTPError": Refusal},
        "google_measurement_protocol": {"event": None, "report": None},
        "boto3": {},
        "tqdm": {"tqdm": None},
    }.items():
        module = types.ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    yield hub
    sys.modules.pop("SoccerNet.Downloader", None)
    vars(sys.modules["SoccerNet"]).pop("Downloader", None)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """The archives of a tiny set, by name."""
    root = write_tree(tmp_path_factory.mktemp("tree"))
    found = {}
    for split in root.iterdir():
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as file:
            for path in split.rglob("*.png"):
                file.write(path, path.relative_to(root))
        found[f"{split.name}.zip"] = buffer.getvalue()
    return found


@pytest.fixture
def share(archives, hub):
    with serving({f"/share/{name}": data for name, data in archives.items()}, "SoccerNet") as shelf:
        yield shelf


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        console.run(cli.app, list(map(str, arguments)))
    said = capsys.readouterr()
    return left.value.code, said.out, said.err


def from_share(capsys, shelf, to, *more):
    return run(capsys, "--to", to, "--source", "exrcsdrive", "--server", f"{shelf.address}/share/", *more)


def test_a_share_s_splits_are_what_kreid_convert_takes(share, tmp_path, capsys):
    code, out, said = from_share(capsys, share, tmp_path / "set")
    assert (code, out) == (0, f"{tmp_path / 'set'}\n"), said
    assert "train.zip: 0.00 GB" in said
    source = find_source(tmp_path / "set", None)
    assert source.name == "soccernet"
    assert sum(len(list((tmp_path / "set/reid" / split).rglob("*.png"))) for split in ("train", "valid")) == 6 + 5
    assert [path for method, path, _ in share.asked if method == "GET"] == [
        f"/share/{split}.zip" for split in ("train", "valid", "test", "challenge")
    ]


def test_neither_fetched_nor_unpacked_again(share, tmp_path, capsys, monkeypatch):
    arguments = (capsys, share, tmp_path, "--split", "train", "--split", "valid")
    assert from_share(*arguments)[0] == 0
    share.asked.clear()
    (tmp_path / "reid/train/mine.txt").touch()
    for path in (tmp_path / "reid/valid").rglob("*.png"):
        path.unlink()
    (tmp_path / "reid/valid").rename(tmp_path / "away")
    code, _, said = from_share(*arguments)
    assert code == 0
    assert share.asked == []
    assert f"{tmp_path / 'reid/train'}: there already" in said
    assert (tmp_path / "reid/train/mine.txt").exists()
    assert len(list((tmp_path / "reid/valid").rglob("*.png"))) == 5


def test_a_download_that_breaks_goes_on(share, tmp_path, capsys):
    share.cut = 500
    code, _, said = from_share(capsys, share, tmp_path, "--split", "train")
    assert (code, said.splitlines()[-1].partition("the connection")[1]) == (1, "the connection")
    share.cut = None
    assert from_share(capsys, share, tmp_path, "--split", "train")[0] == 0
    assert share.asked[-1] == ("GET", "/share/train.zip", "bytes=500-")


def test_a_wrong_password_is_one_line_and_no_file(share, tmp_path, capsys):
    code, _, said = from_share(capsys, share, tmp_path, "--password", "guess")
    assert (code, said) == (
        1,
        f"error: {share.address}/share/train.zip: 401, wrong password, or none was asked for: give the one of "
        "SoccerNet's agreement (--password)\n",
    )
    assert list((tmp_path / "reid").iterdir()) == []


def test_too_small_a_disk_is_told_before_the_download(share, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2000))
    code, _, said = from_share(capsys, share, tmp_path)
    assert code == 1
    assert said.splitlines()[-1].startswith(f"error: {tmp_path / 'reid'}: archives and what is in them take about 0.00")
    assert {method for method, _, _ in share.asked} == {"HEAD"}


def test_hugging_face_is_left_to_the_package(hub, archives, tmp_path, capsys):
    hub.files = archives
    assert run(capsys, "--to", tmp_path, "--split", "test")[0] == 0
    assert hub.asked == ["test.zip"]
    assert len(list((tmp_path / "reid/test").rglob("*.png"))) == 3


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Refusal(401),
            "401, this account may not read it; ask for access at https://huggingface.co/datasets/SoccerNet",
        ),
        (Refusal(403), "403, this account may not read it"),
        (Refusal(404), "404, no such file on this server"),
        (Refusal(503), "503, the server is not available now; try again later"),
        (ConnectionError("[Errno 111] Connection refused"), r"no answer \(\[Errno 111\] Connection refused\)"),
        (HTTPError("timed out"), r"no answer \(timed out\)"),
        (None, r"404, no such file on this server; .* \(test.zip\)"),
    ],
)
def test_what_hugging_face_refuses_is_one_line(hub, tmp_path, capsys, error, words):
    hub.error = error
    code, _, said = run(capsys, "--to", tmp_path, "--split", "test")
    assert code == 1
    assert said.count("\n") == 1
    assert re.search(words, said), said


def test_another_error_is_not_hidden(hub, tmp_path):
    hub.error = AttributeError("a fault")
    with pytest.raises(AttributeError):
        soccernet.download(["test"], tmp_path)


def test_a_package_that_brings_nothing_is_told(hub, archives, tmp_path, capsys, monkeypatch):
    hub.files = archives
    soccernet._package()
    monkeypatch.setattr("SoccerNet.Downloader.snapshot_download", lambda **arguments: None)
    code, _, said = run(capsys, "--to", tmp_path, "--split", "test")
    assert code == 1
    assert "test.zip: the package SoccerNet did not bring it" in said


def test_without_the_package_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "SoccerNet", None)
    code, _, said = run(capsys, "--to", tmp_path)
    assert code == 2
    assert "pip install 'kreid[soccernet]'" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--split", "all"], "--split: expected names out of train, valid, test, challenge, received 'all'"),
        (["--password", "x"], "--password: goes with --source exrcsdrive"),
        (["--server", "http://x"], "--server: goes with --source exrcsdrive"),
        (["--source", "exrcsdrive", "--server", "x"], "--server: expected http://HOST/PATH/, received 'x'"),
    ],
)
def test_a_wrong_argument_is_told_at_once(tmp_path, capsys, arguments, words):
    code, _, said = run(capsys, "--to", tmp_path / "set", *arguments)
    assert (code, words in said) == (2, True), said
    assert not (tmp_path / "set").exists()
