"""The words that Vim completes in a description, for its own XML completion."""

from __future__ import annotations

import json

from kiwilite.description.vocabulary import AttributeForm, ElementForm, ValueType, vocabulary

PATH = "editors/vim/autoload/xml/kiwilite.vim"
ENTITIES = ("lt", "gt", "amp", "apos", "quot")

HEAD = """\
" The vocabulary of appliance descriptions, for xmlcomplete. Made by `make generate`.
let g:xmldata_kiwilite = {}
"""


def vim_words() -> dict[str, str]:
    """The data file by its path; a key's value is what xmlcomplete asks for there."""
    words = vocabulary()
    forms: dict[str, list[ElementForm]] = {}
    for form in words.elements.values():
        forms.setdefault(form.name, []).append(form)
    rows: list[tuple[str, object]] = [
        ("vimxmlentities", list(ENTITIES)),
        ("vimxmlroot", [words.elements[words.root].name]),
    ]
    rows += [(name, _element(same)) for name, same in sorted(forms.items())]
    rows.append(("vimxmltaginfo", {n: ["", same[0].doc] for n, same in sorted(forms.items())}))
    rows.append(("vimxmlattrinfo", {n: ["", doc] for n, doc in sorted(_documented().items())}))
    lines = [f"let g:xmldata_kiwilite[{_vim(key)}] = {_vim(value)}" for key, value in rows]
    return {PATH: HEAD + "\n".join(lines) + "\n"}


def _element(same: list[ElementForm]) -> list[object]:
    """Children, and the values of each attribute, of all elements with one name."""
    children = sorted({child for form in same for child in form.children})
    attributes: dict[str, list[str]] = {}
    for form in same:
        for attribute in form.attributes.values():
            known = attributes.setdefault(attribute.name, [])
            known += [word for word in _values(attribute.value) if word not in known]
    return [children, dict(sorted(attributes.items()))]


def _values(value: ValueType) -> list[str]:
    if any(datatype.name == "boolean" for datatype in value.datatypes):
        return [*value.words(), "true", "false"]
    return list(value.words())


def _documented() -> dict[str, str]:
    """Comments of attributes that mean the same wherever they stand: xmlcomplete has one each."""
    found: dict[str, set[str]] = {}
    forms = vocabulary().elements.values()
    every: list[AttributeForm] = [a for form in forms for a in form.attributes.values()]
    for attribute in every:
        found.setdefault(attribute.name, set()).add(attribute.doc)
    return {name: docs.pop() for name, docs in found.items() if len(docs) == 1}


def _vim(value: object) -> str:
    """A Vim literal: its strings, lists and dictionaries are written as JSON has them."""
    return json.dumps(value, ensure_ascii=False)
