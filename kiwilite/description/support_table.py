"""The rows of `support`: "names | values that need no report" and what to do instead."""

from __future__ import annotations

from typing import Final

NOT_BUILT: Final = {
    "type@image | oem": 'kiwilite builds disk images: image="oem"',
    "type@firmware | efi uefi": 'write firmware="uefi"',
    "type@overlayroot | true 1": 'write overlayroot="true": the root is a read-only squashfs',
    "type@overlayroot_readonly_filesystem | squashfs": "the read-only root is a squashfs",
    "type@filesystem | xfs": "the overlay's file system is xfs",
    "type@format | qcow2": "convert the raw image with qemu-img",
    "type@efiparttable | gpt": "the partition table is a GPT; see gpt_hybrid_mbr",
    "type@force_mbr | false 0": "the partition table is a GPT; see gpt_hybrid_mbr",
    "type@dosparttable_extended_layout | false 0": "the partition table is a GPT",
    "type@target_blocksize | 512 4096": "sectors have 512 or 4096 bytes",
    "type@luks_version | luks luks2": 'write luks_version="luks2"',
    "type@mdraid": "there is no software RAID",
    "type@standalone_integrity | false 0": "integrity comes with luks and `--integrity aead`",
    "type@embed_integrity_metadata | false 0": "integrity comes with luks",
    "type@ramonly | false 0": "leave it out: the overlay has a partition",
    "type@root_clone type@boot_clone | 0": "",
    "type@spare_part": "write a `<partition>`",
    "type@installiso type@installstick type@installpxe | false 0": "write the image to the disk",
    "type@selinux_policy type@derived_from": "",
    "type@xen_server | false 0": "",
    "securelinux": "",
    "partition@filesystem | ext2 ext3 ext4 xfs squashfs": "choose ext4 or xfs",
    "partition@partition_type | t.linux": "there is no software RAID",
    "partition@clone | 0": "",
    "systemdisk": "there are no volumes; write `<partitions>`",
    "oem-swap | false 0": "there is no swap partition",
    "packagemanager | apt": "kiwilite installs Debian packages with apt",
    "repository@type | apt-deb deb-dir": "kiwilite installs Debian packages",
    "repository@customize": "",
    "repository@username repository@password": "name a mirror that asks for no password",
    "containers": "put the images into a squashfs partition or load them in config.sh",
    "certificates": "copy them with `<file>` and run update-ca-certificates in config.sh",
    "description@type | system": "kiwilite makes its own initrd; there are no boot images",
}

NOT_RUN: Final = {
    "type@editbootconfig type@editbootinstall": (
        "no disk is mounted during a build; do it in config.sh or pre_disk_sync.sh"
    ),
}

_NOT_FOR_DISKS = "it has no meaning for disk images"
_HYPERVISOR = "give the settings to the hypervisor; see run_x86 --help"
_INITRD = "kiwilite makes its own initrd from the image's packages"
_RPM = "it has a meaning for rpm only"
_ESP = "kernel and initrd are one file on the ESP"

IGNORED: Final = {
    "image@id": "write /etc/ImageID in the overlay tree",
    "license": "",
    "release-version": "apt has no use for it",
    "rpm-locale-filtering rpm-check-signatures rpm-excludedocs | false 0": _RPM,
    "bootsplash-theme bootloader-theme": "there is no boot menu",
    "showlicense": "",
    "type@bootpartition | false 0": _ESP,
    "type@bootpartsize type@bootfilesystem": _ESP,
    "type@bootpart_id type@rootpart_id type@efipart_id type@eficsmpart_id": (
        "partitions are numbered in the order in which they stand"
    ),
    "partition@part_id": "partitions are numbered in the order in which they stand",
    "partition@partition_name": "the partition table has the partition's `name`",
    "type@efimountoptions": "write /etc/fstab in the overlay tree",
    "type@fsmountoptions type@fscreateoptions": "kiwilite chooses reproducible options",
    "type@overlayroot_readonly_createoptions": "see squashfscompression_level",
    "type@overlayroot_readonly_partsize": "the partition is sized to the finished squashfs",
    "type@formatoptions": "convert the raw image with qemu-img",
    "type@devicepersistency | by-partuuid": "devices are found by PARTUUID",
    "type@initrd_system | dracut kiwi": _INITRD,
    "type@luksOS": "write the options into `<luksformat>`",
    "type@luks_randomize | false 0": "with integrity every sector is authenticated anyway",
    "type@integrity_legacy_hmac type@integrity_metadata_key_description": "",
    "type@integrity_keyfile": "",
    "type@disk_start_sector | 2048": "the first partition begins at 1 MiB",
    "type@rootfs_label": "file systems are found by PARTUUID",
    "type@target_removable | false 0": "the ESP has the path for removable media anyway",
    "type@spare_part_mountpoint type@spare_part_fs type@spare_part_fs_attributes": "",
    "type@spare_part_is_last": "",
    "type@btrfs_quota_groups type@btrfs_root_is_snapper_snapshot | false 0": "",
    "type@btrfs_root_is_subvolume type@btrfs_set_default_volume | false 0": "",
    "type@btrfs_root_is_readonly_snapshot | false 0": "",
    "type@boot type@bootkernel type@bootprofile": _INITRD,
    "type@volid type@application_id type@publisher type@mediacheck type@flags": _NOT_FOR_DISKS,
    "type@hybridpersistent type@hybridpersistent_filesystem type@efifatimagesize": _NOT_FOR_DISKS,
    "type@archive type@compressed type@enclave_format type@metadata_path": _NOT_FOR_DISKS,
    "type@erofscompression type@gcelicense type@vhdfixedtag": "",
    "type@delta_root type@provide_system_files type@require_system_files": _NOT_FOR_DISKS,
    "type@ensure_empty_tmpdirs": _NOT_FOR_DISKS,
    "type@installboot type@install_continue_on_timeout type@installprovidefailsafe": "",
    "type@wwid_wait_timeout type@bundle_format": "",
    "bootloader@name | systemd_boot": 'name="systemd_boot" shows the boot entries',
    "bootloader@bls bootloader@output_console bootloader@input_console": "there is no boot menu",
    "bootloader@serial_line bootloader@video_mode bootloader@timeout_style": "",
    "bootloader@targettype bootloader@use_disk_password bootloader@grub_template": "",
    "bootloadersettings": "",
    "containerconfig": _NOT_FOR_DISKS,
    "machine@min_memory machine@min_cpu machine@max_cpu machine@ncpus": _HYPERVISOR,
    "machine@ovftype machine@HWversion machine@arch machine@xen_loader": _HYPERVISOR,
    "machine@guestOS vmconfig-entry vmdisk vmdvd vmnic": _HYPERVISOR,
    "vagrantconfig": "",
    "installmedia": "",
    "initrd": _INITRD,
    "oem-bootwait oem-multipath-scan | false 0": "",
    "oem-kiwi-initrd oem-recovery oem-inplace-recovery oem-partition-install | false 0": "",
    "oem-reboot oem-reboot-interactive oem-shutdown oem-shutdown-interactive | false 0": "",
    "oem-silent-boot oem-silent-install oem-silent-verify oem-skip-verify | false 0": "",
    "oem-unattended | false 0": "",
    "oem-boot-title oem-ramdisk-size oem-device-filter oem-nic-filter oem-recoveryID": "",
    "oem-recovery-part-size oem-vmcp-parmfile oem-swapsize oem-swapname": "",
    "oem-systemsize oem-unattended-id": "",
    "repository@sourcetype": "the address is taken as it is",
    "repository@package_gpgcheck | true 1": "apt checks repositories, not packages",
    "package@bootinclude package@bootdelete archive@bootinclude | false 0": _INITRD,
    "ignore": 'apt cannot exclude packages; write them to `<packages type="delete">`',
    "namedCollection collectionModule product": "name the packages themselves",
    "drivers strip": _INITRD,
    "extension": "",
}

_BUILT = """
    image image@name image@displayname image@schemaversion include include@from
    description author contact specification
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
    repository@architectures source source@path signing signing@key
    packages packages@type packages@profiles packages@patternType packages@bootstrap_package
    packages@bootstrap_digest package package@name package@arch
    archive archive@name archive@target_dir
    file file@name file@target file@owner file@permissions file@arch
"""

BUILT: Final = frozenset(_BUILT.split())
"""Names that have no row above; a test holds the lists against the grammar."""
