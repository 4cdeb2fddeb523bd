"""A disk image that is full of data nothing can compress, made without a build.

    ESP 32 MiB, a unified kernel image with the policy | squashfs, hash tree | volume, or nothing

The kernel in the image is none; all that `image verify` reads is as a build makes it, the
seal too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import UUID

from kiwilite.boot.policy import Policy, VerityDevice, Volume
from kiwilite.build.luks_volume import VolumeIdentity, geometry_for, write_volume
from kiwilite.ondisk import gpt, mbr, seal, verity
from kiwilite.ondisk.encryption import Encryption
from kiwilite.ondisk.luks2.kdf import Pbkdf2

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "unit" / "inspect"))
import test_inspect_bootimage as bootimage

MIB = 1 << 20
BLOCK = 4096
KEY = b"benchmark"
ESP, ROOT, VOLUME = UUID(int=1), UUID(int=2), UUID(int=3)
ESP_MIB = 32


class Filled(NamedTuple):
    """What an image is made of, in MiB; without encryption there is no volume."""

    root: int
    volume: int = 0
    encryption: Encryption | None = None


def make(target: Path, scratch: Path, filled: Filled) -> Path:
    """Write it to `target`; needs mkfs.xfs, mksquashfs, mkfs.vfat and mcopy."""
    starts = [1, 1 + ESP_MIB, 1 + ESP_MIB + filled.root]
    rows = [("p.UEFI", gpt.ESP, ESP, starts[0], ESP_MIB)]
    rows.append(("p.lxreadonly", gpt.LINUX_FILESYSTEM, ROOT, starts[1], filled.root))
    if filled.encryption is not None:
        rows.append(("p.lxroot", gpt.LINUX_FILESYSTEM, VOLUME, starts[2], filled.volume))
    size = (rows[-1][3] + rows[-1][4] + 1) * MIB
    with target.open("w+b") as out:
        out.truncate(size)
        _write_table(out, rows, size)
        device = _write_root(out, scratch, starts[1] * MIB, filled.root * MIB)
        volumes: tuple[Volume, ...] = ()
        if filled.encryption is not None:
            volumes = (Volume("luks", VOLUME, UUID(int=5), "xfs"),)
            _write_volume(out, scratch, starts[2] * MIB, filled.volume * MIB, filled.encryption)
        _write_esp(out, scratch, Policy("benchmark", "1", (device,), volumes, (), "reboot"), size)
        regions = [*seal.BOOT_RECORD, *((r[0], r[3] * MIB, r[4] * MIB) for r in rows)]
        record = seal.pack(seal.seal(regions, _blocks_of(out)))
        out.seek(seal.OFFSET)
        out.write(record)
    return target


def _write_table(out: BinaryIO, rows: list[tuple[str, UUID, UUID, int, int]], size: int) -> None:
    sectors = [(start * MIB // 512, length * MIB // 512) for *_, start, length in rows]
    table = gpt.Gpt(
        UUID(int=99),
        tuple(
            gpt.GptPartition(kind, guid, first, first + count - 1, 0, name)
            for (name, kind, guid, *_), (first, count) in zip(rows, sectors, strict=True)
        ),
        size // 512,
        512,
    )
    areas = gpt.write(table)
    for offset, content in (
        (0, mbr.protective(table.disk_sectors).pack()),
        (areas.primary_offset, areas.primary),
        (areas.backup_offset, areas.backup),
    ):
        out.seek(offset)
        out.write(content)


def _write_root(out: BinaryIO, scratch: Path, start: int, size: int) -> VerityDevice:
    """A squashfs of one file, uncompressed as its data are, that leaves room for its tree."""
    folder, image = scratch / "root", scratch / "squashfs"
    folder.mkdir()
    with (folder / "blob").open("wb") as blob:
        for _ in range(size // MIB - size // MIB // 64 - 4):
            blob.write(os.urandom(MIB))
    command = ["mksquashfs", folder, image, "-noI", "-noD", "-noF", "-noX", "-quiet"]
    subprocess.run([*command, "-no-progress"], check=True)
    used = -(-image.stat().st_size // BLOCK) * BLOCK
    os.truncate(image, used)
    _copy(image, out, start)
    out.seek(start + used)
    root_hash = verity.write_hash_area(
        image, out, uuid=UUID(int=7), salt=bytes(32), data_bytes=used,
        data_block_size=BLOCK, hash_block_size=BLOCK, algorithm="sha256",
    )  # fmt: skip
    assert out.tell() <= start + size
    (folder / "blob").unlink()
    image.unlink()
    return VerityDevice("verityRoot", ROOT, root_hash.hex(), used, "/", "squashfs")


def _write_volume(
    out: BinaryIO, scratch: Path, start: int, size: int, encryption: Encryption
) -> None:
    plain, image = scratch / "plain", scratch / "volume"
    with plain.open("wb") as stream:
        stream.truncate(geometry_for(size, encryption, "written").provided_bytes)
    subprocess.run(["mkfs.xfs", "-q", "-s", f"size={encryption.sector_size}", plain], check=True)
    keys = [("", KEY, Pbkdf2("sha256", 1000))]
    identity = VolumeIdentity(UUID(int=4), UUID(int=5))
    write_volume(image, size, plain, encryption, keys, identity, fill="full", journal="written")
    _copy(image, out, start)
    plain.unlink()
    image.unlink()


def _write_esp(out: BinaryIO, scratch: Path, policy: Policy, size: int) -> None:
    esp, uki = scratch / "esp", scratch / "uki"
    cmdline = f"roothash={policy.verity[0].root_hash}"
    uki.write_bytes(bootimage.with_policy(policy, cmdline))
    with esp.open("wb") as stream:
        stream.truncate(ESP_MIB * MIB)
    subprocess.run(["mkfs.vfat", esp], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mcopy", "-i", esp, uki, "::benchmark.efi"], check=True)
    _copy(esp, out, MIB)


def _copy(source: Path, out: BinaryIO, start: int) -> None:
    out.seek(start)
    with source.open("rb") as stream:
        while chunk := stream.read(MIB):
            out.write(chunk)


def _blocks_of(stream: BinaryIO) -> seal.Blocks:
    def blocks(start: int, end: int) -> Iterator[tuple[int, bytes]]:
        for at in range(start, end, seal.BLOCK):
            stream.seek(at)
            yield at, stream.read(min(seal.BLOCK, end - at))

    return blocks
