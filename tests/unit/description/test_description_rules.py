"""Each of KIWI's rules beyond its grammar: what violates it is found, what keeps it is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from description_samples import write
from kiwi_facts import kiwi_rules
from specimens import TYPE, legal_values

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.load import read

RULES = list(dict.fromkeys(kiwi_rules()))

WARNINGS: Mapping[str, str] = {
    "integrity_legacy_hmac_requirement standalone_integrity": "KIWI refers to a rule it lacks",
    "image_type luksversion oem iso pxe kis": "KIWI's attribute is called luks_version",
}
"""Rules that never apply in KIWI because of a slip: what violates them is valid, with a warning."""

PREFERENCES = "<packagemanager>apt</packagemanager>"


@dataclass(frozen=True, slots=True)
class Case:
    """Two descriptions: one violates a rule in the line that has `at`, the other keeps it."""

    wrong: str
    right: str
    at: str


def image(
    kind: str,
    attributes: Mapping[str, str] | None = None,
    inner: str = "",
    top: str = "",
    preferences: str = PREFERENCES,
) -> str:
    """A description with each attribute of its type on a line of its own."""
    given = {"image": kind, **(attributes or {})}
    if kind == "oem":
        given.setdefault("filesystem", "btrfs")
    if kind == "appx":
        given.setdefault("metadata_path", "x")
    lines = "\n".join(f'{name}="{value}"' for name, value in given.items() if value)
    return f"""\
<image schemaversion="8.5" name="a">
<description type="system">
<author>a</author><contact>c</contact><specification>s</specification>
</description>
<preferences>
<version>1.0.0</version>
{preferences}
<type
{lines}>
{inner}
</type>
</preferences>
{top}
</image>
"""


COMPANIONS: Mapping[str, Mapping[str, str]] = {
    "embed_verity_metadata": {"verity_blocks": "all"},
    "embed_integrity_metadata": {"standalone_integrity": "true"},
    "integrity_legacy_hmac": {"standalone_integrity": "true"},
}


def image_type(attribute: str, *images: str) -> list[Case]:
    name = attribute.replace("luksversion", "luks_version")
    value = legal_values(TYPE.attributes[name].value)[0]
    given = {name: value}
    cases = []
    for kind in images:
        more = dict(COMPANIONS.get(name, {}))
        if name == "derived_from" and kind == "oem":
            more["format"] = "oci:qcow2"
        right = image(kind, {**given, **more})
        cases.append(Case(image("tbz", given), right, f'{name}="'))
    return cases


def image_type_requirement(attribute: str, kind: str) -> list[Case]:
    wrong = image(kind, {attribute: ""})
    boxed = image("oem", {"format": "vagrant"}, '<vagrantconfig\nprovider="libvirt"'
                  '\nvirtualsize="1"/>')  # fmt: skip
    return [
        Case(wrong, image(kind), "<type"),
        Case(image("oem", {"format": "vagrant"}), boxed, 'format="vagrant"'),
    ]


def image_btrfs_type_requirement(attribute: str) -> list[Case]:
    given = {attribute: "true"}
    right = image("oem", {**given, "filesystem": "btrfs"})
    lvm = '<systemdisk preferlvm="true"/>'
    return [
        Case(image("oem", {**given, "filesystem": "xfs"}), right, f'{attribute}="'),
        Case(image("oem", given, lvm), image("oem", {}, lvm), f'{attribute}="'),
    ]


def needs(name: str) -> Callable[[str], list[Case]]:
    def cases(attribute: str) -> list[Case]:
        given = {name: "true"}
        value = legal_values(TYPE.attributes[attribute].value)[0]
        return [Case(image("oem", given), image("oem", {**given, attribute: value}), f'{name}="')]

    return cases


def derived_from_requirement() -> list[Case]:
    given = {"derived_from": "base"}
    right = image("oem", {**given, "format": "docker:raw"})
    return [
        Case(image("oem", given), right, "derived_from="),
        Case(image("oem", {**given, "format": "qcow2"}), right, "derived_from="),
    ]


def partition_name_type(*names: str) -> list[Case]:
    def named(name: str) -> str:
        return image("oem", {}, f'<partitions><partition size="1M"\nname="{name}"/></partitions>')

    return [Case(named(name), named("home"), f'name="{name}"') for name in (*names, "")]


def btrfs_quota() -> list[Case]:
    volume = '<systemdisk><volume\nname="v"\nquota="1G"/></systemdisk>'
    right = image("oem", {"filesystem": "btrfs"}, volume)
    return [
        Case(image("oem", {"filesystem": "xfs"}, volume), right, "quota="),
        Case(image("iso", {}, volume), right, "quota="),
    ]


def bootloader_image_type(attribute: str, *images: str) -> list[Case]:
    given = f'{attribute}="x"' if attribute != "name" else ""
    inner = f'<bootloader name="grub2"\n{given}/>'
    return [Case(image("tbz", {}, inner), image(kind, {}, inner), "<bootloader") for kind in images]


def bootloader_name_type(attribute: str, *loaders: str) -> list[Case]:
    from specimens import WORDS

    value = legal_values(WORDS.elements["bootloader"].attributes[attribute].value)[0]

    def with_loader(name: str) -> str:
        return image("oem", {}, f'<bootloader\nname="{name}"\n{attribute}="{value}"/>')

    return [
        Case(with_loader("custom"), with_loader(loader), f'{attribute}="') for loader in loaders
    ]


def container_type(attribute: str, *images: str) -> list[Case]:
    given = f'{attribute}="x"' if attribute != "name" else ""
    inner = f'<containerconfig\nname="c"\n{given}/>'
    wrong = image("appx" if given else "tbz", {}, inner)
    at = f'{attribute}="x"' if given else "<containerconfig"
    return [Case(wrong, image(kind, {}, inner), at) for kind in images]


def format_type() -> list[Case]:
    inner = '<containerconfig\nname="c"/>'
    right = image("oem", {"format": "oci:raw"}, inner)
    return [Case(image("oem", {"format": "vmdk"}, inner), right, "<containerconfig")]


def securelinux_loader_requirement() -> list[Case]:
    def with_loader(name: str) -> str:
        inner = '<securelinux hkd_ca_cert="a" hkd_sign_cert="b"><hkd_cert name="c"/></securelinux>'
        return image("oem", {}, f'<bootloader name="{name}">\n{inner}\n</bootloader>')

    return [Case(with_loader("grub2"), with_loader("zipl"), "<securelinux")]


def vagrant_provider(attribute: str, provider: str) -> list[Case]:
    def by(name: str) -> str:
        inner = f'<vagrantconfig virtualsize="1"\nprovider="{name}"\n{attribute}="true"/>'
        return image("oem", {}, inner)

    return [Case(by("libvirt"), by(provider), f"{attribute}=")]


def repo_type(attribute: str, kind: str) -> list[Case]:
    def of(text: str) -> str:
        top = f'<repository\n{text}\n{attribute}="x86_64"><source path="http://x"/></repository>'
        return image("oem", top=top)

    return [
        Case(of('type="rpm-md"'), of(f'type="{kind}"'), f"{attribute}="),
        Case(of('type="apk"'), of(""), f"{attribute}="),
    ]


def packages_type(attribute: str, kind: str) -> list[Case]:
    def of(name: str) -> str:
        return image("oem", top=f'<packages\ntype="{name}"\n{attribute}="p"/>')

    return [Case(of("image"), of(kind), f"{attribute}=")]


def module(kind: str, rest: str) -> str:
    inner = f'<packages type="{kind}">\n<collectionModule name="m"\n{rest}/></packages>'
    return image("oem", top=inner)


def media(**given: str) -> str:
    return image("oem", given, "<installmedia/>")


BOOTSTRAP = '<packages type="bootstrap"\nbootstrap_package="b"/>'
LUKSFORMAT = '<luksformat><option name="--cipher"/></luksformat>'

ASSERTIONS: Mapping[str, list[Case]] = {
    "collectionModule: ../@type='bootstrap'": [
        Case(module("image", 'enable="true"'), module("bootstrap", 'enable="true"'), "<collection")
    ],
    "collectionModule: @enable='true' or not(@stream)": [
        Case(
            module("bootstrap", 'enable="false"\nstream="s"'),
            module("bootstrap", 'enable="true"\nstream="s"'),
            "stream=",
        )
    ],
    "type/size[@unpartitioned]: @unpartitioned <= text()": [
        Case(
            image("oem", {}, '<size\nunpartitioned="11">10</size>'),
            image("oem", {}, '<size\nunpartitioned="10">10</size>'),
            "unpartitioned=",
        )
    ],
    "luksformat: ../@luks": [
        Case(
            image("oem", {}, LUKSFORMAT), image("oem", {"luks": "x"}, LUKSFORMAT), "<luksformat"
        )
    ],
    "installmedia: ../@installiso='true' or ../@installpxe='true'": [
        Case(media(), media(installiso="true"), "<installmedia"),
        Case(media(installstick="true"), media(installpxe="true"), "<installmedia"),
        Case(media(installiso="false"), media(installpxe="true"), "<installmedia"),
    ],
    "packages: ../preferences/packagemanager[text()='apt'] or not(@bootstrap_package)": [
        Case(
            image("oem", top=BOOTSTRAP, preferences=f"<packagemanager>{other}</packagemanager>"),
            image("oem", top=BOOTSTRAP),
            "bootstrap_package=",
        )
        for other in ("zypper", "dnf5")
    ]
    + [
        Case(
            image("oem", top=BOOTSTRAP, preferences=""),
            image("oem", top=BOOTSTRAP),
            "bootstrap_package=",
        )
    ],
}  # fmt: skip

KINDS: Mapping[str, Callable[..., list[Case]]] = {
    "image_type": image_type,
    "image_type_requirement": image_type_requirement,
    "image_btrfs_type_requirement": image_btrfs_type_requirement,
    "derived_from_requirement": derived_from_requirement,
    "image_verity_requirement": needs("embed_verity_metadata"),
    "image_integrity_requirement": needs("embed_integrity_metadata"),
    "integrity_legacy_hmac_requirement": needs("integrity_legacy_hmac"),
    "partition_name_type": partition_name_type,
    "btrfs_quota": btrfs_quota,
    "bootloader_image_type": bootloader_image_type,
    "bootloader_name_type": bootloader_name_type,
    "container_type": container_type,
    "format_type": format_type,
    "securelinux_loader_requirement": securelinux_loader_requirement,
    "vagrant_provider": vagrant_provider,
    "repo_type": repo_type,
    "packages_type": packages_type,
}


def cases_of(rule: str) -> list[Case]:
    kind, _, rest = rule.partition(" ")
    return ASSERTIONS[rest] if kind == "assert" else KINDS[kind](*rest.split())


def said(directory: Path, text: str) -> tuple[Diagnostic, ...]:
    document = read(write(directory, text))
    assert document.fits, document.problems
    return document.problems


@pytest.mark.parametrize("rule", RULES)
def test_what_violates_a_rule_is_found_on_its_line_and_what_keeps_it_is_accepted(
    tmp_path: Path, rule: str
) -> None:
    severity = "warning" if rule in WARNINGS else "error"
    cases = cases_of(rule)
    assert cases
    for case in cases:
        found = said(tmp_path, case.wrong)
        line = next(n for n, text in enumerate(case.wrong.split("\n"), 1) if case.at in text)
        assert [(d.severity, d.span.line) for d in found] == [(severity, line)], case.wrong
        assert found[0].hint
        assert said(tmp_path, case.right) == ()


def test_all_rules_of_kiwi_are_here() -> None:
    assert len(kiwi_rules()) == 128  # 126 of KIWI 10, two more of KIWI 11


def test_a_rule_is_silent_where_the_grammar_speaks_already(tmp_path: Path) -> None:
    wrong = image("oen", {"luks": "x", "filesytem": "xfs", "format": "oci:qcw2"}, LUKSFORMAT)
    problems = read(write(tmp_path, wrong.replace("btrfs", "btrf"))).problems
    assert {d.code for d in problems} <= {"KL0102", "KL0105", "KL0106"}


def test_a_misspelt_attribute_is_not_missing(tmp_path: Path) -> None:
    wrong = image("oem", {"filesystem": "", "filesytem": "xfs", "luk": "x"}, LUKSFORMAT)
    problems = read(write(tmp_path, wrong)).problems
    assert [d.code for d in problems] == ["KL0102", "KL0102"]


def test_where_the_schema_is_may_be_said_once(tmp_path: Path) -> None:
    def with_(attributes: str) -> tuple[Diagnostic, ...]:
        xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        return said(tmp_path, image("tbz").replace("<image", f"<image {xsi}\n{attributes}", 1))

    assert with_('xsi:noNamespaceSchemaLocation="kiwilite.xsd"') == ()
    assert with_('xsi:schemaLocation="urn:x kiwilite.xsd"') == ()
    (twice,) = with_('xsi:noNamespaceSchemaLocation="a"\nxsi:schemaLocation="b"')
    assert (twice.code, twice.span.line) == ("KL0703", 3)
    (other,) = with_('xsi:noNamespaceSchemaLocatoin="a"')
    assert (other.code, other.hint) == ("KL0102", "did you mean `noNamespaceSchemaLocation`?")
