"""Unified kernel images: CheckSum, signature, command lines against the policy."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.boot import uki
from kiwilite.boot.policy import Policy, VerityDevice, Volume, policy_archive
from kiwilite.inspect.bootimage import BootImage, EfiFile, boot_image, check_pe, check_policy
from kiwilite.inspect.cmdline import SWITCHES
from kiwilite.inspect.findings import Finding, Place, Severity
from kiwilite.inspect.table import Partition
from kiwilite.trust import authenticode

ROOT_HASH = "ab" * 32
HEADERS = 2048
ESP = Partition(1, "p.UEFI", 1 << 20, 8 << 20, UUID(int=1), UUID(int=2), 0)


PARTITIONS = (
    ESP,
    Partition(2, "p.lxreadonly", 9 << 20, 10 << 20, UUID(int=1), UUID(int=3), 0),
    Partition(3, "p.lxroot", 10 << 20, 11 << 20, UUID(int=1), UUID(int=8), 0),
)


def stub() -> bytes:
    """The least that is a 64-bit PE: one section, and room for more headers."""
    text = b"\x90" * 600
    raw = text.ljust(1024, b"\0")
    optional = bytearray(240)
    struct.pack_into("<HBBI", optional, 0, 0x20B, 0, 0, len(raw))
    struct.pack_into("<QII", optional, 24, 0, 4096, 512)
    struct.pack_into("<II", optional, 56, 8192, HEADERS)
    struct.pack_into("<H", optional, 68, 10)
    struct.pack_into("<I", optional, 108, 16)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22)
    section = struct.pack(
        "<8sIIIIIIHHI", b".text", len(text), 4096, len(raw), HEADERS, 0, 0, 0, 0, 0x60000020
    )
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 64)
    return (head + header + bytes(optional) + section).ljust(HEADERS, b"\0") + raw


def image(
    cmdline: str = f"quiet roothash={ROOT_HASH}",
    *,
    volumes: tuple[Volume, ...] = (),
    switches: tuple[str, ...] = (),
) -> bytes:
    """A boot image with one profile, whose initrd has a policy."""
    device = VerityDevice("verityRoot", UUID(int=3), ROOT_HASH, 4096, "/", "squashfs")
    return with_policy(Policy("tiny", "1", (device,), volumes, switches, "reboot"), cmdline)


def with_policy(policy: Policy, cmdline: str) -> bytes:
    """A boot image with one profile and this policy; the kernel in it is none."""
    parts = uki.Uki(
        linux=stub(),
        initrd=policy_archive(policy, None, epoch=0) + b"\x28\xb5\x2f\xfd compressed",
        os_release=b'PRETTY_NAME="Tiny 1"\n',
        uname="6.0.0-test",
        profiles=(uki.UkiProfile("main", "Tiny", cmdline),),
    )
    return uki.assemble(stub(), parts)


def file(raw: bytes) -> EfiFile:
    """The image in a file of two pieces on the disk, the second one first."""
    half = 4096
    runs = ((2_000_000, 2_000_000 + half), (1_500_000, 1_500_000 + len(raw) - half))
    return EfiFile(ESP, "EFI/Linux/tiny.efi", raw, runs)


def loud(findings: list[Finding]) -> list[Finding]:
    return [f for f in findings if f.severity is not Severity.NOTE]


def opened(raw: bytes) -> BootImage:
    found = boot_image(file(raw))
    assert found is not None
    return found


def test_a_good_image_is_read_and_has_no_finding() -> None:
    found = opened(image())
    assert (found.uname, found.os_name, found.is_signed) == ("6.0.0-test", "Tiny 1", False)
    assert found.policy is not None
    assert found.policy.verity[0].root_hash == ROOT_HASH
    assert list(check_pe(found.file)) == []
    assert list(check_policy(found, PARTITIONS)) == []


def test_any_flipped_bit_is_found() -> None:
    raw = image()
    for at in range(3, len(raw), 97):
        changed = bytearray(raw)
        changed[at] ^= 1 << at % 8
        assert loud(list(check_pe(file(bytes(changed))))), at


def test_bytes_of_a_file_are_placed_where_its_clusters_are() -> None:
    found = file(image())
    places = list(found.places(4000, 4200))
    assert [(p.start, p.end) for p in places] == [
        (2_000_000 + 4000, 2_000_000 + 4096),
        (1_500_000, 1_500_000 + 104),
    ]


@pytest.mark.parametrize("line", ["quiet", f"quiet roothash={'cd' * 32}", "roothash="])
def test_another_root_hash_on_the_command_line_is_found_there(line: str) -> None:
    found = opened(image(line))
    (finding,) = check_policy(found, PARTITIONS)
    assert finding.severity is Severity.ERROR
    start = found.file.raw.index(line.encode())
    assert next(iter(found.file.places(start, start + len(line)))) == finding.place


def test_an_image_without_policy_is_an_error() -> None:
    raw = image().replace(b"etc/kiwilite/policy", b"etc/kiwilite/nothing"[:19])
    (finding,) = check_policy(opened(raw), PARTITIONS)
    assert "no policy" in finding.what


def test_a_signed_image_tells_who_signed_and_a_change_is_found(tmp_path: Path) -> None:
    if shutil.which("sbsign") is None or shutil.which("openssl") is None:
        pytest.skip("sbsign or openssl is not installed")
    key, certificate, plain = (tmp_path / n for n in ("key.pem", "cert.pem", "plain.efi"))
    plain.write_bytes(image())
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=signer"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    signed = tmp_path / "signed.efi"
    command = ["sbsign", "--key", str(key), "--cert", str(certificate), "--output", str(signed)]
    subprocess.run([*command, str(plain)], check=True, capture_output=True)
    found = opened(signed.read_bytes())
    assert found.is_signed
    (finding,) = check_pe(found.file)
    assert finding.severity is Severity.NOTE
    assert "is signed by CN=signer" in finding.what
    changed = signed.read_bytes().replace(b"quiet", b"loudy")
    (finding,) = loud(list(check_pe(file(changed))))
    assert "it was changed" in finding.what


def test_a_signature_of_an_unknown_kind_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: bytes) -> tuple[authenticode.Signer, ...]:
        raise authenticode.UnknownSignature("the signer's key is of the kind Ed448")

    monkeypatch.setattr(authenticode, "verify", unknown)
    (finding,) = check_pe(file(image()))
    assert finding.severity is Severity.NOTE
    assert "cannot be checked here" in finding.what


UPPER = Volume("luks", UUID(int=8), UUID(int=9), "xfs")


@pytest.mark.parametrize(
    "word",
    [
        "rd.root.overlay.temporary",
        "root=overlay:MAPPER=verityRoot",
        "root=overlay:/dev/mapper/verityRoot",
        f"verityroot=PARTUUID={UUID(int=3)}",
        f"verityroot=/dev/disk/by-partuuid/{UUID(int=3)}",
        "rd.root.overlay.write=PARTLABEL=p.lxroot",
        "rd.root.overlay.write=/dev/mapper/luks",
        "rd.root.overlay.write=/dev/sda3",  # what that will be only a machine knows
        "rd.root.overlay.write=LABEL=x",
        "root=/dev/sda1",
    ],
)
def test_words_that_say_what_the_policy_says_are_no_finding(word: str) -> None:
    raw = image(f"{word} roothash={ROOT_HASH}", volumes=(UPPER,), switches=(SWITCHES[0],))
    assert list(check_policy(opened(raw), PARTITIONS)) == []


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("rd.root.overlay.temporary", "does not allow"),
        ("rd.root.overlay.readonly", "does not allow"),
        ("kiwilite.factory-reset", "does not allow"),
        ("root=overlay:MAPPER=other", "another device"),
        (f"verityroot=PARTUUID={UUID(int=8)}", "another device"),
        ("verityroot=/dev/disk/by-partlabel/p.lxroot", "another device"),
        (f"rd.root.overlay.write=PARTUUID={UUID(int=3)}", "another device"),
    ],
)
def test_a_word_that_the_boot_will_ignore_is_a_warning_at_its_command_line(
    word: str, why: str
) -> None:
    found = opened(image(f"{word} roothash={ROOT_HASH}", volumes=(UPPER,)))
    (finding,) = check_policy(found, PARTITIONS)
    assert finding.severity is Severity.WARNING
    assert word in finding.what
    assert why in finding.what
    start = found.file.raw.index(word.encode())
    assert finding.place.overlaps(*_range(next(iter(found.file.places(start, start + 1)))))


def test_a_partition_for_the_overlay_that_the_policy_has_not_is_a_warning() -> None:
    raw = image(f"rd.root.overlay.write=PARTLABEL=p.lxroot roothash={ROOT_HASH}")
    (finding,) = check_policy(opened(raw), PARTITIONS)
    assert "has no partition for the overlay" in finding.what


def _range(place: Place) -> tuple[int, int]:
    return place.start, place.end
