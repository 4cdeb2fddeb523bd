"""Valid descriptions over KIWI's whole vocabulary, made from the grammar and a seed.

What is kiwilite's own is left out, so that KIWI takes them too.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from kiwilite.description.tree import Node
from kiwilite.description.vocabulary import ElementForm, ValueType, vocabulary

WORDS = vocabulary()
TYPE = WORDS.elements["type"]
IMAGES = TYPE.attributes["image"].value.literals
MANAGERS = (WORDS.elements["packagemanager"].text or ValueType()).literals
LOADERS = WORDS.elements["bootloader"].attributes["name"].value.literals
PROFILES = ("alpha", "beta", "gamma")

_TEXTS = ("text", "two words", "Grüße", "a=b,c", "/some/path", "日本")
_TYPED = (
    "0", "1", "2", "17", "512", "2048", "4096", "300000", "-7", "true", "false", "name",
    "a.b-c_d", "x86_64", "x86_64,aarch64", "10M", "3G", "en_US", "C", "de_DE,en_GB", "80", "80/tcp",
    "53/udp", "none", "console", "serial console", "serial", "file:///key", "https://x/key",
    "this:k",
    "00:11:22:aa:bb:cc", "12345678-1234-1234-1234-123456789abc", "no-copy-on-write", "all",
    "synchronous-updates,no-copy-on-write", "1.2.3.4", "0.0.0.65535", "users,lan:12", "oci:qcow2",
    "docker:raw", "LABEL_1",
)  # fmt: skip

_BTRFS = tuple(name for name in TYPE.attributes if name.startswith("btrfs_"))
_NEEDED = {("partition", "size"), ("luksformat", "option")}
"""What KIWI's grammar needs, and ours only where there is nothing of our own instead."""

_GRUB = ("grub2", "grub2_s390x_emu")


@dataclass(slots=True, eq=False)
class Part:
    """One element of a specimen."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[Part] = field(default_factory=list)
    text: str | None = None

    def walk(self) -> Iterator[Part]:
        yield self
        for child in self.children:
            yield from child.walk()

    def named(self, *names: str) -> list[Part]:
        """All elements with one of `names`, this one and those below it."""
        return [part for part in self.walk() if part.name in names]

    def drop(self, *names: str) -> None:
        for name in names:
            self.attributes.pop(name, None)

    @property
    def form(self) -> ElementForm:
        return WORDS.elements[self.name]


@lru_cache(maxsize=256)
def legal_values(value: ValueType) -> tuple[str, ...]:
    """Values that `value` allows: all literals, and some of what has no end."""
    if value.any_text:
        return _TEXTS
    typed = (text for text in _TYPED if text not in value.literals and value.allows(text))
    return (*value.literals, *typed)


def specimen(seed: int, image: str, manager: str = "apt", fullness: float = 1.0) -> Part:
    """A valid description with one `<type image=…>`, and `fullness` of what it may have.

    With the seeds from 0 on, values that are one of several come in turn.
    """
    maker = _Maker(random.Random(f"{seed} {image} {manager}"), seed, fullness)
    root = maker.element("image")
    preferences = root.named("preferences")
    for part in root.named("packagemanager"):
        part.text = manager
    types = root.named("type")
    for extra in types[1:]:
        for section in preferences:
            section.children = [child for child in section.children if child is not extra]
    if not types:
        types = [maker.element("type")]
        preferences[0].children.append(types[0])
    types[0].attributes["image"] = image
    _conform(root, types[0], maker)
    return root


@dataclass(slots=True)
class _Maker:
    rng: random.Random
    turn: int
    fullness: float

    def some(self) -> bool:
        return self.rng.random() < self.fullness

    def value(self, name: str, value: ValueType) -> str:
        if name == "profiles":
            return self.rng.choice((*PROFILES, "alpha,gamma", "beta, alpha"))
        values = legal_values(value)
        return values[self.turn % len(values)] if value.literals else self.rng.choice(values)

    def element(self, definition: str) -> Part:
        form = WORDS.elements[definition]
        part = Part(form.name)
        attributes = [a for a in form.attributes.values() if not a.own]
        self.rng.shuffle(attributes)
        for attribute in attributes:
            if attribute.required or (form.name, attribute.name) in _NEEDED or self.some():
                part.attributes[attribute.name] = self.value(attribute.name, attribute.value)
        for group in form.alternatives:
            keep = group.names[self.turn % len(group.names)]
            kept = part.attributes.get(keep)
            part.drop(*group.names)
            if group.required or kept is not None:
                part.attributes[keep] = kept or self.value(keep, form.attributes[keep].value)
        if form.text is not None:
            part.text = self.value("", form.text)
        part.children = self.children(form)
        return part

    def children(self, form: ElementForm) -> list[Part]:
        if form.name == "profiles":
            return self.profiles()
        made: list[Part] = []
        for child in form.children.values():
            if WORDS.elements[child.definition].own or child.definition == "include":
                continue
            least = max(child.least, (form.name, child.definition) in _NEEDED)
            count = least + self.some() if child.most is None else 1
            if least or self.some():
                made += [self.element(child.definition) for _ in range(count)]
        if form.foreign:
            made.append(Part("x:data", {"xmlns:x": "urn:example", "a": "b"}, [Part("x:y")], "any"))
        self.rng.shuffle(made)
        return made

    def profiles(self) -> list[Part]:
        made = []
        for name in PROFILES:
            profile = Part("profile", {"name": name, "description": "A variant"})
            for attribute in ("import", "arch"):
                if self.some():
                    form = WORDS.elements["profile"].attributes[attribute]
                    profile.attributes[attribute] = self.value(attribute, form.value)
            made.append(profile)
        if self.some():
            requires = Part("requires", {"profile": PROFILES[1]})
            if self.some():
                requires.attributes["arch"] = "x86_64"
            made[0].children.append(requires)
        return made


def _conform(root: Part, kind: Part, maker: _Maker) -> None:
    """Take out what KIWI's rules beyond its grammar do not allow."""
    profiles = [part for part in root.children if part.name == "profiles"]
    for extra in profiles[1:]:
        root.children.remove(extra)
    if not profiles:
        for part in root.walk():
            part.drop("profiles")
    _conform_type(kind, maker)
    _conform_children(kind)
    for part in kind.named("bootloader"):
        _conform_loader(part)
    for part in root.named("partition"):
        part.attributes["name"] = "home"
    for part in root.named("vagrantconfig"):
        if part.attributes["provider"] != "virtualbox":
            part.drop("virtualbox_guest_additions_present")
    _conform_sections(root)


def _conform_sections(root: Part) -> None:
    for part in root.named("repository"):
        if part.attributes.get("type", "apt-deb") != "apt-deb":
            part.drop("architectures")
    for part in root.named("collectionModule"):
        if part.attributes["enable"] != "true":
            part.drop("stream")
    apt = "apt" in [part.text for part in root.named("packagemanager")]
    for part in root.named("packages"):
        bootstrap = part.attributes["type"] == "bootstrap"
        if not (apt and bootstrap):
            part.drop("bootstrap_package")
        if not bootstrap:
            part.children = [c for c in part.children if c.name != "collectionModule"]


def _conform_type(kind: Part, maker: _Maker) -> None:
    image = kind.attributes["image"]
    for name, attribute in TYPE.attributes.items():
        if attribute.images and image not in attribute.images:
            kind.drop(name)
    for name, needed in (("filesystem", "oem"), ("metadata_path", "appx")):
        if image == needed and name not in kind.attributes:
            kind.attributes[name] = maker.value(name, TYPE.attributes[name].value)
    if kind.attributes.get("filesystem", "btrfs") != "btrfs":
        kind.drop(*_BTRFS)
    if any(part.attributes.get("preferlvm") == "true" for part in kind.named("systemdisk")):
        kind.drop(*_BTRFS)
    if "verity_blocks" not in kind.attributes:
        kind.drop("embed_verity_metadata")
    if "standalone_integrity" not in kind.attributes:
        kind.drop("embed_integrity_metadata", "integrity_legacy_hmac")
    if image == "oem" and not _in_container(kind):
        kind.drop("derived_from")
    boxed = any(child.name == "vagrantconfig" for child in kind.children)
    if kind.attributes.get("format") == "vagrant" and not boxed:
        kind.drop("format")


def _in_container(kind: Part) -> bool:
    return kind.attributes.get("format", "").startswith(("oci:", "docker:"))


def _conform_children(kind: Part) -> None:
    given = kind.attributes
    image = given["image"]
    unwanted = {
        "bootloader": image not in ("oem", "iso"),
        "containerconfig": image not in ("oem", "docker", "oci", "appx")
        or ("format" in given and not _in_container(kind)),
        "luksformat": "luks" not in given,
        "installmedia": "true" not in (given.get("installiso"), given.get("installpxe")),
    }
    kind.children = [child for child in kind.children if not unwanted.get(child.name)]
    for part in kind.named("containerconfig"):
        if image == "appx":
            part.drop(*(name for name in part.attributes if name != "name"))
    disks = [part for part in kind.children if part.name == "systemdisk"]
    subvolumes = {id(v) for disk in disks for v in disk.children}
    for part in kind.named("volume"):
        if id(part) not in subvolumes or given.get("filesystem") != "btrfs":
            part.drop("quota")
    for part in kind.named("size"):
        if int(part.attributes.get("unpartitioned", "0")) > int(part.text or "0"):
            part.drop("unpartitioned")


def _conform_loader(part: Part) -> None:
    name = part.attributes["name"]
    if name != "grub2":
        part.drop("bls")
    if name not in _GRUB:
        part.drop("output_console", "input_console", "serial_line", "video_mode", "timeout_style")
    if name == "custom":
        part.drop("timeout")
    if name not in ("grub2_s390x_emu", "zipl"):
        part.drop("targettype")
    if name != "zipl":
        part.children = [child for child in part.children if child.name != "securelinux"]


@dataclass(frozen=True, slots=True)
class Text:
    """A specimen as text.

    `places` has where each element and attribute begins, as (line, column); `ends` the
    offsets around the end tag of each element that has one.
    """

    text: str
    places: dict[tuple[int, str], tuple[int, int]]
    ends: dict[int, tuple[int, int]]

    def place(self, part: Part, attribute: str = "") -> tuple[int, int]:
        """Of `attribute`, or of the start tag."""
        return self.places[id(part), attribute]


def render(root: Part, seed: int = 0) -> Text:
    """`root` as XML; some tags stand on one line, others have a line for each attribute."""
    rng = random.Random(seed)
    lines = ['<?xml version="1.0" encoding="utf-8"?>']
    places: dict[tuple[int, str], tuple[int, int]] = {}
    ends: dict[int, tuple[int, int]] = {}

    def write(part: Part, indent: str) -> None:
        lines.append(f"{indent}<{part.name}")
        places[id(part), ""] = len(lines), len(indent) + 1
        apart = rng.random() < 0.5
        for name, value in part.attributes.items():
            if apart:
                lines.append(f"{indent}     ")
            places[id(part), name] = len(lines), len(lines[-1]) + 2
            lines[-1] += f' {name}="{_escaped(value)}"'
        if part.text is None and not part.children:
            lines[-1] += "/>"
            return
        lines[-1] += ">" + _escaped(part.text or "")
        lines[-1:] = lines[-1].split("\n")
        for child in part.children:
            write(child, indent + "  ")
        if part.children:
            lines.append(indent)
        start = sum(len(line) + 1 for line in lines) - 1
        lines[-1] += f"</{part.name}>"
        ends[id(part)] = start, start + len(part.name) + 3

    write(root, "")
    return Text("\n".join(lines) + "\n", places, ends)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")


def part_of(node: Node) -> Part:
    """An element as it was read, to be changed and written again."""
    text = node.text if node.text.strip() else None
    return Part(node.name, dict(node.attributes), [part_of(c) for c in node.children], text)


def some_specimen(seed: int) -> Part:
    """One of many, disk images more often than others."""
    rng = random.Random(seed)
    image = "oem" if seed % 2 else rng.choice(IMAGES)
    fullness = rng.choice((0.1, 0.3, 0.6, 1.0))
    return specimen(rng.randrange(1000), image, rng.choice(MANAGERS), fullness)


def systematic() -> Iterator[Part]:
    """Specimens that together have every name and every listed value of the vocabulary."""
    for turn in range(len(IMAGES)):
        yield specimen(turn, IMAGES[turn], MANAGERS[turn % len(MANAGERS)])
    for turn in range(30):
        yield specimen(turn, "oem", MANAGERS[turn % len(MANAGERS)])
        yield specimen(turn, "iso", "apt")
