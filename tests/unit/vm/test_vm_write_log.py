"""The log of a disk's writes, and what a power cut leaves of them."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest
import write_log
from hypothesis import given, settings
from hypothesis import strategies as st
from write_log import BadWriteLog, Cut, Entry, Flag, Superblock, Torn, WriteLog

SECTORS = 32  # of the disk
BEFORE = b"\xee"  # what the disk has before the first write

REQUESTS = st.lists(
    st.tuples(
        st.sampled_from([Flag(0), Flag(0), Flag(0), Flag.FLUSH, Flag.FUA, Flag.DISCARD, Flag.MARK]),
        st.integers(0, SECTORS - 1),
        st.integers(1, 12),
    ),
    min_size=1,
    max_size=20,
)


def make_log(path: Path, requests: list[tuple[Flag, int, int]], sector_size: int = 512) -> WriteLog:
    """A log whose request N writes bytes N + 1."""
    raw = bytearray(Superblock(len(requests), sector_size).pack())
    for number, (flags, sector, sectors) in enumerate(requests):
        count = 0 if flags & (Flag.FLUSH | Flag.MARK) else min(sectors, SECTORS - sector)
        text = b"a mark" if Flag.MARK in flags else b""
        entry = Entry(sector, count, flags, 0, text)
        raw += entry.pack(sector_size)
        raw += bytes([number + 1]) * (count * sector_size if entry.has_data else 0)
    path.write_bytes(raw)
    return write_log.read(path)


def disk_after(log: WriteLog, moment: Cut, disk: Path) -> bytes:
    disk.write_bytes(BEFORE * SECTORS * log.sector_size)
    write_log.replay(log, moment, disk)
    return disk.read_bytes()


@given(REQUESTS, st.sampled_from([512, 4096]))
def test_what_was_packed_is_read(
    tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[Flag, int, int]], size: int
) -> None:
    log = make_log(tmp_path_factory.getbasetemp() / "log", requests, size)
    assert [entry.flags for entry in log.entries] == [flags for flags, _, _ in requests]
    assert [entry.sector for entry in log.entries] == [sector for _, sector, _ in requests]
    assert {e.text for e in log.entries if Flag.MARK in e.flags} <= {b"a mark"}
    for number, entry in enumerate(log.entries):
        if entry.has_data:
            written = dict(log.writes_to(entry.sector + entry.sectors - 1))
            assert written[number] == bytes([number + 1]) * size


@settings(max_examples=200)
@given(REQUESTS, st.integers())
def test_each_sector_is_what_its_flush_made_safe_or_what_came_after(
    tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[Flag, int, int]], seed: int
) -> None:
    directory = tmp_path_factory.getbasetemp()
    log = make_log(directory / "log", requests)
    moment = write_log.cut(log, random.Random(seed), 0, len(log.entries))
    disk = disk_after(log, moment, directory / "disk")
    flushes = [n for n in range(moment.point) if log.entries[n].is_flush]
    assert moment.durable == (flushes[-1] + 1 if flushes else 0)
    for sector in range(SECTORS):
        allowed = {BEFORE}
        for number, entry in enumerate(log.entries[: moment.point]):
            if not entry.changes_the_disk or not 0 <= sector - entry.sector < entry.sectors:
                continue
            here = bytes([number + 1]) if entry.has_data else b"\0"
            safe = number < moment.durable or Flag.FUA in entry.flags
            torn = moment.torn is not None and moment.torn.number == number
            allowed = {here} if safe and not torn else allowed | {here}
        content = disk[sector * 512 : sector * 512 + 512]
        assert content in {value * 512 for value in allowed}


def test_a_moment_can_be_between_any_two_requests_and_lose_any_write_not_flushed(
    tmp_path: Path,
) -> None:
    write, flush = Flag(0), Flag.FLUSH
    requests = [(write, 0, 1), (write, 1, 1), (flush, 0, 0), (write, 2, 1), (write, 3, 8)]
    log = make_log(tmp_path / "log", requests)
    moments = [write_log.cut(log, random.Random(seed), 0, 5) for seed in range(500)]
    assert {moment.point for moment in moments} == {1, 2, 3, 4, 5}
    assert {moment.lost for moment in moments if moment.point == 5} == {
        frozenset(), frozenset({3}), frozenset({4}), frozenset({3, 4}),
    }  # fmt: skip
    assert {m.lost for m in moments if m.point == 2} >= {frozenset({0}), frozenset({0, 1})}
    torn = {(m.torn.number, m.torn.unit) for m in moments if m.torn and m.point == 5}
    assert torn == {(3, 512), (3, 4096), (4, 512), (4, 4096)}


def test_a_moment_stays_in_its_span(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", [(Flag(0), n, 1) for n in range(20)])
    points = {write_log.cut(log, random.Random(seed), 7, 9).point for seed in range(50)}
    assert points == {8, 9}


def test_a_write_with_fua_is_never_lost(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", [(Flag(0), 0, 1), (Flag.FUA, 1, 1)])
    moments = [write_log.cut(log, random.Random(seed), 0, 2) for seed in range(100)]
    assert frozenset({0}) in {moment.lost for moment in moments}
    assert not any(1 in moment.lost for moment in moments)


def test_of_a_torn_write_only_the_units_kept_reach_the_disk(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", [(Flag(0), 0, 16), (Flag(0), 0, 2)])
    cut = Cut(1, 0, frozenset(), Torn(0, 4096, frozenset({1})))
    assert disk_after(log, cut, tmp_path / "disk")[: 16 * 512] == BEFORE * 4096 + b"\1" * 4096
    log = make_log(tmp_path / "log", [(Flag(0), 4, 16)])
    cut = Cut(1, 0, frozenset(), Torn(0, 4096, frozenset({0, 2})))
    disk = disk_after(log, cut, tmp_path / "disk")
    assert disk[4 * 512 : 20 * 512] == b"\1" * 2048 + BEFORE * 4096 + b"\1" * 2048
    log = make_log(tmp_path / "log", [(Flag(0), 0, 16), (Flag(0), 0, 2)])
    cut = Cut(2, 0, frozenset(), Torn(1, 512, frozenset({0})))
    assert disk_after(log, cut, tmp_path / "disk")[:1024] == b"\2" * 512 + b"\1" * 512


def test_a_discard_makes_zeros(tmp_path: Path) -> None:
    log = make_log(tmp_path / "log", [(Flag(0), 0, 2), (Flag.DISCARD, 1, 2)])
    disk = disk_after(log, Cut(2, 2, frozenset(), None), tmp_path / "disk")
    assert disk[: 3 * 512] == b"\1" * 512 + bytes(1024)


@pytest.mark.parametrize(
    ("at", "content", "because"),
    [
        (0, b"\0", "magic"),
        (8, b"\2", "version"),
        (24, b"\1", "sector size"),
        (16, b"\3", "the log ends"),
        (512 + 8, b"\x20", "the log ends"),
        (512 + 16, b"\x40", "flags"),
        (512 + 100, b"x", "no entry"),
    ],
)
def test_a_damaged_log_is_refused(tmp_path: Path, at: int, content: bytes, because: str) -> None:
    path = tmp_path / "log"
    make_log(path, [(Flag(0), 0, 1), (Flag.FLUSH, 0, 0)])
    raw = bytearray(path.read_bytes())
    raw[at : at + 1] = content
    path.write_bytes(raw)
    with pytest.raises(BadWriteLog, match=because):
        write_log.read(path)


@pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io of qemu-utils")
def test_qemus_own_log_makes_the_same_disk_again(tmp_path: Path) -> None:
    disk, log = tmp_path / "disk", tmp_path / "log"
    disk.write_bytes(BEFORE * (1 << 20))
    log.write_bytes(b"")
    node = f"driver=blklogwrites,file.driver=raw,file.file.driver=file,file.file.filename={disk}"
    node += f",log.driver=file,log.filename={log}"
    requests = ["write -P 1 0 8k", "flush", "write -f -P 2 4k 512", "write -z 64k 64k"]
    requests += ["write -P 3 8k 1k", "flush"]
    commands = [argument for request in requests for argument in ("-c", request)]
    subprocess.run(["qemu-io", *commands, "--image-opts", node], check=True, capture_output=True)
    recorded = write_log.read(log)
    assert sum(entry.changes_the_disk for entry in recorded.entries) == 4
    again = tmp_path / "again"
    again.write_bytes(BEFORE * (1 << 20))
    everything = Cut(len(recorded.entries), len(recorded.entries), frozenset(), None)
    write_log.replay(recorded, everything, again)
    assert again.read_bytes() == disk.read_bytes()
    assert again.read_bytes()[4096:4608] == b"\2" * 512
