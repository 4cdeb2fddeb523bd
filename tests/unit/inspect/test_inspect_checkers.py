"""File systems by their own checkers: damage is an error, not having been unmounted is none."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import synthetic_disk
from synthetic_disk import MIB
from unclean_xfs import not_unmounted

from kiwilite.inspect.checkers import check_xfs
from kiwilite.inspect.findings import Finding, Place, Severity
from kiwilite.inspect.source import opened
from kiwilite.inspect.verify import Given, verify

TOOLS = ("mkfs.xfs", "xfs_repair", "xfs_db")
pytestmark = pytest.mark.skipif(
    any(shutil.which(t) is None for t in TOOLS), reason=f"{', '.join(TOOLS)} are not all installed"
)

SIZE = 64 * MIB


@pytest.fixture
def xfs(tmp_path: Path) -> Path:
    path = tmp_path / "xfs"
    with path.open("wb") as stream:
        stream.truncate(SIZE)
    subprocess.run(["mkfs.xfs", "-q", "--unsupported", path], check=True, capture_output=True)
    return path


def miscount(path: Path) -> None:
    """A number of free blocks that is not right, with a checksum that is."""
    command = ["xfs_db", "-x", "-c", "sb 0", "-c", "write -d fdblocks 5", str(path)]
    subprocess.run(command, check=True, capture_output=True)


def findings(path: Path) -> list[Finding]:
    return check_xfs(path, Place("part", 0, SIZE))


def test_a_good_xfs_has_no_finding(xfs: Path) -> None:
    assert findings(xfs) == []


def test_a_damaged_xfs_is_an_error_in_its_checker_s_words(xfs: Path) -> None:
    miscount(xfs)
    (found,) = findings(xfs)
    assert found.severity is Severity.ERROR
    assert found.what.startswith("xfs_repair: sb_fdblocks 5, counted ")


@pytest.mark.parametrize("miscounted", [False, True])
def test_an_xfs_that_was_not_unmounted_is_a_warning_whatever_its_counts(
    xfs: Path, miscounted: bool
) -> None:
    if miscounted:
        miscount(xfs)
    not_unmounted(xfs)
    (found,) = findings(xfs)
    assert found.severity is Severity.WARNING
    assert "was not unmounted" in found.what


def test_so_it_is_in_a_partition_of_an_image(xfs: Path, tmp_path: Path) -> None:
    not_unmounted(xfs)
    content = xfs.read_bytes()
    path = synthetic_disk.make(tmp_path / "disk", size=SIZE + 11 * MIB, last=content)
    with opened(path) as disk:
        report = verify(disk, Given())
    loud = [f for f in report.findings if f.severity is not Severity.NOTE]
    assert [(f.severity, f.place.part) for f in loud] == [(Severity.WARNING, "p.lxroot")]
    assert "was not unmounted" in loud[0].what
