"""mkosi with the packages of descriptions/x86, incremental, its packages in a cache.

mkosi is not on PyPI, and old where Debian is: it comes from Debian's sid, with the systemd
tools it calls, into a root tree of its own below build/peers. The image has what ours has and
mkosi can give: an ESP with systemd-boot and an unsigned UKI, a squashfs at level 3 of zstd,
its hash tree in a partition. It has no encrypted overlay and no other partitions. The initrd
is mkosi's own, made of packages as an image of its own.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from builds.measures import Row, said
from builds.ours import CLEAN, COMMAND_LINE, DESCRIPTION, NOTHING, PACKAGE_ADDED, SMALL_PACKAGE
from builds.peers import PEERS, Uninstallable, install, wanted_packages
from builds.running import Usage, run
from kiwilite.build.python import import_path

TREE = PEERS / "mkosi"
SUITE = "sid"
TOOLS = (
    "mkosi", "systemd-repart", "systemd-ukify", "systemd", "systemd-boot-efi", "squashfs-tools",
    "dosfstools", "mtools", "cpio", "zstd", "kmod", "cryptsetup-bin", "debian-archive-keyring",
    "openssl", "util-linux", "ca-certificates",
)  # fmt: skip

CONFIGURATION = """\
[Distribution]
Distribution=debian
Release=trixie
Mirror={mirror}
[Output]
Format=disk
Output=x86
OutputDirectory=out
Seed=2f1b1a3c-6d1c-4d6e-9f0e-0a1b2c3d4e5f
[Content]
Packages={packages}
Bootable=yes
Bootloader=systemd-boot
UnifiedKernelImages=unsigned
WithDocs=no
KernelCommandLine={command_line}
SourceDateEpoch=1754697600
ExtraTrees=root
[Validation]
Verity=hash
[Build]
Incremental=yes
BuildSources=
CacheDirectory=cache
PackageCacheDirectory=package-cache
WorkspaceDirectory=workspace
"""

PARTITIONS: Mapping[str, str] = {
    "00-esp.conf": "Type=esp\nFormat=vfat\nCopyFiles=/boot:/\nCopyFiles=/efi:/\n"
    "SizeMinBytes=260M\nSizeMaxBytes=260M\n",
    "10-root.conf": "Type=root\nFormat=squashfs\nCompression=zstd\nCompressionLevel=3\n"
    "CopyFiles=/\nVerity=data\nVerityMatchKey=root\nMinimize=best\n",
    "20-verity.conf": "Type=root-verity\nVerity=hash\nVerityMatchKey=root\nMinimize=best\n",
}

# Of its own choice mkosi asks for repositories with debug packages, which mirrors may lack.
SOURCES = """\
Types: deb
URIs: {mirror}
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: {security}
Suites: trixie-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

LINE = "console=tty0 console=ttyS0 no_timer_check"


def measure(mirrors: Mapping[str, str], runs: int) -> tuple[Row, ...]:
    """Build `runs` times; Uninstallable, with the reason, where this machine cannot."""
    if os.geteuid() != 0:
        raise Uninstallable("mkosi's tree is entered by pivot_root, which takes root")
    installed(mirrors["debian"])
    folder = PEERS / "mkosi-work"
    usages: dict[str, list[Usage]] = {
        name: [] for name in (CLEAN, NOTHING, COMMAND_LINE, PACKAGE_ADDED)
    }
    packages = wanted_packages()

    def built(name: str, more: tuple[str, ...], command_line: str) -> Usage:
        configure(folder, mirrors, (*packages, *more), command_line)
        return said(f"mkosi, {name}", build(folder))

    if not (folder / "package-cache").exists():
        built("packages", (SMALL_PACKAGE,), LINE)
    for _ in range(runs):
        for name in ("cache", "out"):
            shutil.rmtree(folder / name, ignore_errors=True)
        usages[CLEAN].append(built(CLEAN, (), LINE))
        usages[NOTHING].append(built(NOTHING, (), LINE))
        usages[COMMAND_LINE].append(built(COMMAND_LINE, (), f"{LINE} quiet"))
        usages[PACKAGE_ADDED].append(built(PACKAGE_ADDED, (SMALL_PACKAGE,), LINE))
    for name in ("cache", "out"):
        shutil.rmtree(folder / name, ignore_errors=True)
    return tuple(Row(name, tuple(found)) for name, found in usages.items())


def installed(mirror: str) -> None:
    """See that mkosi's tree is there; Uninstallable where it cannot be made."""
    if not (TREE / "usr/bin/mkosi").exists():
        # sid's lists say until when they hold, which mirrors may have let pass.
        options = ["--mode=root", "--variant=apt", f"--include={','.join(TOOLS)}"]
        options += ['--aptopt=Acquire::Check-Valid-Until "false"']
        install(TREE, ["mmdebstrap", *options, SUITE, TREE, mirror])


def configure(
    folder: Path, mirrors: Mapping[str, str], packages: tuple[str, ...], command_line: str
) -> None:
    """Write the configuration; what did not change keeps its time, for mkosi looks at it."""
    for name in ("cache", "out", "package-cache", "workspace", "mkosi.repart"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copytree(DESCRIPTION / "root", folder / "root", dirs_exist_ok=True)
    sources = folder / "mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources"
    text = SOURCES.format(mirror=mirrors["debian"], security=mirrors["debian-security"])
    _write(sources, text)
    for name, partition in PARTITIONS.items():
        _write(folder / "mkosi.repart" / name, f"[Partition]\n{partition}")
    words = {"mirror": mirrors["debian"], "packages": " ".join(packages)}
    _write(folder / "mkosi.conf", CONFIGURATION.format(command_line=command_line, **words))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def build(folder: Path) -> Usage:
    """`-f` makes the image anew from mkosi's own cache; without it nothing is looked at."""
    command: list[str | Path] = [sys.executable, "-m", "builds.enter_tree", TREE, folder]
    command += ["mkosi", "-f", "build"]
    path = os.pathsep.join([import_path(), str(Path(__file__).resolve().parents[1])])
    return run(command, environment={**os.environ, "PYTHONPATH": path})
