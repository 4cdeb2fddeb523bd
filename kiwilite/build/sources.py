"""Package sources in apt's own words, and how to tell that one cannot be had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kiwilite.build.mirrors import is_local, resolve
from kiwilite.errors import SourceUnreachable, StageFailed
from kiwilite.plan.steps import AptSource

UNREACHABLE = (
    "Could not resolve",
    "Failed to fetch",
    "Could not connect",
    "Connection timed out",
    "Connection failed",
    "Unable to connect",
    "does not have a Release file",
    "Hash Sum mismatch",
    "File has unexpected size",
    "Unable to fetch some archives",
)


def source_line(
    source: AptSource, mirrors: Mapping[str, str], keys: Sequence[str] = ()
) -> str | None:
    """One `deb` line, or None where the host leaves the mirror to the tool's own default."""
    uri = resolve(source.uri, mirrors)
    if uri is None:
        return None
    options = [f"signed-by={','.join(keys)}"] if keys else []
    options += ["trusted=yes"] if source.trusted else []
    if source.architectures:
        options.append(f"arch={','.join(source.architectures)}")
    words = ["deb", *([f"[{' '.join(options)}]"] if options else []), uri, source.suite]
    return " ".join([*words, *source.components])


def local_folders(sources: Sequence[AptSource]) -> dict[str, Path]:
    """Folders of file: and dir: sources, to be shown inside the tree at the same place."""
    found = {}
    for source in sources:
        path = is_local(source.uri)
        if path is not None:
            found[str(path)] = path
    return found


def unreachable(error: StageFailed) -> StageFailed | SourceUnreachable:
    """Tell a source that cannot be had from other failures, by apt's words."""
    if any(word in error.message for word in UNREACHABLE):
        return SourceUnreachable(
            error.message,
            hint="check the network, the <repository>, and `mirrors:` in kiwilite.yml",
        )
    return error
