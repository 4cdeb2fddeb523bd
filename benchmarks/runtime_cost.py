"""What the storage stack costs at run time: I/O on the overlay, and the time a boot takes.

    python benchmarks/runtime_cost.py [--json] [io] [boot]

io: a small guest has two places on one virtual disk of equal size: a partition with plain
XFS, and the overlay over the encrypted volume (overlayfs, XFS, dm-crypt with
aegis128-random, dm-integrity with its journal). The same work is done on both, in turns,
three times; shown are medians. Time is the guest's clock until all is on the disk (fsync is
in it, caches are dropped before); CPU is what all processors of the guest were busy for, so
the kernel's own threads for encryption are in it.

boot: the reference image, built as users do, boots through its UEFI firmware, and a second
time after that. A phase ends when its line appears on the serial console: seconds of the
wall clock, and seconds of CPU that QEMU used, which other work on the host does not change
as much.

Numbers of an emulated machine (no KVM) are higher than those of hardware, and most so for
encryption; the ratio of two of them is shown side by side for that reason.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "vm"))

import initrd_guest
import reference_image
from initrd_guest import MIB, OVERLAY, Appliance

from kiwilite.vm import accelerate
from kiwilite.vm.machine import Machine, MachineSpec, Writes, make_overlay, start

ROUNDS = 3
PLAIN_PARTUUID = UUID("11111111-2222-4333-8444-000000000009")
FILE_MIB, OPERATIONS, SYNCED, FILES = 128, 4096, 256, 500

# Name, what the work is counted in, how much of it, and xfs_io's options and commands.
SEQUENTIAL = f"-b 1m 0 {FILE_MIB}m"
RANDOM = f"-b 4k -Z 1 0 {OPERATIONS * 4}k"
WORK: Sequence[tuple[str, str, int, str]] = (
    ("sequential write, 1 MiB", "MiB", FILE_MIB, f"-f -d -c 'pwrite {SEQUENTIAL}' -c fsync"),
    ("sequential read, 1 MiB", "MiB", FILE_MIB, f"-d -c 'pread {SEQUENTIAL}'"),
    ("sequential write, page cache", "MiB", FILE_MIB, f"-c 'pwrite {SEQUENTIAL}' -c fsync"),
    ("sequential read, page cache", "MiB", FILE_MIB, f"-c 'pread {SEQUENTIAL}'"),
    ("random write, 4 KiB", "I/O", OPERATIONS, f"-d -c 'pwrite -R {RANDOM}' -c fsync"),
    ("random read, 4 KiB", "I/O", OPERATIONS, f"-d -c 'pread -R {RANDOM}'"),
    ("write and sync, 4 KiB", "I/O", SYNCED, f"-d -s -c 'pwrite -b 4k 0 {SYNCED * 4}k'"),
)
MAKE_FILES = "files made and synced"

MEASURE = f"""#!/bin/sh
set -eu
b() {{ busybox "$@"; }}
now() {{ # sets `clock` and `busy`, both in hundredths of seconds
    read -r clock _ </proc/uptime
    clock=${{clock%.*}}${{clock#*.}}
    read -r _ user nice system _ _ irq softirq _ </proc/stat
    busy=$((user + nice + system + irq + softirq))
}}
io() {{ # NAME COMMAND...
    name=$1 && shift
    b sync && echo 3 >/proc/sys/vm/drop_caches
    now && clock_before=$clock busy_before=$busy
    "$@" >/tmp/said 2>&1 || {{ b cat /tmp/said && exit 1; }}
    now
    echo "measured: $place | $name | $((clock - clock_before)) $((busy - busy_before))"
}}
make_files() {{
    b mkdir "$1/files"
    for i in $(b seq {FILES}); do echo "$i" >"$1/files/$i"; done
    b sync
}}
mount -t tmpfs tmpfs /tmp
plain=$(b ls /dev/vda? | b tail -n 1)
mkfs.xfs -q -f -K "$plain"
mount -t xfs "$plain" /mnt
mkdir /here
for round in $(b seq {ROUNDS}); do
    for place in /mnt /here; do
@WORK@
        io '{MAKE_FILES}' make_files "$place"
        b rm -r "$place/files" "$place/file"
    done
done
echo "measured: all"
""".replace(
    "@WORK@",
    "\n".join(f"        io '{name}' xfs_io {how} \"$place/file\"" for name, _, _, how in WORK),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one piece of work: seconds on the clock and of CPU."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Measure:
    """A number for a program; there are no limits."""

    name: str
    value: float
    unit: str


Costs = Mapping[tuple[str, str], Cost]  # by place and work
Boots = tuple[Mapping[str, Cost], Mapping[str, Cost]]  # the first and the second, by phase


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure what the storage stack costs.")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    parser.add_argument("parts", metavar="PART", nargs="*", help="io, boot; both by default")
    options = parser.parse_args()
    parts = options.parts or ["io", "boot"]
    if not set(parts) <= {"io", "boot"}:
        parser.error("a part is io or boot")
    begin = f"{os.cpu_count()} processors, {accelerate.choose().value}, load {load()} at the begin"
    with tempfile.TemporaryDirectory(prefix="kiwilite-cost-", dir="/var/tmp") as directory:
        io = measure_io(Path(directory)) if "io" in parts else None
        boots = measure_boots(Path(directory)) if "boot" in parts else None
    if options.json:
        print(json.dumps([asdict(m) for m in [*io_measures(io), *boot_measures(boots)]], indent=1))
        return 0
    print(f"{begin}, {load()} at the end")
    if io is not None:
        print_io(io)
    if boots is not None:
        print_boots(boots)
    return 0


def load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg())


## I/O


def measure_io(directory: Path) -> Costs:
    """Median cost by place and work."""
    appliance = initrd_guest.make_appliance(directory, {"measure": MEASURE})
    add_plain_partition(appliance)
    with appliance.start("run=measure") as machine:
        console = machine.console
        console.expect(r"measured: all|INIT: done|FAILED|Kernel panic", timeout=3600)
        text = console.text
    if "measured: all" not in text:
        raise SystemExit(f"the guest failed:\n{text[-3000:]}")
    found: dict[tuple[str, str], list[Cost]] = defaultdict(list)
    for place, name, wall, cpu in re.findall(r"measured: (\S+) \| (.+) \| (\d+) (\d+)", text):
        found[place, name].append(Cost(int(wall) / 100, int(cpu) / 100))
    return {key: median(costs) for key, costs in found.items()}


def median(costs: Iterable[Cost]) -> Cost:
    costs = list(costs)
    assert len(costs) == ROUNDS
    return Cost(
        statistics.median(cost.wall for cost in costs), statistics.median(c.cpu for c in costs)
    )


def add_plain_partition(appliance: Appliance) -> None:
    """Make room behind the appliance's partitions for one as large as the overlay's."""
    begin = OVERLAY[0] + OVERLAY[1]
    os.truncate(appliance.disk, begin + OVERLAY[1] + 2 * MIB)
    line = f"start={begin // 512}, size={OVERLAY[1] // 512}, uuid={PLAIN_PARTUUID}\n"
    for command in (["--relocate", "gpt-bak-std"], ["--append"]):
        subprocess.run(
            ["sfdisk", "--quiet", *command, appliance.disk], input=line, text=True, check=True
        )


def print_io(costs: Costs) -> None:
    print(f"\nI/O in a guest, medians of {ROUNDS}")
    print(f"{'':<30}{'plain XFS':>17}{'overlay':>15}{'ratio':>8}{'CPU s':>10}{'':>8}{'ratio':>8}")
    rows = [(name, unit, amount) for name, unit, amount, _ in WORK]
    for name, unit, amount in [*rows, (MAKE_FILES, "files", FILES)]:
        plain, overlay = costs["/mnt", name], costs["/here", name]
        print(
            f"{name:<30}{amount / plain.wall:>9.1f} {unit + '/s':<7}{amount / overlay.wall:>9.1f}"
            f"{' ':>6}{ratio(plain.wall, overlay.wall):>8}"
            f"{plain.cpu:>10.2f}{overlay.cpu:>8.2f}{ratio(overlay.cpu, plain.cpu):>8}"
        )


def io_measures(costs: Costs | None) -> list[Measure]:
    """Speed of the overlay against plain XFS, and its CPU time against that of plain XFS."""
    if costs is None:
        return []
    measures = []
    for name in [*(name for name, *_ in WORK), MAKE_FILES]:
        plain, overlay = costs["/mnt", name], costs["/here", name]
        measures.append(Measure(f"{name}, speed", plain.wall / overlay.wall, "of plain XFS"))
        if plain.cpu:
            measures.append(Measure(f"{name}, CPU", overlay.cpu / plain.cpu, "times plain XFS"))
    return measures


def ratio(a: float, b: float) -> str:
    return f"{a / b:.2f}" if b else "-"


## Boot


@dataclass(frozen=True, slots=True)
class Phase:
    """What ends when `pattern` appears."""

    name: str
    pattern: str


PHASES = (
    Phase("firmware and boot loader", r"Linux version"),
    Phase("kernel", r"Run /init as init process"),
    Phase("start of the initrd", r"kiwilite: reading the policy"),
    Phase("modules and partitions", r"kiwilite: verifying the root file system"),
    Phase("verity of the root", r"kiwilite: (provisioning|opening) the overlay volume"),
    Phase("overlay volume", r"kiwilite: assembling the root file system"),
    Phase("overlay and other verity devices", r"kiwilite: the root file system is assembled"),
    Phase("hand over", r"kiwilite: handing over"),
    Phase("system up to login", r"login: "),
)


def measure_boots(directory: Path) -> Boots:
    """The phases of the first boot and of the second."""
    image = reference_image.build(directory / "image")
    disk = make_overlay(image.raw, directory / "disk.qcow2", "raw")
    spec = MachineSpec(
        image=disk, variables=directory / "variables.fd", writes=Writes.TO_IMAGE, ssh_port=None
    )
    return boot(spec), boot(spec)


def boot(spec: MachineSpec) -> Mapping[str, Cost]:
    """Cost of each phase."""
    begin = time.monotonic()
    with start(spec) as machine:
        stamps = [Cost(begin, 0.0)]
        for phase in PHASES:
            machine.console.expect(phase.pattern, timeout=reference_image.BOOT_TIMEOUT)
            stamps.append(Cost(time.monotonic(), cpu_seconds(machine)))
        machine.console.login("root", reference_image.PASSWORD, 300)
        machine.console.run("systemctl is-system-running --wait", 300)
        machine.power_off()
    return {
        phase.name: Cost(after.wall - before.wall, after.cpu - before.cpu)
        for phase, before, after in zip(PHASES, stamps[:-1], stamps[1:], strict=True)
    }


def cpu_seconds(machine: Machine) -> float:
    """CPU time that QEMU has used so far."""
    # After the name in parentheses: state is field 3, utime and stime are 14 and 15.
    fields = Path(f"/proc/{machine.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def print_boots(boots: Boots) -> None:
    print("\nBoot of the reference image, seconds (CPU seconds of QEMU)")
    print(f"{'':<34}{'first':>16}{'second':>18}")
    for name in (phase.name for phase in PHASES):
        cells = [f"{boot[name].wall:>10.1f} ({boot[name].cpu:>5.1f})" for boot in boots]
        print(f"{name:<34}{''.join(cells)}")
    totals = [Cost(sum(c.wall for c in b.values()), sum(c.cpu for c in b.values())) for b in boots]
    print(f"{'together':<34}" + "".join(f"{t.wall:>10.1f} ({t.cpu:>5.1f})" for t in totals))


def boot_measures(boots: Boots | None) -> list[Measure]:
    """Seconds of each phase."""
    return [
        Measure(f"{which} boot, {phase}", cost.wall, "s")
        for which, boot in zip(("first", "second"), boots or (), strict=False)
        for phase, cost in boot.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
