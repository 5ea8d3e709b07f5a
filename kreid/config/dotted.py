"""Configurations as trees of plain dicts, and their dotted keys."""

from typing import Any

from kreid.errors import ConfigError


def set_key(tree: dict, key: str, value: Any, where: str = "configuration") -> None:
    """Set the dotted `key` in a tree of plain dicts, making sections that are not there; `where` opens an error."""
    node, (*sections, last) = tree, key.split(".")
    for depth, part in enumerate(sections, start=1):
        if node.get(part) is None:
            node[part] = {}
        node = node[part]
        if not isinstance(node, dict):
            raise ConfigError(f"{where}: {'.'.join(sections[:depth])} is a value, not a section")
    node[last] = value


def differences(before: dict, now: dict) -> list[str]:
    """What is not equal in two trees of plain dicts, as `a.b: 1 -> 2`."""
    flat = [flatten(tree) for tree in (before, now)]
    keys = [key for key in {**flat[0], **flat[1]} if flat[0].get(key) != flat[1].get(key)]
    return [f"{key}: {flat[0].get(key)} -> {flat[1].get(key)}" for key in keys]


def flatten(tree: dict, prefix: str = "") -> dict[str, Any]:
    """Nested sections as one dict of dotted keys, each behind `prefix`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
