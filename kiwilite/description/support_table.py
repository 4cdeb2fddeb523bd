"""The rows of `support`: "names | values that need no report", why, and what to do instead.

Those of what is ignored stand in `support_ignored`.
"""

from __future__ import annotations

from typing import Final

_GPT = 'leave it out: the table is a GPT, and gpt_hybrid_mbr="true" adds an MBR'
_CLONE = "leave it out: keep the image file, and write it to the disk again to recover"

NOT_BUILT: Final = {
    "type@image | oem": (
        'write image="oem": kiwilite makes disk images, no ISOs, containers, network boots or '
        "bare file systems"
    ),
    "type@firmware | efi uefi": (
        'write firmware="uefi"; eficsm="true" has the disk boot under a legacy BIOS too'
    ),
    "type@overlayroot | true 1": 'write overlayroot="true": the root is a read-only squashfs',
    "type@overlayroot_readonly_filesystem | squashfs": (
        "leave it out: the read-only root is a squashfs"
    ),
    "type@filesystem | xfs": 'write filesystem="xfs": the overlay writes to an XFS',
    "type@format | qcow2": "leave it out, and convert the raw image with `qemu-img convert`",
    "type@efiparttable | gpt": _GPT,
    "type@force_mbr | false 0": _GPT,
    "type@dosparttable_extended_layout | false 0": (
        "leave it out: a GPT needs no extended partition"
    ),
    "type@target_blocksize | 512 4096": "write 512 or 4096: disks have no other sectors",
    "type@luks_version | luks luks2": (
        'write luks_version="luks2": the older format has no room for integrity'
    ),
    "type@mdraid": "leave it out: there is no software RAID; use one in hardware",
    "type@standalone_integrity | false 0": (
        'leave it out: with luks="file://PATH" every sector of the overlay is encrypted and '
        "authenticated"
    ),
    "type@embed_integrity_metadata | false 0": (
        "leave it out: the LUKS2 header of the overlay describes its integrity"
    ),
    "type@ramonly | false 0": (
        'write overlayroot_write_partition="false": the overlay is in memory then'
    ),
    "type@root_clone type@boot_clone | 0": _CLONE,
    "type@spare_part": "write a `<partition>` of this size into `<partitions>`",
    "type@installiso type@installstick type@installpxe | false 0": (
        "leave it out, and write the raw image to the disk"
    ),
    "type@selinux_policy": "leave it out: no SELinux labels are written",
    "type@derived_from": (
        'start from a tree of your own: `<packages type="bootstrap" bootstrap_package="NAME"/>`'
    ),
    "type@xen_server | false 0": "leave it out: no hypervisor is put below the kernel",
    "securelinux": "leave it out: it is for s390x",
    "partition@filesystem | ext2 ext3 ext4 xfs squashfs": "write ext4 or xfs",
    "partition@partition_type | t.linux": "leave it out: there is no software RAID",
    "partition@clone | 0": _CLONE,
    "systemdisk": "write a `<partition>` for each volume: there is no LVM and no btrfs",
    "oem-swap | false 0": "leave it out: an encrypted overlay and a plain swap do not go together",
    "packagemanager | apt": "write apt, and Debian repositories: no other packages are installed",
    "repository@type | apt-deb deb-dir": "write apt-deb or deb-dir: packages are Debian's",
    "repository@customize": (
        "leave it out, and write what it changes as attributes of the `<repository>`"
    ),
    "repository@username repository@password": (
        "take a mirror that asks for no password, or a folder of packages: path=dir:PATH"
    ),
    "containers": "put the images into a squashfs `<partition>`, or load them in config.sh",
    "certificates": (
        "copy each with `<file>` to /usr/local/share/ca-certificates, and run "
        "update-ca-certificates in config.sh"
    ),
    "description@type | system": 'write type="system": kiwilite makes its initrds itself',
}

NOT_RUN: Final = {
    "type@editbootconfig": (
        "no disk is mounted during a build: put files into root/, or do it in config.sh"
    ),
    "type@editbootinstall": (
        "no disk is mounted during a build: take what it installs into the tree with config.sh, "
        "and write to the finished image afterwards"
    ),
}

_BUILT = """
    image image@name image@displayname image@schemaversion include include@from
    description author contact specification license
    profiles profile profile@name profile@description profile@import profile@arch
    requires requires@profile requires@arch
    preferences preferences@profiles preferences@arch preferences@script_network
    preferences@source_date_epoch version locale keytable timezone
    type type@efipartsize type@squashfscompression type@squashfscompression_level
    type@gpt_hybrid_mbr type@kernelcmdline type@luks type@luks_pbkdf type@luks_unlock
    type@on_failure type@overlayroot_write_partition type@verity_blocks
    type@embed_verity_metadata type@provisioning type@luks_fill type@luks_journal
    type@boot_switches type@eficsm type@apply_dps_codes
    type@primary
    oem-resize oem-resize-once
    verity verity@algorithm verity@salt verity@data_block_size verity@hash_block_size
    verity@hash_tree verity@fec_roots verity@on_corruption verity@metadata_key
    overlay tree tree@path hybridmbr entry entry@partition entry@type entry@active
    machine machine@memory machine@max_memory keyslot keyslot@name keyslot@key keyslot@pbkdf
    bootloader bootloader@timeout oemconfig size size@unit size@unpartitioned size@additive
    partitions partition partition@name partition@size
    partition@mountpoint partition@label partition@encrypted partition@reset
    partition@mountoptions luksformat option option@name option@value
    users users@arch users@profiles user user@groups user@home user@id user@name
    user@password user@pwdformat user@realname user@shell
    repository repository@profiles repository@arch repository@alias repository@components
    repository@distribution repository@imageinclude repository@imageonly
    repository@repository_gpgcheck repository@priority
    repository@architectures source source@path source@snapshot signing signing@key
    packages packages@type packages@profiles packages@patternType packages@bootstrap_package
    packages@bootstrap_digest package package@name package@arch
    archive archive@name archive@target_dir
    file file@name file@target file@owner file@permissions file@arch
"""

BUILT: Final = frozenset(_BUILT.split())
"""Names that have no row above; a test holds the lists against the grammar."""

NO_EFFECT: Final = {
    "include include@from": "what it includes counts as if it stood there",
    "image@schemaversion": "an older file is read as a current one",
    "description author contact specification license": "for people who read the description",
    "profiles profile requires preferences type users partitions oemconfig": (
        "it holds what stands in it"
    ),
    "profile@description": "for people who choose a profile",
    "type@primary": "it chooses among the types that hold",
    "type@firmware": "efi and uefi are the same",
    "type@luks_version": "luks and luks2 are the same: every volume is a LUKS2 one",
    "type@luks_unlock": "it can be nothing but embedded, for now",
    "machine machine@memory machine@max_memory": (
        "the machine's memory is held against what deriving the key takes"
    ),
    "repository@alias": "for people; nothing in the image has the name",
    "repository@type": "what kind it is shows in its address and distribution",
    "packages@type": "it chooses what happens with the packages; see the condition below",
}
"""Built names by which no image differs, and what they are for instead."""
