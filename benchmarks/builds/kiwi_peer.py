"""KIWI on a description that is as near to descriptions/x86 as KIWI comes.

It has the packages of ours, and those that only KIWI needs: dracut with KIWI's module for
the overlay, and GRUB, as its disk boots by BIOS: for an ESP it mounts FAT, which not every
kernel has. Root is a squashfs with a hash tree under an XFS overlay. The overlay is not
encrypted, which would take device-mapper. KIWI calls mksquashfs without a level, so zstd
works at its default, 15; of its four initrds and two squashfs nothing can be left out.

KIWI itself comes from PyPI, `make` puts it below build/peers; so do its dracut modules, which
Debian 13 does not have. rsync, which it calls, is unpacked beside it where the host has none.
It keeps downloaded packages and nothing else between two builds: each change costs a clean
build, and only that is measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from builds.measures import Row, said
from builds.ours import CLEAN, DESCRIPTION
from builds.peers import PEERS, Uninstallable, install, wanted_packages
from builds.running import Usage, run
from kiwilite.build.digest import digest_file

KIWI = PEERS / "kiwi"
VERSION = "11.1.6"
WORK = PEERS / "kiwi-work"
MODULES = ("55kiwi-overlay", "59kiwi-lib")
NEEDED = ("sgdisk", "sfdisk", "losetup", "partx", "qemu-img", "mkfs.xfs", "veritysetup")
LEFT_OUT = ("systemd-boot-efi",)
ONLY_KIWI = ("dracut", "dracut-network", "kiwi-dracut-overlay", "grub-pc-bin", "grub2-common")

CONTROL = """\
Package: kiwi-dracut-overlay
Version: {version}
Architecture: all
Maintainer: nobody <root@localhost>
Depends: dracut
Description: modules for dracut from the sources of KIWI
"""

TEXT = """\
<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="8.5" name="x86" displayname="x86">
    <description type="system">
        <author>nobody</author>
        <contact>root@localhost</contact>
        <specification>for the comparison of builders</specification>
    </description>
    <preferences>
        <version>1.0.1</version>
        <packagemanager>apt</packagemanager>
        <locale>C</locale>
        <timezone>UTC</timezone>
        <type image="oem" firmware="bios" filesystem="xfs" format="qcow2"
              overlayroot="true" overlayroot_write_partition="true"
              squashfscompression="zstd" verity_blocks="all"
              kernelcmdline="console=tty0 console=ttyS0 no_timer_check">
            <bootloader name="grub2" timeout="0"/>
            <oemconfig>
                <oem-resize>false</oem-resize>
            </oemconfig>
            <size unit="M">1400</size>
        </type>
    </preferences>
    <users>
        <user name="root" groups="root" home="/root" password="*"/>
        <user name="admin" groups="admin:1000,users,systemd-journal,sudo" id="1000"
              home="/home/admin" password="*"/>
    </users>
{repositories}
    <packages type="bootstrap">
        <package name="ca-certificates"/>
        <package name="passwd"/>
    </packages>
    <packages type="image">
{packages}
        <file name="sudoers-admin" target="/etc/sudoers.d/admin"
              owner="root:root" permissions="0440"/>
    </packages>
</image>
"""

# KIWI would have apt ask a keyring of its own making; mmdebstrap is told to trust as well.
REPOSITORY = """\
    <repository type="apt-deb" alias="{alias}" repository_gpgcheck="false"{suite}>
        <source path="{path}"/>
    </repository>
"""


def measure(mirrors: Mapping[str, str], runs: int) -> tuple[Row, ...]:
    """Build `runs` times; Uninstallable, with the reason, where this machine cannot."""
    if os.geteuid() != 0:
        raise Uninstallable("KIWI builds as root only")
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    if missing := [tool for tool in NEEDED if shutil.which(tool, path=path) is None]:
        raise Uninstallable(f"it needs {', '.join(missing)}")
    if not (KIWI / "bin/kiwi-ng").exists():
        install(KIWI, ["make", "--directory", PEERS.parents[1], KIWI.relative_to(PEERS.parents[1])])
    WORK.mkdir(exist_ok=True)
    unpack_rsync()
    pack_modules()
    write_description(mirrors)
    if not (WORK / "cache").exists():
        said("KIWI, packages", build())
    return (Row(CLEAN, tuple(said("KIWI", build()) for _ in range(runs))),)


def unpack_rsync() -> None:
    """rsync for KIWI, where the host has none."""
    if shutil.which("rsync") or (WORK / "tools/usr/bin/rsync").exists():
        return
    with tempfile.TemporaryDirectory(dir=WORK) as folder:
        words = ["sh", "-c", 'cd "$1" && apt-get download rsync', "sh", folder]
        install(WORK / "tools", words)
        (package,) = Path(folder).glob("rsync_*.deb")
        install(WORK / "tools", ["dpkg-deb", "-x", package, WORK / "tools"])


def pack_modules() -> None:
    """A repository with a package of KIWI's dracut modules, taken from its sources."""
    repository = WORK / "repository"
    package = repository / "kiwi-dracut-overlay.deb"
    if package.exists():
        return
    repository.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as scratch:
        base = Path(scratch)
        words = ["download", "--quiet", "--no-deps", "--no-binary=kiwi", f"--dest={base}"]
        install(repository, [KIWI / "bin/pip", *words, f"kiwi=={VERSION}"])
        root = base / "root"
        (root / "DEBIAN").mkdir(parents=True)
        control = CONTROL.format(version=VERSION)
        (root / "DEBIAN/control").write_text(control)
        with tarfile.open(base / f"kiwi-{VERSION}.tar.gz") as sources:
            sources.extractall(base, filter="data")
        for module in MODULES:
            source = base / f"kiwi-{VERSION}/dracut/modules.d" / module
            shutil.copytree(source, root / "usr/lib/dracut/modules.d" / module)
        subprocess.run(["chmod", "-R", "a+rX", root], check=True)
        install(repository, ["dpkg-deb", "--root-owner-group", "--build", root, package])
    fields = f"Size: {package.stat().st_size}\nSHA256: {digest_file(package)}\n"
    (repository / "Packages").write_text(f"{control}Filename: ./{package.name}\n{fields}")


def write_description(mirrors: Mapping[str, str]) -> None:
    """The description, with the files of ours."""
    folder = WORK / "description"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(DESCRIPTION, folder)
    # What it takes away is what GRUB boots.
    (folder / "pre_disk_sync.sh").unlink()
    # The functions that KIWI gives scripts are for bash.
    script = folder / "config.sh"
    script.write_text(script.read_text().replace("#!/bin/sh", "#!/bin/bash"))
    names = [name for name in wanted_packages() if name not in LEFT_OUT]
    packages = "\n".join(f'        <package name="{n}"/>' for n in (*names, *ONLY_KIWI))
    repositories = "".join(_repositories(mirrors))
    text = TEXT.format(repositories=repositories, packages=packages)
    (folder / "appliance.kiwi").write_text(text)


def _repositories(mirrors: Mapping[str, str]) -> Iterator[str]:
    for name, suite in (("debian", "trixie"), ("debian-security", "trixie-security")):
        place = f' distribution="{suite}" components="main"'
        yield REPOSITORY.format(alias=name, path=mirrors[name], suite=place)
    yield REPOSITORY.format(alias="modules", path=f"dir://{WORK}/repository", suite="")


def forget_partitions() -> None:
    """Take away what a KIWI that was stopped left: the next one on that loop device fails on it.

    The kernel shows partitions of a loop device, and forgets them, only while it has a file.
    """
    with tempfile.NamedTemporaryFile(dir=WORK) as file:
        file.truncate(1 << 20)
        attach = ["losetup", "--find", "--show", file.name]
        device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
        delete = ["partx", "--delete", "--nr", "1-16", device]
        subprocess.run(delete, check=False, capture_output=True)  # it fails where there are none
        subprocess.run(["losetup", "--detach", device], check=True)


def build() -> Usage:
    """One build from nothing but the packages in the cache."""
    target = WORK / "target"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    forget_partitions()
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin:{WORK}/tools/usr/bin"
    # What it mounts goes with it, however it ends: the host's /dev is below the target then.
    command: list[str | Path] = ["unshare", "--mount", "--propagation=private"]
    command += [KIWI / "bin/kiwi-ng", "--shared-cache-dir", WORK / "cache"]
    command += ["system", "build"]
    command += ["--description", WORK / "description", "--target-dir", target]
    try:
        return run(command, environment={**os.environ, "PATH": path, "LC_ALL": "C.UTF-8"})
    finally:
        shutil.rmtree(target, ignore_errors=True)
