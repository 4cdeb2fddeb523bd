"""Spares a process and all it starts from waiting for the disk.

dpkg flushes its database after every package and many a file, a hundred times in one step;
the step's result counts when all of it is there, and is told by its manifest whether it
still is. libparted and qemu-img flush a whole disk. So in a step flushing does nothing and says
that it was done, as with `systemd-nspawn --suppress-sync=yes`: a filter of seccomp(2) answers
for the kernel.

A filter is a program of classic BPF over `struct seccomp_data` (<linux/seccomp.h>): the
system call's number at byte 0, the architecture at byte 4, native byte order.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from kiwilite.build import syscalls as sc

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_ALLOW, _ANSWER_ZERO = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | 0
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_NUMBER, _ARCHITECTURE = 0, 4


@dataclass(frozen=True, slots=True)
class Calls:
    """What an architecture is to <linux/audit.h>, and the numbers of the calls that flush."""

    audit: int
    numbers: tuple[int, ...]
    """sync, fsync, fdatasync, sync_file_range, syncfs, msync."""


CALLS: Mapping[str, Calls] = {
    "x86_64": Calls(0xC000003E, (162, 74, 75, 277, 306, 26)),
    "aarch64": Calls(0xC00000B7, (81, 82, 83, 84, 267, 227)),
}


def flush_nothing() -> None:
    """From now on, flushing does nothing in this process and all it starts.

    An ordinary user outside of a namespace gives up setuid programs for it, which no tool of
    a step is. Where the host does not allow the filter, or the machine has no row in `CALLS`,
    flushing stays what it was: that costs time only.
    """
    calls = CALLS.get(os.uname().machine)
    if calls is None:
        return
    program = filter_program(calls)
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: count, then, aligned, where the instructions stand.
    header = struct.pack("HP", len(program) // 8, ctypes.addressof(buffer))
    head = ctypes.create_string_buffer(header, len(header))
    with contextlib.suppress(OSError):
        try:
            sc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head))
        except PermissionError:
            sc.prctl(_PR_SET_NO_NEW_PRIVS, 1)
            sc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(head))


def filter_program(calls: Calls) -> bytes:
    """The filter: instructions of 8 bytes, code, jump if true, jump if false, operand."""
    count = len(calls.numbers)
    rows = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 0, count + 1, calls.audit),  # another one has other numbers: allow
        (_LOAD, 0, 0, _NUMBER),
        *((_JUMP_EQUAL, count - row, 0, number) for row, number in enumerate(calls.numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ANSWER_ZERO),
    ]
    return b"".join(struct.pack("HBBI", *row) for row in rows)
