"""`image verify` and `inspect` on the other layout: AES-GCM, sectors of 4096, trees apart, FEC."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_appliance
from verify_checks import checked, flips, misplaced
from verify_faults import SEGMENT, Built, Fault

from kiwilite.cli.main import main
from kiwilite.inspect.allocation import allocation
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.look import look
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.source import opened
from kiwilite.inspect.verdict import Verdict
from kiwilite.inspect.verify import Report
from kiwilite.ondisk import integrity
from kiwilite.ondisk.integrity import SECTOR as UNIT

pytestmark = pytest.mark.build

TYPE = (
    'luks="embedded-secret" luks_version="luks2" luks_unlock="embedded" provisioning="build"'
    ' target_blocksize="4096" embed_verity_metadata="true"'
)
INNER = """timeout="0"/>
<luksformat>
    <option name="--cipher" value="aes-gcm-random"/>
    <option name="--integrity" value="aead"/>
</luksformat>
<verity hash_tree="partition" fec_roots="2"/>"""
SECTOR, PART = 4096, 64 * 1024
PARTITIONS = [
    ("p.legacy", "zeros"),
    ("p.UEFI", "fat"),
    ("p.lxreadonly", "squashfs"),
    ("p.lxreadonly-verity", "verity"),
    ("p.lxroot", "luks2"),
]
STACK = """\
/  overlayfs
├─ upper  xfs
│  └─ dm-crypt  aes-gcm-random + aead, sectors of 4096, 300.5 MiB
│     │ keyslot 0: pbkdf2 sha256, 1000 iterations
│     └─ dm-integrity
│        └─ p.lxroot, kiwilite-sparse
└─ lower  squashfs, read-only
   └─ dm-verity  sha256, SIZE in blocks of 4096
      │ root hash HASH
      │ error correction with 2 roots
      │ KIWI metadata at byte NUMBER
      └─ p.lxreadonly, hash tree in p.lxreadonly-verity"""
"""What depends on the packages of the day is in capitals."""
HASHES = "p.lxreadonly-verity"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    appliance = tiny_appliance.make(tmp_path_factory.mktemp("layout"))
    appliance.change('overlayroot_write_partition="false"', TYPE)
    appliance.change('timeout="0"/>', INNER)
    said = appliance.build()
    assert said.status == 0, said.err
    return Built.at(appliance.target)


def start_and_size(built: Built, name: str) -> tuple[int, int]:
    """As the table says, read here: sfdisk takes a file's sectors to have 512 bytes."""
    entries = built.read(2 * SECTOR, 128 * 128)
    for at in range(0, len(entries), 128):
        if entries[at + 56 : at + 128].decode("utf-16-le").rstrip("\0") == name:
            first, last = (int.from_bytes(entries[at + n : at + n + 8], "little") for n in (32, 40))
            return first * SECTOR, (last - first + 1) * SECTOR
    raise AssertionError(f"no partition {name}")


def of_the_volume(built: Built) -> Iterator[Fault]:
    part = "p.lxroot"
    start, _ = start_and_size(built, part)
    superblock = integrity.IntegritySuperblock.unpack(built.read(start + SEGMENT, 4096))
    shape = integrity.geometry_of(superblock, segment_offset=SEGMENT)
    assert superblock.tag_bytes == 28
    data, tag = start + shape.data_sector(64) * UNIT, start + shape.tag_byte(64)
    yield Fault("ciphertext", part, data + 77, 4096)
    yield Fault("tag", part, tag + 3, 28)
    yield Fault("IV", part, tag + 16 + 5, 28)
    yield Fault("LUKS2 header", part, start + 30, 16384)
    yield Fault("integrity superblock", part, start + SEGMENT + 16, 4096)


def of_the_trees(built: Built) -> Iterator[Fault]:
    start, size = start_and_size(built, "p.lxreadonly")
    hashes, length = start_and_size(built, HASHES)
    assert built.read(hashes, 8) == b"verity\0\0"
    fec = hashes + length - 8192
    while not any(built.read(fec, 4096)):
        fec -= 4096
    yield Fault("squashfs data", "p.lxreadonly", start + 50 * 4096 + 1234, 4096)
    yield Fault("metadata block", "p.lxreadonly", start + size - 4096 + 60, 4096)
    yield Fault("salt", HASHES, hashes + 100, PART)
    yield Fault("UUID", HASHES, hashes + 20, 4 * PART)
    yield Fault("behind the superblock", HASHES, hashes + 3000, 4096)
    yield Fault("top of the tree", HASHES, hashes + 4096 + 1, 4096)
    yield Fault("leaf of the tree", HASHES, hashes + 6 * 4096 + 64, 4096)
    yield Fault("error correction data", HASHES, fec + 100, 4 * PART)


def of_the_table(built: Built) -> Iterator[Fault]:
    size = built.raw.stat().st_size
    yield Fault("primary header", "primary GPT", SECTOR + 40, SECTOR)
    yield Fault("rest of the header's sector", "primary GPT", SECTOR + 2000, SECTOR)
    yield Fault("primary entries", "primary GPT", 2 * SECTOR + 128 + 32, 16384)
    yield Fault("backup header", "backup GPT", size - SECTOR + 56, SECTOR)
    yield Fault("behind the boot record", "MBR", 2000, SECTOR)


def test_a_good_image_of_this_layout_is_sound(built: Built) -> None:
    report = checked(built.raw)
    assert [f for f in report.findings if f.severity is not Severity.NOTE] == []
    assert report.verdict is Verdict.SOUND


def test_faults_are_found_and_placed_in_this_layout_too(built: Built) -> None:
    faults = [*of_the_volume(built), *of_the_trees(built), *of_the_table(built)]
    assert not list(misplaced(built, faults, scoped=True))
    assert checked(built.raw).verdict is Verdict.SOUND  # all of them are undone


def test_sectors_that_changed_places_together_with_their_tags_are_found(built: Built) -> None:
    """Each is authentic in itself; its number is in what the tag is made over."""
    start, _ = start_and_size(built, "p.lxroot")
    superblock = integrity.IntegritySuperblock.unpack(built.read(start + SEGMENT, 4096))
    shape = integrity.geometry_of(superblock, segment_offset=SEGMENT)
    places = [
        (start + shape.data_sector(64) * UNIT, 4096), (start + shape.tag_byte(64), 28)
    ]  # fmt: skip
    swaps = []
    for at, size in places:
        one, other = built.read(at, size), built.read(at + size, size)
        assert one != other
        swaps.append(Fault("swapped", "p.lxroot", at, 2 * size, other + one))
    before = [fault.damage(built.raw) for fault in swaps]
    try:
        report = checked(built.raw)
    finally:
        for fault, content in zip(swaps, before, strict=True):
            fault.undo(built.raw, content)
    data = swaps[0]
    found = [f for f in report.findings if "do not go with their tags" in f.what]
    assert found
    assert all(f.touches(data.offset + 4096 * n, data.offset + 4096 * n + 1)
               for f, n in zip(found * 2, (0, 1), strict=False))  # fmt: skip


def test_15_random_flips_are_found(built: Built) -> None:
    flips(built, checked(built.raw), 15, 4096)


@pytest.mark.soak
def test_500_random_flips_are_found(built: Built) -> None:
    flips(built, checked(built.raw), 500, int(os.environ.get("KIWILITE_SEED", "8")))


def test_what_verify_calls_unallocated_inspect_has_declared(built: Built) -> None:
    with opened(built.raw) as disk:
        declared = allocation(look(disk))
    free = [r for r in declared if r.state is State.UNALLOCATED]

    def covered(region: Region) -> bool:
        return any(f.start <= region.start and region.end <= f.end for f in free)

    report = checked(built.raw)
    assert [r for r in report.regions if r.state is State.UNALLOCATED and not covered(r)] == []


def loud(report: Report) -> list[tuple[str, str, int, int]]:
    """Findings without what differs from form to form."""
    return [
        (f.severity.value, f.what, f.place.start, f.place.end)
        for f in report.findings if f.severity is not Severity.NOTE
    ]  # fmt: skip


def split(raw: Path, folder: Path) -> Path:
    subprocess.run(["split", "--bytes=100M", raw, folder / "disk."], check=True)
    return folder / "disk.aa"


def qcow2(raw: Path, folder: Path) -> Path:
    target = folder / "disk.qcow2"
    command: list[str | Path] = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, target]
    subprocess.run(command, check=True)
    return target


@pytest.mark.parametrize("form", [split, qcow2])
def test_another_form_of_the_image_gives_the_same_report(
    built: Built, tmp_path: Path, form: object
) -> None:
    assert callable(form)
    start, _ = start_and_size(built, "p.lxreadonly")
    fault = Fault("squashfs data", "p.lxreadonly", start + 50 * 4096, 4096)
    raw = tmp_path / "damaged.raw"
    subprocess.run(["cp", "--sparse=always", built.raw, raw], check=True)
    fault.damage(raw)
    report = checked(form(raw, tmp_path))
    assert loud(report) == loud(checked(raw)) != []


def test_a_block_device_is_an_image_too(built: Built) -> None:
    done = subprocess.run(
        ["losetup", "--find", "--show", "--read-only", "--sector-size", "4096", built.raw],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    device = Path(done.stdout.strip())
    try:
        with opened(device) as disk:
            assert (disk.form, disk.size) == ("block device", built.raw.stat().st_size)
        assert checked(device).verdict is Verdict.SOUND
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_inspect_tells_all_of_the_layout(built: Built, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "inspect", str(built.raw), "--format=json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["sector_size"] == 4096
    assert [(p["name"], p["kind"]) for p in facts["partitions"]] == PARTITIONS
    (verity,) = facts["verity"]
    (volume,) = facts["volumes"]
    (uki,) = facts["ukis"]
    wanted = {
        "mountpoint": "/", "filesystem": "squashfs", "partition": "p.lxreadonly",
        "hash_partition": HASHES, "hash_offset": 0, "algorithm": "sha256",
        "data_block_size": 4096, "fec_roots": 2,
    }  # fmt: skip
    assert {name: verity[name] for name in wanted} == wanted
    wanted = {
        "mountpoint": "overlay", "filesystem": "xfs", "cipher": "aes-gcm-random",
        "integrity": "aead", "sector_size": 4096, "state": "kiwilite-sparse",
    }  # fmt: skip
    assert {name: volume[name] for name in wanted} == wanted
    assert [slot["number"] for slot in volume["keyslots"]] == [0]
    assert f"roothash={verity['root_hash']}" in uki["profiles"][0]["cmdline"]
    assert facts["policy"]["image"] == "tiny"
    assert facts["sealed"] is True


def test_the_picture_shows_what_stands_on_what(
    built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "inspect", str(built.raw)]) == 0
    said = capsys.readouterr().out
    stack = next(part for part in said.split("\n\n") if part.startswith("/  overlayfs"))
    for pattern, word in (
        (r"[0-9a-f]{64}", "HASH"), (r"(?<=at byte )[0-9]+", "NUMBER"),
        (r"(?<=sha256, )[0-9.]+ MiB", "SIZE"),
    ):  # fmt: skip
        stack = re.sub(pattern, word, stack)
    assert stack == STACK
    assert said.startswith(f"{built.raw.name}: raw, ")
    assert "MBR: protective" in said
    assert "never written, no tags" in said
