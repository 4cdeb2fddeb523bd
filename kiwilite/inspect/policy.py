"""What the initrd in a unified kernel image lets the boot do: read from its text form.

An own reader, and not the one of those who wrote it: it is to be checked here. The
records are documented in `kiwilite.boot.policy`; those that are not needed are kept as
words.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk import cpio

POLICY_PATH: Final = "etc/kiwilite/policy"

_ARCHIVE: Final = b"070701"


class BadPolicy(KiwiliteError):
    """The initrd has no policy, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class VerityRecord:
    """A squashfs under dm-verity; the hash tree's superblock stands at `hash_offset` bytes
    into the partition `hash_partuuid`.
    """

    mapping: str
    partuuid: UUID
    root_hash: str
    hash_partuuid: UUID
    hash_offset: int
    mountpoint: str
    filesystem: str
    fec: tuple[int, int] | None = None
    """Byte offset of the error correction data in the hash tree's partition, and its roots."""
    metadata_offset: int | None = None
    """Byte offset of a KIWI metadata block in the partition."""
    options: str = ""
    """Those it is mounted with; the root's record has none."""


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """An encrypted volume; `mountpoint` "overlay" is the writable layer."""

    mapping: str
    partuuid: UUID
    volume_id: UUID
    filesystem: str
    keyfile: str
    mountpoint: str


@dataclass(frozen=True, slots=True)
class Policy:
    """The records, those of a kind in their order."""

    image: str
    version: str
    verity: tuple[VerityRecord, ...]
    volumes: tuple[VolumeRecord, ...]
    formats: tuple[tuple[str, ...], ...]
    trees: tuple[str, ...]
    switches: tuple[str, ...]
    grow: tuple[tuple[str, UUID], ...]
    on_corruption: str
    on_failure: str
    embedded_keys: tuple[str, ...]
    """Key files of volumes that stand in the same initrd, for everybody to read."""

    def option(self, name: str) -> str | None:
        """The value of an option for `cryptsetup luksFormat`, such as "--cipher"."""
        return next((" ".join(row[1:]) for row in self.formats if row[0] == name), None)


@dataclass(frozen=True, slots=True)
class Initrd:
    """The uncompressed archives at the start of an initrd: regular files by path."""

    files: dict[str, bytes]

    def policy(self) -> Policy:
        """What stands in the policy file; raises BadPolicy."""
        text = self.files.get(POLICY_PATH)
        if text is None:
            raise BadPolicy("the initrd has no policy", hint="it is not an image of kiwilite")
        return _parse(text.decode("utf-8", "replace"), self.files)


def read_initrd(initrd: bytes) -> Initrd:
    """The files of the archives before the first compressed one. Raises BadPolicy."""
    files: dict[str, bytes] = {}
    at = 0
    try:
        while initrd[at : at + 6] == _ARCHIVE:
            entries, at = cpio.read_one(initrd, at)
            files.update({e.path: e.data for e in entries if stat.S_ISREG(e.mode)})
            while initrd[at : at + 1] == b"\0":
                at += 1
    except cpio.BadCpio as problem:
        raise BadPolicy(f"the initrd cannot be read: {problem.message}") from problem
    return Initrd(files)


def _parse(text: str, files: dict[str, bytes]) -> Policy:
    rows = [tuple(line.split(" ")) for line in text.splitlines() if line]
    try:
        image, version = next(_of(rows, "image"), ("", ""))[:2]
        volumes = tuple(_volume(row) for row in _of(rows, "volume"))
        return Policy(
            image=image,
            version=version,
            verity=tuple(_verity(row, rows) for row in _of(rows, "verity")),
            volumes=volumes,
            formats=tuple(_of(rows, "format")),
            trees=tuple(row[0] for row in _of(rows, "tree")),
            switches=tuple(row[0] for row in _of(rows, "switch")),
            grow=tuple((row[0], UUID(row[1])) for row in _of(rows, "grow")),
            on_corruption=next(_of(rows, "on-corruption"), ("eio",))[0],
            on_failure=next(_of(rows, "on-failure"), ("",))[0],
            embedded_keys=tuple(
                k for k in sorted({v.keyfile for v in volumes}) if k.lstrip("/") in files
            ),
        )
    except (ValueError, IndexError) as problem:
        raise BadPolicy(f"the policy cannot be read: {problem}") from problem


def _of(rows: list[tuple[str, ...]], kind: str) -> Iterator[tuple[str, ...]]:
    return (row[1:] for row in rows if row[0] == kind)


def _verity(row: tuple[str, ...], rows: list[tuple[str, ...]]) -> VerityRecord:
    mapping = row[0]
    fec = next((r for r in _of(rows, "fec") if r[0] == mapping), None)
    metadata = next((r for r in _of(rows, "metadata") if r[0] == mapping), None)
    if not re.fullmatch("([0-9a-f]{2})+", row[2]):
        raise ValueError(f"{row[2]!r} is no root hash")
    return VerityRecord(
        mapping=mapping,
        partuuid=UUID(row[1]),
        root_hash=row[2],
        hash_partuuid=UUID(row[3]),
        hash_offset=_bytes(row[4]),
        mountpoint=row[5],
        filesystem=row[6],
        fec=(_bytes(fec[1]), _bytes(fec[2])) if fec else None,
        metadata_offset=_bytes(metadata[1]) if metadata else None,
        options=row[7] if len(row) > 7 else "",
    )


def _bytes(word: str) -> int:
    """A number of bytes that a disk can have."""
    if not re.fullmatch("[0-9]{1,18}", word):
        raise ValueError(f"{word!r} is no number")
    return int(word)


def _volume(row: tuple[str, ...]) -> VolumeRecord:
    return VolumeRecord(row[0], UUID(row[1]), UUID(row[2]), row[3], row[4], row[5])
