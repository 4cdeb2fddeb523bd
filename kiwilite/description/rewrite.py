"""Files rewritten: brought to the usual form, or to the current vocabulary.

Nothing is written here; what is to be written comes back as `Rewrite`s.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.include import local_path, resolve_includes
from kiwilite.description.reader import parse
from kiwilite.description.source import MAX_BYTES, decode, failure, read_bytes
from kiwilite.description.text.encode import encode, encode_usually, refuse_lossy
from kiwilite.description.tree import Node
from kiwilite.description.upgrade import VERSIONS, Step, steps_since, unreadable
from kiwilite.description.upgrade_text import upgraded_text

MAX_LINES = 200_000
MAX_MARKUP = 250_000
"""What a file may have in it to be rewritten: deep indentation can make it much larger."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One file: its text before and after, and the bytes of both."""

    file: Path
    before: str
    after: str
    old: bytes
    new: bytes

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return self.old != self.new


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A description brought from `version` to the current one.

    `main` is the file itself, `included` what it includes from its own folder;
    `elsewhere` are included files of other places that would need changes too.
    """

    version: str
    main: Rewrite
    included: tuple[Rewrite, ...]
    elsewhere: tuple[Rewrite, ...]


def formatted(file: Path) -> Rewrite:
    """`file` in the usual form, whether or not it fits the schema.

    Raises DescriptionInvalid when it cannot be read or is not well-formed XML.
    """
    from kiwilite.description.text.layout import lay_out

    raw, root = _read(file)
    refuse_lossy(root.source, raw)
    before = root.source.text.decode()
    after = lay_out(root.source.text)
    if len(after.encode()) > MAX_BYTES:
        raise failure(root.span, "KL0002", "in the usual form the file would be too large to read")
    return Rewrite(file, before, after, raw, encode_usually(after, raw))


def upgraded(file: Path) -> Upgrade:
    """`file`, and what it includes, in the current vocabulary.

    The version of `file` holds for what it includes as well, whatever is written there.
    Raises DescriptionInvalid when a file cannot be read, is not well-formed XML, or has
    a schemaversion that cannot be read; then nothing of the description is to be changed.
    """
    raw, root = _read(file)
    version = root.get("schemaversion")
    if version is None:
        message = "there is no schemaversion to tell what has changed since"
        hint = f'write that of its time into the `<image>`, such as schemaversion="{VERSIONS[0]}"'
        raise failure(root.span, "KL0103", message, hint)
    if problem := unreadable(root):
        raise DescriptionInvalid([problem])
    _, problems = resolve_includes(root)
    if problems:
        raise DescriptionInvalid(problems)
    steps = steps_since(version)
    main, *others = (_upgrade_file(*read, steps) for read in _with_included(raw, root))
    changed = [rewrite for rewrite in others if rewrite.changed]
    folder = file.parent.resolve()
    return Upgrade(
        version,
        main,
        tuple(r for r in changed if r.file.resolve().is_relative_to(folder)),
        tuple(r for r in changed if not r.file.resolve().is_relative_to(folder)),
    )


def _read(file: Path) -> tuple[bytes, Node]:
    """Bytes and tree of `file`, which is small enough to be laid out and compared."""
    raw = read_bytes(file)
    source = decode(file, raw)
    root = parse(source)
    limits = (
        (b"\n", MAX_LINES, "lines"),
        (b"\r", MAX_LINES, "lines"),
        (b"<", MAX_MARKUP, "tags and comments"),
    )
    for sign, limit, what in limits:
        if source.text.count(sign) > limit:
            message = f"the file has more than {limit} {what}: too many to rewrite it"
            raise failure(source.span(0), "KL0002", message)
    return raw, root


def _with_included(raw: bytes, root: Node) -> Iterator[tuple[bytes, Node]]:
    """Bytes and tree of a file and of all it includes, each once; they are known to be there."""
    seen: set[Path] = set()
    to_do = [(raw, root)]
    while to_do:
        raw, root = to_do.pop(0)
        if root.file.resolve() in seen:
            continue
        seen.add(root.file.resolve())
        yield raw, root
        addresses = (include.get("from") for include in root.all("include"))
        targets = (local_path(a, root.file.parent) for a in addresses if a is not None)
        to_do += [_read(target) for target in targets if target is not None]


def _upgrade_file(raw: bytes, root: Node, steps: Sequence[Step]) -> Rewrite:
    text = root.source.text
    if not steps:
        return Rewrite(root.file, text.decode(), text.decode(), raw, raw)
    refuse_lossy(root.source, raw)
    after = upgraded_text(root, steps).decode()
    return Rewrite(root.file, text.decode(), after, raw, encode(after, raw))
