"""The ELF reader against readelf, and on damaged files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.ondisk import elf

SAMPLES = [
    Path(path).resolve()
    for path in (sys.executable, "/bin/ls", "/bin/mount", "/lib/x86_64-linux-gnu/libc.so.6")
    if Path(path).exists()
]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_needed_libraries_interpreter_and_imports_are_what_readelf_says(path: Path) -> None:
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf (binutils)")
    image = elf.parse(path.read_bytes())
    dynamic = _readelf("-d", path)
    interpreter = re.search(r"program interpreter: (\S+)\]", _readelf("-l", path))
    assert list(image.needed) == re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic)
    assert image.interpreter == (interpreter and interpreter.group(1))
    symbols = _readelf("--dyn-syms", path)
    assert image.undefined == set(re.findall(r" UND ([^@\s]+)", symbols))


def test_a_file_that_is_no_elf_is_refused() -> None:
    with pytest.raises(elf.BadElf):
        elf.parse(b"#!/bin/sh\n")


@given(st.binary(max_size=300))
def test_any_bytes_behind_the_magic_are_read_or_refused(data: bytes) -> None:
    _read_or_refuse(elf.MAGIC + data)


@given(st.data())
def test_a_damaged_program_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(SAMPLES[0].read_bytes()[:8192])
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refuse(bytes(raw))


def _read_or_refuse(raw: bytes) -> None:
    try:
        elf.parse(raw)
    except elf.BadElf:
        return


def _readelf(option: str, path: Path) -> str:
    return subprocess.run(
        ["readelf", "--wide", option, path], capture_output=True, text=True, check=True
    ).stdout
