"""What kiwilite needs of a host: each program or file, what for, and the Debian package with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Use(Enum):
    """Who cannot do without it."""

    BUILD = "builds"
    USER_BUILD = "builds by an ordinary user"
    VM = "virtual machines"
    TEST = "the tests"


@dataclass(frozen=True, slots=True)
class Tool:
    """`version` is the argument that makes it print its version; None where it has none."""

    name: str
    package: str
    purpose: str
    version: str | None = "--version"
    use: Use = Use.BUILD


@dataclass(frozen=True, slots=True)
class DataFile:
    """Something needed that is not a program: one file that fits `pattern` is enough.

    `pattern` is a glob below `/`, without the leading slash.
    """

    name: str
    package: str
    purpose: str
    pattern: str


TOOLS = (
    Tool("mmdebstrap", "mmdebstrap", "makes the minimal tree"),
    Tool("perl", "perl-base", "runs mmdebstrap"),
    Tool("apt-get", "apt", "downloads packages for mmdebstrap"),
    Tool("apt-cache", "apt", "looks for a bootstrap archive among the packages"),
    Tool("dpkg", "dpkg", "unpacks packages"),
    Tool("dpkg-deb", "dpkg", "unpacks packages"),
    Tool("mount", "mount", "gives mmdebstrap's tree its /proc and /dev"),
    Tool("newuidmap", "uidmap", "gives the namespace its user ids", None, Use.USER_BUILD),
    Tool("newgidmap", "uidmap", "gives the namespace its group ids", None, Use.USER_BUILD),
    Tool("cp", "coreutils", "copies trees, with shared blocks where there can be"),
    Tool("tar", "tar", "archives and overlay trees"),
    Tool("zstd", "zstd", "compresses the initrd and bootstrap archives"),
    Tool("mksquashfs", "squashfs-tools", "squashfs other than with zstd", "-version"),
    Tool("mke2fs", "e2fsprogs", "ext4 partitions", "-V"),
    Tool("debugfs", "e2fsprogs", "pins time stamps in ext4", "-V"),
    Tool("mkfs.xfs", "xfsprogs", "XFS partitions", "-V"),
    Tool("xfs_repair", "xfsprogs", "checks a filled XFS", "-V"),
    Tool("mkfs.vfat", "dosfstools", "the EFI system partition", None),
    Tool("mcopy", "mtools", "files in the EFI system partition"),
    Tool("mmd", "mtools", "folders in the EFI system partition"),
    Tool("qemu-img", "qemu-utils", "qcow2 and other disk formats"),
    Tool("qemu-system-x86_64", "qemu-system-x86", "boots images (run_x86)", use=Use.VM),
    Tool("swtpm", "swtpm", "a TPM for the machine", use=Use.VM),
    Tool("veritysetup", "cryptsetup-bin", "forward error correction"),
    Tool("depmod", "kmod", "puts test guests together", use=Use.TEST),
)

DATA_FILES = (
    DataFile(
        "libfaketime",
        "libfaketime",
        "gives XFS its time stamps",
        "usr/lib/*/faketime/libfaketime.so.1",
    ),
    DataFile(
        "Debian's archive keys",
        "debian-archive-keyring",
        "check packages of distro:debian",
        "usr/share/keyrings/debian-archive-keyring.*",
    ),
)

PACKAGE_OF = {tool.name: tool.package for tool in TOOLS}
PACKAGE_OF["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"] = "libfaketime"
