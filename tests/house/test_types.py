"""What the two packages tell a type checker, beyond what mypy itself checks in `make lint`."""

import ast
import tomllib

import pytest
import rooms
from paths import ROOT

import kreid

TEXTS = rooms.sources(ROOT)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STRICT = ("disallow_untyped_defs", "disallow_incomplete_defs", "check_untyped_defs", "strict_equality")
# Packages that say no types, or not all of them; those of the last line are of extras, and not there everywhere.
UNTYPED = {"tensorflow", "keras", "h5py", "faiss", "jax", "SoccerNet", "lazy_loader", "scipy"}
UNTYPED |= {"griffe", "onnx", "onnxruntime", "openvino", "ai_edge_litert", "huggingface_hub"}
UNTYPED |= {"google.protobuf", "grpc", "pyarrow", "apache_beam", "keras_hub", "tf2onnx"}


def untold(text):
    """Arguments and attributes called config or settings whose type is Any, alone or among others: `name:line`."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.arg):
            name, kind = node.arg, node.annotation
        elif isinstance(node, ast.AnnAssign):
            name, kind = ast.unparse(node.target).rpartition(".")[2], node.annotation
        else:
            continue
        if name in ("config", "settings") and kind is not None and is_any(kind):
            yield f"{name}:{node.lineno}"


def is_any(kind):
    if isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        kind = ast.parse(kind.value, mode="eval").body
    if isinstance(kind, ast.BinOp):
        return is_any(kind.left) or is_any(kind.right)
    return ast.unparse(kind) in ("Any", "typing.Any", "object")


def test_no_configuration_is_any():
    assert {name: found for name, text in TEXTS.items() if (found := list(untold(text)))} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def train(config: Any, data: Any): ...", ["config:1"]),
        ("def train(data, *, config: 'Any | None' = None): ...", ["config:1"]),
        ("x = 1\nclass A:\n    config: typing.Any", ["config:3"]),
        ("class A:\n    def __init__(self, a):\n        self.config: Any = a", ["config:3"]),
        ("def show(settings: object): ...", ["settings:1"]),
        ("def train(config: Config | None, values: dict[str, Any], settings: dict[str, Any]): ...", []),
    ],
)
def test_the_search_for_such_configurations_finds_what_it_should(text, found):
    assert list(untold(text)) == found


@pytest.mark.parametrize("package", rooms.PACKAGES)
def test_types_are_shipped(package):
    assert (ROOT / package / "py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"][package]


def test_the_checker_reads_both_packages_and_the_sites_maker_at_the_stated_level():
    level = PROJECT["tool"]["mypy"]
    assert set(level["packages"]) == {*rooms.PACKAGES, "website"}
    assert all(level[switch] for switch in STRICT)
    assert not any(key.startswith(("ignore_", "exclude", "disable_")) for key in level)
    (override,) = level["overrides"]  # nothing of the house is let off
    assert override == {"module": override["module"], "ignore_missing_imports": True}
    assert {name.removesuffix(".*") for name in override["module"]} == UNTYPED


def test_make_lint_runs_the_checker_and_continuous_integration_runs_make_lint():
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2].partition("\n\n")[0]
    assert "$(BIN)/mypy\n" in f"{lint}\n"
    assert "\nmake lint\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_an_error_that_is_not_checked_says_why():
    """`# type: ignore[code]` names the code, and the words behind it, or the line above, the library that is wrong."""
    for name, text in TEXTS.items():
        lines = text.splitlines()
        for above, line in zip(["", *lines], lines, strict=False):
            if "type: ignore" in line:
                _, _, rest = line.partition("type: ignore[")
                assert rest, f"{name}: which error? {line.strip()}"
                assert rest.partition("]")[2].strip() or above.strip().startswith("#"), f"{name}: why? {line.strip()}"


def test_the_version_is_that_of_the_project():
    assert kreid.__version__ == PROJECT["project"]["version"], (
        "the installed version is another: make lint installs it anew"
    )
