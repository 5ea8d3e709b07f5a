"""Which room may import what: every import counts, late and lazy ones too, and so does what others bring along."""

import importlib
import re
from typing import NamedTuple

import pytest
import rooms
from paths import ROOT

TEXTS = rooms.sources(ROOT)
BIG = ("tensorflow", "keras", "jax", "torch")
LATER = ("kreid.training", "kreid.evaluation", "kreid.report", "kreid.search", "kreid.tuning")
FACES = "lazy_loader"  # which `kreid/__init__.py` and other faces load their names by


class Rule(NamedTuple):
    """What the modules of a room may reach, themselves or through others; `never` is checked where `only` is None."""

    room: str
    never: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None


RULES = (
    Rule("tfrecords_tools", never=("keras", "kreid", "jax", "torch")),
    Rule("tfrecords_tools.errors", only=()),
    Rule("tfrecords_tools.arrays", only=("numpy",)),
    Rule("kreid.errors", only=(FACES,)),
    Rule("kreid.types", only=(FACES,)),
    Rule("kreid.files", only=("pyarrow", FACES)),  # pyarrow where Parquet is asked for
    Rule("kreid.config", only=("pydantic", "yaml", FACES)),
    Rule("kreid.ranking", only=("numpy", "faiss", FACES)),  # faiss where a search asks for it
    Rule("kreid.layers", never=("tensorflow", "jax", "torch")),
    Rule("kreid.losses", never=("tensorflow", "jax", "torch")),
    Rule("kreid.models", never=("tensorflow", "jax", "torch")),
    Rule("kreid.weights", never=("tensorflow", "jax", "torch")),
    Rule("kreid.pages", only=("jinja2", "markupsafe", FACES)),
    Rule("kreid.training", never=("kreid.report", "kreid.search", "kreid.look", "kreid.tuning", "kreid.pages")),
    Rule("kreid.embedding", never=LATER),
    Rule("kreid.pictures", never=("kreid.training", "kreid.report", "kreid.search", "kreid.look", "kreid.pages")),
    Rule("kreid.serving", never=LATER),
    Rule("kreid.tracks.pooling", only=("numpy", FACES)),
    Rule("kreid.tracks.matching", only=("numpy", "scipy", FACES)),
)
# Room -> the rooms that it imports itself, as docs/architecture.md has them: a new arrow is drawn here, on purpose.
ARROWS = {
    "kreid.errors": (),
    "kreid.files": (),
    "kreid.pages": (),
    "kreid.types": (),
    "kreid.weights": ("errors", "files"),
    "kreid.layers": ("types",),
    "kreid.losses": ("errors", "layers", "types"),
    "kreid.ranking": ("errors", "files"),
    "kreid.config": ("errors", "losses"),
    "kreid.models": ("errors", "layers", "types", "weights"),
    "kreid.data": ("config", "errors", "layers", "ranking", "types"),
    "kreid.runs": ("config", "errors", "files", "models", "weights"),
    "kreid.embedding": ("config", "data", "errors", "files", "models", "ranking", "types"),
    "kreid.bulk": ("config", "embedding", "errors", "files", "runs"),
    "kreid.pictures": ("config", "data", "errors", "ranking"),
    "kreid.serving": ("data", "errors", "files", "layers", "models", "types"),
    "kreid.evaluation": ("config", "embedding", "errors", "models", "ranking", "runs", "types"),
    "kreid.look": ("data", "errors", "models", "pictures", "types"),
    "kreid.search": ("config", "embedding", "errors", "files", "pages", "pictures", "ranking", "types"),
    "kreid.tracks": ("data", "embedding", "errors", "files", "pages", "pictures", "ranking", "search", "types"),
    "kreid.training": (
        "config",
        "data",
        "embedding",
        "errors",
        "files",
        "losses",
        "models",
        "pictures",
        "ranking",
        "runs",
        "types",
    ),
    "kreid.report": ("data", "errors", "files", "look", "pages", "pictures", "ranking", "types"),
    "kreid.tuning": ("config", "data", "errors", "files", "runs", "training"),
}
# What a command imports before it has checked its arguments must not load these.
EARLY = ("kreid.config.loading", "kreid.runs.folder", "kreid.training.workers", "tfrecords_tools.console.command")


def violations(texts):
    """What breaks a rule, a sentence each."""
    graph = rooms.read(texts)
    found = [sentence for rule in RULES for sentence in broken(rule, graph)]
    found += [f"{name} imports a cli" for name, others in graph.items() if "cli" not in name and imports_cli(others)]
    between = rooms.rooms(graph)
    found += [
        f"{name} imports {other}"
        for name, others in between.items()
        if name in ARROWS
        for other in sorted(one for one in others if one.startswith("kreid."))
        if other.removeprefix("kreid.") not in ARROWS[name]
    ]
    found += [f"circle of rooms: {' -> '.join(way)}" for way in rooms.circles(between)]
    found += [f"circle of modules: {' -> '.join(way)}" for way in rooms.circles(without_faces(graph))]
    return found


def broken(rule, graph):
    for name in graph:
        if name != rule.room and not name.startswith(f"{rule.room}."):
            continue
        ways = rooms.reached(name, graph)
        if rule.only is not None:
            wrong = rooms.foreign(ways) - set(rule.only)
        else:
            wrong = {other for other in ways if any(f"{other}.".startswith(f"{one}.") for one in rule.never)}
        yield from (f"{rule.room}: {' -> '.join(ways[other])}" for other in sorted(wrong))


def imports_cli(others):
    return any("cli" in other.split(".") for other in others)


def without_faces(graph):
    """A face hands on what its modules define, which is no circle: it stands above them."""
    return {name: {other for other in others if not other.startswith(f"{name}.")} for name, others in graph.items()}


def test_there_are_modules_to_check():
    graph = rooms.read(TEXTS)
    assert len(graph) > 100
    assert {"kreid.ranking.embeddings", "tfrecords_tools.files"} & graph["kreid.ranking.lists"]
    assert "tensorflow" in graph["kreid.data.images"]
    assert "kreid.models.embedders" in graph["kreid.runs.folder"]  # imported inside a function
    assert "kreid.training.run" in graph["kreid.training"]  # lazily


def test_every_rule_is_kept():
    assert violations(TEXTS) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.room)
def test_a_rule_is_of_a_room_that_is_there(rule):
    assert rule.room in TEXTS


PLANTED = {
    "tfrecords_tools": ("tfrecords_tools.schema", "import keras", "tfrecords_tools: tfrecords_tools.schema -> keras"),
    "errors": ("tfrecords_tools.errors", "import numpy", "tfrecords_tools.errors: .*errors -> numpy"),
    "ranking": ("kreid.ranking.scores", "import scipy.stats", "kreid.ranking: kreid.ranking.scores -> scipy"),
    "late": ("kreid.ranking.lists", "def late():\n    import keras", "kreid.ranking: kreid.ranking.lists -> keras"),
    "through others": ("tfrecords_tools.naming", "import PIL", r"kreid.ranking: .*tfrecords_tools\.naming -> PIL"),
    "layers": ("kreid.layers.bilinear", "import tensorflow as tf", "kreid.layers: .* -> tensorflow"),
    "losses": ("kreid.losses.pairs", "from tensorflow import math", "kreid.losses: .* -> tensorflow"),
    "models": ("kreid.models.osnet", "def late():\n    import torch", "kreid.models: .*osnet -> torch"),
    "weights": ("kreid.weights.files", "import jax", "kreid.weights: .* -> jax"),
    "config": ("kreid.config.sections", "import keras", "kreid.config: .* -> keras"),
    "files": ("kreid.files.atomic", "import numpy", "kreid.files: .* -> numpy"),
    "pages": ("kreid.pages.markup", "import numpy", "kreid.pages: .* -> numpy"),
    "training": (
        "kreid.pictures.galleries",
        "from kreid.report.looks import tiles",
        "kreid.training: .*kreid.report.looks",
    ),
    "embedding": (
        "kreid.embedding.views",
        "from kreid.training import run",
        "kreid.embedding: .* -> kreid.training.run",
    ),
    "pictures": ("kreid.pictures.batch", "from kreid.look.pairs import Pair", "kreid.pictures: .* -> kreid.look.pairs"),
    "serving": ("kreid.serving.client", "from kreid.report import write", "kreid.serving: .* -> kreid.report.write"),
    "tracks": ("kreid.tracks.matching", "def late():\n    import keras", "kreid.tracks.matching: .* -> keras"),
    "cli": ("kreid.training.run", "from kreid.cli.common import note", "kreid.training.run imports a cli"),
    "rooms": ("kreid.runs.folder", "def late():\n    from kreid.training import run", "circle of rooms: kreid.runs"),
    "modules": ("kreid.ranking.distances", "from kreid.ranking.ordering import rank", "circle of modules: .*ordering"),
    "lazily": (
        "kreid.files",
        'x = lazy_loader.attach(__name__, submod_attrs={"atomic": ["a"]})\nimport rich',
        "kreid.files: kreid.files -> rich",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_violation_is_found(name):
    module, line, message = PLANTED[name]
    assert any(re.search(message, one) for one in violations({**TEXTS, module: f"{TEXTS[module]}\n{line}\n"}))


@pytest.mark.parametrize(
    ("module", "line", "message"),
    [
        ("kreid.look.viewer", "from kreid.training import run", "kreid.look imports kreid.training"),
        ("kreid.evaluation.paper", "from kreid.report import write", "kreid.evaluation imports kreid.report"),
        ("kreid.data.images", "def late():\n    from kreid.models import osnet", "kreid.data imports kreid.models"),
        ("kreid.layers.bilinear", "from kreid.config import sections", "kreid.layers imports kreid.config"),
        (
            "kreid.ranking.lists",
            'import importlib\nimportlib.import_module("tensorflow")',
            "kreid.ranking: .*tensorflow",
        ),
        ("kreid.weights.files", '__import__("torch")', "kreid.weights: .*torch"),
    ],
)
def test_an_arrow_that_no_table_has_is_found(module, line, message):
    assert any(re.search(message, one) for one in violations({**TEXTS, module: f"{TEXTS[module]}\n{line}\n"}))


def test_every_arrow_of_the_table_is_there():
    between = rooms.rooms(rooms.read(TEXTS))
    assert set(ARROWS) | {"kreid.cli"} == {name for name in between if name.startswith("kreid.")}
    for name, others in ARROWS.items():
        assert {f"kreid.{other}" for other in others} == {one for one in between[name] if one.startswith("kreid.")}, (
            name
        )


@pytest.mark.parametrize(
    "line", ["try:\n    import keras\nexcept ImportError:\n    pass", "if True:\n    import keras"]
)
def test_what_runs_at_import_is_seen_inside_other_statements(line):
    planted = {**TEXTS, "kreid.runs.folder": f"{TEXTS['kreid.runs.folder']}\n{line}\n"}
    assert "keras" in eagerly("kreid.runs.folder", planted)


def test_every_rule_has_a_planted_violation():
    planted = [message for _, _, message in PLANTED.values()]
    checked = {rule.room for rule in RULES if any(message.startswith(f"{rule.room}: ") for message in planted)}
    rest = {rule.room for rule in RULES} - checked
    for name in rest:  # of the same form as one that was planted
        (rule,) = [rule for rule in RULES if rule.room == name]
        line = f"import {rule.never[0] if rule.never else 'scipy'}"
        assert any(one.startswith(f"{name}: ") for one in violations({**TEXTS, name: f"{TEXTS[name]}\n{line}\n"})), name


def test_what_a_type_checker_alone_imports_does_not_count():
    line = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keras"
    assert violations({**TEXTS, "kreid.ranking.lists": f"{TEXTS['kreid.ranking.lists']}\n{line}\n"}) == []


def test_a_relative_import_is_refused():
    with pytest.raises(ValueError, match="kreid.errors: relative import"):
        rooms.read({**TEXTS, "kreid.errors": "from . import config"})


def eagerly(name, texts):
    """What importing a module loads at once: its own top level, that of its packages' faces, and so on."""
    graph = {one: set(rooms.at_once(one, text, texts)) for one, text in texts.items()}
    return rooms.reached(name, graph)


@pytest.mark.parametrize("module", EARLY)
def test_what_commands_import_first_loads_neither_keras_nor_tensorflow(module):
    assert not set(BIG) & set(eagerly(module, TEXTS))


IN_TEST_EMBEDDERS = ("test_inception_v4.py", "test_resnet.py")  # that file takes one of each, whole, to JAX


def test_tests_of_what_runs_on_any_backend_run_on_jax_too():
    """A test file that uses Keras, and of kreid nothing bound to TensorFlow, marks what `make test` repeats on JAX."""
    free = ("kreid.layers", "kreid.losses", "kreid.models", "kreid.weights")
    neutral = (*free, "kreid.config", "kreid.errors", "kreid.types", "tfrecords_tools.errors")
    checked = 0
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        used = rooms.read({**TEXTS, "test": text})["test"]
        of_kreid = [name for name in used if name.startswith("kreid.")]
        unbound = all(name.startswith(neutral) for name in of_kreid) and not {"tensorflow", "kreid"} & used
        if "keras" in used and unbound and any(name.startswith(free) for name in of_kreid):
            marked = "pytest.mark.backend" in text or path.name in IN_TEST_EMBEDDERS
            assert marked, f"{path}: no test is marked backend"
            checked += 1
    assert checked > 8
    assert re.search(r"KERAS_BACKEND=jax nice -n 10 \$\(PYTEST\) .*-m backend", (ROOT / "Makefile").read_text())


def test_a_face_tells_type_checkers_the_names_that_it_loads():
    """`TYPE_CHECKING` imports, `lazy_loader.attach` and `__all__` tell the same names, the first two where they are."""
    faces = 0
    for name, text in TEXTS.items():
        if "lazy_loader.attach(" in text:
            typed, loaded = rooms.face(name, text)
            assert typed == loaded, name
            public = importlib.import_module(name).__all__
            assert sorted(one.rpartition(" as ")[2] for one in typed) == sorted(public), name
            faces += 1
    assert faces > 8


def test_every_room_says_what_it_is_for():
    for name, text in TEXTS.items():
        if name.count(".") == 1 and any(other.startswith(f"{name}.") for other in TEXTS):
            assert re.match(r'"""[A-Z]', text), name
            if not name.endswith(".cli"):
                assert "mport" in text.partition('"""')[2].partition('"""')[0], f"{name}: what may it import?"
