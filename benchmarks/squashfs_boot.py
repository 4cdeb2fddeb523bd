"""What the compression of the root costs a boot: descriptions/x86 at several levels of zstd.

    python benchmarks/squashfs_boot.py [LEVEL]...

For each level, 3 and 15 where none is named, the image is built and booted through its
firmware: once to make the overlay volume, then several times in turns with the other levels.
Shown are the sizes of the root's partition and medians of the later boots, to the login
prompt: seconds of the wall clock, and seconds of CPU that QEMU used, which other work on the
host does not change as much. `squashfs_speed.py` has what the same levels cost a build.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runtime_cost import Cost, boot

from kiwilite.ondisk import gpt
from kiwilite.vm.machine import MachineSpec, Writes, make_overlay

DESCRIPTION = Path(__file__).resolve().parents[1] / "descriptions" / "x86"
LEVEL = 'squashfscompression_level="{}"'
LEVELS = (3, 15)
ROOT = "p.lxreadonly"
BOOTS = 3


def build(base: Path, level: int) -> Path:
    """The raw disk of the description with another level."""
    description, target = base / f"description{level}", base / f"target{level}"
    shutil.copytree(DESCRIPTION, description)
    file = description / "appliance.kiwi"
    text = file.read_text()
    if LEVEL.format(3) not in text:
        sys.exit(f"{file.name} does not have {LEVEL.format(3)}: the benchmark does not fit it")
    file.write_text(text.replace(LEVEL.format(3), LEVEL.format(level)))
    words = ["--description", description, "--profile", "bootstrapped", "--target-dir", target]
    command = [sys.executable, "-m", "kiwilite", "system", "build", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (raw,) = target.glob("*.raw")
    return raw


def root_bytes(disk: Path) -> int:
    """Size of the partition with the root and its hash tree."""
    with disk.open("rb") as stream:
        table = gpt.read(stream)
    return next(p.sectors for p in table.partitions if p.name == ROOT) * table.sector_size


def booted(spec: MachineSpec) -> Cost:
    """One boot, from the firmware to the login prompt."""
    phases = boot(spec).values()
    return Cost(sum(cost.wall for cost in phases), sum(cost.cpu for cost in phases))


def main(levels: Sequence[int]) -> None:
    """Build, boot and print."""
    with tempfile.TemporaryDirectory(prefix="kiwilite-boot.", dir="/var/tmp") as folder:
        base = Path(folder)
        disks = {level: build(base, level) for level in levels}
        specs = {
            level: MachineSpec(
                image=make_overlay(disk, base / f"{level}.qcow2", "raw"),
                variables=base / f"{level}.fd",
                writes=Writes.TO_IMAGE,
                ssh_port=None,
            )
            for level, disk in disks.items()
        }
        for spec in specs.values():
            boot(spec)
        costs: dict[int, list[Cost]] = {level: [] for level in levels}
        for _ in range(BOOTS):
            for level, spec in specs.items():
                costs[level].append(booted(spec))
        print("level  root, MB   wall s    CPU s")
        for level, found in costs.items():
            wall = statistics.median(cost.wall for cost in found)
            cpu = statistics.median(cost.cpu for cost in found)
            print(f"{level:5} {root_bytes(disks[level]) / 1e6:9.1f} {wall:8.1f} {cpu:8.1f}")


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or LEVELS)
