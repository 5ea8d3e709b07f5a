"""Markup of pages: elements, and templates filled in under a strict policy of what may run."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from math import isnan


def element(tag: str, content: str = "", /, **attributes: object) -> str:
    """Return an element with escaped attributes; `content` is markup. `class_` is class, `data_tip` is data-tip."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(str(value))}"' for name, value in attributes.items()
    )
    return f"<{tag}{written}>{content}</{tag}>"


def percent(fraction: float) -> str:
    """Return a fraction as "63.7", and "–" if there is none."""
    return "–" if fraction is None or isnan(fraction) else f"{100 * fraction:.1f}"


def fill(template: str, styles: Sequence[str], scripts: Sequence[str], parts: Mapping[str, str]) -> str:
    """Return a page filled in, with a Content-Security-Policy under which its own style and script alone work.

    Args:
        template: a file of `assets`, as all names here, of what follows `head.html`; `{{name}}` stands where a
            part comes.
        styles: style sheets, joined as the part "style".
        scripts: scripts, joined as the part "script"; none for a page without.
        parts: markup, with everything that comes from outside escaped.
    """
    style, script = ("\n".join(map(_read, names)) for names in (styles, scripts))
    policy = {"default-src": "'none'", "img-src": "data:", "style-src": _hash(style)}
    policy |= {"script-src": _hash(script)} if scripts else {}
    policy |= {"base-uri": "'none'", "form-action": "'none'"}
    known = {
        "policy": escape("; ".join(f"{name} {value}" for name, value in policy.items())),
        "style": style,
        "script": script,
        **parts,
    }
    # One pass: what is filled in is never looked through again.
    return re.sub(r"\{\{(\w+)\}\}", lambda found: known[found[1]], _read("head.html") + _read(template))


def notes(texts: Iterable[str]) -> str:
    """Return sentences that stand above a page's content."""
    return "".join(element("p", escape(text), class_="note") for text in texts)


def _read(name: str) -> str:
    return resources.files("kreid.pages").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
