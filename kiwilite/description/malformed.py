"""Why a file is not well-formed XML: one diagnostic, where the mistake was made.

Expat stops where it can go on no longer, which may be a line or more behind the mistake: a
value without its closing quote ends at the next quote there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final
from xml.parsers import expat

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.source import Source, failure
from kiwilite.description.text.tokens import attributes

_Explanation = tuple[int, str, str, str]
"""Offset, code, message, hint."""

_NAME: Final = re.compile(rb"[^\s<>/=\"']+")
_TAG: Final = re.compile(rb"</?[^\s<>/=\"']*")
_QUOTED: Final = re.compile(rb"\"[^\"]*\"|'[^']*'")
_ENTITY: Final = re.compile(rb"&([^#;\s<&\"'][^;\s<&\"']*);")
_PREDEFINED: Final = (b"amp", b"lt", b"gt", b"quot", b"apos")
_PLAIN_AMPERSAND: Final = re.compile(rb"&[^;\s<&\"']*\Z")
_WITHOUT_VALUE: Final = re.compile(rb"\s([^\s<>/=\"'&]+)\s*\Z")
_UNQUOTED: Final = re.compile(rb"\s([^\s<>/=\"'&]+)\s*=\s*\Z")
_VALUE: Final = re.compile(rb"""\s*=\s*(["'])(.*?)(\1|\Z)""", re.DOTALL)

_RUNS_ON: Final = re.compile(rb"\s[^\s<>/=\"'&]*\s*=\s*\Z")
"""Ends a value that runs on to the opening quote of the next one."""

_ESCAPE: Final = 'write `&amp;` for "&" and `&lt;` for "<"'
_LONGEST_TAG: Final = 65536
"""Bytes that are looked at around the place where expat stopped."""


def explain(code: int, at: int, source: Source, opened: Sequence[int]) -> DescriptionInvalid:
    """The diagnostic for expat's error `code` at byte `at`; `opened` are tags not closed yet."""
    offset, kl, message, hint = _explanation(code, max(0, at), source, opened)
    return failure(source.span(offset), kl, message, hint)


def _explanation(code: int, at: int, source: Source, opened: Sequence[int]) -> _Explanation:
    text = source.text
    name = expat.errors.messages[code]
    if name in (expat.errors.XML_ERROR_NO_ELEMENTS, expat.errors.XML_ERROR_UNCLOSED_TOKEN):
        return _unfinished(at, source, opened)
    if name == expat.errors.XML_ERROR_TAG_MISMATCH:
        return _mismatch(at, source, opened)
    if name in _EXPLAIN:
        return _EXPLAIN[name](text, at)
    message = f"this is not well-formed XML: {name}"
    return at, "KL0007", message, "compare it with what stands around it"


def _mismatch(at: int, source: Source, opened: Sequence[int]) -> _Explanation:
    text = source.text
    if text[at - 2 : at] == b"</":
        at -= 2
    line = source.span(opened[-1]).line
    name = _written_name(text, opened[-1] + 1)
    message = f"`<{name}>` opened at line {line} is closed by `</{_written_name(text, at + 2)}>`"
    return at, "KL0006", message, f"close it with `</{name}>`"


def _unfinished(at: int, source: Source, opened: Sequence[int]) -> _Explanation:
    text = source.text
    if at < len(text):
        if quote := _unclosed_quote(text, at, min(len(text), at + _LONGEST_TAG)):
            return quote
        what = "a tag, comment or section begins here and never ends"
        return at, "KL0007", what, "end it with `>`, `-->` or `]]>`"
    if not opened:
        return at, "KL0007", "the file has no element", "it should have an `<image>`"
    name = _written_name(text, opened[-1] + 1)
    line = source.span(opened[-1]).line
    message = f"`<{name}>` opened at line {line} is never closed"
    return at, "KL0006", message, f"close it with `</{name}>`"


def _twice(text: bytes, at: int) -> _Explanation:
    message = f"the attribute `{_written_name(text, at)}` stands twice in this tag"
    return at, "KL0008", message, "remove one of the two"


def _undefined_entity(text: bytes, at: int) -> _Explanation:
    """Where it stands in an attribute's value expat gives the place of the tag."""
    found = next((m for m in _ENTITY.finditer(text, at) if m[1] not in _PREDEFINED), None)
    word = found[1].decode("utf-8", "replace") if found else ""
    message = f"the entity `&{word};` is not defined"
    hint = "write the character itself, or `&amp;` for a plain ampersand"
    return found.start() if found else at, "KL0007", message, hint


def _unbound_prefix(text: bytes, at: int) -> _Explanation:
    names = [(_written_name(text, at + 1), at)]
    names += [(a.name, a.start) for a in attributes(text, at)]
    end = names[-1][1] + len(names[-1][0]) + 1
    prefix, offset = names[0][0].partition(":")[0], at
    for name, place in names:
        start, colon, _ = name.partition(":")
        bound = start in ("xml", "xmlns") or f"xmlns:{start}=".encode() in text[:end]
        if colon and not bound:
            prefix, offset = start, place
            break
    message = f"no `xmlns:{prefix}` declares the prefix `{prefix}`"
    hint = f'remove it, or declare it with xmlns:{prefix}="…"'
    if prefix == "xsi":
        hint = 'declare it with xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    return offset, "KL0007", message, hint


def _forbidden_reference(_: bytes, at: int) -> _Explanation:
    hint = "remove it; of control characters XML has tab, line feed and carriage return"
    return at, "KL0004", "a reference to a character that XML forbids", hint


def _after_the_end(_: bytes, at: int) -> _Explanation:
    message = "something follows the end of the document's element"
    return at, "KL0007", message, "a file has exactly one outermost element"


def _outside(_: bytes, at: int) -> _Explanation:
    hint = "remove it, or make a comment of it: `<!-- … -->`"
    return at, "KL0007", "text stands outside of any element", hint


def _late_declaration(_: bytes, at: int) -> _Explanation:
    message = "the XML declaration is not at the very start of the file"
    return at, "KL0007", message, "remove what stands before `<?xml`"


def _unclosed_section(text: bytes, at: int) -> _Explanation:
    begin = max(0, text.rfind(b"<![CDATA[", 0, at))
    return begin, "KL0007", "a CDATA section begins here and never ends", "end it with `]]>`"


def _invalid_token(text: bytes, at: int) -> _Explanation:
    """What stands at `at` that XML has no token for."""
    character = text[at : at + 4].decode("utf-8", "ignore")[:1]
    control = "" < character < " " and character not in "\t\n\r"
    if control or character in ("\ufffe", "\uffff"):
        what = f"character U+{ord(character):04X}, which XML forbids"
        return at, "KL0004", what, "remove it"
    before = text[max(0, at - _LONGEST_TAG) : at]
    if before.endswith(b"--") and before.rfind(b"<!--") > before.rfind(b"-->"):
        message = "a comment must not contain `--`"
        return at - 2, "KL0007", message, "write a single hyphen, or `- -`"
    if plain := _PLAIN_AMPERSAND.search(before):
        return at - len(plain[0]), "KL0007", "a plain `&` begins an entity in XML", _ESCAPE
    if before.endswith(b"]]"):
        return at - 2, "KL0007", "`]]>` must not stand in text", "write `]]&gt;`"
    tag = before[max(0, before.rfind(b"<")) :]
    if tag in (b"<", b"<!"):
        return _tag_without_name(text, at, tag)
    quote = _unclosed_quote(text, at - len(tag), at)
    return quote or _in_tag(text, at, tag)


def _unclosed_quote(text: bytes, tag: int, at: int) -> _Explanation | None:
    """A value in the tag that runs on to the quote of the next one, or has no end at all."""
    for attribute in attributes(text[:at] + b"\"'", tag):
        value = _VALUE.match(text, attribute.start + len(attribute.name.encode()), at)
        if value and (_RUNS_ON.search(value[2]) if value[3] else b"\n" in value[2]):
            message = f"the value of `{attribute.name}` has no closing quote"
            return (
                attribute.start,
                "KL0007",
                message,
                f"end it with {value[1].decode()} on its line",
            )
    return None


def _tag_without_name(text: bytes, at: int, tag: bytes) -> _Explanation:
    if tag == b"<!":
        message = "a declaration cannot stand here"
        return at - 2, "KL0007", message, "remove it; a comment is `<!-- … -->`"
    if text[at : at + 1] == b"/":
        message = "this end tag closes nothing; all elements are closed already"
        return at - 1, "KL0006", message, "remove it, or the end tag that came too early"
    return at - 1, "KL0007", "a plain `<` begins a tag in XML", _ESCAPE


def _in_tag(text: bytes, at: int, tag: bytes) -> _Explanation:
    here = text[at : at + 1]
    where, hint = at, 'attributes are written name="value"'
    if unquoted := _UNQUOTED.search(tag):
        message = "an attribute's value needs quotes"
        hint = f'write {unquoted[1].decode("utf-8", "replace")}="value"'
    elif here == b"<" and not _outside_quotes(tag):
        message, hint = "a `<` in the value of an attribute", _ESCAPE
    elif here == b"<":
        where = at - len(tag) + len(tag.rstrip())
        message = f"the tag `{_written_name(tag, 0, _TAG)}` has no `>` at its end"
        hint = "close it before the next tag begins"
    elif tag.endswith((b'"', b"'")) and here not in (b'"', b"'"):
        message = "white space is missing between two attributes"
        hint = "put a space before it, or remove the quote"
    elif tag.endswith(b"/"):
        where, message, hint = at - 1, "a `/` in a tag stands before its `>`", "write `/>`"
    elif (alone := _WITHOUT_VALUE.search(tag)) and here not in (b'"', b"'"):
        name = alone[1].decode("utf-8", "replace")
        where = at - len(tag) + alone.start(1)
        message, hint = f"the attribute `{name}` has no value", f'write {name}="value"'
    else:
        message = f"`{_shown(text, at)}` is not allowed here"
    return where, "KL0007", message, hint


def _outside_quotes(tag: bytes) -> bool:
    rest = _QUOTED.sub(b"", tag)
    return b'"' not in rest and b"'" not in rest


def _shown(text: bytes, at: int) -> str:
    character = text[at : at + 4].decode("utf-8", "ignore")[:1]
    return character if character.isprintable() else "white space"


def _written_name(text: bytes, offset: int, pattern: re.Pattern[bytes] = _NAME) -> str:
    found = pattern.match(text, offset)
    return found[0].decode("utf-8", "replace") if found else ""


_EXPLAIN: Final[dict[str, Callable[[bytes, int], _Explanation]]] = {
    expat.errors.XML_ERROR_DUPLICATE_ATTRIBUTE: _twice,
    expat.errors.XML_ERROR_UNDEFINED_ENTITY: _undefined_entity,
    expat.errors.XML_ERROR_BAD_CHAR_REF: _forbidden_reference,
    expat.errors.XML_ERROR_UNBOUND_PREFIX: _unbound_prefix,
    expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT: _after_the_end,
    expat.errors.XML_ERROR_SYNTAX: _outside,
    expat.errors.XML_ERROR_MISPLACED_XML_PI: _late_declaration,
    expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION: _unclosed_section,
    expat.errors.XML_ERROR_INVALID_TOKEN: _invalid_token,
}
