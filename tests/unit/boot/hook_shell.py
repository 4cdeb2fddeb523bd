"""Single functions of the boot hook, run in a shell of this machine."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

HOOK = Path(str(resources.files("kiwilite.boot") / "initrd_files" / "kiwilite-root"))

_STUBS = """
tell() { echo "$1"; }
die() { echo "FAILED: $1"; exit 1; }
"""


def run(
    work: Path,
    commands: str,
    stubs: str = "",
    *,
    tpm: Path | None = None,
    inside: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """Run `commands` with the hook's functions, its working files in `work`.

    `stubs` are functions that stand in for the hook's, or for programs of the initrd;
    `tpm` is a file in the place of the TPM's device node; `inside` is a command that
    runs the shell in surroundings of its own.
    """
    work.mkdir(exist_ok=True)
    functions = HOOK.read_text().partition("\ntrap 'die ")[0]
    functions = functions.replace("/dev/tpm0", str(tpm or work / "no-tpm"))
    policy = f"policy={work}/policy work={work} verified={work}/verity writable={work}/overlay\n"
    return subprocess.run(
        [*inside, "sh", "-c", functions + "\n" + policy + _STUBS + stubs + "\n" + commands],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
