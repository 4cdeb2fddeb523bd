"""The disk as it will be: partitions in the order of the table, and what stands on each."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

from kiwilite.description.model import Appliance, ImageType
from kiwilite.plan.devices import CRYPT, INTEGRITY, OVERLAY, VERITY, Devices, Volume, devices
from kiwilite.plan.diagram.model import Box, Column, Disk, Stacked, Tone
from kiwilite.plan.disk import ESP, LEGACY, READ_WRITE, partitions
from kiwilite.plan.hybrid import hybrid_rows
from kiwilite.plan.image import format_options
from kiwilite.plan.nodes import has_loader, uki_name
from kiwilite.plan.partitions import MIB, Partition, human_size
from kiwilite.plan.picture import boot_facts
from kiwilite.plan.volume import made_at_build

MEMORY = "memory"
_SCALE = "not drawn to scale"
_GUESS = 256 * MIB
"""What something is drawn as large as, whose size only the build will know."""


def disk(appliance: Appliance) -> Disk:
    """The disk that a build of `appliance` makes."""
    kind = appliance.type
    rows = partitions(appliance)
    found = devices(kind)
    places = {p.name: n for n, p in enumerate(rows)}
    stacked = tuple(_stacked(appliance, found, places))
    bare = {n for n, p in enumerate(rows) if not any(s.first <= n <= s.last for s in stacked)}
    columns = [_column(kind, p, n, n in bare) for n, p in enumerate(rows)]
    if found.upper is not None and found.upper.partition is None:
        lines = ("forgotten at every restart",)
        columns.append(Column(Box(MEMORY, MEMORY, lines=lines), isqrt(_GUESS // MIB)))
    below = tuple(_below(kind, rows))
    return Disk(_title(kind), tuple(columns), stacked, below, tuple(boot_facts(appliance)))


def _title(kind: ImageType) -> str:
    size = kind.size
    if size is None:
        return f"disk as large as what is on it, {_SCALE}"
    if size.additive:
        return f"disk {human_size(size.bytes)} larger than what is on it, {_SCALE}"
    left = f", {human_size(size.unpartitioned)} of it unpartitioned" if size.unpartitioned else ""
    return f"disk of {human_size(size.bytes)}{left}, {_SCALE}"


def _column(kind: ImageType, partition: Partition, number: int, bare: bool) -> Column:
    lines = [str(partition.size)]
    if bare:
        lines.append(partition.content)
    if partition.name == READ_WRITE and kind.grow != "never":
        lines.append("grows with the disk" + (", once" if kind.grow == "once" else ""))
    box = Box(
        f"partition-{number + 1}", partition.name, str(number + 1), tuple(lines), tone="partition"
    )
    size = partition.size.bytes if partition.size.kind == "fixed" else _GUESS
    if partition.size.kind == "rest":
        size = max(size, kind.size.bytes // 2 if kind.size else 0)
    return Column(box, isqrt(size // MIB) + 1)


def _stacked(appliance: Appliance, found: Devices, places: dict[str, int]) -> Iterator[Stacked]:
    yield from _boot(appliance, places)
    for volume in found.data:
        yield from _volume(appliance.type, volume, places)
    if found.lower is not None and found.upper is not None:
        yield from _root(appliance.type, found, places)


def _boot(appliance: Appliance, places: dict[str, int]) -> Iterator[Stacked]:
    kind = appliance.type
    at = places[ESP]
    name = uki_name(appliance)
    yield Stacked(Box("uki", "UKI", lines=(name,), tone="boot"), at, at)
    if has_loader(kind):
        yield Stacked(Box("loader", "systemd-boot", lines=("starts it",), tone="boot"), at, at)
    else:
        yield Stacked(Box("loader", "firmware", lines=("starts it",), tone="boot"), at, at)
    if kind.bios:
        at = places[LEGACY]
        box = Box("bios", "GRUB", lines=("under a legacy BIOS",), tone="boot")
        yield Stacked(box, at, at)


def _columns(volume: Volume, places: dict[str, int]) -> tuple[int, int]:
    """First and last column a volume stands on; the one after the last is memory."""
    if volume.partition is None:
        return len(places), len(places)
    first = places[volume.partition]
    return first, places[volume.hashes] if volume.hashes else first


def _volume(kind: ImageType, volume: Volume, places: dict[str, int]) -> Iterator[Stacked]:
    """The devices of a data partition, and where it is mounted."""
    yield from _devices(kind, volume, places)
    first, last = _columns(volume, places)
    element = next(p for p in kind.partitions if p.name == volume.partition)
    words = [volume.filesystem + (", read-only" if VERITY in volume.devices else "")]
    words += ["made at the first boot"] if element.encrypted else []
    words += ["a factory reset empties it"] if element.reset else []
    title = volume.mountpoint or "not mounted"
    box = Box(f"mount-{first + 1}", title, lines=tuple(words), tone="mount")
    yield Stacked(box, first, last)


def _root(kind: ImageType, found: Devices, places: dict[str, int]) -> Iterator[Stacked]:
    """Lower and upper half, and the overlay over both."""
    assert found.lower is not None and found.upper is not None
    lower, upper = _columns(found.lower, places), _columns(found.upper, places)
    yield from _devices(kind, found.lower, places)
    if found.trees:
        words = (f"{found.lower.filesystem}, read-only",)
        yield Stacked(Box("mount-root", "/", lines=words, tone="mount"), *lower)
    else:
        words = ("lower: read-only",)
        box = Box("lower", found.lower.filesystem, lines=words, tone="verified")
        yield Stacked(box, *lower)
    yield from _devices(kind, found.upper, places)
    yield Stacked(_upper(kind, found.upper), *upper)
    title = ", ".join(found.trees) or "/"
    box = Box("overlay", title, lines=(OVERLAY,), tone="mount")
    yield Stacked(box, min(lower[0], upper[0]), max(lower[1], upper[1]))


def _upper(kind: ImageType, volume: Volume) -> Box:
    lines = ["upper: what is written"]
    luks = kind.overlay.luks if kind.overlay else None
    if luks is not None:
        lines.append("made with the image" if made_at_build(luks) else "made at the first boot")
    tone: Tone = "plain" if volume.partition is None else "encrypted"
    return Box("upper", volume.filesystem, lines=tuple(lines), tone=tone)


def _devices(kind: ImageType, volume: Volume, places: dict[str, int]) -> Iterator[Stacked]:
    first, last = _columns(volume, places)
    for device in reversed(volume.devices):
        if device == VERITY:
            box = Box(
                f"verity-{first + 1}", VERITY, lines=("root hash in the UKI",), tone="verified"
            )
        elif device == CRYPT:
            box = Box(f"crypt-{first + 1}", "dm-crypt", lines=_cipher(kind), tone="encrypted")
        else:
            box = Box(f"integrity-{first + 1}", INTEGRITY, tone="encrypted")
        yield Stacked(box, first, last)


def _cipher(kind: ImageType) -> tuple[str, ...]:
    luks = kind.overlay.luks if kind.overlay else None
    cipher = dict(format_options(luks)).get("--cipher") if luks else None
    return ("LUKS2, authenticated", *([cipher] if cipher else []))


def _below(kind: ImageType, rows: tuple[Partition, ...]) -> Iterator[Stacked]:
    places = {p.name: n for n, p in enumerate(rows)}
    for number, row in enumerate(hybrid_rows(kind, rows), 1):
        at = places[row.partition]
        lines = (f"type {row.type:02x}", *(("active",) if row.active else ()))
        yield Stacked(Box(f"mbr-{number}", f"MBR {number}", lines=lines), at, at)
