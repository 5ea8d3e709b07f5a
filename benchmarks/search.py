"""What exact search costs beside the matrix of all distances and beside faiss.

    python benchmarks/search.py [--queries 64] [--rows 340993 1000000] [--dim 512] [--k 10]

The gallery lies in a file, as kreid-embed leaves it, and vectors are random. Every line runs in a process of its own,
one after the other; times are the best of three runs, memory the arrays that a first run allocates beyond the gallery.
The full matrix is what NumPy users write: all distances, all rows sorted, the first k kept. faiss is measured where
faiss-cpu is installed. Absolute times are this machine's; the ratios are what to compare.
"""

import argparse
import importlib.util
import multiprocessing
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from kreid.ranking.neighbours import search

_BLOCK = 65536  # rows drawn at a time


def draw(path: Path, rows: int, dim: int) -> None:
    """Write (rows, dim) random float32 unit vectors, a block at a time."""
    rng = np.random.default_rng(0)
    gallery = np.lib.format.open_memmap(path, "w+", np.float32, (rows, dim))
    for start in range(0, rows, _BLOCK):
        part = rng.standard_normal((min(_BLOCK, rows - start), dim), dtype=np.float32)
        gallery[start : start + _BLOCK] = part / np.linalg.norm(part, axis=1, keepdims=True)
    gallery.flush()


def full_matrix(queries: np.ndarray, gallery: np.ndarray, k: int) -> np.ndarray:
    """All distances, all rows sorted."""
    distances = (queries**2).sum(axis=1)[:, None] + (gallery**2).sum(axis=1) - 2 * queries @ gallery.T
    return np.argsort(distances, axis=1)[:, :k]


def products(queries: np.ndarray, gallery: np.ndarray, k: int) -> None:
    """The matrix products of a blockwise search and nothing else: what any exact search must spend."""
    for start in range(0, len(gallery), 32768):
        queries @ gallery[start : start + 32768].T


def faiss_alone(queries: np.ndarray, gallery: np.ndarray, k: int) -> np.ndarray:
    """faiss's exact search over the array as it is."""
    import faiss

    return faiss.knn(queries, gallery, k)[1]


def blockwise(queries: np.ndarray, gallery: np.ndarray, k: int, backend: str = "numpy") -> np.ndarray:
    """kreid's search."""
    return search(queries, gallery, k, backend=backend).index


# name -> what it does, and whether the gallery is a memory map
LINES: dict[str, tuple[Callable[..., np.ndarray | None], bool]] = {
    "kreid, memory map": (blockwise, True),
    "kreid": (blockwise, False),
    "products alone": (products, False),
    "full matrix, sorted": (full_matrix, False),
    "kreid, faiss": (partial(blockwise, backend="faiss"), True),
    "faiss alone": (faiss_alone, False),
}


def measure(name: str, path: Path, queries: int, k: int) -> tuple[float, float, float, list[list[int]] | None]:
    """Best wall and processor seconds, peak MB of arrays, and the rows found, if any."""
    work, mapped = LINES[name]
    gallery = np.load(path, mmap_mode="r" if mapped else None)
    rng = np.random.default_rng(1)
    wanted = gallery[:: len(gallery) // queries][:queries] + 0.02 * rng.standard_normal(
        (queries, gallery.shape[1]), dtype=np.float32
    )
    tracemalloc.start()
    index = work(wanted, gallery, k)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    times = []
    for _ in range(3):
        wall, busy = time.perf_counter(), time.process_time()
        work(wanted, gallery, k)
        times.append((time.perf_counter() - wall, time.process_time() - busy))
    return *map(min, zip(*times, strict=True)), peak, None if index is None else index.tolist()


def main() -> None:
    """Measure line by line and print a table for each gallery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=64)
    parser.add_argument("--rows", type=int, nargs="+", default=[340_993, 1_000_000], help="gallery sizes")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--k", type=int, default=10)
    arguments = parser.parse_args()
    names = [name for name in LINES if "faiss" not in name or importlib.util.find_spec("faiss")]
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "gallery.npy"
            draw(path, rows, arguments.dim)
            print(f"{arguments.queries} queries, {rows:,} x {arguments.dim}, {path.stat().st_size / 1e6:,.0f} MB")
            print(f"{'':<24}{'s':>8}{'ratio':>8}{'cpu s':>8}{'ratio':>8}{'peak MB':>10}  rows")
            first = None
            for name in names:
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                    result = pool.submit(measure, name, path, arguments.queries, arguments.k).result()
                wall, busy, peak, index = result
                first = first or result
                same = index and np.mean([set(one) == set(other) for one, other in zip(index, first[3], strict=True)])
                found = f"{same:.0%} as kreid" if index else ""
                times = f"{wall:>8.2f}{wall / first[0]:>8.2f}{busy:>8.2f}{busy / first[1]:>8.2f}"
                print(f"{name:<24}{times}{peak:>10.0f}  {found}", flush=True)


if __name__ == "__main__":
    main()
