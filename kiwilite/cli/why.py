"""`system plan --why`: what changed since the last build, for people and as data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiwilite.build.toolset import NAME as TOOLS_TREE
from kiwilite.build.why import Cause, Reason
from kiwilite.description.show.elements import Element
from kiwilite.description.show.place import place_of
from kiwilite.plan.origins import ORIGINS

Reasons = Mapping[str, Sequence[Reason]]
"""Name of a step that would run → why, in the plan's order."""

MOST = 10
"""Lines about files and code of one step; the data has all."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A reason in the description's own words: `name` is its attribute, `where` FILE:LINE."""

    reason: Reason
    name: str
    where: str | None


PlacedReasons = Mapping[str, Sequence[Placed]]


def placed(reasons: Reasons, root: Element) -> PlacedReasons:
    """The reasons with their places; what follows from one attribute is said once."""
    rows: dict[str, list[Placed]] = {}
    for step, found in reasons.items():
        seen: set[str] = set()
        rows[step] = []
        for reason in found:
            one = _placed(reason, root)
            again = f"{one.name} {one.where} {reason.item if _of_a_list(reason) else ''}"
            if reason.cause == "parameter" and again in seen:
                continue
            seen.add(again)
            rows[step].append(one)
    return rows


def _of_a_list(reason: Reason) -> bool:
    return reason.before is None or reason.now is None


def _placed(reason: Reason, root: Element) -> Placed:
    origin = ORIGINS.get(reason.field)
    if reason.cause != "parameter" or origin is None:
        return Placed(reason, reason.what, None)
    gone = reason.now is None
    among = [str(word) for word in (reason.item, reason.now) if word]
    span = None if gone else place_of(root, origin, among)
    return Placed(reason, origin, f"{span.file}:{span.line}" if span else None)


def data(found: Sequence[Placed]) -> list[dict[str, Any]]:
    """The reasons of one step, for `--format json`."""
    return [
        {
            "cause": one.reason.cause,
            "what": one.name,
            "before": one.reason.before,
            "now": one.reason.now,
            "where": one.where,
        }
        for one in found
    ]


def text(rows: PlacedReasons) -> str:
    """For people: a line for each reason."""
    if not rows:
        return "nothing would run: the store has the result of every step\n"
    width = max(len(step) for step in rows)
    lines = []
    for step, found in rows.items():
        said = [*_limited([_words(one) for one in found if one.reason.cause != "step"])]
        said += _steps([one.reason.what for one in found if one.reason.cause == "step"])
        lines += [f"{step:{width}}  {said[0]}", *(f"{'':{width}}  {line}" for line in said[1:])]
    return "".join(f"{line}\n" for line in lines)


def _steps(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [f"step {names[0]} changes" if len(names) == 1 else f"steps {', '.join(names)} change"]


def _limited(words: list[str]) -> Iterator[str]:
    yield from words[:MOST]
    if len(words) > MOST:
        yield f"and {len(words) - MOST} more; --format json has all"


_SENTENCES: Final[Mapping[Cause, str]] = {
    "no record": "never built: the store knows no build of this description and profiles",
    "never built": "new: the last build had no such step",
    "entry removed": "unchanged, but its result is no longer in the store",
    "entry damaged": "unchanged, but its result in the store is damaged",
    "unknown": "it changed, and the record of the last build does not say how",
}


def _words(one: Placed) -> str:
    reason = one.reason
    if reason.cause in _SENTENCES:
        return _SENTENCES[reason.cause]
    if reason.cause == "code":
        return f"kiwilite itself: {reason.what}"
    if reason.cause == "parameter":
        where = f"  ({one.where})" if one.where else ""
        return f"{one.name}: {_change(reason)}{where}"
    if reason.what == TOOLS_TREE:
        return f"{TOOLS_TREE}: {_tool(reason)}"
    said = {"tool": _tool, "file": _file, "package": _package}.get(reason.cause, _change)
    return f"{reason.cause} {reason.what}: {said(reason)}"


def _tool(reason: Reason) -> str:
    if reason.what == TOOLS_TREE and reason.before == reason.now:
        return "its packages changed"
    if reason.before == reason.now:
        return f"the bytes of {reason.now} changed, or those of a library it loads"
    return _change(reason)


def _package(reason: Reason) -> str:
    if reason.before is None or reason.now is None:
        return f"added {reason.now}" if reason.before is None else f"removed {reason.before}"
    if reason.before == reason.now:
        return f"other content of {reason.now}"
    return f"{reason.before} → {reason.now}"


def _file(reason: Reason) -> str:
    if reason.before is None or reason.now is None:
        return "added" if reason.before is None else "removed"
    if reason.before == reason.now:
        return f"another {reason.now}"
    return f"{reason.before} → {reason.now}"


def _change(reason: Reason) -> str:
    if reason.before is None:
        return f"added {_literal(reason.now)}"
    if reason.now is None:
        return f"removed {_literal(reason.before)}"
    if reason.before == reason.now:
        return "changed"  # a secret, or a part that has no words
    return f"{_literal(reason.before)} → {_literal(reason.now)}"


def _literal(value: Any) -> str:
    words = json.dumps(value, ensure_ascii=False)
    return words if len(words) <= 200 else f"{words[:197]}…"
