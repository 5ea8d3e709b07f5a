"""Builds the site: pages as they stand and pages made from the code, through Zensical, then checked as HTML.

`make docs` is `python -m website.build`. Nothing is fetched, by the build or by a reader: fonts are the system's,
figures are drawn here, search runs in the browser.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from website import api, commands, drawing, figures, keys, shipped
from website.faults import faults
from website.paths import PAGES, ROOT, SITE, STAGED

# What Zensical's offline mode would fetch to search a page that was opened as a file; ours stands in its place.
SHIM = "https://unpkg.com/iframe-worker/shim"
# Code in running text, which in blocks ends with the block; and words of it with a hyphen that fit a phone's line.
_IN_LINE = re.compile(r"(?<=<code>)[^<]+(?=</code>(?!</pre>))")
_HYPHENED = re.compile(r"(?<!\S)(?=\S*-)\S{2,36}(?!\S)")
_FIGURE = re.compile(r"^!\[[^\]]*\]\((?:\.\./)*figures/(\w+)\.svg\)$", re.M)


def main() -> None:
    """Build the site, or leave with what is wrong with it."""
    stage()
    command = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--strict",
        "--clean",
        "--config-file",
        str(ROOT / "zensical.toml"),
    ]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"})
    if done.returncode:
        raise SystemExit(done.returncode)
    bring_home(SITE)
    found = faults(SITE)
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    if found:
        raise SystemExit(1)
    print(SITE / "index.html")


def stage() -> None:
    """Lay out what Zensical reads: docs/, with figures inside their pages, and what is made from the code."""
    shutil.rmtree(STAGED, ignore_errors=True)
    shutil.copytree(PAGES, STAGED)
    for path in STAGED.rglob("*.md"):
        path.write_text(with_figures(path.read_text(encoding="utf-8")), encoding="utf-8")
    for name, text in made_pages().items():
        path = STAGED / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assets = Path(__file__).parent / "assets"
    shutil.copytree(assets, STAGED / "assets")
    light, dark = map(drawing.colour_rules, (0, 1))
    rules = f'.figure {{ {light} }}\n[data-md-color-scheme="slate"] .figure {{ {dark} }}\n'
    style = STAGED / "assets" / "style.css"
    style.write_text(style.read_text(encoding="utf-8") + rules, encoding="utf-8")


def made_pages() -> Mapping[str, str]:
    """Pages that are made from the code, and those that lie elsewhere in the project, by their paths."""
    elsewhere = {
        "contributing.md": "CONTRIBUTING.md",
        "changelog.md": "CHANGELOG.md",
        "measured.md": "benchmarks/results.md",
    }
    return {
        "reference/configuration.md": keys.page(),
        "reference/commands.md": commands.page(),
        "reference/shipped.md": shipped.page(),
        **api.pages(),
        **{name: (ROOT / path).read_text(encoding="utf-8") for name, path in elsewhere.items()},
    }


def with_figures(text: str) -> str:
    """A page with its figures as part of it, so that they follow the page's light and dark."""
    return _FIGURE.sub(lambda found: f'<div class="figure-frame">{figures.ALL[found[1]]().inline()}</div>', text)


def bring_home(site: Path) -> None:
    """Put our own script where a page would fetch one from elsewhere, and keep names in one line."""
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        up = "../" * (len(path.relative_to(site).parts) - 1)
        text = with_whole_names(text.replace(f'"{SHIM}"', f'"{up}assets/file_worker.js"'))
        path.write_text(text, encoding="utf-8")


def with_whole_names(html: str) -> str:
    """A page whose lines do not end behind a hyphen of `--option` or `kreid-train` in running text."""
    return _IN_LINE.sub(lambda found: _HYPHENED.sub(r'<span class="whole">\g<0></span>', found[0]), html)


if __name__ == "__main__":
    main()
