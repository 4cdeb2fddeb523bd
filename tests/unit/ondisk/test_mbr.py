"""The MBR codec against sgdisk."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import mbr
from kiwilite.ondisk.mbr import BadMbr, BootIndicator, Mbr, MbrEntry

GIB = 2**30


def sgdisk_mbr(path: Path, size: int, *options: str) -> bytes:
    with path.open("wb") as f:
        f.truncate(size)
    subprocess.run(["sgdisk", *options, path], check=True, capture_output=True)
    with path.open("rb") as f:
        return f.read(512)


@pytest.mark.parametrize("size", [100 * 2**20, 20 * GIB, 3 * 2**40])
def test_the_protective_mbr_is_that_of_sgdisk(tmp_path: Path, size: int) -> None:
    assert mbr.protective(size // 512).pack() == sgdisk_mbr(tmp_path / "disk", size, "-o")


def test_the_hybrid_mbr_is_that_of_sgdisk(tmp_path: Path) -> None:
    """Partition 2 ends beyond what CHS can say, partition 1 does not."""
    partitions = ("-n", "1:2048:+64M", "-t", "1:ef00", "-n", "2:0:+10G")
    expected = sgdisk_mbr(tmp_path / "disk", 20 * GIB, *partitions, "-h", "1:2")
    ours = mbr.hybrid(
        [
            MbrEntry(mbr.TYPE_ESP, 2048, 131072),
            MbrEntry(mbr.TYPE_LINUX, 133120, 10 * GIB // 512),
        ],
    )
    assert ours.pack() == expected
    assert Mbr.unpack(expected) == ours


def test_the_guard_entry_stands_first_and_ends_before_the_first_partition() -> None:
    shown = [MbrEntry(0x83, 9000, 10), MbrEntry(0xEF, 2048, 100, BootIndicator.ACTIVE)]
    guard, *rest = mbr.hybrid(shown).entries
    assert (guard.type, guard.first_lba, guard.sectors) == (0xEE, 1, 2047)
    assert rest == shown


def test_the_active_flag_is_the_first_byte_of_the_entry() -> None:
    raw = mbr.hybrid([MbrEntry(0xEF, 2048, 100, BootIndicator.ACTIVE)]).pack()
    assert (raw[446], raw[462]) == (0x00, 0x80)


def test_boot_code_signature_and_magic_stand_at_their_offsets() -> None:
    raw = Mbr((), disk_signature=0x12345678, boot_code=b"\xeb\xfe").pack()
    assert raw[:2] == b"\xeb\xfe"
    assert raw[440:444] == b"\x78\x56\x34\x12"
    assert raw[510:] == b"\x55\xaa"


entries = st.builds(
    MbrEntry,
    st.integers(1, 255),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.sampled_from(BootIndicator),
) | st.just(mbr.UNUSED)


@settings(deadline=None)
@given(
    st.lists(entries, max_size=4).filter(lambda e: not e or e[-1] != mbr.UNUSED),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=440).map(lambda code: code.rstrip(b"\0")),
)
def test_what_is_packed_is_unpacked(table: list[MbrEntry], signature: int, code: bytes) -> None:
    record = Mbr(tuple(table), signature, code)
    raw = record.pack()
    assert len(raw) == 512
    assert Mbr.unpack(raw) == record


@settings(deadline=None)
@given(
    st.binary(max_size=600) | st.binary(min_size=510, max_size=510).map(lambda b: b + b"\x55\xaa")
)
def test_nothing_but_bad_mbr_comes_out_of_noise(noise: bytes) -> None:
    try:
        Mbr.unpack(noise)
    except BadMbr as error:
        assert error.field


@pytest.mark.parametrize(
    "partitions",
    [
        [],
        [MbrEntry(0x83, 2048 * n, 10) for n in range(1, 5)],
        [MbrEntry(0x83, 1, 10)],
        [MbrEntry(0x83, 2048, 10), MbrEntry(0x83, 2057, 10)],
        [MbrEntry(0xEE, 2048, 10)],
        [MbrEntry(0x83, 2048, 0)],
        [MbrEntry(0x83, n, 1, BootIndicator.ACTIVE) for n in (50, 60)],
    ],
)
def test_a_hybrid_that_would_not_boot_or_not_guard_is_refused(partitions: list[MbrEntry]) -> None:
    with pytest.raises(BadMbr):
        mbr.hybrid(partitions)


def test_what_does_not_fit_is_refused() -> None:
    for bad in (
        Mbr((MbrEntry(0x83, 2**32, 1),)),
        Mbr((MbrEntry(0x183, 1, 1),)),
        Mbr((mbr.UNUSED,) * 5),
        Mbr((), disk_signature=-1),
        Mbr((), boot_code=bytes(441)),
    ):
        with pytest.raises(BadMbr):
            bad.pack()
    with pytest.raises(BadMbr):
        mbr.protective(1)
