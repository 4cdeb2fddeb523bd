"""Notes that tell whether they are as they were written.

SHA-256 (hex) of what follows, a line feed, what follows
"""

from __future__ import annotations

import hashlib


def with_sum(body: bytes) -> bytes:
    """The note that has `body`."""
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def without_sum(note: bytes) -> bytes | None:
    """The body of a note; None where it is not as it was written."""
    head, _, body = note.partition(b"\n")
    return body if head == hashlib.sha256(body).hexdigest().encode() else None
