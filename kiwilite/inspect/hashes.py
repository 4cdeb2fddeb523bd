"""dm-verity from the outside: every block against the root hash, on two processors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from kiwilite.inspect.checked import Checked, Scope, joined, runs, spread
from kiwilite.inspect.findings import Finding, error, note
from kiwilite.inspect.policy import VerityRecord
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition
from kiwilite.inspect.verdict import FEC
from kiwilite.ondisk import verity, verity_metadata
from kiwilite.trust import rsa_pss

BY: Final = "dm-verity"
_BATCH: Final = 16 << 20
_READ: Final = 256 << 10
"""Read at a time: what was read is hashed while the processor's cache still has it."""
_ANEW: Final = "build or flash the image anew: the kernel refuses to read these blocks"


class _Batch(NamedTuple):
    """Data blocks to check, one behind the other; `digests` are what they should have."""

    disk: Disk
    superblock: verity.VeritySuperblock
    start: int
    first: int
    digests: tuple[bytes, ...]


def check_verity(
    disk: Disk, data: Partition, hashes: Partition, record: VerityRecord, scope: Scope
) -> Checked:
    """Superblock, tree and data of one device."""
    at = record.hash_offset
    try:
        superblock = verity.VeritySuperblock.unpack(
            disk.read(hashes.start + at, verity.SUPERBLOCK_SIZE)
        )
        shape = verity.TreeShape(superblock)
        _check_sizes(data, hashes, at, shape)
        _check_root(superblock, record)
    except verity.BadSuperblock as problem:
        place = hashes.place(at, at + verity.SUPERBLOCK_SIZE)
        return Checked((error(place, problem.message, _ANEW),))
    root = bytes.fromhex(record.root_hash)
    tree = _Tree(disk, hashes, at + superblock.hash_block_size, shape)
    digests, findings = _descend(tree, root)
    bad, jobs = _check_data(disk, data, tree, digests, scope)
    findings += [
        error(
            data.place(a * superblock.data_block_size, b * superblock.data_block_size),
            f"{_blocks(b - a)} of {record.mapping} do not have the digest in the hash tree"
            f" (data block {a})",
            _ANEW,
        )
        for a, b in runs(bad)
    ]
    claims = (*_claims(data, tree, jobs), *_parity(hashes, record))
    return joined([Checked(tuple(findings), claims), _padding(tree)])


def _blocks(count: int) -> str:
    return "1 block" if count == 1 else f"{count} blocks"


def _check_sizes(data: Partition, hashes: Partition, at: int, shape: verity.TreeShape) -> None:
    sb = shape.superblock
    if at % sb.hash_block_size:
        raise verity.BadSuperblock("hash block size", f"does not divide the offset {at}")
    if at + shape.hash_area_bytes > hashes.size:
        raise verity.BadSuperblock("data blocks", "the tree would end behind the partition")
    limit = at if hashes is data else data.size
    if sb.data_blocks * sb.data_block_size > limit:
        raise verity.BadSuperblock("data blocks", "are more than there is room for")


def _check_root(superblock: verity.VeritySuperblock, record: VerityRecord) -> None:
    if len(verity.digester(superblock)(b"")) != len(record.root_hash) // 2:
        message = f"{superblock.algorithm} is not what the policy's root hash was made with"
        raise verity.BadSuperblock("hash algorithm", message)


class _Tree(NamedTuple):
    """A hash tree; `at` is the tree's first byte within its partition."""

    disk: Disk
    hashes: Partition
    at: int
    shape: verity.TreeShape

    def offset(self, height: int, index: int) -> int:
        """Where a hash block stands, from the partition's start; leaves have height 0."""
        number = self.shape.levels[height].first_block + index
        return self.at + number * self.shape.superblock.hash_block_size


Digests = list[tuple[bytes, ...] | None]


def _descend(tree: _Tree, root: bytes) -> tuple[Digests, list[Finding]]:
    """The digests in each leaf block (None where the tree above is damaged), and what is wrong."""
    shape = tree.shape
    size, fan_out = shape.superblock.hash_block_size, shape.digests_per_block
    digest = verity.digester(shape.superblock)
    findings: list[Finding] = []
    expected: list[bytes | None] = [root]
    if not shape.levels:
        return [(root,)], findings
    for height in range(len(shape.levels) - 1, -1, -1):
        below = shape.levels[height - 1].blocks if height else shape.superblock.data_blocks
        raw = tree.disk.read(
            tree.hashes.start + tree.offset(height, 0), shape.levels[height].blocks * size
        )
        here: Digests = []
        for index, wanted in enumerate(expected):
            block = raw[index * size : (index + 1) * size]
            if wanted is not None and digest(block) != wanted:
                at = tree.offset(height, index)
                what = "a block of the hash tree does not have the digest above it"
                if height == len(shape.levels) - 1:
                    what = "the top of the hash tree does not have the root hash of the policy"
                found = error(tree.hashes.place(at, at + size), what, _ANEW)
                # A salt that is wrong spoils every digest.
                superblock = tree.hashes.place(tree.at - size, tree.at)
                findings.append(replace(found, also=(superblock,)))
                wanted = None  # noqa: PLW2901
            count = min(fan_out, below - index * fan_out)
            here.append(None if wanted is None else _digests(block, shape, len(root), count))
        if height == 0:
            return here, findings
        expected = [d for group in _filled(here, fan_out, below) for d in group]
    raise AssertionError("a tree ends with its leaves")


def _digests(block: bytes, shape: verity.TreeShape, size: int, count: int) -> tuple[bytes, ...]:
    step = shape.digest_distance
    return tuple(block[n * step : n * step + size] for n in range(count))


def _filled(groups: Digests, fan_out: int, below: int) -> Iterator[tuple[bytes | None, ...]]:
    for index, group in enumerate(groups):
        count = min(fan_out, below - index * fan_out)
        yield (None,) * count if group is None else group


def _check_data(
    disk: Disk, data: Partition, tree: _Tree, digests: Digests, scope: Scope
) -> tuple[list[int], list[_Batch]]:
    """Numbers of the bad data blocks, and what was looked at."""
    sb = tree.shape.superblock
    jobs: list[_Batch] = []
    for index, group in enumerate(digests):
        first = index * tree.shape.digests_per_block
        start = data.start + first * sb.data_block_size
        if group is None or not scope.touches(start, start + len(group) * sb.data_block_size):
            continue
        last = jobs[-1] if jobs else None
        if (
            last
            and last.first + len(last.digests) == first
            and (len(last.digests) * sb.data_block_size < _BATCH)
        ):
            jobs[-1] = last._replace(digests=last.digests + group)
        else:
            jobs.append(_Batch(disk, sb, data.start, first, group))
    size = sum(len(job.digests) for job in jobs) * sb.data_block_size
    return [number for answer in spread(_bad_blocks, jobs, size) for number in answer], jobs


def _bad_blocks(job: _Batch) -> list[int]:
    """Numbers of the blocks of a batch that do not have their digest."""
    size = job.superblock.data_block_size
    step = max(1, _READ // size)
    digest = verity.digester(job.superblock)
    bad: list[int] = []
    for first in range(job.first, job.first + len(job.digests), step):
        wanted = job.digests[first - job.first : first - job.first + step]
        raw = memoryview(job.disk.read(job.start + first * size, len(wanted) * size))
        found = (digest(raw[at : at + size]) for at in range(0, len(wanted) * size, size))
        pairs = enumerate(zip(found, wanted, strict=True), first)
        bad += [number for number, (one, other) in pairs if one != other]
    return bad


def _claims(data: Partition, tree: _Tree, jobs: list[_Batch]) -> Iterator[Region]:
    sb = tree.shape.superblock
    for job in jobs:
        start = job.start + job.first * sb.data_block_size
        end = start + len(job.digests) * sb.data_block_size
        yield Region(start, end, State.CHECKED, data.name, BY)
    start = tree.hashes.start + tree.at
    yield Region(start, start + tree.shape.tree_bytes, State.CHECKED, tree.hashes.name, BY)


def _parity(hashes: Partition, record: VerityRecord) -> Iterator[Region]:
    """Error correction data: up to the metadata block, or the partition's end."""
    if record.fec is None:
        return
    end = hashes.end
    if record.metadata_offset is not None and record.partuuid == record.hash_partuuid:
        end = hashes.start + record.metadata_offset
    yield Region(hashes.start + record.fec[0], end, State.UNCHECKED, hashes.name, FEC)


def _padding(tree: _Tree) -> Checked:
    """The rest of the superblock's block must be zero; the tree's own padding has digests."""
    size = tree.shape.superblock.hash_block_size
    start, end = tree.at - size + verity.SUPERBLOCK_SIZE, tree.at
    place = tree.hashes.place(start, end)
    claim = Region(place.start, place.end, State.CHECKED, place.part, "zeros")
    raw = tree.disk.read(place.start, end - start)
    # Blocks of 512 bytes have no rest.
    if raw.strip(b"\0"):
        return Checked((error(place, "something stands behind the verity superblock"),), (claim,))
    return Checked((), (claim,))


def check_metadata(
    disk: Disk,
    data: Partition,
    hashes: Partition,
    record: VerityRecord,
    certificate: bytes | None,
) -> Checked:
    """KIWI's metadata block says what the policy and the superblock say; its signature holds."""
    assert record.metadata_offset is not None
    at = record.metadata_offset
    place = data.place(at, at + verity_metadata.METADATA_BYTES)
    try:
        block = verity_metadata.unpack(disk.read(place.start, verity_metadata.METADATA_BYTES))
    except verity_metadata.BadVerityMetadata as problem:
        return Checked((error(place, problem.message, _ANEW),))
    findings = [
        error(place, f"the metadata block says {said} for the {name}, the image has {is_so}", _ANEW)
        for name, said, is_so in _told(disk, hashes, record, block.metadata)
        if said != is_so
    ]
    signed = place.start, place.start + len(block.signed_part)
    claims = [Region(*signed, State.CHECKED, data.name, "metadata against the policy")]
    if certificate is not None and block.has_signature:
        claims = [Region(place.start, place.end, State.CHECKED, data.name, "metadata signature")]
        key = rsa_pss.load_public_key(certificate, where="--metadata-cert")
        try:
            signature = block.signature((key.key_size + 7) // 8)
            rsa_pss.verify(key, block.signed_part, signature)
        except (rsa_pss.BadSignature, verity_metadata.BadVerityMetadata) as problem:
            findings.append(error(place, problem.message, "is it the right certificate?"))
    elif certificate is not None:
        findings.append(error(place, "the metadata block is not signed"))
    elif block.has_signature:
        findings.append(
            note(place, "the metadata block's signature was not checked", "--metadata-cert")
        )
    return Checked(tuple(findings), tuple(claims))


def _told(
    disk: Disk, hashes: Partition, record: VerityRecord, block: verity_metadata.VerityMetadata
) -> Iterator[tuple[str, object, object]]:
    """What a metadata block says, with what policy and superblock say of the same."""
    yield "root hash", block.root_hash, record.root_hash
    yield "file system", block.filesystem, record.filesystem
    raw = disk.read(hashes.start + record.hash_offset, verity.SUPERBLOCK_SIZE)
    try:
        superblock = verity.VeritySuperblock.unpack(raw)
    except verity.BadSuperblock:
        return  # its own check says so
    yield "algorithm", block.algorithm, superblock.algorithm
    yield "salt", block.salt, superblock.salt.hex()
    yield "data block size", block.data_block_size, superblock.data_block_size
    yield "hash block size", block.hash_block_size, superblock.hash_block_size
    yield "number of data blocks", block.data_blocks, superblock.data_blocks
    tree = record.hash_offset // superblock.hash_block_size + 1
    yield "start of the tree", block.hash_start, tree
