"""A small set of Market-1501's kind: one action, three cameras, distractors; and its scores by plain loops."""

import json

import numpy as np
from tiny_tree import write_tree

from tfrecords_tools.arrays import read_arrays, write_arrays
from tfrecords_tools.writer import convert

CAMERAS = 3
DISTRACTOR = 0


def write_records(folder):
    """Write a set whose records tell cameras, and that they are scored across them; returns the folder of its records.

    Persons 1 to 12 are for training, 21 to 26 for validation and 31 to 40 for the test, each seen by several cameras;
    41 is seen by one alone, and so is never a right answer.
    """
    lists = {"train": [("train", 0, person) for person in range(1, 13) for _ in range(5)]}
    for split, people, alone in (("valid", range(21, 27), []), ("test", range(31, 41), [41])):
        lists[split] = [("query", 0, person) for person in [*people, *alone]]
        lists[split] += [("gallery", 0, person) for person in people for _ in range(4)]
        lists[split] += [("gallery", 0, person) for person in [DISTRACTOR] * 7]
    write_tree(folder / "tree", lists)
    convert(folder / "tree", folder / "records", list(lists), progress=False)
    for split in lists:
        path = folder / "records" / split / "index.npz"
        arrays = read_arrays(path)
        camera = 1 + (arrays["bbox"] + arrays["person"]) % CAMERAS
        write_arrays(path, arrays | {"camera": camera})
    info = json.loads((folder / "records" / "info.json").read_text())
    for split in info["splits"].values():
        split["protocol"] = "cross_camera"
    (folder / "records" / "info.json").write_text(json.dumps(info))
    return folder / "records"


def naive_scores(embeddings):
    """mAP, rank-1 and the number of queries that count, by Market-1501's protocol, image by image."""
    precisions, firsts = [], []
    for query in np.flatnonzero(embeddings.is_query):
        distances = []
        for row in np.flatnonzero(~embeddings.is_query):
            same = embeddings.person[row] == embeddings.person[query]
            if same and embeddings.camera[row] == embeddings.camera[query]:
                continue
            apart = np.linalg.norm(embeddings.vectors[query].astype(float) - embeddings.vectors[row].astype(float))
            distances.append((apart, embeddings.bbox[row], same))
        right = [place for place, (_, _, same) in enumerate(sorted(distances), start=1) if same]
        if right:
            precisions.append(np.mean([number / place for number, place in enumerate(right, start=1)]))
            firsts.append(right[0] == 1)
    return np.mean(precisions), np.mean(firsts), len(precisions)
