"""Two boot images: the section that differs, and in an initrd the file, compressed or not."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace

import pytest
from test_inspect_bootimage import stub

from kiwilite.boot import uki
from kiwilite.inspect.compare import compare_files
from kiwilite.inspect.compare_boot import content_differences
from kiwilite.ondisk import cpio

OUTER = cpio.regular("etc/policy", b"a policy\n" * 40)
INNER = cpio.regular("usr/bin/tool", b"a tool\n" * 4000, 0o755)
PACKED: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda data: (
        subprocess.run(["zstd", "-qc"], input=data, check=True, capture_output=True).stdout
    ),
    "xz": lzma.compress,
    "gzip": lambda data: gzip.compress(data, mtime=0),
}


def image(
    outer: cpio.Entry = OUTER,
    inner: cpio.Entry = INNER,
    *,
    packing: str = "gzip",
    cmdline: str = "quiet",
) -> bytes:
    """A unified kernel image whose initrd has two archives, the second compressed."""
    first, second = (cpio.write([entry], mtime=0) for entry in (outer, inner))
    parts = uki.Uki(
        linux=stub(),
        initrd=first + PACKED[packing](second),
        os_release=b"ID=tiny\n",
        uname="6.0",
        profiles=(uki.UkiProfile("main", "Tiny", cmdline),),
    )
    return uki.assemble(stub(), parts)


def differing(one: bytes, other: bytes) -> list[tuple[str, str]]:
    """Paths and words, but for the headers, where sizes of sections stand."""
    return [(path, what) for path, what, *_ in content_differences("x.efi", one, other)]


def test_equal_images_have_none() -> None:
    assert differing(image(), image()) == []
    assert compare_files("x.efi", image(), image()) is None


def test_a_section_with_the_first_differing_bytes() -> None:
    one, other = image(cmdline="quiet a=1"), image(cmdline="quiet a=2")
    ((path, what, within, here, there),) = content_differences("x.efi", one, other)
    assert (path, what) == ("x.efi: section .cmdline", "content")
    assert within is not None
    assert (one[within : within + 1], other[within : within + 1]) == (b"1", b"2")
    assert (here[:1], there[:1]) == (b"1", b"2")


@pytest.mark.parametrize("packing", PACKED)
def test_a_file_in_an_archive_that_is_compressed(packing: str) -> None:
    if packing == "zstd" and shutil.which("zstd") is None:
        pytest.skip("zstd is not installed")
    content = INNER.data[:21] + b"?" + INNER.data[22:]
    one = image(packing=packing)
    other = image(inner=replace(INNER, data=content), packing=packing)
    assert ("x.efi: section .initrd: /usr/bin/tool", "content, from byte 21") in differing(
        one, other
    )


def test_an_attribute_of_a_file_in_an_initrd() -> None:
    other = image(outer=replace(OUTER, mode=OUTER.mode & ~0o044))
    assert differing(image(), other) == [
        ("x.efi: section .initrd: /etc/policy", "mode -rw-r--r-- and -rw-------")
    ]


def test_the_same_files_packed_in_another_way_differ_as_bytes() -> None:
    one, other = image(packing="gzip"), image(packing="xz")
    assert ("x.efi: section .initrd", "content") in differing(one, other)


def test_a_damaged_initrd_is_compared_as_bytes() -> None:
    one = image()
    at = one.index(b"070701")
    other = one[:at] + b"?" + one[at + 1 :]
    assert differing(one, other) == [("x.efi: section .initrd", "content")]


def test_what_is_no_boot_image_is_a_row_of_bytes() -> None:
    part = compare_files("notes", b"one and two", b"one or two")
    assert part is not None
    assert [(d.path, d.within, d.one, d.other) for d in part.named] == [
        ("", 4, b"and two", b"or two")
    ]
    assert part.sizes == (11, 10)


def test_headers_alone() -> None:
    one = image()
    other = one[:0x58] + bytes([one[0x58] ^ 1]) + one[0x59:]
    part = compare_files("x.efi", one, other)
    assert part is not None
    assert [(d.path, d.within) for d in part.named] == [("headers", 0x58)]
    assert part.differing == 1
