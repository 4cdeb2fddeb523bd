"""Paragraphs of dpkg's text files, and the one inside a package."""

from __future__ import annotations

import re
from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.ondisk.deb import UnknownCompression, read_control


def stanzas(text: str) -> dict[str, str]:
    """The paragraphs of dpkg's files by package."""
    found = (part.strip() for part in re.split(r"\n\s*\n", text))
    return {name: part for part in found if (name := field(part, "Package"))}


def field(stanza: str, name: str) -> str:
    """A field of one line, empty where there is none."""
    found = re.search(rf"^{name}:[ \t]*(.*)$", stanza, re.MULTILINE)
    return found[1].strip() if found else ""


def control_of(job: Job, package: Path) -> str:
    """The paragraph of a package file. Raises BadDeb, or StageFailed where dpkg-deb does."""
    try:
        with package.open("rb") as stream:
            return read_control(stream)
    except UnknownCompression:
        return job.run(["dpkg-deb", "--field", package])
