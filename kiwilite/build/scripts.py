"""KIWI's scripts: run inside the tree with `.profile`, `.kconfig` and the `kiwi_*` variables."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.errors import StageFailed
from kiwilite.plan.references import Source

HELPERS = Path(__file__).parent / "image_files" / "kconfig"


@dataclass(frozen=True, slots=True)
class Scripting:
    """What all scripts of a description run with."""

    variables: tuple[tuple[str, str], ...]
    network: bool
    epoch: int


@contextmanager
def _profile(tree: Path, variables: tuple[tuple[str, str], ...]) -> Iterator[None]:
    """`.profile` and `.kconfig` stand in the tree only while scripts run."""
    profile, kconfig = tree / ".profile", tree / ".kconfig"
    profile.write_text("".join(f"export {n}={shlex.quote(v)}\n" for n, v in variables))
    kconfig.write_bytes(HELPERS.read_bytes())
    try:
        yield
    finally:
        profile.unlink(missing_ok=True)
        kconfig.unlink(missing_ok=True)


def _runs_itself(script: Path) -> bool:
    """Whether it is executable and says by what; the kernel refuses one that only is."""
    if not os.access(script, os.X_OK):
        return False
    with script.open("rb") as stream:
        return stream.read(2) in (b"#!", b"\x7fE")


def run_script(job: Job, tree: Path, name: str, source: Source, scripting: Scripting) -> None:
    """Run NAME.sh: directly where it is executable, else through bash. StageFailed if it fails."""
    if scripting.network and job.network == "offline":
        raise StageFailed(
            "the script may use the network, and this build has none",
            where=str(source.path),
            hint="build without --offline, or without script_network",
        )
    script = job.source(source)
    inside = f"/run/kiwilite/{name}.sh"
    shell = "/bin/bash" if (tree / "bin/bash").exists() else "/bin/sh"
    command = [inside] if _runs_itself(script) else [shell, inside]
    environment = {**dict(scripting.variables), "SOURCE_DATE_EPOCH": str(scripting.epoch)}
    with _profile(tree, scripting.variables):
        try:
            run_in_tree(
                job,
                tree,
                command,
                environment=environment,
                network="host" if scripting.network else "none",
                binds={inside: script},
            )
        except StageFailed as error:
            raise StageFailed(
                f"the script failed: {error.message}", where=str(source.path), hint=error.hint
            ) from error
