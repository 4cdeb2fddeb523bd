"""The plan as data, and what its makers share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kiwilite.description.defaults import SOURCE_DATE_EPOCH
from kiwilite.description.model import Appliance, ImageType
from kiwilite.plan import steps as s
from kiwilite.plan.partitions import Partition
from kiwilite.plan.selection import Packages

DEFAULT_EPOCH = SOURCE_DATE_EPOCH
"""Clamps time stamps where the description and SOURCE_DATE_EPOCH say nothing."""

DEBIAN_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}

LAYOUT = "layout"
OVERLAY = "overlay-luks"
DISK = "disk"
BIOS_BOOT = "bios-boot"
FACTORY_RESET = "factory-reset"
RESET_SWITCH = "kiwilite.factory-reset"

ROOT_MAPPING = "verityRoot"
OVERLAY_MAPPING = "luks"


@dataclass(frozen=True, slots=True)
class Node:
    """A step with its name; `title` says in a few words what it makes."""

    name: str
    title: str
    step: s.Step


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a build does, in an order in which it can be done."""

    image: str
    version: str
    architecture: str
    profiles: tuple[str, ...]
    partitions: tuple[Partition, ...]
    nodes: tuple[Node, ...]
    disk: str
    """Name of the step that has the raw disk."""
    format: str | None
    """Format beside the raw disk, such as qcow2."""

    @property
    def file_name(self) -> str:
        """`NAME.ARCH-VERSION`, as KIWI names results."""
        return f"{self.image}.{self.architecture}-{self.version}"

    def node(self, name: str) -> Node:
        """The node called `name`."""
        return next(n for n in self.nodes if n.name == name)


@dataclass(frozen=True, slots=True)
class Context:
    """What the steps of one plan share."""

    appliance: Appliance
    epoch: int
    chosen: Packages
    mirrors: Mapping[str, str]

    @property
    def seed(self) -> str:
        return self.appliance.name

    @property
    def architecture(self) -> str:
        return DEBIAN_ARCHITECTURE.get(self.appliance.arch, self.appliance.arch)


def has_loader(kind: ImageType) -> bool:
    """Whether systemd-boot starts the UKI and shows its entries; else the firmware starts it."""
    return kind.bootloader is not None and kind.bootloader.name == "systemd_boot"


def uki_name(appliance: Appliance) -> str:
    """File name of the UKI in the ESP, which is also its entry in systemd-boot."""
    return f"{appliance.name}-{appliance.preferences.version}.efi"
