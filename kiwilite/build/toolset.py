"""A tree that steps take their tools from, as a build knows it before it is made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiwilite.build.code import code_of
from kiwilite.build.host import Identity
from kiwilite.build.kinds import KINDS
from kiwilite.plan.nodes import Node
from kiwilite.plan.selection import PackageFile
from kiwilite.plan.tree_steps import ToolsTree

NAME: Final = "tools tree"


@dataclass(frozen=True, slots=True)
class Toolset:
    """The step that makes the tree, and what stands for the tree in the keys of others."""

    node: Node
    identity: Identity


def toolset(packages: Sequence[PackageFile], architecture: str) -> Toolset:
    """The tree of these packages.

    It is identified by them and by the code that unpacks them: with which dpkg and tar the
    host does that changes no byte that a tool is made of.
    """
    step = ToolsTree(tuple(packages), architecture)
    code = code_of(KINDS[ToolsTree])
    body = [architecture, [package.sha256 for package in packages], code]
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return Toolset(Node("tools", NAME, step), Identity(NAME, digest))
