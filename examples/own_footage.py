"""From folders of own crops to a trained, scored network, a report, and tracks that are matched across cameras.

    python examples/own_footage.py [CROPS] [OUT] [--identities TRACKS.csv]

CROPS holds a folder for each camera, in it one for each person, in it their crops: `left/anna/0001.jpg`. Folders that a
tracker has named, `left/0007/0001.jpg`, need a table of who is who, TRACKS.csv with the columns camera, track, person.
Without CROPS, players are drawn, as two cameras see them; a minute from random weights teaches little.
The commands do the same: docs/how_to/own_footage.md.
"""

import argparse
from pathlib import Path

import kreid
from kreid.evaluation import evaluate_runs, rank_records
from kreid.training.validation import check_scorable
from tfrecords_tools import synthetic, writer
from tfrecords_tools.naming import parse_name
from tfrecords_tools.sources.source import Options

CONFIG = {
    "model": {
        "embedder": "one_stream",
        "image_size": [64, 32],
        "appearance": {
            "backbone": "resnet50",
            "variant": "torchvision",
            "weights": None,
            "layer": "conv3",
            "width_divisor": 2,
        },
    },
    "data": {"persons": 8, "views": 4, "sampler": "persons"},  # one long action: batches out of the whole set
    "loss": {"same_action": False, "mining": "all"},  # from random weights; with pretrained ones "hard" is better
    "train": {"epochs": 6, "learning_rate": 1e-3, "schedule": "constant"},
}


def draw_crops(folder: Path, actions: int = 24) -> Path:
    """Draw players and lay them out as one would own crops: `camera/person/frame.png`."""
    synthetic.draw(folder / "drawn", {"train": actions}, seed=3)
    for number, path in enumerate(sorted((folder / "drawn").rglob("*.png"))):
        person = parse_name(path.name).person
        place = folder / "crops" / ("left", "right")[number % 2] / f"player{person}"
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / f"{number:04}.png")
    return folder / "crops"


def match_tracks(run: Path, crops: Path) -> list[str]:
    """Say of every track which one of the other camera is most alike, a line each."""
    found = kreid.match(kreid.load_model(run), crops, one_to_one=True)
    return [
        f"{pair['camera']}/{pair['track']} is {pair['match_camera']}/{pair['match']}, {pair['distance']:.2f} apart"
        for pair in found.pairs()
    ]


def main(crops: Path, out: Path, config: dict = CONFIG, identities: Path | None = None) -> dict:
    """Leave `records`, `run` and `report.html` in `out`; returns the scores and the matches."""
    told = Options(identities=identities)
    writer.convert(crops, out / "records", source="folders", options=told)  # divides people into train, query, gallery
    check_scorable(out / "records" / "test")  # before the training, not after it
    run = kreid.train(config, out / "records", out / "run")
    scores = evaluate_runs([run], out / "records" / "test", "test")
    ranking = rank_records([kreid.load_model(run)], out / "records" / "test")
    kreid.report(ranking, out / "records" / "test", out / "report.html", "own footage, test")
    return {"scores": scores, "matches": match_tracks(run, crops)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("crops", nargs="?", type=Path)
    parser.add_argument("out", nargs="?", type=Path, default=Path("own_footage"))
    parser.add_argument("--identities", type=Path, help="CSV with the columns camera, track, person")
    given = parser.parse_args()
    try:
        results = main(given.crops or draw_crops(given.out), given.out, identities=given.identities)
    except ValueError as error:  # says what is wrong, and what to do
        parser.exit(1, f"error: {error}\n")
    print(results["scores"])
    print(*results["matches"][:10], sep="\n")
    print(given.out / "report.html")
