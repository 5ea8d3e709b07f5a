"""The figure of docs/architecture.md: the straight way of the data through the rooms."""

from website.drawing import Drawing

# Name -> left, top, words.
_BOXES = {
    "tree": (20, 20, ("images with labels",)),
    "records": (20, 110, ("TFRecords, index",)),
    "batch": (20, 200, ("batch", "images, (person, action)")),
    "yaml": (270, 20, ("configuration",)),
    "files": (520, 20, ("weights of others",)),
    "model": (270, 110, ("model", "maps, embedding, heads")),
    "loss": (270, 200, ("loss of every anchor",)),
    "run": (270, 290, ("run folder",)),
    "saved": (520, 290, ("SavedModel",)),
    "vectors": (20, 380, ("embeddings", "with labels")),
    "ranking": (270, 380, ("ranking", "of each query's gallery")),
    "file": (520, 380, ("ranking_challenge.json",)),
    "figures": (20, 480, ("figures of every query", "mAP, rank-k, intervals")),
    "metrics": (270, 480, ("metrics_test.json",)),
    "report": (520, 480, ("report_test.html",)),
}
_ENDS = {"tree", "yaml", "files", "saved", "file", "metrics", "report"}
# From, to, and the room that leads there.
_DOWN = (
    ("tree", "records", "tfrecords_tools"),
    ("records", "batch", "data"),
    ("yaml", "model", "config"),
    ("model", "loss", "losses"),
    ("loss", "run", "training"),
    ("vectors", "figures", "ranking"),
)
_ACROSS = (
    ("batch", "loss", "training"),
    ("run", "saved", "serving"),
    ("vectors", "ranking", "ranking"),
    ("ranking", "file", "ranking"),
    ("figures", "metrics", "evaluation"),
)


def architecture() -> Drawing:
    """From images with labels to scores, report and SavedModel."""
    to = Drawing(
        720,
        560,
        "The way of the data: images, records, batches, model, run folder, embeddings, ranking, figures, report",
    )
    for name, (x, y, words) in _BOXES.items():
        to.box(
            x,
            y,
            180,
            46,
            words,
            colour="green" if name in _ENDS and y > 200 else "blue" if name in _ENDS else "line",
            size=12,
        )
    for start, end, room in _DOWN:
        x, y = _BOXES[start][0] + 90, _BOXES[start][1] + 46
        to.arrow((x, y), (x, _BOXES[end][1] - 2))
        to.text(x + 8, (y + _BOXES[end][1]) / 2 + 4, room, size=12, anchor="start", colour="soft")
    for start, end, room in _ACROSS:
        y = _BOXES[start][1] + 23
        to.arrow((_BOXES[start][0] + 180, y), (_BOXES[end][0] - 2, y), words=room)
    to.arrow((610, 66), (610, 133), (452, 133))
    to.text(618, 104, "weights", size=12, anchor="start", colour="soft")
    to.arrow((270, 313), (110, 313), (110, 378))
    to.text(190, 307, "embedding", size=12, colour="soft")
    to.arrow((360, 426), (360, 452), (170, 452), (170, 478))
    to.arrow((110, 526), (110, 546), (610, 546), (610, 528))
    to.text(490, 540, "report, pages, pictures, look", size=12, colour="soft")
    return to
