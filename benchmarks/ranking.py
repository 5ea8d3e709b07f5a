"""What ranking costs at the real valid set's size, beside one query x gallery matrix; python benchmarks/ranking.py.

    python benchmarks/ranking.py [--facts FOLDER] [--dim 512] [--no-dense]

FOLDER holds `valid_action_sizes.npy`, int64 (actions, 2): queries and gallery images of every action. Without it sizes
are drawn with like medians and sums. Vectors are random. Every line runs in a process of its own; time is the best of
three runs after a first one, whose allocations beyond the embeddings give the peak. The dense reference ranks as
SoccerNet's development kit does, through the matrix of all distances; it runs once and needs about 10 GB; the
sorted matrix is there already when its ranking file is written. Re-ranking has no such peer: the kit's wants a matrix
of all images with all images, 8.5 GB a copy.

The last lines are of Market-1501's size and protocol: 3,368 queries and 19,732 gallery images, 3,819 of them
distractors, in one action and on six cameras. Its reference scores as torchreid does, from the sorted matrix.

The goals on two cores: evaluation under 0.5 s and 300 MB, the ranking file under 2 s, re-ranking under 10 s; across
cameras no more than `kreid.ranking.ordering.MEMORY`, and at most twice the time of the reference, which holds float32.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.files import score, write
from kreid.ranking.lists import Ranking
from kreid.ranking.ordering import figures_of, rank, rank_by
from kreid.ranking.reranking import expand_queries, rerank
from kreid.ranking.scores import evaluate
from kreid.ranking.statistics import compare, intervals


def action_sizes(facts: Path | None) -> np.ndarray:
    """(actions, 2) numbers of query and gallery images."""
    if facts:
        return np.load(facts / "valid_action_sizes.npy")
    rng = np.random.default_rng(0)
    gallery = np.clip(np.round(rng.lognormal(np.log(18), 0.45, 1751)), 1, 81)
    queries = np.clip(np.round(gallery * rng.uniform(0.15, 0.55, 1751)), 1, 21)
    return np.stack([queries, gallery], axis=1).astype(np.int64)


def draw_embeddings(sizes: np.ndarray, dim: int) -> Embeddings:
    """Unit vectors around a centre per person; every query has a match."""
    rng = np.random.default_rng(0)
    person, offset = [], 0
    for queries, gallery in sizes:
        person.append((offset + np.arange(queries), offset + np.arange(gallery) % max(queries, gallery * 6 // 7)))
        offset += queries + gallery
    person = np.concatenate([np.concatenate(part) for part in zip(*person, strict=True)])
    queries, gallery = sizes.sum(axis=0)
    action = np.concatenate([np.repeat(np.arange(len(sizes)), column) for column in sizes.T])
    vectors = rng.standard_normal((person.max() + 1, dim), dtype=np.float32)[person]
    vectors += 3 * rng.standard_normal(vectors.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    bbox = np.concatenate([np.arange(queries), np.arange(gallery)])
    return Embeddings(vectors, person, action, bbox, np.arange(queries + gallery) < queries)


def draw_market(dim: int) -> Embeddings:
    """One action of Market-1501's size, on six cameras."""
    rng = np.random.default_rng(0)
    queries, boxes, distractors = 3368, 15913, 3819
    count = queries + boxes + distractors
    is_query = np.arange(count) < queries
    person = np.where(np.arange(count) < queries + boxes, rng.integers(1, 751, count), 0)
    vectors = rng.standard_normal((751, dim), dtype=np.float32)[person]
    vectors += 3 * rng.standard_normal(vectors.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    action, camera = np.zeros(count, np.int64), rng.integers(1, 7, count)
    return Embeddings(vectors, person, action, np.arange(count), is_query, camera=camera)


def dense_cross_camera(embeddings: Embeddings) -> dict[str, float]:
    """Scores from one matrix of all distances, of which each query's row drops its own person on its own camera."""
    rows, order = dense_order(embeddings)
    person, camera = (getattr(embeddings, name)[rows[1]] for name in ("person", "camera"))
    precisions = []
    for number, row in enumerate(rows[0]):
        match = person[order[number]] == embeddings.person[row]
        kept = match[~(match & (camera[order[number]] == embeddings.camera[row]))]
        places = np.flatnonzero(kept) + 1
        if len(places):
            precisions.append((np.arange(1, len(places) + 1) / places).mean())
    return {"mAP": float(np.mean(precisions))}


def dense_order(embeddings: Embeddings) -> tuple[list[np.ndarray], np.ndarray]:
    """The development kit's way: all distances, all rows sorted. Rows of queries and gallery, and the sorted matrix."""
    rows = [np.flatnonzero(embeddings.is_query), np.flatnonzero(~embeddings.is_query)]
    queries, gallery = (embeddings.vectors[part] for part in rows)
    distances = (queries**2).sum(axis=1)[:, None] + (gallery**2).sum(axis=1) - 2 * queries @ gallery.T
    return rows, np.argsort(distances, axis=1)


def dense_evaluate(embeddings: Embeddings) -> dict[str, float]:
    """Scores from the matrix: other actions are dropped query by query."""
    rows, order = dense_order(embeddings)
    person, action = embeddings.person[rows[1]], embeddings.action[rows[1]]
    matches = (person[order] == embeddings.person[rows[0]][:, None]).astype(np.int32)
    precisions, firsts = [], []
    for number, row in enumerate(rows[0]):
        match = matches[number][action[order[number]] == embeddings.action[row]]
        places = np.flatnonzero(match) + 1
        if len(places):
            precisions.append((np.arange(1, len(places) + 1) / places).mean())
            firsts.append(places[0] == 1)
    return {"mAP": float(np.mean(precisions)), "rank1": float(np.mean(firsts))}


def dense_write(embeddings: Embeddings, rows: list[np.ndarray], order: np.ndarray, path: Path) -> None:
    """The ranking file from the matrix."""
    bbox, action = embeddings.bbox[rows[1]], embeddings.action[rows[1]]
    lists = {}
    for number, row in enumerate(rows[0]):
        own = order[number][action[order[number]] == embeddings.action[row]]
        lists[str(embeddings.bbox[row])] = bbox[own].tolist()
    path.write_text(json.dumps(lists))


def measured(work: Callable[[], object], repeats: int) -> tuple[float, float, float, object]:
    """Best wall and processor seconds, peak MB of a first run, its result; a first run that is the only one counts."""
    tracemalloc.start()
    times = [timed(work)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    result = times[0][2]
    times = [timed(work) for _ in range(repeats)] or times
    return min(wall for wall, _, _ in times), min(cpu for _, cpu, _ in times), peak / 1e6, result


def timed(work: Callable[[], object]) -> tuple[float, float, object]:
    """Wall seconds, processor seconds and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def prepared(name: str, embeddings: Embeddings) -> Callable[[], object]:
    """What a line of the table measures; its preparation is not in the figures."""
    if name in MARKET:
        return {
            "cross-camera figures": lambda: evaluate(figures_of(embeddings, protocol="cross_camera")),
            "cross-camera, nearest 100 listed": lambda: rank(embeddings, protocol="cross_camera", nearest=100),
            "cross-camera, dense matrix": lambda: dense_cross_camera(embeddings),
        }[name]
    path = Path(tempfile.mkdtemp()) / "ranking.json"
    if name == "ranking file, dense matrix":
        return partial(dense_write, embeddings, *dense_order(embeddings), path)
    ranking = rank(embeddings)
    write(ranking, path)
    return {
        "evaluation": lambda: evaluate(rank(embeddings)),
        "evaluation, cosine": lambda: evaluate(rank(embeddings, "cosine")),
        "evaluation, dense matrix": lambda: dense_evaluate(embeddings),
        "evaluation, re-ranked": lambda: evaluate(rerank(embeddings)),
        "evaluation, expanded queries": lambda: evaluate(rank(expand_queries(embeddings))),
        "ranking file written": lambda: write(ranking, path),
        "ranking file scored": lambda: score(path, embeddings),
        "intervals, 2,000 resamples": lambda: intervals(ranking),
        "two runs compared": lambda: compare(ranking, rank_by_chance(ranking)),
    }[name]


def rank_by_chance(ranking: Ranking) -> Ranking:
    """A random ranking of the same images."""
    rng = np.random.default_rng(0)
    return rank_by(ranking.images, lambda query, gallery: rng.random((len(query), len(gallery))))


LINES = (
    "evaluation",
    "evaluation, cosine",
    "evaluation, dense matrix",
    "evaluation, re-ranked",
    "evaluation, expanded queries",
    "ranking file written",
    "ranking file, dense matrix",
    "ranking file scored",
    "intervals, 2,000 resamples",
    "two runs compared",
)

MARKET = ("cross-camera figures", "cross-camera, nearest 100 listed", "cross-camera, dense matrix")

PEERS = {
    "evaluation, dense matrix": "evaluation",
    "ranking file, dense matrix": "ranking file written",
    "cross-camera, dense matrix": "cross-camera figures",
}


def line(name: str, sizes: np.ndarray, dim: int) -> tuple[float, float, float, float | None]:
    """Wall and processor seconds, peak MB and mAP of one line."""
    embeddings = draw_market(dim) if name in MARKET else draw_embeddings(sizes, dim)
    *figures, result = measured(prepared(name, embeddings), 0 if "dense" in name else 3)
    scored = isinstance(result, dict) and isinstance(result["mAP"], float)
    return *figures, result["mAP"] if scored else None


def main() -> None:
    """Measure line by line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--facts", type=Path, help="folder of valid_action_sizes.npy")
    parser.add_argument("--dim", type=int, default=512, help="width of the embeddings (512)")
    parser.add_argument("--no-dense", action="store_true", help="leave the references out, of which one takes 9 GB")
    arguments = parser.parse_args()
    sizes = action_sizes(arguments.facts)
    queries, gallery = sizes.sum(axis=0)
    pairs = np.prod(sizes, axis=1).sum()
    print(f"{queries:,} queries, {gallery:,} gallery images, {len(sizes):,} actions, {pairs:,} pairs")
    print(f"{'':<38}{'s':>8}{'cpu s':>8}{'peak MB':>10}{'mAP':>8}")
    figures = {}
    for name in (*LINES, *MARKET):
        if arguments.no_dense and "dense" in name:
            continue
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            wall, cpu, peak, precision = figures[name] = pool.submit(line, name, sizes, arguments.dim).result()
        shown = "" if precision is None else f"{100 * precision:.2f}"
        print(f"{name:<38}{wall:>8.3f}{cpu:>8.3f}{peak:>10.0f}{shown:>8}", flush=True)
    for dense, ours in PEERS.items() if not arguments.no_dense else ():
        wall, cpu, peak = np.divide(figures[dense][:3], figures[ours][:3])
        print(f"{dense} / {ours}: time {wall:.0f}, processor time {cpu:.0f}, memory {peak:.0f}")


if __name__ == "__main__":
    main()
