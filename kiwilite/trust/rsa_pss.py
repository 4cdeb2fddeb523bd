"""RSASSA-PSS with SHA-256, made so that the same content gives the same signature.

PSS takes a salt, which libraries draw at random: two builds would then differ in the
signature. Here the salt is SHA-256 over the key's modulus and the signed content, so a
build can be repeated byte by byte. Nothing is lost: PSS is safe with any salt, even an
empty one; it is no secret and may repeat for the same content. Verifiers read the salt
out of the signature and cannot tell the difference.

Parameters, which KIWI's verification metadata uses: hash SHA-256, mask generation MGF1
with SHA-256, salt of 32 bytes, trailer 0xbc. `openssl dgst -sha256 -sigopt
rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 -verify` accepts them.

Source: RFC 8017, sections 8.1.1 (signing), 9.1.1 (EMSA-PSS), 5.2.1 (RSASP1) and B.2.1 (MGF1).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from kiwilite.errors import KiwiliteError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

SALT_BYTES: Final = 32
_HASH_BYTES: Final = 32
_LEAST_BITS: Final = 2048
_SALT_CONTEXT: Final = b"kiwilite RSA-PSS salt\0"


class BadKey(KiwiliteError):
    """A key cannot be used for this: not PEM, encrypted, not RSA, or too short."""


class BadSignature(KiwiliteError):
    """A signature is not that of this content by this key."""


def load_private_key(pem: bytes, *, where: str) -> RSAPrivateKey:
    """The RSA private key in `pem`, without a passphrase; raises BadKey, naming `where`."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except TypeError as error:
        hint = "decrypt it (openssl pkey -in KEY -out PLAIN_KEY), for the build only"
        raise BadKey("the private key is encrypted", where=where, hint=hint) from error
    except ValueError as error:
        hint = "make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072"
        raise BadKey("this is no private key in PEM form", where=where, hint=hint) from error
    if not isinstance(key, RSAPrivateKey):
        raise BadKey("the private key is not an RSA key", where=where, hint="RSA-PSS needs RSA")
    _check_length(key.key_size, where)
    return key


def load_public_key(pem: bytes, *, where: str) -> RSAPublicKey:
    """The RSA public key in `pem`, a public key or a certificate; raises BadKey."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if b"BEGIN CERTIFICATE" in pem:
            key: object = x509.load_pem_x509_certificate(pem).public_key()
        else:
            key = load_pem_public_key(pem)
    except ValueError as error:
        raise BadKey("this is no public key or certificate in PEM form", where=where) from error
    if not isinstance(key, RSAPublicKey):
        raise BadKey("the public key is not an RSA key", where=where, hint="RSA-PSS needs RSA")
    _check_length(key.key_size, where)
    return key


def _check_length(bits: int, where: str) -> None:
    if bits < _LEAST_BITS:
        raise BadKey(f"the RSA key has {bits} bits, which is not safe", where=where,
                     hint=f"take {_LEAST_BITS} bits or more")  # fmt: skip


def sign(key: RSAPrivateKey, content: bytes) -> bytes:
    """The signature, as many bytes as the key's modulus has.

    The raw RSA operation is Python's: it takes no constant time, which matters where an
    attacker can time many signatures and not on a host that builds images.
    """
    public = key.public_key().public_numbers()
    salt = _salt(public.n, content)
    encoded = _encode(hashlib.sha256(content).digest(), salt, key.key_size - 1)
    signature = _private_operation(key, int.from_bytes(encoded))
    # A fault in one half of the computation would give the key away (Boneh, DeMillo, Lipton).
    if pow(signature, public.e, public.n) != int.from_bytes(encoded):
        raise BadSignature("the signature just made does not verify: the key's parts do not fit")
    return signature.to_bytes((key.key_size + 7) // 8)


def verify(key: RSAPublicKey, content: bytes, signature: bytes) -> None:
    """Raises BadSignature unless `signature` is one of `content` with a salt of 32 bytes."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key.verify(signature, content, PSS(MGF1(SHA256()), SALT_BYTES), SHA256())
    except InvalidSignature as error:
        raise BadSignature("the signature is not that of this content by this key") from error


def _salt(modulus: int, content: bytes) -> bytes:
    name = modulus.to_bytes((modulus.bit_length() + 7) // 8)
    return hashlib.sha256(_SALT_CONTEXT + name + content).digest()


def _encode(digest: bytes, salt: bytes, bits: int) -> bytes:
    """EMSA-PSS: the integer to sign, at most `bits` bits, as big-endian bytes."""
    size = (bits + 7) // 8
    seed = hashlib.sha256(bytes(8) + digest + salt).digest()
    block = (b"\1" + salt).rjust(size - _HASH_BYTES - 1, b"\0")
    mask = _mgf1(seed, len(block))
    masked = bytearray(a ^ b for a, b in zip(block, mask, strict=True))
    masked[0] &= 0xFF >> (8 * size - bits)
    return bytes(masked) + seed + b"\xbc"


def _mgf1(seed: bytes, length: int) -> bytes:
    out = b"".join(
        hashlib.sha256(seed + counter.to_bytes(4)).digest()
        for counter in range(-(-length // _HASH_BYTES))
    )
    return out[:length]


def _private_operation(key: RSAPrivateKey, message: int) -> int:
    """message ** d mod n, by the Chinese remainder theorem."""
    numbers = key.private_numbers()
    first = pow(message, numbers.dmp1, numbers.p)
    second = pow(message, numbers.dmq1, numbers.q)
    return second + numbers.q * ((first - second) * numbers.iqmp % numbers.p)
