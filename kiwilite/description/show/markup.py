"""Elements in the forms that KIWI prints a description in: YAML's and TOML's mapping.

An attribute is `@NAME`, text beside attributes is `#text`; an element that stands several
times is a list, one with text alone is that text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kiwilite.description.secret import PLACEHOLDER
from kiwilite.description.show.elements import Element

Content = str | None | dict[str, Any]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def mapping(element: Element) -> dict[str, Content]:
    """`element` by its name."""
    return {element.name: _content(element)}


def _content(element: Element) -> Content:
    body: dict[str, Any] = {
        f"@{value.name}": PLACEHOLDER if value.text is None else value.text
        for value in element.attributes
    }
    for child in element.children:
        content = _content(child)
        if child.name not in body:
            body[child.name] = content
        elif isinstance(body[child.name], list):
            body[child.name].append(content)
        else:
            body[child.name] = [body[child.name], content]
    if not body:
        return element.text
    if element.text is not None:
        body["#text"] = element.text
    return body


def toml(content: Mapping[str, Any]) -> str:
    """A mapping of `mapping`'s kind as TOML."""
    return "\n".join(_table(content, ())) + "\n"


def _table(content: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Plain values first: what follows the head of a table belongs to that table."""
    for name, value in content.items():
        if not _is_table(value):
            yield f"{_key(name)} = {_inline(value)}"
    for name, value in content.items():
        inner = (*path, name)
        head = ".".join(map(_key, inner))
        if isinstance(value, dict):
            yield from ("", f"[{head}]", *_table(value, inner))
        elif _is_table(value):
            for item in value:
                yield from ("", f"[[{head}]]", *_table(item, inner))


def _is_table(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, dict) for item in value)
    return isinstance(value, dict)


def _inline(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(n)} = {_inline(v)}" for n, v in value.items()) + " }"
    return json.dumps(value or "", ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)
