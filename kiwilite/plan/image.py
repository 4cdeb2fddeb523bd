"""The steps from the finished root tree to the disk."""

from __future__ import annotations

from uuid import UUID

from kiwilite.description.model import ImageType, Luks, PartitionElement
from kiwilite.plan import disk as d
from kiwilite.plan import steps as s
from kiwilite.plan.hybrid import hybrid_rows
from kiwilite.plan.identity import derived_uuid, derived_volume_id
from kiwilite.plan.nodes import (
    BIOS_BOOT,
    DISK,
    FACTORY_RESET,
    LAYOUT,
    OVERLAY,
    OVERLAY_MAPPING,
    RESET_SWITCH,
    Context,
    Node,
    has_loader,
    uki_name,
)
from kiwilite.plan.partitions import MIB
from kiwilite.plan.verity import (
    settings,
    verified,
    verity_contents,
    verity_nodes,
    verity_tails,
    verity_targets,
)
from kiwilite.plan.volume import BUILD_CIPHER, made_at_build, secret_or_file, volume_nodes
from kiwilite.plan.writable import (
    data_volume_id,
    encrypted,
    filesystems,
    grow_target,
    kept_in_root,
    plain_targets,
    switches,
    volume_targets,
)


def _mount_points(kind: ImageType) -> tuple[str, ...]:
    """Where partitions have the content; the root has that of those a device fills itself."""
    rows = (p for p in kind.partitions if p.filesystem and not kept_in_root(p))
    return tuple(sorted(p.mountpoint for p in rows if p.mountpoint))


def _below(mount_points: tuple[str, ...], folder: str) -> tuple[str, ...]:
    prefix = folder.rstrip("/") + "/"
    return tuple(m for m in mount_points if m.startswith(prefix) and m != folder)


def _squashfs(context: Context, folder: str) -> s.Squashfs | s.ToolSquashfs:
    kind = context.appliance.type
    tree, left_out = s.Output("customise"), _below(_mount_points(kind), folder)
    name, level = kind.squashfscompression, kind.squashfscompression_level
    if name in ("zstd", "uncompressed"):
        used = level if name == "zstd" else None
        return s.Squashfs(tree, folder, left_out, used, context.epoch)
    return s.ToolSquashfs(tree, folder, left_out, name, level, context.epoch)


def _data_node(context: Context, partition: PartitionElement) -> Node:
    name, kind = partition.name, context.appliance.type
    folder = partition.mountpoint or "/nothing"
    if partition.filesystem == d.SQUASHFS:
        return Node(name, f"squashfs of {folder}", _squashfs(context, folder))
    step = s.FileSystem(
        tree=s.Output("customise"),
        folder=folder,
        leave_out=_below(_mount_points(kind), folder),
        filesystem=partition.filesystem or "ext4",
        size=partition.size,
        label=d.file_system_label(partition),
        uuid=derived_uuid(context.seed, f"filesystem {name}"),
        where=str(partition.span),
        epoch=context.epoch,
        sector_size=kind.target_blocksize,
    )
    return Node(name, f"{partition.filesystem} for {folder}", step)


def _made_at_build(kind: ImageType) -> tuple[PartitionElement, ...]:
    """The data partitions that the image has the contents of."""
    return tuple(p for p in d.data_partitions(kind) if p not in encrypted(kind))


def _boot_files(context: Context, with_loader: bool) -> s.BootFiles:
    appliance = context.appliance
    kind = appliance.type
    target = _overlay_target(context)
    configuration = appliance.dracut_configuration if kind.initrd_system == "dracut" else ()
    return s.BootFiles(
        tree=s.Output("packages"),
        architecture=context.architecture,
        with_loader=with_loader,
        overlay_filesystem=target.filesystem if target else None,
        epoch=context.epoch,
        filesystems=filesystems(kind),
        grows=grow_target(context) is not None,
        hash_algorithm=settings(kind).algorithm,
        initrd_system=kind.initrd_system,
        dracut_configuration=tuple(s.Source(path) for path in configuration),
    )


def image_nodes(context: Context) -> tuple[Node, ...]:
    """Boot files, file systems, UKI, ESP, disk, and the disk in the format that was asked for."""
    appliance = context.appliance
    kind = appliance.type
    with_loader = has_loader(kind)
    target = _overlay_target(context)
    nodes = [
        Node("boot-files", "kernel, initrd, boot loader", _boot_files(context, with_loader)),
        Node("root", "squashfs of /", _squashfs(context, "/")),
    ]
    root, *others = verified(kind)
    nodes += verity_nodes(context, root)
    by_name = {one.image: one for one in others}
    for partition in _made_at_build(kind):
        nodes.append(_data_node(context, partition))
        if partition.name in by_name:
            nodes += verity_nodes(context, by_name[partition.name])
    nodes.append(Node("uki", "unified kernel image", _uki(context)))
    if kind.bios:
        nodes.append(Node(BIOS_BOOT, "BIOS boot loader", _bios_boot(context)))
    nodes.append(Node("esp", "EFI system partition", _esp(context, with_loader)))
    nodes.append(Node(LAYOUT, "places of the partitions", _layout(context)))
    nodes += volume_nodes(context, target)
    nodes.append(Node(DISK, "disk", _disk(context)))
    if kind.format and kind.format != "raw":
        step = s.DiskFormat(s.Output(DISK), kind.format)
        nodes.append(Node(kind.format, f"disk as {kind.format}", step))
    return tuple(nodes)


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
        passphrase=secret_or_file(context.appliance, overlay.luks.passphrase),
    )


AEGIS = "aegis128-random"
REFERENCE_CIPHER = (
    ("--cipher", AEGIS),
    ("--key-size", "128"),
    ("--integrity", "aead"),
)
"""What the first boot formats a volume with where the description names no cipher."""

EMBEDDED_KEY = (("--pbkdf", "pbkdf2"), ("--pbkdf-force-iterations", "1000"))
"""An embedded key gains nothing from an expensive derivation, which would cost every boot."""


def format_options(luks: Luks) -> tuple[tuple[str, str], ...]:
    """The description's luksFormat options, and defaults for what it does not say."""
    rows = list(luks.options)
    named = {name for name, _ in rows}
    if not named & {"--cipher", "--integrity"}:
        cipher = BUILD_CIPHER if made_at_build(luks) else REFERENCE_CIPHER
        rows = [*cipher, *(row for row in rows if row[0] != "--key-size")]
    if ("--cipher", AEGIS) in rows and "--key-size" not in named:
        rows.append(("--key-size", "128"))  # cryptsetup's default is 256, which it does not take
    if "--sector-size" not in named:
        rows.append(("--sector-size", "4096"))
    if not any(name.startswith("--pbkdf") for name in named):
        rows += EMBEDDED_KEY
    return tuple(rows)


def _uki(context: Context) -> s.Uki:
    appliance = context.appliance
    overlay = _overlay_target(context)
    title = appliance.displayname or appliance.name
    line = appliance.type.kernelcmdline
    if grow_target(context) and "gpt" not in line.split():
        line += " gpt"  # the backup table counts, while a power cut in growth tore the primary
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
        verity=verity_targets(context),
        overlay=overlay,
        profiles=tuple(profiles),
        switches=switches(appliance.type),
        on_failure=appliance.type.on_failure,
        epoch=context.epoch,
        on_corruption=settings(appliance.type).on_corruption,
        volumes=volume_targets(context),
        trees=appliance.type.overlay.trees if appliance.type.overlay else (),
        resettable=plain_targets(context),
        grow=grow_target(context),
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
        sector_size=kind.target_blocksize,
        bios=kind.bios,
    )


def _bios_boot(context: Context) -> s.BiosBoot:
    numbers = {p.name: n for n, p in enumerate(d.partitions(context.appliance), 1)}
    return s.BiosBoot(
        tree=s.Output("packages"),
        esp_number=numbers[d.ESP],
        volume_id=derived_volume_id(context.seed, "esp"),
    )


def _contents(context: Context) -> tuple[tuple[str, tuple[s.Output, ...]], ...]:
    """What goes into the partitions whose contents have a size before the disk has one."""
    kind = context.appliance.type
    contents: list[tuple[str, tuple[s.Output, ...]]] = [(d.ESP, (s.Output("esp"),))]
    for p in _made_at_build(kind):
        if p.filesystem != d.SQUASHFS:
            contents.append((p.name, (s.Output(p.name),)))
    return (*contents, *verity_contents(kind))


def _measured(context: Context) -> tuple[tuple[str, tuple[s.Output, ...]], ...]:
    """The contents that the layout has to wait for.

    Not those that are made as large as the description says: what changes in them must not
    have a volume made anew whose place and size stay.
    """
    kind = context.appliance.type
    given = {p.name for p in _made_at_build(kind) if p.filesystem != d.SQUASHFS}
    if kind.efipartsize:
        given.add(d.ESP)
    return tuple(row for row in _contents(context) if row[0] not in given)


def _layout(context: Context) -> s.Layout:
    kind = context.appliance.type
    size = kind.size
    return s.Layout(
        partitions=d.partitions(context.appliance),
        contents=_measured(context),
        size=size.bytes if size and not size.additive else None,
        extra=size.bytes if size and size.additive else 0,
        unpartitioned=size.unpartitioned if size else 0,
        sector_size=kind.target_blocksize,
        where=str(size.span if size else kind.span),
        tails=tuple(name for name, _ in verity_tails(kind)),
    )


def _disk(context: Context) -> s.Disk:
    appliance = context.appliance
    kind = appliance.type
    rows = d.partitions(appliance)
    overlay = _overlay_target(context)
    contents = _contents(context)
    marks: tuple[tuple[str, UUID], ...] = ()
    if kind.overlay and made_at_build(kind.overlay.luks):
        contents = (*contents, (d.READ_WRITE, (s.Output(OVERLAY),)))
    elif overlay is not None:
        marks = ((d.READ_WRITE, overlay.volume_id),)
    marks += tuple((p.name, data_volume_id(context, p.name)) for p in encrypted(kind))
    return s.Disk(
        layout=s.Output(LAYOUT),
        partitions=rows,
        contents=contents,
        disk_guid=derived_uuid(context.seed, "disk"),
        sector_size=kind.target_blocksize,
        hybrid=hybrid_rows(kind, rows),
        marks=marks,
        where=str(kind.size.span if kind.size else kind.span),
        bios=s.Output(BIOS_BOOT) if kind.bios else None,
        tails=verity_tails(kind),
    )
