"""What goes into the initrd: programs, libraries and modules of the image's own tree.

Nothing comes from the build host and nothing of the tree is executed: libraries are
found by reading ELF files, modules by reading depmod's. Two archives make the initrd. This
is the large one: it depends on the tree and on nothing else, so changing the image's
contents or its root hashes does not make it again. The other is `policy.policy_archive`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

from kiwilite.boot import modules as kernel_modules
from kiwilite.boot import tree as root
from kiwilite.errors import KiwiliteError
from kiwilite.ondisk import cpio, elf

MODULES_PATH = "etc/kiwilite/modules"

# Program → the Debian package that has it.
PROGRAMS = {
    "cp": "coreutils",  # for the contents of data partitions: busybox has no attributes
    "cryptsetup": "cryptsetup-bin",
    "mkfs.ext4": "e2fsprogs",
    "mkfs.xfs": "xfsprogs",
    "partx": "util-linux",
    "resize2fs": "e2fsprogs",
    "veritysetup": "cryptsetup-bin",
    "xfs_growfs": "xfsprogs",
}
ALWAYS = ("cryptsetup", "mkfs.xfs", "partx", "veritysetup")
"""Programs of the initrd of an image that has neither other file systems to make nor growth."""
BUSYBOX_PACKAGE = "busybox-static"

# Links to busybox: what init and kiwilite-root call; modprobe is called by the kernel too.
APPLETS = (
    "awk", "blockdev", "cat", "chmod", "chown", "cmp", "dd", "dmesg", "grep", "gzip", "halt",
    "head", "ls", "mkdir", "mount", "mv", "od", "reboot", "rm", "sed", "sh", "sleep", "sort",
    "stat", "switch_root", "sync", "tail", "tr", "umount", "wc", "xargs",
)  # fmt: skip
MODPROBE = "sbin/modprobe"

REQUIRED_MODULES = (
    "dm-verity", "dm-crypt", "dm-integrity", "squashfs", "overlay", "xfs",
    # the ciphers of the reference image, and what luksFormat asks the kernel through
    "aegis128", "af_alg", "algif_aead", "algif_skcipher", "algif_hash",
    # both other volume formats: aes-gcm-random, aes-xts-plain64 with hmac-sha256
    "gcm", "ctr", "xts", "ecb", "authenc", "hmac", "sha256", "aes",
)  # fmt: skip

# Where the kernel has them: disks, USB, and ciphers in the processor's own instructions.
OPTIONAL_MODULES = (
    "virtio_pci", "virtio_mmio", "virtio_blk", "virtio_scsi", "virtio_rng", "nvme", "ahci",
    "ata_piix", "sd_mod", "usb_storage", "uas", "xhci_pci", "ehci_pci", "sdhci_pci", "mmc_block",
    "vmw_pvscsi", "mptspi", "hv_storvsc", "xen_blkfront",
    "aesni_intel", "aegis128_aesni", "ghash_clmulni_intel", "sha256_ssse3", "crc32c_intel",
    "aes_ce_blk", "aes_ce_ccm", "ghash_ce", "sha2_ce", "crc32_generic", "crc32c_generic",
    "sha512_generic", "sha512_ssse3",
    "efivarfs", "tpm_tis", "tpm_crb",
)  # fmt: skip

# Needed at run time through dlopen, so no DT_NEEDED names it: the C library ends threads with it.
_UNWINDER = "libgcc_s.so.1"
_UNWINDER_CALLERS = frozenset({"pthread_cancel", "pthread_exit"})

_PROGRAM_DIRS = ("usr/sbin", "usr/bin", "sbin", "bin")
_LIBRARY_DIRS = ("lib64", "usr/lib64", "lib", "usr/lib")
_TOP_DIRS = ("dev", "etc/kiwilite", "proc", "run", "sys", "sysroot", "tmp")


class MissingProgram(KiwiliteError):
    """A program or library the initrd needs is not in the image's tree."""


def build(
    tree: Path,
    kernel_version: str,
    *,
    epoch: int,
    required: Sequence[str] = REQUIRED_MODULES,
    optional: Sequence[str] = OPTIONAL_MODULES,
    programs: Iterable[str] = ALWAYS,
    unzstd: kernel_modules.Decompress | None = None,
) -> bytes:
    """The large archive: an uncompressed cpio (newc), to be compressed by the caller.

    `epoch` (seconds) is every entry's time stamp. Raises as `collect` does.
    """
    entries = collect(
        tree, kernel_version, required=required, optional=optional, programs=programs, unzstd=unzstd
    )
    return cpio.write(entries, mtime=epoch)


def collect(
    tree: Path,
    kernel_version: str,
    *,
    required: Sequence[str] = REQUIRED_MODULES,
    optional: Sequence[str] = OPTIONAL_MODULES,
    programs: Iterable[str] = ALWAYS,
    unzstd: kernel_modules.Decompress | None = None,
) -> tuple[cpio.Entry, ...]:
    """Every entry of the large archive; directories that just hold others are left out.

    `required` and `optional` are kernel modules; `programs` are names looked up in the
    usual directories. `unzstd` decompresses modules of kernels that have .ko.zst.
    Raises MissingProgram and `modules.MissingModule`, naming the package to add.
    """
    found: dict[str, cpio.Entry] = {}
    for name in sorted(programs):
        path = _find_program(tree, name, PROGRAMS.get(name, name))
        _add_elf(tree, path, found)
    _add_busybox(tree, found)
    _add_modules(tree, kernel_version, required, optional, unzstd, found)
    _add_scripts(found)
    for path in _TOP_DIRS:
        found.setdefault(path, cpio.directory(path))
    return tuple(entry for _, entry in sorted(found.items()))


def _find_program(tree: Path, name: str, package: str) -> str:
    for directory in _PROGRAM_DIRS:
        if root.find(tree, f"{directory}/{name}"):
            return f"{directory}/{name}"
    raise MissingProgram(
        f"the program {name} is not in the image, but the initrd needs it",
        where=str(tree),
        hint=f"add <package name=\"{package}\"/> to the image's packages (Debian's name)",
    )


def _add_elf(tree: Path, path: str, found: dict[str, cpio.Entry]) -> None:
    """Add a program or library, the links that lead to it and, recursively, what it loads."""
    resolved = _add_links(tree, path, found)
    if resolved in found:
        return
    raw = (tree / resolved).read_bytes()
    found[resolved] = cpio.regular(resolved, raw, 0o755)
    if not elf.is_elf(raw):
        raise MissingProgram(f"/{path} is a script; the initrd needs a program", where=str(tree))
    image = elf.parse(raw)
    if image.interpreter:
        _add_elf(tree, image.interpreter.lstrip("/"), found)
    needed = list(image.needed)
    if image.undefined & _UNWINDER_CALLERS:
        needed.append(_UNWINDER)
    for soname in needed:
        _add_elf(tree, _find_library(tree, soname, image, resolved), found)


def _find_library(tree: Path, soname: str, user: elf.ElfImage, user_path: str) -> str:
    """Look where the dynamic loader of the same processor would."""
    origin = "/" + user_path.rpartition("/")[0]
    own = [entry.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for entry in user.search]
    multiarch = [
        f"{parent}/{p.name}"
        for parent in ("lib", "usr/lib")
        for p in sorted((tree / root.resolve(tree, parent).path).glob("*-linux-gnu*"))
    ]
    for directory in [entry.strip("/") for entry in own] + multiarch + list(_LIBRARY_DIRS):
        candidate = root.find(tree, f"{directory}/{soname}")
        if candidate is None:
            continue
        raw = (tree / candidate.path).read_bytes()
        if elf.is_elf(raw) and elf.parse(raw).loads_with(user):
            return f"{directory}/{soname}"
    raise MissingProgram(
        f"the library {soname}, needed by /{user_path}, is not in the image",
        where=str(tree),
        hint="the image's package database is damaged or a script removed the library;"
        " collect the initrd before pre_disk_sync.sh runs",
    )


def _add_links(tree: Path, path: str, found: dict[str, cpio.Entry]) -> str:
    """Add the symbolic links on the way to `path`; gives the path they lead to."""
    resolved = root.resolve(tree, path)
    for link, target in resolved.links:
        found[link] = cpio.symlink(link, target)
    return resolved.path


def _add_busybox(tree: Path, found: dict[str, cpio.Entry]) -> None:
    path = _find_program(tree, "busybox", BUSYBOX_PACKAGE)
    _add_elf(tree, path, found)
    busybox = root.resolve(tree, path).path
    raw = (tree / busybox).read_bytes()
    for link in [*(f"bin/{applet}" for applet in APPLETS), MODPROBE]:
        applet = link.rpartition("/")[2]
        # the table of applet names: NUL-terminated, one after the other
        if b"\0" + applet.encode() + b"\0" not in raw:
            raise MissingProgram(
                f"/{path} has no applet {applet}",
                where=str(tree),
                hint=f'add <package name="{BUSYBOX_PACKAGE}"/> to the image\'s packages',
            )
        directory = _add_links(tree, link.rpartition("/")[0], found)
        found.setdefault(
            f"{directory}/{applet}", cpio.symlink(f"{directory}/{applet}", f"/{busybox}")
        )


def _add_modules(
    tree: Path,
    kernel_version: str,
    required: Sequence[str],
    optional: Sequence[str],
    unzstd: kernel_modules.Decompress | None,
    found: dict[str, cpio.Entry],
) -> None:
    """Add uncompressed modules, depmod's files for them, and the list init loads."""
    index = kernel_modules.read_index(tree, kernel_version)
    names = kernel_modules.closure(index, required, optional)
    _add_links(tree, f"lib/modules/{kernel_version}", found)
    for name in names:
        source = f"{index.directory}/{index.files[name]}"
        raw = (tree / source).read_bytes()
        path = kernel_modules.plain_path(source)
        found[path] = cpio.regular(path, kernel_modules.plain_module(raw, source, unzstd), 0o644)
    tables = {
        f"{index.directory}/modules.dep": kernel_modules.render_dep(index, names),
        f"{index.directory}/modules.alias": kernel_modules.render_alias(index, names),
        MODULES_PATH: "".join(f"{name}\n" for name in names).encode(),
    }
    found.update({path: cpio.regular(path, data, 0o644) for path, data in tables.items()})


def _add_scripts(found: dict[str, cpio.Entry]) -> None:
    files = resources.files("kiwilite.boot") / "initrd_files"
    for name in ("init", "kiwilite-root"):
        found[name] = cpio.regular(name, (files / name).read_bytes(), 0o755)
