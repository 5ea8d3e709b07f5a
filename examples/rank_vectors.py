"""Rank and score vectors of any other framework, compare two networks, and write the ranking file and the report.

    python examples/rank_vectors.py

All that ranks and scores is NumPy: no TensorFlow loads, but for the report, which reads pictures out of records. Save
vectors anywhere, as `np.save("vectors.npy", vectors)`, in the order of the records.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from kreid.ranking import Embeddings, compare, evaluate, files, intervals, rank, read_groundtruth, rerank
from tfrecords_tools import synthetic, writer


def with_vectors(vectors: np.ndarray, records: Path) -> Embeddings:
    """Vectors (M, D), a row for each image of `records` in its order, with the labels that the records hold."""
    images = read_groundtruth(records)
    labels = (images.person, images.action, images.bbox, images.is_query)
    return Embeddings(vectors, *labels, camera=images.camera, protocol=images.protocol)


def foreign_vectors(records: Path, noise: float, seed: int) -> np.ndarray:
    """Stands for another framework's network: a direction for each person, and noise on each image."""
    random = np.random.default_rng(seed)
    _, person = np.unique(read_groundtruth(records).person, return_inverse=True)
    return np.random.default_rng(0).standard_normal((person.max() + 1, 64))[person] + noise * random.standard_normal(
        (len(person), 64)
    )


def main(records: Path, out: Path) -> dict:
    """Leave `ranking.json`, SoccerNet's form, and `report.html` in `out`; returns what was found."""
    first = with_vectors(foreign_vectors(records, 2.0, seed=1), records)
    second = with_vectors(foreign_vectors(records, 1.5, seed=2), records)
    ranking, better = rank(first, metric="cosine"), rank(second, metric="cosine")
    out.mkdir(parents=True, exist_ok=True)
    files.write(ranking, out / "ranking.json")
    # As a file of another program is scored; `kreid-score FILE RECORDS` is the command.
    scores = files.score(out / "ranking.json", records)

    import kreid  # the report shows pictures, which TensorFlow decodes

    kreid.report(better, records, out / "report.html", "vectors of another framework")
    return {
        "scores": scores,
        "interval": intervals(ranking)["mAP"],
        "re-ranked": evaluate(rerank(first, metric="cosine")),
        "second against first": compare(ranking, better)["mAP"],
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        synthetic.draw(Path(temporary) / "tree", {"test": 12}, seed=1)
        writer.convert(Path(temporary) / "tree", Path(temporary) / "records")
        out = Path(sys.argv[1] if sys.argv[1:] else "rank_vectors")
        for name, found in main(Path(temporary) / "records" / "test", out).items():
            print(f"{name}\n{found!r}\n")
        print(out / "report.html")
