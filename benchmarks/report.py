"""How long a report of the real valid set's size takes to write and to open, and how large it is.

    python benchmarks/report.py [--facts FOLDER] [--actions 1751] [--drawn 60] [--out FOLDER]

Pictures are drawn synthetically for a few actions and repeated under new numbers, so the pictures come from the disk's
cache. FOLDER holds `valid_action_sizes.npy`, int64 (actions, 2): queries and gallery images of every action; without it
the drawn actions are repeated whole, whose sizes are distributed much alike. The report is opened in Chromium where
there is one.
"""

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from kreid.ranking.embeddings import Embeddings
from kreid.ranking.ordering import rank
from kreid.report.write import write_report
from tfrecords_tools.index import COLUMNS, INDEX_NAME, read_index, write_index
from tfrecords_tools.synthetic.tree import draw
from tfrecords_tools.writer import convert

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))  # for the browser

PAPER = {"system": "Our (two-stream), 10 %", "mAP": 0.637, "rank1": 0.528}


def repeated(index, actions):
    """Rows and people of each action: the drawn ones, over and over."""
    first = np.unique(index.action)
    for number in range(actions):
        rows = np.flatnonzero(index.action == first[number % len(first)])
        yield rows, index.person[rows] + 100_000 * (number // len(first))


def sized(index, sizes):
    """Rows and people of actions of these sizes: any pictures, the first gallery images being the queries' people."""
    queries, gallery = np.flatnonzero(index.is_query), np.flatnonzero(~index.is_query)
    for number, (some, more) in enumerate(sizes):
        rows = [np.resize(np.roll(pool, -7 * number), count) for pool, count in ((queries, some), (gallery, more))]
        yield np.concatenate(rows), 1000 * number + np.concatenate([np.arange(some), np.arange(more)])


def make_records(folder, actions, drawn, sizes):
    """Draw, convert, and repeat in the index: 1,751 actions share the records of a few."""
    draw(folder / "tree", {"valid": min(actions, drawn)})
    convert(folder / "tree", folder / "records", shards=1)
    records = folder / "records" / "valid"
    index = read_index(records)
    columns = {name: [] for name in COLUMNS}
    queries = gallery = 0
    for number, (rows, person) in enumerate(repeated(index, actions) if sizes is None else sized(index, sizes)):
        is_query = index.is_query[rows]
        new = {name: getattr(index, name)[rows] for name in COLUMNS}
        new["action"] = np.full(len(rows), number)
        new["bbox"] = np.where(is_query, queries + np.cumsum(is_query) - 1, gallery + np.cumsum(~is_query) - 1)
        new["person"] = person
        queries, gallery = queries + is_query.sum(), gallery + (~is_query).sum()
        for name, values in new.items():
            columns[name].append(values)
    columns = {name: np.concatenate(values) for name, values in columns.items()}
    shards = {shard.name: shard.stat().st_size for shard in index.shards}
    (records / INDEX_NAME).unlink()
    write_index(records, shards, columns, index.games.tolist(), 1.0, actions - 1)
    return records


def embed(index):
    """Vectors that find a part of the people: one direction per person and three times as much noise."""
    rng = np.random.default_rng(0)
    _, which = np.unique(index.person, return_inverse=True)
    centres = rng.normal(size=(which.max() + 1, 32)).astype(np.float32)
    vectors = centres[which] + 1.5 * rng.normal(size=(len(which), 32)).astype(np.float32)
    return Embeddings(vectors, index.person, index.action, index.bbox, index.is_query)


def measure_opening(path):
    """Seconds until Chromium has parsed the page, until its first pictures stand, and to jump to the list's end."""
    from browser import open_browser

    shown = (
        "new Promise(done => { const look = () => { const all = [...document.querySelectorAll('.slot canvas')];"
        "const drawn = c => c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data[3] > 0;"
        "all.length && all.every(drawn) ? done(true) : setTimeout(look, 5); }; look(); })"
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, open_browser(profile) as page:
        start = time.perf_counter()
        page.open(path)
        loaded = time.perf_counter() - start
        page.run(shown)
        drawn = time.perf_counter() - start
        start = time.perf_counter()
        page.run("window.scrollTo(0, document.body.scrollHeight), new Promise(done => setTimeout(done, 30))")
        page.run(shown)
        return loaded, drawn, time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=Path, help="folder of valid_action_sizes.npy")
    parser.add_argument("--actions", type=int, default=1751)
    parser.add_argument("--drawn", type=int, default=60)
    parser.add_argument("--out", type=Path, help="keep records and page here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        records = folder / "records" / "valid"
        if not records.is_dir():
            sizes = np.load(arguments.facts / "valid_action_sizes.npy") if arguments.facts else None
            actions = arguments.actions if sizes is None else len(sizes)
            records = make_records(folder, actions, arguments.drawn, sizes)
        ranking = rank(embed(read_index(records)))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start, busy = time.perf_counter(), time.process_time()
        path = write_report(ranking, records, folder / "report.html", "Benchmark", paper_row=PAPER)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{len(ranking):,} queries, {len(ranking.images) - len(ranking):,} gallery images")
        print(f"write {seconds:.1f} s ({busy:.1f} s of one core), {more:.0f} MiB more memory")
        print(f"file {path.stat().st_size / 1e6:.1f} MB")
        if shutil.which("chromium"):
            loaded, drawn, jumped = measure_opening(path)
            print(
                f"open {loaded:.2f} s, first pictures after {drawn:.2f} s, last query of the list {jumped:.2f} s later"
            )


if __name__ == "__main__":
    main()
