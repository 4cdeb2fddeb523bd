"""An overlay over named trees, mounted by the boot hook's functions in a mount namespace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import hook_shell
import pytest

_STUBS = """
set -u
: "${work:?}" "${verified:?}" "${writable:?}"
sysroot=$work/sysroot
mount -t tmpfs none "$work" || exit 1
printf 'tree /etc\\ntree /var/lib\\n' >"$work/policy"
for each in etc var/lib usr tmp dev proc run sys; do mkdir -p "$verified/$each"; done
mkdir -p "$writable" "$sysroot"
echo verified >"$verified/etc/hosts"
echo verified >"$verified/var/welcome"
chmod 1777 "$verified/tmp"
chmod 750 "$verified/etc"
chown 7:8 "$verified/var/lib"
"""


def assemble(tmp_path: Path, commands: str, layer: str = "persistent") -> str:
    """What `commands` print after the root was assembled."""
    inside = ("unshare", "-m")
    if os.getuid() != 0 or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("needs mounts")
    ran = hook_shell.run(
        tmp_path / "work", f"layer={layer}\nassemble_root\n{commands}", _STUBS, inside=inside
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_what_is_written_to_a_tree_lands_in_the_volume_below_the_same_path(
    tmp_path: Path,
) -> None:
    shown = assemble(
        tmp_path,
        'echo x >"$sysroot/etc/hosts"; echo y >"$sysroot/var/lib/db"\n'
        'cd "$writable/upper" && find . -type f | sort',
    )
    assert shown.endswith("./etc/hosts\n./var/lib/db\n")


def test_owner_and_mode_of_a_tree_are_those_of_the_image(tmp_path: Path) -> None:
    shown = assemble(tmp_path, "cd \"$sysroot\" && stat -c '%a %u:%g %n' etc var/lib tmp")
    assert shown.endswith("750 0:0 etc\n755 7:8 var/lib\n1777 0:0 tmp\n")


def test_outside_of_the_trees_tmp_and_var_are_in_memory(tmp_path: Path) -> None:
    shown = assemble(
        tmp_path,
        'cat "$sysroot/var/welcome"; echo z >"$sysroot/tmp/z"; echo z >"$sysroot/var/z"\n'
        '(cd "$work/memory/upper" && find . -type f | sort); ls "$writable/upper/var"',
    )
    assert shown.endswith("verified\n./tmp/z\n./var/z\nlib\n")


def test_the_verified_tree_itself_never_changes(tmp_path: Path) -> None:
    shown = assemble(
        tmp_path,
        'echo x >"$sysroot/etc/hosts"; rm "$sysroot/var/welcome"\n'
        'cat "$verified/etc/hosts" "$verified/var/welcome"',
    )
    assert shown.endswith("verified\nverified\n")


def test_a_second_boot_finds_what_the_first_wrote(tmp_path: Path) -> None:
    shown = assemble(
        tmp_path,
        'echo x >"$sysroot/etc/hosts"; chmod 700 "$sysroot/etc"\n'
        'for each in $mounted; do umount "$each"; done; mounted=\n'
        'assemble_root; cat "$sysroot/etc/hosts"; stat -c %a "$sysroot/etc"',
    )
    assert shown.endswith("x\n700\n")


def test_without_a_layer_no_tree_is_overlaid(tmp_path: Path) -> None:
    shown = assemble(tmp_path, "grep -c '^OverlayOS:/etc ' /proc/mounts || :", layer="none")
    assert shown.endswith("\n0\n")
