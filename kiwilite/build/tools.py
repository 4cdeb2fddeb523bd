"""The programs a build calls: what each is for, and the Debian package that has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tool:
    """`version` is the argument that makes it print its version; None where it has none."""

    name: str
    package: str
    purpose: str
    version: str | None = "--version"


TOOLS = (
    Tool("mmdebstrap", "mmdebstrap", "makes the minimal tree"),
    Tool("apt-get", "apt", "downloads packages for mmdebstrap"),
    Tool("dpkg", "dpkg", "unpacks packages"),
    Tool("dpkg-deb", "dpkg", "unpacks packages"),
    Tool("newuidmap", "uidmap", "gives an ordinary user the ids of a tree", None),
    Tool("newgidmap", "uidmap", "gives an ordinary user the ids of a tree", None),
    Tool("tar", "tar", "archives and overlay trees"),
    Tool("zstd", "zstd", "compresses the initrd and bootstrap archives"),
    Tool("mksquashfs", "squashfs-tools", "the verified root", "-version"),
    Tool("mke2fs", "e2fsprogs", "ext4 partitions", "-V"),
    Tool("debugfs", "e2fsprogs", "pins time stamps in ext4", "-V"),
    Tool("mkfs.xfs", "xfsprogs", "XFS partitions", "-V"),
    Tool("xfs_repair", "xfsprogs", "checks a filled XFS", "-V"),
    Tool("mkfs.vfat", "dosfstools", "the EFI system partition", "--help"),
    Tool("mcopy", "mtools", "files in the EFI system partition"),
    Tool("mmd", "mtools", "folders in the EFI system partition"),
    Tool("qemu-img", "qemu-utils", "qcow2 and other disk formats"),
    Tool("veritysetup", "cryptsetup-bin", "checks hash trees in the tests"),
    Tool("qemu-system-x86_64", "qemu-system-x86", "boots images (run_x86, tests)"),
    Tool("swtpm", "swtpm", "a TPM for the VM"),
)

PACKAGE_OF = {tool.name: tool.package for tool in TOOLS}
PACKAGE_OF["/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"] = "libfaketime"
