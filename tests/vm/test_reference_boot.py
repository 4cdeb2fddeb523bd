"""Boots of the reference image on other ways: past the firmware, by the menu."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from reference_image import BOOT_TIMEOUT, ReferenceImage

from kiwilite.vm.console import Console
from kiwilite.vm.machine import MachineSpec, Writes, start

pytestmark = [pytest.mark.vm, pytest.mark.build]


@pytest.mark.parametrize(
    ("in_policy", "because"),
    [
        pytest.param(True, r"verityRoot: .*root hash", id="of-policy-and-command-line"),
        pytest.param(False, r"roothash= on the command line", id="of-command-line"),
    ],
)
def test_a_wrong_root_hash_reaches_neither_login_nor_a_shell(
    image: ReferenceImage, tmp_path: Path, in_policy: bool, because: str
) -> None:
    wrong = image.root_hash[:-1] + ("0" if image.root_hash[-1] != "0" else "1")
    initrd = image.uki.initrd
    if in_policy:
        assert initrd.count(image.root_hash.encode()) == 1
        initrd = initrd.replace(image.root_hash.encode(), wrong.encode())
    cmdline = image.uki.profiles[0].cmdline.replace(image.root_hash, wrong)
    with start(image.direct_boot(image.raw, initrd, cmdline, tmp_path)) as machine:
        machine.console.expect(r"kiwilite: halting|handing over|login: |Kernel panic", BOOT_TIMEOUT)
        machine.console.send("\necho ans$((6 * 7))wer\n")
        time.sleep(5)  # whatever wrongly came next would show now
        text = machine.console.text
    assert re.search(rf"kiwilite: FAILED: {because}", text), text
    assert "kiwilite: halting" in text
    assert not re.search(r"handing over|login: |Kernel panic|ans42wer", text), text


def test_the_reset_entry_can_be_chosen_in_the_boot_menu(image: ReferenceImage) -> None:
    with start(MachineSpec(image=image.raw, writes=Writes.DISCARDED)) as machine:
        console = machine.console
        for _ in range(3):  # the boot loader looks at the keyboard for a tenth of a second only
            if hold_space_until_menu(console):
                break
            machine.reset()
        console.send("j\r")  # the entry below the default
        console.expect(r"kiwilite: factory reset of /dev/vda7", BOOT_TIMEOUT)
        assert "kiwilite.factory-reset" in console.text
        console.expect(r"kiwilite: factory reset done", BOOT_TIMEOUT)


def hold_space_until_menu(console: Console) -> bool:
    """Whether the menu of a boot loader without time-out came up; else the kernel starts."""
    begin = len(console.text)
    deadline = time.monotonic() + BOOT_TIMEOUT
    while time.monotonic() < deadline:
        shown = console.text[begin:]
        if "(factory reset)" in shown:
            return True
        if "EFI stub:" in shown:
            return False
        console.send(" ")
        time.sleep(0.03)
    return False
