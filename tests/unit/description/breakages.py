"""Ways to break a valid description, each with the place and the code of the one right answer.

A breakage changes one thing of a specimen and gives a `Broken`, or None where the specimen
has nothing of the kind.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from breakages_text import TEXT_BREAKAGES
from broken import Breakage, Broken, broken_at, known, line_column, pick
from specimens import LOADERS, PROFILES, TYPE, WORDS, Part, legal_values, render

from kiwilite.description.vocabulary import Datatype, ValueType

NAMES = sorted({form.name for form in WORDS.elements.values()})
ATTRIBUTES = sorted({name for form in WORDS.elements.values() for name in form.attributes})
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def misspelt(name: str, rng: random.Random) -> str:
    """`name` with one slip of the keyboard."""
    at = rng.randrange(len(name))
    slips = [
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name[:at] + rng.choice(LETTERS) + name[at + 1 :],
        name[:at] + rng.choice(LETTERS) + name[at:],
        name[: at - 1] + name[at] + name[at - 1] + name[at + 1 :] if at else name + "s",
    ]
    return rng.choice(slips)


def _slip(name: str, rng: random.Random, legal: Sequence[str]) -> str:
    for _ in range(100):
        wrong = misspelt(name, rng)
        if wrong not in legal and re.fullmatch(r"[A-Za-z_][\w.-]*", wrong):
            return wrong
    return name + "xq"


def misspelt_element(root: Part, rng: random.Random) -> Broken | None:
    part = rng.choice(known(root)[1:])
    part.name = _slip(part.name, rng, NAMES)
    return broken_at(root, rng, part, "", "KL0101")


def misspelt_attribute(root: Part, rng: random.Random) -> Broken | None:
    found = pick(rng, [(p, a) for p in known(root) for a in p.attributes])
    if found is None:
        return None
    part, name = found
    wrong = _slip(name, rng, ATTRIBUTES)
    part.attributes = {wrong if n == name else n: v for n, v in part.attributes.items()}
    return broken_at(root, rng, part, wrong, "KL0102")


def _values(root: Part, wanted: Callable[[ValueType], bool]) -> list[tuple[Part, str, ValueType]]:
    """(element, attribute or "" for its text, type) of what has a type that is `wanted`."""
    found = []
    for part in known(root):
        for name in part.attributes:
            value = part.form.attributes[name].value
            if wanted(value) and name != "schemaversion":
                found.append((part, name, value))
        text = part.form.text
        if text is not None and wanted(text):
            found.append((part, "", text))
    return found


def _set(part: Part, name: str, value: str) -> None:
    if name:
        part.attributes[name] = value
    else:
        part.text = value


def _wrong_value(
    root: Part, rng: random.Random, wanted: Callable[[ValueType], bool], wrong: Sequence[str]
) -> Broken | None:
    found = _values(root, wanted)
    if not found:
        return None
    part, name, value = rng.choice(found)
    illegal = [text for text in wrong if not value.allows(text)]
    _set(part, name, rng.choice(illegal))
    return broken_at(root, rng, part, name, "KL0105", "KL0106")


def wrong_enum(root: Part, rng: random.Random) -> Broken | None:
    return _wrong_value(root, rng, lambda v: bool(v.literals), ("bogus", "OEM", "tru", "x y"))


def misspelt_enum(root: Part, rng: random.Random) -> Broken | None:
    found = _values(root, lambda v: bool(v.literals))
    if not found:
        return None
    part, name, value = rng.choice(found)
    written = part.attributes[name] if name else part.text or ""
    _set(part, name, _slip(written, rng, legal_values(value)))
    if value.allows(part.attributes[name] if name else part.text or ""):
        return None
    return broken_at(root, rng, part, name, "KL0105", "KL0106")


def _has(test: Callable[[Datatype], bool]) -> Callable[[ValueType], bool]:
    return lambda value: any(test(datatype) for datatype in value.datatypes)


def wrong_number(root: Part, rng: random.Random) -> Broken | None:
    numbers = _has(lambda d: d.name in ("nonNegativeInteger", "integer"))
    return _wrong_value(root, rng, numbers, ("12x", "1.5", "many", "1 000", "0x10", "-"))


def wrong_boolean(root: Part, rng: random.Random) -> Broken | None:
    booleans = _has(lambda d: d.name == "boolean")
    return _wrong_value(root, rng, booleans, ("yes", "no", "True", "FALSE", "2", "on"))


def wrong_pattern(root: Part, rng: random.Random) -> Broken | None:
    wrong = ("§", "12K", "a b c", "10 M", "x86-64", "english", "..,..", "1.2.3", "%")
    return _wrong_value(root, rng, _has(lambda d: d.pattern is not None), wrong)


def empty_value(root: Part, rng: random.Random) -> Broken | None:
    return _wrong_value(root, rng, lambda v: not v.allows(""), ("",))


def missing_child(root: Part, rng: random.Random) -> Broken | None:
    found = [
        (part, name)
        for part in known(root)
        for name, limits in part.form.children.items()
        if limits.least and name in [child.name for child in part.children]
    ]
    chosen = pick(rng, found)
    if chosen is None:
        return None
    part, name = chosen
    part.children = [child for child in part.children if child.name != name]
    return broken_at(root, rng, part, "", "KL0104")


def missing_attribute(root: Part, rng: random.Random) -> Broken | None:
    found = [(p, n) for p in known(root) for n in p.attributes if p.form.attributes[n].required]
    chosen = pick(rng, found)
    if chosen is None:
        return None
    part, name = chosen
    part.drop(name)
    return broken_at(root, rng, part, "", "KL0103")


def duplicate_child(root: Part, rng: random.Random) -> Broken | None:
    found = [
        (part, child)
        for part in known(root)
        for child in part.children
        if ":" not in child.name and part.form.children[child.name].most == 1
    ]
    if not found:
        return None
    part, child = rng.choice(found)
    twin = Part(child.name, child.attributes, child.children, child.text)
    part.children.insert(part.children.index(child) + 1, twin)
    return broken_at(root, rng, twin, "", "KL0107")


def stray_text(root: Part, rng: random.Random) -> Broken | None:
    found = [p for p in known(root) if p.form.text is None]
    part = rng.choice(found)
    part.text = "stray"
    text = render(root, rng.randrange(1000))
    at = text.text.index(">stray") + 1
    return Broken(text.text, line_column(text.text, at), ("KL0108",))


def foreign_attribute(root: Part, rng: random.Random) -> Broken | None:
    """An attribute of another element of the vocabulary."""
    part = rng.choice(known(root))
    others = [name for name in ATTRIBUTES if name not in part.form.attributes]
    name = rng.choice(others)
    part.attributes[name] = "true"
    return broken_at(root, rng, part, name, "KL0102")


def wrong_parent(root: Part, rng: random.Random) -> Broken | None:
    """A child that belongs into another element."""
    parents = [p for p in known(root) if p.form.children or p.form.text is None]
    parent = rng.choice(parents)
    strangers = [
        part
        for part in known(root)[1:]
        if part.name not in parent.form.children and parent not in list(part.walk())
    ]
    if not strangers:
        return None
    stranger = rng.choice(strangers)
    copy = Part(stranger.name, dict(stranger.attributes), stranger.children, stranger.text)
    parent.children.append(copy)
    return broken_at(root, rng, copy, "", "KL0101")


def unknown_profile(root: Part, rng: random.Random) -> Broken | None:
    found = [(part, name) for part in known(root) for name in part.attributes
             if (part.name, name) == ("requires", "profile") or name == "profiles"]  # fmt: skip
    chosen = pick(rng, found)
    if chosen is None:
        return None
    part, name = chosen
    part.attributes[name] = _slip(PROFILES[0], rng, PROFILES)
    broken = broken_at(root, rng, part, name, "KL0201")
    return Broken(broken.text, broken.place, broken.codes, kiwi=False)


def wrong_version(root: Part, rng: random.Random) -> Broken | None:
    root.attributes["schemaversion"] = rng.choice(("6.2", "7.3", "8.6", "9.0", "eight"))
    return broken_at(root, rng, root, "schemaversion", "KL0010")


def other_image(root: Part, rng: random.Random) -> Broken | None:
    """An attribute that belongs to another image type."""
    kind = next(iter(root.named("type")), None)
    if kind is None:
        return None
    image = kind.attributes["image"]
    names = [
        name
        for name, form in TYPE.attributes.items()
        if form.images and image not in form.images and not name.startswith(("btrfs_", "luks_"))
        and name not in ("derived_from", "integrity_legacy_hmac") and not name.startswith("embed_")
    ]  # fmt: skip
    if not names:
        return None
    name = rng.choice(names)
    values = [v for v in legal_values(TYPE.attributes[name].value) if v != "vagrant"]
    kind.attributes[name] = rng.choice(values)
    return broken_at(root, rng, kind, name, "KL0701")


def both_alternatives(root: Part, rng: random.Random) -> Broken | None:
    found = [(part, group) for part in known(root) for group in part.form.alternatives
             if any(name in part.attributes for name in group.names)]  # fmt: skip
    if not found:
        return None
    part, group = rng.choice(found)
    for name in group.names:
        if name not in part.attributes:
            part.attributes[name] = "true"
            return broken_at(root, rng, part, name, "KL0703")
    return None


def attribute_of_another_loader(root: Part, rng: random.Random) -> Broken | None:
    """An attribute that the boot loader does not have."""
    loaders = root.named("bootloader")
    if not loaders:
        return None
    loader = rng.choice(loaders)
    loader.attributes["name"] = LOADERS[3]
    for name in ("bls", "output_console", "input_console", "serial_line", "video_mode", "timeout",
                 "timeout_style", "targettype"):  # fmt: skip
        loader.drop(name)
    loader.children = [c for c in loader.children if c.name != "securelinux"]
    loader.attributes["timeout"] = "5"
    return broken_at(root, rng, loader, "timeout", "KL0702")


def reserved_partition(root: Part, rng: random.Random) -> Broken | None:
    found = root.named("partition")
    if not found:
        return None
    part = rng.choice(found)
    part.attributes["name"] = rng.choice(("root", "boot", "swap", "efi", "readonly"))
    return broken_at(root, rng, part, "name", "KL0404")


def without_what_it_needs(root: Part, rng: random.Random) -> Broken | None:
    """`luksformat`, `installmedia` or `filesystem` without, or a quota on another file system."""
    kind = next(iter(root.named("type")), None)
    if kind is None:
        return None
    inner = {child.name: child for child in kind.children}
    ways: list[Callable[[], Broken]] = []
    if "luksformat" in inner and len(root.named("luksformat")) == 1:
        ways.append(lambda: _without(root, rng, kind, inner["luksformat"], "luks"))
    if "installmedia" in inner:
        ways.append(
            lambda: _without(root, rng, kind, inner["installmedia"], "installiso", "installpxe")
        )
    if kind.attributes["image"] in ("oem", "appx"):
        needed = {"oem": "filesystem", "appx": "metadata_path"}[kind.attributes["image"]]
        if not any("quota" in volume.attributes for volume in kind.named("volume")):
            ways.append(lambda: _without(root, rng, kind, kind, needed))
    return rng.choice(ways)() if ways else None


def _without(root: Part, rng: random.Random, kind: Part, at: Part, *names: str) -> Broken:
    kind.drop(*names)
    return broken_at(root, rng, at, "", "KL0702")


def other_root(root: Part, rng: random.Random) -> Broken | None:
    root.name = rng.choice(("configuration", "appliance", "images", "Image"))
    return broken_at(root, rng, root, "", "KL0101")


def unknown_namespace(root: Part, rng: random.Random) -> Broken | None:
    part = rng.choice(known(root))
    part.attributes["xml:base"] = "x"
    return broken_at(root, rng, part, "xml:base", "KL0102")


def element_of_another_namespace(root: Part, rng: random.Random) -> Broken | None:
    part = rng.choice([p for p in known(root) if p.form.children and not p.form.foreign])
    stranger = Part("z:data", {"xmlns:z": "urn:z"})
    part.children.append(stranger)
    return broken_at(root, rng, stranger, "", "KL0101")


BREAKAGES: tuple[Breakage, ...] = (
    misspelt_element,
    misspelt_attribute,
    wrong_enum,
    misspelt_enum,
    wrong_number,
    wrong_boolean,
    wrong_pattern,
    empty_value,
    missing_child,
    missing_attribute,
    duplicate_child,
    stray_text,
    foreign_attribute,
    wrong_parent,
    unknown_profile,
    wrong_version,
    other_image,
    both_alternatives,
    attribute_of_another_loader,
    reserved_partition,
    without_what_it_needs,
    other_root,
    unknown_namespace,
    element_of_another_namespace,
    *TEXT_BREAKAGES,
)


def name_of(breakage: Breakage) -> str:
    """What it is called in tests and figures."""
    return getattr(breakage, "__name__", "").strip("_").replace("_", " ")
