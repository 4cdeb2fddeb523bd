"""What stands beside a description: scripts, folders, files for KIWI alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import findings, minimal, place, write

from kiwilite.description.diagnostics import Diagnostic

PROFILE = '<profiles><profile name="development" description="d"/></profiles>'
USED = f'{PROFILE}<users profiles="development"><user name="u" password="*"/></users>'


def script(directory: Path, name: str, text: bytes, mode: int = 0o755) -> None:
    (directory / name).write_bytes(text)
    (directory / name).chmod(mode)


def said(found: list[Diagnostic]) -> list[tuple[str, str, str, int, int]]:
    return [(d.span.file.name, d.code, d.severity, d.span.line, d.span.column) for d in found]


@pytest.mark.parametrize(
    ("text", "mode", "expected"),
    [
        (b"#!/bin/bash\ntrue\n", 0o755, []),
        (b"#!/bin/bash\ntrue\n", 0o644, [("note", 1, 1)]),
        (b"true\n", 0o644, [("note", 1, 1)]),
        (b"true\n", 0o755, [("warning", 1, 1)]),
        (b"#!/usr/bin/python3\npass\n", 0o644, [("warning", 1, 1)]),
        (b"#!/usr/bin/env bash\nset -e\r\ntrue\r\n", 0o755, [("warning", 2, 7)]),
        (b"#!/bin/sh\r\n", 0o755, [("warning", 1, 10)]),
    ],
)
def test_a_script_that_does_not_run_as_meant_is_shown_at_its_own_line(
    tmp_path: Path, text: bytes, mode: int, expected: list[tuple[str, int, int]]
) -> None:
    file = write(tmp_path, minimal())
    script(tmp_path, "config.sh", text, mode)
    found = findings(file)
    assert said(found) == [("config.sh", "KL0308", *row) for row in expected]


def test_a_misspelt_script_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    file = write(tmp_path, minimal())
    script(tmp_path, "post-bootstrap.sh", b"#!/bin/sh\n")
    script(tmp_path, "install.sh", b"#!/bin/sh\n")
    found = findings(file)
    assert said(found) == [("post-bootstrap.sh", "KL0309", "warning", 1, 1)]
    assert found[0].hint == "did you mean `post_bootstrap.sh`?"


@pytest.mark.parametrize(
    ("name", "code", "severity"),
    [
        ("disk.sh", "KL0903", "error"),
        ("config-overlay.sh", "KL0903", "warning"),
        ("config-host-overlay.sh", "KL0903", "warning"),
        ("config-cdroot.tar.xz", "KL0901", "warning"),
        ("root.tar.gz", "KL0901", "error"),
        ("root/etc/fstab.script", "KL0903", "error"),
        ("root/etc/fstab.patch", "KL0901", "error"),
    ],
)
def test_what_only_kiwi_makes_use_of_is_reported_with_the_alternative(
    tmp_path: Path, name: str, code: str, severity: str
) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    (found,) = findings(file)
    assert (found.code, found.severity) == (code, severity)
    assert name in found.message
    assert found.hint


def test_lines_for_fstab_and_ordinary_files_are_not_reported(tmp_path: Path) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/fstab.append").write_text("tmpfs /tmp tmpfs\n")
    (tmp_path / "README.md").write_text("hello\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / ".git/etc").mkdir(parents=True)
    assert findings(file) == []


def test_a_folder_with_almost_the_name_of_a_profile_is_shown_at_the_profile(
    tmp_path: Path,
) -> None:
    text = minimal(top=USED)
    file = write(tmp_path, text)
    (tmp_path / "developement").mkdir()
    (found,) = findings(file)
    assert (found.code, found.severity) == ("KL0307", "warning")
    assert (found.span.line, found.span.column) == place(text, 'name="development"')
    assert found.hint == "rename it to development/"


def test_a_tree_of_no_profile_is_reported_unless_the_description_names_it(tmp_path: Path) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / "kiosk/etc").mkdir(parents=True)
    assert [d.code for d in findings(file)] == ["KL0307"]
    (tmp_path / "kiosk/etc/motd").write_text("hello\n")
    write(tmp_path, minimal(packages='<file name="kiosk/etc/motd"/>'))
    assert findings(file) == []


@pytest.mark.parametrize("name", ["root", "development"])
def test_an_overlay_tree_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "inner", minimal(top=USED))
    (tmp_path / "secret").mkdir()
    (tmp_path / "inner" / name).symlink_to("../secret")
    assert [(d.code, d.severity) for d in findings(file)] == [("KL0306", "error")]


def test_an_overlay_tree_that_is_a_link_within_the_folder_is_fine(tmp_path: Path) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / "common").mkdir()
    (tmp_path / "root").symlink_to("common")
    assert findings(file) == []


def test_a_description_reached_by_a_link_is_fine(tmp_path: Path) -> None:
    file = write(tmp_path / "real", minimal(packages='<file name="motd"/>'))
    (tmp_path / "real/root").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert findings(tmp_path / "link" / file.name) == []


@pytest.mark.parametrize("element", ["file", "archive"])
@pytest.mark.parametrize("way", ["../outside", "a/../../outside", "link"])
def test_a_file_from_outside_of_the_folder_is_refused(
    tmp_path: Path, element: str, way: str
) -> None:
    text = minimal(packages=f'<{element} name="{way}"/>')
    file = write(tmp_path / "inner", text)
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "inner/link").symlink_to(tmp_path / "outside")
    (tmp_path / "inner/a").mkdir()
    (found,) = findings(file)
    assert (found.code, found.severity) == ("KL0306", "error")
    assert (found.span.line, found.span.column) == place(text, f'name="{way}"')


def test_files_of_an_included_description_stand_beside_the_main_one(tmp_path: Path) -> None:
    inner = '<image><packages type="image"><file name="motd"/></packages></image>'
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/more.kiwi").write_text(inner)
    file = write(tmp_path, minimal(top='<include from="file://parts/more.kiwi"/>'))
    assert findings(file) == []


@pytest.mark.parametrize(
    ("top", "script_text", "unused"),
    [
        (PROFILE, "", True),
        (PROFILE.replace("/>", ' import="true"/>'), "", False),
        (USED, "", False),
        (PROFILE, "test $kiwi_profiles = development", False),
        (PROFILE.replace("/>", "><requires profile=\"b\"/></profile><profile name='b' "
                         "description='d'/>"), "", False),
    ],
)  # fmt: skip
def test_a_profile_that_nothing_depends_on_is_noted(
    tmp_path: Path, top: str, script_text: str, unused: bool
) -> None:
    text = minimal(top=top)
    file = write(tmp_path, text)
    if script_text:
        script(tmp_path, "config.sh", f"#!/bin/sh\n{script_text}\n".encode())
    found = findings(file)
    assert [(d.code, d.severity) for d in found] == ([("KL0310", "note")] if unused else [])
    if unused:
        assert (found[0].span.line, found[0].span.column) == place(text, 'name="development"')


KIWI_YML = """\
# what KIWI reads
credentials:
  verification_metadata_signing_key_file: /etc/ssl/private/ssl-cert-snakeoil.key
runtime_checks:
  - disable:
    - check_dracut_module_for_disk_overlay_in_package_list
mapper:
  - part_mapper: kpartx
"""


@pytest.mark.parametrize("name", ["kiwi.yml", "kiwi.yaml"])
def test_each_setting_of_kiwi_yml_is_named_at_its_line(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / name).write_text(KIWI_YML)
    found = findings(file)
    assert said(found) == [
        (name, "KL0905", "note", 3, 3),
        (name, "KL0905", "note", 5, 5),
        (name, "KL0905", "note", 8, 5),
    ]
    assert 'metadata_key="file:///etc/ssl/private/ssl-cert-snakeoil.key"' in (found[0].hint or "")


def test_a_key_in_kiwi_yml_matters_where_the_metadata_would_be_unsigned(tmp_path: Path) -> None:
    file = write(
        tmp_path, minimal(type_attributes='verity_blocks="all" embed_verity_metadata="true"')
    )
    (tmp_path / "kiwi.yml").write_text(KIWI_YML)
    severities = [d.severity for d in findings(file) if d.code == "KL0905"]
    assert severities == ["warning", "note", "note"]


@pytest.mark.parametrize(
    "text", ["", "x", "a: [", "&a [*a]", "[" * 5000, "\0", "a: 1\n" * 100_000, "- - a: b"]
)
def test_a_kiwi_yml_of_any_form_is_no_traceback(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / "kiwi.yml").write_text(text)
    assert {d.code for d in findings(file)} == {"KL0905"}
