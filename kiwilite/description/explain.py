"""Why a tree does not fit the grammar: every mistake, at its place, with the legal names.

Runs only after libxml2 has rejected the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from kiwilite.description import hints, schema, suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Span
from kiwilite.description.reader import XML_SPACE
from kiwilite.description.tree import Node
from kiwilite.description.upgrade import CURRENT
from kiwilite.description.vocabulary import (
    Alternatives,
    ElementForm,
    ValueType,
    Vocabulary,
    vocabulary,
)

MOST = 1000
"""So many mistakes are explained; a file with more is no description."""

_MUST_BE = {
    "boolean": "true or false",
    "nonNegativeInteger": "a whole number, 0 or more",
    "integer": "a whole number",
}


SHOWN = 60
"""So many characters of a name or value are repeated in a message."""


def explain(root: Node) -> list[Diagnostic]:
    """All grammar mistakes below `root`; empty for a valid tree."""
    words = vocabulary()
    form = words.elements[words.root]
    if root.name == form.name:
        return list(islice(_element(root, form, words), MOST))
    if root.name.endswith(f"}}{form.name}"):
        message = f"`<{_shown(root)}>` stands in a namespace, where a description has none"
        span, hint = root.attribute_span("xmlns"), "remove its `xmlns=` or its prefix"
        return [Diagnostic(span, "error", "KL0101", message, hint)]
    found = [
        Diagnostic(
            root.span,
            "error",
            "KL0101",
            f"a description is an `<{form.name}>`, not a `<{_shown(root)}>`",
            suggest.hint(root.name, [form.name], "`<{}>`")
            or f'begin it with `<{form.name} schemaversion="{CURRENT}" name="…">`',
        )
    ]
    if suggest.nearest(root.name, [form.name]):
        found.extend(islice(_element(root, form, words), MOST))
    return found


def is_sound(node: Node) -> bool:
    """Whether there is no grammar mistake at and below `node`, an element of the vocabulary."""
    words = vocabulary()
    return next(_element(node, words.elements[node.name], words), None) is None


def in_the_words_of_others(root: Node) -> list[Diagnostic]:
    """What xmlschema, else libxml2, says of a tree whose fault `explain` does not see."""
    try:
        twins = schema.to_lxml(root)
    except ValueError as error:
        return [Diagnostic(root.span, "error", "KL0109", f"a name libxml2 refuses: {error}")]
    complaints = schema.xsd_complaints(twins) or schema.relax_ng_complaints(twins)
    return [Diagnostic((node or root).span, "error", "KL0109", words) for node, words in complaints]


def _element(node: Node, form: ElementForm, words: Vocabulary) -> Iterator[Diagnostic]:
    yield from _attributes(node, form, words)
    yield from _text(node, form)
    yield from _children(node, form, words)


def _attributes(node: Node, form: ElementForm, words: Vocabulary) -> Iterator[Diagnostic]:
    meant: set[str | None] = set()
    for name, value in node.attributes.items():
        if name.startswith("{") and name[1:].partition("}")[0] in form.namespaces:
            continue
        known = form.attributes.get(name)
        if known is None:
            free = [a for a in form.attributes if a not in node.attributes]
            meant.add(suggest.nearest(name, free))
            message = f"`<{node.name}>` has no attribute `{_shorter(node.written(name))}`"
            hint = hints.for_attribute(node, name, form, words)
            yield Diagnostic(node.attribute_span(name), "error", "KL0102", message, hint)
        elif not known.value.allows(value):
            subject = f"`{node.renamed.get(name, name)}`"
            yield _bad_value(node.attribute_span(name), subject, value, known.value, known.doc)
    for name, attribute in form.attributes.items():
        if attribute.required and name not in node.attributes and name not in meant:
            yield Diagnostic(
                node.span,
                "error",
                "KL0103",
                f"`<{node.name}>` needs the attribute `{name}`",
                attribute.doc or None,
            )
    for alternatives in form.alternatives:
        yield from _alternatives(node, alternatives, meant)


def _alternatives(
    node: Node, alternatives: Alternatives, meant: set[str | None]
) -> Iterator[Diagnostic]:
    """Two attributes that exclude each other, or none where one is needed."""
    shown = [f"`{name}`" for name in alternatives.names]
    found = [name for name in node.attributes if name in alternatives.names]
    if len(found) > 1:
        message = f"{' and '.join(shown)} of `<{node.name}>` exclude each other"
        hint = f"remove one of them; `{found[0]}` stands first"
        yield Diagnostic(node.attribute_span(found[1]), "error", "KL0703", message, hint)
    elif not found and alternatives.required and meant.isdisjoint(alternatives.names):
        message = f"`<{node.name}>` needs the attribute {' or '.join(shown)}"
        yield Diagnostic(node.span, "error", "KL0103", message, "one of the two, not both")


def _shown(node: Node) -> str:
    """The name of an element as it is written."""
    return _shorter(node.written_name())


def _shorter(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _bad_value(span: Span, subject: str, value: str, legal: ValueType, doc: str) -> Diagnostic:
    text = value.strip(XML_SPACE)
    shown = f"`{_shorter(text)}`" if text else "empty"
    hint = hints.for_value(value, legal, doc)
    if legal.literals and not legal.datatypes:
        message = f"{subject} cannot be {shown}; it is one of {', '.join(legal.literals)}"
        return Diagnostic(span, "error", "KL0105", message, hint)
    message = f"{subject} must be {describe_value(legal)}, not {shown}"
    return Diagnostic(span, "error", "KL0106", message, hint)


def describe_value(legal: ValueType) -> str:
    """What the values of `legal` look like, in words."""
    if legal.doc:
        return " ".join(legal.doc.split())
    forms = []
    for datatype in legal.datatypes:
        if datatype.least is not None:
            forms.append(f"a whole number, {datatype.least} or more")
        else:
            forms.append(_MUST_BE.get(datatype.name, datatype.name))
    return ", or ".join(forms)


def _text(node: Node, form: ElementForm) -> Iterator[Diagnostic]:
    if form.text is not None:
        if not form.text.allows(node.text):
            yield _bad_value(node.span, f"`<{node.name}>`", node.text, form.text, form.doc)
    elif node.text_offset >= 0:
        yield Diagnostic(
            node.source.span(node.text_offset),
            "error",
            "KL0108",
            f"`<{node.name}>` holds no text",
            hints.for_text(node, form),
        )


def _children(node: Node, form: ElementForm, words: Vocabulary) -> Iterator[Diagnostic]:
    seen: dict[str, list[Node]] = {}
    meant: set[str | None] = set()
    for child in node.children:
        if form.foreign and child.name.startswith("{"):
            seen.setdefault("", []).append(child)
            yield from _foreign(child)
            continue
        known = words.child(form, child.name)
        if known is not None:
            seen.setdefault(child.name, []).append(child)
        else:
            name = _misspelt(child, form, words)
            meant.add(name)
            yield _unknown_element(child, node, form, words, name)
            known = words.child(form, name) if name else words.elements.get(child.name)
        if known is not None:
            yield from _element(child, known, words)
    if form.foreign and not node.children:
        message = f"`<{node.name}>` needs an element of another namespace"
        hint = "write one, with an `xmlns:` for its prefix, or remove the element"
        yield Diagnostic(node.span, "error", "KL0104", message, hint)
    for name, limits in form.children.items():
        present = seen.get(name, [])
        if len(present) < limits.least and name not in meant:
            doc = words.elements[limits.definition].doc
            message = f"`<{node.name}>` needs a `<{name}>`"
            yield Diagnostic(node.span, "error", "KL0104", message, doc or None)
        if limits.most is not None:
            for extra in present[limits.most :]:
                yield _too_many(extra, present[0], node, form)


def _foreign(node: Node) -> Iterator[Diagnostic]:
    """Below an element of another namespace all elements have one."""
    for inner in node.walk():
        if not inner.name.startswith("{"):
            message = f"`<{_shown(inner)}>` has no namespace, and stands in data of another tool"
            hint = f"write it with the prefix of `<{_shown(node)}>`"
            yield Diagnostic(inner.span, "error", "KL0101", message, hint)


def _misspelt(child: Node, form: ElementForm, words: Vocabulary) -> str | None:
    """The child of `form` that is meant, or None where `child` rather stands in a wrong place."""
    near = suggest.nearest(child.name, form.children)
    if near is None or child.name not in words.elements:
        return near
    here = words.elements[form.children[near].definition].children
    there = words.elements[child.name].children
    inner = [grandchild.name for grandchild in child.children]
    fits = any(name in here for name in inner) and not any(name in there for name in inner)
    return near if fits else None


def _unknown_element(
    child: Node, parent: Node, form: ElementForm, words: Vocabulary, meant: str | None
) -> Diagnostic:
    message = f"`<{parent.name}>` has no child `<{_shown(child)}>`"
    hint = f"did you mean `<{meant}>`?" if meant else hints.for_element(child, form, words)
    return Diagnostic(child.span, "error", "KL0101", message, hint)


def _too_many(extra: Node, first: Node, parent: Node, form: ElementForm) -> Diagnostic:
    where = first.span
    place = f"line {where.line}" if first.file == extra.file else str(where)
    message = f"`<{parent.name}>` holds just one `<{extra.name}>`; the first is at {place}"
    return Diagnostic(extra.span, "error", "KL0107", message, hints.for_duplicate(extra, form))
