from pathlib import Path

import pytest

from tfrecords_tools.addresses import as_path, is_address, local_path
from tfrecords_tools.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("gs://b/x", True),
        ("s3://b", True),
        ("memory+a.b-1://b", True),
        ("/a/b", False),
        ("a://b", False),
        ("gs:/b", False),
        ("x/gs://b", False),
        ("1s://b", False),
    ],
)
def test_an_address_is_told_from_a_path(text, address):
    assert is_address(text) is address


@pytest.mark.parametrize("take", [local_path, as_path])
def test_what_is_local_refuses_an_address_in_a_text(take):
    assert take("a/b") == Path("a/b")
    with pytest.raises(ConfigError, match=r"gs://b/x: an address, expected a path on this machine; .* records are"):
        take("gs://b/x")
