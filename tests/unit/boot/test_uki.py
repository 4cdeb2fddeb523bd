"""UKIs on the stubs of Debian 12 (252) and 13 (257), against ukify of Debian 13."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import pefile
import pytest
import systemd_stub
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kiwilite.boot import uki
from kiwilite.boot.uki import BadUki, Uki, UkiProfile
from kiwilite.ondisk import pe
from kiwilite.ondisk.pe import NoSectionSlot

MAIN = UkiProfile("main", "Reference image", "console=ttyS0 root=/dev/mapper/root quiet")
RESET = UkiProfile("factory-reset", "Reset to factory state", "console=ttyS0 kiwilite.reset")
RESCUE = UkiProfile("rescue", "Rescue shell", "systemd.unit=rescue.target")


@pytest.fixture(scope="session")
def stub_257() -> bytes:
    return systemd_stub.stub("trixie")


@pytest.fixture(scope="session")
def stub_252() -> bytes:
    return systemd_stub.stub("bookworm")


@pytest.fixture(scope="session")
def kernel(stub_257: bytes) -> bytes:
    """Any PE image does for a kernel as long as nothing boots it."""
    return stub_257


@pytest.fixture(scope="session")
def parts(kernel: bytes) -> Uki:
    return Uki(
        linux=kernel,
        initrd=b"070701" + b"i" * 5001,
        os_release=b"ID=reference\nVERSION_ID=13\n",
        uname="6.12.0-test",
        profiles=(MAIN, RESET, RESCUE),
    )


def single(parts: Uki) -> Uki:
    return dataclasses.replace(parts, profiles=(MAIN,))


def names(image: bytes, stub: bytes) -> list[str]:
    return [s.name for s in uki.sections_of(image)[len(pe.sections(stub)) :]]


def test_one_profile_has_five_sections_in_order(stub_257: bytes, parts: Uki) -> None:
    image = uki.assemble(stub_257, single(parts))
    assert names(image, stub_257) == [".osrel", ".cmdline", ".uname", ".linux", ".initrd"]


def test_each_further_profile_adds_its_title_and_command_line(stub_257: bytes, parts: Uki) -> None:
    image = uki.assemble(stub_257, parts)
    assert names(image, stub_257)[5:] == [
        *(".profile",),
        *(".profile", ".cmdline"),
        *(".profile", ".cmdline"),
    ]


def layout(image: bytes) -> list[tuple[Any, ...]]:
    return [
        (
            *(s.Name, s.VirtualAddress, s.Misc_VirtualSize),
            *(s.PointerToRawData, s.SizeOfRawData, s.Characteristics),
        )
        for s in pefile.PE(data=image, fast_load=True).sections
        if s.Name.rstrip(b"\0") != b".sbat"
    ]


def ukify(work: Path, stub: bytes, parts: Uki) -> bytes:
    """What ukify makes of the same parts."""
    tool = systemd_stub.package("trixie", "systemd-ukify") / "usr/bin/ukify"
    addon = systemd_stub.package("trixie", "systemd-boot-efi")
    addon /= "usr/lib/systemd/boot/efi/addonx64.efi.stub"
    for name, data in (("stub", stub), ("linux", parts.linux), ("initrd", parts.initrd)):
        (work / name).write_bytes(data)
    (work / "osrel").write_bytes(parts.os_release)

    def build(output: str, profile: UkiProfile, *options: str) -> None:
        described = f"--profile=ID={profile.id}\nTITLE={profile.title}\n"
        several = [described] if len(parts.profiles) > 1 else []
        command = [sys.executable, str(tool), "build", f"--cmdline={profile.cmdline}", *several]
        subprocess.run(
            [*command, f"--output={output}", *options], cwd=work, check=True, capture_output=True
        )

    default, *others = parts.profiles
    for n, profile in enumerate(others):
        build(f"profile{n}", profile, f"--stub={addon}")
    build(
        "image",
        default,
        *("--stub=stub", "--linux=linux", "--initrd=initrd", "--os-release=@osrel"),
        *(f"--uname={parts.uname}", *(f"--join-profile=profile{n}" for n in range(len(others)))),
    )
    return (work / "image").read_bytes()


@pytest.mark.parametrize("several", [False, True], ids=["one-profile", "three-profiles"])
def test_the_layout_on_257_is_that_of_ukify(
    tmp_path: Path, stub_257: bytes, parts: Uki, several: bool
) -> None:
    """All but .sbat, to which ukify adds a line of its own."""
    if not several:
        parts = single(parts)
    ours, theirs = uki.assemble(stub_257, parts), ukify(tmp_path, stub_257, parts)
    assert layout(ours) == layout(theirs)
    assert [s for s in uki.sections_of(ours) if s.name != ".sbat"] == [
        s for s in uki.sections_of(theirs) if s.name != ".sbat"
    ]
    for field in ("SizeOfImage", "SizeOfHeaders", "DllCharacteristics"):
        assert optional_header(ours, field) == optional_header(theirs, field)
    assert uki.read(theirs) == uki.read(ours)


def optional_header(image: bytes, field: str) -> int:
    value = getattr(pefile.PE(data=image, fast_load=True).OPTIONAL_HEADER, field)
    assert isinstance(value, int)
    return value


def test_the_252_stub_loses_its_symbols_and_keeps_its_sections(stub_252: bytes, parts: Uki) -> None:
    assert pefile.PE(data=stub_252, fast_load=True).FILE_HEADER.NumberOfSymbols > 0
    image = uki.assemble(stub_252, single(parts))
    parsed = pefile.PE(data=image, fast_load=True)
    assert parsed.FILE_HEADER.NumberOfSymbols == parsed.FILE_HEADER.PointerToSymbolTable == 0
    assert parsed.get_warnings() == []
    stub_sections = pe.sections(stub_252)
    assert uki.sections_of(image)[: len(stub_sections)] == stub_sections
    assert uki.read(image).linux == parts.linux
    added = parsed.sections[len(stub_sections) :]
    assert all(section.VirtualAddress % 4096 == 0 for section in added)


def test_stub_versions_are_recognised(stub_252: bytes, stub_257: bytes, parts: Uki) -> None:
    assert uki.stub_version(stub_252) == 252
    assert uki.stub_version(stub_257) == 257
    assert uki.stub_version(uki.assemble(stub_257, parts)) == 257


def test_a_stub_that_knows_no_profiles_is_refused_for_several(stub_252: bytes, parts: Uki) -> None:
    with pytest.raises(BadUki, match=r"252.*no boot profiles"):
        uki.assemble(stub_252, parts)


def test_the_257_stub_holds_ten_profiles_and_says_so_at_the_eleventh(
    stub_257: bytes, parts: Uki
) -> None:
    profiles = tuple(UkiProfile(f"p{n}", f"Profile {n}", f"n={n}") for n in range(11))
    image = uki.assemble(stub_257, dataclasses.replace(parts, profiles=profiles[:10]))
    assert uki.profile_sections(image, 9)[".cmdline"] == b"n=9"
    with pytest.raises(NoSectionSlot, match=r"26 sections to add.*room for 24"):
        uki.assemble(stub_257, dataclasses.replace(parts, profiles=profiles))


def test_nx_is_promised_only_if_the_kernel_keeps_it(
    stub_257: bytes, stub_252: bytes, parts: Uki
) -> None:
    """The 252 stub stands in for a kernel without NX_COMPAT."""
    with_nx = uki.assemble(stub_257, parts)
    without = uki.assemble(stub_257, dataclasses.replace(parts, linux=stub_252))
    assert optional_header(with_nx, "DllCharacteristics") & pe.DLL_NX_COMPAT
    assert not optional_header(without, "DllCharacteristics") & pe.DLL_NX_COMPAT


def test_a_profile_replaces_the_command_line_and_shares_the_rest(
    stub_257: bytes, parts: Uki
) -> None:
    image = uki.assemble(stub_257, parts)
    for number, profile in enumerate(parts.profiles):
        effective = uki.profile_sections(image, number)
        assert effective[".cmdline"] == profile.cmdline.encode()
        assert effective[".profile"] == f"ID={profile.id}\nTITLE={profile.title}\n".encode()
        assert effective[".linux"] == parts.linux
        assert effective[".initrd"] == parts.initrd
    with pytest.raises(BadUki, match="no boot profile 3"):
        uki.profile_sections(image, 3)


def test_an_image_without_profiles_has_profile_0_only(stub_257: bytes, parts: Uki) -> None:
    image = uki.assemble(stub_257, single(parts))
    assert ".profile" not in uki.profile_sections(image, 0)
    with pytest.raises(BadUki):
        uki.profile_sections(image, 1)
    with pytest.raises(BadUki):
        uki.profile_sections(image, -1)


def test_what_is_assembled_is_read_back(stub_257: bytes, parts: Uki) -> None:
    assert uki.read(uki.assemble(stub_257, parts)) == parts


def test_the_same_parts_give_the_same_bytes(stub_257: bytes, parts: Uki) -> None:
    assert uki.assemble(stub_257, parts) == uki.assemble(stub_257, parts)


profile_texts = st.builds(
    UkiProfile,
    st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,9}[a-z0-9])?", fullmatch=True),
    st.text("Reset =ü#;&", min_size=1, max_size=20).filter(lambda t: t == t.strip(" \"'")),
    st.text('root=/dev ü"', min_size=1, max_size=60).filter(str.strip),
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(profile_texts, min_size=2, max_size=4, unique_by=lambda p: p.id),
    st.binary(max_size=2000),
)
def test_any_valid_profiles_and_initrd_are_read_back(
    stub_257: bytes, parts: Uki, profiles: list[UkiProfile], initrd: bytes
) -> None:
    varied = dataclasses.replace(parts, profiles=tuple(profiles), initrd=initrd)
    assert uki.read(uki.assemble(stub_257, varied)) == varied


def test_entry_ids_are_what_systemd_boot_257_reports() -> None:
    """Read from LoaderEntries in a guest whose file was Test-6.12.efi."""
    assert uki.entry_id("Test-6.12.efi", MAIN, 0) == "test-6.12.efi"
    assert uki.entry_id("Test-6.12.efi", RESET, 1) == "test-6.12.efi@factory-reset"


@pytest.mark.parametrize("name", ["a+3.efi", "a+2-1.efi", "A+0.EFI", "a", "a.conf", "b/a.efi"])
def test_a_file_whose_profiles_have_no_ids_of_their_own_is_refused(name: str) -> None:
    with pytest.raises(BadUki, match="no name"):
        uki.entry_id(name, RESET, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"profiles": ()},
        {"profiles": (MAIN, MAIN)},
        {"profiles": (MAIN, UkiProfile("Reset", "t", "c"))},
        {"profiles": (MAIN, UkiProfile("re*set", "t", "c"))},
        {"profiles": (MAIN, UkiProfile("reset", "two\nlines", "c"))},
        {"profiles": (MAIN, UkiProfile("reset", " t", "c"))},
        {"profiles": (MAIN, UkiProfile("reset", "", "c"))},
        {"profiles": (UkiProfile("main", "t", ""),)},
        {"profiles": (UkiProfile("main", "t", "  "),)},
        {"profiles": (UkiProfile("main", "t", "a\nb"),)},
        {"profiles": (UkiProfile("main", "t", "a\ud800b"),)},
        {"profiles": (UkiProfile("main", "t", "x" * 2048),)},
        {"uname": ""},
        {"uname": "6.12 x"},
        {"linux": b""},
        {"os_release": b""},
    ],
)
def test_parts_that_would_not_boot_as_given_are_refused(
    stub_257: bytes, parts: Uki, change: dict[str, Any]
) -> None:
    with pytest.raises(BadUki):
        uki.assemble(stub_257, dataclasses.replace(parts, **change))


def test_a_kernel_that_is_no_efi_image_is_refused(stub_257: bytes, parts: Uki) -> None:
    with pytest.raises(pe.BadPe):
        uki.assemble(stub_257, dataclasses.replace(parts, linux=b"\x1f\x8b gzip"))


def test_a_stub_alone_is_no_uki(stub_257: bytes) -> None:
    with pytest.raises(BadUki, match="no section"):
        uki.read(stub_257)


section_names = st.sampled_from(
    (".osrel", ".cmdline", ".uname", ".linux", ".initrd", ".profile", ".x")
)
some_sections = st.lists(st.builds(pe.Section, section_names, st.binary(max_size=12)), max_size=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some_sections)
@example([pe.Section(".profile", b"\xff=\n=\nID")])
def test_nothing_but_bad_uki_comes_out_of_odd_sections(
    stub_257: bytes, added: list[pe.Section]
) -> None:
    image = pe.append(stub_257, added)
    try:
        found = uki.read(image)
    except BadUki:
        return
    assert found.profiles
