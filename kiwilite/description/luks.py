"""The encrypted volume: options of luksFormat, further keys, and when it is made.

Legal values are those that the initrd and kiwilite's own readers of volumes know; ranges
are those of cryptsetup.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kiwilite.description import suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.include import is_file, local_path
from kiwilite.description.tree import Node
from kiwilite.description.values import MIB, boolean, integer, number

MOST_KEYSLOTS: Final = 32
"""Of a LUKS2 volume; the passphrase of `luks` has one of them."""


@dataclass(frozen=True, slots=True)
class Option:
    """What an option's value may be: one of `values`, a number of a range, or, a flag, none."""

    values: tuple[str, ...] = ()
    least: int | None = None
    most: int = (1 << 32) - 1
    at_build: bool = True
    """Whether it has a meaning for a volume that is made at build time too."""


@dataclass(frozen=True, slots=True)
class Cipher:
    """What goes with a cipher.

    `key_sizes` in bits, cryptsetup's default first; `xfs_least` the least MiB of a partition
    that has the 300 for an XFS beside header, tags and journal, by bytes of a sector.
    """

    integrity: str
    key_sizes: tuple[int, ...]
    xfs_least: Mapping[int, int]
    at_build: bool = True


CIPHERS: Final = {
    "aes-xts-plain64": Cipher("hmac-sha256", (512, 256), {512: 338, 4096: 321}),
    "aes-xts-random": Cipher("hmac-sha256", (512, 256), {512: 348, 4096: 323}),
    "aes-gcm-random": Cipher("aead", (256, 128), {512: 336, 4096: 321}),
    "aegis128-random": Cipher("aead", (128,), {512: 338, 4096: 321}, at_build=False),
}
DEFAULT_CIPHERS: Final = {"firstboot": "aegis128-random", "build": "aes-xts-plain64"}
"""Where the description names none, by provisioning."""

OPTIONS: Final = {
    "--cipher": Option(tuple(CIPHERS)),
    "--key-size": Option(tuple(str(n) for n in (128, 256, 512))),
    "--integrity": Option(("aead", "hmac-sha256")),
    "--pbkdf": Option(("argon2id", "argon2i", "pbkdf2")),
    "--pbkdf-memory": Option(least=32, most=4 << 20),
    "--pbkdf-force-iterations": Option(least=4),
    "--pbkdf-parallel": Option(least=1, most=4),
    "--sector-size": Option(("512", "4096")),
    "--hash": Option(("sha256", "sha384", "sha512"), at_build=False),
    "--iter-time": Option(least=1, at_build=False),
    "--integrity-no-wipe": Option(at_build=False),
}

_SHORT: Final = {"-c": "--cipher", "-s": "--key-size", "-h": "--hash", "-i": "--iter-time"}
_PBKDF2_LEAST_ITERATIONS: Final = 1000


def xfs_least(options: Mapping[str, str], provisioning: str) -> int:
    """The least bytes of an encrypted partition with an XFS, by its luksFormat options."""
    cipher = CIPHERS.get(options.get("--cipher") or DEFAULT_CIPHERS.get(provisioning, ""))
    sizes = (cipher or CIPHERS["aegis128-random"]).xfs_least
    return (sizes[512] if options.get("--sector-size") == "512" else sizes[4096]) * MIB


def luksformat_options(image_type: Node) -> dict[str, str]:
    """The options of `<luksformat>`, which need not be valid."""
    section = image_type.first("luksformat")
    options = section.all("option") if section else ()
    return {option.get("name") or "": option.get("value") or "" for option in options}


def check_luks(image_type: Node) -> Iterator[Diagnostic]:
    """All that can be said of `<luksformat>` and the attributes that go with it."""
    at_build = image_type.get("provisioning") == "build"
    yield from _only_at_build(image_type, at_build)
    section = image_type.first("luksformat")
    options = list(section.all("option")) if section else []
    keyslots = list(section.all("keyslot")) if section else []
    if section and not section.children:
        message = "`<luksformat>` needs an `<option>` or a `<keyslot>`"
        yield fault(section, None, "KL0104", message)
    for option in options:
        yield from _option(option, at_build)
    yield from _twice(options, "KL0408", "the option")
    yield from _keyslots(keyslots, at_build)
    first = {option.get("name") or "": option for option in reversed(options)}
    yield from _encryption(first, image_type, at_build)
    yield from _key_derivation(first, image_type)


def _only_at_build(image_type: Node, at_build: bool) -> Iterator[Diagnostic]:
    for name in ("luks_fill", "luks_journal"):
        if name in image_type.attributes and "luks" in image_type.attributes and not at_build:
            message = f"`{name}` has a meaning for a volume that is made at build time only"
            hint = 'write provisioning="build", or leave it out'
            yield Diagnostic(image_type.attribute_span(name), "warning", "KL0410", message, hint)


def _option(node: Node, at_build: bool) -> Iterator[Diagnostic]:
    """An option nobody knows, one that does nothing at build time, a value it cannot have."""
    name = node.get("name") or ""
    known = OPTIONS.get(name)
    if known is None:
        message = f"`{name}` is not an option of luksFormat that kiwilite knows"
        meant = _SHORT.get(name)
        hint = f"write `{meant}`" if meant else suggest.hint(name, OPTIONS)
        hint = hint or suggest.legal("its options are", list(OPTIONS))
        yield fault(node, "name", "KL0407", message, hint)
        return
    if at_build and not known.at_build:
        message = f"`{name}` is not possible for a volume that is made at build time"
        yield fault(node, "name", "KL0410", message, 'leave it out, or provisioning="firstboot"')
    value = node.get("value") or ""
    if known.values:
        if value not in known.values:
            message = f"`{name}` cannot be `{value}`; it is one of {', '.join(known.values)}"
            yield fault(node, "value", "KL0408", message, suggest.hint(value, known.values))
    elif known.least is not None:
        count = number(value)
        if count is None or not known.least <= count <= known.most:
            message = f"`{name}` is a number from {known.least} to {known.most}, not `{value}`"
            yield fault(node, "value", "KL0408", message)
    elif value:
        yield fault(node, "value", "KL0408", f"`{name}` has no value")


def _twice(nodes: list[Node], code: str, what: str) -> Iterator[Diagnostic]:
    seen: dict[str, Node] = {}
    for node in nodes:
        name = node.get("name") or ""
        first = seen.setdefault(name, node)
        if first is not node:
            line = first.attribute_span("name").line
            yield fault(node, "name", code, f"{what} `{name}` stands at line {line} already")


def _keyslots(nodes: list[Node], at_build: bool) -> Iterator[Diagnostic]:
    for node in nodes:
        if not at_build:
            message = "a device that makes its own volume has the key of `luks` only"
            hint = 'a further key needs provisioning="build"'
            yield fault(node, None, "KL0410", message, hint)
        yield from check_key_file(node, "key")
    yield from _twice(nodes, "KL0408", "the keyslot")
    for node in nodes[MOST_KEYSLOTS - 1 :]:
        message = f"a volume has {MOST_KEYSLOTS} keyslots, with that of `luks`"
        yield fault(node, None, "KL0408", message)


def check_key_file(node: Node, attribute: str) -> Iterator[Diagnostic]:
    """A key that `attribute` refers to, and that is not there."""
    path = local_path(node.get(attribute) or "", node.file.parent)
    if path is not None and not is_file(path):
        yield fault(node, attribute, "KL0301", f"the key file {path} does not exist")


def _value(options: dict[str, Node], name: str) -> str | None:
    """The value of option `name` where it is a legal one."""
    node = options.get(name)
    value = None if node is None else node.get("value")
    legal = OPTIONS[name].values
    return value if not legal or value in legal else None


def _misspelt(options: dict[str, Node]) -> bool:
    """Whether what seems to be missing may be there under a name that is reported already."""
    return not OPTIONS.keys() >= options.keys()


def _encryption(options: dict[str, Node], image_type: Node, at_build: bool) -> Iterator[Diagnostic]:
    """A cipher with the integrity and key size that it can have."""
    name = _value(options, "--cipher")
    if "--cipher" not in options and not _misspelt(options):
        for other in ("--integrity", "--key-size"):
            if other in options:
                message = f"`{other}` needs the `--cipher` it is for"
                yield fault(options[other], "name", "KL0409", message)
    if name is None:
        return
    node, cipher = options["--cipher"], CIPHERS[name]
    if at_build and not cipher.at_build:
        message = f"no sector can be encrypted with {name} at build time"
        hint = (
            "take aes-xts-plain64 with hmac-sha256, or aes-gcm-random with aead, "
            'or write provisioning="firstboot"'
        )
        yield fault(node, "value", "KL0410", message, hint)
    yield from _integrity(options, name, cipher)
    bits = _value(options, "--key-size")
    if bits is not None and int(bits) not in cipher.key_sizes:
        legal = " or ".join(map(str, cipher.key_sizes))
        message = f"the key of {name} has {legal} bits, not {bits}"
        yield fault(options["--key-size"], "value", "KL0408", message)
    sector = _value(options, "--sector-size")
    blocks = integer(image_type, "target_blocksize") or 512
    if sector is not None and int(sector) < blocks:
        message = f"sectors of {sector} bytes are not possible on a disk with {blocks}"
        yield fault(options["--sector-size"], "value", "KL0408", message)


def _integrity(options: dict[str, Node], name: str, cipher: Cipher) -> Iterator[Diagnostic]:
    needed = f'<option name="--integrity" value="{cipher.integrity}"/>'
    if "--integrity" not in options:
        if _misspelt(options):
            return
        message = f"with {name} alone nobody notices a changed sector"
        yield fault(options["--cipher"], "value", "KL0409", message, f"add {needed}")
        return
    integrity = _value(options, "--integrity")
    if integrity is not None and integrity != cipher.integrity:
        message = f"{integrity} does not go with {name}"
        yield fault(options["--integrity"], "value", "KL0409", message, f"write {needed}")


def _key_derivation(options: dict[str, Node], image_type: Node) -> Iterator[Diagnostic]:
    attribute, option = image_type.get("luks_pbkdf"), _value(options, "--pbkdf")
    if attribute and option and attribute != option:
        line = image_type.attribute_span("luks_pbkdf").line
        message = f"`luks_pbkdf` is `{attribute}` (at line {line}), `--pbkdf` is `{option}`"
        yield fault(options["--pbkdf"], "value", "KL0204", message)
    function = option or attribute
    iterations = options.get("--pbkdf-force-iterations")
    count = number(iterations.get("value")) if iterations else None
    if iterations and function == "pbkdf2" and count and 4 <= count < _PBKDF2_LEAST_ITERATIONS:
        message = f"pbkdf2 has {_PBKDF2_LEAST_ITERATIONS} iterations or more, not {count}"
        yield fault(iterations, "value", "KL0408", message)
    if iterations and "--iter-time" in options:
        message = "`--iter-time` and `--pbkdf-force-iterations` exclude each other"
        yield fault(options["--iter-time"], "name", "KL0408", message)
    if function != "pbkdf2":
        yield from _memory(options.get("--pbkdf-memory"), image_type.first("machine"))


def _memory(option: Node | None, machine: Node | None) -> Iterator[Diagnostic]:
    """Argon2 with all the memory (KiB) that the machine (MiB) has, or more."""
    if option is None or machine is None:
        return
    attribute = "memory" if "memory" in machine.attributes else "max_memory"
    cost, size = number(option.get("value")), integer(machine, attribute)
    if cost is None or size is None or cost < size * 1024:
        return
    line = machine.attribute_span(attribute).line
    yield Diagnostic(
        option.attribute_span("value"),
        "warning",
        "KL0411",
        f"deriving the key takes {-(-cost // 1024)} MiB of memory, but the machine has {size} MiB "
        f"(line {line}): it could not open its volume",
        "KiB are meant; a quarter of the machine's memory is plenty",
    )


def check_encrypted(image_type: Node) -> Iterator[Diagnostic]:
    """`luks` without a volume, and what comes with a volume only."""
    partitions = [p for s in image_type.all("partitions") for p in s.all("partition")]
    if "luks" not in image_type.attributes:
        for partition in partitions:
            for name in ("encrypted", "reset"):
                if boolean(partition, name):
                    message = f"`{name}` of `<partition>` needs `luks` at its `<type>`"
                    yield fault(partition, name, "KL0702", message)
    elif not boolean(image_type, "overlayroot_write_partition", default=True):
        message = "`luks` encrypts the overlay's partition, and there is none"
        hint = 'write overlayroot_write_partition="true", or leave `luks` out'
        yield fault(image_type, "luks", "KL0702", message, hint)
