"""The verified partitions: each squashfs with hash tree, error correction and metadata block.

    appended     | squashfs | superblock, tree | FEC |      … | metadata |
    partition    | squashfs |                               … | metadata |
                 | superblock, tree | FEC |

Parts are 4096-aligned; the metadata block is the last 4096 bytes of the squashfs'
partition. Only the root has one, as with KIWI.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kiwilite.description.model import ImageType, Overlay, VeritySettings
from kiwilite.errors import KiwiliteError
from kiwilite.plan import disk as d
from kiwilite.plan import steps as s
from kiwilite.plan.identity import derived_hex, derived_uuid
from kiwilite.plan.mounts import verified_options
from kiwilite.plan.nodes import ROOT_MAPPING, Context, Node
from kiwilite.plan.partitions import PartitionSize

SALT_BYTES = 32
ROOT = "root"


class VerityNotPossible(KiwiliteError):
    """The settings of `<verity>` do not fit each other or the disk."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A squashfs partition, and the name of the step that makes its image."""

    image: str
    partition: str
    mountpoint: str | None
    mapping: str
    size: PartitionSize

    @property
    def tree(self) -> s.Output:
        """The hash tree over the image."""
        return s.Output(f"{self.image}-verity")

    @property
    def fec(self) -> s.Output:
        """The error correction, where there is one."""
        return s.Output(f"{self.image}-fec")

    @property
    def metadata(self) -> s.Output:
        """The metadata block, where there is one."""
        return s.Output(f"{self.image}-metadata")


def verified(kind: ImageType) -> tuple[Verified, ...]:
    """All squashfs partitions, the root first."""
    rows = [Verified(ROOT, d.READ_ONLY, "/", ROOT_MAPPING, d.CONTENT_SIZED)]
    for p in d.data_partitions(kind):
        if p.filesystem == d.SQUASHFS:
            size = PartitionSize("fixed", p.size) if p.size else d.CONTENT_SIZED
            rows.append(Verified(p.name, p.name, p.mountpoint, f"verity-{p.name}", size))
    return tuple(rows)


def settings(kind: ImageType) -> VeritySettings:
    """What `<verity>` says, checked. Raises VerityNotPossible at its line."""
    found = kind.overlay.verity if kind.overlay else VeritySettings(kind.span)
    blocks = found.data_block_size, found.hash_block_size
    if found.fec_roots is not None and blocks[0] != blocks[1]:
        raise VerityNotPossible(
            f"forward error correction needs blocks of one size, not {blocks[0]} and {blocks[1]}",
            where=str(found.span),
            hint="make data_block_size and hash_block_size the same, or leave out fec_roots",
        )
    if min(blocks) < kind.target_blocksize:
        raise VerityNotPossible(
            f"blocks of {min(blocks)} bytes cannot be read from sectors of {kind.target_blocksize}",
            where=str(found.span),
            hint=f"make data_block_size and hash_block_size {kind.target_blocksize} or more",
        )
    return found


def verity_nodes(context: Context, one: Verified) -> Iterator[Node]:
    """The steps over the image of a squashfs partition."""
    kind = context.appliance.type
    chosen = settings(kind)
    image = s.Output(one.image)
    step = s.Verity(
        image=image,
        uuid=derived_uuid(context.seed, f"verity {one.image}"),
        salt=_salt(context, chosen, one),
        data_blocks=_wanted_blocks(kind.overlay) if one.image == ROOT else None,
        where=_blocks_line(kind),
        algorithm=chosen.algorithm,
        data_block_size=chosen.data_block_size,
        hash_block_size=chosen.hash_block_size,
    )
    yield Node(one.tree.step, f"hash tree of {one.image}", step)
    if chosen.fec_roots is not None:
        fec = s.Fec(image, one.tree, chosen.fec_roots)
        yield Node(one.fec.step, f"error correction of {one.image}", fec)
    if _has_metadata(kind, one):
        metadata = s.VerityMetadata(image, one.tree, chosen.hash_tree, _key(context, chosen))
        yield Node(one.metadata.step, f"metadata block of {one.image}", metadata)


def _salt(context: Context, chosen: VeritySettings, one: Verified) -> str:
    if chosen.salt is not None:
        return chosen.salt.lower()
    return derived_hex(context.seed, f"salt {one.image}", SALT_BYTES)


def _wanted_blocks(overlay: Overlay | None) -> int | None:
    text = overlay.verity_blocks if overlay else None
    return None if text in (None, "", "all") else int(text or "0")


def _blocks_line(kind: ImageType) -> str:
    span = kind.overlay.verity_blocks_span if kind.overlay else None
    return str(span or kind.span)


def _has_metadata(kind: ImageType, one: Verified) -> bool:
    return kind.overlay is not None and kind.overlay.embed_verity_metadata and one.image == ROOT


def _key(context: Context, chosen: VeritySettings) -> s.Source | None:
    if chosen.metadata_key is None:
        return None
    return s.Source(context.appliance.directory / chosen.metadata_key.removeprefix("file://"))


def verity_contents(kind: ImageType) -> tuple[tuple[str, tuple[s.Output, ...]], ...]:
    """Partition name → the results from its start on, for all squashfs partitions."""
    chosen = settings(kind)
    rows: list[tuple[str, tuple[s.Output, ...]]] = []
    for one in verified(kind):
        image = s.Output(one.image)
        hashes = (one.tree,) if chosen.fec_roots is None else (one.tree, one.fec)
        if chosen.hash_tree == "appended":
            rows.append((one.partition, (image, *hashes)))
        else:
            rows.append((one.partition, (image,)))
            rows.append((d.hash_partition(one.partition), hashes))
    return tuple(rows)


def verity_tails(kind: ImageType) -> tuple[tuple[str, s.Output], ...]:
    """Partition name → the result that is its last block."""
    return tuple((v.partition, v.metadata) for v in verified(kind) if _has_metadata(kind, v))


def verity_targets(context: Context) -> tuple[s.VerityTarget, ...]:
    """What the initrd opens, the root first."""
    kind = context.appliance.type
    return tuple(_target(context, v) for v in verified(kind) if v.mountpoint)


def _target(context: Context, one: Verified) -> s.VerityTarget:
    kind = context.appliance.type
    chosen = settings(kind)
    hash_partuuid = None
    if chosen.hash_tree == "partition":
        hash_partuuid = d.partition_guid(context.appliance, d.hash_partition(one.partition))
    return s.VerityTarget(
        mapping=one.mapping,
        partuuid=d.partition_guid(context.appliance, one.partition),
        mountpoint=one.mountpoint or "",
        image=s.Output(one.image),
        verity=one.tree,
        size=one.size,
        hash_partuuid=hash_partuuid,
        fec=one.fec if chosen.fec_roots is not None else None,
        fec_roots=chosen.fec_roots or 0,
        metadata=_has_metadata(kind, one),
        options=verified_options(one.mountpoint or ""),
    )
