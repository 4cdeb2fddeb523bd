"""Secrets, contradictions and sizes: what is known before the first package is downloaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from description_samples import encrypted, findings, minimal, place, write, write_keys


def codes(directory: Path, text: str) -> list[tuple[str, str]]:
    return [(d.code, d.severity) for d in findings(write(directory, text))]


def user(password: str, more: str = "") -> str:
    return f'<users><user name="u" password="{password}" {more}/></users>'


def option(name: str, value: str) -> str:
    return (
        '<containerconfig name="c"><environment>'
        f'<env name="{name}" value="{value}"/></environment></containerconfig>'
    )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        (minimal(top=user("linux", 'pwdformat="plain"')), "password="),
        (minimal(top='<repository password="x"><source path="http://a/b"/></repository>'), "passw"),
        (minimal(top='<repository><source path="https://me:pw@a.b/c"/></repository>'), "path="),
        (
            minimal(
                top='<repository><source path="https://a/c"><signing key="https://me:pw@a.b/k"/>'
                "</source></repository>"
            ),
            "key=",
        ),
        (minimal(type_attributes='kernelcmdline="quiet ks.password=abc"'), "kernelcmdline"),
        (minimal(type_attributes='kernelcmdline="API_TOKEN=abc"'), "kernelcmdline"),
        (
            minimal(type_attributes='kernelcmdline="systemd.set_credential=login:abc"'),
            "kernelcmdline",
        ),
        (minimal(type_children=option("DB_PASSWORD", "abc")), "value="),
        (minimal(type_children=option("x-token", "abc")), "value="),
    ],
)
def test_a_secret_in_the_file_is_a_warning_at_its_place(tmp_path: Path, text: str, at: str) -> None:
    found = [d for d in findings(write(tmp_path, text)) if d.code == "KL0601"]
    assert [(d.severity, d.span.line, d.span.column) for d in found] == [
        ("warning", *place(text, at))
    ]
    assert found[0].hint
    assert not any(secret in found[0].message for secret in ("abc", "linux", "pw@"))


@pytest.mark.parametrize(
    "text",
    [
        minimal(type_attributes='kernelcmdline="x.password=/run/secret tokens=1 panic=10"'),
        minimal(type_children=option("DB_PASSWORD", "file:///run/secret")),
        minimal(type_children=option("COMPASS", "north")),
    ],
)
def test_a_reference_to_a_secret_is_none(tmp_path: Path, text: str) -> None:
    assert "KL0601" not in [code for code, _ in codes(tmp_path, text)]


@pytest.mark.parametrize(
    ("password", "usable"),
    [
        ("$6$salt$hash", True),
        ("$y$j9T$abc$def", True),
        ("$1$abc$def", True),
        ("*", True),
        ("!", True),
        ("!$6$salt$hash", True),
        ("", True),
        ("aTbxzJ7a6kqIY", True),
        ("linux", False),
        ("correct horse", False),
    ],
)
def test_a_password_that_is_no_hash_lets_nobody_in(
    tmp_path: Path, password: str, usable: bool
) -> None:
    expected = [] if usable else [("KL0605", "warning")]
    assert codes(tmp_path, minimal(top=user(password))) == expected


@pytest.mark.parametrize(
    ("words", "dracut", "found"),
    [
        ("console=ttyS0 quiet rd.root.overlay.readonly", False, []),
        (
            "root=overlay:MAPPER=verityRoot verityroot=/dev/x rd.root.overlay.write=/dev/y",
            False,
            [],
        ),
        ("rd.luks=yes", False, ["warning"]),
        ("rd.luks=yes", True, ["warning"]),
        ("rd.systemd.verity=1", True, ["warning"]),
        ("rd.kiwi.oem.luks.reencrypt", False, ["warning"]),
        ("rd.root.overlay.tmp", False, ["warning"]),
        ("root=LABEL=ROOT", False, ["warning"]),
        ("rd.driver.blacklist=x", False, ["warning"]),
        ("rd.driver.blacklist=x", True, []),
        ("roothash=00ff", False, ["error"]),
    ],
)
def test_a_word_that_the_boot_does_not_read_is_reported(
    tmp_path: Path, words: str, dracut: bool, found: list[str]
) -> None:
    system = 'initrd_system="dracut"' if dracut else ""
    text = minimal(
        type_attributes=f'kernelcmdline="{words}" {system}', packages='<package name="dracut"/>'
    )
    assert codes(tmp_path, text) == [("KL0904", severity) for severity in found]


PROFILES = (
    '<profiles><profile name="arm" description="d" arch="aarch64,ppc64le"/>'
    '<profile name="any" description="d"/></profiles>'
)


@pytest.mark.parametrize(
    ("section", "at"),
    [
        ('<packages type="image" profiles="arm"><package name="a" arch="x86_64"/></packages>',
         'arch="x86_64"'),
        ('<users profiles="arm" arch="x86_64"><user name="u" password="*"/></users>',
         'arch="x86_64"'),
        ('<packages type="image" profiles="any"><package name="a" arch="amd64"/></packages>',
         'arch="amd64"'),
        ('<repository architectures="x86_64" profiles="any"><source path="http://a/b"/>'
         "</repository>", "architectures"),
    ],
)  # fmt: skip
def test_an_architecture_that_never_holds_is_reported(
    tmp_path: Path, section: str, at: str
) -> None:
    text = minimal(top=PROFILES + section)
    found = [d for d in findings(write(tmp_path, text)) if d.code == "KL0506"]
    assert [(d.severity, d.span.line, d.span.column) for d in found] == [
        ("warning", *place(text, at))
    ]


@pytest.mark.parametrize(
    "section",
    [
        '<packages type="image" profiles="arm"><package name="a" arch="aarch64"/></packages>',
        '<packages type="image" profiles="arm,any"><package name="a" arch="x86_64"/></packages>',
        '<packages type="image"><package name="a" arch="aarch64"/></packages>',
        '<packages type="image"><package name="a" arch="amd64,x86_64"/></packages>',
        '<repository architectures="amd64"><source path="http://a/b"/></repository>',
    ],
)
def test_an_architecture_that_may_hold_is_not(tmp_path: Path, section: str) -> None:
    found = findings(write(tmp_path, minimal(top=PROFILES + section)))
    assert "KL0506" not in [d.code for d in found]


@pytest.mark.parametrize("kind", ["delete", "uninstall"])
def test_a_package_that_is_installed_and_removed_is_reported(tmp_path: Path, kind: str) -> None:
    top = f'<packages type="{kind}"><package name="xfsprogs"/><package name="apt"/></packages>'
    text = minimal(top=top)
    (found,) = findings(write(tmp_path, text))
    assert (found.code, found.severity) == ("KL0507", "warning")
    assert (found.span.line, found.span.column) == place(text, 'name="xfsprogs"')


def test_a_package_of_the_bootstrap_may_be_removed_later(tmp_path: Path) -> None:
    top = (
        '<packages type="bootstrap"><package name="apt"/></packages>'
        '<packages type="delete"><package name="apt"/></packages>'
    )
    assert codes(tmp_path, minimal(top=top)) == []


def test_a_package_that_is_listed_twice_is_noted_at_the_second_place(tmp_path: Path) -> None:
    text = minimal(packages='<package name="vim"/>\n<package name="vim"/>')
    (found,) = findings(write(tmp_path, text))
    assert (found.code, found.severity) == ("KL0508", "note")
    assert (found.span.line, found.span.column) == place(text, 'name="vim"', 2)


def test_the_same_package_for_two_architectures_is_listed_once(tmp_path: Path) -> None:
    packages = '<package name="a" arch="x86_64"/><package name="a" arch="aarch64"/>'
    assert codes(tmp_path, minimal(packages=packages)) == []


def test_a_section_for_an_image_type_that_is_not_there_is_noted(tmp_path: Path) -> None:
    text = minimal(top='<packages type="iso"><package name="a"/></packages>')
    (found,) = findings(write(tmp_path, text))
    assert (found.code, found.severity) == ("KL0509", "note")
    assert (found.span.line, found.span.column) == place(text, 'type="iso"')


def partition(attributes: str) -> str:
    return f'<partitions><partition name="a" mountpoint="/data" {attributes}/></partitions>'


@pytest.mark.parametrize(
    ("size", "fits"), [('unit="M">75', False), ('unit="M">76', True), ('unit="G">1', True)]
)
def test_a_disk_without_room_for_the_root_is_refused(tmp_path: Path, size: str, fits: bool) -> None:
    """2 MiB for the BIOS, 2 for the tables, 20 for the ESP, 20 of data, 32 for the root."""
    text = minimal(
        type_children=partition('size="20" filesystem="ext4"') + f"\n<size {size}</size>"
    )
    found = findings(write(tmp_path, text))
    assert [(d.code, d.severity) for d in found] == ([] if fits else [("KL0421", "error")])
    if found:
        assert (found[0].span.line, found[0].span.column) == place(text, "<size")


@pytest.mark.parametrize(
    ("attributes", "fits"),
    [
        ('efipartsize="15"', False),
        ('efipartsize="16"', True),
        ('efipartsize="0"', True),
        ('eficsm="true" efipartsize="31"', False),
        ('eficsm="true" efipartsize="32"', True),
    ],
)
def test_an_esp_without_room_for_a_kernel_is_refused(
    tmp_path: Path, attributes: str, fits: bool
) -> None:
    text = minimal(type_attributes=attributes, packages='<package name="grub-pc-bin"/>')
    found = [(d.code, d.span.column) for d in findings(write(tmp_path, text))]
    column = place(text, "efipartsize")[1]
    assert found == ([] if fits else [("KL0422", column)])


@pytest.mark.parametrize(
    ("kind", "size", "expected"),
    [
        ("ext4", 7, [("KL0423", "warning")]),
        ("ext4", 8, []),
        ("ext2", 7, []),
        ("squashfs", 1, []),
    ],
)
def test_a_file_system_without_room_for_its_journal_is_reported(
    tmp_path: Path, kind: str, size: int, expected: list[tuple[str, str]]
) -> None:
    text = minimal(type_children=partition(f'size="{size}" filesystem="{kind}"'))
    assert codes(tmp_path, text) == expected


@pytest.mark.parametrize(("mib", "fits"), [(11, False), (9, True)])
def test_an_overlay_tree_larger_than_its_partition_is_refused(
    tmp_path: Path, mib: int, fits: bool
) -> None:
    file = write(tmp_path, minimal(type_children=partition('size="10" filesystem="ext4"')))
    (tmp_path / "root/data").mkdir(parents=True)
    (tmp_path / "root/data/large").write_bytes(b"")
    os.truncate(tmp_path / "root/data/large", mib << 20)
    found = findings(file)
    assert [(d.code, d.severity) for d in found] == ([] if fits else [("KL0423", "error")])
    if found:
        assert "10 MiB" in found[0].message and "11 MiB" in found[0].message


def test_what_is_on_another_partition_does_not_count(tmp_path: Path) -> None:
    inner = '<partition name="b" mountpoint="/data/b" size="20" filesystem="ext4"/></partitions>'
    outer = partition('size="10" filesystem="ext4"').replace("</partitions>", inner)
    file = write(tmp_path, minimal(type_children=outer))
    (tmp_path / "root/data/b").mkdir(parents=True)
    (tmp_path / "root/data/b/large").write_bytes(b"")
    os.truncate(tmp_path / "root/data/b/large", 15 << 20)
    assert findings(file) == []


def test_keys_stand_beside_the_main_description_wherever_they_are_named(tmp_path: Path) -> None:
    text = encrypted()
    start, end = text.index("<preferences>"), text.index("</preferences>") + len("</preferences>")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts/type.kiwi").write_text(f"<image>{text[start:end]}</image>")
    write_keys(tmp_path)
    main = text[:start] + '<include from="file://parts/type.kiwi"/>' + text[end:]
    assert codes(tmp_path, main) == [("KL0602", "warning")]
