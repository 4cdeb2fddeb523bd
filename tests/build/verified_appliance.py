"""A tiny appliance with all of dm-verity's options, whose init tells what it sees.

Its packages are the same whatever makes the initrd, so that the store has them once.
"""

from __future__ import annotations

import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tiny_appliance

Initrd = Literal["kiwilite", "dracut"]
Overlay = Literal["memory", "volume"]

VOLUME = """\
luks="insecure" luks_version="luks2" luks_unlock="embedded\""""
FORMAT = """\
<luksformat>
<option name="--cipher" value="aegis128-random"/><option name="--key-size" value="128"/>
<option name="--integrity" value="aead"/><option name="--sector-size" value="4096"/>
</luksformat>"""

BLOB = random.Random(7).randbytes(256 * 1024)
"""The file /blob; nothing can compress it, so its bytes stand in the squashfs as they are."""

FEC_ROOTS = 2

INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DM_DISABLE_UDEV=1
echo "INIT: reached"
dmesg -n 1
while read -r mount; do echo "mount: $mount"; done </proc/mounts
veritysetup status verityRoot
for file in /blob /data/blob; do
    if sum=$(sha256sum "$file"); then echo "sha256: $sum"; else echo "error: $file"; fi
done
echo "kept: $(cat /kept || echo nothing)"
echo "what was written" >/kept
sync
dmesg | grep -i 'device-mapper: verity'
echo "INIT: done"
busybox poweroff -f
"""


@dataclass(frozen=True, slots=True)
class Built:
    """The results of a build, and the public half of the metadata's key."""

    raw: Path
    uki: Path
    root_hash: str
    public_key: Path


def build(base: Path, initrd: Initrd, overlay: Overlay = "memory") -> Built:
    """Build it below `base`; a volume is made at the first boot."""
    appliance = tiny_appliance.make(base)
    if overlay == "volume":
        appliance.change('overlayroot_write_partition="false"', VOLUME)
    system = f'initrd_system="{initrd}"' if initrd == "dracut" else ""
    appliance.change('overlayroot="true"', f'overlayroot="true" {system}')
    appliance.change('verity_blocks="all"', 'verity_blocks="all" embed_verity_metadata="true"')
    appliance.change(
        '<bootloader name="systemd_boot" timeout="0"/>',
        '<bootloader name="systemd_boot" timeout="0"/>'
        f"{FORMAT if overlay == 'volume' else ''}"
        f'<verity algorithm="sha512" hash_tree="partition" fec_roots="{FEC_ROOTS}"'
        ' metadata_key="file://metadata-key.pem"/>'
        '<partitions><partition name="data" size="8" mountpoint="/data" filesystem="squashfs"/>'
        "</partitions>",
    )
    appliance.change(
        '<package name="xfsprogs"/>', '<package name="xfsprogs"/><package name="dracut"/>'
    )
    for path in ("blob", "data/blob"):
        target = appliance.folder / "root" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(BLOB)
    init = appliance.folder / "root/usr/sbin/init"
    init.parent.mkdir(parents=True)
    init.write_text(INIT)
    init.chmod(0o755)
    key = appliance.folder / "metadata-key.pem"
    make_key = ("openssl", "genpkey", "-quiet", "-algorithm", "RSA", "-out", key)
    subprocess.run(make_key, check=True)
    public = base / "public.pem"
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    said = appliance.build()
    assert said.status == 0, said.err
    name = appliance.target / "tiny.x86_64-1.0.0"
    root_hash = name.with_name(f"{name.name}.roothash").read_text().strip()
    raw, uki = (name.with_name(f"{name.name}.{ending}") for ending in ("raw", "efi"))
    return Built(raw, uki, root_hash, public)
