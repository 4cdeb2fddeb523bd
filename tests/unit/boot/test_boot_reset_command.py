"""The command that starts a factory reset where the firmware has no variables."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib import resources
from pathlib import Path

import pytest

COMMAND = Path(str(resources.files("kiwilite.build") / "image_files" / "kiwilite-factory-reset"))
ID = "abcdef01-2345-4678-9abc-def012345678"
MIB = 1024 * 1024

# What a live mapping answers; everything else is the real tool's affair.
_CRYPTSETUP = """#!/bin/sh
[ "$1" = status ] || exec {tool} "$@"
{answer}
"""
_ACTIVE = """echo '/dev/mapper/luks is active and is in use.'
echo '  type:    LUKS2'
echo '  device:  {device}'"""


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A partition with a volume that is in use."""
    if shutil.which("cryptsetup") is None:
        pytest.skip("needs cryptsetup")
    path, key = tmp_path / "volume", tmp_path / "key"
    with path.open("wb") as file:
        file.truncate(20 * MIB)
    key.write_text("secret")
    subprocess.run(
        ["cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2",
         "--pbkdf-force-iterations", "1000", "--label", ID, "--subsystem", "kiwilite-ready",
         "--key-file", key, path],
        check=True,
    )  # fmt: skip
    return path


def said_by(
    volume: Path,
    *arguments: str,
    answer: str = _ACTIVE,
    typed: str = "",
    variables: str = "no-variables",
) -> subprocess.CompletedProcess[str]:
    """Run the command; unless `variables` is a folder, as after a start by a legacy BIOS."""
    programs = volume.with_name("programs")
    programs.mkdir()
    answer = answer.format(device=volume)
    stubs = {
        "cryptsetup": _CRYPTSETUP.format(tool=shutil.which("cryptsetup"), answer=answer),
        "id": "#!/bin/sh\necho 0\n",
        "systemctl": '#!/bin/sh\necho "systemctl: $*"\n',
    }
    for name, text in stubs.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    entry = volume.with_name("entry")
    if variables == "no-variables":
        entry.write_text("tiny.efi@factory-reset\n")
    text = COMMAND.read_text().replace("/usr/lib/kiwilite/factory-reset-entry", str(entry))
    text = text.replace("/sys/firmware/efi/efivars", str(volume.with_name(variables)))
    return subprocess.run(
        ["sh", "-c", text, "kiwilite-factory-reset", *arguments],
        capture_output=True, text=True, check=False, input=typed,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
    )  # fmt: skip


def header(volume: Path) -> dict[str, str]:
    dump = subprocess.run(
        ["cryptsetup", "luksDump", volume], capture_output=True, text=True, check=True
    ).stdout
    rows = (line.partition(":") for line in dump.splitlines())
    return {name: value.strip() for name, _, value in rows if name in ("Label", "Subsystem")}


def test_without_variables_the_volume_is_marked_and_the_machine_restarts(volume: Path) -> None:
    ran = said_by(volume, typed="reset\n")
    assert ran.returncode == 0, ran.stderr
    assert 'Type "reset" to go on' in ran.stdout
    assert "factory reset is set for the next boot\nsystemctl: reboot\n" in ran.stdout
    assert header(volume) == {"Label": ID, "Subsystem": "kiwilite-reset"}


def test_without_a_boot_menu_the_volume_is_marked_even_if_there_are_variables(volume: Path) -> None:
    volume.with_name("variables").mkdir()
    ran = said_by(volume, "--yes", variables="variables")
    assert ran.returncode == 0, ran.stderr
    assert header(volume) == {"Label": ID, "Subsystem": "kiwilite-reset"}
    assert not list(volume.with_name("variables").iterdir())


def test_without_the_word_nothing_is_done(volume: Path) -> None:
    ran = said_by(volume, typed="yes\n")
    assert ran.returncode == 1
    assert "nothing was done" in ran.stderr
    assert "systemctl" not in ran.stdout
    assert header(volume) == {"Label": ID, "Subsystem": "kiwilite-ready"}


def test_it_can_be_told_not_to_ask_and_not_to_restart(volume: Path) -> None:
    ran = said_by(volume, "--yes", "--no-reboot")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "factory reset is set for the next boot\n"
    assert header(volume)["Subsystem"] == "kiwilite-reset"


def test_where_the_volume_is_not_open_it_names_the_other_way(volume: Path) -> None:
    ran = said_by(volume, "--yes", answer="echo '/dev/mapper/luks is inactive.'; exit 4")
    assert ran.returncode == 1
    assert "choose the reset entry in the boot menu" in ran.stderr
    assert header(volume)["Subsystem"] == "kiwilite-ready"


def test_a_volume_without_an_id_of_ours_is_left_alone(volume: Path) -> None:
    subprocess.run(["cryptsetup", "config", "--label", "somebody", volume], check=True)
    ran = said_by(volume, "--yes")
    assert ran.returncode == 1
    assert "has no volume of kiwilite" in ran.stderr
    assert header(volume)["Label"] == "somebody"
