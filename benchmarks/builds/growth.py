"""How the cost of a build grows with the root tree, and with the disk.

The appliance is the small one of the tests. Its packages are installed before, so what is
measured are all steps after them. The tree is made larger by an overlay, half of which
compresses well and a quarter not at all; it is the same in every run, and a file of it has no
more than 1 MiB. For the disks it is `size=` that grows, and with it the encrypted volume of
the overlay, which is made at build time.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from builds.measures import MB, Row, said
from builds.ours import build, forget, fresh_store, result_of
from builds.running import Usage
from kiwilite.build.store import remove_tree

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "build"))
import tiny_appliance

TREES = (100, 500, 2000)
"""Sizes of root trees, in MB."""
DISKS = (1, 8)
"""Sizes of disks, in GiB."""
MIB = 1 << 20

# The tree gets below the smallest size that is measured; it is not meant to run any more, and
# what boots it is taken out of it before.
SLIM = """\
#!/bin/sh
set -eu
rm -rf /boot/* /usr/lib/modules /usr/share/doc /usr/share/man /usr/share/locale
rm -rf /usr/share/i18n /usr/share/zoneinfo /usr/lib/*/gconv
rm -rf /usr/lib/python3* /usr/bin/python3* /usr/lib/*/libicu*
"""

VOLUME = """\
overlayroot_write_partition="true" luks="insecure" luks_version="luks2"
              luks_unlock="embedded" provisioning="build" format="qcow2\""""


def trees(base: Path, sizes: Sequence[int] = TREES) -> tuple[Row, ...]:
    """A build for each size of the root tree, in MB, rounded to what the fill can give."""
    description = _description(base / "growing", tiny_appliance.DESCRIPTION)
    store = fresh_store(base / "store-growing")
    build(description, store, base / "grown")
    least = size_of(result_of(store, "customise") / "tree")
    rows = []
    for size in sizes:
        fill(description / "root/opt/fill", size * MB - least)
        usage = said(f"{size} MB", build(description, store, base / "grown"))
        real = size_of(result_of(store, "customise") / "tree") / MB
        rows.append(Row(f"root tree of {real:.0f} MB", (usage,)))
        shutil.rmtree(description / "root", ignore_errors=True)
        for step in ("customise", "root", "disk"):
            remove_tree(result_of(store, step).parent)
    forget(store)
    shutil.rmtree(base / "grown")
    return tuple(rows)


def disks(base: Path, runs: int, sizes: Sequence[int] = DISKS) -> tuple[Row, ...]:
    """Builds of the same content on disks of each size, in GiB, in stores of their own."""
    rows = []
    for size in sizes:
        text = tiny_appliance.DESCRIPTION.replace('overlayroot_write_partition="false"', VOLUME)
        text = text.replace("</type>", f'<size unit="G">{size}</size></type>')
        description = _description(base / f"disk{size}", text)
        usages = [_disk(base, description) for _ in range(runs)]
        rows.append(Row(f"disk of {size} GiB", tuple(usages)))
    return tuple(rows)


def _disk(base: Path, description: Path) -> Usage:
    store = fresh_store(base / "store-disk")
    usage = said(description.name, build(description, store, base / "disk"))
    forget(store)
    shutil.rmtree(base / "disk")
    return usage


def _description(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / tiny_appliance.FILE).write_text(text)
    script = folder / "pre_disk_sync.sh"
    script.write_text(SLIM)
    script.chmod(0o755)
    return folder


def fill(folder: Path, size: int) -> None:
    """Files of `size` bytes in all, to a MiB: by turns random, digits, and twice log lines."""
    chance = random.Random(size)
    for number in range(max(0, size // MIB)):
        target = folder / f"{number // 100}" / f"{number}"
        target.parent.mkdir(parents=True, exist_ok=True)
        match number % 4:
            case 0:
                content = chance.randbytes(MIB)
            case 1:
                content = chance.randbytes(MIB // 2).hex().encode()
            case _:
                lines = (f"{number} unit {n:07} started\n" for n in range(MIB // 20))
                content = "".join(lines).encode()[:MIB]
        target.write_bytes(content)


def size_of(tree: Path) -> int:
    """Bytes of the files in a tree, links not followed."""
    return sum(p.lstat().st_size for p in tree.rglob("*") if p.is_file() and not p.is_symlink())
