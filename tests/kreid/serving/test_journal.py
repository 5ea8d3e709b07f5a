"""What a server has answered, on disk: read back whole, whatever has become of a part of it."""

import hashlib
import struct
import zlib

import numpy as np
import pytest

from kreid.errors import ConfigError
from kreid.serving.journal import Journal, digest_of

DIGESTS = [digest_of(bytes([number])) for number in range(3)]
VECTORS = np.eye(3, 4, dtype=np.float32)
SIZE = 32 + 16 + 4


@pytest.fixture
def path(tmp_path):
    journal = Journal(tmp_path / "x.npz.journal", "http://h")
    journal.add(DIGESTS[:1], VECTORS[:1])
    journal.add(DIGESTS[1:], VECTORS[1:])
    return journal.path


def resumed(path):
    return Journal(path, "http://h", resume=True)


def test_the_form_is_what_the_head_of_the_module_says(path):
    head, _, data = path.read_bytes().partition(b"\n")
    assert head == b'{"kreid_journal": 1, "server": "http://h", "width": 4}'
    body = hashlib.sha256(b"\x01").digest() + struct.pack("<4f", 0, 1, 0, 0)
    assert data[SIZE : 2 * SIZE] == body + struct.pack("<I", zlib.crc32(body))


def test_everything_is_read_back_and_goes_on(path):
    journal = resumed(path)
    assert list(journal.vectors) == DIGESTS
    np.testing.assert_array_equal(list(journal.vectors.values()), VECTORS)
    journal.add([digest_of(b"new")], VECTORS[:1])
    assert len(resumed(path).vectors) == 4
    journal.remove()
    assert not path.exists()


@pytest.mark.parametrize("lost", [1, SIZE - 1])
def test_a_last_answer_that_was_cut_short_is_asked_for_again(path, lost, caplog):
    path.write_bytes(path.read_bytes()[:-lost])
    journal = resumed(path)
    assert list(journal.vectors) == DIGESTS[:2]
    assert "1 of 3 answers are damaged" in caplog.text
    journal.add(DIGESTS[2:], VECTORS[2:])
    assert list(resumed(path).vectors) == DIGESTS


@pytest.mark.parametrize("place", [0, 35, SIZE - 1])
def test_a_flipped_byte_costs_its_answer_alone(path, place):
    data = bytearray(path.read_bytes())
    data[data.index(b"\n") + 1 + SIZE + place] ^= 1
    path.write_bytes(data)
    assert list(resumed(path).vectors) == [DIGESTS[0], DIGESTS[2]]


def test_one_cut_short_within_its_first_line_begins_anew(path):
    path.write_bytes(path.read_bytes()[:20])
    journal = resumed(path)
    journal.add(DIGESTS, VECTORS)
    assert list(resumed(path).vectors) == DIGESTS


@pytest.mark.parametrize(
    "content",
    [b"notes\n", b"notes", b"[]\n", b'{"kreid_journal": 2, "server": "http://h", "width": 4}\n',
     b'{"kreid_journal": 1, "server": "http://h", "width": 0}\n', b'{"kreid_journal": 1, "width": 4}\n'],
)  # fmt: skip
def test_another_file_is_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a journal of kreid-embed"):
        resumed(path)
    assert path.read_bytes() == content


def test_another_servers_answers_are_refused(path):
    with pytest.raises(ConfigError, match="holds answers of http://h; give that --server, or delete"):
        Journal(path, "http://other", resume=True)
    with pytest.raises(ConfigError, match="holds answers of an earlier call; give --resume"):
        Journal(path, "http://h")


def test_a_full_disk_names_the_file(path, monkeypatch):
    def full(self, mode):
        raise OSError(28, "No space left on device")

    journal = resumed(path)
    monkeypatch.setattr("pathlib.Path.open", full)
    with pytest.raises(OSError, match="No space left") as error:
        journal.add(DIGESTS, VECTORS)
    assert error.value.filename == str(path)


def test_vectors_of_another_width_are_refused(path):
    before = path.read_bytes()
    with pytest.raises(ValueError, match="http://h: answered vectors of 4 numbers, and now of 2; has another version"):
        resumed(path).add(DIGESTS, VECTORS[:, :2])
    assert path.read_bytes() == before


def test_without_a_file_it_is_in_memory(tmp_path):
    journal = Journal(None, "http://h")
    journal.add(DIGESTS, VECTORS)
    journal.remove()
    assert len(journal.vectors) == 3
    assert not list(tmp_path.iterdir())
