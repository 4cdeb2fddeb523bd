"""What a build did, and what one would do, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kiwilite.build.executor import Keyed
from kiwilite.build.image import Result
from kiwilite.description.model import Appliance
from kiwilite.plan.nodes import Plan
from kiwilite.plan.partitions import human_size
from kiwilite.plan.picture import boot_words, device_stack, partition_table, table
from kiwilite.plan.references import plain

if TYPE_CHECKING:
    from kiwilite.cli.why import PlacedReasons


def print_report(appliance: Appliance, result: Result, steps: Sequence[tuple[str, float]]) -> None:
    """Times, partition table, files."""
    if not result.changed:
        print(f"nothing to do: {result.target} is up to date")
    else:
        _print_built(appliance, result, steps)
    if result.packages_age is None:
        print("packages are those of appliance.lock; --update-lock selects anew")
    else:
        age = human_age(result.packages_age)
        print(f"packages were selected {age} ago; --refresh selects anew")


def _print_built(appliance: Appliance, result: Result, steps: Sequence[tuple[str, float]]) -> None:
    rows = [("#", "name", "size", "mounted at", "content")]
    for number, p in enumerate(result.geometry["partitions"], 1):
        size = human_size(p["size"])
        rows.append((str(number), p["name"], size, p["mountpoint"] or "-", p["content"]))
    print(f"{appliance.name} {appliance.preferences.version}, {len(steps)} steps")
    print()
    print(table(rows))
    print()
    print(boot_words(appliance))
    print()
    files = [("file", "size", "on disk")]
    for path in result.files.values():
        status = path.stat()
        files.append((str(path), human_size(status.st_size), human_size(status.st_blocks * 512)))
    print(table(files))


def human_age(seconds: float) -> str:
    """A span of time in its largest fitting unit."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return "less than a minute"


def plan_data(
    plan: Plan, keyed: Keyed, to_run: set[str], reasons: PlacedReasons | None
) -> dict[str, Any]:
    """The whole plan as JSON data; `reasons` are those of each step that would run."""
    from kiwilite.cli.why import data as reasons_as_data

    steps = [
        {
            "name": n.name,
            "title": n.title,
            "key": keyed.keys[n.name],
            "in_store": n.name not in to_run,
            "step": plain(n.step),
        }
        | ({} if reasons is None else {"why": reasons_as_data(reasons.get(n.name, ()))})
        for n in plan.nodes
    ]
    return {
        "image": plan.image,
        "version": plan.version,
        "architecture": plan.architecture,
        "profiles": list(plan.profiles),
        "partitions": [plain(p) for p in plan.partitions],
        "steps": steps,
    }


def print_plan(appliance: Appliance, plan: Plan, to_run: set[str]) -> None:
    """Steps (and which are in the store), partition table, device stack."""
    profiles = ", ".join(plan.profiles) or "none"
    print(f"{plan.image} {plan.version} for {plan.architecture}, profiles: {profiles}\n")
    rows = [("step", "", "makes")]
    rows += [(n.name, "runs" if n.name in to_run else "in store", n.title) for n in plan.nodes]
    print(table(rows), "\n")
    print(partition_table(plan.partitions, {}), "\n")
    print(boot_words(appliance), "\n")
    print(device_stack(appliance))
