"""What even an image without findings does not promise."""

from __future__ import annotations

from collections.abc import Iterator

from kiwilite.inspect.content import Luks, Mark
from kiwilite.inspect.look import Seen


def limits(seen: Seen) -> Iterator[str]:
    """A sentence each, of what is true of this image."""
    if not any(image.is_signed for image in seen.images):
        yield (
            "the boot image is not signed: who can replace it can replace the root hash and all"
            " that hangs on it"
        )
    if any(image.key_files for image in seen.images):
        yield (
            "the overlay's key stands in the boot image: who has the image can read the overlay,"
            " and write to it what passes every check"
        )
    if seen.volumes() or any(isinstance(h.content, Mark) for h in seen.holdings):
        yield (
            "a provisioning mark prevents accidents, not attackers: who can write to the disk can"
            " put one in a volume's place, and the next boot makes an empty one there"
        )
    if any(isinstance(h.content, Luks) for h in seen.holdings):
        yield (
            "a volume tells changed sectors from its own, and not older ones of its own from new"
            " ones; its integrity superblock and journal have no digest"
        )
    if seen.seal.parts:
        yield "the seal finds accidents: an attacker writes a new one"
