"""The plan as people see it."""

from __future__ import annotations

from dataclasses import replace

from plan_samples import x86

from kiwilite.plan.disk import partitions
from kiwilite.plan.partitions import MIB
from kiwilite.plan.picture import device_stack, partition_table, table

STACK = """\
/  overlayfs
├─ upper  xfs
│  └─ dm-crypt, authenticated
│     └─ dm-integrity
│        └─ p.lxroot
└─ lower  squashfs, read-only
   └─ dm-verity
      └─ p.lxreadonly
/home  ext4
└─ home
/var/lib/containers/storage  xfs
└─ oci-storage
/var/lib/containers/loaded  squashfs
└─ dm-verity
   └─ oci-preloaded"""

TABLE = """\
#  name           size            mounted at                   content
1  p.legacy       2 MiB           -                            BIOS boot, empty
2  p.UEFI         30 MiB          -                            FAT: UKI
3  home           32 MiB          /home                        ext4
4  oci-storage    512 MiB         /var/lib/containers/storage  xfs
5  oci-preloaded  64 MiB          /var/lib/containers/loaded   squashfs + hash tree
6  p.lxreadonly   as its content  /                            squashfs + hash tree
7  p.lxroot       the rest        -                            overlay: xfs on LUKS2"""


def test_the_reference_image_stacks_its_devices_so() -> None:
    assert device_stack(x86()) == STACK


def test_sizes_are_shown_where_they_are_known_and_else_what_decides_them() -> None:
    assert partition_table(partitions(x86()), {"p.UEFI": 30 * MIB}) == TABLE


def test_a_root_that_is_never_written_has_its_upper_half_in_memory() -> None:
    appliance = x86()
    overlay = appliance.type.overlay
    assert overlay is not None
    sealed = replace(overlay, write_partition=False)
    kind = replace(appliance.type, overlay=sealed, partitions=())
    shown = device_stack(replace(appliance, type=kind))
    assert shown.splitlines() == [
        "/  overlayfs",
        "├─ upper  in memory",
        "└─ lower  squashfs, read-only",
        "   └─ dm-verity",
        "      └─ p.lxreadonly",
    ]


def test_columns_are_aligned_and_no_line_ends_in_blanks() -> None:
    assert table([("a", "b", ""), ("long", "c", "d")]) == "a     b\nlong  c  d"
