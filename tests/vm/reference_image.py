"""The image built from descriptions/x86: what is in it, seen from outside, and how to boot it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kiwilite.boot import uki
from kiwilite.ondisk import gpt
from kiwilite.vm.console import Console
from kiwilite.vm.machine import Firmware, MachineSpec, Writes
from kiwilite.vm.shell import CommandResult

PASSWORD = "linux"  # of root and admin
BOOT_TIMEOUT = 600  # seconds; emulated on a busy machine a boot takes up to two minutes


@dataclass(frozen=True, slots=True)
class Span:
    """A range of bytes of the disk."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class ReferenceImage:
    """The files that a build left, and the partitions of the disk by their GPT names."""

    raw: Path
    uki: uki.Uki
    root_hash: str
    partitions: Mapping[str, Span]

    def partition(self, name: str, disk: Path | None = None) -> bytes:
        """The content of a partition of `disk`, else of the image as it was built."""
        span = self.partitions[name]
        with (disk or self.raw).open("rb") as file:
            file.seek(span.offset)
            return file.read(span.size)

    def direct_boot(self, disk: Path, initrd: bytes, cmdline: str, scratch: Path) -> MachineSpec:
        """Boot the image's kernel with `disk`, past the firmware; what it writes is lost."""
        kernel, archive = scratch / "vmlinuz", scratch / "initrd"
        kernel.write_bytes(self.uki.linux)
        archive.write_bytes(initrd)
        return MachineSpec(
            image=disk,
            writes=Writes.DISCARDED,
            firmware=Firmware.BIOS,
            kernel=kernel,
            initrd=archive,
            cmdline=cmdline,
        )


def build(target: Path) -> ReferenceImage:
    """Build the image as a user does; what the store has is not built again."""
    command = [sys.executable, "-m", "kiwilite", "system", "build", "--description"]
    description = Path(__file__).parents[2] / "descriptions" / "x86"
    options = ["--profile", "bootstrapped", "--target-dir", str(target)]
    # To standard error: what a benchmark prints is for programs.
    subprocess.run([*command, str(description), *options], check=True, stdout=2)
    files = json.loads((target / "kiwilite.result.json").read_text())["files"]
    raw = target / files["raw"]
    with raw.open("rb") as disk:
        table = gpt.read(disk)
    sector = table.sector_size
    return ReferenceImage(
        raw=raw,
        uki=uki.read((target / files["efi"]).read_bytes()),
        root_hash=(target / files["roothash"]).read_text().strip(),
        partitions={
            p.name: Span(p.first_lba * sector, p.sectors * sector) for p in table.partitions
        },
    )


@dataclass(frozen=True, slots=True)
class Boot:
    """What one boot showed: its console's text, and the answers of the system it led to.

    `seconds` is the time from the start, or from the order to start again, to the
    login prompt.
    """

    text: str
    seconds: float
    answers: Mapping[str, CommandResult]

    def said(self, question: str) -> str:
        """The output of a command that must have succeeded."""
        answer = self.answers[question]
        assert answer.status == 0, f"{question}: status {answer.status}\n{answer.output}"
        return answer.output

    def field(self, question: str, name: str) -> str:
        """A field of `cryptsetup status` or `veritysetup status`."""
        match = re.search(rf"^ *{re.escape(name)}: +(.+)$", self.said(question), re.M)
        assert match, f"no {name} in:\n{self.said(question)}"
        return match.group(1).strip()

    def mount(self, directory: str) -> tuple[str, str, list[str]]:
        """Source, type and options of what is mounted at `directory`."""
        for line in self.said("mounts").splitlines():
            source, where, kind, options, *_ = line.split()
            if where == directory:
                return source, kind, options.split(",")
        raise AssertionError(f"nothing is mounted at {directory}")


def log_in(console: Console, questions: Mapping[str, str], *, since: int, begin: float) -> Boot:
    """Wait for the login prompt, log in as root and ask `questions` (name: command).

    `since` is the length the console's text had, and `begin` the monotonic time,
    when this boot began.
    """
    end = console.expect(r"login: |kiwilite: FAILED|Kernel panic", BOOT_TIMEOUT).group()
    seconds = time.monotonic() - begin
    assert end == "login: ", console.tail()
    text = console.text[since:]
    console.login("root", PASSWORD, BOOT_TIMEOUT)
    answers = {name: console.run(command, 180) for name, command in questions.items()}
    return Boot(text, seconds, answers)


def boot_again(console: Console, order: str, questions: Mapping[str, str]) -> Boot:
    """Type the command `order`, which reboots, and log in to what comes up."""
    since, begin = len(console.text), time.monotonic()
    console.send(f"{order}\n")
    # Not the kernel's farewell: it loses characters where the machine is slow.
    console.expect(r"BdsDxe: (loading|starting) Boot", 300)
    return log_in(console, questions, since=since, begin=begin)
