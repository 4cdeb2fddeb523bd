"""Typed reading of JSON: every value is what it should be, or the error names its place.

LUKS2 writes 64-bit numbers as decimal strings, bytes as base64, and the numbers of other
objects as strings.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from kiwilite.errors import KiwiliteError

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class BadMetadata(KiwiliteError):
    """The JSON of a LUKS2 header is not valid; `field` is the place, as in "segments.0.size"."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"LUKS2 JSON, {field}: {message}")
        self.field = field
        self.problem = message


@dataclass(frozen=True, slots=True)
class Node:
    """A JSON value and its place."""

    value: Json
    place: str = ""

    def error(self, message: str) -> BadMetadata:
        """An error at this place."""
        return BadMetadata(self.place or "top level", message)

    def object(self) -> Mapping[str, Json]:
        """The value as an object; raises BadMetadata, as all the following do."""
        if not isinstance(self.value, dict):
            raise self.error("is no object")
        return self.value

    def __getitem__(self, key: str) -> Node:
        members = self.object()
        place = f"{self.place}.{key}" if self.place else key
        if key not in members:
            raise BadMetadata(place, "is missing")
        return Node(members[key], place)

    def get(self, key: str) -> Node | None:
        """The member, or None where there is none."""
        return self[key] if key in self.object() else None

    def numbered(self) -> tuple[tuple[int, Node], ...]:
        """The members of an object whose keys are numbers: "0", "1", ..."""
        return tuple((self[key].index(key), self[key]) for key in self.object())

    def index(self, text: str) -> int:
        """`text` as the number of an object."""
        if not _is_decimal(text) or int(text) > 0xFFFF:
            raise self.error(f"{text[:40]!r} is no number of an object")
        return int(text)

    def string(self) -> str:
        """The value as text."""
        if not isinstance(self.value, str):
            raise self.error("is no string")
        return self.value

    def integer(self, least: int = 0) -> int:
        """The value as a number below 2^31."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error("is no whole number")
        if not least <= self.value < 1 << 31:
            raise self.error(f"is not from {least} to {(1 << 31) - 1}")
        return self.value

    def decimal(self) -> int:
        """The value, a string, as a number below 2^64."""
        text = self.string()
        if not _is_decimal(text) or int(text) >= 1 << 64:
            raise self.error("is no string with a number of 64 bits")
        return int(text)

    def bytes(self) -> bytes:
        """The value, a string, decoded from base64."""
        try:
            return base64.b64decode(self.string(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise self.error("is not base64") from error

    def items(self) -> tuple[Node, ...]:
        """The elements of an array."""
        if not isinstance(self.value, list):
            raise self.error("is no array")
        return tuple(Node(item, f"{self.place}[{at}]") for at, item in enumerate(self.value))

    def strings(self) -> tuple[str, ...]:
        """The value as an array of strings."""
        return tuple(item.string() for item in self.items())

    def indexes(self) -> tuple[int, ...]:
        """The value as an array of numbers of objects."""
        return tuple(item.index(item.string()) for item in self.items())


def parse(text: bytes) -> Node:
    """The root of a JSON text in UTF-8; raises BadMetadata."""
    try:
        return Node(json.loads(text.decode("utf-8"), parse_constant=_no_constant))
    except (ValueError, RecursionError) as error:
        raise BadMetadata("text", f"is not JSON: {error}") from error


def render(value: Json) -> bytes:
    """JSON without a space, members in their order."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def to_base64(data: bytes) -> str:
    """As `Node.bytes` reads it."""
    return base64.b64encode(data).decode("ascii")


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
