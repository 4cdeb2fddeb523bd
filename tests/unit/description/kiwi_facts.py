"""Facts of KIWI's schema, read from the two tables beside this file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kiwilite.description.vocabulary import ElementForm, ValueType

HERE = Path(__file__).parent
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"


@dataclass(slots=True)
class Facts:
    """What is known of one element, each as the table has it."""

    attributes: dict[str, str] = field(default_factory=dict)
    alternatives: set[str] = field(default_factory=set)
    children: dict[str, str] = field(default_factory=dict)
    text: str = ""


def kiwi_elements() -> dict[str, Facts]:
    """All elements of KIWI."""
    elements: dict[str, Facts] = {}
    facts = Facts()
    for line in _lines("kiwi_vocabulary.txt"):
        mark, _, rest = line.strip().partition(" ")
        if not line.startswith(" "):
            facts = elements.setdefault(line, Facts())
        elif mark.startswith("@"):
            facts.attributes[mark[1:]] = rest
        elif mark.startswith("<"):
            facts.children[mark[1:-1]] = rest
        elif mark == "^":
            facts.alternatives.add(rest)
        else:
            facts.text = rest
    return elements


def kiwi_rules() -> list[str]:
    """KIWI's rules beyond its grammar."""
    return _lines("kiwi_rules.txt")


def _lines(name: str) -> list[str]:
    lines = (HERE / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def facts_of(form: ElementForm) -> Facts:
    """What our grammar says of an element, without what is kiwilite's own."""
    alternatives = {
        f"{' '.join(group.names)} {'1' if group.required else '?'}" for group in form.alternatives
    }
    return Facts(
        {
            name: f"{'1' if attribute.required else '?'} {_type(attribute.value)}"
            for name, attribute in form.attributes.items()
            if not attribute.own
        },
        alternatives,
        {name: _count(child.least, child.most) for name, child in form.children.items()},
        _type(form.text) if form.text else "",
    )


def _count(least: int, most: int | None) -> str:
    return {(1, 1): "1", (0, 1): "?", (0, None): "*", (1, None): "+"}[least, most]


def _type(value: ValueType) -> str:
    if value.any_text:
        return "text"
    forms = [f"one of {' '.join(value.literals)}"] if value.literals else []
    for datatype in value.datatypes:
        pattern = f" {datatype.pattern}" if datatype.pattern is not None else ""
        least = f" >= {datatype.least}" if datatype.least is not None else ""
        forms.append(f"{datatype.name}{pattern}{least}")
    return " or ".join(forms)
