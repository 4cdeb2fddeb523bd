"""The long explanation of each code, from `explanations/CODE.md`.

A file has the code and its title as a heading, prose, and two parts, `## Wrong` and
`## Right`, with an example each, all within 80 columns. What is wrong is marked by a line
of `^` below it, which is no part of the example. An example is a fenced block; the words
behind its language say how it becomes a whole description, for those who try it:

    image         children of `<image>`, beside those of a small valid description
    preferences   children of `<preferences>`, instead of a version
    attributes    attributes of its `<type>`, beside what it has
    type          children of its `<type>`
    packages      children of `<packages type="image">`
    file          it is one already
    beside=NAME   it is a file beside the description
    session       commands that make it, run beside a small valid description
    profile=NAME arch=NAME   what is asked for
    schemaversion=VERSION    the version that the small valid description claims
    ask=upgrade              it is to be upgraded
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from kiwilite.description.codes import TITLES

FOLDER: Final = Path(__file__).parent / "explanations"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is to be said of a code; `body` is the Markdown below the heading."""

    code: str
    title: str
    body: str

    @property
    def meaning(self) -> str:
        """The prose, one line for each paragraph."""
        prose = self.body.partition("\n## ")[0].strip()
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in prose.split("\n\n"))


@lru_cache(maxsize=len(TITLES))
def explanation(code: str) -> Explanation:
    """The explanation of `code`, which is one of TITLES."""
    text = (FOLDER / f"{code}.md").read_text(encoding="utf-8")
    _, _, body = text.partition("\n")
    return Explanation(code, TITLES[code], body.strip() + "\n")
