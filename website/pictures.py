"""The pictures of the pages that are of a trained network: `make demo`, then `python -m website.pictures`.

Draws docs/synthetic.png, players of the set; docs/look.png, what makes two pictures of one of them alike; and
docs/report.png, the top of the report as Chromium shows it. The figures of a demonstration differ between machines, and
so do these: they are drawn anew where the report's look or the README's figures change.
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from website.paths import PAGES, ROOT

if TYPE_CHECKING:
    from kreid.ranking.lists import Ranking

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_REPORT = (1280, 1636)  # pixels: the report down to its first queries
_ROWS, _COLUMNS, _HEIGHT = 3, 16, 96  # of the players: a row is of one action
_PATIENCE = 10_000  # milliseconds of the page's own time, for its pictures to stand


def players(images: Path) -> Image.Image:
    """Draw some players of a drawn split: a row is of one action, and the actions are spread over its matches."""
    from tfrecords_tools.naming import parse_name
    from tfrecords_tools.synthetic import sheet

    named = sorted(((parse_name(path.name), path) for path in images.rglob("*.png")), key=lambda pair: pair[0].bbox)
    rows: dict[int, list[Path]] = {}
    for name, path in named:
        rows.setdefault(name.action, []).append(path)
    full = [rows[action] for action in sorted(rows) if len(rows[action]) >= _COLUMNS]
    chosen = full[:: max(1, len(full) // _ROWS)][:_ROWS]
    return sheet([path for row in chosen for path in row[:_COLUMNS]], _COLUMNS, _HEIGHT)


def alike(run: Path, records: Path) -> Image.Image:
    """Draw what makes a query and its nearest image, of the same person, alike for a run's network."""
    import kreid
    from kreid.data.images import resize
    from kreid.data.records import find_records, read_fields
    from kreid.look.sheets import make_view, pair_picture
    from kreid.look.viewer import Viewer
    from kreid.runs.folder import load_config_of
    from tfrecords_tools.formats import as_rgb, open_image
    from tfrecords_tools.index import read_index

    model, index = kreid.load_model(run), read_index(records)
    ranking = kreid.rank(kreid.embed(model, records))
    places = find_records(ranking.images, index)
    height = np.concatenate([fields["height"] for fields in read_fields(index, places)])
    first, second = clearest(ranking, height)
    viewer = Viewer(model, load_config_of(run).model)
    pixels = []
    for fields in read_fields(index, places[[first, second]]):
        for data in fields["image"]:
            with open_image(data) as image:
                pixels.append(np.asarray(as_rgb(image)))
    names = ("query.png", "replay.png")
    views = [make_view(name, image, viewer.image_size) for name, image in zip(names, pixels, strict=True)]
    seen = viewer.see(np.stack([resize(image, viewer.image_size) for image in pixels]))
    return pair_picture(views, viewer.compare(*seen), viewer.note)


def clearest(ranking: "Ranking", height: np.ndarray) -> tuple[int, int]:
    """Return the rows of a query and of its nearest image where both are of one person: of such pairs the most alike.

    Args:
        ranking: every query has a gallery.
        height: of each row's image, in pixels; where an image of the pair is lower than others mostly are, it is not
            taken.
    """
    nearest = ranking.gallery[ranking.offsets[:-1]]
    high = np.minimum(height[ranking.query], height[nearest]) >= np.median(height)
    right = ranking.images.person[ranking.query] == ranking.images.person[nearest]
    best = int(np.where(high & right, ranking.distance[ranking.offsets[:-1]], np.inf).argmin())
    return int(ranking.query[best]), int(nearest[best])


def screen(page: Path, size: tuple[int, int] = _REPORT) -> Image.Image:
    """Show a page in Chromium, without a window, and return its top."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        raise SystemExit(
            f"no browser: none of {', '.join(_BROWSERS)} is installed; on Debian: apt-get install chromium"
        )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        taken = Path(folder, "screen.png")
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")
        asked = (f"--window-size={size[0]},{size[1]}", f"--virtual-time-budget={_PATIENCE}", f"--screenshot={taken}")
        line = [browser, *options, f"--user-data-dir={folder}/profile", *asked, page.resolve().as_uri()]
        subprocess.run(line, check=True, capture_output=True, timeout=120)
        with Image.open(taken) as image:
            return image.convert("RGB")


def main() -> None:
    """Draw them all."""
    parser = argparse.ArgumentParser(description="Draw docs/synthetic.png, look.png and report.png from `make demo`.")
    parser.add_argument("demo", type=Path, nargs="?", default=ROOT / "demo", help="the folder that make demo has left")
    parser.add_argument("--out", type=Path, default=PAGES, help="where to")
    arguments = parser.parse_args()
    demo, out = arguments.demo, arguments.out
    if not (demo / "report.html").is_file():
        raise SystemExit(f"{demo / 'report.html'}: no such file; run make demo first")
    pictures = {
        "report": screen(demo / "report.html"),
        "synthetic": players(demo / "soccernet" / "reid" / "test"),
        "look": alike(demo / "run", demo / "records" / "test"),
    }
    for name, picture in pictures.items():
        picture.quantize(256).save(out / f"{name}.png", optimize=True)
        print(out / f"{name}.png")


if __name__ == "__main__":
    main()
