"""A hash tree in a partition of its own, with forward error correction, on a real kernel."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from opened_image import partition
from tiny_appliance import has
from verified_appliance import BLOB, Built, build
from verified_guest import guest

from kiwilite.ondisk.verity import TreeShape, read_superblock

pytestmark = pytest.mark.vm

DIGEST = hashlib.sha256(BLOB).hexdigest()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    for tool in ("mmdebstrap", "mksquashfs", "veritysetup", "openssl"):
        if not has(tool):
            pytest.skip(f"needs {tool}")
    return build(tmp_path_factory.mktemp("verified"), "kiwilite")


def test_damaged_blocks_of_data_and_tree_read_back_correct(built: Built, tmp_path: Path) -> None:
    damaged = guest(built, tmp_path)
    # a whole block in each squashfs, and the leaf of the root's tree that has its digest
    root, _ = partition(damaged.disk, "p.lxreadonly")
    tree, _ = partition(damaged.disk, "p.lxreadonly-verity")
    with damaged.disk.open("rb") as disk:
        shape = TreeShape(read_superblock(disk, tree))
    number = (damaged.blob_block("p.lxreadonly") - root) // 4096
    leaf = 1 + shape.levels[0].first_block + number // shape.digests_per_block
    for name in ("p.lxreadonly", "data"):
        damaged.overwrite(damaged.blob_block(name), bytes(4096))
    damaged.overwrite(tree + leaf * 4096, b"\xff" * 4096)
    text = damaged.boot()
    assert "INIT: reached" in text, text
    assert text.count(f"sha256: {DIGEST}") == 2, text
    corrected = re.findall(r"verity-fec: .*: corrected (\d+) errors", text)
    assert len(corrected) >= 3 and max(map(int, corrected)) > 3000


def test_a_metadata_block_with_another_root_hash_stops_the_boot(
    built: Built, tmp_path: Path
) -> None:
    other = guest(built, tmp_path)
    start, size = partition(other.disk, "p.lxreadonly")
    with other.disk.open("rb") as disk:
        disk.seek(start + size - 4096)
        block = disk.read(4096)
    changed = block.replace(built.root_hash.encode(), b"ab" * (len(built.root_hash) // 2))
    assert changed != block
    other.overwrite(start + size - 4096, changed)
    text = other.boot()
    assert "FAILED: verityRoot: its metadata block names another root hash" in text, text
    assert "INIT:" not in text
