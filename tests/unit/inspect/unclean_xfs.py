"""An XFS that looks as if its machine had lost power, made without mounting one."""

from __future__ import annotations

from pathlib import Path

from kiwilite.ondisk.xfs import XfsSuperblock

_RECORD_HEADER = 512
_FLAGS_AT = _RECORD_HEADER + 9
_UNMOUNTED = 0x20


def not_unmounted(path: Path) -> None:
    """Make the log's last record, that of the unmount, another one: the log must be replayed.

    mkfs.xfs leaves one record: a header of 512 bytes, then an operation, whose flags stand
    in its byte 9. Source: "XFS Filesystem Disk Structures", Journaling Log.
    """
    with path.open("r+b") as stream:
        start, _ = XfsSuperblock.unpack(stream.read(512)).log_extent()
        stream.seek(start)
        record = stream.read(_RECORD_HEADER + 12)
        assert record[:4] == b"\xfe\xed\xba\xbe"
        assert record[_FLAGS_AT] & _UNMOUNTED
        stream.seek(start + _FLAGS_AT)
        stream.write(bytes([record[_FLAGS_AT] & ~_UNMOUNTED]))
