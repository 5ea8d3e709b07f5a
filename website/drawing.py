"""Drawings as SVG: a few shapes in colours that follow the page's, light or dark."""

from collections.abc import Sequence
from xml.etree import ElementTree

# What a figure's colours are called, and what they are on a light and on a dark page.
COLOURS = {
    "ink": ("#1f2328", "#e6e9ee"),
    "soft": ("#5a636e", "#a3acb8"),
    "line": ("#aab2bd", "#5c6672"),
    "fill": ("#f3f5f8", "#252b34"),
    "blue": ("#1f6feb", "#6cb0ff"),
    "orange": ("#c2570c", "#f0a060"),
    "green": ("#1a7f37", "#57c878"),
    "red": ("#cf222e", "#ff8078"),
    "white": ("#ffffff", "#14181f"),
}
_FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def colour_rules(which: int) -> str:
    """The colours as CSS; `which` is 0 on a light page and 1 on a dark one."""
    return " ".join(f"--{name}: {values[which]};" for name, values in COLOURS.items())


class Drawing:
    """A picture in the making.

    Args:
        width: of the picture, in pixels.
        height: likewise.
        title: what it shows, for those who do not see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        self.root = ElementTree.Element(
            "svg",
            {
                "xmlns": "http://www.w3.org/2000/svg",
                "viewBox": f"0 0 {width} {height}",
                "width": str(width),
                "height": str(height),
                "role": "img",
                "class": "figure",
                "font-family": _FONT,
            },
        )
        self.width, self.height = width, height
        ElementTree.SubElement(self.root, "title").text = title

    def rectangle(self, x: float, y: float, width: float, height: float, **looks: str) -> None:
        """A rectangle with round corners; `looks` are attributes of SVG, `_` for `-`, and colours by name."""
        self._add("rect", {"x": x, "y": y, "width": width, "height": height, "rx": 4}, "fill", "line", looks)

    def circle(self, x: float, y: float, radius: float, **looks: str) -> None:
        """A circle about a point."""
        self._add("circle", {"cx": x, "cy": y, "r": radius}, "fill", "line", looks)

    def path(self, steps: str, **looks: str) -> None:
        """A path of SVG."""
        self._add("path", {}, "none", "ink", {"d": steps, **looks})

    def text(
        self,
        x: float,
        y: float,
        words: str,
        size: int = 13,
        anchor: str = "middle",
        colour: str = "ink",
        bold: bool = False,
    ) -> None:
        """Words at a point, which lies on their base line."""
        looks = {"x": _plain(x), "y": _plain(y), "font-size": str(size), "text-anchor": anchor, "fill": _colour(colour)}
        looks |= {"font-weight": "600"} if bold else {}
        ElementTree.SubElement(self.root, "text", looks).text = words

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        lines: Sequence[str],
        colour: str = "line",
        size: int = 13,
    ) -> None:
        """A rectangle with lines of words in its middle; the first one is bold where there are several."""
        self.rectangle(x, y, width, height, stroke=colour, stroke_width="1.5")
        step = size + 4
        top = y + height / 2 - step * (len(lines) - 1) / 2 + size * 0.35
        for number, words in enumerate(lines):
            first = number == 0 and len(lines) > 1
            self.text(
                x + width / 2,
                top + step * number,
                words,
                size if first or len(lines) == 1 else size - 1,
                colour="ink" if number == 0 else "soft",
                bold=first,
            )

    def arrow(self, *points: tuple[float, float], colour: str = "soft", words: str = "") -> None:
        """A line through points, with a head at the last one; words stand above the middle of its first stretch."""
        (x0, y0), (x, y) = points[-2:]
        along = (x > x0) - (x < x0), (y > y0) - (y < y0)
        steps = "M" + " L".join(f"{_plain(a)} {_plain(b)}" for a, b in points)
        self.path(steps, stroke=colour, stroke_width="1.5")
        back, side = (x - 7 * along[0], y - 7 * along[1]), (4 * along[1], 4 * along[0])
        head = [(x, y), (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
        self.path("M" + " L".join(f"{_plain(a)} {_plain(b)}" for a, b in head) + " Z", fill=colour, stroke=colour)
        if words:
            (a, b), (c, d) = points[:2]
            self.text((a + c) / 2, (b + d) / 2 - 6, words, size=12, colour="soft")

    def player(self, x: float, y: float, shirt: str, number: str = "") -> None:
        """A player of 30 x 60 pixels whose upper left corner is at a point, with a number on the shirt."""

        def limbs(*pairs: tuple[int, int, int, int]) -> str:
            return " ".join(
                f"M{_plain(x + a)} {_plain(y + b)} L{_plain(x + c)} {_plain(y + d)}" for a, b, c, d in pairs
            )

        self.circle(x + 15, y + 8, 6, fill="orange", stroke="none")
        self.path(limbs((12, 38, 9, 58), (18, 38, 22, 58)), stroke="soft", stroke_width="4.5")
        self.path(limbs((9, 19, 3, 33), (21, 19, 27, 33)), stroke=shirt, stroke_width="4.5")
        self.rectangle(x + 7, y + 15, 16, 18, fill=shirt, stroke="none")
        self.rectangle(x + 8, y + 32, 14, 8, fill="ink", stroke="none")
        self.text(x + 15, y + 28, number, size=10, colour="white", bold=True)

    def svg(self) -> str:
        """The picture as a file, which brings its colours along."""
        light, dark = (f".figure {{ {colour_rules(which)} }}" for which in (0, 1))
        style = ElementTree.Element("style")
        style.text = f"{light} @media (prefers-color-scheme: dark) {{ {dark} }}"
        root = ElementTree.Element(self.root.tag, self.root.attrib)
        root.extend([self.root[0], style, *self.root[1:]])
        ElementTree.indent(root)
        return ElementTree.tostring(root, encoding="unicode") + "\n"

    def inline(self) -> str:
        """The picture as a part of a page, which sets the colours, on a line of its own."""
        return ElementTree.tostring(self.root, encoding="unicode")

    def _add(self, tag: str, numbers: dict[str, float], fill: str, stroke: str, looks: dict[str, str]) -> None:
        given = {"fill": fill, "stroke": stroke, **looks}
        words = {name.replace("_", "-"): _colour(value) for name, value in given.items()}
        shape = {name: _plain(value) for name, value in numbers.items()}
        ElementTree.SubElement(self.root, tag, shape | words)


def _colour(value: str) -> str:
    return f"var(--{value})" if value in COLOURS else value


def _plain(number: float) -> str:
    """A number without a needless end."""
    return f"{number:.1f}".removesuffix(".0")
