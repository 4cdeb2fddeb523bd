"""The acceptance tests of the reference image tell right from wrong answers."""

from __future__ import annotations

import pytest
from reference_ssh import Acceptance, device_mapper, status, sysctl

from kiwilite.vm.shell import CommandResult

CRYPT = device_mapper("luks", "crypt")
INTEGRITY = status("integritysetup", "luks_dif", type="INTEGRITY", failures="0")
SAID = "/dev/mapper/luks_dif is active and is in use.\n  type:    INTEGRITY\n  failures: 0\n"
MOUNT = Acceptance("mount", {}, {1: "OverlayOS_rootfs", 5: "overlay"}, " on / type ")


@pytest.mark.parametrize(
    ("test", "output"),
    [
        (CRYPT, "0 677200 crypt \n"),
        (INTEGRITY, SAID),
        (sysctl("kernel.kptr_restrict", "1"), "kernel.kptr_restrict = 1\n"),
        (MOUNT, "a on /b type x (rw)\nOverlayOS_rootfs on / type overlay (rw)\n"),
    ],
)
def test_a_right_answer_is_accepted(test: Acceptance, output: str) -> None:
    assert test.wrong(CommandResult(0, output)) == []
    assert test.wrong(CommandResult(1, output)) != []


@pytest.mark.parametrize(
    ("test", "output"),
    [
        (CRYPT, "0 677200 linear 254:0 0\n"),
        (CRYPT, ""),
        (INTEGRITY, SAID.replace("failures: 0", "failures: 10")),
        (INTEGRITY, SAID.replace("INTEGRITY", "INTEGRITY2")),
        (INTEGRITY, SAID.replace("  failures: 0\n", "")),
        (sysctl("kernel.kptr_restrict", "1"), "kernel.kptr_restrict = 11\n"),
        (MOUNT, "/dev/vda1 on / type overlay (rw)\n"),
        (MOUNT, "OverlayOS_rootfs on /x type overlay (rw)\n"),
    ],
)
def test_a_wrong_answer_is_not(test: Acceptance, output: str) -> None:
    assert test.wrong(CommandResult(0, output)) != []
