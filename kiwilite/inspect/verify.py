"""Is an image sound? Every check, each byte accounted for, and what cannot be promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiwilite.errors import KiwiliteError
from kiwilite.inspect import checkers, journal, volume
from kiwilite.inspect.allocation import mark_rest
from kiwilite.inspect.checked import Checked, Scope, joined
from kiwilite.inspect.content import (
    MARK_BYTES,
    BiosBoot,
    Ext4,
    FatVolume,
    Luks,
    Mark,
    Squashfs,
    Unknown,
    Xfs,
    Zeros,
    first_not_zero,
)
from kiwilite.inspect.findings import Finding, Place, Severity, error, note, warning
from kiwilite.inspect.hashes import check_metadata, check_verity
from kiwilite.inspect.limits import limits
from kiwilite.inspect.look import Holding, Seen, look
from kiwilite.inspect.regions import Region, State, region_map
from kiwilite.inspect.seals import Mismatch, compare
from kiwilite.inspect.source import Disk, scratch_folder
from kiwilite.inspect.table import Partition
from kiwilite.inspect.verdict import Unchecked, Verdict, unchecked, verdict
from kiwilite.inspect.volume import Key
from kiwilite.ondisk import gpt, seal
from kiwilite.ondisk.luks2.volume import DATA_OFFSET

GAP: Final = "gap"


@dataclass(frozen=True, slots=True)
class Report:
    """Findings by place, a map of the whole disk, and what soundness does not mean."""

    seen: Seen
    findings: tuple[Finding, ...]
    regions: tuple[Region, ...]
    limits: tuple[str, ...]
    unchecked: tuple[Unchecked, ...] = ()
    """Of a whole check: bytes in use that nothing vouches for."""

    @property
    def verdict(self) -> Verdict:
        """All of it in a word."""
        return verdict(self.findings, self.unchecked)


@dataclass(frozen=True, slots=True)
class Given:
    """What came with the image: keys to try on its volumes, a certificate for the metadata."""

    keys: tuple[Key, ...] = ()
    certificate: bytes | None = None


def verify(disk: Disk, given: Given, scope: Scope | None = None) -> Report:
    """Check an image. Raises NoTable where there is no partition table to start from.

    With a `scope`, work that reads much is done there only; the map is then no statement
    about the rest.
    """
    seen = look(disk)
    wanted = scope or Scope(0, disk.size)
    with scratch_folder() as scratch:
        verity = _verity(seen, given, wanted)
        contents = [
            _contents(seen, h, given, wanted, scratch) for h in seen.holdings
        ]  # fmt: skip
    checked = joined([seen.checked, verity, *contents, _gaps(seen), _boot(seen)])
    strong = [c for c in verity.claims if c.state is State.CHECKED]
    changed, claims = compare(disk, seen.seal, strong, wanted)
    findings = [*checked.findings, *_changes(seen, changed, checked.findings)]
    regions = region_map([*checked.claims, *claims, *_in_use(seen)], disk.size)
    left_open = tuple(unchecked(regions)) if scope is None else ()
    findings += [each.note() for each in left_open]
    findings.sort(key=lambda f: (f.place.start, f.place.end, f.severity.value))
    return Report(seen, tuple(dict.fromkeys(findings)), regions, tuple(limits(seen)), left_open)


def _verity(seen: Seen, given: Given, scope: Scope) -> Checked:
    """Every verity device that a policy names."""
    parts: list[Checked] = []
    for record in seen.verity():
        data = seen.table.by_guid(record.partuuid)
        hashes = seen.table.by_guid(record.hash_partuuid)
        if data is None or hashes is None:
            image = seen.images[0].file.place()
            lacking = record.partuuid if data is None else record.hash_partuuid
            what = f"the policy names the partition {lacking}, which is not there"
            parts.append(Checked((error(image, what, "the image will not boot"),)))
            continue
        parts.append(check_verity(seen.disk, data, hashes, record, scope))
        if record.metadata_offset is not None:
            parts.append(check_metadata(seen.disk, data, hashes, record, given.certificate))
    return joined(parts)


def _boot(seen: Seen) -> Checked:
    """An EFI system partition has a boot image; else nothing says what should be on the disk."""
    findings: list[Finding] = []
    for holding in seen.holdings:
        if holding.partition.type_guid != gpt.ESP:
            continue
        place = holding.partition.whole()
        if isinstance(holding.content, Unknown):
            what = f"the EFI system partition cannot be read: {holding.content.problem}"
            findings.append(error(place, what, "the image will not boot"))
        elif not any(i.file.partition == holding.partition for i in seen.images):
            what = "no unified kernel image is here: nothing tells what the disk should hold"
            findings.append(warning(place, what))
    return Checked(tuple(findings))


def _contents(seen: Seen, holding: Holding, given: Given, scope: Scope, scratch: Path) -> Checked:
    """A partition by what is in it."""
    partition, content = holding.partition, holding.content
    if isinstance(content, Luks):
        return _volume(seen, partition, given, scope, scratch)
    if isinstance(content, Mark):
        return _mark(seen, holding, content)
    if isinstance(content, Zeros):
        claim = Region(partition.start, partition.end, State.CHECKED, partition.name, "zeros")
        return joined([Checked((), (claim,)), _missing_volume(seen, partition)])
    if isinstance(content, Unknown | BiosBoot):
        return _missing_volume(seen, partition)
    if not scope.touches(partition.start, partition.end) or isinstance(content, FatVolume):
        return Checked()
    return _file_system(seen, holding, scratch)


def _file_system(seen: Seen, holding: Holding, scratch: Path) -> Checked:
    partition, content, disk = holding.partition, holding.content, seen.disk
    place = partition.whole()
    if isinstance(content, Squashfs):
        pieces = disk.pieces
        if len(pieces) == 1:
            return Checked(tuple(checkers.check_squashfs(pieces[0].path, partition.start, place)))
        copy = disk.extract(partition.start, content.superblock.bytes_used, scratch / "squashfs")
        return Checked(tuple(checkers.check_squashfs(copy, 0, place)))
    copy = disk.extract(partition.start, partition.size, scratch / "filesystem")
    if isinstance(content, Ext4):
        findings = checkers.check_ext4(copy, place)
    elif isinstance(content, Xfs):
        findings = checkers.check_xfs(copy, place)
    else:
        findings = []
    copy.unlink()
    return Checked(tuple(findings))


def _missing_volume(seen: Seen, partition: Partition) -> Checked:
    """A partition that should be a volume or await becoming one, and is neither."""
    record = seen.volume_of(partition)
    if record is None:
        return Checked()
    what = "neither a LUKS2 volume nor a provisioning mark stands here"
    advice = "the boot will refuse it; flash the image anew"
    return Checked((error(partition.place(0, 65536), what, advice),))


def _mark(seen: Seen, holding: Holding, content: Mark) -> Checked:
    partition = holding.partition
    place = partition.place(0, MARK_BYTES)
    record = seen.volume_of(partition)
    mark = Region(place.start, place.end, State.CHECKED, partition.name, "provisioning mark")
    if content.volume_id is None:
        what = "the provisioning mark is damaged"
        found = error(place, what, "the boot will refuse it; flash the image anew")
    elif record is None or record.volume_id != content.volume_id:
        what = f"the provisioning mark of {content.volume_id} is not what the policy names"
        found = error(place, what, "it belongs to another image; the boot will refuse it")
    else:
        found = note(place, "awaits its first boot, which makes the volume")
    return Checked((found,), (mark, mark_rest(holding)))


def _volume(seen: Seen, partition: Partition, given: Given, scope: Scope, scratch: Path) -> Checked:
    disk = seen.disk
    copies = volume.read_headers(disk, partition)
    try:
        header = copies.best
    except KiwiliteError as problem:
        advice = "the volume key is in it: without a backup of the header all is lost"
        return Checked((error(partition.place(0, 32768), problem.message, advice),))
    record = seen.volume_of(partition)
    found, problems = volume.opened(disk, partition, header)
    findings = [*volume.check_headers(partition, copies), *problems]
    findings += volume.check_state(found, str(record.volume_id) if record else None)
    if found.geometry is not None:
        findings += journal.check_journal(disk, partition, found.geometry, found.flags)
        if found.pending:
            findings.append(journal.tell_pending(partition, found.geometry, found.pending))
    keys = [*given.keys, *_embedded(seen)]
    volume_key, slots = volume.unlock(disk, found, keys)
    parts = [Checked(tuple(findings), tuple(volume.header_claims(found, slots)))]
    if volume_key is None:
        missing = volume.no_key(found) if not keys else _no_key_fits(found)
        parts.append(Checked((missing,), tuple(volume.closed_claims(found))))
    elif found.encryption is not None:
        parts.append(_inside(disk, found, volume_key, scope, scratch))
    return joined(parts)


def _embedded(seen: Seen) -> Iterator[Key]:
    for image in seen.images:
        for path, content in image.key_files.items():
            yield Key(f"{image.file.path}: {path}", content)


def _no_key_fits(found: volume.Opened) -> Finding:
    place = found.partition.place(32768, DATA_OFFSET)
    advice = "a key file counts with every byte of it; or the keyslots are damaged"
    return error(place, "none of the keys opens the volume", advice)


def _inside(
    disk: Disk, found: volume.Opened, volume_key: bytes, scope: Scope, scratch: Path
) -> Checked:
    """The sectors, and when all of them are read, the file system that they make."""
    assert found.geometry is not None
    whole = scope.start <= found.partition.start and found.partition.end <= scope.end
    target = None
    if whole:
        target = scratch / f"volume-{found.partition.number}"
        with target.open("wb") as stream:
            stream.truncate(found.geometry.provided_bytes)
    checked = volume.check_sectors(disk, found, volume_key, scope, target)
    if target is None or checked.findings:
        return checked
    with target.open("rb") as stream:
        head = stream.read(2048)
    findings: list[Finding] = []
    if head[:4] == b"XFSB":
        findings = checkers.check_xfs(target, found.partition.whole())
    elif head[1080:1082] == b"\x53\xef":
        findings = checkers.check_ext4(target, found.partition.whole())
    else:
        findings.append(warning(found.partition.whole(), "no file system in the volume"))
    target.unlink()
    return joined([checked, Checked(tuple(findings))])


def gaps(seen: Seen) -> Iterator[Place]:
    """What is neither partition nor table nor seal."""
    taken = [(0, seen.table.sector)]
    taken += [(a.start, a.end) for a in seen.table.areas]
    taken += [(p.start, p.end) for p in seen.table.partitions]
    taken.append((seal.OFFSET, seen.seal.end))
    at = 0
    for start, end in sorted(taken):
        if start > at:
            yield Place(GAP, at, start)
        at = max(at, end)
    if at < seen.disk.size:
        yield Place(GAP, at, seen.disk.size)


def _gaps(seen: Seen) -> Checked:
    findings: list[Finding] = []
    claims: list[Region] = []
    for gap in gaps(seen):
        claims.append(Region(gap.start, gap.end, State.CHECKED, GAP, "zeros"))
        at = first_not_zero(seen.disk, gap.start, gap.end)
        if at is not None:
            what = "something stands where no partition is"
            findings.append(warning(Place(GAP, at, min(at + 512, gap.end)), what))
    return Checked(tuple(findings), tuple(claims))


def _changes(
    seen: Seen, changed: Sequence[Mismatch], others: Sequence[Finding]
) -> Iterator[Finding]:
    """What a difference from the seal means: damage, or that a writable partition was written."""
    for name, start, end in changed:
        partition = seen.table.named(name)
        place = Place("MBR" if name.startswith(seal.MBR) else name, start, end)
        content = seen.content(partition) if partition else None
        writable = isinstance(content, Ext4 | Xfs | Luks | FatVolume) or name == seal.MBR_ENTRIES
        damaged = any(
            f.severity is Severity.ERROR and partition is not None
            and f.place.overlaps(partition.start, partition.end)
            for f in others
        )  # fmt: skip
        if writable and not damaged:
            what = "changed since it was built"
            yield warning(place, what, "as it should be, if the image has run")
        else:
            yield error(place, "not what was built", "build or flash the image anew")


def _in_use(seen: Seen) -> Iterator[Region]:
    """What is left of the partitions when no check has claimed it."""
    for holding in seen.holdings:
        p, kind = holding.partition, type(holding.content).__name__
        yield Region(p.start, p.end, State.UNCHECKED, p.name, f"content ({kind})")
