"""Guests to boot: a Debian kernel and a static busybox, fetched from the host's mirror."""

from __future__ import annotations

import contextlib
import lzma
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ PS1='guest# '
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
# The power button works as in a real system: acpid powers off.
for module in /modules/*.ko; do insmod "$module"; done
mkdir -p /var/run /var/log
acpid -d 2>/dev/null &
echo "guest is up"
while true; do setsid cttyhack sh -i; done
"""

_POWER_OFF = "#!/bin/sh\npoweroff -f\n"


@dataclass(frozen=True, slots=True)
class TinyGuest:
    """A kernel and an initrd that ends in a busybox shell on ttyS0."""

    kernel: Path
    initrd: Path


def cache_directory() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    directory = (Path(base) if base else Path.home() / ".cache") / "kiwilite" / "test-packages"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def fetch_package(package: str) -> Path:
    """The unpacked tree of a Debian package; downloaded once per version."""
    shown = _output("apt-cache", "show", "--no-all-versions", package)
    version = re.search(r"^Version: (\S+)$", shown, re.M)
    assert version, f"apt knows no package {package}: run apt-get update"
    tree = cache_directory() / f"{package}_{version.group(1).replace(':', '%3a')}"
    if tree.is_dir():
        return tree
    work = tree.with_name(f".{tree.name}.{os.getpid()}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    subprocess.run(["apt-get", "-qq", "download", package], cwd=work, check=True)
    (archive,) = work.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, work / "tree"], check=True)
    with contextlib.suppress(OSError):  # another test was faster
        (work / "tree").rename(tree)
    shutil.rmtree(work)
    assert tree.is_dir()
    return tree


def cloud_kernel() -> Path:
    """The kernel that linux-image-cloud-amd64 stands for."""
    depends = _output("apt-cache", "show", "--no-all-versions", "linux-image-cloud-amd64")
    package = re.search(r"^Depends: (linux-image-\S+)", depends, re.M)
    assert package, "linux-image-cloud-amd64 names no kernel package"
    (kernel,) = fetch_package(package.group(1)).glob("boot/vmlinuz-*")
    return kernel


def make_initrd(kernel: Path, initrd: Path) -> Path:
    """Write the initrd for `kernel` that ends in a shell; it needs no root to make."""
    (busybox,) = fetch_package("busybox-static").glob("**/bin/busybox")
    modules = [_module(kernel, name) for name in ("evdev", "button")]
    folders = ("bin", "dev", "proc", "sys", "etc", "etc/acpi", "etc/acpi/PWRF", "modules")
    initrd.write_bytes(
        b"".join(
            [
                *(_entry(name, 0o040755) for name in folders),
                _entry("bin/busybox", 0o100755, busybox.read_bytes()),
                _entry("dev/console", 0o020600, device=(5, 1)),
                *(_entry(f"modules/{name}", 0o100644, data) for name, data in modules),
                _entry("etc/acpi/PWRF/00000080", 0o100755, _POWER_OFF.encode()),
                _entry("init", 0o100755, _INIT.encode()),
                _entry("TRAILER!!!", 0),
            ]
        )
    )
    return initrd


def _module(kernel: Path, name: str) -> tuple[str, bytes]:
    (module,) = kernel.parent.parent.glob(f"**/kernel/drivers/**/{name}.ko*")
    data = module.read_bytes()
    # Busybox reads no compressed modules.
    return f"{name}.ko", lzma.decompress(data) if module.suffix == ".xz" else data


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    # "newc": magic, then 13 fields of 8 hexadecimal digits, name, data, each padded to 4.
    fields = [0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
