"""Text back into the bytes of a file: the encoding that it was read in, with its mark."""

from __future__ import annotations

import codecs

from kiwilite.description.source import Source, declared_encoding, encoding_of, failure

_WIDE_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Python's utf-16 and utf-32 write the mark of this machine's byte order, not the file's."""


def encode(text: str, like: bytes) -> bytes:
    """`text` in the encoding of the file whose bytes are `like`, marked as that one is.

    What the encoding lacks becomes a character reference.
    """
    for mark, codec in _WIDE_MARKS:
        if like.startswith(mark):
            return mark + text.encode(codec)
    return text.encode(encoding_of(like), "xmlcharrefreplace")


def encode_usually(text: str, like: bytes) -> bytes:
    """`text` in the encoding that it declares, which is that of `like`, otherwise in UTF-8.

    UTF-8 goes without a mark, unless the declaration speaks of another encoding.
    """
    said = declared_encoding(text.encode())
    if said is None:
        return text.encode()
    if encoding_of(like) == "utf-8-sig" and said.lower() in ("utf-8", "utf8"):
        return text.encode()
    return encode(text, like)


def refuse_lossy(source: Source, raw: bytes) -> None:
    """Raises DescriptionInvalid where `source`, written back, would not be `raw` again."""
    if encode(source.text.decode(), raw) != raw:
        raise failure(
            source.span(0),
            "KL0020",
            f"text in the encoding `{encoding_of(raw)}` cannot be written back byte for byte",
            "save the file as UTF-8",
        )
