"""The compiler proper: an appliance in, a plan out. No disk, no clock, no network, no chance."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kiwilite.description.model import Appliance
from kiwilite.plan import steps as s
from kiwilite.plan.disk import partitions
from kiwilite.plan.image import image_nodes
from kiwilite.plan.nodes import DEFAULT_EPOCH, DISK, Context, Node, Plan
from kiwilite.plan.selection import Packages, Selection, Unselected
from kiwilite.plan.trees import BOOTSTRAP, bootstrap_node, resolve_node, tree_nodes


def compile(
    appliance: Appliance,
    *,
    bootstrap_archive: Path | None,
    epoch: int | None,
    packages: Packages,
    mirrors: Mapping[str, str],
) -> Plan:
    """The plan for `appliance`.

    `bootstrap_archive` is the prebuilt archive to start from, if there is one; `epoch`
    overrides the description's (SOURCE_DATE_EPOCH); `packages` are those to install, once
    they are selected. `mirrors` (distribution name to URL)
    decides what the image's own source list says, and nothing else.
    """
    context = Context(appliance, _epoch(appliance, epoch), packages, mirrors)
    return Plan(
        image=appliance.name,
        version=appliance.preferences.version,
        architecture=appliance.arch,
        profiles=appliance.profiles,
        partitions=partitions(appliance),
        nodes=(*tree_nodes(context, bootstrap_archive), *image_nodes(context)),
        disk=DISK,
        format=appliance.type.format if appliance.type.format != "raw" else None,
    )


def bootstrap_plan(
    appliance: Appliance, *, epoch: int | None, packages: Selection
) -> tuple[Node, ...]:
    """The two steps that make a bootstrap archive from the description's own package list."""
    context = Context(appliance, _epoch(appliance, epoch), packages, {})
    pack = s.PackBootstrap(s.Output(BOOTSTRAP), context.epoch)
    return (bootstrap_node(context), Node("pack", "bootstrap archive", pack))


def package_list_node(appliance: Appliance, *, bootstrap_archive: Path | None, pin: str) -> Node:
    """The step that tells which packages `compile`'s plan would install."""
    context = Context(appliance, _epoch(appliance, None), Unselected(pin), {})
    return resolve_node(context, bootstrap_archive, pin)


def _epoch(appliance: Appliance, override: int | None) -> int:
    own = appliance.preferences.source_date_epoch
    if override is not None:
        return override
    return own if own is not None else DEFAULT_EPOCH
