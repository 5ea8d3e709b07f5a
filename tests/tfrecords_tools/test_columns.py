from pathlib import Path

from tfrecords_tools.columns import Columns
from tfrecords_tools.entry import Entry
from tfrecords_tools.naming import Thumbnail
from tfrecords_tools.problems import Problem


def rows(*games_and_tracks):
    """A table of one record each."""
    table = Columns()
    add(table, games_and_tracks)
    return table


def add(table, games_and_tracks):
    for game, track in games_and_tracks:
        place = len(table)
        thumbnail = Thumbnail(place, 0, 1, 2, "role", "9", "uai", 4, 3)
        table.add(Entry(thumbnail, Path("x.png"), "train", "train", game, track=track), 0, 12 * place, 5, 7)


def counted(table):
    return list(table.columns["game"]), list(table.columns["track"]), list(table.games), list(table.tracks)


def test_what_follows_finished_rows_is_counted_as_before():
    """Of three games, so that a number made up of two counts shows."""
    first = [("a", "s"), ("b", "t"), ("c", "u")]
    then = [("b", "t"), ("d", ""), ("c", "v")]
    whole, again = rows(*first, *then), Columns()
    again.extend(rows(*first).since(Columns().mark()))
    add(again, then)
    assert counted(again) == counted(whole)
    assert counted(whole) == ([0, 1, 2, 1, 3, 2], [0, 1, 2, 1, -1, 3], ["a", "b", "c", "d"], ["s", "t", "u", "v"])


def test_tables_of_their_own_are_joined():
    parts = [("b", "t"), ("a", "")], [("c", ""), ("a", "s"), ("b", "t")], [], [("d", "u")]
    joined = Columns()
    for part in parts:
        joined.join(rows(*part).since(Columns().mark()))
    assert counted(joined) == counted(rows(*(row for part in parts for row in part)))
    assert list(joined.columns["bbox"]) == [0, 1, 0, 1, 2, 0]


def test_problems_are_joined_too():
    joined = Columns()
    for number in range(3):
        part = rows(("a", ""))
        part.problems.append(Problem(f"{number}.png", "train", "bad"))
        part.missized, part.first_missized = number, f"{number}.png" if number else ""
        joined.join(part.since(Columns().mark()))
    assert [problem.source for problem in joined.problems] == ["0.png", "1.png", "2.png"]
    assert (joined.missized, joined.first_missized) == (3, "1.png")
