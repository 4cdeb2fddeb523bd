"""Where things are in an SVG of ours: boxes, texts and arrows in the picture's own coordinates.

Widths of text are those of DejaVu Sans, one of the widest fonts without serifs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"

_REGULAR = """
318 401 460 838 636 950 780 275 390 390 500 838 318 361 318 337 636 636 636 636 636 636 636 636 636
636 337 337 838 838 838 531 1000 684 686 698 770 632 575 775 752 295 295 656 557 863 748 787 603
787 695 635 611 732 684 989 685 611 685 390 337 390 838 500 500 613 635 550 635 615 352 635 634 278
278 579 278 974 634 612 635 635 411 521 392 634 592 818 592 592 525 636 337 636 838"""
_BOLD = """
348 456 521 838 696 1002 872 306 457 457 523 838 380 415 380 365 696 696 696 696 696 696 696 696 696
696 400 400 838 838 838 580 1000 774 762 734 830 683 683 821 837 372 372 775 637 995 837 850 733
850 770 720 682 812 774 1103 771 724 725 457 365 457 838 500 500 675 716 593 716 678 435 716 712
343 343 665 343 1042 712 687 716 716 493 595 478 712 652 924 645 652 582 712 365 712 838"""
REGULAR, BOLD = ([int(w) for w in table.split()] for table in (_REGULAR, _BOLD))
"""Advance widths of the characters from the blank on, in thousandths of the font size."""

FONTS = {"strong": (13, BOLD), "words": (12, REGULAR), "badge": (11, REGULAR)}
FONTS |= {"title": (24, BOLD), "heading": (17, BOLD)}


@dataclass(frozen=True)
class Rect:
    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Rect) -> bool:
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )

    def contains(self, other: Rect) -> bool:
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.x + other.width <= self.x + self.width
            and other.y + other.height <= self.y + self.height
        )

    def on_border(self, point: tuple[float, float]) -> bool:
        x, y = point
        inside = self.x <= x <= self.x + self.width and self.y <= y <= self.y + self.height
        return inside and not self.has_inside(point)

    def has_inside(self, point: tuple[float, float]) -> bool:
        x, y = point
        return self.x < x < self.x + self.width and self.y < y < self.y + self.height


@dataclass(frozen=True)
class DrawnArrow:
    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Drawn:
    """Everything in the picture that has a place."""

    view: Rect
    boxes: dict[str, Rect]
    texts: dict[str, list[Rect]]
    """Of the boxes, by their keys."""
    free: list[Rect]
    """The texts outside of boxes."""
    lanes: dict[str, Rect]
    arrows: list[DrawnArrow]
    tooltips: dict[str, str]


def read(svg: str) -> Drawn:
    root = ElementTree.fromstring(svg.encode())
    x, y, width, height = (float(n) for n in root.attrib["viewBox"].split())
    drawn = Drawn(Rect(x, y, width, height), {}, {}, [], {}, [], {})
    for child in root:
        _walk(child, 0.0, 0.0, _Group("", False), drawn)
    return drawn


class _Group(NamedTuple):
    """The nearest group with a key around an element."""

    key: str
    is_box: bool


def _walk(
    element: ElementTree.Element, x: float, y: float, group: _Group, drawn: Drawn
) -> None:  # fmt: skip
    if moved := re.fullmatch(r"translate\((\S+) (\S+)\)", element.attrib.get("transform", "")):
        x, y = x + float(moved[1]), y + float(moved[2])
    styles = element.attrib.get("class", "").split()
    match element.tag.removeprefix(SVG):
        case "g" if "id" in element.attrib:
            group = _Group(element.attrib["id"], "box" in styles)
        case "rect" if "lane" in styles or group.is_box:
            places = drawn.boxes if group.is_box else drawn.lanes
            assert group.key not in places, f"{group.key} has two rectangles"
            places[group.key] = _rect(element, x, y)
        case "text":
            texts = drawn.texts.setdefault(group.key, []) if group.is_box else drawn.free
            texts.append(_text(element, styles, x, y))
        case "title" if group.is_box:
            drawn.tooltips[group.key] = element.text or ""
        case "path" if "arrow" in styles:
            points = tuple((x + a, y + b) for a, b in _points(element.attrib["d"]))
            ends = element.attrib["data-from"], element.attrib["data-to"]
            drawn.arrows.append(DrawnArrow(*ends, points))
    for child in element:
        _walk(child, x, y, group, drawn)


def _rect(element: ElementTree.Element, x: float, y: float) -> Rect:
    numbers = {name: float(element.attrib[name]) for name in ("x", "y", "width", "height")}
    return Rect(x + numbers["x"], y + numbers["y"], numbers["width"], numbers["height"])


def _text(element: ElementTree.Element, styles: list[str], x: float, y: float) -> Rect:
    size, table = FONTS[styles[0]]
    width = sum(_advance(character, table) for character in element.text or "") * size / 1000
    left = x + float(element.attrib["x"]) - (width if styles[0] == "badge" else 0)
    base = y + float(element.attrib["y"])
    return Rect(left, base - 0.76 * size, width, size)


def _advance(character: str, table: list[int]) -> int:
    if " " <= character <= "~":
        return table[ord(character) - 32]
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 1000 if unicodedata.east_asian_width(character) in "WF" else 900


def _points(path: str) -> Iterator[tuple[float, float]]:
    """Points along a path of M, V, H and C, close enough to see what it crosses."""
    at = (0.0, 0.0)
    for command, numbers in re.findall(r"([MVHC])([^MVHC]*)", path):
        values = [float(n) for n in numbers.split()]
        if command == "M":
            at = (values[0], values[1])
            yield at
            continue
        if command == "C":
            pairs = [at, *zip(values[::2], values[1::2], strict=True)]
        else:
            to = (at[0], values[0]) if command == "V" else (values[0], at[1])
            pairs = [at, at, to, to]
        yield from (_bezier(pairs, n / 20) for n in range(1, 21))
        at = pairs[-1]


def _bezier(pairs: list[tuple[float, float]], t: float) -> tuple[float, float]:
    weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
    x, y = (sum(w * p[axis] for w, p in zip(weights, pairs, strict=True)) for axis in (0, 1))
    return x, y
