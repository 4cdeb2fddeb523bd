"""Finds the UEFI firmware (OVMF) of this host, and keeps its variable stores.

OVMF comes as two files of raw flash content: the code, shared and read-only,
and a template of the variable store, of which each machine has a copy. The two
belong together: the store of a 2 MiB build does not fit the code of a 4 MiB one.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kiwilite.errors import HostError

# Code and variable template, the 4 MiB builds first: 2 MiB ones are going away.
_PAIRS = (
    # Debian, Ubuntu
    ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),
    # Arch
    ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("usr/share/edk2-ovmf/x64/OVMF_CODE.fd", "usr/share/edk2-ovmf/x64/OVMF_VARS.fd"),
    # Fedora
    ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
    # openSUSE
    ("usr/share/qemu/ovmf-x86_64-4m-code.bin", "usr/share/qemu/ovmf-x86_64-4m-vars.bin"),
    ("usr/share/qemu/ovmf-x86_64-code.bin", "usr/share/qemu/ovmf-x86_64-vars.bin"),
)


@dataclass(frozen=True, slots=True)
class Ovmf:
    """One build of OVMF: its code and the template of its variable store."""

    code: Path
    variables: Path


def find_ovmf(root: Path = Path("/")) -> Ovmf:
    """The OVMF of the host whose file system starts at `root`.

    Raises HostError where there is none.
    """
    for code, variables in _PAIRS:
        pair = Ovmf(root / code, root / variables)
        if pair.code.is_file() and pair.variables.is_file():
            return pair
    raise HostError(
        "no UEFI firmware for virtual machines (OVMF) on this host",
        hint="install the package ovmf (Fedora, Arch: edk2-ovmf)",
    )


def keep_variables(ovmf: Ovmf, store: Path) -> Path:
    """Make sure that `store` is a variable store for `ovmf`, and return it.

    A store that exists is kept as it is; it must have the size of the template.
    Raises HostError for one of another size.
    """
    if not store.exists():
        partial = store.with_name(f".{store.name}.{os.getpid()}")
        shutil.copyfile(ovmf.variables, partial)
        partial.replace(store)  # so that an interrupted copy is never taken for a store
        return store
    expected, found = ovmf.variables.stat().st_size, store.stat().st_size
    if expected != found:
        raise HostError(
            f"the UEFI variable store has {found} bytes, the firmware {ovmf.code} wants {expected}",
            where=str(store),
            hint="it was made for another OVMF build: remove it, a fresh one will be made",
        )
    return store
