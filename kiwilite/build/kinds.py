"""Which module carries out which kind of step, where, and with which tools.

The modules are imported only where a step runs, so that a build with nothing to do
starts fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from kiwilite.plan import steps as s
from kiwilite.plan.image_steps import BLOCKS, SEALED

Place = Literal["host", "namespace"]
ToolsFrom = Literal["host", "tree"]
"""Where tools come from: the host's own folders, or a tree of packages (`tools_tree`)."""


@dataclass(frozen=True, slots=True)
class Kind:
    """`module` has a function `run(step, job)`.

    In the `namespace` it sees trees with their true owners; on the `host` it works on
    plain files. `tools` are the programs whose bytes decide the result; `data` are files
    of this package that it copies into it; `host_files` are glob patterns below `/` of
    what its tools read of the host; `libraries` are the Python distributions it imports. `reuses`
    names a file of earlier results that spares work: what is found there never changes a
    result. `tools_from` is where the tools come from where a build takes them from a tree:
    the host still has what asks repositories, with the host's proxy and certificates, and
    what makes that tree. `links` says that a result may share files with what the step reads.
    """

    module: str
    place: Place
    tools: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    host_files: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    reuses: str | None = None
    tools_from: ToolsFrom = "tree"
    links: bool = False


KEYRINGS = "usr/share/keyrings/*-archive-keyring.*"
APT_CONFIGURATION = ("etc/apt/apt.conf", "etc/apt/apt.conf.d/*")
"""Read by an apt that runs outside of a tree, for the proxy of this host, say."""

FAKETIME = "usr/lib/*/faketime/libfaketime.so.1"
MTOOLS_CONFIGURATION = ("etc/mtools.conf", "etc/default/mtools.conf")


def _stage(name: str) -> str:
    return f"kiwilite.build.stages.{name}"


AFTER_ANY_CHANGE = tuple(_stage(name) for name in ("uki", "esp", "layout", "disk"))
"""Modules of the steps that nearly every change of a description leads to."""

KINDS: Mapping[type[s.Step], Kind] = {
    s.Bootstrap: Kind(
        _stage("bootstrap"),
        "namespace",
        ("mmdebstrap", "perl", "apt-get", "dpkg", "dpkg-deb", "tar", "mount"),
        host_files=APT_CONFIGURATION,
    ),
    s.UnpackBootstrap: Kind(_stage("unpack_bootstrap"), "namespace", ("tar", "zstd")),
    s.PackBootstrap: Kind(_stage("pack_bootstrap"), "namespace", ("tar", "zstd")),
    s.FindBootstrap: Kind(
        _stage("find_bootstrap"),
        "namespace",
        ("apt-get", "apt-cache", "dpkg-deb"),
        host_files=(KEYRINGS, *APT_CONFIGURATION),
        tools_from="host",
    ),
    s.FetchBootstrap: Kind(_stage("fetch_bootstrap"), "namespace", ("dpkg-deb",)),
    s.ResolvePackages: Kind(
        _stage("resolve_packages"),
        "namespace",
        ("apt-get", "apt-cache", "dpkg-deb", "tar", "zstd"),
        host_files=(KEYRINGS, *APT_CONFIGURATION),
        tools_from="host",
    ),
    s.ToolsTree: Kind(_stage("tools_tree"), "namespace", ("dpkg-deb", "tar"), tools_from="host"),
    s.Packages: Kind(
        _stage("packages"),
        "namespace",
        ("cp", "tar", "zstd", "dpkg-deb"),
        ("build/image_files/kconfig", "build/image_files/no-bytecode"),
        links=True,
    ),
    s.MorePackages: Kind(
        _stage("more_packages"),
        "namespace",
        ("cp", "dpkg-deb"),
        ("build/image_files/no-bytecode",),
        links=True,
    ),
    s.Customise: Kind(
        _stage("customise"),
        "namespace",
        ("cp", "tar", "zstd"),
        ("build/image_files",),
        links=True,
    ),
    s.BootFiles: Kind(
        _stage("boot_files"),
        "namespace",
        ("zstd",),
        ("boot/initrd_files", "boot/dracut_module"),
        libraries=("zstandard",),
    ),
    s.BiosBoot: Kind(_stage("bios_boot"), "namespace"),
    s.Squashfs: Kind(_stage("squashfs"), "namespace", libraries=("zstandard",), reuses=BLOCKS),
    s.ToolSquashfs: Kind(_stage("tool_squashfs"), "namespace", ("mksquashfs",)),
    s.Verity: Kind(_stage("verity"), "host"),
    s.Fec: Kind(_stage("fec"), "host", ("veritysetup",)),
    s.VerityMetadata: Kind(_stage("verity_metadata"), "host", libraries=("cryptography",)),
    s.FileSystem: Kind(
        _stage("filesystem"),
        "namespace",
        ("cp", "mke2fs", "debugfs", "mkfs.xfs", "xfs_repair"),
        host_files=(FAKETIME,),
    ),
    s.Uki: Kind(_stage("uki"), "host", libraries=("pefile",)),
    s.Esp: Kind(
        _stage("esp"),
        "host",
        ("mkfs.vfat", "mcopy", "mmd"),
        host_files=MTOOLS_CONFIGURATION,
        libraries=("pefile",),
    ),
    s.Layout: Kind(_stage("layout"), "host"),
    s.LuksVolume: Kind(
        _stage("luks_volume"),
        "host",
        ("mkfs.xfs",),
        host_files=(FAKETIME,),
        libraries=("cryptography", "numpy"),
    ),
    s.Disk: Kind(_stage("disk"), "host", libraries=("pyparted",), reuses=SEALED),
    s.DiskFormat: Kind(_stage("disk_format"), "host", ("qemu-img",)),
}
