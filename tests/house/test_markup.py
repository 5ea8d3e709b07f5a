"""Nobody can forget to escape: markup is made in `kreid.pages` alone, and no template lets text through as it is."""

import ast
import re

import pytest
from jinja2 import Environment, nodes
from paths import ROOT

PAGES = ROOT / "kreid" / "pages"
CODE = [path for folder in ("kreid", "tfrecords_tools") for path in sorted((ROOT / folder).rglob("*.py"))]
ELSEWHERE = [path for path in CODE if not path.is_relative_to(PAGES)]
TEMPLATES = sorted((PAGES / "assets").glob("*.html"))


def name_of(path):
    return str(path.relative_to(ROOT))


def loose(source):
    """What in a template lets text through unescaped: filters, blocks, attributes without quotes."""
    found = [f"|{one.name}" for one in Environment().parse(source).find_all(nodes.Filter) if one.name == "safe"]
    kinds = (nodes.EvalContextModifier, nodes.MarkSafe, nodes.MarkSafeIfAutoescape)
    found += [type(one).__name__ for one in Environment().parse(source).find_all(kinds)]
    return found + re.findall(r"=\s*\{\{.*?\}\}", source)


def made(source):
    """Where code makes markup by itself, or text look like some: (line, what it is)."""
    tree = ast.parse(source)
    allowed = {id(one) for node in ast.walk(tree) for one in annotated(node)}
    allowed |= {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and constant(node)}
    allowed |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    return [(node.lineno, what) for node in ast.walk(tree) if id(node) not in allowed and (what := breach(node))]


def annotated(node):
    """The nodes of what `node` says of types."""
    for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
        yield from ast.walk(part) if part else ()


def constant(call):
    return not call.keywords and all(isinstance(one, ast.Constant) for one in call.args)


def breach(node):
    if isinstance(node, ast.Import):
        return next((one.name for one in node.names if one.name in ("jinja2", "markupsafe", "html")), "")
    if isinstance(node, ast.ImportFrom):
        if node.module in ("jinja2", "html"):
            return node.module
        return next((f"as {one.asname}" for one in node.names if one.name == "Markup" and one.asname), "")
    if isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        return name if name in ("Markup", "__html__") else ""
    if isinstance(node, ast.FunctionDef):
        return "__html__" if node.name == "__html__" else ""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return next(
            iter(re.findall(r"</?(?:p|b|i|a|div|span|svg|img|script|style|h\d|t[rdh]|li|ol|ul)\b", node.value)), ""
        )
    return ""


@pytest.mark.parametrize("path", TEMPLATES, ids=name_of)
def test_templates_let_nothing_through(path):
    assert loose(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "<p>{{ x|safe }}</p>",
        "{% for x in y %}{% if x %}{{ (x|upper)|safe }}{% endif %}{% endfor %}",
        "{% filter safe %}{{ x }}{% endfilter %}",
        "{% autoescape false %}{{ x }}{% endautoescape %}",
        "<p title={{ x }}>",
    ],
)
def test_a_template_that_does_is_found(source):
    assert loose(source)
    assert loose("<p>{{ x|percent }}</p>") == []


def test_templates_and_code_are_there():
    assert {"page.html", "report.html", "search.html"} <= {path.name for path in TEMPLATES}
    assert {"charts.py", "page.py"} <= {path.name for path in ELSEWHERE}


@pytest.mark.parametrize("path", ELSEWHERE, ids=name_of)
def test_markup_is_made_in_one_place(path):
    assert made(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "Markup(x)",
        "Markup(f'{x}')",
        "Markup('%s' % x)",
        "Markup(object=x)",
        "markupsafe.Markup(x)",
        "list(map(Markup, x))",
        "import markupsafe",
        "from markupsafe import Markup as Text",
        "from jinja2 import Environment",
        "from html import escape",
        "class Text(str):\n    def __html__(self): return self",
        "Text.__html__ = str",
        "page = f'<p>{x}</p>'",
        "page = '</script>'",
    ],
)
def test_markup_made_elsewhere_is_found(source):
    assert made(source)


@pytest.mark.parametrize(
    "source",
    [
        "from markupsafe import Markup\ndef drawn(parts: list[Markup]) -> Markup | None: return Markup('').join(parts)",
        "class Chart:\n    '''Of <b>.'''\n    drawing: Markup",
        "name = '<i8'",
    ],
)
def test_types_and_constants_are_no_breach(source):
    assert made(source) == []
