"""Nothing of the grammar is dropped in silence: it has an effect, or it is reported."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from built_description import (
    AT_BUILD,
    EVERYTHING,
    REFUSED,
    SIMPLE,
    changed,
    without,
    write_files,
)
from description_samples import findings, minimal, place, write
from grammar_changes import WITHOUT_EFFECT, base_of, effects, forms, name_of, value_of, values

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.load import load
from kiwilite.description.profiles import Selection
from kiwilite.description.reader import parse
from kiwilite.description.source import make_source
from kiwilite.description.support import CONDITIONS_BY_NAME, SUPPORT, check_support
from kiwilite.description.support_conditions import CONDITIONS
from kiwilite.description.support_table import BUILT
from kiwilite.description.vocabulary import ElementForm, ValueType, vocabulary
from kiwilite.plan.compile import compile
from kiwilite.plan.references import plain
from kiwilite.plan.selection import Unselected


def path_to(element: str) -> list[ElementForm]:
    """Elements from `<image>` to `element`, through as few as can be."""
    words = vocabulary()
    paths = [[words.elements[words.root]]]
    for path in paths:
        if path[-1].name == element:
            return path
        for child in path[-1].children.values():
            form = words.elements[child.definition]
            if form not in path:
                paths.append([*path, form])
    raise AssertionError(element)


def reports(element: str, attribute: str | None, value: str) -> list[tuple[str, int, int]]:
    """(code, line, column) of what is said of a value, at the deepest element of its path."""
    path = [form.name for form in path_to(element)]
    last = (
        f"<{element}\n{attribute}='{value}'/>" if attribute else f"<{element}>{value}</{element}>"
    )
    opened = "\n".join(f"<{name}>" for name in path[:-1])
    closed = "\n".join(f"</{name}>" for name in reversed(path[:-1]))
    text = f"{opened}\n{last}\n{closed}" if len(path) > 1 else last
    root = parse(make_source(Path("x.kiwi"), text.encode()))
    types = [t for p in root.all("preferences") for t in p.all("type")]
    image_type = types[0] if types else root
    found = check_support(root, Selection("x86_64", ()), image_type, list(root.all("packages")))
    line = text.count("\n", 0, text.index(last)) + (2 if attribute else 1)
    return [(d.code, d.span.line, d.span.column) for d in found if d.span.line == line]


CODES = {"not built": "KL0901", "ignored": "KL0902", "not run": "KL0903"}
ROWS = [(e, a, v) for e, a, v in forms() if name_of(e, a) in SUPPORT]


@pytest.mark.parametrize(
    ("element", "attribute", "kind"), ROWS, ids=[name_of(*r[:2]) for r in ROWS]
)
def test_every_value_that_is_not_built_is_reported_at_its_place_and_no_other(
    element: str, attribute: str | None, kind: ValueType | None
) -> None:
    row = SUPPORT[name_of(element, attribute)]
    possible = {CODES[c.status] for c in CONDITIONS_BY_NAME.get(name_of(element, attribute), ())}
    for value in values(kind) if kind else ("",):
        found = reports(element, attribute, value)
        if value in row.fine:
            assert {code for code, _, _ in found} <= possible, value
        else:
            assert len(found) == 1, value
            assert found[0][0] in {CODES[row.status], *possible}
            assert found[0][2] == 1


def test_every_name_of_the_grammar_is_built_or_has_a_row_or_is_part_of_what_has_one() -> None:
    for element, attribute, _ in forms():
        name = name_of(element, attribute)
        whole = any(
            form.name in SUPPORT and not SUPPORT[form.name].fine for form in path_to(element)
        )
        assert name in BUILT or name in SUPPORT or whole, name
    assert BUILT.isdisjoint(SUPPORT)
    assert BUILT | SUPPORT.keys() >= WITHOUT_EFFECT


def test_every_row_says_what_to_do_instead() -> None:
    short = [name for name, row in SUPPORT.items() if len(row.instead.split()) < 3]
    assert short == []
    assert all(len(c.instead.split()) >= 2 and c.why for c in CONDITIONS)


def outcome(directory: Path, text: str) -> str:
    """What would be built, places in the file aside, or the codes of what is refused."""
    file = write(directory, text)
    write_files(directory)
    try:
        appliance, _ = load(file, arch="x86_64")
    except DescriptionInvalid as error:
        return " ".join(d.code for d in error.diagnostics if d.severity == "error")
    # without its digest an archive is looked for; with it, it is known before
    wanted = appliance.packages.bootstrap_package
    archive = [wanted.name, wanted.digest] if wanted else None
    plan = compile(
        appliance, bootstrap_archive=None, epoch=None, packages=Unselected(""), mirrors={}
    )
    rows = [plain(plan), archive]
    return re.sub(r"appliance\.kiwi:\d+:\d+", "", json.dumps(rows, default=str))


EFFECTS = list(effects())


def test_the_descriptions_with_everything_are_valid(tmp_path: Path) -> None:
    for text in (EVERYTHING, AT_BUILD, SIMPLE):
        assert outcome(tmp_path, text).startswith("[")


@pytest.mark.parametrize(
    ("base", "element", "attribute", "value"),
    EFFECTS,
    ids=[f"{e}@{a}={v}" if a else f"{e}={v}" for _, e, a, v in EFFECTS],
)
def test_what_is_built_changes_the_plan(
    tmp_path: Path, base: str, element: str, attribute: str | None, value: str
) -> None:
    mutated = changed(base, element, attribute, value)
    if mutated == changed(base, element, attribute, value_of(base, element, attribute)):
        return  # the value it has already
    before, after = outcome(tmp_path, base), outcome(tmp_path, mutated)
    assert before != after
    if name_of(element, attribute) not in REFUSED:
        assert after.startswith("["), after


AS_BY_DEFAULT = {"oem-resize", "oem-resize-once"}
"""Elements that say in these descriptions what holds without them."""

ELEMENTS = [
    name
    for name in sorted(BUILT)
    if "@" not in name and name not in WITHOUT_EFFECT | AS_BY_DEFAULT | {"image", "include"}
]


@pytest.mark.parametrize("element", ELEMENTS)
def test_a_built_element_is_missed(tmp_path: Path, element: str) -> None:
    base = base_of(element, None)
    assert outcome(tmp_path, without(base, element)) != outcome(tmp_path, base)


@pytest.mark.parametrize(
    ("text", "at", "code"),
    [
        (minimal(type_attributes='luks_version="luks2"'), "luks_version", "KL0902"),
        (minimal(type_attributes='luks_pbkdf="pbkdf2"'), "luks_pbkdf", "KL0902"),
        (
            minimal(type_attributes='squashfscompression="xz" squashfscompression_level="3"'),
            "squashfscompression_level",
            "KL0902",
        ),
        (minimal(type_children='<bootloader name="zipl"/>'), 'name="zipl"', "KL0901"),
        (
            minimal(
                type_children='<partitions><partition name="a" label="A" filesystem="squashfs"\n'
                'mountpoint="/a"/></partitions>'
            ),
            "label",
            "KL0902",
        ),
        (
            minimal(top='<users><user name="root" password="*" home="/r"/></users>'),
            "home",
            "KL0902",
        ),
        (
            minimal(preferences="<version>1</version><locale>en_US,de_DE</locale>"),
            "<locale",
            "KL0902",
        ),
        (
            minimal(top='<repository imageinclude="true"><source path="dir:/tmp"/></repository>'),
            "imageinclude",
            "KL0902",
        ),
        (
            minimal(
                top='<repository imageinclude="true"><source path="http://a.b/c">'
                '<signing key="file://motd"/></source></repository>'
            ),
            "imageinclude",
            "KL0902",
        ),
        (
            minimal(top='<repository priority="1"><source path="http://a.b/c"/></repository>'),
            "priority",
            "KL0902",
        ),
        (
            minimal(
                top='<repository><source path="http://a.b/c"><signing key="https://a.b/k"/>'
                "</source></repository>"
            ),
            "key=",
            "KL0901",
        ),
        (
            minimal(top='<packages type="bootstrap" patternType="plusRecommended"/>'),
            "patternType",
            "KL0902",
        ),
    ],
)
def test_a_value_that_needs_another_is_reported_where_that_is_missing(
    tmp_path: Path, text: str, at: str, code: str
) -> None:
    found = [d for d in findings(write(tmp_path, text)) if d.code >= "KL0900"]
    assert [(d.code, d.span.line, d.span.column) for d in found] == [(code, *place(text, at))]
    assert found[0].hint


def test_no_message_repeats_a_password(tmp_path: Path) -> None:
    top = '<repository password="tell-nobody"><source path="http://a.b/c"/></repository>'
    found = findings(write(tmp_path, minimal(top=top)))
    assert {d.code for d in found} == {"KL0601", "KL0901"}
    assert not any("tell-nobody" in str(d) for d in found)
