"""Valid descriptions over the whole vocabulary are accepted; each way to break one is explained.

benchmarks/agreement_with_kiwi.py puts the same descriptions to KIWI.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from breakages import BREAKAGES, name_of, without_what_it_needs
from broken import Breakage
from description_samples import STORAGE, X86, errors, findings, write, write_keys
from kiwi_facts import kiwi_elements
from lxml import etree
from specimens import (
    IMAGES,
    MANAGERS,
    Part,
    legal_values,
    part_of,
    render,
    some_specimen,
    systematic,
)

from kiwilite.description.load import read
from kiwilite.description.schema import schema_file
from kiwilite.description.vocabulary import vocabulary

COUNT = 25
"""Specimens that each breakage is tried on."""


@pytest.fixture(scope="module")
def whole() -> list[Part]:
    return list(systematic())


def test_specimens_have_all_names_of_kiwi_and_all_values_that_are_listed(
    whole: list[Part],
) -> None:
    missing = []
    for name, facts in kiwi_elements().items():
        parts = [part for specimen in whole for part in specimen.named(name)]
        if not parts and name != "include":
            missing.append(name)
        for attribute in facts.attributes:
            written = {part.attributes.get(attribute) for part in parts}
            form = vocabulary().elements[name].attributes.get(attribute)
            if form is None or name == "include":
                continue
            wanted = set(form.value.literals) or written - {None}
            missing += [f"{name}@{attribute} {value}" for value in wanted - written]
            if written == {None}:
                missing.append(f"{name}@{attribute}")
    assert missing == []
    types = [part for specimen in whole for part in specimen.named("type")]
    assert {part.attributes["image"] for part in types} == set(IMAGES)
    managers = [p.text for specimen in whole for p in specimen.named("packagemanager")]
    assert set(managers) == set(MANAGERS)


def test_valid_descriptions_over_the_whole_vocabulary_are_accepted(
    tmp_path: Path, whole: list[Part]
) -> None:
    some = [some_specimen(seed) for seed in range(60)]
    for seed, specimen in enumerate([*whole, *some]):
        file = tmp_path / f"{seed}.kiwi"
        file.write_text(render(specimen, seed).text)
        assert errors(file) == []


def test_the_xml_schema_accepts_them_too(whole: list[Part]) -> None:
    schema = etree.XMLSchema(etree.parse(str(schema_file("kiwilite.xsd"))))
    for specimen in whole[:: len(whole) // 12]:
        document = etree.fromstring(render(specimen).text.encode())
        assert schema.validate(document), schema.error_log


def test_the_xmlschema_library_accepts_them_too(whole: list[Part]) -> None:
    import xmlschema

    schema = xmlschema.XMLSchema10(str(schema_file("kiwilite.xsd")))
    for specimen in whole[:: len(whole) // 3]:
        assert schema.is_valid(etree.fromstring(render(specimen).text.encode()))


@pytest.mark.parametrize("breakage", BREAKAGES, ids=name_of)
def test_each_mistake_is_one_diagnostic_at_its_place_with_a_hint(
    tmp_path: Path, breakage: Breakage
) -> None:
    tried = 0
    file = tmp_path / "broken.kiwi"
    for seed in range(COUNT):
        broken = breakage(some_specimen(seed), random.Random(f"{name_of(breakage)} {seed}"))
        if broken is None:
            continue
        file.write_text(broken.text)
        found = errors(file)
        assert [(d.span.line, d.span.column) for d in found] == [broken.place], found
        assert found[0].code in broken.codes, found
        assert found[0].hint, found
        tried += 1
    assert tried >= 3


FOLLOWS = (without_what_it_needs,)
"""Breakages after which more than one thing is wrong indeed."""


@pytest.mark.parametrize("breakage", [b for b in BREAKAGES if b not in FOLLOWS], ids=name_of)
def test_nothing_is_said_of_what_merely_follows_from_a_mistake(
    tmp_path: Path, breakage: Breakage
) -> None:
    write_keys(tmp_path)
    for base in (X86, STORAGE):
        root = read(write(tmp_path, base)).root
        for seed in range(4):
            broken = breakage(part_of(root), random.Random(seed))
            if broken is not None:
                file = write(tmp_path, broken.text)
                found = [d for d in findings(file) if d.severity == "error"]
                assert [(d.span.line, d.span.column) for d in found] == [broken.place], found


def test_there_are_values_to_try_for_every_type() -> None:
    for form in vocabulary().elements.values():
        for attribute in form.attributes.values():
            assert attribute.own or legal_values(attribute.value), attribute.name
