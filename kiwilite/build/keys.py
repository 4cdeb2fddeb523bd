"""What a step's result depends on, as one key.

A key is the SHA-256 over the step's own data, the keys of the steps it reads, the content
and modes of the description's files it reads, the code that runs it (the kind's module
and all it imports from this package, and what starts it), the Python and the libraries
that this code runs with, and the tools it calls with the libraries they load and the
files of the host they read. Where tools come from a tree of their own, it is the packages
of that tree instead, and nothing of the host's. Nothing else can change a result, so nothing
else is in it:

- owners and time stamps of the description's files, because no step looks at them;
- the caller's environment, locale, time zone and umask, host name and processors: steps have
  `BASE_ENVIRONMENT`, `inside` sets the umask, `enter` the name, and tools that work
  with several processors give the same bytes with any number;
- where a package came from, and what downloaded it: it is known by its digest. In the step
  that selects packages, the pin stands for the state of the repositories.

The kernel's release is the one thing of the host that a script can see and no key has.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kiwilite.build.beside import Entry, digest, read
from kiwilite.build.code import code_of
from kiwilite.build.host import Identity, ToolDigests, interpreter, library_version
from kiwilite.build.kinds import KINDS, Kind
from kiwilite.plan.nodes import Node
from kiwilite.plan.references import Output, Source, outputs_of, plain, sources_of


@dataclass(frozen=True, slots=True)
class Ingredients:
    """Everything that a node's key is made from."""

    node: Node
    inputs: Mapping[str, str]
    """Name of a step it reads → the key of that."""
    sources: Mapping[Source, tuple[Entry, ...]]
    code: Mapping[str, str]
    """Name of a module or data file of ours → SHA-256."""
    tools: Mapping[str, Identity]
    """By name; host files by their pattern."""
    libraries: Mapping[str, str]
    """Distribution → version; the interpreter as `python`."""

    @property
    def key(self) -> str:
        """SHA-256 over all of it, hexadecimal."""
        names: dict[Any, str] = {Output(name): key for name, key in self.inputs.items()}
        for source, entries in self.sources.items():
            names[source] = f"{source.path.name} {digest(entries)}"
        body = {
            "step": plain(self.node.step, names),
            "code": dict(self.code),
            "tools": {name: tool.digest for name, tool in self.tools.items()},
            "libraries": dict(self.libraries),
        }
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def kind_of(node: Node) -> Kind:
    """How the node's step is carried out."""
    return KINDS[type(node.step)]


def ingredients_of(node: Node, keys: Mapping[str, str], tools: ToolDigests) -> Ingredients:
    """What the key of `node` is made from, given the keys of the nodes it reads.

    Raises KiwiliteError for a file that cannot be read, HostError for a tool that is missing.
    """
    kind = kind_of(node)
    return Ingredients(
        node=node,
        inputs={name: keys[name] for name in outputs_of(node.step)},
        sources={source: read(source) for source in sources_of(node.step)},
        code=code_of(kind),
        tools=_tools(kind, tools),
        libraries={"python": interpreter()}
        | {name: library_version(name) for name in kind.libraries},
    )


def takes_tools(node: Node) -> bool:
    """Whether the node's tools come from the tree, where a build has one."""
    kind = kind_of(node)
    return bool(kind.tools) and kind.tools_from == "tree"


def _tools(kind: Kind, tools: ToolDigests) -> dict[str, Identity]:
    if tools.tree is not None and kind.tools_from == "tree":
        return {tools.tree.path: tools.tree} if kind.tools else {}
    return {name: tools.tool(name) for name in kind.tools} | {
        pattern: tools.files(pattern) for pattern in kind.host_files
    }


def key_of(node: Node, keys: Mapping[str, str], tools: ToolDigests) -> str:
    """The key of `node`, given those of the nodes it reads. Raises as `ingredients_of`."""
    return ingredients_of(node, keys, tools).key
