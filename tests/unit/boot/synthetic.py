"""Root trees made of nothing: ELF files with just a dynamic section, modules of a few bytes."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Sequence
from pathlib import Path

KERNEL = "6.0.0-test"
X86_64, AARCH64 = 62, 183
LIBRARIES = "usr/lib/x86_64-linux-gnu"
LOADER = "/lib64/ld-linux-x86-64.so.2"


def make_elf(
    needed: Sequence[str] = (),
    *,
    interpreter: str | None = None,
    runpath: str | None = None,
    undefined: Sequence[str] = (),
    machine: int = X86_64,
    tail: bytes = b"",
) -> bytes:
    """A 64-bit little-endian ELF file: one PT_LOAD over all of it, loaded at 0x1000."""
    base = 0x1000
    strings = bytearray(b"\0")

    def intern(text: str) -> int:
        at = len(strings)
        strings.extend(text.encode() + b"\0")
        return at

    tags = [(1, intern(name)) for name in needed]
    if runpath is not None:
        tags.append((29, intern(runpath)))
    symbols = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", intern(name), 0x12, 0, 0, 0, 0) for name in undefined
    )
    path = b"" if interpreter is None else interpreter.encode() + b"\0"
    strings_at = 64 + 3 * 56
    dynamic_at = strings_at + len(strings)
    tags += [(5, base + strings_at), (10, len(strings)), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in tags)
    symbols_at = dynamic_at + len(dynamic)
    path_at = symbols_at + len(symbols)
    sections_at = path_at + len(path)
    # sh_name, type, flags, addr, offset, size, link, info, addralign, entsize
    sections = struct.pack("<IIQQQQIIQQ", 0, 11, 0, 0, symbols_at, len(symbols), 0, 0, 8, 24)
    body = bytes(strings) + dynamic + symbols + path + sections + tail
    total = strings_at + len(body)

    def segment(kind: int, at: int, size: int) -> bytes:
        return struct.pack("<IIQQQQQQ", kind, 4, at, base + at, 0, size, size, 8)

    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack(
        "<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, sections_at, 0, 64, 56, 3, 64, 1, 0
    )  # fmt: skip
    segments = [
        segment(1, 0, total),
        segment(2, dynamic_at, len(dynamic)),
        segment(3 if path else 0, path_at, len(path)),
    ]
    return head + b"".join(segments) + body


def put(tree: Path, path: str, data: bytes) -> None:
    file = tree / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def make_tree(tree: Path, applets: Sequence[str], modules: Sequence[str]) -> Path:
    """A merged-/usr tree with one program, busybox and a kernel.

    `tool` needs libone.so.1 (a link to libone.so.1.2), which needs libc.so.6 and
    calls pthread_cancel. Each module is compressed with xz; the second needs the
    first, the third the second, and so on.
    """
    for link in ("bin", "lib", "lib64", "sbin"):
        (tree / "usr" / link).mkdir(parents=True)
        (tree / link).symlink_to(f"usr/{link}")
    put(tree, "usr/sbin/tool", make_elf(["libone.so.1", "libc.so.6"], interpreter=LOADER))
    put(
        tree,
        f"{LIBRARIES}/libone.so.1.2",
        make_elf(["libc.so.6"], undefined=["pthread_cancel", "free"]),
    )
    (tree / LIBRARIES / "libone.so.1").symlink_to("libone.so.1.2")
    put(tree, f"{LIBRARIES}/libc.so.6", make_elf())
    put(tree, f"{LIBRARIES}/libgcc_s.so.1", make_elf(["libc.so.6"]))
    put(tree, f"{LIBRARIES}/ld-linux-x86-64.so.2", make_elf())
    (tree / "usr/lib64/ld-linux-x86-64.so.2").symlink_to(f"/{LIBRARIES}/ld-linux-x86-64.so.2")
    table = b"\0" + b"\0".join(name.encode() for name in applets) + b"\0"
    put(tree, "usr/bin/busybox", make_elf(tail=table))
    make_kernel(tree, modules)
    return tree


def make_kernel(tree: Path, modules: Sequence[str]) -> None:
    """depmod's files and compressed modules."""
    base = f"usr/lib/modules/{KERNEL}"
    files = [f"kernel/{name}.ko.xz" for name in modules]
    lines = []
    for index, file in enumerate(files):
        put(tree, f"{base}/{file}", lzma.compress(f"module {modules[index]}".encode()))
        lines.append(f"{file}: " + " ".join(reversed(files[:index])))
    put(tree, f"{base}/modules.dep", ("\n".join(lines) + "\n").encode())
    put(tree, f"{base}/modules.builtin", b"kernel/built-in-one.ko\n")
    put(tree, f"{base}/modules.softdep", b"")
    put(tree, f"{base}/modules.alias", b"# aliases\nalias crypto-best " + modules[0].encode())
