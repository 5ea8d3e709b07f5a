"""The reference of configuration keys, made from `kreid.config`: type, range, default and meaning of each."""

import types
import typing
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from kreid.config.network import OneStream, TwoStream
from kreid.config.sections import Config
from website.tables import cell, table

_WORDS = {int: "whole number", float: "number", str: "text", bool: "`true` or `false`", Any: "anything"}
_UNIONS = (typing.Union, types.UnionType)
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Key(NamedTuple):
    """A row of the reference."""

    name: str
    kind: str
    range: str
    default: str
    meaning: str


class Part(NamedTuple):
    """A section of a configuration, by the path of its keys; `model` is one for each embedder."""

    path: str
    title: str
    about: str
    keys: list[Key]


def read_parts() -> list[Part]:
    """Every section of a configuration, outer ones first."""
    return [part for name, field in Config.model_fields.items() for part in _parts(name, field)]


def known_keys() -> set[str]:
    """Every key, dotted, of either embedder, sections included."""
    parts = read_parts()
    keys = {f"{part.path}.{key.name}" for part in parts for key in part.keys}
    return keys | {part.path for part in parts}


def page() -> str:
    """The reference as a page of Markdown."""
    lines = [
        "# Configuration keys",
        "",
        "One YAML file describes a run. Every key is checked when it is read: an unknown one, a value of another type "
        "or out of range is an error that names it. `--set section.key=value` overrides a key on the command line. "
        "What a configuration leaves out has the default below; only `model.embedder` must be there. This page is made "
        "from `kreid/config/network.py` and `kreid/config/sections.py`.",
        "",
    ]
    for part in read_parts():
        rows = [
            (f"`{key.name}`", "; ".join(filter(None, key[1:3])), key.default, cell(key.meaning)) for key in part.keys
        ]
        lines += [f"## {part.title} {{ #{_anchor(part.title)} }}", "", part.about, ""]
        lines += [table(("key", "type and range", "default", "meaning"), rows), ""]
    return "\n".join(lines)


def _anchor(title: str) -> str:
    return title.replace("`", "").replace(", ", "-").replace(".", "-")


def _parts(path: str, field: FieldInfo) -> Iterator[Part]:
    for section in _sections(field.annotation):
        embedder = section.model_fields.get("embedder")
        title = f"`{path}`" + (f", {_kind(embedder.annotation)}" if embedder else "")
        yield Part(path, title, _about(section), [_key(key, value) for key, value in section.model_fields.items()])
        for key, value in section.model_fields.items():
            if section is not OneStream or key not in TwoStream.model_fields:  # else told there already
                yield from _parts(f"{path}.{key}", value)


def _about(section: type[BaseModel]) -> str:
    return "\n".join(line.strip() for line in (section.__doc__ or "").strip().splitlines())


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """The sections that a key holds: none of a plain value, two of `model`."""
    choices = typing.get_args(annotation) if typing.get_origin(annotation) in _UNIONS else (annotation,)
    return [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]


def _key(name: str, field: FieldInfo) -> Key:
    if _sections(field.annotation):
        null = type(None) in typing.get_args(field.annotation)
        kind, bounds = ("section or `null`" if null else "section"), ""
        default = "`null`" if null else ""
    else:
        kind, bounds = _kind(field.annotation), "; ".join(dict.fromkeys(_ranges(field.annotation, field.metadata)))
        default = _default(field)
    return Key(name, kind, bounds, default, field.description or "")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    return "**required**" if value is PydanticUndefined else f"`{_yaml(value)}`"


def _yaml(value: Any) -> str:
    """A value as one writes it in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_yaml, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _kind(annotation: Any) -> str:
    """The type in words: `a` or `b` of choices, `[number, number]` of a pair."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{_yaml(value)}`" for value in arguments)
    if origin in _UNIONS:
        return ", ".join("`null`" if choice is type(None) else _kind(choice) for choice in arguments)
    if origin is tuple:
        inner = [_kind(choice) for choice in arguments if choice is not Ellipsis]
        return f"list of {inner[0]}s" if Ellipsis in arguments else f"[{', '.join(inner)}]"
    if origin is dict:
        return f"{_kind(arguments[0])}: {_kind(arguments[1])}"
    return _WORDS[annotation]


def _ranges(annotation: Any, metadata: Any) -> Iterator[str]:
    """The bounds of a value, and of those inside it."""
    for choice in typing.get_args(annotation):
        if typing.get_origin(annotation) not in (Literal, typing.Annotated):
            yield from _ranges(choice, ())
    if typing.get_origin(annotation) is typing.Annotated:
        inner, *metadata = typing.get_args(annotation)
        yield from _ranges(inner, metadata)
        return
    bounds = []
    for item in metadata:
        for rule in item.metadata if isinstance(item, FieldInfo) else [item]:
            match rule:
                case annotated_types.Gt(gt=least):
                    bounds.append(f"above {least}")
                case annotated_types.Ge(ge=least):
                    bounds.append(f"{least} or more")
                case annotated_types.Lt(lt=most):
                    bounds.append(f"below {_power(most)}")
                case annotated_types.Le(le=most):
                    bounds.append(f"at most {_power(most)}")
    if bounds:
        yield ", ".join(bounds)


def _power(number: Any) -> str:
    """Large powers of two as such."""
    if isinstance(number, int) and number >= 2**14 and number & (number - 1) == 0:
        return "2" + str(number.bit_length() - 1).translate(_RAISED)
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
