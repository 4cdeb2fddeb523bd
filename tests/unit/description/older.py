"""Valid descriptions in older vocabularies, 7.4 to 8.4, each with what was renamed or dropped."""

from __future__ import annotations

from collections.abc import Iterator

_OLD = """\
<image schemaversion="{version}" name="old">
<description type="system">
<author>a</author><contact>c</contact><specification>s</specification>
</description>
<preferences>
<version>1.0.0</version>
<packagemanager>{manager}</packagemanager>
<type image="oem" filesystem="btrfs" {kind}>
<bootloader name="grub2" {loader}/>
{inner}
</type>
</preferences>
<repository {repository}><source path="http://example.org"/></repository>
</image>
"""

CONTAINER = '<containerconfig name="c" additional{}/>'
_CHANGES = (
    ("7.5", "inner", CONTAINER.format('tags="a,b"'), CONTAINER.format('names=":a,:b"')),
    ("7.6", "manager", "dnf", "dnf4"),
    ("8.1", "repository", 'type="rpm-dir"', 'type="rpm-md"'),
    ("8.2", "repository", 'use_for_bootstrap="true"', ""),
    ("8.3", "kind", 'btrfs_root_is_snapshot="true"', 'btrfs_root_is_snapper_snapshot="true"'),
    ("8.4", "loader", 'console="serial"', 'output_console="serial"'),
    ("8.4", "loader", 'console="serial console"', 'input_console="console"'),
    ("8.5", "kind", 'vga="791"', ""),
)
"""(version of the change, part, before, since)."""

VERSIONS = ("7.4", "7.5", "7.6", "8.0", "8.1", "8.2", "8.3", "8.4", "8.5")


def older_specimens() -> Iterator[str]:
    """For each change and version a description as it was valid then."""
    for change, part, before, since in _CHANGES:
        for version in VERSIONS:
            given = dict.fromkeys(("kind", "loader", "inner", "repository"), "")
            given["manager"] = "zypper"
            given[part] = before if VERSIONS.index(version) < VERSIONS.index(change) else since
            yield _OLD.format(version=version, **given)
