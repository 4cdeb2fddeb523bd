"""The filter answers for the calls that flush, and for no other."""

from __future__ import annotations

import os
import struct
import subprocess
import sys

import pytest

from kiwilite.build.no_sync import CALLS, Calls, filter_program

ALLOWED, DONE = 0x7FFF0000, 0x00050000
OTHER = 0x40000003  # i386, where 74 is sethostname


def answer(program: bytes, audit: int, number: int) -> int:
    """What the kernel would read from the program for a system call."""
    at, loaded = 0, 0
    while True:
        code, yes, no, operand = struct.unpack_from("HBBI", program, at * 8)
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            loaded = {0: number, 4: audit}[operand]
        else:
            assert code == 0x15
            at += yes if loaded == operand else no


@pytest.mark.parametrize("calls", CALLS.values(), ids=[*CALLS])
def test_only_flushing_is_answered(calls: Calls) -> None:
    program = filter_program(calls)
    for number in range(500):
        wanted = DONE if number in calls.numbers else ALLOWED
        assert answer(program, calls.audit, number) == wanted, number
        assert answer(program, OTHER, number) == ALLOWED


@pytest.mark.skipif(os.uname().machine not in CALLS, reason="no filter for this machine")
def test_a_process_under_it_flushes_a_pipe_without_complaint() -> None:
    """fsync of a pipe is EINVAL, so success tells that the kernel was not asked."""
    code = "import os; r, w = os.pipe(); os.fsync(w)"
    lead = "from kiwilite.build.no_sync import flush_nothing; flush_nothing(); "
    bare = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, check=False)
    assert bare.returncode != 0
    assert b"Invalid argument" in bare.stderr
    subprocess.run([sys.executable, "-c", lead + code], check=True)
