"""The plan as people see it."""

from __future__ import annotations

from dataclasses import replace

from plan_samples import x86

from kiwilite.plan.disk import partitions
from kiwilite.plan.partitions import MIB
from kiwilite.plan.picture import boot_words, device_stack, partition_table, table

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


def test_the_report_names_sectors_hybrid_entries_and_firmware() -> None:
    appliance = x86()
    kind = replace(appliance.type, gpt_hybrid_mbr=True, bios=False, hybrid=())
    assert boot_words(replace(appliance, type=kind)).splitlines() == [
        "sectors     512 bytes",
        "MBR         hybrid: p.legacy (type 83), p.UEFI (type ef), home (type 83)",
        "boots with  UEFI",
    ]


def test_the_report_says_that_a_bios_checks_and_measures_nothing() -> None:
    appliance = x86()
    kind = replace(appliance.type, gpt_hybrid_mbr=False, hybrid=(), bios=True)
    assert boot_words(replace(appliance, type=kind)).splitlines()[1:] == [
        "MBR         protective",
        "boots with  UEFI and legacy BIOS",
        "            by BIOS without a signature and without measurement",
    ]


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


def test_trees_encryption_and_hash_partitions_are_drawn() -> None:
    appliance = x86()
    overlay = appliance.type.overlay
    assert overlay is not None
    verity = replace(overlay.verity, hash_tree="partition")
    overlay = replace(overlay, trees=("/etc", "/var"), verity=verity)
    home, _, loaded = appliance.type.partitions
    rows = (replace(home, encrypted=True), loaded)
    kind = replace(appliance.type, overlay=overlay, partitions=rows)
    assert device_stack(replace(appliance, type=kind)).splitlines() == [
        "/  squashfs, read-only",
        "└─ dm-verity",
        "   └─ p.lxreadonly, hash tree in p.lxreadonly-verity",
        "/etc, /var  overlayfs",
        "├─ upper  xfs",
        "│  └─ dm-crypt, authenticated",
        "│     └─ dm-integrity",
        "│        └─ p.lxroot",
        "└─ lower  the same of /",
        "/home  ext4",
        "└─ dm-crypt, authenticated",
        "   └─ dm-integrity",
        "      └─ home",
        "/var/lib/containers/loaded  squashfs",
        "└─ dm-verity",
        "   └─ oci-preloaded, hash tree in oci-preloaded-verity",
    ]


def test_columns_are_aligned_and_no_line_ends_in_blanks() -> None:
    assert table([("a", "b", ""), ("long", "c", "d")]) == "a     b\nlong  c  d"
