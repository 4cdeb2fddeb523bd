"""A guest that writes and says what it has synced, and what must be found after a power cut.

The guest works in steps, numbered from 1 on over all boots of a disk. A step

* writes a file named by its number, syncs and renames it, and syncs the folder;
* overwrites one of the slots of a ledger in place and syncs it;
* where its number is divisible by three, removes the file of three steps before;
* writes something that it does not sync;

and then writes its number, the mark, to a sector of the disk that no partition has. A
mark in the log of the disk's writes says that all of its step was synced before.
"""

from __future__ import annotations

import hashlib
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import write_log
from initrd_guest import DATA, MIB, OVERLAY, Appliance
from write_log import Cut, WriteLog

from kiwilite.vm.console import ConsoleError

MARKS = DATA[0] + DATA[1] + MIB  # offset in the disk of the sector that gets the marks
assert OVERLAY[0] >= MARKS + MIB
SLOTS, LINES = 16, 57
STEPS = 24
END = r"INIT: done|FAILED: .*|Kernel panic.*"

_WORK = f"""#!/bin/sh
b() {{ busybox "$@"; }}
lines() {{ # TEXT COUNT
    b yes "$1" | b head -n "$2"
}}
step() {{ # NUMBER
    lines "file $1" $(($1 * 7919 % 5000 + 1)) >new && b sync new && b mv new "$1" && b sync .
    lines "$(printf 'slot %010d' "$1")" {LINES} |
        b dd of=ledger bs={LINES * 16} count=1 iflag=fullblock seek=$(($1 % {SLOTS})) \\
        conv=notrunc,fsync 2>/dev/null
    if [ $(($1 % 3)) = 0 ]; then b rm -f $(($1 - 3)) && b sync .; fi
    lines "not synced" 20000 >"loose$(($1 % 4))"
    printf '%-512s' "$1" |
        /usr/bin/dd of=/dev/vda bs=512 seek={MARKS // 512} oflag=direct conv=notrunc \\
        status=none || exit
    echo "synced: $1"
}}
mkdir -p /files && cd /files || exit
if [ ! -e ledger ]; then
    lines "slot 0000000000" {SLOTS * LINES} >ledger && b sync ledger && b sync . && b sync ..
fi
read -r cmdline </proc/cmdline
for word in $cmdline; do
    case $word in
    steps=*) for i in $(b seq $((${{word#steps=}} + 1)) $((${{word#steps=}} + {STEPS}))); do
        step "$i"
    done ;;
    esac
done
"""
_LOOK = """#!/bin/sh
b() { busybox "$@"; }
echo "blocks: $(b stat -f -c '%b of %S' /run/kiwilite/overlay)"
cd /files 2>/dev/null || { echo "files: none" && exit; }
b ls | while read -r name; do
    case $name in [1-9]*) b sha256sum "$name" ;; esac
done
b uniq -c ledger
echo "files: end"
"""
SCRIPTS = {"work": _WORK, "look": _LOOK}
"""Programs for the guest, run by the words run=work and run=look on its command line."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a boot after the cut has found: checksum by step, lines by slot; None: no files."""

    files: Mapping[int, str] | None
    ledger: tuple[tuple[int, int], ...]  # runs of lines: how many, of which step

    @classmethod
    def read(cls, text: str) -> Found:
        if "files: none" in text:
            return cls(None, ())
        assert "files: end" in text, text
        files = {int(n): checksum for checksum, n in re.findall(r"^(\w{64})  (\d+)$", text, re.M)}
        runs = re.findall(r"^ +(\d+) slot (\d{10})$", text, re.M)
        return cls(files, tuple((int(count), int(step)) for count, step in runs))


def checksum(step: int) -> str:
    """Of the file that a step writes."""
    return hashlib.sha256(f"file {step}\n".encode() * (step * 7919 % 5000 + 1)).hexdigest()


def missing(found: Found, mark: int, first: int = 1) -> list[str]:
    """What was synced in the steps from `first` to `mark` and is not there, or is wrong.

    Of the step after `mark` anything may be there, but nothing that is half done.
    """
    if found.files is None:
        return ["all files"] if mark else []
    wrong = [f"file {n} is wrong" for n, content in found.files.items() if content != checksum(n)]
    for step in range(first, mark + 1):
        removed_by = step + 3 if step % 3 == 0 else None
        if removed_by is not None and removed_by <= mark:
            wrong += [f"file {step} is still there"] * (step in found.files)
        elif removed_by != mark + 1:
            wrong += [f"file {step} is gone"] * (step not in found.files)
    wrong += [f"file {n} was never synced" for n in found.files if not first <= n <= mark + 1]
    return wrong + (_wrong_slots(found, mark, first) if mark else [])


def _wrong_slots(found: Found, mark: int, first: int) -> list[str]:
    lines = [step for count, step in found.ledger for _ in range(count)]
    if len(lines) != SLOTS * LINES:
        return [f"the ledger has {len(lines)} lines"]
    wrong = []
    for slot in range(SLOTS):
        steps = [step for step in range(first, mark + 1) if step % SLOTS == slot]
        allowed = {max(steps, default=0)}
        if (mark + 1) % SLOTS == slot:
            allowed.add(mark + 1)
        here = set(lines[slot * LINES : (slot + 1) * LINES])
        if not here <= allowed:
            wrong.append(f"slot {slot} has {sorted(here)}, not {sorted(allowed)}")
    return wrong


@dataclass(frozen=True, slots=True)
class Recording:
    """A boot whose writes were logged: the disk before and after it, and its console."""

    before: Appliance
    after: Appliance
    log: WriteLog
    text: str

    def marks(self) -> list[tuple[int, int]]:
        """Number of the entry and of the step, for each mark."""
        found = self.log.writes_to(MARKS // self.log.sector_size)
        return [(number, int(data.split()[0])) for number, data in found]

    def mark_at(self, point: int) -> int | None:
        """The last step whose mark was completed before the entry `point`."""
        return max((step for number, step in self.marks() if number < point), default=None)

    @property
    def work(self) -> tuple[int, int]:
        """The entries from the first mark to the end."""
        return self.marks()[0][0], len(self.log.entries)

    def before_work(self, rng: random.Random) -> tuple[int, int]:
        """The entries up to the first mark, or only a few around a change of a header.

        The writes that decide what the next boot does are few among those that wipe.
        """
        end = self.work[0]
        heads: list[list[int]] = []
        for number, entry in enumerate(self.log.entries[:end]):
            if entry.has_data and self._is_head(entry.sector * self.log.sector_size):
                if not heads or number > heads[-1][1] + 8:
                    heads.append([number, number])
                heads[-1][1] = number
        first, last = rng.choice([[0, end - 3], *heads])
        return first, min(last + 3, end)

    def _is_head(self, offset: int) -> bool:
        """Whether a partition table, the LUKS2 header or the mark behind the volume is there."""
        end = OVERLAY[0] + OVERLAY[1]
        backup = self.before.disk.stat().st_size - 34 * 512
        head = offset < OVERLAY[0] + 16 * MIB and offset != MARKS
        return head or end - 4096 <= offset < end or offset >= backup


def seeds(few: int, many: int) -> list[object]:
    """Seeds for `make test`, and others for `make soak`."""
    soak = [pytest.param(100 + n, marks=pytest.mark.soak) for n in range(many)]
    return [*range(few), *soak]


@contextmanager
def recorded(
    appliance: Appliance, directory: Path, steps_done: int, *words: str
) -> Iterator[Recording]:
    """Boot a copy of the appliance's disk and work for STEPS steps, every write logged.

    Disk and log are large: they end with the block.
    """
    directory.mkdir()
    yield _record(appliance, directory, steps_done, *words)
    for file in directory.iterdir():
        file.unlink()


def _record(appliance: Appliance, directory: Path, steps_done: int, *words: str) -> Recording:
    after = appliance.copy(directory)
    log = directory / "writes.log"
    line = ("run=work", f"steps={steps_done}", *words)
    with after.start(*line, write_log=log) as machine:
        end = machine.console.expect(END, timeout=600).group()
        text = machine.console.text
        assert end == "INIT: done", text
        assert f"synced: {steps_done + STEPS}" in text, text
        machine.wait(60)  # a log is whole once QEMU has closed it
    recording = Recording(appliance, after, write_log.read(log), text)
    assert len(recording.marks()) == STEPS, "a mark was not logged"
    return recording


@dataclass(frozen=True, slots=True)
class AfterCut:
    """The boot that followed a power cut.

    `mark` is the last step that was synced before, None if not even the first was.
    """

    moment: Cut
    disk: Path
    mark: int | None
    text: str

    @property
    def booted(self) -> bool:
        return "INIT: done" in self.text

    @property
    def found(self) -> Found:
        return Found.read(self.text)


def cut_and_boot(
    recording: Recording, span: tuple[int, int], rng: random.Random, disk: Path, *words: str
) -> AfterCut:
    """Lose power in `span` (entries of the log), boot what `disk` has then, and look."""
    moment = write_log.cut(recording.log, rng, *span)
    return boot_after(recording, moment, disk, *words)


def boot_after(recording: Recording, moment: Cut, disk: Path, *words: str) -> AfterCut:
    """Boot what `disk` has after that moment, and look."""
    subprocess.run(["cp", "--sparse=always", recording.before.disk, disk], check=True)
    write_log.replay(recording.log, moment, disk)
    with replace(recording.before, disk=disk).start("run=look", *words) as machine:
        with suppress(ConsoleError):  # its text will tell
            machine.console.expect(END, timeout=600)
        text = machine.console.text
    disk.with_suffix(".initrd").unlink()
    return AfterCut(moment, disk, recording.mark_at(moment.point), text)


def judge(after: AfterCut, problems: list[str], protocol: Path, name: str) -> None:
    """Add a line to the protocol; fail where there is a problem, and keep the disk then."""
    what = "; ".join(problems) or "booted, all that was synced is there"
    line = f"{name}: {after.moment.describe()}; last synced step {after.mark}: {what}"
    protocol.parent.mkdir(exist_ok=True)
    with protocol.open("a") as file:
        file.write(f"{line}\n")
    assert not problems, f"{line}\n{after.text}"
    after.disk.unlink()
