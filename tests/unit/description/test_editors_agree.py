"""nXML, jing, xmllint and kiwilite judge alike; what the XSD does not see is in the docs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from faulty_descriptions import Faulty, faulty_descriptions, valid_descriptions

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import read
from kiwilite.description.schema import schema_file

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
GRAMMAR = re.compile("KL01..|KL0703|KL0010")
"""Codes of mistakes that a grammar can see; a schemaversion is one of its values."""

Corpus = Mapping[Path, Faulty]
Places = dict[Path, list[int]]
"""Lines of the mistakes in each file that has some."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("corpus")
    files = {}
    for number, faulty in enumerate([*valid_descriptions(), *faulty_descriptions()]):
        path = folder / f"{number:04}.kiwi"
        path.write_text(faulty.text)
        files[path] = faulty
    return files


def tool(*command: str | Path, names: str = "") -> str:
    done = subprocess.run(command, input=names, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def places(output: str, pattern: str) -> Places:
    found: Places = {}
    for name, line in re.findall(pattern, output, re.MULTILINE):
        found.setdefault(Path(name), []).append(int(line))
    return found


def by_jing(files: Corpus, schema: str) -> Places:
    said = tool("jing", schema_file(schema), *files)
    assert "fatal" not in said, said
    return places(said, r"^(.+?):(\d+):\d+: error: ")


def by_nxml(files: Corpus) -> Places:
    """As nXML says it when it has chosen the schema by itself, with our locating rules."""
    ours, driver = ROOT / "editors/emacs/kiwilite.el", HERE / "nxml_verdicts.el"
    names = "".join(f"{name}\n" for name in files)
    said = tool("emacs", "-Q", "--batch", "-l", ours, "-l", driver, names=names)
    judged = set(re.findall(r"^(.+?)\t", said, re.MULTILINE))
    assert judged == {str(name) for name in files}, said[-2000:]
    (schema,) = set(re.findall(r"\t\t(.+)$", said, re.MULTILINE))
    assert Path(schema).samefile(schema_file("kiwilite.rnc"))
    return places(said, r"^(.+?)\t(\d+)\t")


def by_xmllint(files: Corpus) -> set[Path]:
    """The files that it refuses."""
    said = tool("xmllint", "--noout", "--relaxng", schema_file("kiwilite.rng"), *files)
    verdicts = dict(re.findall(r"^(.+) (validates|fails to validate)$", said, re.MULTILINE))
    assert verdicts.keys() == {str(name) for name in files}
    return {Path(name) for name, verdict in verdicts.items() if verdict != "validates"}


def problems_of(file: Path) -> tuple[Diagnostic, ...]:
    """All that is said of a file that does not fit the grammar; nothing of one that does."""
    try:
        document = read(file)
    except DescriptionInvalid as error:
        return error.diagnostics
    return () if document.fits else document.problems


def by_kiwilite(files: Corpus) -> Places:
    found = {file: [d for d in problems_of(file) if GRAMMAR.match(d.code)] for file in files}
    return {file: [d.span.line for d in mistakes] for file, mistakes in found.items() if mistakes}


@dataclass(frozen=True, slots=True)
class Extent:
    """First line of an element's start tag, last line of it, and line of its end."""

    start: int
    tag_end: int
    end: int


def extents(text: str) -> Iterator[Extent]:
    """Those of all elements, in the layout that the corpus has."""
    open_elements: list[tuple[int, int]] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("<") and not line.startswith("</"):
            start = number
        ends, closes = re.search(r'(^<\w[\w:-]*|")>', line), re.search(r"</[\w:-]+>$", line)
        if "/>" in line or (ends and closes):
            yield Extent(start, number, number)
        elif ends:
            open_elements.append((start, number))
        elif closes:
            yield Extent(*open_elements.pop(), number)


def element_at(text: str, line: int) -> Extent:
    """The element whose start tag has `line`."""
    return next(e for e in extents(text) if e.start <= line <= e.tag_end)


def test_every_verdict_is_the_same_and_stands_at_the_same_line(corpus: Corpus) -> None:
    faulty = {file for file, what in corpus.items() if what.kind != "valid"}
    ours, jings, nxmls = by_kiwilite(corpus), by_jing(corpus, "kiwilite.rng"), by_nxml(corpus)
    for who, refused in (
        ("kiwilite", ours.keys()),
        ("jing", jings.keys()),
        ("nXML", nxmls.keys()),
        ("xmllint", by_xmllint(corpus)),
    ):
        differ = [(corpus[f].kind, corpus[f].where) for f in sorted(refused ^ faulty)]
        assert not differ, f"{who} judges otherwise: {differ[:20]}"
    for file in faulty:
        said = (file, corpus[file].kind, corpus[file].where, ours[file], jings[file], nxmls[file])
        whose = element_at(corpus[file].text, ours[file][0])
        # jing has no line of an attribute, and misses a child at the end of its parent
        ends = {whose.tag_end, whose.end if corpus[file].kind == "missing element" else 0}
        assert jings[file][0] in ends, said
        if corpus[file].kind in AT_THE_END_FOR_NXML:
            assert whose.start <= nxmls[file][0] <= whose.end, said
        else:
            assert ours[file][0] in nxmls[file], said


AT_THE_END_FOR_NXML = {
    "missing attribute",
    "none of several attributes",
    "missing element",
    "wrong text",
}
"""nXML says so where the tag or the element ends, kiwilite where it begins."""


def test_the_corpus_has_every_attribute_and_every_element(corpus: Corpus) -> None:
    from kiwilite.description.vocabulary import vocabulary

    forms = vocabulary().elements.values()
    misspelt = {w.where for w in corpus.values() if w.kind == "misspelt attribute"}
    ends = {tuple(where.rsplit("/", 1)[-1].split("@")) for where in misspelt}
    assert ends >= {(f.name, a) for f in forms for a in f.attributes if f.name != "include"}
    faulty = [what.text for what in corpus.values() if what.kind != "valid"]
    assert len(set(faulty)) == len(faulty)


def unseen_rows() -> set[str]:
    """The table of docs/editors.md: `<parent>` and the children that the XSD does not miss."""
    docs = (ROOT / "docs/editors.md").read_text()
    section = docs.split("## What the XML Schema does not see")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `<([\w-]+)>` \| (.*) \|$", section, re.MULTILINE)
    return {f"{parent}/{child}" for parent, row in rows for child in re.findall("`<(.*?)>`", row)}


def test_the_xsd_accepts_what_is_valid_and_the_docs_say_what_else_it_accepts(
    corpus: Corpus,
) -> None:
    refused = by_jing(corpus, "kiwilite.xsd").keys()
    seen = [w.where for f, w in corpus.items() if w.kind == "valid" and f in refused]
    assert not seen, "valid, and refused"
    unseen = [w for f, w in corpus.items() if w.kind != "valid" and f not in refused]
    assert {w.kind for w in unseen} == {
        "attributes that exclude each other",
        "none of several attributes",
        "element twice",
        "missing element",
    }
    missing = {"/".join(w.where.split("/")[-2:]) for w in unseen if w.kind == "missing element"}
    assert missing == unseen_rows()
    twice = {w.where for w in corpus.values() if w.kind == "element twice"}
    seen_twice = twice - {w.where for w in unseen}
    assert {where.rsplit("/", 1)[-1] for where in seen_twice} == {"source"}
