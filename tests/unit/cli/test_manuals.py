"""Manual pages: complete, and without a complaint of troff."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from kiwilite.cli.main import GROUPS
from kiwilite.description.vocabulary import vocabulary

FOLDER = Path(__file__).resolve().parents[3] / "man"
PAGES = sorted(FOLDER.iterdir())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_a_page_can_be_shown_at_80_columns(page: Path) -> None:
    command = ["groff", "-man", "-Tutf8", "-K", "utf8", "-ww", "-rLL=80n", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    harmless = re.compile(r"(cannot adjust|can't break) line")
    assert [line for line in done.stderr.splitlines() if not harmless.search(line)] == []


def test_there_is_a_page_for_each_command_group() -> None:
    names = {page.name for page in PAGES}
    assert names >= {f"kiwilite-{group}.1" for group in GROUPS} | {"kiwilite.1", "run_x86.1"}


def test_the_page_of_the_language_has_every_element_and_attribute() -> None:
    text = (FOLDER / "kiwilite-description.5").read_text().replace("\\-", "-")
    for form in vocabulary().elements.values():
        section = text.split(f".SS <{form.name}>\n", 1)[1].split(".SS ", 1)[0]
        assert form.doc.split()[0] in section
        for name in form.attributes:
            assert f".TP\n\\fB{name}\\fR" in text, f"{form.name}@{name}"


def test_pages_refer_to_pages_that_exist() -> None:
    for page in PAGES:
        for name, section in re.findall(r"(kiwilite[\\a-z-]*)\s\((\d)\)", page.read_text()):
            assert (FOLDER / f"{name.replace(chr(92), '')}.{section}").exists(), page
