"""The steps a build is made of, as data.

One frozen dataclass per kind. A field of type `Output` is another step's result, a field
of type `Source` is a file or folder beside the description; everything else is a plain
value. The whole of it, in canonical form, decides whether a step has to run again, so
whatever can change a step's result stands here and nowhere else.
"""

from __future__ import annotations

from kiwilite.plan.image_steps import (
    BiosBoot,
    BootFiles,
    BootProfile,
    Disk,
    DiskFormat,
    Esp,
    Fec,
    FileSystem,
    HybridRow,
    Layout,
    LuksVolume,
    OverlayTarget,
    Squashfs,
    ToolSquashfs,
    TreePlace,
    Uki,
    Verity,
    VerityMetadata,
    VerityTarget,
)
from kiwilite.plan.references import (
    LINE,
    Output,
    Secret,
    Source,
    outputs_of,
    plain,
    sources_of,
)
from kiwilite.plan.tree_steps import (
    Account,
    AptSource,
    Bootstrap,
    Customise,
    FetchBootstrap,
    FindBootstrap,
    MorePackages,
    Packages,
    PackBootstrap,
    PlaceFile,
    ResolvePackages,
    ToolsTree,
    UnpackArchive,
    UnpackBootstrap,
)

__all__ = [
    "LINE",
    "Account",
    "AptSource",
    "BiosBoot",
    "BootFiles",
    "BootProfile",
    "Bootstrap",
    "Customise",
    "Disk",
    "DiskFormat",
    "Esp",
    "Fec",
    "FetchBootstrap",
    "FileSystem",
    "FindBootstrap",
    "HybridRow",
    "Layout",
    "LuksVolume",
    "MorePackages",
    "Output",
    "OverlayTarget",
    "PackBootstrap",
    "Packages",
    "PlaceFile",
    "ResolvePackages",
    "Secret",
    "Source",
    "Squashfs",
    "Step",
    "ToolSquashfs",
    "ToolsTree",
    "TreePlace",
    "Uki",
    "UnpackArchive",
    "UnpackBootstrap",
    "Verity",
    "VerityMetadata",
    "VerityTarget",
    "outputs_of",
    "plain",
    "sources_of",
]

Step = (
    Bootstrap
    | UnpackBootstrap
    | PackBootstrap
    | FindBootstrap
    | FetchBootstrap
    | ResolvePackages
    | ToolsTree
    | Packages
    | MorePackages
    | Customise
    | BootFiles
    | BiosBoot
    | Squashfs
    | ToolSquashfs
    | Verity
    | Fec
    | VerityMetadata
    | FileSystem
    | Uki
    | Esp
    | Layout
    | LuksVolume
    | Disk
    | DiskFormat
)
