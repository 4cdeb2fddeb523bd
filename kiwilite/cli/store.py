"""`kiwilite store`: what is kept of builds, whether it is sound, and less of it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kiwilite.build.configuration import load
from kiwilite.build.inventory import Amount, Entry, Inventory, take_stock
from kiwilite.build.store import Store, default_store
from kiwilite.build.upkeep import DAY, KEEP_DAYS, Freed, Limits, collect, examine
from kiwilite.cli.parse import demand_one_of, parse
from kiwilite.cli.report import human_age
from kiwilite.errors import KiwiliteError, UsageError
from kiwilite.plan.partitions import human_size
from kiwilite.plan.picture import table

USAGE = """\
Look after the store, where finished steps and packages are kept.

Usage:
  kiwilite store list [options]
  kiwilite store verify [options]
  kiwilite store gc [--keep-days=DAYS] [--max-size=SIZE] [options]

Commands:
  list    Show the finished steps and what takes how much room.
  verify  Sum every file and compare. What differs is named, and the next build
          that needs it makes it again.
  gc      Remove what has not been used for long, the longest unused first.

Options:
  --keep-days=DAYS  Of `gc`: keep what a build had in its plan within so many
                    days; 30 where neither this nor --max-size is given.
  --max-size=SIZE   Of `gc`: keep at most so much, such as 20G or 500M.
  --store=FOLDER    The store; without it that of the configuration.
  --format=FORMAT   text or json [default: text].
  --config=FILE     Runtime configuration; without it ./kiwilite.yml, then the
                    user's, then /etc/kiwilite.yml.
  -h --help         This text.

What running builds use stays, so all of this may be done beside them.
"""


def main(arguments: Sequence[str]) -> int:
    """Run `kiwilite store …`; returns the exit status."""
    found = parse(USAGE, arguments)
    demand_one_of(found, "--format", "text", "json")
    store = _store(found)
    as_json = found["--format"] == "json"
    if found["gc"]:
        freed = collect(store, _limits(found))
        print(_freed_json(freed) if as_json else "\n".join(_freed_text(freed)))
        return 0
    stock = take_stock(store)
    if found["list"]:
        print(_list_json(store, stock) if as_json else _list_text(store, stock, time.time()))
        return 0
    damage = examine(store, stock.entries)
    print(_damage_json(stock, damage) if as_json else "\n".join(_damage_text(stock, damage)))
    return KiwiliteError.exit_status if damage else 0


def _store(found: Mapping[str, Any]) -> Store:
    """The store that is meant, which has to be there."""
    if found["--store"]:
        root = Path(found["--store"])
    else:
        configuration = load(Path(found["--config"]) if found["--config"] else None)
        root = configuration.store or default_store()
    if root.is_dir() and not (root / "entries").is_dir() and any(root.iterdir()):
        raise UsageError(f"{root} is not a store", hint="--store, or `store:` in kiwilite.yml")
    store = Store(root.absolute())
    store.create()
    return store


def _limits(found: Mapping[str, Any]) -> Limits:
    from kiwilite.inspect.resize import parse_size

    days, size = found["--keep-days"], found["--max-size"]
    if days is not None and not days.isdecimal():
        raise UsageError(f"--keep-days {days}: a number of days")
    if days is None and size is None:
        days = KEEP_DAYS
    return Limits(
        unused=None if days is None else int(days) * DAY,
        most=None if size is None else parse_size(size),
    )


def _list_text(store: Store, stock: Inventory, now: float) -> str:
    rows: list[tuple[str, ...]] = [("step", "key", "size", "made", "last used", "", "makes")]
    rows += [_row(entry, now) for entry in stock.entries]
    steps = Amount(len(stock.entries), sum(entry.bytes for entry in stock.entries))
    kinds = {
        "finished steps": steps,
        "packages": stock.packages,
        "bootstrap archives": stock.bootstrap,
        "unfinished": stock.work,
    }
    totals = [("in all", "number", "size")]
    totals += [(name, str(a.count), human_size(a.bytes)) for name, a in kinds.items()]
    lines = [table(rows), ""] if stock.entries else []
    return "\n".join([*lines, table(totals), "", f"{store.root}: {human_size(stock.bytes)}"])


def _row(entry: Entry, now: float) -> tuple[str, ...]:
    made, used = (f"{human_age(max(0, now - t))} ago" for t in (entry.made, entry.used))
    state = "" if entry.state == "fine" else entry.state
    return (entry.step, entry.key[:12], human_size(entry.bytes), made, used, state, entry.title)


def _list_json(store: Store, stock: Inventory) -> str:
    return json.dumps({"store": str(store.root), "bytes": stock.bytes, **asdict(stock)}, indent=1)


def _damage_text(stock: Inventory, damage: Mapping[Entry, Sequence[str]]) -> Iterator[str]:
    for entry, found in damage.items():
        yield f"{entry.step} ({entry.key[:12]}) is damaged:"
        yield from (f"    {line}" for line in found[:20])
        if len(found) > 20:
            yield f"    and {len(found) - 20} more; --format json has all"
    old = sum(entry.state == "old" for entry in stock.entries)
    sound = len(stock.entries) - old - len(damage)
    yield f"{sound} steps are sound, {len(damage)} damaged" + (
        f", {old} of another version of kiwilite were not examined" if old else ""
    )
    if damage:
        yield "what is damaged is not used: the next build that needs it makes it again"


def _damage_json(stock: Inventory, damage: Mapping[Entry, Sequence[str]]) -> str:
    rows = [
        {"key": entry.key, "step": entry.step, "damage": list(found)}
        for entry, found in damage.items()
    ]
    return json.dumps({"examined": len(stock.entries), "damaged": rows}, indent=1)


def _freed_text(freed: Freed) -> Iterator[str]:
    rows = [(e.step, e.key[:12], human_size(e.bytes), e.title) for e in freed.entries]
    if rows:
        yield table(rows)
        yield ""
    yield (
        f"removed: {len(freed.entries)} steps, {freed.packages} packages, {freed.others} logs "
        f"and records; {human_size(freed.bytes)}"
    )
    if freed.in_use:
        yield f"{freed.in_use} steps are used by builds that run now, and stay"
    yield f"the store has {human_size(freed.left)} now"


def _freed_json(freed: Freed) -> str:
    return json.dumps(asdict(freed), indent=1)
