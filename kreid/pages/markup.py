"""Markup of pages: templates and elements, where text is escaped wherever it goes in, under a strict policy.

What is `Markup` by type stands in a page as it is; everything else is text from who knows where, and comes escaped.
`Markup` is made here alone, from templates, `element` and the package's own style and script.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import resources
from math import isnan

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

BUDGET = 30_000_000  # bytes of pictures in a file: it opens in about a second


def element(tag: str, *content: object, **attributes: object) -> Markup:
    """Return an element.

    Args:
        tag: its name.
        content: what stands in it, one after another: `Markup` as it is, anything else escaped.
        attributes: escaped, `Markup` too, for it may hold quotes. `class_` is class, `data_tip` is data-tip.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), str(value)) for name, value in attributes.items()
    )
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, Markup("").join(map(escape, content)))


def percent(fraction: float | None) -> str:
    """Return a fraction as "63.7", and "–" if there is none."""
    return "–" if fraction is None or isnan(fraction) else f"{100 * fraction:.1f}"


def brief(distance: float) -> str:
    """Return a distance with three digits that count."""
    return f"{distance:.0f}" if abs(distance) >= 100 else f"{distance:#.3g}"


def plain(text: str) -> str:
    """Return a name, with backslash escapes where it is not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def fill(template: str, /, **values: object) -> Markup:
    """Return a part of a page, filled in.

    Args:
        template: a file of `assets`.
        values: what its names stand for.
    """
    return Markup(_templates().get_template(template).render(values))


def within(cards: Iterable[Markup], budget: int) -> list[Markup]:
    """Return the first cards, as many as take `budget` bytes together, and at least one of them."""
    kept: list[Markup] = []
    for card in cards:
        budget -= len(card)
        if kept and budget < 0:
            break
        kept.append(card)
    return kept


def fill_page(template: str, styles: Sequence[str], scripts: Sequence[str], /, **values: object) -> Iterator[str]:
    """Yield a page piece by piece, with a Content-Security-Policy under which its own style and script alone work.

    Args:
        template: a file of `assets`, as all names here, that extends `page.html`.
        styles: style sheets, joined.
        scripts: scripts, joined as the template's `script`; none for a page without.
        values: what the template's other names stand for. Iterators are followed as the page comes to them, so that
            what is large need not be there at once.
    """
    style, script = (Markup("\n".join(map(_read, names))) for names in (styles, scripts))
    policy = {"default-src": "'none'", "img-src": "data:", "style-src": _hash(style)}
    policy |= {"script-src": _hash(script)} if scripts else {}
    policy |= {"base-uri": "'none'", "form-action": "'none'"}
    written = "; ".join(f"{name} {value}" for name, value in policy.items())
    return _templates().get_template(template).generate(values, policy=written, style=style, script=script)


@cache
def _templates() -> Environment:
    """The templates of `assets`. They know the values they are given, and no way to let text through unescaped."""
    templates = Environment(
        loader=PackageLoader("kreid.pages", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    templates.globals.clear()
    del templates.filters["safe"]
    templates.filters |= {"percent": percent, "base64": _base64}
    templates.policies["json.dumps_kwargs"] = {"separators": (",", ":")}
    return templates


def _base64(content: bytes) -> Markup:
    """Images in letters, digits, +, / and =: nothing to look for in 30 MB."""
    return Markup(base64.b64encode(content).decode("ascii"))


def _read(name: str) -> str:
    return resources.files("kreid.pages").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{_base64(hashlib.sha256(content.encode()).digest())}'"
