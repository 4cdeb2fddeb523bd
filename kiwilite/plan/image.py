"""The steps from the finished root tree to the disk."""

from __future__ import annotations

from uuid import UUID

from kiwilite.description.model import Appliance, ImageType, Luks, PartitionElement
from kiwilite.plan import disk as d
from kiwilite.plan import steps as s
from kiwilite.plan.identity import derived_hex, derived_uuid, derived_volume_id
from kiwilite.plan.nodes import (
    DISK,
    FACTORY_RESET,
    OVERLAY_MAPPING,
    RESET_SWITCH,
    ROOT_MAPPING,
    Context,
    Node,
    has_loader,
    uki_name,
)
from kiwilite.plan.partitions import MIB


def _mount_points(kind: ImageType) -> tuple[str, ...]:
    return tuple(sorted(p.mountpoint for p in kind.partitions if p.mountpoint and p.filesystem))


def _below(mount_points: tuple[str, ...], folder: str) -> tuple[str, ...]:
    prefix = folder.rstrip("/") + "/"
    return tuple(m for m in mount_points if m.startswith(prefix) and m != folder)


def _squashfs(context: Context, folder: str) -> s.Squashfs:
    kind = context.appliance.type
    return s.Squashfs(
        tree=s.Output("customise"),
        folder=folder,
        leave_out=_below(_mount_points(kind), folder),
        compression=kind.squashfscompression,
        level=kind.squashfscompression_level,
        epoch=context.epoch,
    )


def _verity(context: Context, image: str, partition: str, blocks: int | None) -> s.Verity:
    return s.Verity(
        image=s.Output(image),
        uuid=derived_uuid(context.seed, f"verity {partition}"),
        salt=derived_hex(context.seed, f"salt {partition}", 32),
        data_blocks=blocks,
    )


def _data_nodes(context: Context, partition: PartitionElement) -> list[Node]:
    name, kind = partition.name, context.appliance.type
    folder = partition.mountpoint or "/nothing"
    if partition.filesystem == d.SQUASHFS:
        verity = _verity(context, name, name, None)
        return [
            Node(name, f"squashfs of {folder}", _squashfs(context, folder)),
            Node(f"{name}-verity", f"hash tree of {name}", verity),
        ]
    step = s.FileSystem(
        tree=s.Output("customise"),
        folder=folder,
        leave_out=_below(_mount_points(kind), folder),
        filesystem=partition.filesystem or "ext4",
        size=partition.size,
        label=(partition.label or name)[:12],
        uuid=derived_uuid(context.seed, f"filesystem {name}"),
        where=str(partition.span),
        epoch=context.epoch,
    )
    return [Node(name, f"{partition.filesystem} for {folder}", step)]


def image_nodes(context: Context) -> tuple[Node, ...]:
    """Boot files, file systems, UKI, ESP, disk, and the disk in the format that was asked for."""
    appliance = context.appliance
    kind = appliance.type
    with_loader = has_loader(kind)
    target = _overlay_target(context)
    boot = s.BootFiles(
        tree=s.Output("packages"),
        architecture=context.architecture,
        with_loader=with_loader,
        overlay_filesystem=target.filesystem if target else None,
        epoch=context.epoch,
    )
    blocks = kind.overlay.verity_blocks if kind.overlay else None
    count = int(blocks) if blocks and blocks != "all" else None
    nodes = [
        Node("boot-files", "kernel, initrd, boot loader", boot),
        Node("root", "squashfs of /", _squashfs(context, "/")),
        Node("root-verity", "hash tree of the root", _verity(context, "root", "root", count)),
    ]
    for partition in d.data_partitions(kind):
        nodes += _data_nodes(context, partition)
    nodes.append(Node("uki", "unified kernel image", _uki(context)))
    nodes.append(Node("esp", "EFI system partition", _esp(context, with_loader)))
    nodes.append(Node(DISK, "disk", _disk(context)))
    if kind.format and kind.format != "raw":
        step = s.DiskFormat(s.Output(DISK), kind.format)
        nodes.append(Node(kind.format, f"disk as {kind.format}", step))
    return tuple(nodes)


def _verity_targets(context: Context) -> tuple[s.VerityTarget, ...]:
    appliance = context.appliance

    def target(mapping: str, partition: str, mountpoint: str, image: str) -> s.VerityTarget:
        guid = d.partition_guid(appliance, partition)
        return s.VerityTarget(
            mapping, guid, mountpoint, s.Output(image), s.Output(f"{image}-verity")
        )

    rows = [target(ROOT_MAPPING, d.READ_ONLY, "/", "root")]
    rows += [
        target(f"verity-{p.name}", p.name, p.mountpoint, p.name)
        for p in d.data_partitions(appliance.type)
        if p.filesystem == d.SQUASHFS and p.mountpoint
    ]
    return tuple(rows)


def _overlay_target(context: Context) -> s.OverlayTarget | None:
    overlay = context.appliance.type.overlay
    if overlay is None or overlay.luks is None:
        return None
    return s.OverlayTarget(
        mapping=OVERLAY_MAPPING,
        partuuid=d.partition_guid(context.appliance, d.READ_WRITE),
        volume_id=derived_uuid(context.seed, "overlay volume"),
        filesystem=overlay.filesystem,
        format_options=format_options(overlay.luks),
        passphrase=_passphrase(context.appliance, overlay.luks.passphrase),
    )


REFERENCE_CIPHER = (
    ("--cipher", "aegis128-random"),
    ("--key-size", "128"),
    ("--integrity", "aead"),
)
"""What a volume is formatted with where the description names no cipher."""

EMBEDDED_KEY = (("--pbkdf", "pbkdf2"), ("--pbkdf-force-iterations", "1000"))
"""An embedded key gains nothing from an expensive derivation, which would cost every boot."""


def format_options(luks: Luks) -> tuple[tuple[str, str], ...]:
    """The description's luksFormat options, and defaults for what it does not say."""
    rows = list(luks.options)
    named = {name for name, _ in rows}
    if not named & {"--cipher", "--integrity"}:
        rows = [*REFERENCE_CIPHER, *(row for row in rows if row[0] != "--key-size")]
    if "--sector-size" not in named:
        rows.append(("--sector-size", "4096"))
    if not any(name.startswith("--pbkdf") for name in named):
        rows += EMBEDDED_KEY
    return tuple(rows)


def _passphrase(appliance: Appliance, text: str) -> s.Secret | s.Source:
    """The passphrase as written, or the file it is referred to by."""
    if text.startswith("file://"):
        return s.Source(appliance.directory / text.removeprefix("file://"))
    return s.Secret(text)


def _uki(context: Context) -> s.Uki:
    appliance = context.appliance
    overlay = _overlay_target(context)
    title = appliance.displayname or appliance.name
    line = appliance.type.kernelcmdline
    profiles = [s.BootProfile("main", title, line)]
    if overlay is not None:
        reset = s.BootProfile(
            FACTORY_RESET, f"{title} (factory reset)", f"{line} {RESET_SWITCH}".strip()
        )
        profiles.append(reset)
    return s.Uki(
        boot=s.Output("boot-files"),
        system=s.Output("customise"),
        image=appliance.name,
        version=appliance.preferences.version,
        verity=_verity_targets(context),
        overlay=overlay,
        profiles=tuple(profiles),
        switches=(RESET_SWITCH,) if overlay else (),
        on_failure=appliance.type.on_failure,
        epoch=context.epoch,
    )


def _esp(context: Context, with_loader: bool) -> s.Esp:
    kind = context.appliance.type
    loader = kind.bootloader
    return s.Esp(
        uki=s.Output("uki"),
        boot=s.Output("boot-files"),
        uki_name=uki_name(context.appliance),
        with_loader=with_loader,
        loader_timeout=(loader.timeout or 0) if loader else 0,
        minimum=MIB,
        fixed_size=kind.efipartsize,
        volume_id=derived_volume_id(context.seed, "esp"),
        where=str(kind.span),
        epoch=context.epoch,
    )


def _disk(context: Context) -> s.Disk:
    appliance = context.appliance
    kind = appliance.type
    rows = d.partitions(appliance)
    contents: list[tuple[str, tuple[s.Output, ...]]] = [(d.ESP, (s.Output("esp"),))]
    for p in d.data_partitions(kind):
        parts = (p.name, f"{p.name}-verity") if p.filesystem == d.SQUASHFS else (p.name,)
        contents.append((p.name, tuple(s.Output(n) for n in parts)))
    contents.append((d.READ_ONLY, (s.Output("root"), s.Output("root-verity"))))
    overlay = _overlay_target(context)
    marks: tuple[tuple[str, UUID], ...] = ()
    if overlay is not None:
        marks = ((d.READ_WRITE, overlay.volume_id),)
    return s.Disk(
        partitions=rows,
        contents=tuple(contents),
        disk_guid=derived_uuid(context.seed, "disk"),
        size=kind.size.bytes if kind.size and not kind.size.additive else None,
        extra=kind.size.bytes if kind.size and kind.size.additive else 0,
        unpartitioned=kind.size.unpartitioned if kind.size else 0,
        sector_size=kind.target_blocksize,
        hybrid=tuple(p.name for p in rows[:3]) if kind.gpt_hybrid_mbr else (),
        marks=marks,
        where=str(kind.size.span if kind.size else kind.span),
    )
