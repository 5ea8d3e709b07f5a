"""The page of the configurations that come with the project: what their heads say as a table, and each as it stands."""

import re
from pathlib import Path

from website.paths import ROOT
from website.tables import table

_COST = re.compile(r"^# Cost: ([\d.]+ M) parameters, ([\d.]+) GMACs an image, embedding of (\d+)\.$", re.M)
_WEIGHTS = re.compile(r"^# Weights: (.*?)(?=\n# Measured: )", re.M | re.S)
_PAPER = re.compile(r"([\d.]+ / [\d.]+)(?: trained)? on (10|2) %")


def page() -> str:
    """Every file below configs/, as a page of Markdown."""
    lines = [
        "# Shipped configurations",
        "",
        "Parameters and 10⁹ multiply-accumulates (GMACs) are of one image of 256 x 128 (`demo`: 64 x 32), without "
        "classifier. The paper's columns are mAP / rank-1 on SoccerNet-v3's test split after training on 10 % and on "
        "2 % of the actions; nothing here was trained on SoccerNet by us.",
        "",
    ]
    paths = sorted((ROOT / "configs").rglob("*.yaml"), key=lambda path: (len(path.parts), path.name))
    head = ("configuration", "parameters", "GMACs", "embedding", "paper, 10 %", "paper, 2 %")
    lines += [table(head, [row for path in paths if (row := _row(path))]), ""]
    lines += ["What each starts from:", ""]
    lines += [f"- `{path.stem}`: {found}" for path in paths if (found := weights_of(path))]
    lines += [""]
    for path in paths:
        lines += [f"## {_name(path)}", "", "```yaml", path.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines)


def weights_of(path: Path) -> str:
    """What the head of a configuration says of the weights to start from, on one line; "" where it says nothing."""
    found = _WEIGHTS.search(path.read_text(encoding="utf-8"))
    return re.sub(r"\n# ?", " ", found[1]) if found else ""


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _row(path: Path) -> list[str] | None:
    """What the head of a configuration says of cost and paper; None of a space to tune in."""
    text = path.read_text(encoding="utf-8")
    cost = _COST.search(text)
    if not cost:
        return None
    paper = {share: row for row, share in _PAPER.findall(text)}
    anchor = re.sub(r"[^\w-]", "", _name(path))
    return [f"[`{path.stem}`](#{anchor})", *cost.groups(), paper.get("10", "–"), paper.get("2", "–")]
