"""Older files rewritten in the current vocabulary say the same, and are otherwise as before."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from description_samples import X86, minimal, write
from hypothesis import given, settings
from hypothesis import strategies as st
from random_descriptions import declared, old

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.load import load, read
from kiwilite.description.model import Span
from kiwilite.description.reader import parse
from kiwilite.description.rewrite import upgraded
from kiwilite.description.source import decode, make_source
from kiwilite.description.text.encode import encode
from kiwilite.description.text.tokens import Kind, tokens
from kiwilite.description.tree import Node
from kiwilite.description.upgrade import CURRENT, STEPS, VERSIONS, steps_since, upgrade
from kiwilite.description.upgrade_text import upgraded_text

FILE = Path("x.kiwi")


def said(node: Node) -> tuple[object, ...]:
    """All that `node` says; white space around the text of an element may be lost."""
    children = tuple(said(child) for child in node.children)
    return node.name, list(node.attributes.items()), node.text.strip(), children


def rewritten(text: str) -> str:
    """`text`, upgraded."""
    root = parse(make_source(FILE, text.encode()))
    return upgraded_text(root, steps_since(root.get("schemaversion") or "")).decode()


def inside(element: str, version: str = "7.4") -> str:
    """`element`, upgraded in a file of `version`."""
    after = rewritten(f"<image schemaversion='{version}'>{element}</image>")
    return after.removeprefix(f"<image schemaversion='{CURRENT}'>").removesuffix("</image>")


@given(
    old(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp1252"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
@settings(max_examples=200, deadline=None)
def test_the_rewritten_file_says_what_the_upgrade_in_memory_does(
    text: str, encoding: str, line_end: str
) -> None:
    raw = declared(text, encoding, line_end)
    root = parse(decode(FILE, raw))
    in_memory, problems = upgrade(root)
    assert not problems
    after = upgraded_text(root, steps_since(root.get("schemaversion") or ""))
    new = parse(decode(FILE, encode(after.decode(), raw)))
    assert said(new) == said(in_memory)
    assert asides(after) == asides(root.source.text)
    assert white_space(after) == white_space(root.source.text)


def asides(text: bytes) -> list[bytes]:
    kinds = (Kind.COMMENT, Kind.INSTRUCTION, Kind.END)
    return [text[t.start : t.end] for t in tokens(text) if t.kind in kinds]


def white_space(text: bytes) -> list[bytes]:
    found = [text[t.start : t.end] for t in tokens(text) if t.kind is Kind.TEXT]
    return [piece for piece in found if not piece.strip()]


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_but_the_number_changes_where_nothing_has_changed(version: str) -> None:
    text = X86.replace('schemaversion="8.5"', f"schemaversion = '{version}'").replace("\n", "\r\n")
    text = text.replace("<users>", "<!-- vga='1' --><users\t>")
    assert rewritten(text) == text.replace(f"'{version}'", "'8.5'")


STEP_BY_STEP = (
    (
        "7.4",
        "<containerconfig additionaltags='a,b'/>",
        "<containerconfig additionalnames=':a,:b'/>",
    ),
    ("7.5", "<packagemanager> dnf\n</packagemanager>", "<packagemanager> dnf4\n</packagemanager>"),
    ("8.0", '<repository type="rpm-dir"/>', "<repository/>"),
    ("8.0", '<repository type="rpm-md"/>', '<repository type="rpm-md"/>'),
    ("8.1", '<repository use_for_bootstrap="true" alias="a"/>', '<repository alias="a"/>'),
    ("8.2", "<type btrfs_root_is_snapshot=''/>", "<type btrfs_root_is_snapper_snapshot=''/>"),
    ("8.3", "<bootloader console='serial'/>", "<bootloader output_console='serial'/>"),
    ("8.3", "<bootloader console='a b'/>", "<bootloader output_console='a' input_console='b'/>"),
    ("8.3", "<bootloader console=''/>", "<bootloader output_console=''/>"),
    ("8.4", "<type vga='1' />", "<type />"),
)
"""The last version that has it, what stands there, what becomes of it."""


@pytest.mark.parametrize(("last", "before", "after"), STEP_BY_STEP)
def test_each_step_is_taken_up_to_its_version(last: str, before: str, after: str) -> None:
    assert inside(before, last) == after
    later = VERSIONS[VERSIONS.index(last) + 1]
    assert inside(before, later) == before


def test_every_step_is_among_those_shown_here() -> None:
    assert {(last, re.findall(r"\w+", text)[0]) for last, text, _ in STEP_BY_STEP} == {
        (VERSIONS[VERSIONS.index(step.version) - 1], step.element) for step in STEPS
    }


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("<![CDATA[dnf]]>", "<![CDATA[dnf4]]>"),
        ("d<!-- ! -->nf", "dnf4<!-- ! -->"),
        ("&#100;nf", "dnf4"),
        ("<!-- dnf -->\n  dnf", "<!-- dnf -->\n  dnf4"),
        ("<b>dnf</b>", "<b>dnf</b>"),
    ],
)
def test_a_word_is_replaced_where_it_stands(said: str, says: str) -> None:
    before = f"<packagemanager>{said}</packagemanager><a>dnf</a>"
    assert inside(before) == f"<packagemanager>{says}</packagemanager><a>dnf</a>"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<type image="a"\n      vga="1"\n      id="b">', '<type image="a"\n      id="b">'),
        ('<type vga="1"\n      image="oem">', '<type image="oem">'),
        ('<type image="oem" vga="1">', '<type image="oem">'),
        ('<type  vga="1"  >', "<type  >"),
    ],
)  # fmt: skip
def test_an_attribute_goes_with_its_white_space(before: str, after: str) -> None:
    assert inside(f"{before}</type>") == f"{after}</type>"


def test_two_attributes_that_go_take_no_other_along() -> None:
    text = '<repository type="rpm-dir"\n   use_for_bootstrap="true"\n   alias="a"/>'
    assert inside(text) == '<repository alias="a"/>'


def test_two_for_one_stand_as_the_one_did() -> None:
    text = '<bootloader name="grub2"\n            console = "a b"\n            timeout="1"/>'
    assert inside(text) == (
        '<bootloader name="grub2"\n            output_console = "a"'
        '\n            input_console = "b"\n            timeout="1"/>'
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a,&#98;", ":a,:&#98;"),
        ("a&amp;,b", ":a&amp;,:b"),
        ("a&#44;'&amp;b", ":a,:&apos;&amp;b"),
    ],
)
def test_references_stay_unless_they_hide_what_changes(before: str, after: str) -> None:
    text = f'<containerconfig additionaltags="{before}"/>'
    assert inside(text) == f'<containerconfig additionalnames="{after}"/>'


def test_an_attribute_that_has_its_successor_beside_it_is_left_to_its_author() -> None:
    text = "<bootloader console='a' output_console='b'/>"
    assert inside(text) == text


def test_names_of_other_namespaces_are_not_ours() -> None:
    text = "<x:type xmlns:x='urn:x' vga='1'/><type xmlns:x='urn:x' x:vga='1'/>"
    assert inside(text) == text


OLD = minimal(
    type_attributes='vga="791" kernelcmdline="quiet&#x20;splash"',
    type_children='<bootloader name="systemd_boot" timeout="1"/>\n'
    "<containerconfig name='c' additionaltags='a,b'/>",
    top='<repository type="rpm-dir" use_for_bootstrap="true">\n<source path="distro:debian"/>\n'
    "</repository>\n"
    '<include from="this://users.xml"/>',
).replace('"8.5"', '"7.4"')
USERS = "<image>\n<users><user name='u' password='p'/></users><!-- end -->\n</image>"


def without_places(value: object) -> object:
    """A model without what tells where it stands in the file, and in which version."""
    if isinstance(value, Span):
        return None
    if is_dataclass(value):
        names = [f.name for f in fields(value) if f.name not in ("schemaversion", "file")]
        return type(value), {name: without_places(getattr(value, name)) for name in names}
    return [without_places(v) for v in value] if isinstance(value, tuple) else value


def test_after_an_upgrade_the_appliance_is_the_same(tmp_path: Path) -> None:
    (tmp_path / "users.xml").write_text(USERS)
    file = write(tmp_path, OLD)
    before, _ = load(file)
    file.write_bytes(upgraded(file).main.new)
    after, _ = load(file)
    assert (before.schemaversion, after.schemaversion) == ("7.4", "8.5")
    assert without_places(after) == without_places(before)
    assert not upgraded(file).main.changed


@given(old())
@settings(max_examples=50, deadline=None)
def test_once_is_enough(text: str) -> None:
    assert rewritten(rewritten(text)) == rewritten(text)


INNER = "<image>\n<preferences><type image='oem' vga='1'/></preferences>\n</image>"


def test_included_files_are_upgraded_by_the_version_that_includes_them(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/a.xml").write_text(
        INNER.replace("</image>", '<include from="file://b.xml"/><include from="this://b.xml"/></image>')
    )  # fmt: skip
    (tmp_path / "parts/b.xml").write_text(INNER.replace("<image>", "<image schemaversion='8.5'>"))
    (tmp_path / "same.xml").write_text("<image/>")
    file = write(tmp_path, '<image schemaversion="7.4"><include from="file://parts/a.xml"/>'
                 '<include from="file://same.xml"/></image>')  # fmt: skip
    upgrade = upgraded(file)
    assert [r.file for r in upgrade.included] == [
        tmp_path / "parts/a.xml",
        tmp_path / "parts/b.xml",
    ]
    assert all("vga" not in r.after for r in upgrade.included)
    assert not upgrade.elsewhere


@pytest.mark.parametrize("link", [False, True])
def test_included_files_of_other_folders_are_told_apart(tmp_path: Path, link: bool) -> None:
    other = tmp_path / "other.xml"
    other.write_text(INNER)
    address = "link.xml" if link else "../other.xml"
    text = f'<image schemaversion="7.4"><include from="file://{address}"/></image>'
    file = write(tmp_path / "folder", text)
    if link:
        (tmp_path / "folder/link.xml").symlink_to(other)
    upgrade = upgraded(file)
    assert not upgrade.included
    assert [r.file.resolve() for r in upgrade.elsewhere] == [other]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<image schemaversion='7.3'/>", "KL0010"),
        ("<image schemaversion='8.6'/>", "KL0010"),
        ("<image/>", "KL0103"),
        ("<image schemaversion='7.4'>", "KL0006"),
        ("<image schemaversion='7.4'><include from='file://none'/></image>", "KL0011"),
        ("<image schemaversion='7.4'><include from='file://appliance.kiwi'/></image>", "KL0012"),
    ],
)
def test_what_cannot_be_upgraded_whole_is_an_error(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(DescriptionInvalid) as caught:
        upgraded(write(tmp_path, text))
    assert [d.code for d in caught.value.diagnostics] == [code]


def test_an_encoding_that_does_not_come_back_as_it_was_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "appliance.kiwi"
    text = b"<?xml version='1.0' encoding='iso2022_jp'?><image schemaversion='7.4' name='a'/>"
    file.write_bytes(text)
    assert upgraded(file).main.new == text.replace(b"7.4", b"8.5")
    file.write_bytes(text.replace(b"'a'", b"'\x1b$B$\"\x1b(B\x1b(B'"))  # one switch too many
    with pytest.raises(DescriptionInvalid) as caught:
        upgraded(file)
    assert [d.code for d in caught.value.diagnostics] == ["KL0020"]


def test_a_file_of_today_is_left_alone_with_all_it_includes(tmp_path: Path) -> None:
    (tmp_path / "inner.xml").write_text(INNER)
    file = write(tmp_path, "<image schemaversion='8.5'><include from='file://inner.xml'/></image>")
    upgrade = upgraded(file)
    assert not (upgrade.main.changed or upgrade.included or upgrade.elsewhere)
    assert read(file).version == "8.5"
