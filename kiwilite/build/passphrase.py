"""What opens a volume, as bytes."""

from __future__ import annotations

from kiwilite.build.job import Job
from kiwilite.plan.references import Secret, Source


def passphrase_bytes(passphrase: Secret | Source, job: Job) -> bytes:
    """The key's bytes; the line end that an editor leaves in a file is no part of it.

    One line end only: of a file with two the first is. So for `cryptsetup --key-file`, which
    counts every byte, a key file must not end in one.
    """
    if isinstance(passphrase, Secret):
        return passphrase.text.encode()
    return job.source(passphrase).read_bytes().removesuffix(b"\n")
