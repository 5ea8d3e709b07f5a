"""What a search may try: dotted keys of a configuration and their values, one YAML, checked like a configuration.

model.heads.layers: {choice: [[conv5], [conv4, conv5]]}
model.heads.dim: {low: 128, high: 512, step: 128}
loss.margin: {low: 0.1, high: 0.5}
loss.head_weight: {low: 0.1, high: 2.0, log: true}
"""

import copy
import difflib
import functools
import itertools
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from kreid.config.dotted import set_key
from kreid.config.loading import check, complaints, known_keys, load_tree, place_of, read_yaml
from kreid.config.needs import NEEDS, is_met
from kreid.config.sections import Config
from kreid.config.values import Integer, Number, Positive, Section
from kreid.errors import ConfigError, check_path

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# They say which images are trained on and scored, or which draw of luck is: trials are compared under one value.
FIXED = ("data.fraction", "train.seed", "train.validate_every", "train.validate_actions")
# No score depends on them: a trial is scored by the plain ranking, and training counts the classes itself.
IDLE = (
    "evaluation",
    "model.num_classes",
    "model.num_roles",
    "model.num_jerseys",
    "train.keep",
    "train.checkpoint_minutes",
    "train.log_steps",
    "train.pictures",
    "train.histograms",
    "train.worker_minutes",
)
_DRAWS = 200  # combinations looked at for one that is a valid configuration
_SUCH_AS = "`loss.margin: {low: 0.1, high: 0.5}`"


class Choice(Section):
    """One of several values, of any kind that YAML has."""

    choice: Annotated[tuple[Any, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_value_twice(self) -> Self:
        twice = [value for number, value in enumerate(self.choice) if value in self.choice[:number]]
        if twice:
            raise ValueError(f"{twice[0]} is given twice; keep one")
        return self

    def values(self) -> Sequence[Any]:
        """Every value there is."""
        return self.choice

    def samples(self) -> Sequence[Any]:
        """The values to check before anything runs."""
        return self.choice


class Range(Section):
    """A number from `low` to `high`, both included, by `step` where one is given, drawn evenly or by its logarithm."""

    low: Number
    high: Number
    step: Annotated[Number, Field(gt=0)] | None = None
    log: bool = False

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step):
            raise ValueError("log needs a low above 0 and no step")
        steps = (self.high - self.low) / self.step if self.step else 0
        if not math.isclose(steps, round(steps), abs_tol=1e-9):
            raise ValueError("high must be low plus a multiple of step")
        return self

    def values(self) -> Sequence[Any] | None:
        """Every value there is; None where there are endlessly many."""
        if self.step is None:
            return None
        return [self.low + number * self.step for number in range(round((self.high - self.low) / self.step) + 1)]

    @property
    def inside(self) -> float:
        """A number between the ends that is no whole one."""
        return self.low + (self.high - self.low) / math.pi

    def samples(self) -> Sequence[Any]:
        """The values to check before anything runs: the ends and one between, for a key may take 0 and 1 alone."""
        return [self.low, self.low + self.step if self.step else self.inside, self.high]


class WholeRange(Range):
    """A range of a key that takes whole numbers."""

    low: Integer
    high: Integer
    step: Positive | None = None

    def values(self) -> Sequence[int]:
        """Every value there is."""
        return range(self.low, self.high + 1, self.step or 1)

    def samples(self) -> Sequence[int]:
        """The values to check before anything runs."""
        return [self.low, self.values()[1], self.high]


@dataclass(frozen=True)
class Space:
    """A configuration and what may be tried in it.

    Args:
        tree: the configuration as the user wrote it, without defaults.
        entries: dotted key -> its `Choice`, `Range` or `WholeRange`.
    """

    tree: dict
    entries: Mapping[str, Choice | Range]

    def config(self, values: Mapping[str, Any], where: str = "configuration") -> Config:
        """The configuration with these values, given by dotted key.

        Raises:
            ConfigError: where they do not go together; `where` opens the message.
        """
        return check(_changed(self.tree, values, where), where)

    def base(self) -> Config:
        """The configuration as it is; where it is none without values of the space, with some that make it one."""
        return self.config(self._base_values())

    def draws(self) -> Iterator[dict[str, Any]]:
        """Combinations to look at for one that is a configuration, always the same ones."""
        rng = random.Random(0)
        for _ in range(_DRAWS):
            yield {key: rng.choice(entry.samples()) for key, entry in self.entries.items()}

    def _base_values(self) -> dict[str, Any]:
        refused: ConfigError | None = None
        for values in itertools.chain([{}], self.draws()):
            try:
                self.config(values)
            except ConfigError as error:
                refused = refused or error
            else:
                return values
        raise refused or ConfigError("space: no combination is a configuration")

    def samples(self) -> Iterator[Config]:
        """The base, and with each value that is checked before anything runs, where that is one."""
        base = self._base_values()
        alone = [{**base, key: value} for key, entry in self.entries.items() for value in entry.samples()]
        for values in [base, *alone]:
            try:
                config = self.config(values)
            except ConfigError:  # a value that needs another one beside it
                continue
            yield config

    def combinations(self) -> int | None:
        """How many there are; None where a range has endlessly many values."""
        columns = self._columns()
        return None if columns is None else math.prod(len(column) for column in columns)

    def every(self) -> Iterable[dict[str, Any]]:
        """Every combination, of a space that has not endlessly many."""
        columns = self._columns()
        if columns is None:
            raise ValueError("space: a range without a step has endlessly many values, expected counted ones alone")
        return (dict(zip(self.entries, row, strict=True)) for row in itertools.product(*columns))

    def _columns(self) -> list[Sequence[Any]] | None:
        """Every value of each key; None where one has endlessly many."""
        columns: list[Sequence[Any]] = []
        for entry in self.entries.values():
            values = entry.values()
            if values is None:
                return None
            columns.append(values)
        return columns

    def describe(self) -> dict[str, str]:
        """Each key's values, as text."""
        return {key: json.dumps(entry.model_dump(exclude_defaults=True)) for key, entry in self.entries.items()}


def read_space(path: str | Path, config: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Space:
    """Read what may be tried in a configuration.

    Args:
        path: a YAML file, or the name of one that comes with kreid, such as `layerwise`.
        config: the configuration's YAML file, or the name of one that comes with kreid.
        overrides: `section.key=value` strings for the configuration.

    Returns:
        The space. Every value was checked alone, and that some of them together are a configuration.

    Raises:
        ConfigError: naming the file and key, what was expected and what was received.

    Example:
        >>> space = kreid.read_space("layerwise", "layerwise")
        >>> len(space.entries)
        5
    """
    check_path("path", path, "a space's YAML file, or the name of a shipped one")
    check_path("config", config, "a configuration's YAML file, or the name of a shipped one")
    tree = load_tree(config, overrides)
    found = read_yaml(path, "space", _SUCH_AS, "spaces")
    _check_base(tree, list(found), f"configuration {config}")
    if not found:
        raise ConfigError(f"space {path}: no keys, expected such as {_SUCH_AS}")
    space = Space(tree, {key: _entry(tree, key, value, f"space {path}") for key, value in found.items()})
    _check_together(space, f"space {path}")
    _check_used(space, f"space {path}")
    return space


def _check_base(tree: dict, keys: Sequence[str], where: str) -> None:
    """Complain about a configuration, but not about what the space changes: `_check_together` does."""
    try:
        Config.model_validate(tree)
    except ValidationError as error:
        given = [key.split(".") for key in keys]
        own = [item for item in error.errors() if not any(_is_above(place_of(item), parts) for parts in given)]
        if own:
            raise ConfigError(f"{where}: {complaints(own, functools.partial(known_keys, tree=tree))}") from None


def _is_above(place: list[int | str], parts: list[str]) -> bool:
    """Whether what pydantic complains about is a key or a section that it stands in."""
    return parts[: len(place)] == place


def _entry(tree: dict, key: str, value: Any, where: str) -> Choice | Range:
    """One key's values, each checked as if the user had written it into the configuration."""
    entry = _parsed(_kind(key, value, where), key, value, where)
    for name in itertools.chain.from_iterable(_names(key, sample) for sample in entry.samples()):
        if name in FIXED:
            raise ConfigError(
                f"{where}: {name}: trials are compared under one value of it; set it in the configuration"
            )
        if any(f"{name}.".startswith(f"{idle}.") for idle in IDLE):
            raise ConfigError(f"{where}: {name}: no trial's score depends on it; leave it out of the space")
    if isinstance(entry, Range) and _is_whole(tree, key, entry.inside, where):
        entry = _parsed(WholeRange, key, value, where)
    for sample in entry.samples():
        errors, changed = _errors(tree, key, sample, where), _changed(tree, {key: sample}, where)
        if errors:
            between = isinstance(entry, Range) and sample not in (entry.low, entry.high)
            hint = "; a range holds what is between its ends too: list the values as {choice: [...]}" if between else ""
            raise ConfigError(f"{where}: {complaints(errors, functools.partial(known_keys, tree=changed))}{hint}")
    return entry


def _kind(key: str, value: Any, where: str) -> type[Choice | Range]:
    """Which of the two forms a key's values were given in, misspelt words included."""
    given = value if isinstance(value, dict) and not any(isinstance(inner, dict) for inner in value.values()) else {}
    kinds = [
        kind for kind in (Choice, Range) if any(difflib.get_close_matches(word, kind.model_fields) for word in given)
    ]
    if len(kinds) == 1:
        return kinds[0]
    if kinds:
        raise ConfigError(
            f"{where}: {key}: a key has either choices, {{choice: [...]}}, or a range, {{low: ..., high: ...}}; "
            f"received {', '.join(given)}"
        )
    raise ConfigError(
        f"{where}: {key}: expected {{choice: [...]}} or {{low: ..., high: ...}} after a dotted key, such as {_SUCH_AS}"
    )


def _parsed(kind: type[Choice | Range], key: str, value: dict, where: str) -> Choice | Range:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        errors: list[ErrorDetails] = [{**item, "loc": (key, *item["loc"])} for item in error.errors()]
        keys = dict.fromkeys(kind.model_fields, "")
        raise ConfigError(f"{where}: {complaints(errors, lambda place: keys)}") from None


def _names(key: str, value: Any) -> Iterator[str]:
    """The dotted keys that a value of this key sets: a choice may be between whole sections."""
    yield key
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _names(f"{key}.{name}", inner)


def _changed(tree: dict, values: Mapping[str, Any], where: str) -> dict:
    tree = copy.deepcopy(tree)
    for key, value in values.items():
        set_key(tree, key, value, where)
    return tree


def _errors(tree: dict, key: str, value: Any, where: str) -> "list[ErrorDetails]":
    """What pydantic has against the value of this key; not what is wrong with it beside the others' present values."""
    try:
        Config.model_validate(_changed(tree, {key: value}, where))
    except ValidationError as error:
        parts = key.split(".")
        return [
            item
            for item in error.errors()
            if item["type"] == "extra_forbidden" or place_of(item)[: len(parts)] == parts
        ]
    return []


def _is_whole(tree: dict, key: str, number: float, where: str) -> bool:
    """Whether the key takes whole numbers, by what it has against another one."""
    return any(item["type"] == "int_from_float" for item in _errors(tree, key, number, where))


def _check_used(space: Space, where: str) -> None:
    """Complain about a key that no score depends on, because others that are not searched leave out what it is of."""
    config = space.base()
    searched = {name for key, entry in space.entries.items() for one in entry.samples() for name in _names(key, one)}

    def is_open(need: str) -> bool:
        return need.partition("=")[0] in searched or is_met(config, need)

    for key in space.entries:
        needs = NEEDS.get(key, ())
        if needs and not any(map(is_open, needs)):
            raise ConfigError(
                f"{where}: {key}: no trial's score depends on it without {' or '.join(needs)}; set that in the "
                "configuration or try values of it too"
            )


def _check_together(space: Space, where: str) -> None:
    """Complain where no combination that is looked at is a configuration."""
    for number, values in enumerate(space.draws(), start=1):
        try:
            space.config(values, where)
        except ConfigError:
            if number == _DRAWS:
                raise
        else:
            return
