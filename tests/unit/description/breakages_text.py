"""Ways to break a description so that it is no XML any more."""

from __future__ import annotations

import random
import re

from broken import Breakage, Broken, broken_at, known, line_column, offset_of, pick
from specimens import Part, render


def unclosed_tag(root: Part, rng: random.Random) -> Broken | None:
    """An end tag is missing, which shows at that of the element around it."""
    around = {id(child): part for part in root.walk() for child in part.children}
    found = [part for part in root.walk() if part.children and part is not root]
    if not found:
        return None
    part = rng.choice(found)
    text = render(root, rng.randrange(1000))
    start, end = text.ends[id(part)]
    cut = text.text[:start] + text.text[end:]
    shows = text.ends[id(around[id(part)])][0] - (end - start)
    return Broken(cut, line_column(cut, shows), ("KL0006",))


def wrong_end_tag(root: Part, rng: random.Random) -> Broken | None:
    text = render(root, rng.randrange(1000)).text
    end = rng.choice(list(re.finditer(r"</([\w:-]+)>", text)))
    cut = text[: end.start()] + f"</{end[1]}s>" + text[end.end() :]
    return Broken(cut, line_column(cut, end.start()), ("KL0006",))


def bad_entity(root: Part, rng: random.Random) -> Broken | None:
    text = render(root, rng.randrange(1000)).text
    values = [m for m in re.finditer(r'="[^"]+', text) if m.start() > 40]
    value = rng.choice(values)
    wrong = rng.choice(("&nbsp;", "&unknown;", "&auml;"))
    cut = text[: value.end()] + wrong + text[value.end() :]
    return Broken(cut, line_column(cut, value.end()), ("KL0007",))


def plain_ampersand(root: Part, rng: random.Random) -> Broken | None:
    text = render(root, rng.randrange(1000)).text
    value = rng.choice([m for m in re.finditer(r'="[^"]+', text) if m.start() > 40])
    cut = text[: value.end()] + "& b" + text[value.end() :]
    line, column = line_column(cut, value.end())
    return Broken(cut, (line, column), ("KL0007",))


def duplicate_attribute(root: Part, rng: random.Random) -> Broken | None:
    found = pick(rng, [(p, a) for p in known(root) for a in p.attributes])
    if found is None:
        return None
    part, name = found
    text = render(root, rng.randrange(1000))
    start = offset_of(text, text.place(part, name))
    end = text.text.index('"', text.text.index('"', start) + 1) + 1
    again = f'\n  {name}="x"'
    cut = text.text[:end] + again + text.text[end:]
    return Broken(cut, line_column(cut, end + 3), ("KL0008",))


def missing_quote(root: Part, rng: random.Random) -> Broken | None:
    text = render(root, rng.randrange(1000)).text
    value = rng.choice([m for m in re.finditer(r'="([^"]*)"', text) if m.start() > 40])
    cut = text[: value.start() + 1] + "5" + text[value.end() :]
    return Broken(cut, line_column(cut, value.start() + 1), ("KL0007",))


def unclosed_quote(root: Part, rng: random.Random) -> Broken | None:
    """The value of an attribute runs on to the next quote there is."""
    found = pick(rng, [(p, a) for p in known(root) for a in p.attributes])
    if found is None:
        return None
    text = render(root, rng.randrange(1000))
    start = offset_of(text, text.place(*found))
    end = text.text.index('"', text.text.index('"', start) + 1)
    cut = text.text[:end] + text.text[end + 1 :]
    return Broken(cut, line_column(cut, start), ("KL0007",))


def missing_bracket(root: Part, rng: random.Random) -> Broken | None:
    """A tag without `>`, with another one in the next line."""
    text = render(root, rng.randrange(1000)).text
    found = [m for m in re.finditer(r"/?>(?=\n *<)", text) if m.start() > 40]
    if not found:
        return None
    gone = rng.choice(found)
    cut = text[: gone.start()] + text[gone.end() :]
    return Broken(cut, line_column(cut, gone.start()), ("KL0007",))


def two_roots(root: Part, rng: random.Random) -> Broken | None:
    text = render(root, rng.randrange(1000)).text
    return Broken(text + "<image/>\n", line_column(text, len(text)), ("KL0007",))


def text_after_the_end(root: Part, rng: random.Random) -> Broken | None:
    text = render(root, rng.randrange(1000)).text
    return Broken(text + "done\n", line_column(text, len(text)), ("KL0007",))


def unbound_prefix(root: Part, rng: random.Random) -> Broken | None:
    part = rng.choice(known(root))
    part.attributes["k:thing"] = "x"
    return broken_at(root, rng, part, "k:thing", "KL0007")


TEXT_BREAKAGES: tuple[Breakage, ...] = (
    unclosed_tag,
    wrong_end_tag,
    bad_entity,
    plain_ampersand,
    duplicate_attribute,
    missing_quote,
    unclosed_quote,
    missing_bracket,
    two_roots,
    text_after_the_end,
    unbound_prefix,
)
