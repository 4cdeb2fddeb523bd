"""Descriptions of several files, and of older versions."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import minimal, place, write

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import load

INNER = """\
<image>
<users>
<user name="extra" password="x"/>
</users>
</image>
"""


def errors_of(file: Path) -> list[Diagnostic]:
    with pytest.raises(DescriptionInvalid) as caught:
        load(file)
    return [d for d in caught.value.diagnostics if d.severity == "error"]


@pytest.mark.parametrize("address", ["file://inner.xml", "this://inner.xml", "this:///inner.xml"])
def test_an_included_file_is_part_of_the_description(tmp_path: Path, address: str) -> None:
    (tmp_path / "inner.xml").write_text(INNER)
    file = write(tmp_path, minimal(top=f'<include from="{address}"/>'))
    (user,) = load(file)[0].users
    assert (user.name, user.span.file, user.span.line) == ("extra", tmp_path / "inner.xml", 3)


def test_a_mistake_in_an_included_file_is_reported_there(tmp_path: Path) -> None:
    inner = INNER.replace("password", "pasword")
    (tmp_path / "inner.xml").write_text(inner)
    (found,) = errors_of(write(tmp_path, minimal(top='<include from="file://inner.xml"/>')))
    assert found.span.file == tmp_path / "inner.xml"
    assert (found.span.line, found.span.column) == place(inner, "pasword")


def test_bad_xml_in_an_included_file_is_reported_there(tmp_path: Path) -> None:
    (tmp_path / "inner.xml").write_text(INNER.replace("</users>", "</user>"))
    (found,) = errors_of(write(tmp_path, minimal(top='<include from="file://inner.xml"/>')))
    assert (found.code, found.span.file) == ("KL0006", tmp_path / "inner.xml")


def test_an_unknown_profile_in_an_included_file_is_reported_there(tmp_path: Path) -> None:
    (tmp_path / "inner.xml").write_text(INNER.replace("<users>", '<users profiles="p">'))
    (found,) = errors_of(write(tmp_path, minimal(top='<include from="file://inner.xml"/>')))
    assert (found.code, found.span.file) == ("KL0201", tmp_path / "inner.xml")


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("file://none.xml", "KL0011"),
        ("http://example.org/x.xml", "KL0011"),
        ("inner.xml", "KL0011"),
        ("file://", "KL0011"),
        ("file://appliance.kiwi", "KL0012"),
    ],
)
def test_an_include_that_cannot_be_resolved(tmp_path: Path, address: str, code: str) -> None:
    text = minimal(top=f'<include from="{address}"/>')
    (found,) = errors_of(write(tmp_path, text))
    assert (found.code, (found.span.line, found.span.column)) == (code, place(text, "from="))


def test_includes_nest_and_a_ring_is_found_where_it_closes(tmp_path: Path) -> None:
    ring = '<image>\n<include from="file://{}"/></image>'
    (tmp_path / "one.xml").write_text(ring.format("two.xml"))
    (tmp_path / "two.xml").write_text(ring.format("one.xml"))
    (found,) = errors_of(write(tmp_path, minimal(top='<include from="file://one.xml"/>')))
    assert (found.code, found.span.file.name, found.span.line) == ("KL0012", "two.xml", 2)


def test_an_included_file_needs_an_image_around_it(tmp_path: Path) -> None:
    (tmp_path / "inner.xml").write_text("<users/>")
    (found,) = errors_of(write(tmp_path, minimal(top='<include from="file://inner.xml"/>')))
    assert (found.code, found.span.file.name) == ("KL0011", "inner.xml")


@pytest.mark.parametrize(
    ("version", "new"),
    [
        ("7.4", '<containerconfig name="c" additionaltags="a,b"/>'),
        ("8.0", None),
        ("8.2", None),
        ("8.4", None),
    ],
)
def test_files_from_7_4_on_are_read(tmp_path: Path, version: str, new: str | None) -> None:
    text = minimal(type_children=new or "").replace('"8.5"', f'"{version}"')
    if version == "8.4":
        text = text.replace('overlayroot="true"', 'overlayroot="true" vga="791"')
    assert load(write(tmp_path, text))[0].schemaversion == version


@pytest.mark.parametrize(
    ("version", "element", "reads"),
    [
        ("7.5", "<packagemanager>dnf</packagemanager>", True),
        ("7.6", "<packagemanager>dnf</packagemanager>", False),
    ],
)
def test_dnf_became_dnf4_with_7_6(tmp_path: Path, version: str, element: str, reads: bool) -> None:
    text = minimal(preferences=f"<version>1</version>{element}").replace('"8.5"', f'"{version}"')
    (found,) = errors_of(write(tmp_path, text))
    assert found.code == ("KL0901" if reads else "KL0105")


@pytest.mark.parametrize(
    ("last", "gone"),
    [
        ("8.1", '<repository use_for_bootstrap="true"><source path="distro:d"/></repository>'),
        ("8.0", '<repository type="rpm-dir"><source path="distro:d"/></repository>'),
    ],
)
def test_what_was_dropped_is_legal_just_in_older_files(
    tmp_path: Path, last: str, gone: str
) -> None:
    text = minimal(top=gone)
    assert errors_of(write(tmp_path, text))
    load(write(tmp_path, text.replace('"8.5"', f'"{last}"')))


def test_places_survive_the_upgrade_under_the_old_name(tmp_path: Path) -> None:
    text = minimal(type_children='<bootloader name="grub2"\n console="terminal serial"/>')
    text = text.replace('"8.5"', '"7.4"')
    (found,) = errors_of(write(tmp_path, text))
    assert (found.span.line, found.span.column) == place(text, "console=")
    assert found.message.startswith("`console` must be")


def test_an_image_with_the_current_version_hints_at_the_new_name(tmp_path: Path) -> None:
    text = minimal(type_children='<bootloader name="grub2" console="serial"/>')
    (found,) = errors_of(write(tmp_path, text))
    assert found.hint == "with schemaversion 8.4 it became `output_console` and `input_console`"
