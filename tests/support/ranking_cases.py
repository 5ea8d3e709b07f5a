"""Embeddings that the tests of rankings share: recorded ones, random ones, and ones with a wanted order.

golden/evaluation.npz was recorded from SoccerNet's development kit (SoccerNet/sn-reid at 621e2b0: evaluation, export,
re-ranking) and from the official scorer of the pip package soccernet 0.2.0; its `meta` explains every array.
"""

import json

import numpy as np
import paths

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.lists import Ranking

GOLDEN = np.load(paths.GOLDEN / "evaluation.npz")
CASES = json.loads(str(GOLDEN["meta"]))["cases"]


def golden(case):
    """The recorded arrays of a case, and its images as embeddings whose bbox indices count queries and gallery."""
    arrays = {name.split("/")[1]: GOLDEN[name] for name in GOLDEN.files if name.startswith(f"{case}/")}
    queries, gallery = len(arrays["qf"]), len(arrays["gf"])
    embeddings = Embeddings(
        np.concatenate([arrays["qf"], arrays["gf"]]),
        np.concatenate([arrays["q_pid"], arrays["g_pid"]]),
        np.concatenate([arrays["q_act"], arrays["g_act"]]),
        np.concatenate([np.arange(queries), np.arange(gallery)]),
        np.arange(queries + gallery) < queries,
    )
    return arrays, embeddings


def drawn(seed, actions=7, most=9, dim=6, levels=None, matched=True):
    """Random embeddings in shuffled rows with gaps in their indices; `levels` rounds the vectors, which makes ties."""
    rng = np.random.default_rng(seed)
    person, action, is_query = [], [], []
    for number in rng.choice(50, actions, replace=False):
        count = rng.integers(1, most + 1)
        gallery = rng.integers(100, 100 + max(count // 2, 1), count)
        queries = np.unique(gallery)[: rng.integers(1, 4)] if matched else rng.integers(100, 106, rng.integers(1, 4))
        person += [*queries, *gallery]
        action += [number] * (len(queries) + count)
        is_query += [True] * len(queries) + [False] * count
    bbox = rng.permutation(3 * len(person))[: len(person)]
    rows = rng.permutation(len(person))
    vectors = rng.standard_normal((len(person), dim))
    if levels:
        vectors = np.round(vectors * levels) / levels + 1
    return Embeddings(vectors, *(np.array(array)[rows] for array in (person, action, bbox, is_query)))


def filmed(seed, cameras=3, levels=None, distractors=0.3, junk=0.0, actions=2):
    """Drawn embeddings with cameras, some of whose gallery images show a distractor (0) or nobody (-1)."""
    rng = np.random.default_rng(seed)
    embeddings = drawn(seed, actions, most=30, levels=levels, matched=seed % 2)
    chance = np.where(embeddings.is_query, 1, rng.random(len(embeddings)))
    person = np.where(chance < distractors, 0, embeddings.person)
    person = np.where(chance < junk, -1, person)
    camera = rng.integers(1, cameras + 1, len(embeddings))
    labels = (embeddings.action, embeddings.bbox, embeddings.is_query)
    return Embeddings(embeddings.vectors, person, *labels, camera=camera)


def listed(*queries):
    """Embeddings, one action per query, whose gallery stands at distance 1, 2, ... or at the given distances.

    Each query is a string such as "-+-", its gallery in ranked order with + for a match, or that and distances.
    """
    rows = []
    for number, query in enumerate(queries):
        marks, distances = query if isinstance(query, tuple) else (query, range(1, len(query) + 1))
        rows.append((0.0, 1, number, number, True))
        for place, (mark, distance) in enumerate(zip(marks, distances, strict=True)):
            rows.append((float(distance), 1 if mark == "+" else 2 + place, number, 100 * number + place, False))
    vectors, person, action, bbox, is_query = (np.array(column) for column in zip(*rows, strict=True))
    return Embeddings(vectors[:, None], person, action, bbox, is_query)


def bbox_info(embeddings):
    """SoccerNet's label file for some embeddings, with the entries it has beyond those that are read."""
    info = {"query": {}, "gallery": {}}
    for row in range(len(embeddings)):
        bbox = int(embeddings.bbox[row])
        info["query" if embeddings.is_query[row] else "gallery"][str(bbox)] = {
            "bbox_idx": bbox,
            "action_idx": int(embeddings.action[row]),
            "person_uid": int(embeddings.person[row]),
            "frame_idx": 1,
            "clazz": "Player_team_left",
            "relative_path": "valid/x.png",
        }
    return info


def count_matching(monkeypatch):
    """A list that grows whenever somebody asks a ranking which of its entries are matches, as all scores must."""
    asked = []
    match = vars(Ranking)["match"].func
    monkeypatch.setattr(Ranking, "match", property(lambda ranking: asked.append(ranking) or match(ranking)))
    return asked
