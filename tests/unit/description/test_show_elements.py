"""What `description show` is made of: one tree, with the place of every value."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from description_samples import X86, encrypted, findings, minimal, place, write, write_keys
from full_description import full_description

from kiwilite.description.defaults import DEFAULTS
from kiwilite.description.load import examine, load
from kiwilite.description.model import Span
from kiwilite.description.reader import parse
from kiwilite.description.secret import PLACEHOLDER
from kiwilite.description.show import xml
from kiwilite.description.show.elements import Element, Shown, Value, shown, whole
from kiwilite.description.source import make_source
from kiwilite.description.tree import Node
from kiwilite.description.vocabulary import vocabulary

BY_REFERENCE = X86.replace('luks="insecure"', 'luks="file://key"')


def show(file: Path, *profiles: str) -> Shown:
    examined = examine(file, profiles, arch="x86_64")
    assert examined.appliance is not None, examined.found
    return shown(examined, examined.appliance, profiles)


def child(element: Element, *names: str) -> Element:
    """The first child of that name, and so on downwards."""
    for name in names:
        element = next(c for c in element.children if c.name == name)
    return element


def value(element: Element, name: str) -> Value:
    return next(v for v in element.attributes if v.name == name)


def without_places(part: Any) -> Any:
    """A part of the model without what says where it was written."""
    if is_dataclass(part) and not isinstance(part, type):
        kept = (f.name for f in fields(part) if f.name not in ("file", "schemaversion"))
        return {n: without_places(getattr(part, n)) for n in kept if "span" not in n}
    if isinstance(part, tuple):
        return [without_places(item) for item in part]
    return part


@pytest.mark.parametrize("profiles", [(), ("bootstrapped",), ("development",)])
@pytest.mark.parametrize("defaults", ["left out", "written out"])
def test_what_is_printed_as_xml_describes_the_same_appliance(
    tmp_path: Path, profiles: tuple[str, ...], defaults: str
) -> None:
    file = write(tmp_path, BY_REFERENCE)
    write_keys(tmp_path)
    what = show(file, *profiles)
    if defaults == "written out":
        what = replace(what, image=_written_out(what.image, Span(file, 1, 1)))
    printed = write(tmp_path, "\n".join(xml.annotated(what)), "printed.kiwi")
    again, _ = load(printed, arch="x86_64")
    before, _ = load(file, profiles, arch="x86_64")
    assert without_places(again) == without_places(before)
    assert again.profiles == before.profiles


def _written_out(element: Element, span: Span) -> Element:
    """As if nothing were a default."""
    values = (replace(v, origin=span) if v.origin == "default" else v for v in element.attributes)
    children = (_written_out(c, span) for c in element.children)
    origin = span if element.origin == "default" else element.origin
    return replace(element, origin=origin, attributes=tuple(values), children=tuple(children))


def test_a_volume_made_at_build_time_has_the_defaults_of_one(tmp_path: Path) -> None:
    write_keys(tmp_path)
    attributes = 'verity_blocks="all" provisioning="build"'
    file = write(tmp_path, encrypted(type_attributes=attributes))
    written = _written_out(show(file).image, Span(file, 1, 1))
    assert value(child(written, "preferences", "type"), "luks_fill").text == "sparse"
    cipher = child(written, "preferences", "type", "luksformat", "option")
    assert value(cipher, "value").text == "aes-xts-plain64"


def test_every_default_is_a_legal_value() -> None:
    forms = {form.name: form for form in vocabulary().elements.values()}
    for element, rows in DEFAULTS.items():
        for attribute, default in rows.items():
            assert forms[element].attributes[attribute].value.allows(default.value), attribute


def test_the_place_of_a_value_is_that_of_its_attribute(tmp_path: Path) -> None:
    file = write(tmp_path, X86)
    kind = child(show(file).image, "preferences", "type")
    assert value(kind, "overlayroot_write_partition").origin == Span(
        file, *place(X86, "overlayroot_write_partition")
    )
    assert value(kind, "initrd_system") == Value("initrd_system", "kiwi", "default")


def test_a_value_of_an_included_file_is_from_there(tmp_path: Path) -> None:
    inner = (
        '<image schemaversion="8.5" name="x">\n<users><user name="u" password="*"/></users></image>'
    )
    included = write(tmp_path / "common", inner, "users.kiwi")
    file = write(tmp_path, minimal(top='<include from="file://common/users.kiwi"/>'))
    user = child(show(file).image, "users", "user")
    assert user.origin == Span(included, 2, 8)


def test_an_attribute_of_an_older_version_has_its_old_place(tmp_path: Path) -> None:
    text = minimal(type_children='<bootloader name="systemd_boot" console="serial"/>')
    text = text.replace('schemaversion="8.5"', 'schemaversion="8.0"')
    what = show(write(tmp_path, text))
    assert what.schemaversion == "8.0"
    loader = child(what.image, "preferences", "type", "bootloader")
    found = value(loader, "output_console")
    assert (found.text, found.origin) == ("serial", Span(what.file, *place(text, 'console="ser')))


def test_a_section_says_which_profile_and_architecture_let_it_hold(tmp_path: Path) -> None:
    text = X86.replace(
        '<packages type="image" profiles="development">',
        '<packages type="image" profiles="default, development">',
    )
    sections = show(write(tmp_path, text), "development").image.children
    vim = next(s for s in sections if any(_named(c, "vim") for c in s.children))
    assert vim.condition.profiles == ("development",)
    kernel = next(c for s in sections for c in s.children if _named(c, "linux-image-cloud-amd64"))
    assert kernel.condition.arch == "x86_64"
    assert not any(_named(c, "linux-image-cloud-arm64") for s in sections for c in s.children)


def _named(element: Element, name: str) -> bool:
    return any(v.name == "name" and v.text == name for v in element.attributes)


def test_a_preference_keeps_the_profile_of_its_section(tmp_path: Path) -> None:
    extra = '<preferences profiles="development"><keytable>de</keytable></preferences>\n    <users>'
    text = X86.replace("<keytable>us</keytable>", "").replace("<users>", extra, 1)
    preferences = child(show(write(tmp_path, text), "development").image, "preferences")
    assert child(preferences, "keytable").condition.profiles == ("development",)
    assert child(preferences, "locale").condition.profiles == ()


def test_a_profile_says_what_makes_it_active(tmp_path: Path) -> None:
    file = write(tmp_path, X86)
    asked = child(show(file, "development").image, "profiles").children
    reasons = [(value(p, "name").text, value(p, "import").origin) for p in asked]
    required = Span(file, *place(X86, 'profile="bootstrapped"/>'))
    assert reasons == [("development", "--profile"), ("bootstrapped", required)]
    (alone,) = child(show(file).image, "profiles").children
    assert value(alone, "import").origin == Span(file, *place(X86, 'import="true"'))


def test_every_word_of_the_vocabulary_survives_being_printed() -> None:
    root = parse(make_source(Path("all.kiwi"), full_description().encode()))
    printed = "\n".join(xml.plain(whole(root))).encode()
    again = parse(make_source(Path("all.kiwi"), printed))

    def content(node: Node) -> Any:
        secret = {("repository", "password"), ("type", "luks")}
        values = {
            n: PLACEHOLDER if (node.name, n) in secret else v
            for n, v in node.attributes.items()
            if "XMLSchema-instance" not in n
        }
        return node.name, values, node.text.split(), [content(c) for c in node.children]

    assert content(again) == content(root)


def test_the_placeholder_of_a_secret_is_noticed(tmp_path: Path) -> None:
    text = minimal(top=f'<users><user name="u" password="{PLACEHOLDER}"/></users>')
    (found,) = [d for d in findings(write(tmp_path, text)) if d.code == "KL0210"]
    assert found.severity == "warning"
    assert (found.span.line, found.span.column) == place(text, "password")
