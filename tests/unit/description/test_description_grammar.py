"""Mistakes against the grammar: all in one run, each at its line and column."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import X86, minimal, place, write

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import load


def errors_of(directory: Path, text: str) -> list[Diagnostic]:
    with pytest.raises(DescriptionInvalid) as caught:
        load(write(directory, text), arch="x86_64")
    return [d for d in caught.value.diagnostics if d.severity == "error"]


@pytest.mark.parametrize(
    ("right", "wrong", "code", "at", "words"),
    [
        ("overlayroot=", "overlayrot=", "KL0102", "overlayrot=", "did you mean `overlayroot`?"),
        ('name="busybox', 'nane="busybox', "KL0102", "nane", "did you mean `name`?"),
        ('firmware="efi"', 'firmware="uefl"', "KL0105", "firmware=", "did you mean `uefi`?"),
        ('"zstd" ', '"zip" ', "KL0105", "squashfscompression=", "uncompressed, gzip, lzo"),
        ('_level="3"', '_level="23"', "KL0105", "squashfscompression_level=", "1 to 22"),
        ('size="256M"', 'size="256K"', "KL0106", 'size="256K"', "512M (both MiB)"),
        ('timeout="0"', 'timeout="soon"', "KL0106", "timeout=", "a whole number, 0 or more"),
        ('"true" efip', '"yes" efip', "KL0106", "gpt_hybrid_mbr=", "true or false"),
        ("<version>1.0.2</version>", "<verson>1.0.2</verson>", "KL0101", "<verson>",
         "did you mean `<version>`?"),
        ("<packagemanager>apt<", "<packagemanager>atp<", "KL0105", "<packagemanager>",
         "did you mean `apt`?"),
        ("<contact>kiwilite@example.org</contact>", "", "KL0104", "<description ",
         "needs a `<contact>`"),
        ("<keytable>us</keytable>", "<keytable>us</keytable><keytable>de</keytable>", "KL0107",
         "<keytable>de", "the first is at line"),
        (' path="distro:debian"', "", "KL0103", "<source/>", "needs the attribute `path`"),
        ("<users>", "<users>some text", "KL0108", "some text", "holds no text"),
        ("<locale>en_US", "<locale>english", "KL0106", "<locale>", "a locale such as en_US"),
        ('<size unit="G">4', '<size unit="G">big', "KL0106", "<size ", "a whole number"),
        ('<bootloader name="systemd_boot" timeout="0"/>',
         '<package name="x"/>', "KL0101", '<package name="x"/>', "it belongs into `<packages>`"),
        ('schemaversion="8.5"', 'schemaversion="9.0"', "KL0010", "schemaversion=", "7.4 to 8.5"),
        ('schemaversion="8.5"', 'schemaversion="7.3"', "KL0010", "schemaversion=", "7.4 to 8.5"),
        ('schemaversion="8.5" ', "", "KL0103", "<image", "needs the attribute `schemaversion`"),
        ('digest="sha256:01', 'digest="sha256:', "KL0106", "bootstrap_digest", "sha256"),
        ('on_failure="reboot"', 'vga="791"', "KL0102", "vga=", "dropped with schemaversion 8.5"),
        ('"Reference appliance">', '"Reference" xml:lang="de">', "KL0102", "xml:lang",
         "no attribute `xml:lang`"),
        ('on_failure="reboot"', 'on_failure="ignore"', "KL0105", "on_failure",
         "one of reboot, halt, shell"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_error_at_its_place(
    tmp_path: Path, right: str, wrong: str, code: str, at: str, words: str
) -> None:
    assert right in X86
    text = X86.replace(right, wrong, 1)
    if "<version>" in right:
        (found, *_) = errors_of(tmp_path, text)
    else:
        (found,) = errors_of(tmp_path, text)
    assert found.code == code
    assert (found.span.line, found.span.column) == place(text, at)
    assert words in f"{found.message}\n{found.hint}"


def test_a_misspelt_mandatory_name_is_not_reported_as_missing_too(tmp_path: Path) -> None:
    (found,) = errors_of(
        tmp_path, X86.replace("<author>", "<auther>").replace("/author", "/auther")
    )
    assert found.code == "KL0101"


def test_mistakes_inside_a_misspelt_element_are_found_too(tmp_path: Path) -> None:
    text = X86.replace("<users>", "<user>").replace("</users>", "</user>")
    text = text.replace('pwdformat="x"', "").replace('shell="/bin/bash"', 'shel="/bin/bash"')
    assert [d.code for d in errors_of(tmp_path, text)] == ["KL0101", "KL0102"]


def test_all_mistakes_of_a_file_come_in_one_run_in_its_order(tmp_path: Path) -> None:
    text = (
        X86.replace("<locale>en_US", "<locale>x")
        .replace("overlayroot=", "overlayrot=")
        .replace('profiles="development"', 'profiles="developmint"')
        .replace('name="motd"', 'name="modt"')
    )
    found = errors_of(tmp_path, text)
    assert [d.code for d in found] == ["KL0106", "KL0102", "KL0301", "KL0201"]
    assert [d.span for d in found] == sorted(d.span for d in found)


def test_another_outermost_element_is_explained(tmp_path: Path) -> None:
    (found,) = errors_of(tmp_path, "<configuration/>")
    assert "is an `<image>`, not a `<configuration>`" in found.message


def test_an_outermost_element_in_a_namespace_is_explained(tmp_path: Path) -> None:
    text = minimal().replace("<image ", '<image\nxmlns="urn:x" ')
    (found,) = errors_of(tmp_path, text)
    assert (found.code, found.span.line) == ("KL0101", 2)
    assert "stands in a namespace" in found.message


def test_names_of_other_namespaces_are_shown_as_they_are_written(tmp_path: Path) -> None:
    text = minimal(top='<xi:include xmlns:xi="urn:x" href="a"/>')
    (found,) = errors_of(tmp_path, text)
    assert "has no child `<xi:include>`" in found.message


def test_an_extension_with_an_element_of_no_namespace_has_one_mistake(tmp_path: Path) -> None:
    (found,) = errors_of(tmp_path, minimal(top="<extension><a/></extension>"))
    assert (found.code, found.message) == ("KL0101", "`<extension>` has no child `<a>`")


def test_data_of_other_tools_has_a_namespace_all_through(tmp_path: Path) -> None:
    text = minimal(top='<extension><x:a xmlns:x="urn:x">\n<b/></x:a></extension>')
    (found,) = errors_of(tmp_path, text)
    assert (found.code, found.span.line) == ("KL0101", place(text, "<b/>")[0])


def test_the_exception_is_the_text_of_all_errors(tmp_path: Path) -> None:
    file = write(tmp_path, X86.replace("overlayroot=", "overlayrot="))
    with pytest.raises(DescriptionInvalid) as caught:
        load(file)
    line, column = place(file.read_text(), "overlayrot=")
    assert str(caught.value).startswith(f"{file}:{line}:{column}: error[KL0102]: ")


def test_numbers_without_end_are_refused(tmp_path: Path) -> None:
    text = minimal(type_children=f"<size>{'9' * 5000}</size>")
    assert [d.code for d in errors_of(tmp_path, text)] == ["KL0106"]


@pytest.mark.parametrize(
    ("description", "code", "at"),
    [
        (minimal(type_attributes='mediacheck="true"'), "KL0701", "mediacheck"),
        (minimal(type_attributes='embed_verity_metadata="true"'), "KL0702", "embed_"),
        (minimal(type_attributes='provisioning="firstboot"'), "KL0702", "provisioning"),
        (minimal(type_children='<luksformat><option name="a"/></luksformat>'), "KL0702", "<luksf"),
        (minimal().replace('filesystem="xfs" ', ""), "KL0702", "<type"),
        (minimal(top='<packages type="delete" bootstrap_package="x"/>'), "KL0702", "bootstrap_p"),
        (minimal(top=f'<packages type="bootstrap" bootstrap_digest="sha256:{"0" * 64}"/>'),
         "KL0504", "bootstrap_d"),
        (minimal(type_children='<size unpartitioned="5000">4096</size>'), "KL0405", "unpart"),
        (minimal(type_children='<partitions><partition name="root" size="1"/></partitions>'),
         "KL0404", 'name="root"'),
    ],
)  # fmt: skip
def test_rules_beyond_the_grammar(tmp_path: Path, description: str, code: str, at: str) -> None:
    found = [d for d in errors_of(tmp_path, description) if d.code == code]
    assert [(d.span.line, d.span.column) for d in found] == [place(description, at)]
