"""Tracks of folders, and a table of who is who."""

import pytest

from kreid.errors import ConfigError
from kreid.tracks.folders import tracks_of_paths
from kreid.tracks.identities import identify

PATHS = ["x/left/1/0.png", "x/left/2/0.png", "x/right/1/0.png", "x/right/9/0.png"]


def read(tmp_path, *rows, header="camera,track,person"):
    (tmp_path / "tracks.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
    return identify(tracks_of_paths(PATHS), tmp_path / "tracks.csv").person.tolist()


def test_people_have_numbers_by_name_whatever_their_tracks_are_called(tmp_path, caplog):
    assert read(tmp_path, "left,1,zoe", "right,9,zoe", "left,2,anna", "right,1,") == [2, 1, 0, 2]
    assert caplog.messages == []


def test_rows_and_tracks_without_each_other_are_counted(tmp_path, caplog):
    assert read(tmp_path, "left,1,zoe", "left,2,anna", "right,3,zoe", "middle,1,zoe") == [2, 1, -1, -1]
    assert caplog.messages == [
        f"{tmp_path}/tracks.csv: 2 of 4 tracks have no images, the first: track '1' of camera 'middle'",
        f"{tmp_path}/tracks.csv: tells no person of 2 of 4 tracks, which are matched but not scored, the first: "
        "right/1",
    ]


def test_a_table_of_other_tracks_is_refused_with_a_name_that_would_do(tmp_path):
    with pytest.raises(ConfigError, match=r"tracks.csv: joins none of the 4 tracks to a person; .* such as left,1$"):
        read(tmp_path, "1,left,zoe")


def test_a_table_without_its_header_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"tracks.csv, line 1: the column camera is missing; expected camera, track, p"
    ):
        read(tmp_path, "left,2,anna", header="left,1,zoe")


def test_a_name_for_nobody_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"tracks\.csv, line 3: person: received 'none'; leave it empty for nobody"):
        read(tmp_path, "left,1,zoe", "left,2,none")


def test_a_person_in_two_of_unicode_s_forms_is_refused(tmp_path):
    with pytest.raises(ValueError, match="two people of one name, '01' and '1': rename one"):
        read(tmp_path, "left,1,1", "right,9,01")
    with pytest.raises(ValueError, match="two people of one name"):
        read(tmp_path, "left,1,ann\u00e9", "right,9,anne\u0301")
