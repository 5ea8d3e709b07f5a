"""Foreign text in messages."""

import zipfile

import numpy as np
import pytest

from kreid.weights import read
from tfrecords_tools.errors import one_line


@pytest.mark.parametrize(
    "text, shown",
    [
        pytest.param("conv1", "conv1", id="plain"),
        pytest.param(KeyError("a\nb"), "'a\\nb'", id="an error"),
        pytest.param(" two\n\tlines \r\n", "two lines", id="white space"),
        pytest.param("\x1b[2Jgone\x00", "\ufffd[2Jgone\ufffd", id="control characters"),
        pytest.param("café", "café", id="letters"),
        pytest.param(160 * "x", 160 * "x", id="just fits"),
        pytest.param(161 * "x", 157 * "x" + "...", id="too long"),
    ],
)
def test_one_line(text, shown):
    assert one_line(text) == shown


def test_a_damaged_archive_is_not_quoted_at_length(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, weight=np.zeros(4))
    content = bytearray(path.read_bytes())
    content[26:28] = b"\xff\x00"  # the length of the first member's name, which then swallows its numbers
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=r"x\.npz: expected a \.npz file of plain arrays: File name in directory 'weight"
    ) as caught:
        read(path)
    assert len(str(caught.value)) < len(str(path)) + 250
    assert str(caught.value).isprintable()


def test_names_of_a_damaged_archive_reach_no_terminal_as_they_are(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pth", "w") as archive:
        archive.writestr("red\x1b[31m\n.jpg", b"...")
    with pytest.raises(ValueError, match=r"it holds red\ufffd\[31m \.jpg$"):
        read(tmp_path / "x.pth")
