"""What a lock has become, as a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from kiwilite.build.locking import Renewed
from kiwilite.plan.lock import Change
from kiwilite.plan.picture import table
from kiwilite.plan.selection import PackageFile, package_data


def print_changes(renewed: Renewed) -> None:
    """The packages that changed; of a new lock only how many there are."""
    head = f"{renewed.path}: {renewed.name}, {len(renewed.after.packages)} packages"
    if renewed.before is None:
        print(head)
        return
    rows = [
        ("package", "was", "is"),
        *((c.name, _version(c.old, c), _version(c.new, c)) for c in renewed.changes),
    ]
    if len(rows) == 1:
        print(f"{head}, none of them changed")
    else:
        print(f"{head}, {len(rows) - 1} changed\n\n{table(rows)}\n")


def _version(package: PackageFile | None, change: Change) -> str:
    if package is None:
        return "-"
    other = change.new if package is change.old else change.old
    same = other is not None and other.version == package.version
    return f"{package.version} ({package.sha256[:12]})" if same else package.version


def changes_as_json(renewed: Renewed | None) -> str:
    """`added`, `removed` and `changed` packages; all empty where nothing was to do."""
    changes = renewed.changes if renewed else ()
    changed = [c for c in changes if c.old and c.new]
    data = {
        "added": _rows(c.new for c in changes if c.old is None),
        "removed": _rows(c.old for c in changes if c.new is None),
        "changed": [
            {"name": c.name, "old": old, "new": new}
            for c in changed
            for old, new in zip(_rows([c.old]), _rows([c.new]), strict=True)
        ],
    }
    return json.dumps(data, indent=1)


def _rows(packages: Iterable[PackageFile | None]) -> list[dict[str, object]]:
    return [package_data(p) for p in packages if p is not None]
