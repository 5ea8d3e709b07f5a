"""The error of a user's mistake, and foreign text in messages. No imports: whatever fails can say so."""


class ConfigError(ValueError):
    """A wrong argument or configuration: a command ends with exit code 2, where another `ValueError` means 1, bad data.

    Example:
        >>> raise ConfigError("--fraction: expected a number in (0, 1], received 1.5")
    """


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
