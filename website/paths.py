"""Where things are that the site is made of, and where it goes."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs"
FIGURES = PAGES / "figures"
STAGED = ROOT / "build" / "pages"
SITE = ROOT / "build" / "site"
