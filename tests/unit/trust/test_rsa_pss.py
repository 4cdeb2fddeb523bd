"""Our RSA-PSS against OpenSSL, in both directions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.trust import rsa_pss
from kiwilite.trust.rsa_pss import BadKey, BadSignature

CONTENT = b"1 squashfs ro verity\xff1 4096 4096\xff\0"


def run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def make_key(folder: Path, bits: int) -> Path:
    path = folder / f"key-{bits}.pem"
    run("openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}",
        "-out", path)  # fmt: skip
    return path


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys"), 2048)


@pytest.fixture(scope="module")
def key(key_file: Path) -> RSAPrivateKey:
    return rsa_pss.load_private_key(key_file.read_bytes(), where=str(key_file))


PSS = ("-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_mgf1_md:sha256")


# lengths that are no multiple of 8 move the leading zero bits and the block's length
@pytest.mark.parametrize("bits", [2048, 2049, 2055, 3072])
def test_openssl_accepts_our_signature(tmp_path: Path, bits: int) -> None:
    key_file = make_key(tmp_path, bits)
    (tmp_path / "content").write_bytes(CONTENT)
    key = rsa_pss.load_private_key(key_file.read_bytes(), where="key")
    (tmp_path / "signature").write_bytes(rsa_pss.sign(key, CONTENT))
    run("openssl", "pkey", "-in", key_file, "-pubout", "-out", tmp_path / "public")
    # -1: the salt must be as long as the digest, which is what KIWI asks for
    verdict = run(
        *("openssl", "dgst", *PSS, "-sigopt", "rsa_pss_saltlen:-1"),
        *("-verify", tmp_path / "public", "-signature", tmp_path / "signature"),
        tmp_path / "content",
    )
    assert verdict.strip() == "Verified OK"


def test_we_accept_a_signature_of_openssl(tmp_path: Path, key_file: Path) -> None:
    (tmp_path / "content").write_bytes(CONTENT)
    run(
        *("openssl", "dgst", *PSS, "-sigopt", "rsa_pss_saltlen:-1"),
        *("-sign", key_file, "-out", tmp_path / "signature"),
        tmp_path / "content",
    )
    run("openssl", "pkey", "-in", key_file, "-pubout", "-out", tmp_path / "public")
    public = rsa_pss.load_public_key((tmp_path / "public").read_bytes(), where="public")
    rsa_pss.verify(public, CONTENT, (tmp_path / "signature").read_bytes())


def test_the_same_content_gives_the_same_signature_and_another_content_another_salt(
    key: RSAPrivateKey,
) -> None:
    assert rsa_pss.sign(key, CONTENT) == rsa_pss.sign(key, CONTENT)
    assert rsa_pss.sign(key, CONTENT) != rsa_pss.sign(key, CONTENT + b"x")


def test_a_certificate_has_a_public_key_too(tmp_path: Path, key_file: Path) -> None:
    certificate = tmp_path / "certificate"
    run("openssl", "req", "-x509", "-new", "-key", key_file, "-subj", "/CN=test", "-out",
        certificate)  # fmt: skip
    key = rsa_pss.load_private_key(key_file.read_bytes(), where="key")
    public = rsa_pss.load_public_key(certificate.read_bytes(), where="certificate")
    rsa_pss.verify(public, CONTENT, rsa_pss.sign(key, CONTENT))


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 8 * len(CONTENT) - 1))
def test_one_flipped_bit_of_the_content_is_found(key: RSAPrivateKey, at: int) -> None:
    changed = bytearray(CONTENT)
    changed[at // 8] ^= 1 << at % 8
    with pytest.raises(BadSignature):
        rsa_pss.verify(key.public_key(), bytes(changed), rsa_pss.sign(key, CONTENT))


@settings(max_examples=40, deadline=None)
@given(at=st.integers(0, 8 * 256 - 1))
def test_one_flipped_bit_of_the_signature_is_found(key: RSAPrivateKey, at: int) -> None:
    signature = bytearray(rsa_pss.sign(key, CONTENT))
    signature[at // 8] ^= 1 << at % 8
    with pytest.raises(BadSignature):
        rsa_pss.verify(key.public_key(), CONTENT, bytes(signature))


def test_keys_that_cannot_sign_are_refused_with_what_to_do(tmp_path: Path, key_file: Path) -> None:
    encrypted, elliptic = tmp_path / "encrypted", tmp_path / "elliptic"
    run("openssl", "pkey", "-in", key_file, "-aes256", "-passout", "pass:x", "-out", encrypted)
    run("openssl", "genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt",
        "ec_paramgen_curve:P-256", "-out", elliptic)  # fmt: skip
    short = make_key(tmp_path, 1024)
    for path, why in (
        (encrypted, "encrypted"),
        (elliptic, "not an RSA key"),
        (short, "1024 bits"),
        (Path(__file__), "no private key"),
    ):
        with pytest.raises(BadKey, match=why) as caught:
            rsa_pss.load_private_key(path.read_bytes(), where=str(path))
        assert caught.value.where == str(path)
        assert caught.value.hint
