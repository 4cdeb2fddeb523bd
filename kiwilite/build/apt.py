"""apt inside a tree: installs selected packages from a folder, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job

Recommends = Literal["recommends", "no-recommends"]

REPOSITORY = "/run/kiwilite/packages"
LIST = "/run/kiwilite/sources.list"
CONFIGURATION = "/run/kiwilite/apt.conf"
LISTS = "/run/kiwilite/lists"
HOOK = "/run/kiwilite/no-bytecode"
HOOK_FILE = Path(__file__).parent / "image_files" / "no-bytecode"

SOURCE = f"deb [trusted=yes] file:{REPOSITORY} ./\n"

# Source lists and preferences that the tree has are for the device.
_CONFIGURATION_TEXT = f"""\
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Color "false";
Acquire::Languages "none";
Dir::Etc::sourcelist "{LIST}";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{LISTS}";
Dpkg::Use-Pty "false";
#clear DPkg::Pre-Install-Pkgs;
Dpkg::Options {{
 "--force-unsafe-io"; "--force-confdef"; "--force-confold";
 "--pre-invoke=sh {HOOK} aside"; "--post-invoke=sh {HOOK} back";
}};
"""


def install(
    job: Job,
    tree: Path,
    packages: Sequence[str],
    repository: Path,
    *,
    recommends: Recommends,
    epoch: int,
) -> None:
    """Install `packages` and what they need from the folder `repository`, and nothing else.

    What apt is told stands in mounts that end with it; nothing of it stays in the tree.
    """
    settings = job.scratch / "apt.conf"
    settings.write_text(_CONFIGURATION_TEXT)
    source = job.scratch / "sources.list"
    source.write_text(SOURCE)
    lists = job.scratch / "lists"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    binds = {
        REPOSITORY: repository,
        LIST: source,
        CONFIGURATION: settings,
        LISTS: lists,
        HOOK: HOOK_FILE,
    }
    environment = {"APT_CONFIG": CONFIGURATION, "SOURCE_DATE_EPOCH": str(epoch)}
    wanted = "--install-recommends" if recommends == "recommends" else "--no-install-recommends"
    for command in (
        ["apt-get", "update", "--error-on=any"],
        ["apt-get", "install", "--yes", "--no-auto-remove", wanted, *packages],
    ):
        run_in_tree(job, tree, command, environment=environment, binds=binds)
    _forget(tree)


def _forget(tree: Path) -> None:
    """Take away lists and archives, which whoever made the minimal tree may have left, too."""
    for folder in ("var/lib/apt/lists", "var/cache/apt/archives"):
        for path in (tree / folder).glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (tree / "var/cache/apt").glob("*.bin"):
        path.unlink()
