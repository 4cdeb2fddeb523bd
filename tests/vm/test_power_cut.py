"""Power lost while a machine makes or fills its volume, works, is reset, or grows with its disk.

A boot is recorded with every write; each test draws a moment of it, makes the disk as a
power cut in that moment may leave it, and boots that.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import power_cut
import pytest
from built_volume import made_with_the_image
from initrd_guest import MIB, OVERLAY, OVERLAY_PARTUUID, make_appliance
from power_cut import STEPS, AfterCut, Found, Recording
from write_log import Cut

from kiwilite.boot.policy import Grow

pytestmark = pytest.mark.vm

RESET = "kiwilite.factory-reset"
LARGER = 96 * MIB


@pytest.fixture(scope="module")
def first_boot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The first boot of an appliance: its volume is made, and it works."""
    directory = tmp_path_factory.mktemp("first-boot")
    appliance = make_appliance(directory, power_cut.SCRIPTS)
    with power_cut.recorded(appliance, directory / "recorded", 0) as recording:
        yield recording


@pytest.fixture(scope="module")
def filling(first_boot: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """The first boot with a sparse volume that was made with the image, and work after it."""
    directory = tmp_path_factory.mktemp("filling")
    sparse = made_with_the_image(first_boot.before.copy(directory), directory, "sparse")
    with power_cut.recorded(sparse, directory / "recorded", 0) as recording:
        assert "writing zeros to the overlay volume" in recording.text
        yield recording
    sparse.disk.unlink()


@pytest.fixture(scope="module")
def reset(first_boot: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """A later boot that resets it, and work after that."""
    directory = tmp_path_factory.mktemp("reset") / "recorded"
    resettable = first_boot.after.with_policy(switches=(RESET,))
    with power_cut.recorded(resettable, directory, STEPS, RESET) as recording:
        assert "factory reset done" in recording.text
        yield recording


@pytest.fixture(scope="module")
def growth(first_boot: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """A later boot in which it finds its disk larger, and work after that."""
    directory = tmp_path_factory.mktemp("growth")
    growing = first_boot.after.with_policy(grow=Grow("always", OVERLAY_PARTUUID))
    larger = growing.copy(directory)
    os.truncate(larger.disk, larger.disk.stat().st_size + LARGER)
    with power_cut.recorded(larger, directory / "recorded", STEPS, "gpt") as recording:
        assert "growing the file system" in recording.text
        yield recording
    larger.disk.unlink()


def lost(after: AfterCut) -> list[str]:
    """What was synced since the first boot and is not there."""
    if not after.booted:
        return ["it did not boot"]
    return power_cut.missing(after.found, after.mark or 0)


def lost_by_reset(after: AfterCut) -> list[str]:
    """What is neither the state before the reset nor the one after it."""
    if not after.booted:
        return ["it did not boot"]
    if after.mark is not None:
        return power_cut.missing(after.found, after.mark, STEPS + 1)
    files = after.found.files
    if files is None or set(files) <= {STEPS + 1}:  # the first step may have been under way
        return []
    return power_cut.missing(after.found, STEPS)


def lost_by_growth(after: AfterCut) -> list[str]:
    """What is lost, or has not grown."""
    if not after.booted:
        return ["it did not boot"]
    blocks = re.search(r"^blocks: (\d+) of 4096$", after.text, re.M)
    grown = blocks is not None and int(blocks.group(1)) * 4096 > OVERLAY[1]
    return power_cut.missing(after.found, after.mark or STEPS) + ["not grown"] * (not grown)


@pytest.mark.parametrize("seed", power_cut.seeds(2, 15))
def test_provisioning_that_loses_power_is_done_again(
    first_boot: Recording, seed: int, tmp_path: Path, protocol: Path
) -> None:
    rng = random.Random(f"provisioning/{seed}")
    span = first_boot.before_work(rng)
    after = power_cut.cut_and_boot(first_boot, span, rng, tmp_path / "cut.raw")
    power_cut.judge(after, lost(after), protocol, f"provisioning/{seed}")


@pytest.mark.parametrize("seed", power_cut.seeds(2, 15))
def test_what_was_synced_in_normal_use_survives_a_power_cut(
    first_boot: Recording, seed: int, tmp_path: Path, protocol: Path
) -> None:
    rng = random.Random(f"use/{seed}")
    after = power_cut.cut_and_boot(first_boot, first_boot.work, rng, tmp_path / "cut.raw")
    power_cut.judge(after, lost(after), protocol, f"use/{seed}")


@pytest.mark.parametrize("seed", power_cut.seeds(1, 5))
def test_a_sparse_volume_that_loses_power_is_filled_to_its_end(
    filling: Recording, seed: int, tmp_path: Path, protocol: Path
) -> None:
    rng = random.Random(f"filling/{seed}")
    after = power_cut.cut_and_boot(filling, filling.before_work(rng), rng, tmp_path / "cut.raw")
    power_cut.judge(after, lost(after), protocol, f"filling/{seed}")


@pytest.mark.parametrize("seed", power_cut.seeds(1, 5))
def test_what_was_synced_to_a_sparse_volume_survives_a_power_cut(
    filling: Recording, seed: int, tmp_path: Path, protocol: Path
) -> None:
    rng = random.Random(f"filled/{seed}")
    after = power_cut.cut_and_boot(filling, filling.work, rng, tmp_path / "cut.raw")
    power_cut.judge(after, lost(after), protocol, f"filled/{seed}")


@pytest.mark.parametrize("seed", power_cut.seeds(1, 10))
def test_a_factory_reset_that_loses_power_leaves_the_old_state_or_a_new_one(
    reset: Recording, seed: int, tmp_path: Path, protocol: Path
) -> None:
    rng = random.Random(f"reset/{seed}")
    after = power_cut.cut_and_boot(reset, reset.before_work(rng), rng, tmp_path / "cut.raw")
    power_cut.judge(after, lost_by_reset(after), protocol, f"reset/{seed}")


@pytest.mark.parametrize("seed", power_cut.seeds(1, 10))
def test_growth_that_loses_power_is_completed_and_loses_nothing(
    growth: Recording, seed: int, tmp_path: Path, protocol: Path
) -> None:
    rng = random.Random(f"growth/{seed}")
    span = growth.before_work(rng)
    after = power_cut.cut_and_boot(growth, span, rng, tmp_path / "cut.raw", "gpt")
    power_cut.judge(after, lost_by_growth(after), protocol, f"growth/{seed}")


def test_without_a_cut_everything_is_found(growth: Recording) -> None:
    with growth.after.start("run=look", "gpt") as machine:
        machine.console.expect(power_cut.END, timeout=600)
        text = machine.console.text
    assert power_cut.missing(Found.read(text), 2 * STEPS) == []


def test_a_disk_that_lies_about_its_flushes_is_found_out(
    first_boot: Recording, tmp_path: Path
) -> None:
    """That the tests above can fail: with the power much is lost that was flushed."""
    (begin, _), *_, (end, mark) = first_boot.marks()
    moment = Cut(end + 1, end, frozenset(range(begin, end)), None)
    after = power_cut.boot_after(first_boot, moment, tmp_path / "cut.raw")
    assert after.mark == mark == STEPS
    assert f"file {STEPS} is gone" in power_cut.missing(after.found, mark)
