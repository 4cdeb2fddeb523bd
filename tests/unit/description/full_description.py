"""A description with every element and attribute of the vocabulary, each on its own line.

Of attributes that exclude each other it has the first.
"""

from __future__ import annotations

from kiwilite.description.vocabulary import ElementForm, ValueType, Vocabulary, vocabulary

_CANDIDATES = (
    "1",
    "2048",
    "2",
    "true",
    "name",
    "x86_64",
    "10M",
    "en_US",
    "80/tcp",
    "none",
    "file:///key",
    "00:11:22:aa:bb:cc",
    "20270101T000000Z",
    "12345678-1234-1234-1234-123456789abc",
    "no-copy-on-write",
    "1.2.3.4",
    "sha256:" + "0a" * 32,
)


def legal_value(value: ValueType) -> str:
    """Some value that `value` allows."""
    if value.any_text:
        return "text"
    if value.literals:
        return value.literals[0]
    return next(candidate for candidate in _CANDIDATES if value.allows(candidate))


def full_description() -> str:
    """Fits the grammar; it breaks the rules beyond it, as it is all image types at once."""
    words = vocabulary()
    lines: list[str] = []
    _write(words.elements[words.root], words, lines)
    return "\n".join(lines) + "\n"


def _write(form: ElementForm, words: Vocabulary, lines: list[str]) -> None:
    lines.append(f"<{form.name}")
    excluded = {name for group in form.alternatives for name in group.names[1:]}
    for name, attribute in form.attributes.items():
        if name in excluded:
            continue
        lines.append(f'{name}="{legal_value(attribute.value)}"')
    if form.text is None and not form.children and not form.foreign:
        lines.append("/>")
        return
    lines.append(">")
    if form.text is not None:
        lines[-1] += legal_value(form.text)
    for child in form.children.values():
        if child.definition != "include":
            _write(words.elements[child.definition], words, lines)
    if form.foreign:
        lines.append('<x:data xmlns:x="urn:example" a="b">text<x:y/></x:data>')
    lines.append(f"</{form.name}>")
