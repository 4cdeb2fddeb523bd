"""The name that was meant is suggested, in its place, whatever the slip."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.description import suggest
from kiwilite.description.explain import explain
from kiwilite.description.reader import parse
from kiwilite.description.source import make_source
from kiwilite.description.vocabulary import vocabulary


@pytest.mark.parametrize(
    ("word", "legal", "meant"),
    [
        ("overlayrot", ["overlayroot", "overlay"], "overlayroot"),
        ("OVERLAYROOT", ["overlayroot"], "overlayroot"),
        ("oem_resize", ["oem-resize", "oem-reboot"], "oem-resize"),
        ("oemresize", ["oem-resize", "oem-reboot"], "oem-resize"),
        ("vredate", ["create", "verdate"], "verdate"),
        ("xs", ["ext4", "xfs"], "xfs"),
        ("lz", ["xz", "lz4"], "lz4"),
        ("tar", ["bar", "yar"], "yar"),
        ("zst", ["zstd", "lzo"], "zstd"),
        ("frobnicate", ["name", "path"], None),
        ("x" * 65, ["x" * 65], None),
        ("", [], None),
        ("a", [], None),
    ],
)
def test_the_likeliest_slip_decides(word: str, legal: list[str], meant: str | None) -> None:
    assert suggest.nearest(word, legal) == meant
    assert suggest.nearest(word, legal[::-1]) == meant


def test_of_equals_the_first_is_taken() -> None:
    assert suggest.nearest("nam", ["name", "nams"]) == "name"
    assert suggest.nearest("nam", ["nams", "name"]) == "nams"


def parents() -> dict[str, tuple[str, ...]]:
    """A way from the outermost element to each definition."""
    words = vocabulary()
    ways: dict[str, tuple[str, ...]] = {words.root: ("image",)}
    to_do = [words.root]
    while to_do:
        definition = to_do.pop()
        for name, child in words.elements[definition].children.items():
            if child.definition not in ways:
                ways[child.definition] = (*ways[definition], name)
                to_do.append(child.definition)
    return ways


def hint(way: tuple[str, ...], inside: str, code: str) -> str:
    """What is hinted at for the mistake of `code` in a document that is nothing but `way`."""
    opened = "".join(f"<{name}>" for name in way[:-1]) + f"<{way[-1]} {inside}"
    closed = "".join(f"</{name}>" for name in reversed(way))
    root = parse(make_source(Path("x.kiwi"), (opened + closed).encode()))
    found = [d for d in explain(root) if d.code == code]
    return (found[0].hint or "") if found else ""


def slips(name: str) -> list[str]:
    """One of each kind, in the middle of the name."""
    at = len(name) // 2
    before, letter, after = name[:at], name[at], name[at + 1 :]
    words = [before + after, f"{before}{letter}{letter}{after}", f"{before}q{after}", name.upper()]
    return [*words, f"{name[: at - 1]}{letter}{name[at - 1]}{after}" if at else f"{name}q"]


def test_a_misspelt_attribute_is_named_in_the_context_of_its_element() -> None:
    right, every = 0, 0
    for definition, way in parents().items():
        legal = vocabulary().elements[definition].attributes
        for name in legal:
            for word in set(slips(name)) - set(legal):
                if word and not word[0].isdigit():
                    every += 1
                    right += f"`{name}`" in hint(way, f'{word}="1">', "KL0102")
    assert every > 1500 and right / every > 0.95


def test_a_misspelt_element_is_named_in_the_context_of_its_parent() -> None:
    right, every = 0, 0
    for definition, way in parents().items():
        legal = vocabulary().elements[definition].children
        for name in legal:
            for word in set(slips(name)) - set(legal) - {"Q"}:
                if word[:1].isalpha():
                    every += 1
                    right += f"`<{name}>`" in hint(way, f"><{word}/>", "KL0101")
    assert every > 500 and right / every > 0.95
