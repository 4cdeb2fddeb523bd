"""What opens a volume, as bytes."""

from __future__ import annotations

from kiwilite.build.job import Job
from kiwilite.plan.references import Secret, Source


def passphrase_bytes(passphrase: Secret | Source, job: Job) -> bytes:
    """The key's bytes; the line end that an editor leaves in a file is no part of it."""
    if isinstance(passphrase, Secret):
        return passphrase.text.encode()
    return job.source(passphrase).read_bytes().removesuffix(b"\n")
