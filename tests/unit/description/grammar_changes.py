"""Every change that the grammar allows to what kiwilite builds, one at a time.

The grammar is walked as the code has it, so what is added to it is changed, too.
"""

from __future__ import annotations

from collections.abc import Iterator

from built_description import AT_BUILD, CHANGED, EVERYTHING, SIMPLE, TEXTS
from full_description import legal_value
from lxml import etree

from kiwilite.description.support import SUPPORT
from kiwilite.description.support_table import BUILT, NO_EFFECT
from kiwilite.description.vocabulary import ValueType, vocabulary

WITHOUT_EFFECT = {name for names in NO_EFFECT for name in names.split()}


Form = tuple[str, str | None, ValueType | None]


def forms() -> Iterator[Form]:
    """(element, attribute or None, its values) of the whole grammar, each once."""
    seen = set()
    for form in vocabulary().elements.values():
        rows: list[Form] = [(form.name, None, form.text)]
        rows += [(form.name, a.name, a.value) for a in form.attributes.values()]
        for row in rows:
            if row[:2] not in seen:
                seen.add(row[:2])
                yield row


def name_of(element: str, attribute: str | None) -> str:
    return element if attribute is None else f"{element}@{attribute}"


def values(kind: ValueType) -> tuple[str, ...]:
    """All values of a list, or both of a truth value, or some one."""
    if kind.literals:
        return kind.literals
    if any(d.name == "boolean" for d in kind.datatypes):
        return ("true", "false")
    return (legal_value(kind),)


def effects() -> Iterator[tuple[str, str, str | None, str]]:
    """(base, element, attribute, value) for each built value that should make a difference."""
    for element, attribute, kind in forms():
        name = name_of(element, attribute)
        row = SUPPORT.get(name)
        if name in WITHOUT_EFFECT or (name not in BUILT and row is None):
            continue
        if row is not None and (len(row.fine) < 2 or {"0", "1"} & set(row.fine)):
            continue  # nothing of it is built, or one value is, or a truth value is one way
        if attribute is None:
            if name in TEXTS:
                yield base_of(element, None), element, None, TEXTS[name]
            continue
        assert kind is not None
        chosen = CHANGED.get(name) or (row.fine if row else values(kind))
        for value in chosen:
            yield base_of(element, attribute), element, attribute, value


RESTRICTED = frozenset(
    (
        "type@embed_verity_metadata",
        "type@gpt_hybrid_mbr",
        "type@provisioning",
        "partition@filesystem",
        "verity@data_block_size",
        "verity@hash_block_size",
    )
)
"""Attributes that have all their values only where little else is asked for."""


def base_of(element: str, attribute: str | None) -> str:
    if name_of(element, attribute) in RESTRICTED:
        return SIMPLE
    at_build = element == "keyslot" or attribute in ("luks_fill", "luks_journal")
    return AT_BUILD if at_build else EVERYTHING


def value_of(text: str, element: str, attribute: str | None) -> str:
    path = f"//{element}/text()" if attribute is None else f"//{element}/@{attribute}"
    found = etree.fromstring(text).xpath(path)
    assert isinstance(found, list)
    return str(found[0]) if found else ""
