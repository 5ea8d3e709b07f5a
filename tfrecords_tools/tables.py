"""Tables of text whose columns line up: for a terminal, and as Markdown. No imports, so that whatever prints can."""

from collections.abc import Container, Sequence


def aligned(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> str:
    """Return rows as lines of columns, two spaces apart.

    Args:
        rows: cells, as many in each; the names of the columns first, if they have any.
        right: positions of the columns that end alike instead of beginning alike, as numbers do.

    Example:
        >>> print(aligned([["", "mAP"], ["trained", "63.7"], ["random", "9.1"]], right=[1]))
                  mAP
        trained  63.7
        random    9.1
    """
    return "\n".join("  ".join(cells).rstrip() for cells in _padded(rows, right))


def markdown(rows: Sequence[Sequence[str]], right: Container[int] = ()) -> str:
    """Return rows as a Markdown table that lines up as text too, each line ended.

    Args:
        rows: cells, as many in each, the names of the columns first. A `|` in one is escaped.
        right: positions of the columns that are aligned to the right.

    Example:
        >>> print(markdown([["run", "mAP"], ["a|b", "63.7"]], right=[1]), end="")
        | run  |  mAP |
        | ---- | ---: |
        | a\\|b | 63.7 |
    """
    head, *body = _padded([[cell.replace("|", "\\|") for cell in cells] for cells in rows], right, least=2)
    rule = ["-" * (len(cell) - 1) + (":" if column in right else "-") for column, cell in enumerate(head)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *body))


def _padded(rows: Sequence[Sequence[str]], right: Container[int], least: int = 0) -> list[list[str]]:
    """The cells of every row, each as wide as the widest of its column and `least`."""
    widths = [max(least, *map(len, column)) for column in zip(*rows, strict=True)]
    return [
        [cell.rjust(width) if column in right else cell.ljust(width) for column, (cell, width) in enumerate(pairs)]
        for pairs in (list(zip(cells, widths, strict=True)) for cells in rows)
    ]
