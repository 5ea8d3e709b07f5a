"""The page of the configurations that come with the project, each as it stands."""

from website.paths import ROOT


def page() -> str:
    """Every file below configs/, as a page of Markdown."""
    lines = [
        "# Shipped configurations",
        "",
        "The head of each says the command, the paper's row, the weights, what was measured, and the cost.",
        "",
    ]
    for path in sorted((ROOT / "configs").rglob("*.yaml"), key=lambda path: (len(path.parts), path.name)):
        name = path.relative_to(ROOT).as_posix()
        lines += [f"## {name}", "", "```yaml", path.read_text(encoding="utf-8").rstrip(), "```", ""]
    return "\n".join(lines)
