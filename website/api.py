"""Pages of the API reference: which names are public, read from the packages' faces without importing them."""

import ast
from pathlib import Path

from website.paths import ROOT

# Packages and modules whose public names a user calls, and what each is for in a word.
PACKAGES = {
    "kreid": "the names that most need",
    "kreid.config": "configurations",
    "kreid.data": "files and records to batches",
    "kreid.layers": "layers",
    "kreid.losses": "losses",
    "kreid.models": "backbones and embedders",
    "kreid.training": "training",
    "kreid.embedding": "images to vectors",
    "kreid.ranking": "everything after the vectors, NumPy alone",
    "kreid.ranking.files": "ranking files",
    "kreid.evaluation": "scores of runs",
    "kreid.search": "search among crops",
    "kreid.tracks": "whole tracks",
    "kreid.report": "the report",
    "kreid.look": "what a network sees",
    "kreid.runs": "run folders",
    "kreid.weights": "files of weights",
    "kreid.serving": "export and client",
    "kreid.tuning": "cross-validation",
    "tfrecords_tools.writer": "conversion",
    "tfrecords_tools.index": "records and their index",
    "tfrecords_tools.schema": "one record",
    "tfrecords_tools.naming": "SoccerNet's file names",
}


def pages() -> dict[str, str]:
    """Every page of the reference by its path, as Markdown that mkdocstrings fills."""
    made = {f"api/{package}.md": _page(package) for package in PACKAGES}
    lines = ["# Python API", ""]
    lines += [f"- [`{package}`]({package}.md): {about}" for package, about in PACKAGES.items()]
    return {"api/index.md": "\n".join([*lines, ""]), **made}


def public_names(package: str) -> list[str]:
    """The names that a package hands on, or a module defines, in the order of its text; not its subpackages."""
    path = ROOT.joinpath(*package.split("."))
    tree = ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"
    ]
    if listed:
        return listed[0]
    handed = [
        (alias.name, node.module or "")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    ]
    if handed:
        return [found for name, module in handed for found in _handed(package, name, module)]
    defined = dict.fromkeys(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return [name for name in defined if not name.startswith("_")]


def _handed(package: str, name: str, module: str) -> list[str]:
    """What a face hands on under a name: that; of a module of its own, what it defines; of another's, nothing."""
    if not _is_module(module, name):
        return [name]
    if module != package or f"{module}.{name}" in PACKAGES:
        return []
    return [f"{name}.{inner}" for inner in public_names(f"{module}.{name}")]


def _is_module(package: str, name: str) -> bool:
    path: Path = ROOT.joinpath(*package.split("."), name)
    return path.is_dir() or path.with_suffix(".py").is_file()


def _page(package: str) -> str:
    lines = [f"# {package}", "", f"::: {package}"]
    lines += [
        "    options:",
        "      members: false",
        "      show_root_heading: false",
        "      show_root_toc_entry: false",
        "",
    ]
    for name in public_names(package):
        lines += [f"::: {package}.{name}", ""]
    return "\n".join(lines)
