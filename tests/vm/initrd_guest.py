"""A small appliance for the initrd: a Debian tree, a disk made of it, and how to boot it.

The root file system is a squashfs of a few megabytes whose /sbin/init is a script: it
prints what it sees and powers off. So a boot costs seconds, and the whole way from
kernel to init is real.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import random
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from uuid import UUID

from tiny_guest import cache_directory
from verity_partition import write_verity

from kiwilite.boot import initrd
from kiwilite.boot.mark import provisioning_mark
from kiwilite.boot.policy import Policy, Volume, policy_archive
from kiwilite.vm.machine import Disk, Firmware, Machine, MachineSpec, start

MIB = 1024 * 1024
EPOCH = 1_700_000_000
PACKAGES = (
    "base-files",
    "busybox-static",
    "cryptsetup-bin",
    "e2fsprogs",
    "kmod",
    "linux-image-cloud-amd64",
    "util-linux",
    "xfsprogs",
)

ROOT_PARTUUID = UUID("11111111-2222-4333-8444-000000000001")
DATA_PARTUUID = UUID("11111111-2222-4333-8444-000000000002")
OVERLAY_PARTUUID = UUID("11111111-2222-4333-8444-000000000003")
HOME_PARTUUID = UUID("11111111-2222-4333-8444-000000000004")
PLAIN_PARTUUID = UUID("11111111-2222-4333-8444-000000000005")
VOLUME_ID = UUID("abcdef01-2345-4678-9abc-def012345678")
HOME_ID = UUID("abcdef01-2345-4678-9abc-def012345679")
KEY = b"insecure"

# byte offset and size of the partitions
ROOT = (1 * MIB, 32 * MIB)
DATA = (33 * MIB, 4 * MIB)
HOME = (40 * MIB, 48 * MIB)
PLAIN = (88 * MIB, 16 * MIB)
OVERLAY = (104 * MIB, 352 * MIB)
DISK_BYTES = 458 * MIB

FORMAT = (
    ("--cipher", "aegis128-random"),
    ("--key-size", "128"),
    ("--integrity", "aead"),
    ("--sector-size", "4096"),
    ("--pbkdf", "pbkdf2"),
    ("--pbkdf-force-iterations", "1000"),
)

_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin DM_DISABLE_UDEV=1
echo "INIT: reached"
dmesg -n 1
cat /etc/note 2>/dev/null || echo "note: none"
while read -r mount; do echo "mount: $mount"; done </proc/mounts
veritysetup status verityRoot
veritysetup status data
cryptsetup status luks
echo "mapper: $(busybox ls /dev/mapper | busybox tr '\\n' ' ')"
for file in /blob /data/file; do
    if sum=$(busybox sha256sum "$file"); then echo "sha256: $sum"; else echo "error: $file"; fi
done
read -r cmdline </proc/cmdline
for word in $cmdline; do
    case $word in
    note=*) echo "note: ${word#note=}" >/etc/note && sync ;;
    run=*) sh "/usr/sbin/${word#run=}" ;;
    do=*) busybox echo "${word#do=}" | busybox base64 -d >/run/do; sh /run/do 2>&1 ;;
    inspect)
        printf insecure | cryptsetup open --key-file - /dev/vda3 luks
        mount -t xfs /dev/mapper/luks /mnt && umount /mnt # its log is empty now
        blkid -p /dev/mapper/luks >/dev/null; echo "blkid: $?"
        xfs_repair -n /dev/mapper/luks >/run/repair 2>&1; echo "xfs_repair: $?"
        cat /run/repair
        ;;
    esac
done
echo "INIT: done"
busybox sleep 1 # until the serial line has sent all of it
busybox poweroff -f
"""


def host_mirror() -> str:
    """The mirror this host uses for Debian."""
    uris = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return next(uri for uri in uris if "security" not in uri)


def debian_tree() -> Path:
    """An unpacked Debian 13 with a kernel and what the initrd takes; made once and kept."""
    key = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    tree = cache_directory() / f"trixie-{key}"
    with tree.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            _make_tree(tree)
    return tree


def _make_tree(tree: Path) -> None:
    work = tree.with_name(f".{tree.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    keyring = "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"
    include = "--include=" + ",".join(PACKAGES)
    # unpacked only: the kernel's set-up would build the distribution's own initrd
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=extract", include, keyring, "trixie", work,
         host_mirror()],
        check=True,
    )  # fmt: skip
    subprocess.run(["depmod", "-b", work, _kernel_version(work)], check=True)
    work.rename(tree)


def _kernel_version(tree: Path) -> str:
    (directory,) = (tree / "usr/lib/modules").iterdir()
    return directory.name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a boot showed: the console's text, seconds until init got control (None: never)."""

    text: str
    handed_over_after: float | None

    @property
    def reached_init(self) -> bool:
        return "INIT: reached" in self.text

    @property
    def was_given_a_shell(self) -> bool:
        return re.search(r"^[~/][^\n]* # ", self.text, re.M) is not None

    def status(self, of: str, field: str) -> str:
        """A field of `cryptsetup status` or `veritysetup status`."""
        section = self.text.partition(f"/dev/mapper/{of} is active")[2]
        match = re.search(rf"^  {re.escape(field)}: +(.+)$", section, re.M)
        assert match, f"{of} has no {field} in:\n{self.text}"
        return match.group(1).strip()


def refused(outcome: Outcome, because: str) -> bool:
    """It failed for this reason, and neither init nor a shell got control."""
    assert f"FAILED: {because}" in outcome.text, outcome.text
    return not outcome.reached_init and not outcome.was_given_a_shell


@dataclass(frozen=True, slots=True)
class Appliance:
    """A kernel, the large archive, a policy and a disk."""

    kernel: Path
    archive: bytes
    policy: Policy
    disk: Path
    blob: bytes
    key: bytes = KEY
    extra_disks: tuple[Disk, ...] = ()
    tpm: Path | None = None

    @property
    def root_hash(self) -> str:
        return self.policy.verity[0].root_hash

    def copy(self, directory: Path) -> Appliance:
        """The same with a disk of its own."""
        disk = directory / "disk.raw"
        subprocess.run(["cp", "--sparse=always", self.disk, disk], check=True)
        return replace(self, disk=disk)

    def with_policy(self, **changes: object) -> Appliance:
        return replace(self, policy=replace(self.policy, **changes))  # type: ignore[arg-type]

    @contextmanager
    def start(
        self, *words: str, roothash: str | None = None, write_log: Path | None = None
    ) -> Iterator[Machine]:
        """Start the kernel with these words on its command line."""
        image = self.disk.with_suffix(".initrd")
        image.write_bytes(policy_archive(self.policy, self.key, epoch=EPOCH) + self.archive)
        # Without the check, as an emulated kernel on a busy host may miss its timer and panic.
        fixed = f"console=ttyS0 no_timer_check panic=-1 roothash={roothash or self.root_hash}"
        line = " ".join([fixed, *words])
        spec = MachineSpec(
            image=self.disk,
            image_format="raw",
            kernel=self.kernel,
            initrd=image,
            cmdline=line,
            firmware=Firmware.BIOS,
            memory_mib=1024,
            write_log=write_log,
            extra_disks=self.extra_disks,
            tpm=self.tpm,
        )
        with start(spec) as machine:
            yield machine

    def boot(self, *words: str, roothash: str | None = None, do: str = "") -> Outcome:
        """Boot until the guest powers off, or the hook has failed; init runs the commands `do`."""
        if do:
            words = (*words, "do=" + base64.b64encode(do.encode()).decode())
        begin = time.monotonic()
        with self.start(*words, roothash=roothash) as machine:
            console = machine.console
            end = r"handing over|rebooting in|kiwilite: halting|a shell, because|Kernel panic"
            handed_over = console.expect(end, timeout=240).group() == "handing over"
            seconds = time.monotonic() - begin
            if handed_over:
                console.expect(r"INIT: done|Kernel panic", timeout=120)
            else:
                time.sleep(2)  # whatever wrongly came next would show now
            return Outcome(console.text, seconds if handed_over else None)

    def boot_until(self, pattern: str, delay: float, *words: str) -> str:
        """Boot, and end the machine abruptly `delay` seconds after `pattern` appeared.

        Gives what the console had said by then.
        """
        with self.start(*words) as machine:
            machine.console.expect(pattern, timeout=240)
            time.sleep(delay)
            return machine.console.text

    def read(self, offset: int, size: int) -> bytes:
        with self.disk.open("rb") as disk:
            disk.seek(offset)
            return disk.read(size)

    def write(self, offset: int, data: bytes) -> None:
        with self.disk.open("r+b") as disk:
            disk.seek(offset)
            disk.write(data)

    def flip_bit(self, offset: int) -> None:
        self.write(offset, bytes([self.read(offset, 1)[0] ^ 1]))

    def change_header(self, *command: str) -> None:
        """Run a cryptsetup command on the header of the overlay's partition."""
        header = self.disk.with_suffix(".header")
        header.write_bytes(self.read(OVERLAY[0], 17 * MIB))
        subprocess.run(["cryptsetup", *command, header], check=True)
        self.write(OVERLAY[0], header.read_bytes())

    def replace_header(self, *options: str) -> None:
        """Put a LUKS2 header in place that our key opens, formatted with `options`."""
        header = self.disk.with_suffix(".header")
        key = self.disk.with_suffix(".key")
        key.write_bytes(self.key)
        header.write_bytes(bytes(20 * MIB))
        subprocess.run(
            ["cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", *options,
             "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000", "--label", str(VOLUME_ID),
             "--subsystem", "kiwilite-ready", "--key-file", key, header],
            check=True,
        )  # fmt: skip
        self.write(OVERLAY[0], header.read_bytes()[: 16 * MIB])

    def patch_header(self, old: bytes, new: bytes) -> None:
        """Replace text of the same length in both headers, checksums made right again."""
        assert len(old) == len(new)
        for offset in (OVERLAY[0], OVERLAY[0] + 16384):
            header = bytearray(self.read(offset, 16384).replace(old, new))
            assert new in header
            header[448:512] = bytes(64)
            header[448:480] = hashlib.sha256(header).digest()
            self.write(offset, bytes(header))

    def damage_file_system(self) -> None:
        """Flip a bit in the volume's first block, and in every block of the journal.

        dm-integrity writes what its journal holds to its place when it opens the
        volume: a flip in the place alone would be repaired.
        """
        start = OVERLAY[0] + 16 * MIB
        superblock = self.read(start, 4096)
        assert superblock.startswith(b"integrt\0")
        tag = int.from_bytes(superblock[10:12], "little")
        sections = int.from_bytes(superblock[12:16], "little")
        # 264 sectors per section (tags of up to 56 bytes): 8 of entries, 32 blocks of 8
        self.flip_bit(start + (8 + sections * 264) * 512 + (tag << 12))
        for section in range(sections):
            for block in range(32):
                self.flip_bit(start + (8 + section * 264 + 8 + block * 8) * 512 + 100)


def make_appliance(directory: Path, scripts: Mapping[str, str] | None = None) -> Appliance:
    """The appliance with a disk as it comes from the factory; run=NAME runs one of `scripts`."""
    tree = debian_tree()
    version = _kernel_version(tree)
    modules = (*initrd.REQUIRED_MODULES, "ext4")
    raw = initrd.build(tree, version, epoch=EPOCH, required=modules, programs=initrd.PROGRAMS)
    archive = subprocess.run(["zstd", "-9", "-c"], input=raw, capture_output=True, check=True)
    blob = random.Random(1).randbytes(256 * 1024)
    root = _make_root(tree, version, directory / "root", blob)
    for name, script in (scripts or {}).items():
        (root / "usr/sbin" / name).write_text(script)
    data = directory / "data"
    data.mkdir()
    (data / "file").write_bytes(b"data in a verified partition\n" * 1000)
    disk = directory / "disk.raw"
    _make_table(disk)
    devices = (
        write_verity(disk, "verityRoot", ROOT_PARTUUID, ROOT, "/", root, directory),
        write_verity(disk, "data", DATA_PARTUUID, DATA, "/data", data, directory),
    )
    volume = Volume("luks", OVERLAY_PARTUUID, VOLUME_ID, "xfs")
    policy = Policy("tiny", "1.0", devices, (volume,), (), "reboot", FORMAT)
    kernel = tree / f"boot/vmlinuz-{version}"
    appliance = Appliance(kernel, archive.stdout, policy, disk, blob)
    appliance.write(OVERLAY[0], provisioning_mark(VOLUME_ID))
    return appliance


def _make_root(tree: Path, version: str, root: Path, blob: bytes) -> Path:
    """The initrd's own programs make a root file system that can tell what it sees."""
    for name in ("dev", "proc", "sys", "run", "etc", "data", "home", "mnt", "plain", "tmp", "var"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for name in ("home", "plain", "var"):
        (root / name / "welcome").write_text(f"made with the image, {name}\n")
    (root / "home/welcome").chmod(0o640)
    programs = (*initrd.PROGRAMS, "blkid", "dd", "xfs_io", "xfs_repair")
    for entry in initrd.collect(tree, version, programs=programs):
        path = root / entry.path
        if entry.path in ("init", "kiwilite-root"):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if stat.S_ISLNK(entry.mode):
            path.symlink_to(entry.data.decode())
        elif stat.S_ISREG(entry.mode):
            path.write_bytes(entry.data)
            path.chmod(stat.S_IMODE(entry.mode))
    for applet in ("df", "id", "touch"):
        (root / "usr/bin" / applet).symlink_to("busybox")
    for name in ("kiwilite-overlay", "kiwilite-factory-reset"):
        command = resources.files("kiwilite.build") / "image_files" / name
        (root / "usr/sbin" / name).write_bytes(command.read_bytes())
    (root / "usr/lib/kiwilite").mkdir(exist_ok=True)
    (root / "usr/lib/kiwilite/factory-reset-entry").write_text("tiny.efi@factory-reset\n")
    script = root / "usr/sbin/init"
    script.write_text(_INIT)
    script.chmod(0o755)
    (root / "blob").write_bytes(blob)
    return root


def _make_table(disk: Path) -> None:
    with disk.open("wb") as file:
        file.truncate(DISK_BYTES)
    lines = ["label: gpt", "unit: sectors"]
    rows = (
        (ROOT, ROOT_PARTUUID), (DATA, DATA_PARTUUID), (OVERLAY, OVERLAY_PARTUUID),
        (HOME, HOME_PARTUUID), (PLAIN, PLAIN_PARTUUID),
    )  # fmt: skip
    for number, ((offset, size), uuid) in enumerate(rows, 1):
        lines.append(f"{number} : start={offset // 512}, size={size // 512}, uuid={uuid}")
    table = "\n".join(lines) + "\n"
    subprocess.run(["sfdisk", "--quiet", disk], input=table, text=True, check=True)
