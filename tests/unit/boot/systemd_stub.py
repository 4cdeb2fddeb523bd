"""EFI stubs and ukify of a Debian release, fetched once from the mirror the host uses."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def stub(suite: str) -> bytes:
    """linuxx64.efi.stub of systemd-boot-efi in `suite` (bookworm: 252, trixie: 257)."""
    tree = package(suite, "systemd-boot-efi")
    return (tree / "usr/lib/systemd/boot/efi/linuxx64.efi.stub").read_bytes()


def package(suite: str, name: str) -> Path:
    """The unpacked tree of package `name`; skips the test if there is no network."""
    tree = _cache() / f"{name}-{suite}"
    if tree.is_dir():
        return tree
    with tempfile.TemporaryDirectory(dir=tree.parent, prefix=f".{tree.name}.") as work:
        _download(suite, name, Path(work))
        (archive,) = Path(work).glob("*.deb")
        unpacked = Path(work) / "tree"
        subprocess.run(["dpkg-deb", "-x", archive, unpacked], check=True)
        with contextlib.suppress(OSError):  # another test was faster
            unpacked.rename(tree)
    return tree


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    directory = (Path(base) if base else Path.home() / ".cache") / "kiwilite" / "test-packages"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def _download(suite: str, name: str, work: Path) -> None:
    if not shutil.which("apt-get"):
        pytest.skip("no apt-get on this host to fetch the EFI stub with")
    wanted = ["$(LABEL)", "$(REPO_URI)"]
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", " ".join(wanted)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    uris = {line.split(" ", 1)[1] for line in targets.splitlines() if line.startswith("Debian ")}
    if not uris:
        pytest.skip("apt knows no Debian mirror (run apt-get update)")
    lists = work / "lists"
    (lists / "partial").mkdir(parents=True)
    (work / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {min(uris)} {suite} main\n")
    (work / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{work}/sources.list";\n'
        'Dir::Etc::SourceParts "/dev/null";\n'
        f'Dir::State::Lists "{lists}";\n'
        f'Dir::Cache "{work}/cache";\n'
        'APT::Sandbox::User "";\n'
        'Acquire::Languages "none";\n'
    )
    environment = os.environ | {"APT_CONFIG": str(work / "apt.conf")}
    for command in (["update", "-qq", "--error-on=any"], ["download", "-qq", name]):
        done = subprocess.run(
            ["apt-get", *command],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no network to fetch {name} of {suite}: {done.stderr.strip()[:200]}")
