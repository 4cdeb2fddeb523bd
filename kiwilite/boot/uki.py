"""Unified kernel images: an EFI stub with kernel, initrd and command lines as PE sections.

Base sections, in this order: .osrel .cmdline .uname .linux .initrd. With more than
one boot profile each profile follows, starting with its .profile section, which also
ends the one before: profile 0 has only that (its command line is the base's), every
other profile has .profile and .cmdline. The stub takes the base sections and lets
those of the chosen profile replace them; .profile itself counts as one of the
profile's sections. Stubs before version 257 know no profiles, so they could not tell
the command lines apart, and `assemble` refuses them.

Which profile boots (systemd 257):

- The stub reads its load options. If they start with "@", a decimal number, and then
  end or go on after exactly one space, that number is the profile and this prefix is
  cut off. What is left, if anything, replaces .cmdline, but only while Secure Boot is
  off. Without "@N" it is profile 0. A number without a profile is an error, no boot.
- systemd-boot makes one menu entry of each profile of EFI/Linux/NAME.efi and passes
  "@N" for N > 0. The entry's id is the file name for profile 0, and FILE@ID for others
  (ID from .profile, else the number), all in lower case: `entry_id`. LoaderEntryOneShot
  and LoaderEntryDefault hold an id as a shell pattern, UTF-16 with a NUL.
- A boot counter in the file name ("NAME+3.efi") breaks this: the ids of all profiles
  become "NAME.efi", so none can be chosen by id, and the order of the entries changes,
  so that profile 1 was booted by default (seen with 257.13). Never give a boot counter
  to an image with several profiles.

What profiles change in measurements: PCR 11 has the chosen profile's effective sections
(`profile_sections`), .profile included even for profile 0. PCR 12 has the load options,
as systemd-boot measures them ("@N"), then a tagged event 0x13aed6db over the number as
UTF-16 text, for N > 0. PCR 9 has one more cpio, .extra/profile, in the initrd.

Sources: systemd-stub(7) "Multi-profile UKIs", systemd-boot's and the stub's behaviour in
version 257, UAPI.5 Unified Kernel Image. ukify lays out the same sections.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk import pe
from kiwilite.ondisk.pe import Section

FIRST_STUB_WITH_PROFILES: Final = 257
MAX_PROFILES: Final = 256
# COMMAND_LINE_SIZE on x86 is 2048 with the NUL; the kernel cuts off the rest in silence.
MAX_CMDLINE: Final = 2047

# Not more than this, as systemd-boot folds case and matches ids as shell patterns.
_ID: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_FILE_NAME: Final = re.compile(r"[^/\\]+\.efi", re.IGNORECASE)
_BOOT_COUNTER: Final = re.compile(r"\+\d+(-\d+)?\.efi$", re.IGNORECASE)
_STUB_VERSION: Final = re.compile(rb"LoaderInfo: systemd-stub (\d{1,6})")


class BadUki(KiwiliteError):
    """The parts do not make a unified kernel image, or an image is not one."""


@dataclass(frozen=True, slots=True)
class UkiProfile:
    """One way to boot: `id` for machines, `title` for the menu, `cmdline` for the kernel."""

    id: str
    title: str
    cmdline: str


@dataclass(frozen=True, slots=True)
class Uki:
    """What goes into the image; the first of `profiles` is the default.

    `linux` is the bzImage, `uname` the kernel release (`uname -r`). With a single
    profile its id and title are not written: `read` gives them back empty.
    """

    linux: bytes
    initrd: bytes
    os_release: bytes
    uname: str
    profiles: tuple[UkiProfile, ...]


def assemble(stub: bytes, uki: Uki) -> bytes:
    """The image: `stub` (linuxx64.efi.stub of systemd) with the sections of `uki`.

    Raises BadUki for profiles that cannot be booted as given, pe.NoSectionSlot if the
    stub has no room for so many, pe.BadPe for a stub or kernel that is no PE image.
    """
    _check(uki)
    if len(uki.profiles) > 1 and stub_version(stub) < FIRST_STUB_WITH_PROFILES:
        raise BadUki(
            f"the EFI stub (version {stub_version(stub)}) knows no boot profiles",
            hint=f"take the stub of systemd {FIRST_STUB_WITH_PROFILES} or later",
        )
    # The stub starts the kernel in its own image: a firmware that enforces NX must not
    # be told that both can do it if the kernel cannot.
    keep_nx = pe.dll_characteristics(uki.linux) & pe.DLL_NX_COMPAT
    image = pe.append(
        stub, tuple(_sections(uki)), clear_dll_characteristics=0 if keep_nx else pe.DLL_NX_COMPAT
    )
    # Nothing else tells of a flipped bit in an image that is not signed.
    return pe.with_checksum(image)


def _sections(uki: Uki) -> Iterator[Section]:
    default, *others = uki.profiles
    yield Section(".osrel", uki.os_release)
    yield Section(".cmdline", default.cmdline.encode())
    yield Section(".uname", uki.uname.encode())
    yield Section(".linux", uki.linux, pe.CODE)
    yield Section(".initrd", uki.initrd)
    if others:
        yield _profile_section(default)
    for profile in others:
        yield _profile_section(profile)
        yield Section(".cmdline", profile.cmdline.encode())


def _profile_section(profile: UkiProfile) -> Section:
    return Section(".profile", f"ID={profile.id}\nTITLE={profile.title}\n".encode())


def _check(uki: Uki) -> None:
    if not 1 <= len(uki.profiles) <= MAX_PROFILES:
        raise BadUki(f"{len(uki.profiles)} boot profiles given, 1 to {MAX_PROFILES} are possible")
    if not re.fullmatch(r"[!-~]+", uki.uname):
        raise BadUki(f"{uki.uname!r} is no kernel release")
    for name, content in (("kernel", uki.linux), ("os-release file", uki.os_release)):
        if not content:
            raise BadUki(f"the {name} is empty")
    seen: set[str] = set()
    for profile in uki.profiles:
        _check_cmdline(profile)
        if len(uki.profiles) == 1:
            continue
        if not _ID.fullmatch(profile.id) or profile.id in seen:
            raise BadUki(
                f"{profile.id!r} is no usable profile id",
                where=f"boot profile {profile.title!r}",
                hint="lower case letters, digits, '.', '_', '-', and each id once",
            )
        seen.add(profile.id)
        title = profile.title
        if not title.isprintable() or not title or title != title.strip(" \"'"):
            raise BadUki(
                f"{title!r} cannot be a title in the boot menu",
                where=f"boot profile {profile.id!r}",
                hint="no line breaks; no quotes or blanks around it",
            )


def _check_cmdline(profile: UkiProfile) -> None:
    cmdline = profile.cmdline
    where = f"boot profile {profile.id!r}"
    if not cmdline.isprintable():
        raise BadUki("the kernel command line has unprintable characters in it", where=where)
    if (size := len(cmdline.encode())) > MAX_CMDLINE:
        raise BadUki(
            f"the kernel command line has {size} bytes",
            where=where,
            hint=f"the kernel would cut it off after {MAX_CMDLINE}",
        )
    if not cmdline.strip():
        # Then the stub would take a command line from whoever starts it.
        raise BadUki("the kernel command line is empty", where=where)


def stub_version(image: bytes) -> int:
    """The systemd version of a stub or an image built on it; 0 if it does not say."""
    for section in pe.sections(image):
        if section.name == ".sdmagic" and (found := _STUB_VERSION.search(section.data)):
            return int(found[1])
    return 0


def entry_id(file_name: str, profile: UkiProfile, number: int) -> str:
    """systemd-boot's id for profile `number` of EFI/Linux/`file_name`.

    This is what LoaderEntryOneShot takes. Raises BadUki for a file that systemd-boot
    would not list under such an id: not *.efi, or with a boot counter.
    """
    if not _FILE_NAME.fullmatch(file_name) or _BOOT_COUNTER.search(file_name):
        raise BadUki(
            f"{file_name!r} is no name for an image with boot profiles",
            hint="NAME.efi, without a boot counter such as '+3'",
        )
    return (f"{file_name}@{profile.id}" if number else file_name).lower()


def sections_of(image: bytes) -> tuple[Section, ...]:
    """All sections of the image in order, those of the stub first. Raises pe.BadPe."""
    return pe.sections(image)


def profile_sections(image: bytes, number: int = 0) -> dict[str, bytes]:
    """The sections in effect when profile `number` is booted, by name.

    An image without .profile sections has profile 0 only. Raises BadUki if there is no
    such profile.
    """
    base, *profiles = _split(sections_of(image))
    if number not in range(max(len(profiles), 1)):
        raise BadUki(f"the image has no boot profile {number}")
    own = profiles[number] if profiles else []
    # Where a name is there twice in one part the stub takes the first.
    return {section.name: section.data for part in (base, own) for section in reversed(part)}


def _split(sections: tuple[Section, ...]) -> list[list[Section]]:
    """The base sections, then those of each profile."""
    parts: list[list[Section]] = [[]]
    for section in sections:
        if section.name == ".profile":
            parts.append([])
        parts[-1].append(section)
    return parts


def read(image: bytes) -> Uki:
    """The parts of an image; the inverse of `assemble`. Raises BadUki or pe.BadPe."""
    count = max(1, sum(section.name == ".profile" for section in sections_of(image)))
    base = profile_sections(image, 0)
    try:
        return Uki(
            linux=base[".linux"],
            initrd=base[".initrd"],
            os_release=base[".osrel"],
            uname=base[".uname"].decode(),
            profiles=tuple(_read_profile(profile_sections(image, n)) for n in range(count)),
        )
    except KeyError as error:
        raise BadUki(f"the image has no section {error.args[0]}") from error
    except UnicodeDecodeError as error:
        raise BadUki("a text section is not UTF-8") from error


def _read_profile(effective: dict[str, bytes]) -> UkiProfile:
    fields = dict(
        line.split("=", 1)
        for line in effective.get(".profile", b"").decode().split("\n")
        if "=" in line
    )
    return UkiProfile(fields.get("ID", ""), fields.get("TITLE", ""), effective[".cmdline"].decode())
