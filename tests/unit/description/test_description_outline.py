"""The outline has all of a description, and says what of it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import X86, minimal, write

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.outline import Outline, Section, outline


def of(file: Path, *profiles: str, arch: str = "x86_64") -> Outline:
    return outline(file, profiles, arch=arch).outline


def sections(found: Outline, element: str) -> list[Section]:
    return [s for s in found.sections if s.element == element]


def test_it_has_the_profiles_and_sections_that_are_not_selected_too(tmp_path: Path) -> None:
    found = of(write(tmp_path, X86), "default")
    assert [p.name for p in found.profiles] == ["default", "bootstrapped", "development"]
    assert found.selection.profiles == ("default",)
    assert [(s.title, s.profiles, s.holds) for s in sections(found, "packages")] == [
        ("bootstrap", ("default",), True),
        ("bootstrap", ("bootstrapped",), False),
        ("image", (), True),
        ("oem", (), True),
        ("image", ("development",), False),
        ("delete", (), True),
    ]


def test_packages_are_those_of_the_architecture_each_once(tmp_path: Path) -> None:
    file = write(tmp_path, X86)
    for arch, kernel in (("x86_64", "amd64"), ("aarch64", "arm64")):
        image = sections(of(file, arch=arch), "packages")[2]
        assert image.packages[0] == f"linux-image-cloud-{kernel}"
        assert len(image.packages) == len(set(image.packages)) == 5
        assert image.others == ("file motd", "archive extra.tar.gz")


def test_sections_of_another_image_type_do_not_hold(tmp_path: Path) -> None:
    text = minimal(top='<packages type="iso"><package name="live-boot"/></packages>')
    (iso,) = [s for s in sections(of(write(tmp_path, text)), "packages") if s.title == "iso"]
    assert not iso.holds


def test_overlay_trees_of_all_profiles_are_named(tmp_path: Path) -> None:
    for name in ("root", "development", "no-profile"):
        (tmp_path / name).mkdir()
    found = of(write(tmp_path, X86), "default")
    assert found.folders == ("root", "development")


def test_a_repository_has_its_address_without_who_may_read_it(tmp_path: Path) -> None:
    text = X86.replace("distro:debian", "https://me:secret@mirror.invalid/debian")
    (repository,) = sections(of(write(tmp_path, text)), "repository")
    assert repository.title == "debian"
    assert repository.others == (
        "https://mirror.invalid/debian trixie main contrib",
        "kept in the image",
    )


def test_what_is_valid_and_not_built_has_an_outline_and_reasons(tmp_path: Path) -> None:
    text = minimal(type_attributes='mdraid="mirroring"')
    found = outline(write(tmp_path, text), arch="x86_64")
    assert found.appliance is None
    assert [d.code for d in found.not_built] == ["KL0901"]
    assert found.outline.image == "oem"


def test_what_is_built_has_an_appliance_and_no_reasons(tmp_path: Path) -> None:
    found = outline(write(tmp_path, minimal()), arch="x86_64")
    assert found.appliance is not None
    assert found.not_built == ()


@pytest.mark.parametrize(
    "text",
    [
        minimal(top='<users profiles="nobody"/>'),
        minimal(type_attributes='mdraid="mirroring"', packages='<file name="missing"/>'),
        minimal().replace("<version>1.0.0</version>", ""),
    ],
)
def test_what_is_wrong_is_refused_as_everywhere(tmp_path: Path, text: str) -> None:
    with pytest.raises(DescriptionInvalid):
        outline(write(tmp_path, text), arch="x86_64")


def test_a_profile_declared_by_architecture_is_one_profile(tmp_path: Path) -> None:
    declared = "".join(
        f'<profile name="board" description="for {arch}" arch="{arch}"/>'
        for arch in ("aarch64", "x86_64")
    )
    file = write(tmp_path, minimal(top=f"<profiles>{declared}</profiles>"))
    assert [p.description for p in of(file).profiles] == ["for x86_64"]
    assert [p.description for p in of(file, arch="aarch64").profiles] == ["for aarch64"]
