"""Our LUKS2 header in cryptsetup's hands, and cryptsetup's in ours, without device-mapper."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from luks2_samples import (
    AEGIS,
    ARGON2ID,
    GCM,
    PBKDF2,
    UUID_1,
    VOLUME_KEY,
    XTS_HMAC,
    sample_volume,
)

from kiwilite.ondisk.encryption import Encryption
from kiwilite.ondisk.luks2 import tokens, volume
from kiwilite.ondisk.luks2.header import BadLuksHeader, Copy, LuksHeader, read_both, unpack
from kiwilite.ondisk.luks2.kdf import Argon2, Pbkdf2, UnsupportedLuks

NOBODY = 65534
AS_WE_DO = ("--keyslot-cipher", "aes-xts-plain64", "--keyslot-key-size", "512")
QUICK = ("--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that an ordinary user can get at too."""
    with tempfile.TemporaryDirectory(prefix="kiwilite-luks2-") as directory:
        path = Path(directory)
        path.chmod(0o755)
        yield path


def cryptsetup(
    *words: str | Path, passphrase: bytes = b"", user: int | None = None
) -> subprocess.CompletedProcess[bytes]:
    command = ["cryptsetup", "--batch-mode", *map(str, words)]
    return subprocess.run(command, input=passphrase, capture_output=True, check=False, user=user)


def done(result: subprocess.CompletedProcess[bytes]) -> str:
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


def write_volume(path: Path, raw: bytes) -> Path:
    """`raw` in a file that is as long as a header with its keyslots."""
    path.write_bytes(raw)
    os.truncate(path, 17 << 20)
    return path


def read_header(path: Path) -> LuksHeader:
    """What stands there; both copies must be sound and our writer would write them so."""
    raw = path.read_bytes()[: 8 << 20]
    copies = read_both(raw)
    assert copies.agree, copies
    for copy, found in zip(Copy, copies, strict=True):
        assert isinstance(found, LuksHeader)
        start = 0 if copy is Copy.PRIMARY else found.header_bytes
        assert found.pack_copy(copy) == raw[start : start + found.header_bytes]
    return copies.best


def unlock(path: Path, passphrase: bytes) -> bytes:
    def read_area(offset: int, size: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    return volume.unlock(read_header(path), read_area, passphrase)


def opens(path: Path, passphrase: bytes, *, user: int | None = None) -> bool:
    words = ("open", "--test-passphrase", "--key-file", "-", path)
    result = cryptsetup(*words, passphrase=passphrase, user=user)
    assert result.returncode in {0, 2}, result.stderr.decode()  # 2: wrong passphrase
    return result.returncode == 0


def volume_key(path: Path, passphrase: bytes) -> bytes:
    """As cryptsetup gets it out of the header."""
    key = path.with_name("key")
    dump = ("luksDump", "--dump-master-key", "--master-key-file", key, "--key-file", "-")
    done(cryptsetup(*dump, path, passphrase=passphrase))
    return key.read_bytes()


@pytest.mark.parametrize("encryption", [XTS_HMAC, GCM, AEGIS], ids=lambda e: e.cipher)
@pytest.mark.parametrize("user", [None, NOBODY], ids=["", "nobody"])
def test_cryptsetup_opens_our_keyslots(
    place: Path, encryption: Encryption, user: int | None
) -> None:
    if user is not None and os.geteuid() != 0:
        pytest.skip("this user is an ordinary one already")
    raw = volume.create(
        encryption,
        Random(2).randbytes(encryption.key_bytes),
        [
            ("first", b"first", PBKDF2),
            ("recovery", b"second", ARGON2ID),
            ("", b"argon2i", replace(ARGON2ID, variant="argon2i")),
        ],
        uuid=UUID_1,
        label="lab",
        subsystem="kiwilite-ready",
        tokens=[tokens.written_token(0, [(0, 10), (20, 5)])],
        randomness=Random(1).randbytes,
    )
    path = write_volume(place / "volume", raw)
    if user is not None:
        os.chown(path, user, user)
    assert opens(path, b"first", user=user)
    assert opens(path, b"second", user=user)
    assert opens(path, b"argon2i", user=user)
    assert not opens(path, b"third", user=user)
    assert path.read_bytes()[: len(raw)] == raw  # nothing was there to be repaired


def test_cryptsetup_shows_what_we_wrote(place: Path) -> None:
    path = write_volume(place / "volume", sample_volume(("recovery", b"first", ARGON2ID)))
    shown = done(cryptsetup("luksDump", path))
    for line in (
        f"UUID:          \t{UUID_1}",
        "Label:         \tlab",
        "Subsystem:     \tkiwilite-ready",
        "\toffset: 16777216 [bytes]",
        "\tlength: (whole device)",
        "\tcipher: aes-xts-plain64",
        "\tsector: 4096 [bytes]",
        "\tintegrity: hmac(sha256)",
        "\tKey:        768 bits",
        "\tPBKDF:      argon2id",
        "\tMemory:     64",
        "  0: kiwilite-keyslot",
    ):
        assert f"\n{line}\n" in shown, line


def test_the_volume_key_is_the_one_we_wrapped(place: Path) -> None:
    path = write_volume(place / "volume", sample_volume())
    assert volume_key(path, b"first") == VOLUME_KEY


def test_we_read_what_cryptsetup_made_of_our_header(place: Path) -> None:
    """A keyslot added, one removed, a label set: volume key, tokens, our other slot stay."""
    first = ("", b"first", PBKDF2)
    recovery = ("recovery", b"recovery", ARGON2ID)
    path = write_volume(place / "volume", sample_volume(first, recovery))
    old, new = place / "old", place / "new"
    old.write_bytes(b"first")
    new.write_bytes(b"new\n")
    added = ("--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "32768")
    done(cryptsetup("luksAddKey", *added, "--key-file", old, path, new))
    assert unlock(path, b"new\n") == unlock(path, b"recovery") == VOLUME_KEY
    slot = read_header(path).metadata.keyslots[-1]
    assert isinstance(slot.kdf, Argon2)
    assert (slot.number, slot.kdf.memory_kib, slot.kdf.time) == (2, 32768, 4)

    done(cryptsetup("luksKillSlot", "--key-file", new, path, "0"))
    with pytest.raises(volume.WrongPassphrase):
        unlock(path, b"first")
    assert unlock(path, b"recovery") == VOLUME_KEY

    done(cryptsetup("config", "--label", "other", "--subsystem", "elsewhere", path))
    header = read_header(path)
    assert (header.label, header.subsystem, header.uuid) == ("other", "elsewhere", UUID_1)
    assert tokens.keyslot_names(header.metadata.tokens) == {1: "recovery"}
    assert header.seqid > 3


def test_a_removed_keyslot_has_no_name_any_more(place: Path) -> None:
    path = write_volume(
        place / "volume", sample_volume(("", b"first", PBKDF2), ("other", b"second", PBKDF2))
    )
    done(cryptsetup("luksKillSlot", "--key-file", "-", path, "1", passphrase=b"first"))
    assert tokens.keyslot_names(read_header(path).metadata.tokens) == {}


def test_cryptsetup_repairs_a_damaged_copy_as_we_read_it(place: Path) -> None:
    """Both take the same copy of an older and a newer one."""
    raw = sample_volume()
    header = unpack(raw)
    newer = replace(header, seqid=5, label="newer").pack_copy(Copy.SECONDARY)
    path = write_volume(place / "volume", raw[:16384] + newer + raw[32768:])
    assert unpack(path.read_bytes()[:32768]).label == "newer"
    assert "Label:         \tnewer\n" in done(cryptsetup("luksDump", path))
    # and cryptsetup has made them equal
    assert read_header(path).label == "newer"


def test_neither_takes_a_header_whose_copies_are_both_damaged(place: Path) -> None:
    raw = bytearray(sample_volume())
    raw[5000] ^= 1
    raw[16384 + 5000] ^= 1
    path = write_volume(place / "volume", bytes(raw))
    assert cryptsetup("luksDump", path).returncode == 1
    with pytest.raises(BadLuksHeader):
        unpack(bytes(raw))


@pytest.mark.parametrize(
    "options",
    [
        ("--pbkdf", "argon2id", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "32768"),
        ("--pbkdf", "argon2i", "--pbkdf-force-iterations", "4", "--pbkdf-memory", "32768"),
        QUICK,
        (*QUICK, "--key-size", "256"),
        (*QUICK, "--hash", "sha512"),
        (*QUICK, "--hash", "sha1"),
        (*QUICK, "--sector-size", "512"),
        (*QUICK, "--cipher", "aes-cbc-essiv:sha256", "--key-size", "256", *AS_WE_DO),
        (*QUICK, "--keyslot-cipher", "aes-xts-plain64", "--keyslot-key-size", "256"),
        (*QUICK, "--luks2-metadata-size", "64k", "--luks2-keyslots-size", "1m"),
        (*QUICK, "--luks2-metadata-size", "4m"),
        (*QUICK, "--offset", "16384", "--label", "größe", "--subsystem", "s p a c e"),
        (*QUICK, "--key-slot", "7"),
    ],
    ids=" ".join,
)
def test_we_open_what_cryptsetup_formatted(place: Path, options: tuple[str, ...]) -> None:
    path = place / "volume"
    path.write_bytes(b"")
    os.truncate(path, 32 << 20)
    words = ("luksFormat", "--type", "luks2", *options, "--key-file", "-")
    done(cryptsetup(*words, path, passphrase=b"secret"))
    assert unlock(path, b"secret") == volume_key(path, b"secret")
    with pytest.raises(volume.WrongPassphrase):
        unlock(path, b"wrong")


def formatted(path: Path, *options: str) -> Path:
    path.write_bytes(b"")
    os.truncate(path, 32 << 20)
    words = ("luksFormat", "--type", "luks2", *QUICK, *options, "--key-file", "-")
    done(cryptsetup(*words, path, passphrase=b"secret"))
    return path


def test_a_keyslot_encrypted_otherwise_is_a_clear_error(place: Path) -> None:
    options = ("--keyslot-cipher", "aes-cbc-essiv:sha256", "--keyslot-key-size", "256")
    path = formatted(place / "volume", *options)
    with pytest.raises(UnsupportedLuks, match="aes-cbc-essiv:sha256"):
        unlock(path, b"secret")


def test_an_unbound_key_opens_its_keyslot_but_not_the_volume(place: Path) -> None:
    path = formatted(place / "volume")
    new = place / "new"
    new.write_bytes(b"unbound")
    add = ("luksAddKey", "--unbound", "--key-size", "256", "--key-slot", "3", *QUICK)
    done(cryptsetup(*add, path, new, passphrase=b"unbound"))
    assert [slot.number for slot in read_header(path).metadata.keyslots] == [0, 3]
    with pytest.raises(volume.WrongPassphrase):
        unlock(path, b"unbound")
    assert len(unlock(path, b"secret")) == 64


def test_priorities_and_tokens_of_cryptsetup_are_read(place: Path) -> None:
    path = formatted(place / "volume")
    done(cryptsetup("config", "--priority", "ignore", "--key-slot", "0", path))
    add_token = ("token", "add", "--key-description", "some:key", "--key-slot", "0", path)
    done(cryptsetup(*add_token))
    header = read_header(path)
    assert header.metadata.keyslots[0].priority == 0
    (token,) = header.metadata.tokens
    assert (token.type, dict(token.fields)) == ("luks2-keyring", {"key_description": "some:key"})
    with pytest.raises(volume.WrongPassphrase):
        unlock(path, b"secret")


def test_the_reference_images_pbkdf2_is_understood(place: Path) -> None:
    path = formatted(place / "volume")
    (slot,) = read_header(path).metadata.keyslots
    assert slot.kdf == Pbkdf2("sha256", 1000)
