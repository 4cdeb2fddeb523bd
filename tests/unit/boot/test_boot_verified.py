"""How the boot hook mounts verified devices other than the root."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import hook_shell
import pytest

from kiwilite.boot.policy import Policy, VerityDevice

ROOT = VerityDevice("verityRoot", UUID(int=1), "ab" * 32, 4096, "/", "squashfs", options="ro,nodev")
OTHER = VerityDevice("tools", UUID(int=2), "cd" * 32, 8192, "/opt", "squashfs")
_STUBS = """
phase() { :; }
open_verity() { echo "open: $1 $5"; }
mount() { echo "mount: $*"; }
mkdir -p "$work/opt"
sysroot=$work
"""


def mounts(work: Path, record: str) -> list[str]:
    """What is mounted where a policy has this record."""
    work.mkdir()
    (work / "policy").write_text(record)
    ran = hook_shell.run(work, "each_verity attach_other_device", _STUBS)
    assert ran.returncode == 0, ran.stderr
    return [line for line in ran.stdout.splitlines() if line.startswith("mount: ")]


@pytest.mark.parametrize("options", ["ro", "ro,nodev", "ro,nosuid,nodev"])
def test_a_verified_device_is_mounted_with_the_options_of_its_record(
    tmp_path: Path, options: str
) -> None:
    policy = Policy("tiny", "1", (ROOT, replace(OTHER, options=options)), (), (), "halt")
    work = tmp_path / "work"
    expected = f"mount: -t squashfs -o {options} /dev/mapper/tools {work}/opt"
    assert mounts(work, policy.render().decode()) == [expected]


def test_a_record_without_options_gets_the_strict_ones(tmp_path: Path) -> None:
    (line,) = (x for x in OTHER.records() if x.startswith("verity "))
    work = tmp_path / "work"
    (mount,) = mounts(work, line.removesuffix(" ro,nosuid,nodev") + "\n")
    assert "-o ro,nosuid,nodev " in mount


def test_the_root_s_record_has_no_options() -> None:
    assert ROOT.records()[0].endswith(" / squashfs")
