import pytest
from sets import write_sequence

from tfrecords_tools.sources.gameinfo import read_gameinfo
from tfrecords_tools.sources.source import Options
from tfrecords_tools.sources.table import SOURCES

# As SoccerNet-Tracking writes it.
INFO = """[Sequence]
name=SNMOT-060
gameID=4
actionClass=Corner
num_tracklets=7
trackletID_1= player team left;10
trackletID_2= goalkeepers team right;x
trackletID_3= referee;side top
trackletID_4= ball;1
trackletID_5= goalkeeper team left;1
trackletID_6= other;
trackletID_7= player team right;?
"""
WHO = {
    "1": ("Player_team_left", "10"),
    "2": ("Goalkeeper_team_right", None),
    "3": ("Referee", None),
    "4": (None, None),
    "5": ("Goalkeeper_team_left", "1"),
    "6": ("Other", None),
    "7": ("Player_team_right", None),
}


def test_roles_and_jerseys_are_read(tmp_path):
    assert read_gameinfo(tmp_path) == {}
    (tmp_path / "gameinfo.ini").write_text(INFO)
    assert read_gameinfo(tmp_path) == WHO


def test_the_ball_is_no_person_and_what_is_not_told_stays_one(tmp_path):
    lines = [f"{frame},{track},{3 * track},3,8,16,1,-1,-1,-1" for track in range(1, 9) for frame in (1, 2)]
    write_sequence(tmp_path / "SNMOT-060", lines)
    (tmp_path / "SNMOT-060/gameinfo.ini").write_text(INFO)
    source, options = SOURCES["mot"], Options(train_share=0)
    listing = source.read(tmp_path, ["test"], options)
    found = {
        one.track.removeprefix("SNMOT-060/"): (one.thumbnail.role, one.thumbnail.jersey)
        for one in listing.entries["test"]
    }
    expected = {track: who for track, who in WHO.items() if track != "4"} | {"8": (None, None)}
    assert found == expected
    assert "SNMOT-060/4" not in listing.people
    # A tracker's numbers are its own: 4 may be anybody there.
    (tmp_path / "mine.txt").write_text("\n".join(lines))
    mine = source.read(tmp_path, ["test"], Options(train_share=0, tracks=tmp_path / "mine.txt"))
    assert "SNMOT-060/4" in mine.people


@pytest.mark.parametrize("text", ["player;10", "player team up;1", "balloon;1", "", "ball team left;1"])
def test_another_kind_names_file_and_key(tmp_path, text):
    (tmp_path / "gameinfo.ini").write_text(f"[Sequence]\ntrackletID_9= {text}\n")
    with pytest.raises(ValueError, match=r"gameinfo\.ini: trackletid_9: expected player .* mend it, or remove"):
        read_gameinfo(tmp_path)
