"""The committed schema, and what is made of it at run time."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from description_samples import X86, minimal, place, write
from full_description import full_description
from lxml import etree

import kiwilite.description
from kiwilite.description import explain
from kiwilite.description.codes import TITLES
from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.load import read
from kiwilite.description.reader import parse
from kiwilite.description.schema import is_valid, schema_file
from kiwilite.description.source import make_source
from kiwilite.description.support import SUPPORT
from kiwilite.description.support_table import BUILT
from kiwilite.description.tree import Node
from kiwilite.description.vocabulary import ElementForm, vocabulary


def needs(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


def tree(text: str) -> Node:
    return parse(make_source(Path("x.kiwi"), text.encode()))


@pytest.mark.parametrize("kind", ["rng", "xsd"])
def test_what_is_committed_is_what_trang_makes_of_the_source(tmp_path: Path, kind: str) -> None:
    made = tmp_path / f"kiwilite.{kind}"
    source = schema_file("kiwilite.rnc")
    run = subprocess.run(
        [needs("trang"), source, made], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert made.read_text() == schema_file(made.name).read_text()


def reachable(definition: str, found: dict[str, ElementForm]) -> dict[str, ElementForm]:
    """Elements below `definition` that are not treated as a whole."""
    form = vocabulary().elements[definition]
    if definition in found or (form.name in SUPPORT and not SUPPORT[form.name].fine):
        return found
    found[definition] = form
    for child in form.children.values():
        reachable(child.definition, found)
    return found


def test_every_name_is_either_built_or_has_a_row_that_says_why_not() -> None:
    without_row: set[str] = set()
    for form in reachable("image", {}).values():
        names = [form.name, *(f"{form.name}@{a}" for a in form.attributes)]
        without_row.update(name for name in names if name not in SUPPORT)
    assert without_row == BUILT


def test_every_row_is_a_name_of_the_grammar() -> None:
    names = set()
    for form in vocabulary().elements.values():
        names |= {form.name, *(f"{form.name}@{a}" for a in form.attributes)}
    assert set(SUPPORT) <= names


def test_every_element_and_attribute_is_documented() -> None:
    for form in vocabulary().elements.values():
        assert form.doc, form.name
        assert all(attribute.doc for attribute in form.attributes.values()), form.name


@pytest.mark.parametrize(
    "name",
    [
        "type@provisioning",
        "type@luks_unlock",
        "type@on_failure",
        "type@squashfscompression_level",
        "type@luks_fill",
        "type@luks_journal",
        "type@boot_switches",
        "partition@encrypted",
        "partition@reset",
        "partition@mountoptions",
        "packages@bootstrap_digest",
        "preferences@script_network",
        "source@snapshot",
        "preferences@source_date_epoch",
    ],
)
def test_our_own_additions_say_so(name: str) -> None:
    element, _, attribute = name.partition("@")
    assert vocabulary().elements[element].attributes[attribute].doc.startswith("kiwilite's own")


@pytest.mark.parametrize("name", ["verity", "overlay", "tree", "hybridmbr", "entry", "keyslot"])
def test_our_own_elements_say_so_with_all_that_is_in_them(name: str) -> None:
    form = vocabulary().elements[name]
    docs = [form.doc, *(attribute.doc for attribute in form.attributes.values())]
    assert all(doc.startswith("kiwilite's own") for doc in docs)


def test_the_table_of_codes_is_what_the_code_uses() -> None:
    room = Path(kiwilite.description.__file__).parent
    modules = (m for m in room.rglob("*.py") if m.name not in ("codes.py", "diagnostics.py"))
    used = {code for m in modules for code in re.findall(r"KL\d{4}", m.read_text())}
    assert used == set(TITLES)


def test_a_description_with_every_name_is_valid_within_a_moment() -> None:
    root = tree(full_description())
    started = time.process_time()
    assert is_valid(root)
    assert time.process_time() - started < 5  # libxml2 can take exponential time
    assert explain.explain(root) == []


@pytest.mark.parametrize("text", [X86, minimal(), full_description()])
def test_the_xsd_accepts_what_is_valid(text: str) -> None:
    schema = etree.XMLSchema(etree.parse(str(schema_file("kiwilite.xsd"))))
    assert schema.validate(etree.fromstring(text.encode())), schema.error_log


def mutations() -> Iterator[tuple[str, int]]:
    """(description with one mistake, line of the mistake), over the whole vocabulary."""
    lines = full_description().split("\n")
    for number, line in enumerate(lines):
        changed: list[str] = []
        if found := re.match(r'([\w:-]+)="(.*)"$', line):
            name, value = found.groups()
            changed.append(f'{name[:-1]}Q{name[-1]}="{value}"')
            if value != "text":
                changed.append(f'{name}="§"')
        for new in changed:
            yield "\n".join([*lines[:number], new, *lines[number + 1 :]]), number + 1


def without_each_mandatory_attribute() -> Iterator[str]:
    lines = full_description().split("\n")
    element = ""
    for number, line in enumerate(lines):
        if line.startswith("<") and not line.startswith(("</", "<x:")):
            element = line[1:]
        found = re.match(r'([\w:-]+)="', line)
        form = next((f for f in vocabulary().elements.values() if f.name == element), None)
        if found and form and form.attributes[found[1]].required:
            yield "\n".join([*lines[:number], *lines[number + 1 :]])


def test_each_mistake_is_explained_once_on_its_line() -> None:
    count = 0
    for text, line in mutations():
        root = tree(text)
        assert not is_valid(root), text.split("\n")[line - 1]
        found = explain.explain(root)
        assert [d.span.line for d in found] == [line], (text.split("\n")[line - 1], found)
        count += 1
    assert count > 450


def test_each_missing_attribute_is_explained_once() -> None:
    for text in without_each_mandatory_attribute():
        root = tree(text)
        assert not is_valid(root)
        assert [d.code for d in explain.explain(root)] == ["KL0103"]


def test_jing_agrees_about_every_file(tmp_path: Path) -> None:
    jing = needs("jing")
    texts = [X86, minimal(), full_description()]
    texts += [text for text, _ in list(mutations())[::12]]
    texts += list(without_each_mandatory_attribute())[::12]
    texts += [re.sub(rf"(</?){n}\b", rf"\1{n}x", X86) for n in
              ("version", "description", "users", "locale", "contact", "size")]  # fmt: skip
    texts += [X86.replace("<users>", "<users>text"), X86.replace("</users>", "</users>\ntext")]
    texts += [X86.replace(">4</size>", f">{n}</size>") for n in (" 4 ", "+4", "-4", "4.0", "", "४")]
    texts += [X86.replace('"zstd"', f'"{v}"') for v in (" zstd ", "zstd zstd", "")]
    texts += [X86.replace('unit="G"', f'additive="{v}"') for v in ("1", "0", " true ", "TRUE")]
    texts += [X86.replace("<locale>en_US", f"<locale>{v}") for v in ("C", "en_US,de_DE", "en")]
    texts.append(X86.replace("<users>", "<description type='system'/>\n<users>"))
    files = [write(tmp_path, text, f"{n}.kiwi") for n, text in enumerate(texts)]
    run = subprocess.run(
        [jing, schema_file("kiwilite.rng"), *files], capture_output=True, text=True, check=False
    )
    rejected = {Path(line.split(":")[0]).name for line in run.stdout.splitlines()}
    ours = {file.name for file, text in zip(files, texts, strict=True) if not is_valid(tree(text))}
    assert ours == rejected
    assert 0 < len(rejected) < len(files)
    for file in files:
        if file.name in rejected:
            assert explain.explain(tree(file.read_text())), file.read_text()


def test_what_the_explanation_does_not_see_is_told_in_other_words() -> None:
    root = tree(minimal().replace("<author>a</author>", ""))
    found = explain.in_the_words_of_others(root)
    assert found and {d.code for d in found} == {"KL0109"}
    assert found[0].span.line == 2


def test_structural_faults_are_found_without_choosing_profiles(tmp_path: Path) -> None:
    text = minimal(top='<users profiles="none"><user name="a" password="b"/></users>')
    document = read(write(tmp_path, text))
    (found,) = document.problems
    assert document.fits and found.code == "KL0201"
    assert (found.span.line, found.span.column) == place(text, "profiles=")


def test_no_tree_no_document(tmp_path: Path) -> None:
    with pytest.raises(DescriptionInvalid):
        read(write(tmp_path, "<image>"))
