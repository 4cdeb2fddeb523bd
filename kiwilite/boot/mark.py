"""The provisioning mark: "this partition belongs to this image and awaits provisioning".

An image carries it at byte 0 of the overlay partition. It fills 64 KiB without a
single zero byte, so that a writer that skips holes writes it all, and so that the
LUKS2 headers of an earlier installation (primary at 0, secondary at 16384, each
16384 bytes) are gone afterwards.

Layout: lines of 512 bytes, all the same, each

    0    "KIWILITE PROVISION "     19 bytes
    19   the volume id, lower-case UUID, 36 bytes
    55   spaces
    511  line feed

Text, so that the boot hook compares lines and a hex dump explains itself. While
a partition is being formatted, one such line stands in its last 4096 bytes; see
`initrd_files/kiwilite-root`.
"""

from __future__ import annotations

from uuid import UUID

MAGIC = b"KIWILITE PROVISION "
LINE_BYTES = 512
MARK_BYTES = 64 * 1024


def mark_line(volume_id: UUID) -> bytes:
    """The 512 bytes the mark of `volume_id` repeats."""
    return (MAGIC + str(volume_id).encode()).ljust(LINE_BYTES - 1) + b"\n"


def provisioning_mark(volume_id: UUID) -> bytes:
    """The 65536 bytes to write at offset 0 of the overlay partition."""
    return mark_line(volume_id) * (MARK_BYTES // LINE_BYTES)


def read_mark(head: bytes) -> UUID | None:
    """The volume id in a partition's first bytes, or None where no intact line stands."""
    line = head[:LINE_BYTES]
    if not line.startswith(MAGIC):
        return None
    try:
        volume_id = UUID(line[len(MAGIC) :].decode("ascii").strip())
    except ValueError:
        return None
    return volume_id if mark_line(volume_id) == line else None
