"""Unified kernel images on an EFI system partition: structure, CheckSum, command lines, policy."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError
from kiwilite.inspect.cmdline import ignored
from kiwilite.inspect.findings import Finding, Place, error, note, warning
from kiwilite.inspect.policy import BadPolicy, Policy, read_initrd
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition
from kiwilite.ondisk import fat, pe
from kiwilite.trust import authenticode

_SECTION: Final = struct.Struct("<8sIIIIIIHHI")
_REBUILD: Final = "build or flash the image anew"
_OTHERWISE: Final = "take it off the command line, or build an image whose policy has it"


@dataclass(frozen=True, slots=True)
class EfiFile:
    """A PE image on an EFI system partition, and where its bytes stand."""

    partition: Partition
    path: str
    raw: bytes
    runs: tuple[tuple[int, int], ...]
    """Ranges of the disk, in the file's order."""

    def places(self, start: int, end: int) -> Iterator[Place]:
        """Where bytes of the file stand on the disk."""
        at = 0
        for low, high in self.runs:
            a, b = max(start, at), min(end, at + high - low)
            if a < b:
                yield Place(self.partition.name, low + a - at, low + b - at)
            at += high - low

    def place(self, start: int = 0, end: int | None = None) -> Place:
        """The first of these places; the whole file without an end."""
        stop = len(self.raw) if end is None else end
        found = list(self.places(start, stop))
        return (
            Place(self.partition.name, found[0].start, found[-1].end)
            if found
            else Place(self.partition.name, self.partition.start, self.partition.end)
        )


@dataclass(frozen=True, slots=True)
class Profile:
    """A boot entry; an image without profiles has one, with an empty id and title."""

    number: int
    id: str
    title: str
    cmdline: str

    def argument(self, name: str) -> str | None:
        """The value of a kernel argument, the last one where it stands there twice."""
        words = [w.partition("=")[2] for w in self.cmdline.split() if w.startswith(f"{name}=")]
        return words[-1] if words else None


@dataclass(frozen=True, slots=True)
class BootImage:
    """A unified kernel image. `policy` is None where its initrd has none that can be read."""

    file: EfiFile
    sections: tuple[pe.Section, ...]
    profiles: tuple[Profile, ...]
    uname: str
    os_name: str
    is_signed: bool
    policy: Policy | None
    key_files: dict[str, bytes]
    """Keys that travel in the initrd, by path."""

    def section(self, name: str) -> bytes:
        """The content of the first section of that name."""
        return next((s.data for s in self.sections if s.name == name), b"")


def efi_files(disk: Disk, partition: Partition, volume: fat.Fat) -> tuple[EfiFile, ...]:
    """The files of a FAT that end in .efi."""

    def read(at: int, length: int) -> bytes:
        return disk.read(partition.start + at, length)

    return tuple(
        EfiFile(
            partition,
            file.path,
            volume.content(file, read),
            tuple((partition.start + a, partition.start + b) for a, b in volume.runs(file)),
        )
        for file in volume.files
        if not file.is_folder and file.path.lower().endswith(".efi")
    )


def boot_image(file: EfiFile) -> BootImage | None:
    """The unified kernel image in a file; None where it is something else. Raises pe.BadPe."""
    sections = pe.sections(file.raw)
    if not any(s.name == ".linux" for s in sections):
        return None
    policy, keys = None, {}
    try:
        initrd = read_initrd(next((s.data for s in sections if s.name == ".initrd"), b""))
        policy = initrd.policy()
        keys = {f"/{k.lstrip('/')}": initrd.files[k.lstrip("/")] for k in policy.embedded_keys}
    except BadPolicy:
        pass  # `check` says so
    os_release = next((s.data for s in sections if s.name == ".osrel"), b"")
    rows = dict(
        line.split("=", 1)
        for line in os_release.decode("utf-8", "replace").splitlines()
        if "=" in line
    )
    return BootImage(
        file=file,
        sections=sections,
        profiles=tuple(_profiles(sections)),
        uname=_text(next((s.data for s in sections if s.name == ".uname"), b"")),
        os_name=rows.get("PRETTY_NAME", "").strip("\"'"),
        is_signed=bool(authenticode.table_of(file.raw)[1]),
        policy=policy,
        key_files=keys,
    )


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace").rstrip("\0\n")


def _profiles(sections: tuple[pe.Section, ...]) -> Iterator[Profile]:
    """systemd-stub's rule: sections behind a .profile belong to it and replace the base's."""
    parts: list[list[pe.Section]] = [[]]
    for section in sections:
        if section.name == ".profile":
            parts.append([])
        parts[-1].append(section)
    base = next((_text(s.data) for s in parts[0] if s.name == ".cmdline"), "")
    for number, part in enumerate(parts[1:] or [[]]):
        head = _text(part[0].data) if part else ""
        fields = dict(row.split("=", 1) for row in head.split("\n") if "=" in row)
        line = next((_text(s.data) for s in part if s.name == ".cmdline"), base)
        yield Profile(number, fields.get("ID", ""), fields.get("TITLE", ""), line)


def check_pe(file: EfiFile) -> Iterator[Finding]:
    """Headers, sections, CheckSum and signature of any PE image."""
    try:
        sections = list(raw_sections(file.raw))
        stored, wanted = pe.stored_checksum(file.raw), pe.checksum(file.raw)
        signers = authenticode.verify(file.raw)
    except authenticode.UnknownSignature as problem:
        what = f"{file.path} is signed, which cannot be checked here: {problem.message}"
        yield note(file.place(), what, "sbverify, or the firmware, may know how")
        signers = ()
    except authenticode.BadAuthenticode as problem:
        yield error(file.place(), f"{file.path}: {problem.message}", _REBUILD)
        return
    except (KiwiliteError, struct.error) as problem:
        yield error(file.place(), f"{file.path}: {problem}", _REBUILD)
        return
    for signer in signers:
        what = f"{file.path} is signed by {signer.subject}, and the signature holds"
        yield note(file.place(), what, "whether to trust that signer is yours to know")
    # Who signs after the sum was made need not renew it: the signature covers more.
    if stored and stored != wanted and not signers:
        what = f"{file.path}: the CheckSum is {wanted:#010x}, the header says {stored:#010x}"
        yield error(file.place(), what, _REBUILD)
    elif not stored and not signers:
        yield note(file.place(), f"{file.path} has no CheckSum: only the seal covers it")
    last = 0
    for name, start, end, used in sorted(sections, key=lambda row: row[1]):
        if start < last or end > len(file.raw):
            yield error(file.place(start, end), f"{file.path}: section {name} lies amiss", _REBUILD)
        if file.raw[start + used : end].strip(b"\0"):
            place = file.place(start + used, end)
            yield warning(place, f"{file.path}: something stands behind section {name}")
        last = end


def raw_sections(raw: bytes) -> Iterator[tuple[str, int, int, int]]:
    """Name, start and end in the file, and bytes in use of each section."""
    header = int.from_bytes(raw[0x3C:0x40], "little")
    count, optional = struct.unpack_from("<H12xH", raw, header + 6)
    for number in range(count):
        at = header + 24 + optional + number * _SECTION.size
        name, size, _, length, start, *_ = _SECTION.unpack_from(raw, at)
        if length:
            text = name.rstrip(b"\0").decode("ascii", "backslashreplace")
            yield text, start, start + length, min(size, length)


def check_policy(image: BootImage, partitions: Sequence[Partition]) -> Iterator[Finding]:
    """What the command lines and the policy say of each other; `partitions` are the disk's."""
    place, path = image.file.place(), image.file.path
    if image.policy is None:
        message = f"{path}: its initrd has no policy that can be read"
        yield error(_initrd_place(image), message, "what the image boots cannot be checked")
        return
    root = next((v for v in image.policy.verity if v.mountpoint == "/"), None)
    for profile in image.profiles:
        said = profile.argument("roothash")
        name = profile.id or "the only one"
        if root is not None and said != root.root_hash:
            yield error(
                _cmdline_place(image, profile.number),
                f"{path}: the command line of boot profile {name} says roothash={said},"
                f" the policy {root.root_hash}",
                _REBUILD,
            )
        for words in ignored(profile.cmdline, image.policy, partitions):
            what = f"{path}: the boot ignores what profile {name} has on its command line: {words}"
            yield warning(_cmdline_place(image, profile.number), what, _OTHERWISE)
    if image.policy.embedded_keys:
        yield note(
            place,
            "the overlay's passphrase stands in the initrd: whoever has the image can read"
            " and write the overlay",
            "a device in the field takes its key from a TPM",
        )


def _initrd_place(image: BootImage) -> Place:
    return _section_place(image, ".initrd", 0)


def _cmdline_place(image: BootImage, number: int) -> Place:
    return _section_place(image, ".cmdline", number)


def _section_place(image: BootImage, name: str, number: int) -> Place:
    rows = [row for row in raw_sections(image.file.raw) if row[0] == name]
    if not rows:
        return image.file.place()
    _, start, _, used = rows[min(number, len(rows) - 1)]
    return image.file.place(start, start + used)
