"""The target folder has the old results or the new ones, never a part of both."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from kiwilite.build import manifest
from kiwilite.build import publish as room
from kiwilite.build.publish import RESULT, SUMS, Publication, is_up_to_date, remember
from kiwilite.build.store import Store
from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.sparse import copy_open
from kiwilite.plan.nodes import Plan

PLAN = Plan("tiny", "1.0.0", "x86_64", ("small",), (), (), "disk", None)
KINDS = ("raw", "efi")


@dataclass(frozen=True, slots=True)
class Publisher:
    """A store's results and a target, put together as a build does."""

    store: Store
    target: Path
    sources: Path
    unsummed: tuple[str, ...] = ()

    def make(self, word: str, version: str = "1.0.0") -> None:
        for kind in KINDS:
            (self.sources / kind).write_text(f"{word} {kind}")
        manifest.write(self.sources.parent)
        self.publish(version)
        unsummed = {self.names(version)[k]: self.sources / k for k in self.unsummed}
        remember(self.target, self.identity(word), unsummed, self.store)

    def publish(self, version: str = "1.0.0") -> None:
        names, paths = self.names(version), {k: self.sources / k for k in KINDS}
        with Publication(paths, names, self.target, self.unsummed) as files:
            files.finish(PLAN)

    def names(self, version: str = "1.0.0") -> dict[str, str]:
        return {kind: f"tiny-{version}.{kind}" for kind in KINDS}

    def identity(self, word: str) -> dict[str, str]:
        return dict.fromkeys(KINDS, f"key of {word}")

    def nothing_to_do(self, word: str) -> bool:
        return is_up_to_date(self.target, self.identity(word), self.store)

    def found(self) -> dict[str, str]:
        return {p.name: p.read_text() for p in self.target.iterdir() if p.suffix[1:] in KINDS}


def restart(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """The host was switched off and on."""
    (folder / "boot").write_text("another start\n")
    monkeypatch.setattr(room, "BOOT_ID", folder / "boot")


def test_after_a_restart_the_sums_decide_once(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    publisher.make("one")
    restart(monkeypatch, tmp_path)
    assert publisher.nothing_to_do("one")
    monkeypatch.setattr(room, "digest_file", lambda _: "not asked")
    assert publisher.nothing_to_do("one")


@pytest.mark.parametrize("name", ["tiny-1.0.0.raw", "tiny-1.0.0.efi", SUMS, RESULT])
def test_content_that_a_power_cut_took_is_missed_after_the_restart(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    publisher.make("one")
    path = publisher.target / name
    before = path.stat()
    path.write_bytes(bytes(before.st_size))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    restart(monkeypatch, tmp_path)
    assert not publisher.nothing_to_do("one")


@pytest.fixture(params=[(), ("raw",)], ids=["all summed", "raw not summed"])
def publisher(tmp_path: Path, request: pytest.FixtureRequest) -> Publisher:
    store = Store(tmp_path / "store")
    store.create()
    sources = store.output("a" * 64)
    sources.mkdir(parents=True)
    return Publisher(store, tmp_path / "deep" / "target", sources, request.param)


def test_results_sums_and_summary_are_there(publisher: Publisher) -> None:
    publisher.make("old")
    assert sorted(p.name for p in publisher.target.iterdir()) == sorted(
        [*publisher.names().values(), RESULT, SUMS]
    )
    demand_sums_hold(publisher.target)
    summary = json.loads((publisher.target / RESULT).read_text())
    assert summary["files"] == publisher.names()
    assert summary["version"] == "1.0.0"
    summed = {n for kind, n in publisher.names().items() if kind not in publisher.unsummed}
    assert summary["sha256"].keys() == summed
    listed = (publisher.target / SUMS).read_text().splitlines()
    assert {line.split("  ")[1] for line in listed} == summed


def test_the_same_results_give_the_same_bytes(publisher: Publisher, tmp_path: Path) -> None:
    publisher.make("old")
    other = replace(publisher, target=tmp_path / "other")
    other.make("old")
    for path in publisher.target.iterdir():
        assert (other.target / path.name).read_bytes() == path.read_bytes()


def demand_sums_hold(folder: Path) -> None:
    subprocess.run(["sha256sum", "-c", "--strict", SUMS], cwd=folder, check=True)


def test_into_another_folder_nothing_is_summed_again(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(_: int) -> str:
        raise AssertionError("a file was summed")

    publisher.make("old")
    monkeypatch.setattr(room, "digest_open", refuse)
    other = replace(publisher, target=tmp_path / "other")
    other.publish()
    demand_sums_hold(other.target)


def test_a_result_that_was_made_once_more_is_summed_once_more(
    publisher: Publisher, tmp_path: Path
) -> None:
    publisher.make("old")
    other = replace(publisher, target=tmp_path / "other")
    other.make("new")
    demand_sums_hold(other.target)
    assert other.found()["tiny-1.0.0.raw"] == "new raw"


def test_a_file_that_changes_its_place_in_the_store_is_published(publisher: Publisher) -> None:
    work = publisher.store.work / "raw"
    work.write_text("new raw")
    (publisher.sources / "efi").write_text("new efi")
    paths = {k: publisher.sources / k for k in KINDS}
    with Publication(paths, publisher.names(), publisher.target) as files:
        files.put("raw", work)
        work.rename(publisher.sources / "raw")
        files.finish(PLAN)
    demand_sums_hold(publisher.target)
    assert publisher.found()["tiny-1.0.0.raw"] == "new raw"


def test_a_second_time_there_is_nothing_to_do(publisher: Publisher) -> None:
    assert not publisher.nothing_to_do("old")
    publisher.make("old")
    assert publisher.nothing_to_do("old")
    assert not publisher.nothing_to_do("new")


@pytest.mark.parametrize("name", ["tiny-1.0.0.raw", SUMS, RESULT])
@pytest.mark.parametrize("change", ["removed", "written", "emptied"])
def test_a_target_that_was_touched_is_noticed_and_repaired(
    publisher: Publisher, name: str, change: str
) -> None:
    publisher.make("old")
    path = publisher.target / name
    before = path.read_bytes()
    if change == "removed":
        path.unlink()
    else:
        path.write_bytes(b"" if change == "emptied" else before[::-1])
        os.utime(path, ns=(1, 1))
    assert not publisher.nothing_to_do("old")
    publisher.make("old")
    assert path.read_bytes() == before
    assert publisher.nothing_to_do("old")


def test_files_of_an_earlier_version_are_removed_and_others_stay(publisher: Publisher) -> None:
    publisher.make("old")
    (publisher.target / "notes.txt").write_text("mine")
    publisher.make("new", version="2.0.0")
    assert publisher.found() == {"tiny-2.0.0.raw": "new raw", "tiny-2.0.0.efi": "new efi"}
    assert (publisher.target / "notes.txt").read_text() == "mine"


def test_a_full_disk_leaves_the_old_results_as_they_were(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.make("old")
    before = {p.name: p.read_bytes() for p in publisher.target.iterdir()}

    def fill(source: BinaryIO, stream: BinaryIO, offset: int) -> Any:
        if Path(source.name).name == "efi":
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy_open(source, stream, offset)

    monkeypatch.setattr(room, "copy_open", fill)
    with pytest.raises(OSError, match="No space left"):
        publisher.make("new")
    assert {p.name: p.read_bytes() for p in publisher.target.iterdir()} == before
    assert publisher.nothing_to_do("old")


def test_what_was_begun_for_a_build_that_failed_is_taken_away(publisher: Publisher) -> None:
    def fail(old: str | None) -> None:
        (publisher.sources / "raw").write_text("new raw")
        paths = {k: publisher.sources / k for k in KINDS}
        with (
            pytest.raises(KiwiliteError),
            Publication(paths, publisher.names(), publisher.target) as files,
        ):
            files.put("raw", paths["raw"])
            raise KiwiliteError("a later step failed")
        found = publisher.target / "tiny-1.0.0.raw"
        assert (found.read_text() if found.exists() else None) == old

    fail(None)
    assert not publisher.target.exists()
    publisher.make("old")
    fail("old raw")
    assert publisher.nothing_to_do("old")


def test_a_result_that_was_made_once_more_is_what_gets_published(publisher: Publisher) -> None:
    for kind in KINDS:
        (publisher.sources / kind).write_text(f"first {kind}, and longer")
    paths = {k: publisher.sources / k for k in KINDS}
    with Publication(paths, publisher.names(), publisher.target) as files:
        files.put("raw", paths["raw"])
        paths["raw"].unlink()
        paths["raw"].write_text("second raw")
        files.put("raw", paths["raw"])
        files.finish(PLAN)
    assert publisher.found()["tiny-1.0.0.raw"] == "second raw"
    demand_sums_hold(publisher.target)


def test_what_a_killed_build_left_is_swept_and_what_a_running_one_writes_is_not(
    publisher: Publisher,
) -> None:
    publisher.make("old")
    ended = subprocess.Popen(["true"])
    ended.wait()
    left, running = (
        publisher.target / f".tiny-1.0.0.raw{room.SCRATCH}{pid}" for pid in (ended.pid, 1)
    )
    left.write_text("half")
    running.write_text("half")
    publisher.make("new")
    assert not left.exists()
    assert running.exists()
    assert publisher.found() == {"tiny-1.0.0.raw": "new raw", "tiny-1.0.0.efi": "new efi"}
