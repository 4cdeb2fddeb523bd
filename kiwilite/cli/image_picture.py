"""An image on the terminal: table, device stack, boot images; and what a check of it found."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from kiwilite.cli.terminal import wants_colour
from kiwilite.inspect.facts import ImageFacts, UkiFacts, VerityFacts, VolumeFacts
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.verify import Report
from kiwilite.plan.partitions import human_size
from kiwilite.plan.picture import table

OVERLAY = "overlay"
_COLOURS = {Severity.ERROR: "1;31", Severity.WARNING: "33", Severity.NOTE: "36"}


def picture(name: str, image: ImageFacts) -> str:
    """Everything `image inspect` shows."""
    parts = [_head(name, image), _partitions(image), *_boot_record(image)]
    stack = "\n".join(_stack(image))
    parts += [stack] if stack else []
    parts += ["\n".join(_uki(uki)) for uki in image.ukis]
    parts += _policy(image)
    parts += _unallocated(image)
    return "\n\n".join(parts)


def _head(name: str, image: ImageFacts) -> str:
    sealed = "sealed" if image.sealed else "no seal"
    return (
        f"{name}: {image.form}, {human_size(image.size)}, sectors of {image.sector_size},"
        f" {sealed}\ndisk {image.disk_guid}"
    )


def _partitions(image: ImageFacts) -> str:
    rows = [("#", "name", "start", "size", "type", "PARTUUID", "holds")]
    for p in image.partitions:
        start, size = human_size(p.start), human_size(p.size)
        rows.append((str(p.number), p.name, start, size, p.type, p.partuuid, p.words))
    return table(rows)


def _boot_record(image: ImageFacts) -> Iterator[str]:
    shown = [e for e in image.boot_record if e.type != "GPT"]
    if not shown:
        yield "MBR: protective"
        return
    rows = [f"{e.partition or '?'} ({e.type}{', active' if e.active else ''})" for e in shown]
    yield f"MBR: hybrid, shows {', '.join(rows)}"


def _stack(image: ImageFacts) -> Iterator[str]:
    upper = next((v for v in image.volumes if v.mountpoint == OVERLAY), None)
    root = next((v for v in image.verity if v.mountpoint == "/"), None)
    if root is not None:
        trees = image.policy.trees if image.policy else ()
        yield f"/  overlayfs{' over ' + ', '.join(trees) if trees else ''}"
        yield f"├─ upper  {upper.filesystem if upper else 'in memory'}"
        if upper is not None:
            yield from _indented("│  ", _volume_chain(upper))
        yield f"└─ lower  {root.filesystem}, read-only"
        yield from _indented("   ", _verity_chain(root))
    for verity in image.verity:
        if verity is not root:
            yield f"{verity.mountpoint}  {verity.filesystem}, read-only"
            yield from _indented("", _verity_chain(verity))
    for volume in image.volumes:
        if volume is not upper:
            yield f"{volume.mountpoint or volume.partition}  {volume.filesystem or 'encrypted'}"
            yield from _indented("", _volume_chain(volume))


def _indented(indent: str, chain: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """What stands on what; further lines of an item below its first."""
    for depth, (first, *more) in enumerate(chain):
        inner = indent + "   " * depth
        yield f"{inner}└─ {first}"
        tail = "│ " if depth + 1 < len(chain) else "  "
        yield from (f"{inner}   {tail}{line}" for line in more)


def _verity_chain(verity: VerityFacts) -> list[tuple[str, ...]]:
    size = human_size(verity.data_blocks * verity.data_block_size)
    words = [f"dm-verity  {verity.algorithm}, {size} in blocks of {verity.data_block_size}"]
    words.append(f"root hash {verity.root_hash}")
    if verity.fec_roots is not None:
        words.append(f"error correction with {verity.fec_roots} roots")
    if verity.metadata_offset is not None:
        words.append(f"KIWI metadata at byte {verity.metadata_offset}")
    place = f"{verity.partition}, hash tree at byte {verity.hash_offset}"
    if verity.hash_partition != verity.partition:
        place = f"{verity.partition}, hash tree in {verity.hash_partition}"
    return [tuple(words), (place,)]


def _volume_chain(volume: VolumeFacts) -> list[tuple[str, ...]]:
    cipher = " + ".join(word for word in (volume.cipher, volume.integrity) if word)
    size = f", {human_size(volume.size)}" if volume.size else ""
    crypt = [f"dm-crypt  {cipher}, sectors of {volume.sector_size}{size}"]
    crypt += [
        f"keyslot {slot.number}{' ' + slot.name if slot.name else ''}: {slot.derivation}"
        for slot in volume.keyslots
    ]
    rows: list[tuple[str, ...]] = [tuple(crypt)]
    if volume.integrity:
        rows.append(("dm-integrity",))
    rows.append((f"{volume.partition}, {volume.state}",))
    return rows


def _uki(uki: UkiFacts) -> Iterator[str]:
    signed = "signed" if uki.signed else "not signed"
    yield f"{uki.partition}: {uki.path}  {human_size(uki.size)}, {signed}"
    yield f"├─ {uki.os or 'unnamed system'}, Linux {uki.kernel or '?'}"
    parts = [f"{n} {human_size(size)}" for n, size in uki.sections if n in (".linux", ".initrd")]
    yield f"├─ {', '.join(parts)}"
    for number, profile in enumerate(uki.profiles, 1):
        last = number == len(uki.profiles)
        name = f"{profile.id}: {profile.title}" if profile.id else "command line"
        yield f"{'└─' if last else '├─'} {name}"
        yield f"{'  ' if last else '│ '}    {profile.cmdline}"


def _policy(image: ImageFacts) -> Iterator[str]:
    policy = image.policy
    if policy is None:
        return
    rows = [f"policy of {policy.image} {policy.version}"]
    rows.append(f"  on corruption {policy.on_corruption}, on failure {policy.on_failure}")
    if policy.switches:
        rows.append(f"  switches {' '.join(policy.switches)}")
    rows += [f"  grows {row}" for row in policy.grow]
    yield "\n".join(rows)


def _unallocated(image: ImageFacts) -> Iterator[str]:
    """Bytes that nobody reads, by partition and reason."""
    sizes: dict[tuple[str, str], int] = {}
    for region in image.regions:
        if not region.allocated:
            key = region.part, region.why
            sizes[key] = sizes.get(key, 0) + region.end - region.start
    if sizes:
        rows = [(human_size(size), part, why) for (part, why), size in sizes.items()]
        yield table([("unallocated", "in", "why"), *rows])


def checks(name: str, report: Report) -> str:
    """Everything `image verify` says."""
    lines = []
    for finding in report.findings:
        place = finding.place
        inside = report.seen.table.named(place.part)
        where = f"{place.part}, bytes {place.start - (inside.start if inside else 0)}"
        where += f" to {place.end - (inside.start if inside else 0)}"
        lines.append(f"{_coloured(finding.severity)} {where}: {finding.what}")
        if finding.advice:
            lines.append(f"    {finding.advice}")
    if lines:
        lines.append("")
    lines += [*_totals(report.regions), ""]
    lines += [f"not promised: {limit}" for limit in report.limits]
    return "\n".join([*lines, "", f"{name}: {_verdict(report)}"])


def _verdict(report: Report) -> str:
    errors, warnings = (
        sum(f.severity is severity for f in report.findings)
        for severity in (Severity.ERROR, Severity.WARNING)
    )
    counts = [_count(errors, "error"), _count(warnings, "warning")]
    found = " and ".join(word for word in counts if word)
    size = sum(each.size for each in report.unchecked)
    if size:
        return f"{found or 'nothing wrong found'}, but {size} bytes could not be checked"
    return found or "sound"


def _count(number: int, word: str) -> str:
    return "" if not number else f"{number} {word}{'s' if number > 1 else ''}"


def _totals(regions: Sequence[Region]) -> Iterator[str]:
    rows = []
    for state in State:
        size = sum(r.end - r.start for r in regions if r.state is state)
        if size:
            reasons = sorted({r.by for r in regions if r.state is state})
            rows.append((human_size(size), state.value, ", ".join(reasons)))
    if rows:
        yield table(rows)


def _coloured(severity: Severity) -> str:
    if not wants_colour(sys.stdout):
        return f"{severity.value}:"
    return f"\x1b[{_COLOURS[severity]}m{severity.value}:\x1b[0m"
