"""Kernel modules of a root tree: which ones a list of names brings along, ready to load.

Source of the formats: modules.dep(5), modprobe.d(5), depmod(8). The text files
depmod writes are read; for the initrd, smaller ones of the same form are written,
which busybox's modprobe reads.
"""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kiwilite.boot.tree import resolve
from kiwilite.errors import KiwiliteError

Decompress = Callable[[bytes], bytes]


class MissingModule(KiwiliteError):
    """A kernel module the initrd needs is not in the tree."""


@dataclass(frozen=True, slots=True)
class Index:
    """What depmod knows about one kernel: names normalised ('_' for '-').

    `files` maps a module to its path below the module directory, `needs` to the
    modules that must be loaded first, `soft` to names (modules or aliases) wanted
    with it. `aliases` has only aliases without wildcards.
    """

    directory: str  # in the tree, e.g. usr/lib/modules/6.12.0
    files: Mapping[str, str]
    needs: Mapping[str, tuple[str, ...]]
    soft: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, tuple[str, ...]]
    builtin: frozenset[str]
    alias_lines: tuple[str, ...] = field(repr=False, default=())


def module_name(path: str) -> str:
    """`kernel/crypto/xts.ko.xz` → `xts`; '-' becomes '_', as the kernel has it."""
    return path.rsplit("/", 1)[-1].split(".ko", 1)[0].replace("-", "_")


def read_index(tree: Path, kernel_version: str) -> Index:
    """Read depmod's files; raises MissingModule where the kernel has none."""
    directory = resolve(tree, f"lib/modules/{kernel_version}").path
    base = tree / directory
    if not (base / "modules.dep").is_file():
        raise MissingModule(
            f"kernel {kernel_version} has no modules.dep",
            where=f"/{directory}",
            hint="install a linux-image package in the image; its set-up runs depmod",
        )
    files: dict[str, str] = {}
    needs: dict[str, tuple[str, ...]] = {}
    for line in _lines(base / "modules.dep"):
        path, _, rest = line.partition(":")
        files[module_name(path)] = path
        # depmod lists the module needed last first
        needs[module_name(path)] = tuple(module_name(p) for p in reversed(rest.split()))
    alias_lines = tuple(line for line in _lines(base / "modules.alias") if _is_alias(line))
    return Index(
        directory=directory,
        files=files,
        needs=needs,
        soft=_read_soft(_lines(base / "modules.softdep")),
        aliases=_plain_aliases(alias_lines),
        builtin=frozenset(module_name(p) for p in _lines(base / "modules.builtin")),
        alias_lines=alias_lines,
    )


def _lines(path: Path) -> Iterator[str]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                yield line


def _is_alias(line: str) -> bool:
    return line.startswith("alias ") and len(line.split()) == 3


def _plain_aliases(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    aliases: dict[str, tuple[str, ...]] = {}
    for line in lines:
        _, alias, module = line.split()
        if not set(alias) & set("*?["):
            aliases[alias] = (*aliases.get(alias, ()), module.replace("-", "_"))
    return aliases


def _read_soft(lines: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """`softdep NAME pre: a b post: c` → NAME wants a, b and c."""
    soft: dict[str, tuple[str, ...]] = {}
    for line in lines:
        words = line.split()
        if len(words) > 2 and words[0] == "softdep":
            name = words[1].replace("-", "_")
            wanted = tuple(word for word in words[2:] if word not in ("pre:", "post:"))
            soft[name] = (*soft.get(name, ()), *wanted)
    return soft


def closure(index: Index, required: Sequence[str], optional: Sequence[str] = ()) -> tuple[str, ...]:
    """The modules to carry, in an order in which they can be loaded.

    Built-in ones are left out. A missing `optional` name is ignored, a missing
    `required` one raises MissingModule.
    """
    order: dict[str, None] = {}
    entered: set[str] = set()  # soft dependencies may form circles

    def add(module: str) -> None:
        if module in entered or module not in index.files:
            return
        entered.add(module)
        for need in index.needs[module]:
            add(need)
        for wanted in index.soft.get(module, ()):
            for name in _named(index, wanted):
                add(name)
        order[module] = None

    for name in required:
        found = _named(index, name)
        if not found and name.replace("-", "_") not in index.builtin:
            raise MissingModule(
                f"kernel module {name} is not in the image",
                where=f"/{index.directory}",
                hint="install the complete kernel package of the image's distribution"
                " (Debian: linux-image-amd64 or linux-image-cloud-amd64)",
            )
        for module in found:
            add(module)
    for name in optional:
        for module in _named(index, name):
            add(module)
    return tuple(order)


_HASH_FAMILY = re.compile(r"(sha3|blake2b|blake2s)-\d+")


def hash_modules(index: Index, algorithm: str) -> tuple[str, ...]:
    """What to ask `closure` for so that dm-verity has `algorithm`; nothing where it is built in.

    Raises MissingModule where the kernel has no such hash.
    """
    family = _HASH_FAMILY.sub(r"\1", algorithm).replace("sha384", "sha512")
    names = (algorithm, family, f"{family}_generic")
    found = tuple(name for name in names if _named(index, name))
    if not found and not index.builtin & {name.replace("-", "_") for name in names}:
        raise MissingModule(
            f"the kernel has no module for the hash {algorithm}",
            where=f"/{index.directory}",
            hint="choose an algorithm it has in <verity algorithm=…>, such as sha256",
        )
    return found


def _named(index: Index, name: str) -> tuple[str, ...]:
    """The modules meant by a name: the module itself, else those with that alias."""
    module = name.replace("-", "_")
    return (module,) if module in index.files else index.aliases.get(name, ())


def plain_module(raw: bytes, path: str, unzstd: Decompress | None) -> bytes:
    """A module as the kernel loads it: busybox's insmod does not decompress.

    The signature at the end stays, so the module loads under lockdown too.
    """
    if path.endswith(".xz"):
        return lzma.decompress(raw)
    if path.endswith(".gz"):
        return gzip.decompress(raw)
    if path.endswith(".zst"):
        if unzstd is None:
            raise KiwiliteError("a module is compressed with zstd, nothing given to read it",
                                where=path)  # fmt: skip
        return unzstd(raw)
    return raw


def plain_path(path: str) -> str:
    """`kernel/fs/xfs/xfs.ko.xz` → `kernel/fs/xfs/xfs.ko`."""
    return path.split(".ko", 1)[0] + ".ko"


def render_dep(index: Index, modules: Sequence[str]) -> bytes:
    """modules.dep for just these (uncompressed) modules."""
    lines = []
    for module in sorted(modules):
        needs = [plain_path(index.files[need]) for need in reversed(index.needs[module])]
        lines.append(f"{plain_path(index.files[module])}:" + "".join(f" {path}" for path in needs))
    return ("\n".join(lines) + "\n").encode()


def render_alias(index: Index, modules: Sequence[str]) -> bytes:
    """modules.alias with the lines that lead to these modules: the kernel asks by alias."""
    kept = frozenset(modules)
    lines = [line for line in index.alias_lines if line.split()[2].replace("-", "_") in kept]
    return "".join(f"{line}\n" for line in lines).encode()
