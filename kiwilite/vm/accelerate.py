"""Which accelerator QEMU gets: KVM where it can work, else emulation (TCG).

`/dev/kvm` alone proves nothing: inside some virtual machines the device exists
and opens, but the processor has no virtualisation and every guest dies at
once. So KVM is taken only where `/proc/cpuinfo` shows `vmx` or `svm` as well.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path


class Accelerator(Enum):
    """What runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


def choose(cpuinfo: Path = Path("/proc/cpuinfo"), device: Path = Path("/dev/kvm")) -> Accelerator:
    """The accelerator this host can use; never raises."""
    if _has_virtualisation(cpuinfo) and _opens(device):
        return Accelerator.KVM
    return Accelerator.TCG


def arguments(accelerator: Accelerator) -> list[str]:
    """QEMU's options for `accelerator` and the processor model that goes with it."""
    if accelerator is Accelerator.KVM:
        return ["-accel", "kvm", "-cpu", "host"]
    # cmpxchg16b under multi-threaded TCG makes a 6.12 kernel panic or hang in
    # about one boot of ten (QEMU 7.2); without it no boot of 25 failed.
    return ["-accel", "tcg", "-cpu", "max,-cx16"]


def _has_virtualisation(cpuinfo: Path) -> bool:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = {
        flag
        for name, _, value in (line.partition(":") for line in lines)
        if name.strip() == "flags"
        for flag in value.split()
    }
    return bool(flags & {"vmx", "svm"})


def _opens(device: Path) -> bool:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
