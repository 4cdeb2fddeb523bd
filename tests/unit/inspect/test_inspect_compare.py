"""Two images with one planted difference: its part, its file, its bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import compared_disk
import pytest
import volume_disk
from compared_disk import TOOLS
from synthetic_disk import MIB

from kiwilite.errors import HostError
from kiwilite.inspect import tools
from kiwilite.inspect.compare import MOST, Comparison, PartDifference, compare
from kiwilite.inspect.difference import Difference
from kiwilite.inspect.source import opened
from kiwilite.ondisk import seal

pytestmark = pytest.mark.skipif(
    any(shutil.which(t, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None for t in TOOLS),
    reason=f"one of {', '.join(TOOLS)} is not installed",
)


def compared(one: Path, other: Path, fresh: frozenset[str] = frozenset()) -> Comparison:
    with opened(one) as disk, opened(other) as disk_other:
        return compare(disk, disk_other, fresh=fresh)


def only_part(found: Comparison) -> PartDifference:
    (part,) = found.parts
    return part


def only(found: Comparison) -> Difference:
    (difference,) = only_part(found).named
    return difference


def changed(path: Path, *offsets: int) -> Path:
    """A copy in which these bytes are others."""
    copy = path.with_suffix(".changed")
    shutil.copyfile(path, copy)
    with copy.open("r+b") as out:
        for offset in offsets:
            out.seek(offset)
            byte = out.read(1)[0]
            out.seek(offset)
            out.write(bytes([byte ^ 0x20]))
    return copy


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with everything in it but an encrypted volume."""
    folder = tmp_path_factory.mktemp("plain")
    return compared_disk.make(
        folder / "disk.raw",
        {
            "p.legacy": None,
            "p.UEFI": compared_disk.esp(folder / "esp", {"NOTES.TXT": b"some notes\n" * 600}),
            "home": compared_disk.ext4(folder / "ext4"),
            "data": compared_disk.xfs(folder / "xfs"),
            "p.lxreadonly": compared_disk.squashfs(folder / "squashfs"),
        },
    )


def start(disk: Path, name: str) -> int:
    """Where a partition begins."""
    from kiwilite.inspect.look import look

    with opened(disk) as image:
        found = look(image).table.named(name)
    assert found is not None
    return found.start


def offset_of(disk: Path, words: bytes, behind: int = 0) -> int:
    return disk.read_bytes().index(words, behind)


## The same


def test_an_image_and_its_copy_are_the_same_wherever_the_holes_are(
    plain: Path, tmp_path: Path
) -> None:
    filled = tmp_path / "filled.raw"
    filled.write_bytes(plain.read_bytes())
    assert filled.stat().st_blocks > plain.stat().st_blocks
    assert compared(plain, filled) == Comparison((plain.stat().st_size,) * 2, ())


def test_holes_are_not_read(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path, last in ((one, b"a"), (other, b"b")):
        with path.open("wb") as out:
            out.seek((1 << 40) - 1)  # reading a terabyte would take all day
            out.write(last)
    found = only(compared(one, other))
    assert (found.at, found.one, found.other) == ((1 << 40) - 1, b"a", b"b")


## Squashfs


def relinked(path: Path) -> None:
    path.unlink()
    path.symlink_to("issue")


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


CHANGES: tuple[tuple[str, str, Callable[[Path], object]], ...] = (
    ("/etc/motd", "mode 644 and 600", lambda f: (f / "etc/motd").chmod(0o600)),
    ("/etc/motd", "time 1700000000 and 1600000000",
     lambda f: os.utime(f / "etc/motd", (1_600_000_000,) * 2)),
    ("/etc/link", "target motd and issue",
     lambda f: relinked(f / "etc/link")),
    ("/etc/new", "only in the second", lambda f: (f / "etc/new").touch()),
    ("/etc/with space", "only in the first", lambda f: (f / "etc/with space").unlink()),
    ("/usr/file03", "size 2 and 5", lambda f: (f / "usr/file03").write_text("more\n")),
    ("/usr/file03", "kind file and folder",
     lambda f: made_a_folder(f / "usr/file03")),
)  # fmt: skip


@pytest.mark.parametrize(("path", "what", "change"), CHANGES, ids=[w for _, w, _ in CHANGES])
def test_an_attribute_of_a_file_in_a_squashfs(
    tmp_path: Path, path: str, what: str, change: Callable[[Path], object]
) -> None:
    one = compared_disk.make(tmp_path / "one", {"root": compared_disk.squashfs(tmp_path / "a")})
    other = compared_disk.make(
        tmp_path / "other", {"root": compared_disk.squashfs(tmp_path / "b", change)}
    )
    named = only_part(compared(one, other)).named
    assert (path, what) in [(d.path, d.what) for d in named]
    assert {d.path for d in named} == {path}


def test_the_owner_of_files_in_a_squashfs(tmp_path: Path) -> None:
    made = [
        compared_disk.squashfs(tmp_path / name, compared_disk.nothing, "-force-uid", owner)
        for name, owner in (("a", "0"), ("b", "7"))
    ]
    one, other = (compared_disk.make(m.with_suffix(".raw"), {"root": m}) for m in made)
    part = only_part(compared(one, other))
    assert part.named[0].what == f"owner 0:{os.getgid()} and 7:{os.getgid()}"


def test_the_content_of_a_file_in_a_squashfs_with_its_first_differing_bytes(tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        text = (folder / "etc/motd").read_bytes()
        (folder / "etc/motd").write_bytes(text[:4242] + b"?" + text[4243:])

    one = compared_disk.make(tmp_path / "one", {"root": compared_disk.squashfs(tmp_path / "a")})
    other = compared_disk.make(
        tmp_path / "other", {"root": compared_disk.squashfs(tmp_path / "b", change)}
    )
    found = only(compared(one, other))
    text = b"Welcome to where you are.\n" * 400
    assert (found.part, found.path, found.what) == ("root", "/etc/motd", "content")
    assert (found.within, found.one, found.other[:1]) == (4242, text[4242:4258], b"?")
    assert found.at is not None
    assert one.read_bytes()[found.at] != other.read_bytes()[found.at]
    assert one.read_bytes()[: found.at] == other.read_bytes()[: found.at]


def test_files_beyond_the_first_are_counted(tmp_path: Path) -> None:
    def change(folder: Path) -> None:
        for path in (folder / "usr").iterdir():
            path.write_text(path.read_text().translate({10: "!"}))

    one = compared_disk.make(tmp_path / "one", {"root": compared_disk.squashfs(tmp_path / "a")})
    other = compared_disk.make(
        tmp_path / "other", {"root": compared_disk.squashfs(tmp_path / "b", change)}
    )
    part = only_part(compared(one, other))
    assert (len(part.named), part.further) == (MOST, 20 - MOST)


def test_the_time_in_the_superblock_of_a_squashfs(tmp_path: Path) -> None:
    one = compared_disk.make(tmp_path / "one", {"root": compared_disk.squashfs(tmp_path / "a")})
    late = compared_disk.squashfs(tmp_path / "b", compared_disk.nothing, "-mkfs-time", "1700000001")
    found = only(compared(one, compared_disk.make(tmp_path / "other", {"root": late})))
    assert (found.path, found.at) == ("superblock", MIB + 8)
    assert found.what == "time of making 1700000000 and 1700000001"


def test_a_squashfs_of_the_same_files_in_other_blocks(tmp_path: Path) -> None:
    one = compared_disk.make(tmp_path / "one", {"root": compared_disk.squashfs(tmp_path / "a")})
    other = compared_disk.squashfs(tmp_path / "b", compared_disk.nothing, "-no-fragments")
    found = only(compared(one, compared_disk.make(tmp_path / "other", {"root": other})))
    assert "the files are the same" in found.what


def test_a_squashfs_that_cannot_be_read_is_not_said_to_have_the_same_files(tmp_path: Path) -> None:
    one = compared_disk.make(tmp_path / "one", {"root": compared_disk.squashfs(tmp_path / "a")})
    broken = changed(one, *range(MIB + 96, MIB + 900))
    (found, *_) = only_part(compared(one, broken)).named
    assert found.what.startswith("content (unsquashfs")
    assert found.at == MIB + 96


def test_a_squashfs_without_files(tmp_path: Path) -> None:
    def empty(folder: Path) -> None:
        for path in folder.iterdir():
            shutil.rmtree(path)

    def narrow(folder: Path) -> None:
        empty(folder)
        folder.chmod(0o700)

    one, other = (
        compared_disk.make(
            tmp_path / f"{n}.raw", {"root": compared_disk.squashfs(tmp_path / n, change)}
        )
        for n, change in (("a", empty), ("b", narrow))
    )
    assert only(compared(one, other)).what == "mode 755 and 700"


def test_what_stands_behind_a_grown_partition_is_not_different(tmp_path: Path) -> None:
    def grow(folder: Path) -> None:
        (folder / "usr/noise").write_bytes(os.urandom(2 * MIB))

    notes = compared_disk.esp(tmp_path / "esp", {"A.TXT": b"a"})
    small, large = (compared_disk.squashfs(tmp_path / n, c) for n, c in
                    (("a", compared_disk.nothing), ("b", grow)))  # fmt: skip
    one = compared_disk.make(tmp_path / "one", {"root": small, "p.UEFI": notes})
    other = compared_disk.make(tmp_path / "other", {"root": large, "p.UEFI": notes})
    parts = {part.part: part for part in compared(one, other).parts}
    assert set(parts) == {"root", "MBR", "primary GPT", "backup GPT"}
    assert parts["root"].sizes == (MIB, 4 * MIB) or parts["root"].sizes == (MIB, 3 * MIB)
    assert ("/usr/noise", "only in the second") in [(d.path, d.what) for d in parts["root"].named]
    named = [d.path for d in parts["primary GPT"].named]
    assert {"entry 1 (root)", "entry 2 (p.UEFI)", "CRC32 of the entries"} <= set(named)


def test_without_the_tool_that_knows_the_files_the_bytes_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(name: str) -> str:
        raise HostError(f"{name} is not installed")

    one = compared_disk.make(tmp_path / "one", {"root": compared_disk.squashfs(tmp_path / "a")})
    monkeypatch.setattr(tools, "find", lacking)
    found = only(compared(one, changed(one, MIB + 200)))
    assert (found.at, found.what) == (MIB + 200, "content (unsquashfs is not installed)")


## ext4, XFS, FAT


def test_a_block_of_a_file_in_an_ext4(plain: Path) -> None:
    at = offset_of(plain, b"Welcome", start(plain, "home")) + 5000
    found = only(compared(plain, changed(plain, at)))
    assert (found.part, found.path, found.at) == ("home", "/etc/motd", at)


def test_the_superblock_of_an_ext4(plain: Path) -> None:
    at = start(plain, "home") + 1024 + 0x78  # the label
    found = only(compared(plain, changed(plain, at)))
    assert (found.part, found.path, found.at) == ("home", "superblock", at)


def test_a_block_of_a_file_in_an_xfs(plain: Path) -> None:
    at = offset_of(plain, b"in an XFS") + 9000
    found = only(compared(plain, changed(plain, at)))
    assert (found.part, found.path, found.at) == ("data", "/hello", at)


def test_the_headers_of_an_xfs(plain: Path) -> None:
    at = start(plain, "data") + 512 + 100
    found = only(compared(plain, changed(plain, at)))
    assert found.path == "AGF (free space) of allocation group 0"


def test_a_file_in_a_fat(plain: Path) -> None:
    at = offset_of(plain, b"some notes") + 3000
    found = only(compared(plain, changed(plain, at)))
    assert (found.path, found.within, found.at) == ("/NOTES.TXT", 3000, at)
    assert found.one == (b"some notes\n" * 600)[3000:3016]


def test_what_is_in_no_file_of_a_fat(plain: Path) -> None:
    esp = start(plain, "p.UEFI")
    entry = offset_of(plain, b"NOTES   TXT", esp) + 22  # the time of the last change
    named = only_part(compared(plain, changed(plain, esp + 43, entry, esp + 8 * MIB - 600))).named
    assert [d.path for d in named] == ["boot sectors", "entries of the folder /", "free clusters"]


## Tables, gaps, volumes


def test_boot_code_gap_and_seal(plain: Path) -> None:
    found = compared(plain, changed(plain, 3, 100_000, seal.OFFSET + 5))
    assert [(p.part, p.named[0].at) for p in found.parts] == [
        ("MBR", 3),
        ("gap before p.legacy, in front of the seal", 100_000),
        ("seal", seal.OFFSET + 5),
    ]
    assert found.parts[0].named[0].path == "boot code"


def sealed(plain: Path, target: Path, digests: dict[str, bytes]) -> Path:
    """A copy with a seal that has these digests of regions."""
    parts = (seal.Part(name, n << 20, 1 << 20, d) for n, (name, d) in enumerate(digests.items()))
    raw = bytearray(plain.read_bytes())
    text = seal.pack(parts)
    raw[seal.OFFSET : seal.OFFSET + len(text)] = text
    target.write_bytes(raw)
    return target


@pytest.mark.parametrize(("fresh", "meant"), [({"p.lxroot"}, True), ({"home"}, False), ({}, False)])
def test_a_seal_is_meant_to_differ_in_what_is_meant_to(
    plain: Path, tmp_path: Path, fresh: set[str], meant: bool
) -> None:
    one = sealed(plain, tmp_path / "one", {"home": b"h" * 32, "p.lxroot": b"a" * 32})
    other = sealed(plain, tmp_path / "other", {"home": b"h" * 32, "p.lxroot": b"b" * 32})
    part = only_part(compared(one, other, frozenset(fresh)))
    assert (part.part, part.on_purpose) == ("seal", meant)


def test_one_copy_of_the_table(plain: Path) -> None:
    size = plain.stat().st_size
    found = compared(plain, changed(plain, size - 512 + 60, size - 33 * 512 + 2 * 128 + 60))
    (part,) = found.parts
    assert part.part == "backup GPT"
    assert [d.path for d in part.named] == ["entry 3 (home)", "disk GUID"]


def test_without_a_table_the_image_is_a_row_of_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(bytes(10_000))
    other.write_bytes(bytes(9_000) + b"x")
    part = only_part(compared(one, other))
    assert (part.part, part.sizes, part.differing) == ("image", (10_000, 9_001), 1000)
    assert part.named[0].at == 9_000


def test_a_volume_by_its_structure(tmp_path: Path) -> None:
    disk, geometry = volume_disk.made(tmp_path, "xts", "sparse")
    base = volume_disk.START
    journal = base + geometry.segment * 512 + 4096
    sectors = base + geometry.area_start(0) * 512
    part = only_part(
        compared(disk, changed(disk, base + 4096 + 20_000, base + 40_000, journal + 9, sectors + 9))
    )
    assert [d.path for d in part.named] == [
        "second LUKS2 header, metadata", "keyslot 0", "dm-integrity journal",
        "encrypted sectors and their tags",
    ]  # fmt: skip


def test_what_is_meant_to_differ_is_told_and_does_not_count(plain: Path) -> None:
    at = offset_of(plain, b"in an XFS")
    found = compared(plain, changed(plain, at), frozenset({"data"}))
    assert found.is_same and only_part(found).on_purpose
    assert not compared(plain, changed(plain, at, 3), frozenset({"data"})).is_same
