"""A volume made offline: its zones, its secrets, and the file system back out of it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.build import luks_volume as made
from kiwilite.build.job import Job
from kiwilite.build.luks_volume import BLOCK, Fill, Journal, VolumeIdentity, write_volume
from kiwilite.build.passphrase import passphrase_bytes
from kiwilite.description.luks import xfs_least
from kiwilite.ondisk.encryption import Encryption, encryption, encryption_of_segment
from kiwilite.ondisk.integrity import (
    FLAG_DIRTY_BITMAP,
    SECTOR,
    IntegritySuperblock,
    fresh_section,
    geometry_of,
)
from kiwilite.ondisk.luks2 import volume as luks2
from kiwilite.ondisk.luks2.header import LuksHeader, unpack
from kiwilite.ondisk.luks2.kdf import Argon2, Kdf, Pbkdf2
from kiwilite.ondisk.luks2.tokens import keyslot_names, written_extents
from kiwilite.ondisk.luks2.volume import WrongPassphrase, unlock
from kiwilite.ondisk.payload import Extent, Found, Payload, check_area, decrypt_area
from kiwilite.ondisk.sectors import UNWRITTEN, sector_cipher
from kiwilite.ondisk.xfs import XfsSuperblock
from kiwilite.parallel import in_parallel
from kiwilite.plan.references import Source

MIB = 1 << 20
SIZE = 400 * MIB
PHRASE, RECOVERY = b"insecure", b"in case of need"
FAST = Pbkdf2("sha256", 1000)
WHO = VolumeIdentity(
    UUID("11111111-2222-4333-8444-000000000009"), UUID("abcdef01-2345-4678-9abc-def012345678")
)
GCM = encryption("aes-gcm-random", "aead", 4096)
GCM_512 = encryption("aes-gcm-random", "aead", 512)
XTS = encryption("aes-xts-plain64", "hmac-sha256", 4096)
XTS_512 = encryption("aes-xts-plain64", "hmac-sha256", 512)


@dataclass(frozen=True, slots=True)
class Opened:
    """A volume, read as from the outside: by its own headers and a passphrase."""

    image: Path
    header: LuksHeader
    superblock: IntegritySuperblock
    payload: Payload

    def read(self, offset: int, length: int) -> bytes:
        with self.image.open("rb") as stream:
            stream.seek(offset)
            return stream.read(length)

    def not_good(self) -> list[Found]:
        areas = in_parallel(lambda n: check_area(self.payload, n, self.read), self.payload.areas)
        return [found for area in areas for found in area]

    def decrypted(self, target: Path) -> Path:
        with target.open("wb") as stream:
            stream.truncate(self.payload.geometry.provided_bytes)
            fd = stream.fileno()
            for number in self.payload.areas:
                decrypt_area(
                    self.payload, number, self.read, lambda at, data: os.pwrite(fd, data, at)
                )
        return target


def open_volume(image: Path, phrase: bytes) -> Opened:
    with image.open("rb") as stream:
        start = stream.read(17 * MIB)
    header = unpack(start)
    key = unlock(header, lambda at, n: start[at : at + n], phrase)
    (segment,) = header.metadata.segments
    assert segment.integrity is not None
    kind = encryption_of_segment(
        segment.encryption, segment.integrity.type, segment.sector_size, len(key)
    )
    superblock = IntegritySuperblock.unpack(start[segment.offset : segment.offset + 4096])
    place = geometry_of(superblock, segment_offset=segment.offset)
    return Opened(image, header, superblock, Payload(place, sector_cipher(kind, key)))


def make_filesystem(path: Path, size: int, sector: int) -> Path:
    with path.open("wb") as stream:
        stream.truncate(size)
    subprocess.run(
        ["mkfs.xfs", "-q", "-f", "-s", f"size={sector}", "--unsupported", "-l", "size=16m", path],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    return path


def make_volume(
    folder: Path, kind: Encryption, *, fill: Fill = "sparse", journal: Journal = "written"
) -> tuple[Path, Path]:
    """(volume, file system)"""
    inner = made.geometry_for(SIZE, kind, journal).provided_bytes
    filesystem = make_filesystem(folder / "filesystem", inner, kind.sector_size)
    image = folder / "image"
    keys: list[tuple[str, bytes, Kdf]] = [
        ("", PHRASE, FAST),
        ("recovery", RECOVERY, Argon2("argon2id", 4, 1024, 1)),
    ]
    write_volume(image, SIZE, filesystem, kind, keys, WHO, fill=fill, journal=journal)
    return image, filesystem


@pytest.fixture(
    scope="module", params=[GCM, GCM_512, XTS], ids=lambda k: f"{k.cipher}-{k.sector_size}"
)
def sparse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    return make_volume(tmp_path_factory.mktemp("sparse"), request.param)


def same(one: Path, other: Path) -> bool:
    return subprocess.run(["cmp", "-s", one, other], check=False).returncode == 0


def test_a_sparse_volume_reads_back_equal_and_its_file_system_is_clean(
    sparse: tuple[Path, Path], tmp_path: Path
) -> None:
    image, filesystem = sparse
    back = open_volume(image, PHRASE).decrypted(tmp_path / "back")
    assert same(back, filesystem)
    subprocess.run(["xfs_repair", "-n", "-f", back], check=True, capture_output=True)


def test_the_token_names_exactly_what_is_written(sparse: tuple[Path, Path]) -> None:
    volume = open_volume(sparse[0], PHRASE)
    extents = written_extents(volume.header.metadata.tokens)
    assert extents
    holes = volume.not_good()
    assert {found.state for found in holes} == {UNWRITTEN}
    end, expected = volume.payload.geometry.provided_bytes, []
    at = 0
    for first, count in [*extents, (end // BLOCK, 0)]:
        if first * BLOCK > at:
            expected.append(Extent(at, first * BLOCK - at))
        at = (first + count) * BLOCK
    # check_area reports area by area
    assert sum(f.extent.length for f in holes) == sum(e.length for e in expected)
    assert {f.extent.start for f in holes} >= {e.start for e in expected}


def test_all_that_tools_read_of_an_empty_file_system_is_written(
    sparse: tuple[Path, Path],
) -> None:
    image, filesystem = sparse
    volume = open_volume(image, PHRASE)
    xfs = XfsSuperblock.unpack(filesystem.read_bytes()[:512])
    end = volume.payload.geometry.provided_bytes
    zones = [Extent(*xfs.log_extent()), Extent(0, 4 * MIB + 65536), Extent(end - 2 * MIB, 2 * MIB)]
    zones += [Extent(start, 131072) for start in xfs.group_starts()]
    assert len(zones) >= 5
    holes = volume.not_good()
    for zone in zones:
        for found in holes:
            assert not (found.extent.start < zone.end and zone.start < found.extent.end), (
                f"{zone} is not written: {found}"
            )


def test_a_sparse_volume_takes_little_room(sparse: tuple[Path, Path]) -> None:
    image, _ = sparse
    assert image.stat().st_size == SIZE
    assert image.stat().st_blocks * 512 < 32_000_000


def test_the_header_says_that_there_are_holes_and_both_keys_open_it(
    sparse: tuple[Path, Path],
) -> None:
    image, _ = sparse
    volume = open_volume(image, RECOVERY)
    assert volume.header.subsystem == "kiwilite-sparse"
    assert volume.header.label == str(WHO.volume_id)
    assert volume.header.uuid == WHO.uuid
    assert keyslot_names(volume.header.metadata.tokens) == {1: "recovery"}
    with pytest.raises(WrongPassphrase):
        open_volume(image, b"something else")


def test_cryptsetup_opens_it_with_both_keys(sparse: tuple[Path, Path]) -> None:
    for phrase in (PHRASE, RECOVERY):
        subprocess.run(
            ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", sparse[0]],
            input=phrase,
            check=True,
        )


@pytest.mark.parametrize("kind", [GCM, XTS], ids=lambda k: k.cipher)
def test_a_full_volume_has_no_unwritten_sector(tmp_path: Path, kind: Encryption) -> None:
    image, filesystem = make_volume(tmp_path, kind, fill="full")
    volume = open_volume(image, PHRASE)
    assert volume.not_good() == []
    assert volume.header.subsystem == "kiwilite-sparse"
    blocks = volume.payload.geometry.provided_bytes // BLOCK
    assert written_extents(volume.header.metadata.tokens) == ((0, blocks),)
    assert same(volume.decrypted(tmp_path / "back"), filesystem)


def test_a_written_journal_is_a_fresh_one_and_a_deferred_one_is_a_hole(tmp_path: Path) -> None:
    journals: tuple[Journal, ...] = ("written", "deferred")
    for journal in journals:
        folder = tmp_path / journal
        folder.mkdir()
        image, _ = make_volume(folder, XTS, journal=journal)
        volume = open_volume(image, PHRASE)
        place, start = volume.payload.geometry, volume.payload.geometry.segment * SECTOR + 4096
        stored = volume.read(start, place.journal_bytes)
        assert 0 < place.journal_bytes <= 4 * MIB
        if journal == "deferred":
            assert not any(stored)
            assert volume.superblock.flags & FLAG_DIRTY_BITMAP
            # the kernel crashes where this is not its own result
            assert volume.superblock.log2_bitmap_blocks == place.log2_bitmap_blocks()
        else:
            sections = (fresh_section(place, n) for n in range(place.journal_sections))
            assert stored == b"".join(sections)
            assert not volume.superblock.flags & FLAG_DIRTY_BITMAP


def test_a_large_volume_has_a_small_journal_unless_the_kernel_makes_it() -> None:
    assert made.geometry_for(3072 * MIB, XTS, "written").journal_bytes <= 4 * MIB
    assert made.geometry_for(3072 * MIB, XTS, "deferred").journal_bytes > 20 * MIB


def test_two_volumes_of_the_same_description_have_different_keys(tmp_path: Path) -> None:
    images = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        images.append(make_volume(tmp_path / name, XTS)[0])
    first, second = (open_volume(image, PHRASE) for image in images)
    at = first.payload.geometry.data_sector(0) * SECTOR
    assert first.read(at, 4096) != second.read(at, 4096)


def test_one_flipped_bit_is_found_in_its_sector(sparse: tuple[Path, Path], tmp_path: Path) -> None:
    image = tmp_path / "image"
    subprocess.run(["cp", "--sparse=always", sparse[0], image], check=True)
    volume = open_volume(image, PHRASE)
    size = volume.payload.cipher.encryption.sector_size
    before = volume.not_good()
    at = volume.payload.geometry.data_sector(size // SECTOR) * SECTOR + size - 1
    with image.open("r+b") as stream:
        stream.seek(at)
        byte = stream.read(1)[0]
        stream.seek(at)
        stream.write(bytes([byte ^ 128]))
    new = [found for found in volume.not_good() if found not in before]
    assert [found.extent for found in new] == [Extent(size, size)]


@pytest.mark.parametrize(
    "kind", [GCM, GCM_512, XTS, XTS_512], ids=lambda k: f"{k.cipher}-{k.sector_size}"
)
def test_the_description_s_least_partition_is_the_least_that_xfs_fits_in(kind: Encryption) -> None:
    options = {"--cipher": kind.cipher, "--sector-size": str(kind.sector_size)}
    least = xfs_least(options, "build")
    assert made.geometry_for(least, kind, "written").provided_bytes >= 300 * MIB
    assert made.geometry_for(least, kind, "deferred").provided_bytes >= 300 * MIB
    assert made.geometry_for(least - 2 * MIB, kind, "written").provided_bytes < 300 * MIB


@pytest.mark.parametrize(
    ("content", "by_key_file", "by_passphrase"),
    [
        (b"a secret\n", False, True),
        (b"a secret", True, True),
        (b"\x00binary\n\xff", True, False),
    ],
    ids=["a line of text", "no line end", "bytes"],
)
def test_a_key_opens_with_cryptsetup_as_the_manual_says(
    tmp_path: Path, content: bytes, by_key_file: bool, by_passphrase: bool
) -> None:
    """By --key-file where the file does not end in a line end, typed in where it is text."""
    file = tmp_path / "secret"
    file.write_bytes(content)
    job = Job("", tmp_path, tmp_path, tmp_path / "log", {}, {str(file): file}, tmp_path, {})
    phrase = passphrase_bytes(Source(file), job)
    header = tmp_path / "header"
    raw = luks2.create(
        GCM,
        bytes(range(32)),
        [("", phrase, FAST)],
        uuid=WHO.uuid,
        label="",
        subsystem="",
        randomness=os.urandom,
    )
    header.write_bytes(raw.ljust(17 * MIB, b"\0"))

    def opens(*words: str | Path, typed: bytes = b"") -> bool:
        command = ["cryptsetup", "open", "--test-passphrase", *words, header]
        return (
            subprocess.run(command, input=typed, capture_output=True, check=False).returncode == 0
        )

    assert opens("--key-file", file) is by_key_file
    assert opens(typed=content.removesuffix(b"\n") + b"\n") is by_passphrase
    typed_file = tmp_path / "typed"
    typed_file.write_bytes(phrase)
    assert opens("--key-file", typed_file)
