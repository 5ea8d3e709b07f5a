"""Foreign text in messages: what libraries say of a damaged file, and names that come from it."""


def one_line(text: object, limit: int = 160) -> str:
    """Return a text as one line that a terminal can show whatever bytes of a file it quotes.

    Args:
        text: an error of a library, or a name.
        limit: length from which on the rest becomes an ellipsis.

    Example:
        >>> one_line("conv1\\n\\x1b[2J")
        'conv1 �[2J'
    """
    words = " ".join(str(text).split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in words)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."
