"""A small set of Market-1501's kind: one action, three cameras, distractors; and its scores by plain loops."""

import numpy as np
from sets import write_images

from tfrecords_tools.writer import convert

CAMERAS = 3
DISTRACTOR = 0


def write_records(folder):
    """Write a set whose records tell cameras, and that they are scored across them; returns the folder of its records.

    Persons 1 to 12 are for training, 21 to 26 for validation and 31 to 40 for the test, each seen by several cameras;
    41 is seen by one alone, and so is never a right answer.
    """
    lists = {"train": [("", person) for person in range(1, 13) for _ in range(5)]}
    for split, people, alone in (("valid", range(21, 27), []), ("test", range(31, 41), [41])):
        lists[split] = [("query", person) for person in [*people, *alone]]
        lists[split] += [("gallery", person) for person in people for _ in range(4)]
        lists[split] += [("gallery", person) for person in [DISTRACTOR] * 7]
    rows = [
        (f"{split}-{number}.png", person, 1 + (number + person) % CAMERAS, split, subset)
        for split, lines in lists.items()
        for number, (subset, person) in enumerate(lines)
    ]
    write_images(folder / "set", [path for path, *_ in rows])
    lines = ["path,person,camera,split,subset", *(",".join(map(str, row)) for row in rows)]
    (folder / "set" / "images.csv").write_text("\n".join(lines) + "\n")
    convert(folder / "set", folder / "records", progress=False)
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
