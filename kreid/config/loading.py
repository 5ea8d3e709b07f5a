"""Configurations: one YAML a run, checked key by key, with readable complaints.

Unknown keys, duplicate keys and values of the wrong type are errors that name the key, say what was expected and, for a
misspelt key, which one was probably meant. `1e-5`, which YAML 1.1 reads as a string, is the number that was meant.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import BaseModel, ValidationError

from kreid.config.dotted import set_key
from kreid.config.network import OneStream, TwoStream
from kreid.config.sections import Config
from kreid.config.shipped import find_shipped, shipped_names
from kreid.errors import ConfigError, check_kind, check_path, received

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


_AS_DICT = "kreid.config.as_config takes dicts and text, and kreid.train all of them"


class _Loader(yaml.SafeLoader):
    """PyYAML that refuses a key given twice (PyYAML keeps the last one silently)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise ValueError(f"line {key_node.start_mark.line + 1}: expected a word as key, received {key!r}")
            if key in seen:
                raise ValueError(f"line {key_node.start_mark.line + 1}: key {key!r} is given twice; keep one")
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        """Refuse what YAML 1.1 reads as another number than is written: 010 is 8 there, and 1:30 is 90."""
        if ":" in node.value or re.fullmatch(r"[-+]?0[0-7_]+", node.value):
            line = node.start_mark.line + 1
            raise ValueError(f"line {line}: {node.value} is octal or sexagesimal in YAML; write a decimal number")
        return self.construct_yaml_int(node) if node.tag.endswith(":int") else self.construct_yaml_float(node)


_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_number)
_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_number)


def load_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Read a configuration file and apply `a.b=c` overrides.

    Args:
        path: a YAML file, or the name of a configuration that comes with kreid, such as `two_stream`.
        overrides: `section.key=value` strings; the value is read as YAML.

    Returns:
        The checked configuration, defaults filled in.

    Raises:
        ConfigError: a ValueError naming the file and key, what was expected and what was received.

    Example:
        >>> config = kreid.load_config("demo", overrides=["train.epochs=5"])
        >>> config.train.epochs
        5
    """
    check_path("path", path, "a YAML file, or the name of a configuration that comes with kreid", _AS_DICT)
    return check(load_tree(path, overrides), f"configuration {path}")


def load_tree(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> dict:
    """Read a configuration file as `load_config` does, but leave it unchecked: only what the user wrote, as dicts."""
    wrong = (
        [one for one in overrides if not isinstance(one, str)] if isinstance(overrides, list | tuple) else [overrides]
    )
    if wrong:
        raise ConfigError(
            f"overrides: expected a list of texts, such as ['train.epochs=5'], received {received(wrong[0])}"
        )
    tree = read_yaml(path, "configuration", "`model:`")
    for override in overrides:
        _override(tree, override)
    return tree


def as_config(given: Config | Mapping[str, Any] | str | Path) -> Config:
    """Return a configuration in whichever form a user has it.

    Args:
        given: a configuration that was checked; a dict of sections; text of YAML (several lines, or one with a colon
            and a space); the path of a YAML file; or the name of a configuration that comes with kreid.

    Raises:
        ConfigError: as `load_config`, and for anything else.

    Example:
        >>> as_config({"model": {"embedder": "one_stream"}}) == as_config("model: {embedder: one_stream}")
        True
    """
    if isinstance(given, Config):
        return given
    if isinstance(given, Mapping):
        return check(dict(given))
    if isinstance(given, str) and ("\n" in given or ": " in given):
        return check(_keys(given, "configuration", "`model:`"))
    if isinstance(given, Path) or (isinstance(given, str) and given.strip()):
        return load_config(given)
    what = "an empty text" if isinstance(given, str) else received(given)
    raise ConfigError(f"config: expected a Config, a dict, YAML or the path of a YAML file, received {what}")


def read_yaml(path: str | Path, what: str, such_as: str, kind: str = "") -> dict:
    """Read a YAML file of keys, or a shipped one by its name.

    Args:
        path: the file, or the name.
        what: it is; opens the error message.
        such_as: a key it could have.
        kind: of shipped file, see `kreid.config.shipped`.

    Raises:
        ConfigError: naming the file.
    """
    try:
        text = find_shipped(path, kind).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        names = ", ".join(shipped_names(kind))
        raise ConfigError(
            f"{what} {path}: cannot be read ({error}); give the path of a YAML file, or a name of those that come with "
            f"kreid: {names}"
        ) from None
    return _keys(text, f"{what} {path}", such_as)


def _keys(text: str, where: str, such_as: str) -> dict:
    tree = _parse(text, where)
    if not isinstance(tree, dict):
        raise ConfigError(f"{where}: expected keys such as {such_as}, received {type(tree).__name__}")
    return tree


def check(tree: dict, where: str = "configuration", context: str | None = None) -> Config:
    """Check a configuration given as plain dicts; `where` opens the error message, `context` see `sections.WRITTEN`."""
    try:
        return Config.model_validate(tree, context=context)
    except ValidationError as error:
        raise ConfigError(f"{where}: {complaints(error.errors(), lambda place: known_keys(place, tree))}") from None


def complaints(errors: Sequence["ErrorDetails"], known_keys: Callable[[list], Mapping[str, str]]) -> str:
    """What is wrong, in one line, from what pydantic found; `known_keys` tells the section's at a place, see there."""
    return "; ".join(dict.fromkeys(_complaint(item, known_keys) for item in errors))


def dump(config: Config) -> str:
    """Return the configuration as YAML, every default written out; `load_config` reads it back equal."""
    check_kind("config", config, Config)
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def _parse(text: str, where: str) -> Any:
    try:
        return deepcopy(_tree_of(text))  # callers write into it
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise ConfigError(f"{where}: {line}not YAML ({getattr(error, 'problem', error)})") from None
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    except RecursionError:
        raise ConfigError(f"{where}: lists or sections too deep to be read; a configuration has four levels") from None


@lru_cache(maxsize=8)
def _tree_of(text: str) -> Any:
    """What a text says: the steps of a command read the same configuration up to five times."""
    return yaml.load(text, Loader=_Loader)


def _override(tree: dict, override: str) -> None:
    """Set one `a.b=c` in the tree of plain dicts."""
    key, equals, value = override.partition("=")
    if not equals or not all(key.strip().split(".")):
        raise ConfigError(f"override {override!r}: expected section.key=value, such as train.epochs=5")
    where = f"override {override!r}"
    section = _parse(value, where)
    if isinstance(section, dict):
        _check_whole(tree, key.strip(), section, where)
    set_key(tree, key.strip(), section, where)


def _check_whole(tree: dict, key: str, section: dict, where: str) -> None:
    """Complain of a section that would take the place of one with further keys, which fell back to their defaults."""
    before: Any = tree
    for part in key.split("."):
        before = before.get(part) if isinstance(before, dict) else None
    left = sorted(set(before) - set(section)) if isinstance(before, dict) else []
    if left:
        raise ConfigError(f"{where}: would drop what is set of {key} besides: {', '.join(left)}; set key by key")


def _complaint(item: "ErrorDetails", known_keys: Callable[[list], Mapping[str, str]]) -> str:
    """One line for one pydantic error."""
    place = place_of(item)
    key = ".".join(str(part) for part in place)
    if item["type"] == "extra_forbidden":
        known = known_keys(place[:-1])
        close = difflib.get_close_matches(str(place[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(known)}"
        return f"{key}: unknown key; {hint}"
    if item["type"].startswith("union_tag"):
        return f"{key}.embedder: expected two_stream or one_stream, received {(item['input'] or {}).get('embedder')!r}"
    if item["type"] == "missing":
        return f"{key}: missing; add it"
    message = item["msg"].removeprefix("Value error, ")
    if not place:  # about several sections; it names its keys itself
        return message
    meaning = "" if isinstance(item["input"], dict) else _meaning(place, known_keys)
    return f"{key}: {message[0].lower()}{message[1:]}, received {_short(item['input'])}{meaning}"


def _meaning(place: list[int | str], known_keys: Callable[[list], Mapping[str, str]]) -> str:
    """What the key is that the value at a place belongs to, in brackets: the first sentence of its meaning."""
    for end in range(len(place), 0, -1):
        if text := known_keys(place[: end - 1]).get(str(place[end - 1])):
            first = re.split(r"[;.](?:\s|$)", text.replace("\n", " "), maxsplit=1)[0]
            return f" ({first})"
    return ""


def place_of(item: "ErrorDetails") -> list[int | str]:
    """Where a pydantic error is, in the user's keys: without the names of the alternatives that pydantic tried."""
    return [part for part in item["loc"] if part not in ("two_stream", "one_stream") and "[" not in str(part)]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def known_keys(place: list, tree: dict) -> dict[str, str]:
    """Keys of the section at `place` and what each means, found by walking the model classes beside the user's tree."""
    section: type[BaseModel] = Config
    for part in place:
        if part == "model":
            one_stream = (tree.get("model") or {}).get("embedder") == "one_stream"
            section = OneStream if one_stream else TwoStream
            continue
        annotation = section.model_fields[part].annotation if part in section.model_fields else None
        choices = [a for a in (annotation, *getattr(annotation, "__args__", ())) if isinstance(a, type)]
        inner = next((choice for choice in choices if issubclass(choice, BaseModel)), None)
        if inner is None:  # what stands below a value has no key of ours
            return {}
        section = inner
    return {name: field.description or "" for name, field in section.model_fields.items()}
