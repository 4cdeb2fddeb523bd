"""Why a tree does not fit the grammar: every mistake, at its place, with the legal names.

Runs only after libxml2 has rejected the tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from kiwilite.description import schema, suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Span
from kiwilite.description.reader import XML_SPACE
from kiwilite.description.tree import Node
from kiwilite.description.upgrade import dropped_since
from kiwilite.description.vocabulary import ElementForm, ValueType, Vocabulary, vocabulary

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
    found = [
        Diagnostic(
            root.span,
            "error",
            "KL0101",
            f"a description is an `<{form.name}>`, not a `<{_shown(root.name)}>`",
        )
    ]
    if suggest.nearest(root.name, [form.name]):
        found.extend(islice(_element(root, form, words), MOST))
    return found


def in_the_words_of_others(root: Node) -> list[Diagnostic]:
    """What xmlschema, else libxml2, says of a tree whose fault `explain` does not see."""
    try:
        twins = schema.to_lxml(root)
    except ValueError as error:
        return [Diagnostic(root.span, "error", "KL0109", f"a name libxml2 refuses: {error}")]
    complaints = schema.xsd_complaints(twins) or schema.relax_ng_complaints(twins)
    return [Diagnostic((node or root).span, "error", "KL0109", words) for node, words in complaints]


def _element(node: Node, form: ElementForm, words: Vocabulary) -> Iterator[Diagnostic]:
    yield from _attributes(node, form)
    yield from _text(node, form)
    yield from _children(node, form, words)


def _attributes(node: Node, form: ElementForm) -> Iterator[Diagnostic]:
    meant: set[str | None] = set()
    for name, value in node.attributes.items():
        if name.startswith("{") and name[1:].partition("}")[0] in form.namespaces:
            continue
        known = form.attributes.get(name)
        if known is None:
            free = [a for a in form.attributes if a not in node.attributes]
            meant.add(suggest.nearest(name, free))
            yield _unknown_attribute(node, name, free)
        elif not known.value.allows(value):
            subject = f"`{node.renamed.get(name, name)}`"
            yield _bad_value(node.attribute_span(name), subject, value, known.value)
    for name, attribute in form.attributes.items():
        if attribute.required and name not in node.attributes and name not in meant:
            yield Diagnostic(
                node.span,
                "error",
                "KL0103",
                f"`<{node.name}>` needs the attribute `{name}`",
                attribute.doc or None,
            )


def _unknown_attribute(node: Node, name: str, free: list[str]) -> Diagnostic:
    shown = _shown(name)
    dropped = dropped_since(node.name, name)
    hint = dropped or suggest.hint(name, free) or suggest.legal("its attributes are", free)
    message = f"`<{node.name}>` has no attribute `{shown}`"
    return Diagnostic(node.attribute_span(name), "error", "KL0102", message, hint)


def _shown(name: str) -> str:
    """A name without its namespace."""
    return _shorter(name.rpartition("}")[2])


def _shorter(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _bad_value(span: Span, subject: str, value: str, legal: ValueType) -> Diagnostic:
    shown = f"`{_shorter(value.strip(XML_SPACE))}`"
    if legal.literals and not legal.datatypes:
        return Diagnostic(
            span,
            "error",
            "KL0105",
            f"{subject} cannot be {shown}; it is one of {', '.join(legal.literals)}",
            suggest.hint(value.strip(XML_SPACE), legal.literals),
        )
    return Diagnostic(
        span, "error", "KL0106", f"{subject} must be {describe_value(legal)}, not {shown}"
    )


def describe_value(legal: ValueType) -> str:
    """What the values of `legal` look like, in words."""
    if legal.doc:
        return legal.doc
    forms = [f"{', '.join(legal.literals)}"] if legal.literals else []
    for datatype in legal.datatypes:
        if datatype.pattern is not None:
            forms.append(f"of the form {datatype.pattern}")
        elif datatype.least is not None:
            forms.append(f"a whole number, {datatype.least} or more")
        else:
            forms.append(_MUST_BE.get(datatype.name, datatype.name))
    return ", or ".join(forms)


def _text(node: Node, form: ElementForm) -> Iterator[Diagnostic]:
    if form.text is not None:
        if not form.text.allows(node.text):
            yield _bad_value(node.span, f"`<{node.name}>`", node.text, form.text)
    elif node.text_offset >= 0:
        yield Diagnostic(
            node.source.span(node.text_offset),
            "error",
            "KL0108",
            f"`<{node.name}>` holds no text",
            None if form.children else f"write it as an attribute: `<{node.name} …/>`",
        )


def _children(node: Node, form: ElementForm, words: Vocabulary) -> Iterator[Diagnostic]:
    seen: dict[str, list[Node]] = {}
    meant: set[str | None] = set()
    for child in node.children:
        if form.foreign and child.name.startswith("{"):
            seen.setdefault("", []).append(child)
            continue
        known = words.child(form, child.name)
        if known is not None:
            seen.setdefault(child.name, []).append(child)
        else:
            name = suggest.nearest(child.name, form.children)
            meant.add(name)
            yield _unknown_element(child, node, form, words)
            known = words.child(form, name) if name else None
        if known is not None:
            yield from _element(child, known, words)
    if form.foreign and "" not in seen:
        message = f"`<{node.name}>` needs an element of another namespace"
        yield Diagnostic(node.span, "error", "KL0104", message)
    for name, limits in form.children.items():
        present = seen.get(name, [])
        if len(present) < limits.least and name not in meant:
            doc = words.elements[limits.definition].doc
            message = f"`<{node.name}>` needs a `<{name}>`"
            yield Diagnostic(node.span, "error", "KL0104", message, doc or None)
        if limits.most is not None:
            for extra in present[limits.most :]:
                yield _too_many(extra, present[0], node)


def _unknown_element(child: Node, parent: Node, form: ElementForm, words: Vocabulary) -> Diagnostic:
    homes = words.parents(child.name)
    hint = suggest.hint(child.name, form.children, "`<{}>`")
    if homes:
        hint = "it belongs into " + " or ".join(f"`<{home}>`" for home in homes)
    shown = _shown(child.name)
    if child.name.startswith("{"):
        hint = "elements of other namespaces belong into `<extension>`"
    hint = hint or suggest.legal("its children are", list(form.children))
    message = f"`<{parent.name}>` has no child `<{shown}>`"
    return Diagnostic(child.span, "error", "KL0101", message, hint)


def _too_many(extra: Node, first: Node, parent: Node) -> Diagnostic:
    where = first.span
    place = f"line {where.line}" if first.file == extra.file else str(where)
    message = f"`<{parent.name}>` holds just one `<{extra.name}>`; the first is at {place}"
    return Diagnostic(extra.span, "error", "KL0107", message)
