"""What a lock has become, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from kiwilite.build.locking import Renewed
from kiwilite.plan.lock import Change
from kiwilite.plan.picture import table
from kiwilite.plan.selection import PackageFile, package_data


def print_changes(renewed: Renewed) -> None:
    """The packages that changed; of what was not locked before only how many there are."""
    before, tree = renewed.before, renewed.after.tools_tree
    changes = renewed.changes if before else None
    of_tools = renewed.tool_changes if before and before.tools_tree else None
    words = [_counted(f"{len(renewed.after.packages)} packages", changes)]
    if tree:
        words.append(_counted(f"{len(tree.packages)} of the tools tree", of_tools))
    print(f"{renewed.path}: {renewed.name}, {'; '.join(words)}")
    rows = [(c.name, _version(c.old, c), _version(c.new, c)) for c in changes or ()]
    if tree:
        rows += [
            (f"{c.name} (tools)", _version(c.old, c), _version(c.new, c)) for c in of_tools or ()
        ]
    if rows:
        print(f"\n{table([('package', 'was', 'is'), *rows])}\n")


def _counted(words: str, changes: Sequence[Change] | None) -> str:
    """`words`, and how many of them changed where that is known."""
    if changes is None:
        return words
    return f"{words}, {len(changes) or 'none of them'} changed"


def _version(package: PackageFile | None, change: Change) -> str:
    if package is None:
        return "-"
    other = change.new if package is change.old else change.old
    same = other is not None and other.version == package.version
    return f"{package.version} ({package.sha256[:12]})" if same else package.version


def changes_as_json(renewed: Renewed | None) -> str:
    """`added`, `removed` and `changed` packages; all empty where nothing was to do.

    `tools` has the same of a tools tree.
    """
    data = _changes_data(renewed.changes if renewed else ())
    if renewed and renewed.after.tools_tree:
        data["tools"] = _changes_data(renewed.tool_changes)
    return json.dumps(data, indent=1)


def _changes_data(changes: Sequence[Change]) -> dict[str, object]:
    changed = [c for c in changes if c.old and c.new]
    return {
        "added": _rows(c.new for c in changes if c.old is None),
        "removed": _rows(c.old for c in changes if c.new is None),
        "changed": [
            {"name": c.name, "old": old, "new": new}
            for c in changed
            for old, new in zip(_rows([c.old]), _rows([c.new]), strict=True)
        ],
    }


def _rows(packages: Iterable[PackageFile | None]) -> list[dict[str, object]]:
    return [package_data(p) for p in packages if p is not None]
