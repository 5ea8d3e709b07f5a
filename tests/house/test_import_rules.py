"""The rooms of the house: who may import whom, read off the syntax trees; and that JAX runs what may run there."""

import ast
import re

import pytest
from paths import ROOT

FILES = sorted([*(ROOT / "kreid").rglob("*.py"), *(ROOT / "tfrecords_tools").rglob("*.py")])
NUMPY_ONLY = [path for path in FILES if path.name.startswith(("ranking", "reranking")) and path.parent.name == "kreid"]
ANY_BACKEND = [
    path
    for path in FILES
    if path.parent.name in ("models", "weights")
    or path in [ROOT / "kreid" / name for name in ("layers.py", "losses.py", "objective.py")]
]


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path, top_level_only=False):
    """Dotted names that a file imports; `from a import b` counts as a and a.b."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = set()
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def packages(path):
    return {name.partition(".")[0] for name in imports(path)}


def test_there_are_files_to_check():
    assert len(FILES) > 20
    assert NUMPY_ONLY
    assert len(ANY_BACKEND) > 5


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_rooms(path):
    used = packages(path)
    if path.parts[len(ROOT.parts)] == "tfrecords_tools":
        assert not used & {"keras", "kreid"}
    if path in NUMPY_ONLY:
        assert not used & {"keras", "tensorflow", "PIL", "rich", "typer", "yaml", "pydantic", "jax"}
    if path in ANY_BACKEND:
        assert not used & {"tensorflow", "jax", "torch"}
    if "cli" not in module_name(path).split("."):
        assert not any("cli" in name.split(".") for name in imports(path)), "nobody imports a cli"


def test_no_import_cycles():
    modules = {module_name(path): path for path in FILES}
    graph = {
        name: {other for other in imports(path, top_level_only=True) if other in modules}
        for name, path in modules.items()
    }
    done, open_ = set(), []

    def visit(name):
        assert name not in open_, f"import cycle: {' -> '.join([*open_[open_.index(name) :], name])}"
        if name in done:
            return
        open_.append(name)
        for other in sorted(graph[name] - {name}):
            visit(other)
        open_.pop()
        done.add(name)

    for name in modules:
        visit(name)


def test_tests_of_what_runs_on_any_backend_run_on_jax_too():
    """A test file that uses Keras, and of kreid nothing bound to TensorFlow, marks what `make test` repeats on JAX."""
    free = {
        module_name(path)
        for path in [*ANY_BACKEND, *(ROOT / "kreid" / name for name in ("config.py", "errors.py", "sections.py"))]
    }
    bound = {module_name(path) for path in FILES} - free - {"kreid"}
    checked = 0
    for path in (ROOT / "tests").rglob("test_*.py"):
        used = imports(path)
        if "keras" in packages(path) and used & free and not used & bound:
            assert "pytest.mark.backend" in path.read_text(encoding="utf-8"), f"{path}: no test is marked backend"
            checked += 1
    assert checked > 8
    assert re.search(r"KERAS_BACKEND=jax \$\(BIN\)/python -m pytest .*-m backend", (ROOT / "Makefile").read_text())
