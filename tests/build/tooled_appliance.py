"""A tiny appliance in whose image every tool of a build has a say, and kiwilite on other hosts."""

from __future__ import annotations

from pathlib import Path

import tiny_appliance
from tiny_appliance import Appliance


def make(base: Path, store: Path | None = None) -> Appliance:
    """The appliance below `base`: all file systems, parity, another compressor, qcow2."""
    appliance = tiny_appliance.make(base, store)
    appliance.change('filesystem="xfs"', 'filesystem="xfs" format="qcow2"')
    appliance.change(
        'squashfscompression="zstd" squashfscompression_level="1"', 'squashfscompression="gzip"'
    )
    appliance.change(
        '<bootloader name="systemd_boot" timeout="0"/>',
        '<bootloader name="systemd_boot" timeout="0"/><verity fec_roots="2"/>'
        '<partitions><partition name="home" size="32" mountpoint="/home" filesystem="ext4"/>'
        '<partition name="data" size="320" mountpoint="/srv/data" filesystem="xfs"/>'
        "</partitions>",
    )
    for path in ("home/somebody/notes", "srv/data/numbers"):
        place = appliance.folder / "root" / path
        place.parent.mkdir(parents=True)
        place.write_text(f"{path}\n" * 1000)
    return appliance
