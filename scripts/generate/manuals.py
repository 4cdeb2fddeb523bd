"""Manual pages: of commands from their docopt texts, of descriptions from the grammar.

What no help has room for stands in notes/NAME.roff, as sections of man(7).
"""

from __future__ import annotations

from pathlib import Path

import commands
import roff
from usage import Entry, Usage

from kiwilite.description.explain import describe_value
from kiwilite.description.vocabulary import (
    AttributeForm,
    ElementForm,
    ValueType,
    Vocabulary,
    vocabulary,
)

NOTES = Path(__file__).parent / "notes"
USER_COMMANDS = "User Commands"


def files() -> dict[str, str]:
    """All pages by path."""
    pages = {f"man/kiwilite-{name}.1": _group(name, u) for name, u in commands.groups().items()}
    pages["man/kiwilite.1"] = _kiwilite()
    pages["man/run_x86.1"] = _page("run_x86", commands.runner())
    pages["man/kiwilite-overlay.1"] = roff.page(
        "kiwilite-overlay", 1, USER_COMMANDS, [_notes("kiwilite-overlay")]
    )
    pages["man/kiwilite-description.5"] = _language()
    return pages


def _notes(name: str) -> str:
    path = NOTES / f"{name}.roff"
    return path.read_text().rstrip("\n") if path.exists() else ""


def _group(name: str, usage: Usage) -> str:
    return _page(f"kiwilite-{name}", usage)


def _page(name: str, usage: Usage) -> str:
    blocks = [
        ".SH NAME",
        rf"{roff.escape_inline(name)} \- {roff.sentence(usage.summary)}",
        ".SH SYNOPSIS",
        "\n.br\n".join(roff.pattern(p) for p in usage.patterns),
    ]
    if usage.commands or usage.remarks:
        blocks.append(".SH DESCRIPTION")
        blocks += [_entry(rf"\fB{e.head}\fR", e.text) for e in usage.commands]
        blocks += [f".PP\n{roff.prose(text)}" for text in usage.remarks]
    if usage.options:
        blocks.append(".SH OPTIONS")
        blocks += [_entry(_option(e), e.text) for e in usage.options]
    if notes := _notes(name):
        blocks.append(notes)
    return roff.page(name, 1, USER_COMMANDS, blocks)


def _entry(head: str, text: str) -> str:
    return f".TP\n{head}\n{roff.prose(text)}"


def _option(entry: Entry) -> str:
    separator = "=" if "=" in entry.head else " "
    flags = ", ".join(rf"\fB{roff.escape_inline(flag)}\fR" for flag in entry.flags)
    return flags if entry.argument is None else rf"{flags}{separator}\fI{entry.argument}\fR"


def _kiwilite() -> str:
    usage = commands.whole()
    blocks = [
        ".SH NAME",
        r"kiwilite \- compile appliance descriptions into verified disk images",
        ".SH SYNOPSIS",
        "\n.br\n".join(roff.pattern(p) for p in usage.patterns),
        _notes("kiwilite-description-section"),
        ".SH COMMANDS",
    ]
    for name, group in commands.groups().items():
        see = rf"{roff.prose(group.summary)} See" + "\n" + rf".BR kiwilite\-{name} (1)."
        blocks.append(f".TP\n.B {name}\n{see}")
    blocks.append(_notes("kiwilite"))
    return roff.page("kiwilite", 1, USER_COMMANDS, blocks)


def _language() -> str:
    words = vocabulary()
    blocks = [_notes("kiwilite-description.5"), ".SH ELEMENTS"]
    blocks += [_element(form, words) for form in words.elements.values()]
    blocks.append(_notes("kiwilite-description.5-end"))
    return roff.page("kiwilite-description", 5, "File Formats", blocks)


def _element(form: ElementForm, words: Vocabulary) -> str:
    homes = [home for home in dict.fromkeys(words.parents(form.name)) if home != form.name]
    lines = [f".SS <{form.name}>", roff.prose(_flat(form.doc))]
    if homes:
        lines += [
            ".PP",
            "In " + ", ".join(rf"\fB<{roff.escape_inline(h)}>\fR" for h in homes) + ".",
        ]
    if form.text is not None and not form.text.any_text:
        lines += [".PP", f"Its text is {roff.prose(_value(form.text))}."]
    if form.children:
        lines += [".PP", f"Holds {_children(form)}."]
    lines += [_attribute(a) for a in form.attributes.values()]
    return "\n".join(lines)


def _children(form: ElementForm) -> str:
    said = []
    for name, child in form.children.items():
        least, most = child.least, child.most
        count = "" if (least, most) == (1, 1) else " (optional)" if most == 1 else " (any number)"
        if least == 1 and most is None:
            count = " (one or more)"
        said.append(rf"\fB<{roff.escape_inline(name)}>\fR{count}")
    return ", ".join(said)


def _attribute(form: AttributeForm) -> str:
    need = ", mandatory" if form.required else ""
    value = "" if form.value.any_text else f" The value is {_value(form.value)}."
    images = f" Only with image types {', '.join(form.images)}." if form.images else ""
    head = rf"\fB{roff.escape_inline(form.name)}\fR{need}"
    return _entry(head, f"{_flat(form.doc)}{value}{images}")


def _flat(text: str) -> str:
    return " ".join(text.split())


def _value(value: ValueType) -> str:
    """What values of a type are, in words."""
    if value.doc is None and value.literals and not value.datatypes:
        quoted = [f"`{literal}`" for literal in value.literals]
        return " or ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
    return describe_value(value)
