"""How the SVG looks, and how wide its texts are at most."""

from __future__ import annotations

import unicodedata
from typing import Final

STRONG, PLAIN, SMALL = 13, 12, 11
"""Font sizes: titles of boxes, sentences, badges."""
HEADING, TITLE = 17, 24

Colours = dict[str, str | tuple[str, str]]
"""By class; a pair is of filling and border."""

_LIGHT: Final[Colours] = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "quiet": "#59636e",
    "rule": "#d1d9e0",
    "lane": "#f6f8fa",
    "plain": ("#eef6ff", "#4a90d9"),
    "partition": ("#eceff2", "#59636e"),
    "verified": ("#e2f6e6", "#2da44e"),
    "encrypted": ("#f5ecfd", "#8f5bd6"),
    "boot": ("#fff3dc", "#c98a1b"),
    "mount": ("#ddf1fb", "#0b82b5"),
    "held": "#0969da",
}
_DARK: Final[Colours] = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "quiet": "#9aa4af",
    "rule": "#3d444d",
    "lane": "#151b23",
    "plain": ("#12243d", "#4a90d9"),
    "partition": ("#262c36", "#9aa4af"),
    "verified": ("#12301c", "#3fb950"),
    "encrypted": ("#2a1d40", "#a97fe8"),
    "boot": ("#372a10", "#d9a13b"),
    "mount": ("#0c2d40", "#39a9dc"),
    "held": "#6cb6ff",
}


def _coloured(colours: Colours) -> list[str]:
    rules = [
        f".paper{{fill:{colours['paper']}}}",
        f"text{{fill:{colours['ink']}}}",
        f".quiet,.idle text{{fill:{colours['quiet']}}}",
        f".lane{{fill:{colours['lane']};stroke:{colours['rule']}}}",
        f".arrow{{stroke:{colours['quiet']}}}.head{{fill:{colours['quiet']}}}",
        f".arrow.held{{stroke:{colours['held']}}}.head.held{{fill:{colours['held']}}}",
    ]
    for name, pair in colours.items():
        if isinstance(pair, tuple):
            rules.append(f".{name}>rect{{fill:{pair[0]};stroke:{pair[1]}}}")
    idle = f"fill:{colours['paper']};stroke:{colours['quiet']};stroke-dasharray:5 4"
    return [*rules, f".idle>rect{{{idle}}}"]


def stylesheet() -> str:
    """The rules: light, and dark where the reader prefers that."""
    fixed = [
        "text{font-family:system-ui,sans-serif}",
        f".strong{{font-size:{STRONG}px;font-weight:bold}}",
        f".words{{font-size:{PLAIN}px}}",
        f".badge{{font-size:{SMALL}px;text-anchor:end}}",
        f".heading{{font-size:{HEADING}px;font-weight:bold}}",
        f".title{{font-size:{TITLE}px;font-weight:bold}}",
        "rect{stroke-width:1}.arrow{fill:none;stroke-width:1.5}",
    ]
    dark = ["@media (prefers-color-scheme:dark){", *_coloured(_DARK), "}"]
    return "\n".join([*fixed, *_coloured(_LIGHT), *dark])


_NARROW: Final = frozenset("ijlI|.,:;' ")
_SLIM: Final = frozenset('ftr()[]/\\-!"')
_WIDE: Final = frozenset("mwMW%@&…—")


def text_width(text: str, size: int, *, bold: bool) -> int:
    """Pixels that `text` takes at most, in any of the usual fonts without serifs."""
    thousandths = sum(_width(character) for character in text)
    return -(-thousandths * size * (112 if bold else 100) // 100_000)


def _width(character: str) -> int:
    """Thousandths of the font's size, as the widest of these fonts have it."""
    if character in _NARROW:
        return 370
    if character in _SLIM:
        return 470
    if character in _WIDE:
        return 1080
    if character.isascii():
        return 840 if character.isupper() or character in "+=<>~#^" else 650
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 1100
