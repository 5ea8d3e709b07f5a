import errno
import socket

import pytest
from file_server import serving

from tfrecords_tools.download.transfer import Remote, fetch, size_of

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def shelf():
    with serving({"/train.zip": CONTENT}, "word") as shelf:
        yield shelf


@pytest.fixture
def remote(shelf, tmp_path):
    return Remote(f"{shelf.address}/train.zip", tmp_path / "set/train.zip", "share", "word")


def partial(remote):
    return remote.path.with_name("train.zip.partial")


def test_a_file_comes_whole(remote):
    told = []
    fetch(remote, size_of(remote), lambda done, total: told.append((done, total)))
    assert remote.path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in remote.path.parent.iterdir()] == ["train.zip"]


def test_one_that_was_cut_short_goes_on_where_it_was(shelf, remote):
    shelf.cut = 6000
    with pytest.raises(ValueError, match=r"train.zip: the connection ended after 6,000 of 10,240 bytes; the same comm"):
        fetch(remote, len(CONTENT))
    assert not remote.path.exists()
    shelf.cut = None
    fetch(remote, len(CONTENT))
    assert remote.path.read_bytes() == CONTENT
    assert shelf.asked[-1] == ("GET", "/train.zip", "bytes=6000-")


def test_a_server_may_send_all_again(shelf, remote):
    shelf.ranges = False
    remote.path.parent.mkdir()
    partial(remote).write_bytes(b"x" * 6000)
    fetch(remote, len(CONTENT))
    assert remote.path.read_bytes() == CONTENT


def test_what_is_whole_is_not_asked_for(shelf, remote):
    remote.path.parent.mkdir()
    partial(remote).write_bytes(CONTENT)
    fetch(remote, len(CONTENT))
    assert (remote.path.read_bytes(), shelf.asked) == (CONTENT, [])


def test_what_is_longer_than_the_file_is_of_another(shelf, remote):
    remote.path.parent.mkdir()
    partial(remote).write_bytes(CONTENT + b"x")
    fetch(remote, len(CONTENT))
    assert remote.path.read_bytes() == CONTENT
    assert shelf.asked == [("GET", "/train.zip", None)]


def test_a_part_of_another_file_is_refused(shelf, remote):
    remote.path.parent.mkdir()
    partial(remote).write_bytes(CONTENT[:6000])
    shelf.part = "bytes 6000-20000/20001"
    with pytest.raises(
        ValueError, match=r"expected bytes 6,000 and on of 10,240, received bytes 6000-20000/20001; rem"
    ):
        fetch(remote, len(CONTENT))
    assert partial(remote).read_bytes() == CONTENT[:6000]


def test_more_than_was_told_is_refused(remote):
    with pytest.raises(ValueError, match="sends more than the 10,000 bytes it told of"):
        fetch(remote, 10_000)
    assert not remote.path.exists()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "403, refused: the agreement must be signed, or the password is wrong"),
        (404, "404, no such file on this server"),
        (429, "429, too many requests"),
        (500, "500, the server failed; try again later"),
        (503, "503, the server is not available now; try again later"),
        (418, "418, an answer that was not expected"),
    ],
)
def test_a_refusal_is_explained(shelf, remote, status, words):
    shelf.status = status
    for ask in (size_of, lambda remote: fetch(remote, 1)):
        with pytest.raises(ValueError, match=words):
            ask(remote)


def test_a_wrong_password_is_told(remote):
    with pytest.raises(ValueError, match="/train.zip: 401, wrong password"):
        size_of(remote._replace(password="other"))


def test_no_answer_is_told(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ValueError, match=rf"127.0.0.1:{port}/x: no answer \(.*refused.*\); see to the network"):
        size_of(Remote(f"http://127.0.0.1:{port}/x", tmp_path / "x"))


def test_a_server_that_tells_no_size_is_told(shelf, remote):
    shelf.told = "many"
    with pytest.raises(ValueError, match="does not say how large this file is"):
        size_of(remote)


def test_a_full_disk_is_named(remote):
    def fail(done, total):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as left:
        fetch(remote, len(CONTENT), fail)
    assert left.value.filename == str(partial(remote))
