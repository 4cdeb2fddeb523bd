"""After a small change, the root's squashfs has its blocks from the image before."""

from __future__ import annotations

import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from opened_image import squashfs_file
from tiny_appliance import Appliance, make

from kiwilite.build.store import Store

pytestmark = pytest.mark.build


@pytest.fixture
def tiny(tmp_path: Path) -> Appliance:
    appliance = make(tmp_path)
    (appliance.folder / "root/etc").mkdir(parents=True)
    return appliance


def built(tiny: Appliance, content: str) -> tuple[Path, int, int]:
    """The image with this content in a file of the overlay tree, and how many blocks its
    root has, and has from earlier images."""
    (tiny.folder / "root/etc/motd").write_text(content)
    said = tiny.build()
    assert said.status == 0, said.err
    newest = Store(tiny.store).newest_with("blocks")[0]
    words = (newest.parent / "log").read_text().split()
    return next(tiny.target.glob("*.raw")), int(words[0]), int(words[2])


def test_one_changed_file_costs_a_few_blocks(tiny: Appliance) -> None:
    built(tiny, f"{uuid4()}\n")
    text = f"{uuid4()}\n"
    image, blocks, reused = built(tiny, text)
    assert blocks > 500
    assert blocks - 10 <= reused < blocks
    assert squashfs_file(image, "p.lxreadonly", "/etc/motd").decode() == text
    verified = subprocess.run(
        ["kiwilite", "image", "verify", str(image)], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr
