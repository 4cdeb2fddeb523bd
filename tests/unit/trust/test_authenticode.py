"""Signatures that sbsign makes hold, and no changed byte of a signed image goes unnoticed."""

from __future__ import annotations

import datetime
import hashlib
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

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


@pytest.fixture(scope="module", params=["rsa:2048", "ec"])
def signed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("sbsign") is None or shutil.which("openssl") is None:
        pytest.skip("sbsign or openssl is not installed")
    folder = tmp_path_factory.mktemp("sbsign")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if request.param == "ec" else []
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", request.param, *curve, "-nodes"]
        + ["-subj", f"/CN={NAME}"]
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


def der(tag: int, *contents: bytes) -> bytes:
    """A DER value."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def oid(dotted: str) -> bytes:
    """An object identifier: numbers in groups of 7 bits, the first two in one byte."""
    numbers = list(map(int, dotted.split(".")))
    content = bytearray([numbers[0] * 40 + numbers[1]])
    for number in numbers[2:]:
        groups = [number >> shift & 0x7F for shift in range(28, -1, -7)]
        while len(groups) > 1 and not groups[0]:
            groups.pop(0)
        content += bytes([g | 0x80 for g in groups[:-1]] + groups[-1:])
    return der(6, bytes(content))


DIGESTS = {"sha256": "2.16.840.1.101.3.4.2.1", "sha384": "2.16.840.1.101.3.4.2.2",
           "sha512": "2.16.840.1.101.3.4.2.3"}  # fmt: skip


def signed_by(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    algorithm: str, scheme: str, sign: Callable[[bytes], bytes],
) -> bytes:  # fmt: skip
    """An image with a signature of any kind, made from the format's definition."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    day = datetime.datetime(2024, 1, 1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(77)
    builder = builder.public_key(key.public_key()).not_valid_before(day)
    builder = builder.not_valid_after(day + datetime.timedelta(days=9999))
    own = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    certificate = builder.sign(key, own).public_bytes(Encoding.DER)
    plain = image()
    kind = der(0x30, oid(DIGESTS[algorithm]), der(5))
    digest = authenticode.image_digest(plain, algorithm)
    value = der(0x30, oid("1.3.6.1.4.1.311.2.1.15"), der(0x30))
    indirect = value + der(0x30, kind, der(4, digest))
    message = hashlib.new(algorithm, indirect).digest()
    attributes = [
        der(0x30, oid("1.2.840.113549.1.9.3"), der(0x31, oid("1.3.6.1.4.1.311.2.1.4"))),
        der(0x30, oid("1.2.840.113549.1.9.4"), der(0x31, der(4, message))),
    ]
    signer = der(
        0x30, der(2, b"\1"), der(0x30, name.public_bytes(), der(2, b"\x4d")), kind,
        der(0xA0, *attributes), der(0x30, oid(scheme)), der(4, sign(der(0x31, *attributes))),
    )  # fmt: skip
    content = der(0x30, oid("1.3.6.1.4.1.311.2.1.4"), der(0xA0, der(0x30, indirect)))
    data = der(
        0x30, der(2, b"\1"), der(0x31, kind), content, der(0xA0, certificate), der(0x31, signer)
    )
    whole = der(0x30, oid("1.2.840.113549.1.7.2"), der(0xA0, data))
    table = struct.pack("<IHH", 8 + len(whole), 0x200, 2) + whole
    table = table.ljust(-(-len(table) // 8) * 8, b"\0")
    out = bytearray(plain + table)
    struct.pack_into("<II", out, 64 + 24 + 112 + 32, len(plain), len(table))
    return bytes(out)


EC = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)
KINDS = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}


@pytest.mark.parametrize("algorithm", KINDS)
@pytest.mark.parametrize("scheme", ["ecdsa", "rsa", "rsa-pss"])
def test_signatures_of_other_kinds_hold_until_a_byte_is_changed(
    algorithm: str, scheme: str
) -> None:
    kind = KINDS[algorithm]
    if scheme == "ecdsa":
        raw = signed_by(
            EC, algorithm, "1.2.840.10045.4.3.2", lambda part: EC.sign(part, ec.ECDSA(kind))
        )
    elif scheme == "rsa-pss":
        pss = padding.PSS(padding.MGF1(kind), kind.digest_size)
        raw = signed_by(
            RSA, algorithm, "1.2.840.113549.1.1.10", lambda part: RSA.sign(part, pss, kind)
        )
    else:
        pkcs1 = padding.PKCS1v15()
        raw = signed_by(
            RSA, algorithm, "1.2.840.113549.1.1.1", lambda part: RSA.sign(part, pkcs1, kind)
        )
    (signer,) = authenticode.verify(raw)
    assert signer.subject == f"CN={NAME}"
    changed = bytearray(raw)
    changed[-20] ^= 1  # within the signature, which stands last
    with pytest.raises(authenticode.BadAuthenticode):
        authenticode.verify(bytes(changed))
    with pytest.raises(authenticode.BadAuthenticode, match="was changed"):
        authenticode.verify(raw.replace(raw[600:632], bytes(32)))


def test_a_key_of_another_kind_is_no_damage_but_cannot_be_checked() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    raw = signed_by(key, "sha256", "1.3.101.112", key.sign)
    with pytest.raises(authenticode.UnknownSignature, match="Ed25519"):
        authenticode.verify(raw)
    with pytest.raises(authenticode.BadAuthenticode):
        authenticode.verify(raw.replace(raw[600:632], bytes(32)))


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
