"""Which module carries out which kind of step, where, and with which tools.

The modules are imported only where a step runs, so that a build with nothing to do
starts fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kiwilite.plan import steps as s

Place = Literal["host", "namespace"]


@dataclass(frozen=True, slots=True)
class Kind:
    """`module` has a function `run(step, job)`.

    In the `namespace` it sees trees with their true owners; on the `host` it works on
    plain files. `tools` are the programs whose bytes decide the result; `data` are files
    of this package that it copies into it.
    """

    module: str
    place: Place
    tools: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


def _stage(name: str) -> str:
    return f"kiwilite.build.stages.{name}"


KINDS: Mapping[type[s.Step], Kind] = {
    s.Bootstrap: Kind(_stage("bootstrap"), "namespace", ("mmdebstrap", "apt-get", "dpkg")),
    s.UnpackBootstrap: Kind(_stage("unpack_bootstrap"), "namespace", ("tar", "zstd")),
    s.PackBootstrap: Kind(_stage("pack_bootstrap"), "namespace", ("tar", "zstd")),
    s.FindBootstrap: Kind(_stage("find_bootstrap"), "namespace", ("apt-get",)),
    s.FetchBootstrap: Kind(_stage("fetch_bootstrap"), "namespace", ("apt-get", "dpkg-deb")),
    s.ResolvePackages: Kind(_stage("resolve_packages"), "namespace", ("apt-get", "tar", "zstd")),
    s.Packages: Kind(_stage("packages"), "namespace", ("tar", "zstd")),
    s.Customise: Kind(_stage("customise"), "namespace", ("tar", "zstd"), ("build/image_files",)),
    s.BootFiles: Kind(
        _stage("boot_files"),
        "namespace",
        ("zstd",),
        ("boot/initrd_files", "boot/dracut_module"),
    ),
    s.BiosBoot: Kind(_stage("bios_boot"), "namespace"),
    s.Squashfs: Kind(_stage("squashfs"), "namespace", ("mksquashfs",)),
    s.Verity: Kind(_stage("verity"), "host"),
    s.Fec: Kind(_stage("fec"), "host", ("veritysetup",)),
    s.VerityMetadata: Kind(_stage("verity_metadata"), "host"),
    s.FileSystem: Kind(
        _stage("filesystem"), "namespace", ("mke2fs", "debugfs", "mkfs.xfs", "xfs_repair")
    ),
    s.Uki: Kind(_stage("uki"), "host"),
    s.Esp: Kind(_stage("esp"), "host", ("mkfs.vfat", "mcopy", "mmd")),
    s.Layout: Kind(_stage("layout"), "host"),
    s.LuksVolume: Kind(_stage("luks_volume"), "host", ("mkfs.xfs",)),
    s.Disk: Kind(_stage("disk"), "host"),
    s.DiskFormat: Kind(_stage("disk_format"), "host", ("qemu-img",)),
}
