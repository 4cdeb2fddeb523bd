"""The encrypted volume: what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import encrypted, findings, place, places, write, write_keys

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.load import load
from kiwilite.description.luks import CIPHERS, OPTIONS, xfs_least
from kiwilite.description.model import Luks
from kiwilite.description.storage import ENCRYPTED_LEAST, XFS_LEAST
from kiwilite.description.values import MIB
from kiwilite.ondisk.encryption import Encryption, UnknownEncryption, encryption
from kiwilite.ondisk.integrity import geometry

GCM = ('name="--cipher" value="aes-gcm-random"', 'name="--integrity" value="aead"')
XTS = ('name="--cipher" value="aes-xts-plain64"', 'name="--integrity" value="hmac-sha256"')
AEGIS = (
    'name="--cipher" value="aegis128-random"',
    'name="--key-size" value="128"',
    'name="--integrity" value="aead"',
)
BUILD = 'provisioning="build"'
KEYSLOT = '<keyslot name="recovery" key="file://recovery"/>'


def said(directory: Path, text: str) -> list[Diagnostic]:
    """What is said beside that the passphrase is in the initrd."""
    write_keys(directory)
    return [d for d in findings(write(directory, text)) if d.code != "KL0602"]


def luks_of(directory: Path, text: str) -> Luks:
    write_keys(directory)
    appliance, _ = load(write(directory, text), arch="x86_64")
    assert appliance.type.overlay is not None
    assert appliance.type.overlay.luks is not None
    return appliance.type.overlay.luks


@pytest.mark.parametrize(
    "text",
    [
        encrypted(),
        encrypted(*GCM),
        encrypted(*XTS, 'name="--key-size" value="256"'),
        encrypted(*AEGIS, 'name="--integrity-no-wipe"'),
        encrypted(*AEGIS, 'name="--sector-size" value="512"', 'name="--iter-time" value="100"'),
        encrypted('name="--pbkdf" value="pbkdf2"', 'name="--hash" value="sha512"'),
        encrypted('name="--pbkdf" value="argon2id"', 'name="--pbkdf-memory" value="65536"',
                  'name="--pbkdf-parallel" value="2"', 'name="--pbkdf-force-iterations" value="4"'),
        encrypted(*GCM, type_attributes=BUILD),
        encrypted('name="--pbkdf" value="argon2i"', type_attributes=BUILD),
        encrypted(type_attributes=f'luks_pbkdf="argon2i" {BUILD}'),
        encrypted(type_attributes=f'{BUILD} luks_fill="full" luks_journal="deferred"'),
        encrypted(*XTS, type_attributes=BUILD, luksformat=KEYSLOT),
    ],
)  # fmt: skip
def test_what_can_be_made_is_silent(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "code", "at", "words"),
    [
        (encrypted('name="--ciper" value="aes-gcm-random"'), "KL0407", 'name="--ciper"',
         "did you mean `--cipher`?"),
        (encrypted(GCM[0], GCM[1].replace("ity", "ty")), "KL0407", 'name="--integrty"',
         "did you mean `--integrity`?"),
        (encrypted('name="-c" value="aes-gcm-random"'), "KL0407", 'name="-c"', "write `--cipher`"),
        (encrypted('name="--header" value="x"'), "KL0407", 'name="--header"', "its options are"),
        (encrypted('name="--volume-key-file" value="x"'), "KL0407", 'name="--vol', "its options"),
        (encrypted(*GCM, GCM[0]), "KL0408", GCM[0] + "/>\n</luks", "already"),
        (encrypted('name="--cipher" value="aes-gcm-plain64"', GCM[1]), "KL0408",
         'value="aes-gcm-plain64"', "it is one of aes-xts-plain64"),
        (encrypted('name="--cipher"', GCM[1]), "KL0408", '<option name="--cipher"', "it is one"),
        (encrypted(GCM[0]), "KL0409", 'value="aes-gcm', 'name="--integrity" value="aead"'),
        (encrypted(GCM[1]), "KL0409", 'name="--integrity"', "needs the `--cipher`"),
        (encrypted('name="--key-size" value="128"'), "KL0409", 'name="--key', "needs the `--ciph"),
        (encrypted(GCM[0], XTS[1]), "KL0409", 'value="hmac', "does not go with aes-gcm-random"),
        (encrypted(XTS[0], GCM[1]), "KL0409", 'value="aead', "does not go with aes-xts-plain64"),
        (encrypted(AEGIS[0], AEGIS[2], 'name="--key-size" value="256"'), "KL0408", 'value="256"',
         "has 128 bits, not 256"),
        (encrypted(*GCM, 'name="--key-size" value="512"'), "KL0408", 'value="512"', "256 or 128"),
        (encrypted(*GCM, 'name="--key-size" value="100"'), "KL0408", 'value="100"', "one of 128"),
        (encrypted(*XTS, 'name="--sector-size" value="1024"'), "KL0408", 'value="1024"', "4096"),
        (encrypted(*GCM, 'name="--sector-size" value="512"',
                   type_attributes='target_blocksize="4096"'),
         "KL0408", 'value="512"', "not possible on a disk with 4096"),
        (encrypted('name="--pbkdf-memory" value="31"'), "KL0408", 'value="31"', "from 32 to"),
        (encrypted('name="--pbkdf-memory" value="4194305"'), "KL0408", 'value="4', "to 4194304"),
        (encrypted('name="--pbkdf-memory" value="64M"'), "KL0408", 'value="64M"', "a number"),
        (encrypted('name="--pbkdf-parallel" value="5"'), "KL0408", 'value="5"', "from 1 to 4"),
        (encrypted('name="--pbkdf" value="pbkdf2"', 'name="--pbkdf-force-iterations" value="999"'),
         "KL0408", 'value="999"', "1000 iterations or more"),
        (encrypted('name="--pbkdf-force-iterations" value="3"'), "KL0408", 'value="3"', "from 4"),
        (encrypted('name="--pbkdf-force-iterations" value="9"', 'name="--iter-time" value="9"'),
         "KL0408", 'name="--iter-time"', "exclude each other"),
        (encrypted('name="--integrity-no-wipe" value="yes"'), "KL0408", 'value="yes"', "no value"),
        (encrypted('name="--pbkdf" value="argon2id"', type_attributes='luks_pbkdf="pbkdf2"'),
         "KL0204", 'value="argon2id"', "`luks_pbkdf` is `pbkdf2`"),
        (encrypted(luksformat=" "), "KL0104", "<luksformat>", "needs an `<option>`"),
        (encrypted(luksformat=KEYSLOT), "KL0410", "<keyslot", 'provisioning="build"'),
        (encrypted(luksformat=KEYSLOT.replace("://recovery", "://none"), type_attributes=BUILD),
         "KL0301", "key=\"file://none", "does not exist"),
        (encrypted(luksformat=KEYSLOT * 2, type_attributes=BUILD), "KL0408",
         KEYSLOT.split()[1], "already"),
        (encrypted(*AEGIS, type_attributes=BUILD), "KL0410", 'value="aegis128',
         "aes-xts-plain64 with hmac-sha256, or aes-gcm-random with aead"),
        (encrypted('name="--hash" value="sha512"', type_attributes=BUILD), "KL0410",
         'name="--hash"', "at build time"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_an_error_at_its_place(
    tmp_path: Path, text: str, code: str, at: str, words: str
) -> None:
    (found,) = said(tmp_path, text)
    occurrence = 2 if text.count(KEYSLOT) == 2 else 1
    assert places([found]) == [("error", code, *place(text, at, occurrence))]
    assert words in f"{found.message}\n{found.hint}"


def test_only_so_many_keyslots_have_room(tmp_path: Path) -> None:
    slots = "\n".join(KEYSLOT.replace('"recovery"', f'"slot{n}"', 1) for n in range(32))
    text = encrypted(luksformat=slots, type_attributes=BUILD)
    (found,) = said(tmp_path, text)
    line, column = place(text, '<keyslot name="slot31"')
    assert places([found]) == [("error", "KL0408", line, column)]


@pytest.mark.parametrize("attribute", ["luks_fill", "luks_journal"])
@pytest.mark.parametrize("provisioning", ["", 'provisioning="firstboot"'])
def test_how_a_build_fills_a_volume_means_nothing_to_a_device_that_makes_its_own(
    tmp_path: Path, attribute: str, provisioning: str
) -> None:
    value = {"luks_fill": "full", "luks_journal": "deferred"}[attribute]
    text = encrypted(type_attributes=f'{provisioning} {attribute}="{value}"')
    assert places(said(tmp_path, text)) == [("warning", "KL0410", *place(text, attribute))]


@pytest.mark.parametrize(
    ("kib", "machine", "fits"),
    [
        (1048576, 'memory="1024"', False),
        (1048575, 'memory="1024"', True),
        (2097152, 'memory="1024"', False),
        (2097152, 'max_memory="1024"', False),
        (2097152, 'memory="4096" max_memory="1024"', True),
        (2097152, "", True),
    ],
)
def test_argon2_needs_less_memory_than_the_machine_has(
    tmp_path: Path, kib: int, machine: str, fits: bool
) -> None:
    text = encrypted(
        'name="--pbkdf" value="argon2id"',
        f'name="--pbkdf-memory" value="{kib}"',
        type_children=f"<machine {machine}/>",
    )
    found = said(tmp_path, text)
    where = place(text, f'value="{kib}"')
    assert places(found) == ([] if fits else [("warning", "KL0411", *where)])


def test_the_memory_of_pbkdf2_is_no_matter(tmp_path: Path) -> None:
    text = encrypted(
        'name="--pbkdf" value="pbkdf2"',
        'name="--pbkdf-memory" value="2097152"',
        type_children='<machine memory="1024"/>',
    )
    assert said(tmp_path, text) == []


def test_luks_without_a_partition_to_encrypt_is_an_error(tmp_path: Path) -> None:
    text = encrypted().replace(
        'overlayroot="true"', 'overlayroot="true" overlayroot_write_partition="false"'
    )
    assert places(said(tmp_path, text)) == [("error", "KL0702", *place(text, "luks="))]


def test_a_volume_is_made_at_the_first_boot_and_sparsely_unless_it_says_otherwise(
    tmp_path: Path,
) -> None:
    luks = luks_of(tmp_path, encrypted())
    assert (luks.provisioning, luks.fill, luks.journal) == ("firstboot", "sparse", "written")
    assert luks.keyslots == ()


def test_a_volume_of_the_build_with_a_recovery_key(tmp_path: Path) -> None:
    slots = KEYSLOT + '<keyslot name="service" key="file://recovery" pbkdf="pbkdf2"/>'
    attributes = f'{BUILD} luks_fill="full" luks_journal="deferred"'
    text = encrypted(*XTS, luksformat=slots, type_attributes=attributes)
    luks = luks_of(tmp_path, text)
    assert (luks.provisioning, luks.fill, luks.journal) == ("build", "full", "deferred")
    assert [(k.name, k.key, k.pbkdf) for k in luks.keyslots] == [
        ("recovery", "file://recovery", "argon2id"),
        ("service", "file://recovery", "pbkdf2"),
    ]
    assert (luks.keyslots[1].span.line, luks.keyslots[1].span.column) == place(
        text, '<keyslot name="service"'
    )
    assert luks.options == (("--cipher", "aes-xts-plain64"), ("--integrity", "hmac-sha256"))


def known(name: str, bits: int) -> Encryption | None:
    try:
        return encryption(name, CIPHERS[name].integrity, 4096, key_bits=bits)
    except UnknownEncryption:
        return None


@pytest.mark.parametrize("name", CIPHERS)
def test_the_language_and_the_codec_know_the_same_ciphers(name: str) -> None:
    cipher = CIPHERS[name]
    sizes = [int(bits) for bits in OPTIONS["--key-size"].values]
    assert {bits for bits in sizes if known(name, bits)} == set(cipher.key_sizes)
    default = encryption(name, cipher.integrity, 4096)
    assert default == known(name, cipher.key_sizes[0])
    assert default.offline == cipher.at_build


@pytest.mark.parametrize("name", CIPHERS)
@pytest.mark.parametrize("sector_size", [512, 4096])
def test_the_least_partition_has_room_for_an_xfs_and_a_smaller_one_has_not(
    name: str, sector_size: int
) -> None:
    found = encryption(name, CIPHERS[name].integrity, sector_size)
    options = {"--cipher": name, "--sector-size": str(sector_size)}
    least = xfs_least(options, "firstboot")
    assert geometry(least, found).provided_bytes >= XFS_LEAST
    assert geometry(least - MIB, found).provided_bytes < XFS_LEAST


@pytest.mark.parametrize("name", CIPHERS)
@pytest.mark.parametrize("sector_size", [512, 4096])
def test_the_least_encrypted_partition_has_room_for_a_small_ext4(
    name: str, sector_size: int
) -> None:
    found = encryption(name, CIPHERS[name].integrity, sector_size)
    assert 6 * MIB <= geometry(ENCRYPTED_LEAST, found).provided_bytes <= 8 * MIB


def test_the_room_for_an_xfs_is_that_of_the_cipher_it_gets() -> None:
    assert xfs_least({}, "firstboot") == xfs_least({}, "build") == 321 * MIB
    assert xfs_least({"--sector-size": "512"}, "build") == 338 * MIB


@pytest.mark.parametrize("size", OPTIONS["--sector-size"].values)
def test_the_language_and_the_codec_know_the_same_sector_sizes(size: str) -> None:
    assert encryption("aes-gcm-random", "aead", int(size)).sector_size == int(size)
