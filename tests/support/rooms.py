"""The rooms of the house and what each imports, read off the syntax trees: also what is imported late or lazily.

`read` gives every module's imports, `reached` what it reaches through others, `circles` what reaches itself.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("kreid", "tfrecords_tools")


def sources(root: Path) -> dict[str, str]:
    """The text of every module of the two packages, by dotted name."""
    paths = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return {_name(root, path): path.read_text(encoding="utf-8") for path in sorted(paths)}


def read(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """What every module imports: modules of the house by their whole name, other packages by their first.

    An import counts wherever it stands, inside a function too, and so does what `lazy_loader` is told to import; what
    is imported for a type checker alone (`if TYPE_CHECKING:`) does not.

    Raises:
        ValueError: for a relative import.
    """
    return {name: {_module(dotted, texts) for dotted in _imports(name, text)} - {name} for name, text in texts.items()}


def reached(name: str, graph: Mapping[str, set[str]]) -> dict[str, list[str]]:
    """Everything a module imports, itself or through others, each with the way to it."""
    ways, waiting = {name: [name]}, [name]
    while waiting:
        here = waiting.pop()
        for other in sorted(graph.get(here, set()) - ways.keys()):
            ways[other] = [*ways[here], other]
            waiting.append(other)
    return ways


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Ways that lead back to where they began; where there is any, at least one of them."""
    found: list[list[str]] = []
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        if name in way:
            found.append([*way[way.index(name) :], name])
        elif name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, [*way, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def rooms(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The imports between rooms: `kreid.ranking`, `kreid.errors`, `tfrecords_tools`, other packages by their name."""
    between: dict[str, set[str]] = {}
    for name, others in graph.items():
        between.setdefault(room(name), set()).update(room(other) for other in others)
    return {name: others - {name} for name, others in between.items()}


def room(name: str) -> str:
    """The room of a module: a package of kreid, a file at its top, or another package as a whole."""
    return ".".join(name.split(".")[:2]) if name.startswith("kreid.") else name.partition(".")[0]


def foreign(names: Mapping[str, object]) -> set[str]:
    """Of what is imported, the packages that are neither of the house nor of Python."""
    return {name for name in names if room(name) not in PACKAGES and not name.startswith(PACKAGES)} - STANDARD


STANDARD = set(sys.stdlib_module_names)


def _name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


@cache
def _imports(name: str, text: str) -> tuple[str, ...]:
    """The dotted names that a module imports; `from a import b` counts as a.b."""
    tree = ast.parse(text)
    typing = [one for node in ast.walk(tree) if _is_for_types(node) for one in node.body]
    skipped = {id(inner) for one in typing for inner in ast.walk(one)}
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ValueError(f"{name}: relative import")
        if id(node) not in skipped:
            found += _dotted(node)
        if isinstance(node, ast.Call):
            found += _called(name, node)
    return tuple(found)


def _called(name: str, call: ast.Call) -> list[str]:
    """What a call imports: `lazy_loader.attach(...)`, `import_module("a.b")`, `__import__("a")`, `lazy_loader.load`."""
    function = ast.unparse(call.func).rpartition(".")[2]
    if function == "attach":
        return [f"{name}.{inner}" for inner in _attached(call)]
    if function in ("import_module", "__import__", "load") and call.args and isinstance(call.args[0], ast.Constant):
        return [call.args[0].value] if isinstance(call.args[0].value, str) else []
    return []


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _attached(call: ast.Call) -> Iterator[str]:
    """The modules below the package that `lazy_loader.attach` imports when they are asked for."""
    for keyword in call.keywords:
        yield from ast.literal_eval(keyword.value)  # a list of modules, or a dict from modules to their names


def _module(dotted: str, known: Mapping[str, str]) -> str:
    """The longest part of a dotted name that is a module of the house; else the first part, a package of others."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in known:
            return name
    return parts[0]


def at_once(name: str, text: str, known: Mapping[str, str]) -> Iterator[str]:
    """What importing a module imports at once: the imports of its top level, and the packages that it lies in."""
    parts = name.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts)))
    for dotted in _top_level(text):
        module = _module(dotted, known)
        yield module
        above = module.split(".")
        yield from (".".join(above[:length]) for length in range(1, len(above)))


@cache
def _top_level(text: str) -> tuple[str, ...]:
    return tuple(dotted for node in _at_once(ast.parse(text).body) for dotted in _dotted(node))


def _at_once(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """What runs as a module is imported: the statements of its top level, and within its `if`, `try` and `with`."""
    for node in body:
        yield node
        if not _is_for_types(node):
            for part in ("body", "orelse", "finalbody", "handlers"):
                inner = [] if isinstance(node, ast.FunctionDef | ast.ClassDef) else getattr(node, part, [])
                for one in inner:
                    yield from _at_once(one.body if isinstance(one, ast.ExceptHandler) else [one])


def _dotted(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def face(name: str, text: str) -> tuple[set[str], set[str]]:
    """Of a package's face the names that a type checker sees and those that are loaded lazily: `where.name as name`."""
    typed: set[str] = set()
    loaded: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if _is_for_types(node):
            lines = [one for one in node.body if isinstance(one, ast.ImportFrom)]
            typed |= {f"{one.module}.{alias.name} as {alias.asname}" for one in lines for alias in one.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "lazy_loader.attach":
            for keyword in node.keywords:
                value = ast.literal_eval(keyword.value)
                pairs = value.items() if isinstance(value, dict) else [("", value)]
                loaded |= {
                    f"{'.'.join(filter(None, (name, module)))}.{one} as {one}"
                    for module, names in pairs
                    for one in names
                }
    return typed, loaded
