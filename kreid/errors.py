"""The errors of kreid's own, and what is said of an argument that is of another kind than asked for."""

from numbers import Integral, Real
from os import PathLike

from tfrecords_tools.errors import ConfigError, one_line

__all__ = ["ConfigError", "DivergedError", "check_function", "check_kind", "check_number", "check_path", "received"]

# By class, what to do where something else was given. Words alone: this room imports none of them.
_INSTEAD = {
    "Config": "give kreid.load_config(path), or kreid.config.as_config(sections)",
    "Curve": "give kreid.ranking.roc(embeddings)",
    "Embeddings": "give what kreid.embed returned, or kreid.Embeddings(vectors, person, action, bbox, is_query)",
    "Evaluation": "give the evaluation section of a configuration, such as kreid.load_config('demo').evaluation",
    "Images": "give the labels alone, such as embeddings.images",
    "Model": "give kreid.load_model(run), or kreid.build_model(config.model)",
    "QueryFigures": "give kreid.ranking.figures_of(embeddings)",
    "Ranking": "give kreid.rank(embeddings)",
    "Results": "give what kreid.match returned",
    "Seen": "give what `see` returned",
    "Space": "give kreid.read_space(path, config)",
}


class DivergedError(ValueError):
    """A training whose loss or gradient is not finite: its configuration is at fault, not its data or machine."""


def received(value: object) -> str:
    """Return words for what was received: a text, number or path as it stands, of anything else the class.

    Example:
        >>> received("records/test"), received(None), received([1, 2])
        ("'records/test'", 'None', 'a list')
    """
    if value is None or isinstance(value, str | int | float):
        return one_line(repr(value), 80)
    if isinstance(value, PathLike):
        return one_line(repr(str(value)), 80)
    name, shape = type(value).__name__, getattr(value, "shape", None)
    of = f" of shape {shape}" if isinstance(shape, tuple) else ""
    return f"{'an' if name[0] in 'AEIOaeio' or name == 'ndarray' else 'a'} {name}{of}"


def check_kind(name: str, value: object, *kinds: type) -> None:
    """Complain of an argument that is none of some classes, and say how one gets the first of them.

    Args:
        name: of the argument.
        value: what was given.
        kinds: the classes, the usual one first.

    Raises:
        ConfigError: it is none of them.

    Example:
        >>> check_kind("ranking", embeddings, Ranking)
        ConfigError: ranking: expected a Ranking, received an Embeddings; give kreid.rank(embeddings)
    """
    if not isinstance(value, kinds):
        names = [kind.__name__ for kind in kinds]
        expected = " or ".join(f"{'an' if word[0] in 'AEIO' else 'a'} {word}" for word in names)
        raise ConfigError(f"{name}: expected {expected}, received {received(value)}; {_INSTEAD[names[0]]}")


def check_path(name: str, value: object, what: str, instead: str = "") -> None:
    """Complain of an argument that is no path.

    Args:
        name: of the argument.
        value: what was given.
        what: there is to be at the path, such as "the folder of a run".
        instead: what to do with what some give in its place.

    Raises:
        ConfigError: it is neither a text nor a `pathlib.Path`.
    """
    if not isinstance(value, str | PathLike):
        advice = f"; {instead}" if instead else ""
        raise ConfigError(f"{name}: expected the path of {what}, received {received(value)}{advice}")


def check_number(name: str, value: object, whole: bool = True) -> None:
    """Complain of an argument that is no number; what may be left out is asked for by the caller.

    Args:
        name: of the argument.
        value: what was given; numbers of NumPy count, True and False do not.
        whole: whether it has to be a whole one.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise ConfigError(f"{name}: expected a {'whole ' if whole else ''}number, received {received(value)}")


def check_function(name: str, value: object, of: str) -> None:
    """Complain of an argument that cannot be called.

    Args:
        name: of the argument.
        value: what was given.
        of: what it is called with.

    Raises:
        ConfigError: it is none.
    """
    if not callable(value):
        raise ConfigError(f"{name}: expected a function of {of}, received {received(value)}")
