"""What crops come from: files and folders."""

import os

import pytest

from kreid.errors import ConfigError
from kreid.search.sources import image_files


def test_files_of_folders_come_through_links_and_what_is_left_out_is_told(tmp_path, caplog):
    for name in ("elsewhere/2.png", "crops/1.JPG", "crops/._1.png", "single.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    crops = tmp_path / "crops"
    (crops / "linked").symlink_to(tmp_path / "elsewhere")
    (crops / "linked" / "back").symlink_to(crops)
    # A file that is named itself is taken as it is: what it holds is told when it is read.
    found = image_files([tmp_path / "single.webp", crops])
    assert found == [tmp_path / "single.webp", crops / "1.JPG", crops / "linked" / "2.png"]
    assert caplog.messages == [f"{crops}: skipped 2: ._1.png (hidden), linked/back (leads to a folder seen already)"]


def test_what_is_neither_file_nor_folder_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ConfigError, match=r"a\.png: neither a file nor a folder"):
        image_files([tmp_path / "a.png"])
