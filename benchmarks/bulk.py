"""What a pipeline costs beside the local commands, on the processes of one machine; python benchmarks/bulk.py.

    python benchmarks/bulk.py [--images 6000] [--embedded 400] [--config configs/osnet.yaml] [--workers 2]

Drawn thumbnails of the real size mix become records, and some of these become vectors, by the local command and by
Beam's DirectRunner with one process and with several. Start and end of each command count; the best of two rounds.
Needs `pip install 'kreid[beam]'`.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from convert import run, tree_of

CONVERT = "from tfrecords_tools.cli import main; main()"
EMBED = "from kreid.cli.embed import main; main()"
SEVERAL = "--direct_running_mode=multi_processing"


def ways(workers: int) -> dict[str, list[str]]:
    """Name -> what is added to the local command."""
    runner = ["--runner", "DirectRunner"]
    return {
        "the local command": [],
        "DirectRunner": runner,
        f"DirectRunner, {workers} processes": [*runner, "--", SEVERAL, f"--direct_num_workers={workers}"],
    }


def table(work: Path, command: list[object], out: list[str], suffix: str, images: int, workers: int) -> None:
    """Print images a second of one command, each way."""
    print(f"\n{images:,} images\n\n| by | images/s | seconds |\n|---|---|---|", flush=True)
    for name, added in ways(workers).items():
        best = float("inf")
        for number in range(2):
            place = work / f"out-{number}"
            written = place if added else place / f"x{suffix}" if suffix else place
            best = min(best, run(sys.executable, "-c", *command, *out, written, *added)[0])
            shutil.rmtree(place)
        print(f"| {name} | {images / best:,.0f} | {best:.1f} |", flush=True)


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--embedded", type=int, default=400)
    parser.add_argument("--config", type=Path, default=Path("configs/osnet.yaml"))
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from kreid import runs
    from kreid.config.loading import dump, load_config
    from kreid.models.embedders import build_model
    from tfrecords_tools import synthetic, writer

    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        synthetic.draw(work / "drawn", {"train": 60})
        files = sorted((work / "drawn").rglob("*.png"))
        root = tree_of(work / "set", files, given.images, shutil.copyfile)
        table(work, [CONVERT, root], [], "", given.images, given.workers)
        few = tree_of(work / "few", files, given.embedded, shutil.copyfile)
        writer.convert(few, work / "records", shards=2 * given.workers)
        config = load_config(given.config)
        (work / "run").mkdir()
        (work / "run" / runs.CONFIG).write_text(dump(config), encoding="utf-8")
        build_model(config.model, pretrained=False).save_weights(work / "run" / runs.WEIGHTS)
        table(work, [EMBED, work / "run", work / "records/train"], ["--out"], ".npz", given.embedded, given.workers)


if __name__ == "__main__":
    main()
