"""dm-verity from outside: any algorithm, block size and place of the tree; the metadata block."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from synthetic_disk import flip

from kiwilite.inspect.checked import Checked, Scope
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.hashes import check_metadata, check_verity
from kiwilite.inspect.policy import VerityRecord
from kiwilite.inspect.regions import State
from kiwilite.inspect.source import opened
from kiwilite.inspect.table import Partition
from kiwilite.inspect.verdict import FEC
from kiwilite.ondisk import verity, verity_metadata
from kiwilite.trust import rsa_pss

DATA = 300 * 4096
"""More than 128 blocks: the tree has two levels."""
GUIDS = UUID(int=1), UUID(int=2)


def made(
    path: Path, *, algorithm: str = "sha256", block: int = 4096, apart: bool = False
) -> tuple[Partition, Partition, VerityRecord]:
    """A file of two partitions of 4 MiB: data with the tree behind it, or in the second."""
    size = 4 << 20
    path.write_bytes(random.Random(1).randbytes(DATA).ljust(2 * size, b"\0"))
    start = size if apart else DATA
    with path.open("r+b") as out:
        out.seek(start)
        root = verity.write_hash_area(
            path,
            out,
            uuid=UUID(int=3),
            salt=b"salt",
            data_bytes=DATA,
            data_block_size=block,
            hash_block_size=block,
            algorithm=algorithm,
        )
    data = Partition(1, "data", 0, size, UUID(int=9), GUIDS[0], 0)
    other = Partition(2, "hashes", size, 2 * size, UUID(int=9), GUIDS[1], 0)
    hashes = other if apart else data
    offset = 0 if apart else DATA
    record = VerityRecord("root", GUIDS[0], root.hex(), hashes.guid, offset, "/", "squashfs")
    return data, hashes, record


def checked(path: Path, data: Partition, hashes: Partition, record: VerityRecord) -> Checked:
    with opened(path) as disk:
        return check_verity(disk, data, hashes, record, Scope(0, disk.size))


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("algorithm", "block"), [("sha256", 4096), ("sha512", 1024)])
def test_a_sound_device_has_no_finding_and_a_flip_has_one(
    tmp_path: Path, algorithm: str, block: int, apart: bool
) -> None:
    path = tmp_path / "disk"
    data, hashes, record = made(path, algorithm=algorithm, block=block, apart=apart)
    assert checked(path, data, hashes, record).findings == ()
    flip(path, 77 * 4096 + 5)
    (found,) = checked(path, data, hashes, record).findings
    start = (77 * 4096 + 5) // block * block
    assert (found.place.part, found.place.start, found.place.end) == ("data", start, start + block)


def test_a_wrong_leaf_hides_no_other_fault(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    data, hashes, record = made(path)
    leaf = DATA + 4096 + 4096
    flip(path, leaf + 3)
    flip(path, 299 * 4096)
    places = {(f.place.start, f.place.end) for f in checked(path, data, hashes, record).findings}
    assert places == {(leaf, leaf + 4096), (299 * 4096, 300 * 4096)}


def test_a_root_hash_of_another_algorithm_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    data, hashes, record = made(path)
    (found,) = checked(path, data, hashes, replace(record, root_hash="ab" * 64)).findings
    assert "not what the policy" in found.what


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def with_metadata(path: Path, key: rsa.RSAPrivateKey | None) -> tuple[Partition, VerityRecord]:
    """A device with a metadata block in the partition's last 4096 bytes."""
    data, _, record = made(path)
    block = verity_metadata.VerityMetadata(
        "squashfs", 4096, 4096, DATA // 4096, DATA // 4096 + 1, "sha256", record.root_hash,
        b"salt".hex(),
    )  # fmt: skip
    signature = rsa_pss.sign(key, block.signed_part()) if key else b""
    with path.open("r+b") as out:
        out.seek(data.end - 4096)
        out.write(verity_metadata.pack(block, signature))
    return data, replace(record, metadata_offset=data.size - 4096)


def test_a_signed_block_holds_with_the_right_key_only(
    tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    path = tmp_path / "disk"
    data, record = with_metadata(path, key)
    other = rsa.generate_private_key(65537, 2048)
    with opened(path) as disk:
        assert check_metadata(disk, data, data, record, pem(key)).findings == ()
        (wrong,) = check_metadata(disk, data, data, record, pem(other)).findings
        (unchecked,) = check_metadata(disk, data, data, record, None).findings
    assert (wrong.severity, unchecked.severity) == (Severity.ERROR, Severity.NOTE)


@pytest.mark.parametrize("offset", [1, 30, 60, 100, 150, 300, 350])
def test_a_flip_in_the_block_is_found(tmp_path: Path, key: rsa.RSAPrivateKey, offset: int) -> None:
    path = tmp_path / "disk"
    data, record = with_metadata(path, key)
    flip(path, data.end - 4096 + offset)
    with opened(path) as disk:
        assert any(
            f.severity is Severity.ERROR
            for f in check_metadata(disk, data, data, record, pem(key)).findings
        )


def test_a_certificate_for_a_block_without_signature_is_an_error(
    tmp_path: Path, key: rsa.RSAPrivateKey
) -> None:
    path = tmp_path / "disk"
    data, record = with_metadata(path, None)
    with opened(path) as disk:
        assert check_metadata(disk, data, data, record, None).findings == ()
        (found,) = check_metadata(disk, data, data, record, pem(key)).findings
    assert "not signed" in found.what


def test_a_block_that_says_another_root_hash_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    data, record = with_metadata(path, None)
    with opened(path) as disk:
        changed = replace(record, root_hash="00" * 32)
        (found,) = check_metadata(disk, data, data, changed, None).findings
    assert "for the root hash" in found.what


FIELDS = {
    "data_block_size": (512, "data block size"),
    "hash_block_size": (1024, "hash block size"),
    "data_blocks": (DATA // 4096 - 1, "number of data blocks"),
    "hash_start": (2, "start of the tree"),
    "algorithm": ("sha512", "algorithm"),
    "salt": (b"pepper".hex(), "salt"),
    "filesystem": ("erofs", "file system"),
}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("field", [None, *FIELDS])
def test_what_a_block_says_is_compared_with_the_superblock_wherever_the_tree_stands(
    tmp_path: Path, field: str | None, apart: bool
) -> None:
    path = tmp_path / "disk"
    data, hashes, record = made(path, apart=apart)
    start = 1 if apart else DATA // 4096 + 1
    block = verity_metadata.VerityMetadata(
        "squashfs", 4096, 4096, DATA // 4096, start, "sha256", record.root_hash, b"salt".hex()
    )
    if field is not None:
        block = replace(block, **{field: FIELDS[field][0]})  # type: ignore[arg-type]
    with path.open("r+b") as out:
        out.seek(data.end - 4096)
        out.write(verity_metadata.pack(block, b""))
    record = replace(record, metadata_offset=data.size - 4096)
    with opened(path) as disk:
        found = check_metadata(disk, data, hashes, record, None).findings
    words = [] if field is None else [FIELDS[field][1]]
    assert [f.severity for f in found] == [Severity.ERROR] * len(words)
    assert all(f"for the {word}," in f.what for f, word in zip(found, words, strict=True))


@pytest.mark.parametrize("apart", [False, True])
def test_error_correction_data_are_told_to_be_unchecked(tmp_path: Path, apart: bool) -> None:
    path = tmp_path / "disk"
    data, hashes, record = made(path, apart=apart)
    end = data.size - 4096
    record = replace(record, fec=(2 << 20, 2), metadata_offset=end)
    (claim,) = [c for c in checked(path, data, hashes, record).claims if c.by == FEC]
    assert claim.state is State.UNCHECKED
    assert claim.start == hashes.start + (2 << 20)
    assert claim.end == (hashes.end if apart else end)
