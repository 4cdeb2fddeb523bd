"""The mode a file of a description is meant to have."""

from __future__ import annotations

import stat

_GROUP_WRITES = {0o664: 0o644, 0o775: 0o755}


def meant_mode(mode: int) -> int:
    """Permission bits of `mode`, without the group's right to write that a umask of 002 leaves.

    Version control keeps the executable bit and nothing else, so a checkout has 0644 or
    0664 as its owner's umask wants; the image must not depend on that. Any other mode was
    set on purpose and stays.
    """
    bits = stat.S_IMODE(mode)
    return _GROUP_WRITES.get(bits, bits)
