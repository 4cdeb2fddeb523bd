"""What is in an image, as plain values: for a picture of it, and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kiwilite.errors import KiwiliteError
from kiwilite.inspect import volume
from kiwilite.inspect.allocation import allocation
from kiwilite.inspect.bootimage import BootImage
from kiwilite.inspect.bootrecord import entries_of, type_name
from kiwilite.inspect.content import (
    BiosBoot,
    Content,
    Ext4,
    FatVolume,
    HashTree,
    Luks,
    Mark,
    Squashfs,
    Unknown,
    Xfs,
    Zeros,
)
from kiwilite.inspect.look import Seen
from kiwilite.inspect.policy import VerityRecord
from kiwilite.inspect.regions import State
from kiwilite.inspect.table import Partition
from kiwilite.ondisk import gpt, mbr, verity
from kiwilite.ondisk.luks2 import tokens
from kiwilite.ondisk.luks2.kdf import Pbkdf2

_TYPES: Final = {
    gpt.BIOS_BOOT: "BIOS boot",
    gpt.ESP: "EFI system",
    gpt.XBOOTLDR: "boot loader",
    gpt.LINUX_FILESYSTEM: "Linux data",
    gpt.LINUX_SWAP: "Linux swap",
    gpt.LINUX_LUKS: "Linux LUKS",
    gpt.LINUX_LVM: "Linux LVM",
    gpt.LINUX_RAID: "Linux RAID",
    gpt.ROOT_X86_64: "root x86-64",
    gpt.ROOT_X86_64_VERITY: "root verity x86-64",
    gpt.ROOT_X86_64_VERITY_SIG: "root signature x86-64",
    gpt.ROOT_ARM64: "root arm64",
    gpt.ROOT_ARM64_VERITY: "root verity arm64",
    gpt.USR_X86_64: "usr x86-64",
    gpt.USR_X86_64_VERITY: "usr verity x86-64",
    gpt.HOME: "home",
    gpt.SRV: "srv",
    gpt.VAR: "var",
    gpt.TMP: "tmp",
}


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """A partition; sizes in bytes, `kind` one word for the content, `words` for people."""

    number: int
    name: str
    start: int
    size: int
    type: str
    type_guid: str
    partuuid: str
    attributes: int
    kind: str
    words: str
    uuid: str


@dataclass(frozen=True, slots=True)
class BootRecordFacts:
    """An entry of the MBR, in sectors of the disk."""

    number: int
    type: str
    first_lba: int
    sectors: int
    active: bool
    partition: str


@dataclass(frozen=True, slots=True)
class ProfileFacts:
    """A boot entry."""

    id: str
    title: str
    cmdline: str


@dataclass(frozen=True, slots=True)
class UkiFacts:
    """A unified kernel image."""

    partition: str
    path: str
    size: int
    os: str
    kernel: str
    signed: bool
    sections: tuple[tuple[str, int], ...]
    profiles: tuple[ProfileFacts, ...]


@dataclass(frozen=True, slots=True)
class VerityFacts:
    """A verity device as the policy names it, with what its superblock adds."""

    mapping: str
    mountpoint: str
    filesystem: str
    partition: str
    hash_partition: str
    hash_offset: int
    root_hash: str
    algorithm: str
    salt: str
    data_blocks: int
    data_block_size: int
    fec_roots: int | None
    metadata_offset: int | None


@dataclass(frozen=True, slots=True)
class KeyslotFacts:
    """How a keyslot derives its key."""

    number: int
    name: str
    derivation: str


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """An encrypted volume; `state` "awaits its first boot" where only a mark stands."""

    mapping: str
    mountpoint: str
    filesystem: str
    partition: str
    state: str
    uuid: str
    label: str
    cipher: str
    integrity: str
    sector_size: int
    size: int
    keyslots: tuple[KeyslotFacts, ...]


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """What the initrd lets the boot do."""

    image: str
    version: str
    switches: tuple[str, ...]
    trees: tuple[str, ...]
    grow: tuple[str, ...]
    on_corruption: str
    on_failure: str


@dataclass(frozen=True, slots=True)
class RegionFacts:
    """Bytes `start` up to `end` of the disk. `why` nobody reads them; "" where somebody does."""

    start: int
    end: int
    part: str
    allocated: bool
    why: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """The whole image; sizes in bytes."""

    form: str
    size: int
    sector_size: int
    disk_guid: str
    boot_record: tuple[BootRecordFacts, ...]
    partitions: tuple[PartitionFacts, ...]
    ukis: tuple[UkiFacts, ...]
    policy: PolicyFacts | None
    verity: tuple[VerityFacts, ...]
    volumes: tuple[VolumeFacts, ...]
    sealed: bool
    regions: tuple[RegionFacts, ...]
    """The whole disk, without gaps."""


def facts(seen: Seen) -> ImageFacts:
    """All of it, from a first look."""
    policy = seen.policy
    return ImageFacts(
        form=seen.disk.form,
        size=seen.disk.size,
        sector_size=seen.table.sector,
        disk_guid=str(seen.table.gpt.disk_guid),
        boot_record=tuple(_boot_record(seen)),
        partitions=tuple(_partition(seen, h.partition, h.content) for h in seen.holdings),
        ukis=tuple(_uki(image) for image in seen.images),
        policy=None
        if policy is None
        else PolicyFacts(
            policy.image,
            policy.version,
            policy.switches,
            policy.trees,
            tuple(f"{when} {_name(seen, guid)}" for when, guid in policy.grow),
            policy.on_corruption,
            policy.on_failure,
        ),
        verity=tuple(_verity(seen, record) for record in seen.verity()),
        volumes=tuple(_volumes(seen)),
        sealed=bool(seen.seal.parts),
        regions=tuple(_regions(seen)),
    )


def _regions(seen: Seen) -> Iterator[RegionFacts]:
    for region in allocation(seen):
        used = region.state is not State.UNALLOCATED
        why = "" if used else region.by
        yield RegionFacts(region.start, region.end, region.part, used, why)


def _name(seen: Seen, guid: UUID) -> str:
    found = seen.table.by_guid(guid)
    return found.name if found else str(guid)


def _boot_record(seen: Seen) -> Iterator[BootRecordFacts]:
    for number, entry in entries_of(seen.disk):
        start = entry.first_lba * seen.table.sector
        name = next((p.name for p in seen.table.partitions if p.start == start), "")
        active = entry.boot is mbr.BootIndicator.ACTIVE
        kind = type_name(entry.type)
        yield BootRecordFacts(number, kind, entry.first_lba, entry.sectors, active, name)


def _partition(seen: Seen, partition: Partition, content: Content) -> PartitionFacts:
    kind, words, uuid = _content(content)
    if isinstance(content, Squashfs) and any(v.partuuid == partition.guid for v in seen.verity()):
        words += " + hash tree"
    return PartitionFacts(
        number=partition.number,
        name=partition.name,
        start=partition.start,
        size=partition.size,
        type=_TYPES.get(partition.type_guid, str(partition.type_guid)),
        type_guid=str(partition.type_guid),
        partuuid=str(partition.guid),
        attributes=partition.attributes,
        kind=kind,
        words=words,
        uuid=uuid,
    )


def _content(content: Content) -> tuple[str, str, str]:
    """One word, a few words, and the UUID of what a partition holds."""
    words, uuid = "", ""
    match content:
        case FatVolume(volume):
            count = sum(not file.is_folder for file in volume.files)
            kind, words = "fat", f"FAT{volume.shape.bits}, {count} files"
        case Squashfs(superblock):
            kind, words = "squashfs", f"squashfs {superblock.compressor}"
        case Ext4(superblock):
            kind, uuid = "ext4", str(superblock.uuid)
            words = _labelled("ext4", superblock.label)
        case Xfs(superblock):
            kind, uuid = "xfs", str(superblock.uuid)
            words = _labelled("XFS", superblock.label)
        case HashTree(superblock):
            kind, uuid = "verity", str(superblock.uuid)
            words = f"hash tree {superblock.algorithm}"
        case Mark(volume_id):
            kind, words, uuid = "mark", "awaits its first boot", str(volume_id or "")
        case Unknown(problem):
            kind, words = "unknown", problem
        case Luks():
            kind, words = "luks2", "LUKS2"
        case BiosBoot():
            kind, words = "bios", "boot loader"
        case Zeros():
            kind, words = "zeros", "empty"
    return kind, words, uuid


def _labelled(name: str, label: str) -> str:
    return f'{name} "{label}"' if label else name


def _uki(image: BootImage) -> UkiFacts:
    return UkiFacts(
        partition=image.file.partition.name,
        path=image.file.path,
        size=len(image.file.raw),
        os=image.os_name,
        kernel=image.uname,
        signed=image.is_signed,
        sections=tuple((s.name, len(s.data)) for s in image.sections),
        profiles=tuple(ProfileFacts(p.id, p.title, p.cmdline) for p in image.profiles),
    )


def _verity(seen: Seen, record: VerityRecord) -> VerityFacts:
    algorithm, salt, blocks, block_size = "", "", 0, 0
    hashes = seen.table.by_guid(record.hash_partuuid)
    if hashes is not None:
        raw = seen.disk.read(hashes.start + record.hash_offset, verity.SUPERBLOCK_SIZE)
        try:
            superblock = verity.VeritySuperblock.unpack(raw)
        except verity.BadSuperblock:
            pass
        else:
            algorithm, salt = superblock.algorithm, superblock.salt.hex()
            blocks, block_size = superblock.data_blocks, superblock.data_block_size
    return VerityFacts(
        mapping=record.mapping,
        mountpoint=record.mountpoint,
        filesystem=record.filesystem,
        partition=_name(seen, record.partuuid),
        hash_partition=_name(seen, record.hash_partuuid),
        hash_offset=record.hash_offset,
        root_hash=record.root_hash,
        algorithm=algorithm,
        salt=salt,
        data_blocks=blocks,
        data_block_size=block_size,
        fec_roots=record.fec[1] if record.fec else None,
        metadata_offset=record.metadata_offset,
    )


def _volumes(seen: Seen) -> Iterator[VolumeFacts]:
    for holding in seen.holdings:
        partition, content = holding.partition, holding.content
        record = seen.volume_of(partition)
        names = ("", "", "")
        if record is not None:
            names = (record.mapping, record.mountpoint, record.filesystem)
        if isinstance(content, Luks):
            yield _luks(seen, partition, names)
        elif isinstance(content, Mark):
            policy = seen.policy
            cipher = (policy.option("--cipher") if policy else None) or ""
            integrity = (policy.option("--integrity") if policy else None) or ""
            sector = (policy.option("--sector-size") if policy else None) or "0"
            label = str(content.volume_id or "")
            yield VolumeFacts(
                *names, partition.name, "awaits its first boot", "", label,
                cipher, integrity, int(sector), 0, (),
            )  # fmt: skip


def _luks(seen: Seen, partition: Partition, names: tuple[str, str, str]) -> VolumeFacts:
    try:
        header = volume.read_headers(seen.disk, partition).best
    except KiwiliteError as problem:
        return VolumeFacts(*names, partition.name, problem.message, "", "", "", "", 0, 0, ())
    segment = next(iter(header.metadata.segments), None)
    found, _ = volume.opened(seen.disk, partition, header)
    titles = tokens.keyslot_names(header.metadata.tokens)
    slots = []
    for slot in header.metadata.keyslots:
        kdf = slot.kdf
        if isinstance(kdf, Pbkdf2):
            words = f"pbkdf2 {kdf.hash}, {kdf.iterations} iterations"
        else:
            words = f"{kdf.variant}, {kdf.memory_kib // 1024} MiB, {kdf.time} passes"
        slots.append(KeyslotFacts(slot.number, titles.get(slot.number, ""), words))
    return VolumeFacts(
        *names,
        partition=partition.name,
        state=header.subsystem,
        uuid=str(header.uuid),
        label=header.label,
        cipher=segment.encryption if segment else "",
        integrity=segment.integrity.type if segment and segment.integrity else "",
        sector_size=segment.sector_size if segment else 0,
        size=found.geometry.provided_bytes if found.geometry else 0,
        keyslots=tuple(slots),
    )
