"""Authenticode signatures of PE images, as UEFI Secure Boot checks them: read and verified.

The certificate table stands behind the image's content; data directory 4 of the optional
header has its file offset and length. It is a row of WIN_CERTIFICATE, each at a multiple
of 8 bytes, little-endian:

    0 4  length with this header     6 2  type, 2: PKCS #7 SignedData
    4 2  revision, 0x0200            8    DER

SignedData holds a SpcIndirectDataContent with the image's digest, certificates, and one
signer, who signs attributes, of which one is the digest of that content. The image's digest
leaves out CheckSum, the entry of data directory 4, and the certificate table.

Signatures are RSA (PKCS #1 v1.5 or PSS) or ECDSA, over SHA-256, -384 or -512. Firmware need
not take all of these.

Sources: Microsoft, "Windows Authenticode Portable Executable Signature Format"; RFC 2315
and RFC 5652 (SignedData); UEFI Specification 2.10, 32.2.4.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kiwilite.errors import KiwiliteError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
_INDIRECT_DATA: Final = bytes.fromhex("2b060104018237020104")
_MESSAGE_DIGEST: Final = bytes.fromhex("2a864886f70d010904")
_DIGESTS: Final = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_RSA_PSS: Final = bytes.fromhex("2a864886f70d01010a")
_PKCS7: Final = 2
_SEQUENCE, _SET, _CONTEXT_0 = 0x30, 0x31, 0xA0


class BadAuthenticode(KiwiliteError):
    """A signature is damaged, or not that of this image."""


class UnknownSignature(KiwiliteError):
    """The digest is that of the image, but how it is signed is nothing that can be checked here."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signed: the subject of the certificate that came along, and that certificate (DER).

    That the signature holds says nothing about whether this signer is to be trusted.
    """

    subject: str
    certificate: bytes


def table_of(image: bytes) -> tuple[int, int]:
    """File offset and length of the certificate table; (0, 0) where there is none."""
    offset, length = struct.unpack_from("<II", image, _directory(image))
    return offset, length


def image_digest(image: bytes, algorithm: str) -> bytes:
    """The Authenticode digest. Raises BadAuthenticode where the table is out of place."""
    directory = _directory(image)
    checksum = directory - 4 * 8 - 112 + 64
    offset, length = table_of(image)
    end = offset or len(image)
    if offset and not directory < offset <= offset + length <= len(image):
        raise BadAuthenticode("the certificate table does not lie within the file")
    h = hashlib.new(algorithm, image[:checksum])
    h.update(image[checksum + 4 : directory])
    h.update(image[directory + 8 : end])
    if offset:
        h.update(image[offset + length :])
    return h.digest()


def verify(image: bytes) -> tuple[Signer, ...]:
    """The signers of an image; none where it is not signed.

    Raises BadAuthenticode, or UnknownSignature where neither RSA nor ECDSA has signed.
    """
    offset, length = table_of(image)
    if not length:
        return ()
    try:
        return tuple(_check(image, der) for der in _certificates(image[offset : offset + length]))
    except (BadAuthenticode, UnknownSignature):
        raise
    except Exception as error:  # certificates that are damaged raise all sorts of things
        raise BadAuthenticode(f"the signature cannot be read: {error}") from error


def _directory(image: bytes) -> int:
    """Where data directory 4 stands in a 64-bit image."""
    return int.from_bytes(image[0x3C:0x40], "little") + 24 + 112 + 4 * 8


def _certificates(table: bytes) -> Iterator[bytes]:
    at = 0
    while at + 8 <= len(table):
        length, revision, kind = struct.unpack_from("<IHH", table, at)
        if not 8 < length <= len(table) - at or (revision, kind) != (0x200, _PKCS7):
            raise BadAuthenticode(f"no certificate at byte {at} of the table")
        yield table[at + 8 : at + length]
        at += -(-length // 8) * 8


@dataclass(frozen=True, slots=True)
class _Node:
    """A DER value: tag, content, and the bytes with tag and length."""

    tag: int
    content: bytes
    whole: bytes

    def children(self) -> list[_Node]:
        """What a constructed value is made of."""
        found = []
        at = 0
        while at < len(self.content):
            node = _node(self.content, at)
            found.append(node)
            at += len(node.whole)
        return found


def _node(raw: bytes, at: int = 0) -> _Node:
    tag, length, start = raw[at], raw[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        length = int.from_bytes(raw[start : start + count], "big")
        start += count
    if start + length > len(raw):
        raise ValueError("a value is longer than what holds it")
    return _Node(tag, raw[start : start + length], raw[at : start + length])


def _check(image: bytes, der: bytes) -> Signer:
    kind, wrapped = _node(der).children()
    if kind.content != _SIGNED_DATA:
        raise BadAuthenticode("the certificate table has something else than SignedData")
    fields = wrapped.children()[0].children()
    content_type, content = fields[2].children()
    if content_type.content != _INDIRECT_DATA:
        raise BadAuthenticode("what is signed is not the digest of an image")
    signed = content.children()[0]
    algorithm, digest = signed.children()[1].children()
    name = _DIGESTS.get(algorithm.children()[0].content)
    if name is None:
        raise BadAuthenticode("the image's digest is of an unknown kind")
    if image_digest(image, name) != digest.content:
        raise BadAuthenticode("the signature is not that of this image: it was changed")
    certificates = [n.whole for f in fields[3:] if f.tag == _CONTEXT_0 for n in f.children()]
    (signer,) = fields[-1].children()
    return _check_signer(signer, certificates, signed.content)


def _check_signer(signer: _Node, certificates: list[bytes], signed: bytes) -> Signer:
    from cryptography import x509

    _, issuer_and_serial, digest_kind, *rest = signer.children()
    name = _DIGESTS.get(digest_kind.children()[0].content)
    attributes, kind, signature = rest[0], rest[1].children()[0].content, rest[2].content
    if name is None or attributes.tag != _CONTEXT_0:
        raise BadAuthenticode("the signer's attributes are of an unknown kind")
    digests = [
        value.children()[0].content
        for name_of, value in (a.children() for a in attributes.children())
        if name_of.content == _MESSAGE_DIGEST
    ]
    if digests != [hashlib.new(name, signed).digest()]:
        raise BadAuthenticode("the signed attributes are not those of this digest")
    issuer, serial = issuer_and_serial.children()
    for raw in certificates:
        certificate = x509.load_der_x509_certificate(raw)
        number = int.from_bytes(serial.content, "big", signed=True)
        if certificate.serial_number != number or certificate.issuer.public_bytes() != issuer.whole:
            continue
        as_set = bytes([_SET]) + attributes.whole[1:]
        _check_signature(certificate, as_set, signature, name, is_pss=kind == _RSA_PSS)
        return Signer(certificate.subject.rfc4514_string(), raw)
    raise BadAuthenticode("the signer's certificate is not among those that came along")


def _check_signature(
    certificate: Certificate, content: bytes, signature: bytes, algorithm: str, *, is_pss: bool
) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    key = certificate.public_key()
    kinds: dict[str, hashes.HashAlgorithm] = {
        "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
    }  # fmt: skip
    kind = kinds[algorithm]
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, content, ec.ECDSA(kind))
        elif isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(kind), padding.PSS.AUTO)
            key.verify(signature, content, pss if is_pss else padding.PKCS1v15(), kind)
        else:
            name = type(key).__name__.removesuffix("PublicKey").lstrip("_")
            raise UnknownSignature(f"the signer's key is of the kind {name}, not RSA or ECDSA")
    except InvalidSignature as error:
        raise BadAuthenticode("the signature does not hold") from error
