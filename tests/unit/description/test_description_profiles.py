"""Profiles, and what happens where two values hold at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from description_samples import minimal, place, write

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import load

PROFILES = """\
<profiles>
<profile name="base" description="d" import="true"/>
<profile name="a" description="d"><requires profile="common"/></profile>
<profile name="b" description="d"><requires profile="a"/><requires profile="common"/></profile>
<profile name="common" description="d"/>
<profile name="ring" description="d"><requires profile="ring2"/></profile>
<profile name="ring2" description="d"><requires profile="ring"/></profile>
<profile name="arm" description="d" arch="aarch64" import="true"/>
<profile name="mixed" description="d">
<requires profile="common" arch="aarch64"/><requires profile="a" arch="x86_64,riscv64"/></profile>
</profiles>
"""

SECTIONS = PROFILES + "".join(
    f'<packages type="image" profiles="{profiles}"><package name="{name}"/></packages>\n'
    for profiles, name in [("a,b", "of-a-or-b"), ("common", "of-common"), ("base", "of-base")]
)


@pytest.mark.parametrize(
    ("asked", "arch", "active", "packages"),
    [
        ([], "x86_64", ["base"], ["of-base"]),
        ([], "aarch64", ["base", "arm"], ["of-base"]),
        (["common"], "x86_64", ["common"], ["of-common"]),
        (["a"], "x86_64", ["a", "common"], ["of-a-or-b", "of-common"]),
        (["b"], "x86_64", ["b", "a", "common"], ["of-a-or-b", "of-common"]),
        (["common", "a"], "x86_64", ["common", "a"], ["of-a-or-b", "of-common"]),
        (["a", "b", "a"], "x86_64", ["a", "common", "b"], ["of-a-or-b", "of-common"]),
        (["ring"], "x86_64", ["ring", "ring2"], []),
        (["mixed"], "aarch64", ["mixed", "common"], ["of-common"]),
        (["mixed"], "x86_64", ["mixed", "a", "common"], ["of-a-or-b", "of-common"]),
        (["arm"], "aarch64", ["arm"], []),
    ],
)
def test_active_profiles_and_the_sections_that_hold(
    tmp_path: Path, asked: Sequence[str], arch: str, active: Sequence[str], packages: Sequence[str]
) -> None:
    appliance, _ = load(write(tmp_path, minimal(top=SECTIONS)), asked, arch=arch)
    assert list(appliance.profiles) == list(active)
    assert [p.name for p in appliance.packages.image if p.name.startswith("of-")] == list(packages)


def errors_of(
    directory: Path, text: str, profiles: Sequence[str] = (), type_name: str | None = None
) -> list[Diagnostic]:
    with pytest.raises(DescriptionInvalid) as caught:
        load(write(directory, text), profiles, arch="x86_64", type_name=type_name)
    return [d for d in caught.value.diagnostics if d.severity == "error"]


def test_an_unknown_profile_that_was_asked_for(tmp_path: Path) -> None:
    text = minimal(top=PROFILES)
    (found,) = errors_of(tmp_path, text, ["comon"])
    assert (found.code, found.hint) == ("KL0201", "did you mean `common`?")
    assert (found.span.line, found.span.column) == place(text, "<profiles>")


def test_a_profile_of_another_architecture(tmp_path: Path) -> None:
    (found,) = errors_of(tmp_path, minimal(top=PROFILES), ["arm"])
    assert (found.code, found.message) == (
        "KL0202",
        "the profile `arm` does not exist for x86_64",
    )


@pytest.mark.parametrize(
    ("element", "at"),
    [
        ('<packages type="image" profiles="base,comon"/>', 'profiles="base,comon"'),
        ('<users profiles="comon"><user name="u" password="x"/></users>', 'profiles="comon"'),
        ('<profiles><profile name="z" description="d"><requires profile="comon"/></profile>'
         "</profiles>", 'profile="comon"'),
        ('<preferences profiles="comon"/>', 'profiles="comon"'),
    ],
)  # fmt: skip
def test_an_unknown_profile_wherever_it_stands(tmp_path: Path, element: str, at: str) -> None:
    text = minimal(top=PROFILES + element)
    (found,) = errors_of(tmp_path, text)
    assert (found.code, found.hint) == ("KL0201", "did you mean `common`?")
    assert (found.span.line, found.span.column) == place(text, at)


def test_a_profile_declared_twice(tmp_path: Path) -> None:
    text = minimal(top=PROFILES.replace('name="ring2"', 'name="a"').replace("ring2", "ring"))
    (found,) = errors_of(tmp_path, text)
    assert (found.code, found.span.line) == ("KL0203", place(text, 'name="a"', 2)[0])


@pytest.mark.parametrize(
    "element",
    ["<version>2.0.0</version>", "<locale>de_DE</locale>", "<timezone>UTC</timezone>"],
)
def test_two_values_that_hold_at_once_are_an_error_at_the_second(
    tmp_path: Path, element: str
) -> None:
    first = element.replace("2.0.0", "1.0.0").replace("de_DE", "en_US").replace("UTC", "GMT")
    both = f"<version>1.0.0</version>{first}" if "version" not in element else first
    text = minimal(preferences=both, top=f"<preferences>{element}</preferences>")
    (found,) = errors_of(tmp_path, text)
    line = place(text, first)[0]
    assert found.code == "KL0204" and f"(at line {line})" in found.message
    assert (found.span.line, found.span.column) == place(text, element)


def test_profiles_that_exclude_each_other_make_two_versions_clear(tmp_path: Path) -> None:
    top = PROFILES + '<preferences profiles="common"><version>2.0.0</version></preferences>'
    text = minimal(top=top).replace("<preferences>", '<preferences profiles="base,common">', 1)
    appliance, _ = load(write(tmp_path, text), ["base"], arch="x86_64")
    assert appliance.preferences.version == "1.0.0"
    assert [d.code for d in errors_of(tmp_path, text, ["common"])] == ["KL0204"]


def test_the_same_value_twice_is_no_conflict(tmp_path: Path) -> None:
    text = minimal(top="<preferences><version>1.0.0</version></preferences>")
    assert load(write(tmp_path, text))[0].preferences.version == "1.0.0"


OTHER_TYPE = (
    '<preferences><type image="oem" filesystem="xfs" overlayroot="true" on_failure="halt" '
    'overlayroot_write_partition="false" firmware="uefi"{}/>'
    "</preferences>"
)


def test_two_types_without_a_choice_are_an_error(tmp_path: Path) -> None:
    text = minimal(top=OTHER_TYPE.format(""))
    (found,) = errors_of(tmp_path, text)
    assert found.code == "KL0205"
    assert (found.span.line, found.span.column) == place(text, "<type", 2)


def test_primary_chooses_among_two_types(tmp_path: Path) -> None:
    text = minimal(top=OTHER_TYPE.format(' primary="true"'))
    assert load(write(tmp_path, text))[0].type.on_failure == "halt"


def test_a_type_can_be_asked_for(tmp_path: Path) -> None:
    iso = '<preferences><type image="iso" primary="true"/></preferences>'
    file = write(tmp_path, minimal(top=iso))
    assert load(file, type_name="oem")[0].type.image == "oem"
    (found,) = errors_of(tmp_path, minimal(top=iso), type_name="tbz")
    assert found.code == "KL0206"


def test_no_version_and_no_type_are_errors(tmp_path: Path) -> None:
    text = minimal(top=PROFILES).replace("<preferences>", '<preferences profiles="common">')
    assert {d.code for d in errors_of(tmp_path, text)} == {"KL0206", "KL0207"}


def test_a_version_must_fit_into_a_file_name(tmp_path: Path) -> None:
    text = minimal(preferences="<version>../1</version>")
    assert [d.code for d in errors_of(tmp_path, text)] == ["KL0208"]


def test_a_long_chain_of_requirements_is_followed(tmp_path: Path) -> None:
    chain = "".join(
        f'<profile name="p{n}" description="d"><requires profile="p{n + 1}"/></profile>'
        for n in range(3000)
    )
    top = f'<profiles>{chain}<profile name="p3000" description="d"/></profiles>'
    appliance, _ = load(write(tmp_path, minimal(top=top)), ["p0"])
    assert appliance.profiles == tuple(f"p{n}" for n in range(3001))
