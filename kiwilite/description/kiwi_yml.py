"""KIWI's runtime configuration beside a description: what of it has a counterpart here.

kiwilite does not read it: a build depends on the description, and `kiwilite.yml` says what
belongs to a host.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from kiwilite.description.diagnostics import Diagnostic, Severity
from kiwilite.description.model import Span
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean

NAMES: Final = ("kiwi.yml", "kiwi.yaml")
MOST_BYTES: Final = 256 * 1024

KEY_FILE: Final = "verification_metadata_signing_key_file"

COUNTERPARTS: Final = {
    f"credentials/{KEY_FILE}": 'write `<verity metadata_key="file://PATH"/>` into the `<type>`',
    "credentials": "name keys in the description, by file://PATH",
    "runtime_checks": (
        "leave it out: the checks for it are not KIWI's; what they say can be acted upon"
    ),
    "mapper": "leave it out: no partition is mapped on the build host",
    "build_constraints": "write a `<size>`: what does not fit ends the build",
    "xz": "compress the finished image yourself: `xz -T0 NAME.raw`",
    "bundle": "leave it out: results have their final names",
    "container": "leave it out: kiwilite makes no containers",
    "oci": "leave it out: kiwilite makes no containers",
    "iso": "leave it out: kiwilite makes no ISOs",
    "obs": 'write the repository\'s address: `<source path="https://…"/>`',
}
"""Settings of KIWI's file, and what to do instead; a section's name stands for all of it."""

_ELSE: Final = "kiwilite's own settings are in kiwilite.yml: store, mirrors"


def check_kiwi_yml(root: Node, image_type: Node) -> Iterator[Diagnostic]:
    """Each setting of a kiwi.yml beside the description, at its line."""
    for name in NAMES:
        path = root.file.parent / name
        if path.is_file():
            yield from _settings(path, image_type)


def _settings(path: Path, image_type: Node) -> Iterator[Diagnostic]:
    import yaml

    start = Span(path, 1, 1)
    try:
        with path.open("rb") as stream:
            text = stream.read(MOST_BYTES + 1)
        found = None if len(text) > MOST_BYTES else yaml.compose(text, yaml.SafeLoader)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        found = None
    rows = [] if found is None else list(_keys(found, yaml))
    if not rows:
        message = "KIWI's runtime configuration is not read"
        yield Diagnostic(start, "note", "KL0905", message, _ELSE)
    for key, line, column, value in rows:
        hint = COUNTERPARTS.get(key) or COUNTERPARTS.get(key.partition("/")[0], _ELSE)
        signs = key.endswith(KEY_FILE)
        if signs and value:
            hint = hint.replace("PATH", value)
        verity = image_type.first("verity")
        missing = verity is None or "metadata_key" not in verity.attributes
        severe = signs and missing and boolean(image_type, "embed_verity_metadata")
        message = f"`{key.replace('/', ': ')}` of KIWI's runtime configuration is not read"
        severity: Severity = "warning" if severe else "note"
        yield Diagnostic(Span(path, line, column), severity, "KL0905", message, hint)


def _keys(document: Any, yaml: Any) -> Iterator[tuple[str, int, int, str]]:
    """("section/key", line, column, value); KIWI takes mappings and lists of mappings."""
    for section, value in _pairs(document, yaml):
        inner = list(_pairs(value, yaml))
        if not inner:
            yield str(section.value), *_place(section), ""
        for key, setting in inner:
            text = setting.value if isinstance(setting, yaml.ScalarNode) else ""
            yield f"{section.value}/{key.value}", *_place(key), str(text)


def _pairs(node: Any, yaml: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((k, v) for k, v in node.value if isinstance(k, yaml.ScalarNode))
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            if isinstance(item, yaml.MappingNode):
                yield from _pairs(item, yaml)


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
