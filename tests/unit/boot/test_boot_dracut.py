"""The dracut module: complete, the same hook as in our own initrd, and no way past it."""

from __future__ import annotations

import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from kiwilite.boot.dracut import check_archive, module_files
from kiwilite.boot.initrd import APPLETS, MissingProgram
from kiwilite.ondisk import cpio

FILES = module_files(["cryptsetup", "veritysetup"], ["dm_mod", "dm_verity"])


def test_the_hook_is_that_of_our_own_initrd() -> None:
    own = resources.files("kiwilite.boot") / "initrd_files" / "kiwilite-root"
    assert FILES["kiwilite-root"] == own.read_bytes()
    assert FILES["applets"].decode().split() == list(APPLETS)
    assert FILES["programs"] == b"cryptsetup\nveritysetup\n"
    assert FILES["modules"] == b"dm_mod\ndm_verity\n"


def test_the_module_installs_nothing_that_is_not_there() -> None:
    named = set(re.findall(r"\$moddir/([\w.-]+)", FILES["module-setup.sh"].decode()))
    assert named <= FILES.keys()
    assert FILES.keys() - named == {"module-setup.sh"}


def run_lockdown(folder: Path, cmdline: str, script: str) -> str:
    """Source the file as dracut's init does, with another command line, then run `script`."""
    (folder / "cmdline").write_text(cmdline + "\n")
    (folder / "policy").write_text("on-failure reboot\n")
    text = FILES["lockdown.sh"].decode()
    text = text.replace("/proc/cmdline", f"{folder}/cmdline")
    text = text.replace("/etc/kiwilite/policy", f"{folder}/policy")
    text = text.replace("/usr/lib/kiwilite/bin", str(folder / "bin"))
    (folder / "bin").mkdir(exist_ok=True)
    for name, does in (("sleep", "exit 0"), ("reboot", 'kill "$PPID"'), ("sh", "echo A SHELL")):
        (folder / "bin" / name).write_text(f"#!/bin/dash\n{does}\n")
        (folder / "bin" / name).chmod(0o755)
    (folder / "script").write_text(f"{text}\n{script}\n")
    done = subprocess.run(
        ["dash", folder / "script"], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "word", ["rd.break", "rd.break=mount", "rd.shell", "rd.cmdline=ask", "rd.emergency=ignore",
             "init=/bin/sh", "root=/dev/vda1", "rd.debug", "*"],
)  # fmt: skip
def test_dracut_does_not_see_words_that_lead_past_the_hook(tmp_path: Path, word: str) -> None:
    line = f"console=ttyS0 {word} quiet"
    assert run_lockdown(tmp_path, line, "getcmdline").split() == ["console=ttyS0", "quiet"]


@pytest.mark.parametrize("call", ["emergency_shell -n mount 'it broke'", "die 'it broke'"])
def test_where_dracut_would_give_a_shell_it_reboots(tmp_path: Path, call: str) -> None:
    said = run_lockdown(tmp_path, "rd.shell", f"{call}; echo WENT ON")
    assert "FAILED: dracut could not go on" in said
    assert "it broke" in said
    assert "rebooting" in said
    assert "WENT ON" not in said and "A SHELL" not in said


def archive(*paths: str) -> bytes:
    return cpio.write([cpio.regular(path, b"") for path in paths], mtime=0)


COMPLETE = (
    *("init", "etc/conf.d/kiwilite.conf", "usr/lib/kiwilite/busybox", "usr/lib/kiwilite/bin/sh"),
    *("usr/lib/kiwilite/kiwilite-root", "usr/sbin/veritysetup"),
)


@pytest.mark.parametrize("left_out", COMPLETE)
def test_what_dracut_left_out_is_named(left_out: str) -> None:
    check_archive(archive(*COMPLETE), ["veritysetup"], where="here")
    rest = archive(*(path for path in COMPLETE if path != left_out))
    with pytest.raises(MissingProgram, match=left_out.rpartition("/")[2]):
        check_archive(rest, ["veritysetup"], where="here")
