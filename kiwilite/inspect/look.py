"""A first look at an image: table, what is in the partitions, boot images, policy. Reads little."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError
from kiwilite.inspect.bioscopies import check_bios_copies
from kiwilite.inspect.bootimage import (
    BootImage,
    EfiFile,
    boot_image,
    check_pe,
    check_policy,
    efi_files,
)
from kiwilite.inspect.bootrecord import check_boot_record
from kiwilite.inspect.checked import Checked, joined
from kiwilite.inspect.content import Content, FatVolume, content_of
from kiwilite.inspect.findings import Finding, error
from kiwilite.inspect.policy import Policy, VerityRecord, VolumeRecord
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.seals import Seal, read_seal
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition, Table, read_table
from kiwilite.ondisk import pe
from kiwilite.trust import authenticode

FAT: Final = "FAT"


@dataclass(frozen=True, slots=True)
class Holding:
    """A partition and what is in it."""

    partition: Partition
    content: Content


@dataclass(frozen=True, slots=True)
class Seen:
    """All that is known of an image without reading its contents; `checked` is what that gave."""

    disk: Disk
    table: Table
    holdings: tuple[Holding, ...]
    images: tuple[BootImage, ...]
    seal: Seal
    checked: Checked

    @property
    def policy(self) -> Policy | None:
        """The policy of the first boot image that has one."""
        return next((i.policy for i in self.images if i.policy is not None), None)

    def verity(self) -> tuple[VerityRecord, ...]:
        """The verity devices of all policies."""
        return tuple(dict.fromkeys(v for i in self.images if i.policy for v in i.policy.verity))

    def volumes(self) -> tuple[VolumeRecord, ...]:
        """The encrypted volumes of all policies."""
        return tuple(dict.fromkeys(v for i in self.images if i.policy for v in i.policy.volumes))

    def volume_of(self, partition: Partition) -> VolumeRecord | None:
        """What the policies say of an encrypted partition."""
        return next((v for v in self.volumes() if v.partuuid == partition.guid), None)

    def content(self, partition: Partition) -> Content:
        """What is in a partition."""
        return next(h.content for h in self.holdings if h.partition == partition)


def look(disk: Disk) -> Seen:
    """Look at an image. Raises NoTable where it has no partition table."""
    table, findings, claims = read_table(disk)
    checked = [Checked(tuple(findings), tuple(claims))]
    findings, claims = check_boot_record(disk, table)
    checked.append(Checked(tuple(findings), tuple(claims)))
    holdings = tuple(Holding(p, content_of(disk, p)) for p in table.partitions)
    images: list[BootImage] = []
    for holding in holdings:
        if isinstance(holding.content, FatVolume):
            found, part = _boot_partition(disk, table, holding.partition, holding.content)
            images += found
            checked.append(part)
    first = min((p.start for p in table.partitions), default=0)
    sealed = read_seal(disk, first)
    checked.append(Checked(sealed.findings, sealed.claims))
    images.sort(key=lambda image: image.file.path)
    return Seen(disk, table, holdings, tuple(images), sealed, joined(checked))


def _boot_partition(
    disk: Disk, table: Table, partition: Partition, content: FatVolume
) -> tuple[list[BootImage], Checked]:
    volume = content.volume
    findings: list[Finding] = [
        error(partition.place(f.start, f.end), f"FAT: {f.message}", "fsck.vfat repairs it")
        for f in volume.faults
    ]
    images: list[BootImage] = []
    claims = [*_free(partition, content)]
    for file in efi_files(disk, partition, volume):
        findings += check_pe(file)
        claims += _file_claims(file)
        try:
            image = boot_image(file)
        except KiwiliteError:
            continue  # check_pe has said what is wrong with it
        if image is not None:
            images.append(image)
            findings += check_policy(image, table.partitions)
    findings += check_bios_copies(disk, partition, volume, tuple(images))
    return images, Checked(tuple(findings), tuple(claims))


def _free(partition: Partition, content: FatVolume) -> Iterator[Region]:
    """FAT copies check each other; free clusters and what is behind the last are nobody's."""
    shape, base, name = content.volume.shape, partition.start, partition.name
    if shape.fats == 2:
        start, end = base + shape.reserved, base + shape.root_start
        yield Region(start, end, State.CHECKED, name, "both FATs")
    for start, end in content.volume.free:
        yield Region(base + start, base + end, State.UNALLOCATED, name, "free clusters")
    yield Region(base + shape.data_end, partition.end, State.UNALLOCATED, name, "behind the FAT")


def _file_claims(file: EfiFile) -> Iterator[Region]:
    try:
        by = "PE CheckSum" if pe.stored_checksum(file.raw) else ""
        by = "PE signature" if authenticode.table_of(file.raw)[1] else by
    except KiwiliteError:
        return
    if by:
        for start, end in file.runs:
            yield Region(start, end, State.CHECKED, file.partition.name, by)
