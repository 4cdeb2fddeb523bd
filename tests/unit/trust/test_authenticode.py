"""Signatures that sbsign makes hold, and no changed byte of a signed image goes unnoticed."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from kiwilite.trust import authenticode

NAME = "kiwilite test signer"


def image(size: int = 5000) -> bytes:
    """The least that is a 64-bit PE with one section."""
    raw = -(-size // 512) * 512
    optional = bytearray(240)
    struct.pack_into("<HBBIII", optional, 0, 0x20B, 0, 0, raw, 0, 0)
    struct.pack_into("<II", optional, 16, 4096, 4096)
    struct.pack_into("<QII", optional, 24, 0, 4096, 512)
    struct.pack_into("<II", optional, 56, 4096 + raw, 512)
    struct.pack_into("<H", optional, 68, 10)
    struct.pack_into("<I", optional, 108, 16)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22)
    section = struct.pack("<8sIIIIIIHHI", b".text", size, 4096, raw, 512, 0, 0, 0, 0, 0x60000020)
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 64)
    content = random.Random(5).randbytes(size).ljust(raw, b"\0")
    return (head + header + bytes(optional) + section).ljust(512, b"\0") + content


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("sbsign") is None or shutil.which("openssl") is None:
        pytest.skip("sbsign or openssl is not installed")
    folder = tmp_path_factory.mktemp("sbsign")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={NAME}"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    (folder / "plain.efi").write_bytes(image())
    subprocess.run(
        ["sbsign", "--key", str(key), "--cert", str(certificate)]
        + ["--output", str(folder / "signed.efi"), str(folder / "plain.efi")],
        check=True,
        capture_output=True,
    )
    return Path(folder / "signed.efi").read_bytes()


def test_an_image_without_signature_has_no_signer() -> None:
    assert authenticode.verify(image()) == ()


def test_what_sbsign_signs_holds(signed: bytes) -> None:
    (signer,) = authenticode.verify(signed)
    assert signer.subject == f"CN={NAME}"


def test_a_flipped_bit_of_the_content_is_noticed(signed: bytes) -> None:
    chance = random.Random(9)
    end, _ = authenticode.table_of(signed)
    directory = 64 + 24 + 112 + 32
    left_out = {*range(64 + 24 + 64, 64 + 24 + 68), *range(directory, directory + 8)}
    tried = 0
    for at in (chance.randrange(64 + 24, end) for _ in range(200)):
        if at in left_out:
            continue
        changed = bytearray(signed)
        changed[at] ^= 1 << chance.randrange(8)
        with pytest.raises(authenticode.BadAuthenticode):
            authenticode.verify(bytes(changed))
        tried += 1
    assert tried > 150


def test_a_changed_digest_attribute_or_signature_is_noticed(signed: bytes) -> None:
    start, length = authenticode.table_of(signed)
    digest = authenticode.image_digest(signed, "sha256")
    for at in (start + signed[start:].index(digest), start + length - 40):
        changed = bytearray(signed)
        changed[at] ^= 1
        with pytest.raises(authenticode.BadAuthenticode):
            authenticode.verify(bytes(changed))


def test_garbage_in_the_table_is_a_message_and_no_crash(signed: bytes) -> None:
    chance = random.Random(11)
    start, length = authenticode.table_of(signed)
    for _ in range(300):
        changed = bytearray(signed)
        for _ in range(4):
            changed[chance.randrange(start, start + length)] = chance.randrange(256)
        try:
            authenticode.verify(bytes(changed))
        except authenticode.BadAuthenticode:
            continue
