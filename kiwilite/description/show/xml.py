"""Elements as XML: a description that says what was written, and no defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from kiwilite.description.secret import PLACEHOLDER
from kiwilite.description.show.elements import Element, Shown
from kiwilite.description.show.text import place

WIDTH: Final = 100
INDENT: Final = "    "


def annotated(what: Shown) -> Iterator[str]:
    """A description of its own of what holds, each element with its place in a comment."""
    yield '<?xml version="1.0" encoding="utf-8"?>'
    profiles = ", ".join(what.profiles) or "none"
    yield _comment(f"{what.file} for {what.arch}, type {what.type}, profiles: {profiles}")
    yield _comment(f'Where it has "{PLACEHOLDER}", a secret stands in the original.')
    folder = what.file.parent

    def origin(element: Element) -> str:
        words = [place(element.origin, folder)]
        if element.condition.profiles:
            words.append(f'profiles="{",".join(element.condition.profiles)}"')
        if element.condition.arch:
            words.append(f'arch="{element.condition.arch}"')
        return _comment(", ".join(words))

    yield from _lines(what.image, "", "", origin)


def plain(element: Element) -> Iterator[str]:
    """`element` without comments."""
    return _lines(element, "", "", lambda _: "")


def _comment(text: str) -> str:
    return f"<!-- {text.replace('--', '- -')} -->"


def _lines(
    element: Element, indent: str, namespace: str, remark: Callable[[Element], str]
) -> Iterator[str]:
    if element.origin == "default":
        return
    uri, _, name = (
        element.name[1:].rpartition("}") if element.name[0] == "{" else ("", "", element.name)
    )
    words = [f"xmlns={quoteattr(uri)}"] if uri != namespace else []
    words += _attributes(element)
    head = _tag(f"{indent}<{name}", words)
    said = remark(element)
    after = f" {said}" if said else ""
    text = escape(element.text or "")
    written = [child for child in element.children if child.origin != "default"]
    if written:
        yield f"{head}>{after}"
        if text:
            yield f"{indent}{INDENT}{text}"
        for child in written:
            yield from _lines(child, indent + INDENT, uri, remark)
        yield f"{indent}</{name}>"
    else:
        yield f"{head}>{text}</{name}>{after}" if text else f"{head}/>{after}"


def _attributes(element: Element) -> Iterator[str]:
    for number, value in enumerate(element.attributes):
        if value.origin == "default":
            continue
        name = value.name
        if name[0] == "{":
            uri, _, local = name[1:].rpartition("}")
            yield f"xmlns:a{number}={quoteattr(uri)}"
            name = f"a{number}:{local}"
        yield f"{name}={quoteattr(PLACEHOLDER if value.text is None else value.text)}"


def _tag(head: str, words: Sequence[str]) -> str:
    """A start tag without its end, on several lines where one would be too long."""
    line = ""
    lines = []
    indent = " " * len(head)
    for word in words:
        if line and len(indent) + len(line) + len(word) + 3 > WIDTH:
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    return f"\n{indent}".join([f"{head}{lines[0]}", *lines[1:]])
