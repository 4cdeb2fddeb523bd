"""The elements of the SVG: boxes with their texts, arrows, groups. All numbers are whole pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiwilite.plan.diagram.model import Box
from kiwilite.plan.diagram.skyline import Metrics
from kiwilite.plan.diagram.style import PLAIN, SMALL, STRONG, TITLE, text_width
from kiwilite.plan.diagram.words import clean, cut, fold, wrap

WIDTH = 1200
MARGIN = 30
INNER = WIDTH - 2 * MARGIN
EDGE, RIM = 10, 8
LINE = 17
MOST = 3
"""Lines of a sentence."""
_TOOLTIP = 100_000
"""Characters of a tooltip."""

Written = tuple[str, str]
"""A line of text: (class, text)."""


@dataclass(frozen=True, slots=True)
class Part:
    """Elements with their own origin, and how much room they take."""

    elements: tuple[str, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a box begins, and how wide it is."""

    x: int
    y: int
    width: int


def words(line: str) -> int:
    """Width of a sentence."""
    return text_width(line, PLAIN, bold=False)


def strong(line: str) -> int:
    """Width of the title of a box."""
    return text_width(line, STRONG, bold=True)


def titles(line: str) -> int:
    """Width of the picture's title."""
    return text_width(line, TITLE, bold=True)


def beside(badge: str) -> int:
    """What a badge takes from the line of the title."""
    return text_width(badge, SMALL, bold=False) + EDGE if badge else 0


METRICS: Final = Metrics(
    room=INNER,
    edge=8,
    rim=7,
    gap=4,
    line=LINE,
    measure=lambda line, is_title: strong(line) if is_title else words(line),
    badge=beside,
    widest=130,
)


def escape(value: str) -> str:
    """`value` as text or attribute of XML, on one line."""
    shown = clean(value)
    for character, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        shown = shown.replace(character, entity)
    return shown


def text(style: str, x: int, y: int, value: str) -> str:
    """A line of text that begins at x (a badge ends there); y is its base line."""
    return f'<text class="{style}" x="{x}" y="{y}">{escape(value)}</text>'


def rect(style: str, x: int, y: int, width: int, height: int) -> str:
    """A rectangle with round corners."""
    named = f' class="{style}"' if style else ""
    return f'<rect{named} x="{x}" y="{y}" width="{width}" height="{height}" rx="5"/>'


def height_of(lines: int) -> int:
    """Height of a box with so many lines."""
    return lines * LINE + 2 * RIM


def title_line(box: Box, room: int) -> Written:
    """The title, shortened to leave room for the badge."""
    return "strong", cut(box.title, room - beside(box.badge), strong)


def box(item: Box, place: Place, height: int, lines: Sequence[Written]) -> str:
    """A box with its lines; what is folded or cut is in the tooltip."""
    style = f"box {item.tone}" + ("" if item.holds else " idle")
    elements = [
        f'<g class="{style}" id="{item.key}">',
        f"<title>{escape(_tooltip(item))}</title>",
        rect("", place.x, place.y, place.width, height),
    ]
    y = place.y + RIM - 4
    for n, (line_style, line) in enumerate(lines, 1):
        elements.append(text(line_style, place.x + EDGE - 1, y + n * LINE, line))
    if item.badge:
        right = place.x + place.width - EDGE
        elements.append(text("badge quiet", right, y + LINE, item.badge))
    return "".join([*elements, "</g>"])


def _tooltip(item: Box) -> str:
    whole = "; ".join([item.title, *item.lines])
    if item.names:
        whole += ": " + " ".join(item.names)
    return whole if len(whole) <= _TOOLTIP else whole[:_TOOLTIP] + "…"


def arrow(source: str, target: str, path: str, held: bool) -> str:
    """An arrow along `path` between two things with these keys."""
    kind = " held" if held else ""
    end = "head-held" if held else "head-idle"
    ends = f'data-from="{source}" data-to="{target}"'
    return f'<path class="arrow{kind}" {ends} d="{path}" marker-end="url(#{end})"/>'


def heads() -> str:
    """What is at the end of arrows."""
    return "".join(
        [
            "<defs>",
            *(
                f'<marker id="head-{kind}" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"'
                f' markerHeight="8" markerUnits="userSpaceOnUse" orient="auto">'
                f'<path class="head {kind}" d="M0 0L8 4L0 8z"/></marker>'
                for kind in ("held", "idle")
            ),
            "</defs>",
        ]
    )


def moved(part: Part, x: int, y: int) -> str:
    """A part at its place."""
    return "\n".join([f'<g transform="translate({x} {y})">', *part.elements, "</g>"])


def grouped(key: str, elements: Sequence[str], width: int, height: int) -> Part:
    """Elements as one thing with a key."""
    return Part((f'<g id="{key}">', *elements, "</g>"), width, height)


def sentences(lines: Sequence[str]) -> Part:
    """Plain sentences, one below the other."""
    shown = [line for sentence in lines for line in wrap(sentence, INNER, words, MOST)]
    elements = [text("words", 0, PLAIN + n * LINE, line) for n, line in enumerate(shown)]
    return Part(tuple(elements), INNER, max(1, len(shown)) * LINE)


def names(given: Sequence[str], room: int, most: int) -> list[Written]:
    """Names side by side, in at most `most` lines."""
    return [("words", line) for line in fold(given, room, words, most, " · ")]


def legend(y: int, entries: Sequence[tuple[str, str]]) -> list[str]:
    """What the colours mean: (classes, words) each, in a row that ends at the right edge."""
    elements: list[str] = []
    x = MARGIN + INNER
    for style, said in reversed(entries):
        x -= words(said)
        elements.append(text("words quiet", x, y, said))
        x -= 22
        elements.append(f'<g class="{style}">{rect("", x, y - 11, 16, 12)}</g>')
        x -= 18
    return elements
