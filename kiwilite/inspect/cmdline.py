"""What a kernel command line asks of the boot hook, and whether the policy lets it.

The hook takes devices from its policy only, and ignores words that say otherwise; who
wrote them meant something else to happen. Words as KIWI has them:

    root=overlay:DEVICE  verityroot=DEVICE      the verified root
    rd.root.overlay.write=DEVICE                the overlay's partition
    rd.root.overlay.temporary, ...              switches, honoured where the policy has them
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kiwilite.inspect.policy import Policy, VerityRecord, VolumeRecord
from kiwilite.inspect.table import Partition

SWITCHES: Final = (
    "rd.root.overlay.temporary",
    "rd.root.overlay.readonly",
    "kiwilite.factory-reset",
)
_OVERLAY: Final = "overlay"


def ignored(line: str, policy: Policy, partitions: Sequence[Partition]) -> Iterator[str]:
    """Why the hook will ignore words of a command line, a sentence for each."""
    root = next((v for v in policy.verity if v.mountpoint == "/"), None)
    upper = next((v for v in policy.volumes if v.mountpoint == _OVERLAY), None)
    for word in line.split():
        name, _, value = word.partition("=")
        if word in SWITCHES and word not in policy.switches:
            yield f"{word}, which the policy does not allow"
        device: VerityRecord | VolumeRecord | None = None
        if word.startswith("root=overlay:"):
            device, value = root, value.removeprefix("overlay:")
        elif name == "verityroot":
            device = root
        elif name == "rd.root.overlay.write":
            device = upper
            if upper is None:
                yield f"{word}: the policy has no partition for the overlay"
        if device is not None:
            partition = next((p for p in partitions if p.guid == device.partuuid), None)
            if _names(value, device.mapping, partition) is False:
                yield f"{word}, which names another device than the policy"


def _names(device: str, mapping: str, partition: Partition | None) -> bool | None:
    """Whether a device as KIWI writes it is this one; None where only a running machine knows."""
    if device.startswith("/dev/disk/by-"):
        kind, _, value = device.removeprefix("/dev/disk/by-").partition("/")
    elif device.startswith("/dev/mapper/"):
        kind, value = "mapper", device.removeprefix("/dev/mapper/")
    else:
        kind, _, value = device.partition("=")
    kind, value = kind.lower(), value.lower()
    if kind == "mapper":
        return value == mapping.lower()
    if kind == "partuuid":
        return partition is not None and value == str(partition.guid)
    if kind == "partlabel":
        return partition is not None and value == partition.name.lower()
    return None
