"""An initrd by the image's own dracut, with our hook in it, on a real kernel."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from tiny_appliance import has
from verified_appliance import BLOB, Built, build
from verified_guest import guest

pytestmark = pytest.mark.vm

SHELL_PROMPT = re.compile(r"^[^\n]*(?:dracut|sh-|[~/])[^\n]*[#$] $", re.M)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    for tool in ("mmdebstrap", "mksquashfs", "veritysetup", "openssl"):
        if not has(tool):
            pytest.skip(f"needs {tool}")
    return build(tmp_path_factory.mktemp("dracut"), "dracut", "volume")


def test_init_is_reached_through_dracut_whatever_the_command_line_asks_for(
    built: Built, tmp_path: Path
) -> None:
    """With words that would give a shell, or another init, in dracut's own way of booting."""
    text = guest(built, tmp_path).boot("rd.break", "rd.shell", "rd.cmdline=ask", "init=/bin/bash")
    assert "kiwilite: verifying the root file system" in text
    assert "INIT: reached" in text, text
    assert "mount: OverlayOS_rootfs / overlay rw," in text
    assert "mount: /dev/mapper/verityRoot /run/kiwilite/verity squashfs ro," in text
    assert "mount: /dev/mapper/verity-data /data squashfs ro,nosuid,nodev," in text
    assert re.search(r"status: +verified", text)
    assert text.count("sha256: " + hashlib.sha256(BLOB).hexdigest()) == 2
    assert not SHELL_PROMPT.search(text), text


def test_the_overlay_s_volume_is_made_opened_and_reset(built: Built, tmp_path: Path) -> None:
    machine = guest(built, tmp_path)
    first = machine.boot()
    assert "provisioning the overlay volume" in first
    assert "kept: nothing" in first, first
    second = machine.boot()
    assert "opening the overlay volume" in second
    assert "kept: what was written" in second, second
    after = machine.boot("kiwilite.factory-reset")
    assert "factory reset done" in after
    assert "kept: nothing" in after, after


def test_a_root_hash_that_is_not_the_policys_reaches_neither_init_nor_a_shell(
    built: Built, tmp_path: Path
) -> None:
    wrong = "ab" * (len(built.root_hash) // 2)
    text = guest(built, tmp_path).boot("rd.shell", "rd.break", in_policy=wrong)
    assert "FAILED: roothash= on the command line is not the policy's root hash" in text, text
    assert "rebooting in" in text
    assert "INIT:" not in text
    assert not SHELL_PROMPT.search(text), text


def test_a_root_that_does_not_match_its_hash_stops_the_boot(built: Built, tmp_path: Path) -> None:
    wrong = "ab" * (len(built.root_hash) // 2)
    text = guest(built, tmp_path).boot("rd.shell", root_hash=wrong)
    assert "FAILED: verityRoot: " in text, text
    assert "rebooting in" in text
    assert "INIT:" not in text
    assert not SHELL_PROMPT.search(text), text
