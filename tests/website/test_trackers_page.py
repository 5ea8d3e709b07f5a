"""docs/trackers.md: its Python is that of examples/track.py, and what it says of a file's form is so."""

import ast
import re

from paths import ROOT

from website.paths import PAGES

TEXT = (PAGES / "trackers.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)


def body(function):
    """The statements of a function but for its docstring."""
    statements = function.body
    return [ast.dump(one) for one in statements[isinstance(statements[0], ast.Expr) :]]


def test_the_loop_is_that_of_the_example():
    (shown,) = [ast.parse(code).body[0] for code in SNIPPETS if code.startswith("def track")]
    example = ast.parse((ROOT / "examples" / "track.py").read_text(encoding="utf-8"))
    (there,) = [one for one in example.body if isinstance(one, ast.FunctionDef) and one.name == "track"]
    assert ast.dump(shown.args) == ast.dump(there.args)
    assert body(shown) == body(there)


def test_boxmots_lines_are_python():
    (code,) = [code for code in SNIPPETS if "boxmot" in code]  # which brings PyTorch: run by hand alone
    compile(code, "trackers.md", "exec")
