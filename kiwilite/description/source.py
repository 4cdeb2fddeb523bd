"""The text of one description file, and where each byte of it stands."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.model import Span

MAX_BYTES = 8 * 1024 * 1024
"""Largest file that is read; a description of 10,000 packages has half a megabyte."""

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BARE = ((b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
_NO_TEXT = re.compile(r"punycode|idna|unicode.escape|utf.?7|undefined|mbcs|oem|charmap", re.I)
"""Codecs of Python that are no encodings of a document, or take quadratic time."""

_WIDE = re.compile(r"(utf|ucs|iso-10646-ucs)[-_]?(16|32|2|4)", re.I)
"""Encodings in which a file cannot begin with five bytes that read `<?xml`."""

_NEWLINE = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Source:
    """One file as UTF-8; offsets count bytes of `text`, not of the file on disk."""

    file: Path
    text: bytes
    line_starts: tuple[int, ...]
    ascii: bool
    """Whether bytes and characters are the same."""

    def span(self, offset: int) -> Span:
        """The place of byte `offset`: line and column from 1, columns counting characters."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self.line_starts, offset)
        start = self.line_starts[line - 1]
        if self.ascii:
            return Span(self.file, line, offset - start + 1)
        before = self.text[start:offset].decode("utf-8", "replace")
        return Span(self.file, line, len(before) + 1)


def make_source(file: Path, text: bytes) -> Source:
    """A `Source` over UTF-8 `text`."""
    starts = (0, *(m.end() for m in _NEWLINE.finditer(text)))
    return Source(file, text, starts, text.isascii())


def failure(span: Span, code: str, message: str, hint: str | None = None) -> DescriptionInvalid:
    """An error that ends the reading of a file."""
    return DescriptionInvalid([Diagnostic(span, "error", code, message, hint)])


def read_source(file: Path) -> Source:
    """Read `file` and bring it to UTF-8; raises as `read_bytes` and `decode` do."""
    return decode(file, read_bytes(file))


def read_bytes(file: Path) -> bytes:
    """What `file` holds; DescriptionInvalid if it cannot be read or exceeds MAX_BYTES."""
    start = Span(file, 1, 1)
    try:
        if not file.is_file() and file.exists():
            raise failure(start, "KL0001", "this is not a regular file")
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise failure(start, "KL0001", f"the file cannot be read: {reason}") from error
    except ValueError as error:
        raise failure(start, "KL0001", f"the file cannot be read: {error}") from error
    if len(raw) > MAX_BYTES:
        limit = MAX_BYTES // (1024 * 1024)
        raise failure(start, "KL0002", f"the file is larger than {limit} MiB")
    return raw


def decode(file: Path, raw: bytes) -> Source:
    """The bytes of `file` brought to UTF-8.

    Raises DescriptionInvalid for an encoding that is unknown or not the file's own, and
    for a NUL character.
    """
    source = make_source(file, _to_utf8(file, raw))
    if (nul := source.text.find(b"\0")) >= 0:
        raise failure(
            source.span(nul),
            "KL0004",
            "a NUL character, which XML forbids",
            "remove it; the file may have been damaged, or be UTF-16 without saying so",
        )
    return source


def encoding_of(raw: bytes) -> str:
    """The encoding that `raw` says it has: by its byte order mark, first bytes, or declaration."""
    return next(_encodings(raw))


def declared_encoding(raw: bytes) -> str | None:
    """The encoding that the XML declaration names, if there is one that does."""
    found = _DECLARED.match(raw[:1024])
    return found[1].decode("ascii") if found else None


def _encodings(raw: bytes) -> Iterator[str]:
    """What the encoding may be, most telling sign first."""
    yield from (name for bom, name in _BOMS if raw.startswith(bom))
    yield from (name for start, name in _BARE if raw.startswith(start))
    if declared := declared_encoding(raw):
        yield declared
    yield "utf-8"


def _to_utf8(file: Path, raw: bytes) -> bytes:
    name = encoding_of(raw)
    start = Span(file, 1, 1)
    if _WIDE.match(name) and raw.startswith(b"<?xml"):
        message = f"the first line declares {name}, but the file is not in that encoding"
        raise failure(start, "KL0003", message, "remove the declaration, or save it as UTF-8")
    if _NO_TEXT.search(name):
        raise failure(start, "KL0003", f"`{name}` is not an encoding for XML", "save it as UTF-8")
    try:
        return raw.decode(name).encode("utf-8")
    except LookupError as error:
        message = f"the encoding `{name}` is unknown"
        raise failure(start, "KL0003", message, "save the file as UTF-8") from error
    except UnicodeDecodeError as error:
        good = raw[: error.start].decode(name, "replace").encode("utf-8", "replace")
        wrong = raw[error.start : error.start + 1].hex().upper()
        raise failure(
            make_source(file, good).span(len(good)),
            "KL0003",
            f"byte 0x{wrong} is not valid {name.upper().removesuffix('-SIG')}",
            "save the file as UTF-8, or declare its encoding in the first line",
        ) from error
    except ValueError as error:  # surrogates, and what codecs raise on their own account
        message = f"the text is not valid {name}: {error}"
        raise failure(start, "KL0003", message, "save the file as UTF-8") from error
