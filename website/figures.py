"""The figures of the pages; `python -m website.figures` draws them into docs/figures, where a test finds them so."""

from collections.abc import Callable

from website.architecture import architecture
from website.drawing import Drawing
from website.networks import bilinear, heads, two_stream
from website.paths import FIGURES


def action() -> Drawing:
    """One action: a query, the replays, and the ranking that is asked for."""
    to = Drawing(
        720, 330, "A query of an action, the images of its replays, and their ranking with average precision 0.83"
    )
    to.text(20, 22, "An action of a match", anchor="start", bold=True)
    frames = (
        ("live camera", (("blue", "7"), ("red", "4"), ("blue", "10"))),
        ("replay 1", (("red", "4"), ("blue", "7"), ("red", "9"))),
        ("replay 2", (("blue", "10"), ("red", "9"), ("blue", "7"))),
    )
    for column, (name, players) in enumerate(frames):
        x = 20 + 236 * column
        to.rectangle(x, 34, 208, 96)
        to.text(x + 8, 148, name, anchor="start", colour="soft", size=12)
        for place, player in enumerate(players):
            to.player(x + 20 + 66 * place, 52, *player)
    to.rectangle(36, 46, 38, 72, fill="none", stroke="orange", stroke_width="2.5")
    to.text(20, 186, "query", anchor="start", bold=True)
    to.text(128, 186, "gallery of the same action, nearest first", anchor="start", bold=True)
    to.rectangle(20, 200, 66, 84, stroke="orange", stroke_width="2.5")
    to.player(38, 212, "blue", "7")
    ranked = (("blue", "7"), ("blue", "10"), ("blue", "7"), ("red", "4"), ("red", "9"), ("red", "9"))
    for place, player in enumerate(ranked):
        x, match = 128 + 96 * place, player == ("blue", "7")
        to.rectangle(x, 200, 66, 84, stroke="green" if match else "line", stroke_width="2.5" if match else "1.5")
        to.player(x + 18, 212, *player)
        to.text(x + 33, 304, f"{place + 1}", size=12, colour="green" if match else "soft", bold=match)
    to.text(
        128,
        324,
        "matches at places 1 and 3: average precision (1/1 + 2/3) / 2 = 0.83, rank-1 = 1",
        anchor="start",
        size=12,
        colour="soft",
    )
    return to


def protocols() -> Drawing:
    """Which gallery images count, by both protocols."""
    to = Drawing(720, 268, "Which gallery images a query is held against by the protocols action and cross_camera")
    panels = (
        (
            "protocol: action",
            ("query:", "person 1,", "action A"),
            "line",
            (
                ("person 1", "action A", "green", "match"),
                ("person 2", "action A", "ink", "no match"),
                ("person 3", "action B", "line", "not looked at"),
            ),
        ),
        (
            "protocol: cross_camera",
            ("query:", "person 1,", "camera 1"),
            "line",
            (
                ("person 1", "camera 2", "green", "match"),
                ("person 2", "camera 1", "ink", "no match"),
                ("person 1", "camera 1", "line", "left out"),
            ),
        ),
    )
    for number, (title, query, colour, rows) in enumerate(panels):
        x = 20 + 356 * number
        to.text(x, 24, title, anchor="start", bold=True)
        to.rectangle(x, 40, 324, 214, fill="none", stroke=colour)
        to.box(x + 16, 104, 92, 84, query, colour="orange")
        for place, (person, where, stroke, verdict) in enumerate(rows):
            y = 58 + 64 * place
            gone = stroke == "line"
            if not gone:
                to.arrow((x + 108, 146), (x + 124, 146), (x + 124, y + 24), (x + 140, y + 24), colour=stroke)
            to.box(x + 142, y, 84, 48, (person, where), colour=stroke, size=12)
            to.text(x + 234, y + 28, verdict, anchor="start", size=12, colour="soft" if gone else stroke)
    return to


def mining() -> Drawing:
    """Which triplets of an anchor each mining takes."""
    to = Drawing(
        720, 268, "An anchor with two positives and three negatives, and the triplets that hard, all and semi_hard take"
    )
    names = ("hard", "all", "semi_hard")
    lines = {
        "hard": (("p2",), ("n1",)),
        "all": (("p1", "p2"), ("n1", "n2", "n3")),
        "semi_hard": (("p1", "p2"), ("n1", "n2")),
    }
    about = {
        "hard": ("farthest positive,", "nearest negative"),
        "all": ("every positive with every negative,", "as far as not yet satisfied"),
        "semi_hard": ("each positive with the nearest", "negative beyond it"),
    }
    spots = {"p1": (-26, -16), "p2": (-52, 34), "n1": (42, -20), "n2": (56, 44), "n3": (20, -82)}
    for number, name in enumerate(names):
        x, y = 125 + 235 * number, 128
        to.text(x, 22, name, bold=True)
        to.rectangle(x - 105, 34, 210, 184, fill="none")
        for kind, spots_taken in zip(("green", "orange"), lines[name], strict=True):
            for spot in spots_taken:
                dx, dy = spots[spot]
                to.path(f"M{x} {y} L{x + dx} {y + dy}", stroke=kind, stroke_width="2")
        for spot, (dx, dy) in spots.items():
            to.circle(x + dx, y + dy, 7, fill="green" if spot[0] == "p" else "orange", stroke="none")
        to.circle(x, y, 8, fill="blue", stroke="none")
        for row, words in enumerate(about[name]):
            to.text(x, 238 + 18 * row, words, size=12, colour="soft")
    legend = (("blue", "anchor"), ("green", "positive"), ("orange", "negative"))
    for row, (colour, words) in enumerate(legend):
        to.circle(34, 52 + 18 * row, 5, fill=colour, stroke="none")
        to.text(46, 56 + 18 * row, words, size=11, anchor="start", colour="soft")
    return to


ALL: dict[str, Callable[[], Drawing]] = {
    "action": action,
    "protocols": protocols,
    "mining": mining,
    "two_stream": two_stream,
    "heads": heads,
    "bilinear": bilinear,
    "architecture": architecture,
}


def main() -> None:
    """Draw all figures."""
    FIGURES.mkdir(exist_ok=True)
    for name, draw in ALL.items():
        (FIGURES / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
