"""The rows of `support` for what kiwilite leaves out without harm, and says so."""

from __future__ import annotations

from typing import Final

_NOT_FOR_DISKS = "leave it out: it has no meaning for disk images"
_HYPERVISOR = "give it to the hypervisor; `run_x86 --help` shows how for QEMU"
_OLD_INITRD = "leave it out: it is for KIWI's former initrd"
_RPM = "leave it out: it is for rpm"
_ESP = "leave it out: kernel and initrd are one file on the ESP; see efipartsize"
_NUMBERS = "leave it out: partitions are numbered in the order in which they stand"
_INSTALLER = "leave it out: there is no installer; write the raw image to the disk"
_RECOVERY = (
    "leave it out: /usr/sbin/kiwilite-factory-reset brings the verified state back, and needs no "
    "archive"
)
_SWAP = "leave it out: there is no swap partition"
_SPARE = "say it at the `<partition>` you write instead of the spare partition"
_BTRFS = "leave it out: no btrfs is made"
_MENU = "leave it out: no menu is shown but systemd-boot's"
_INTEGRITY = "leave it out: the integrity of the overlay has the key of `luks`"
_QEMU_IMG = "leave it out, and convert the raw image with `qemu-img convert`"
_CONTAINERS = "leave it out: kiwilite makes no containers"

IGNORED: Final = {
    "image@id": "write it to root/etc/ImageID, which is copied into the image",
    "release-version": 'say it at the repository: distribution="trixie"; apt asks for no release',
    "rpm-locale-filtering rpm-check-signatures rpm-excludedocs | false 0": _RPM,
    "bootsplash-theme": "install the theme's package, and choose it in config.sh",
    "bootloader-theme": "leave it out: systemd-boot's menu has no themes",
    "showlicense": "show it with a service of the image, put there by root/",
    "type@bootpartition | false 0": _ESP,
    "type@bootpartsize type@bootfilesystem": _ESP,
    "type@bootpart_id type@rootpart_id type@efipart_id type@eficsmpart_id": _NUMBERS,
    "partition@part_id": _NUMBERS,
    "partition@partition_name": "leave it out: the partition table has the partition's `name`",
    "type@efimountoptions": "write a line for the ESP to root/etc/fstab.append",
    "type@fsmountoptions": (
        "leave it out: root and overlay are mounted with fixed options; a `<partition>` has "
        "mountoptions"
    ),
    "type@fscreateoptions": "leave it out: file systems are made with reproducible options",
    "type@overlayroot_readonly_createoptions": (
        "write squashfscompression and squashfscompression_level"
    ),
    "type@overlayroot_readonly_partsize": (
        "leave it out: the partition is as large as the finished squashfs"
    ),
    "type@formatoptions": _QEMU_IMG,
    "type@devicepersistency | by-partuuid": "leave it out: devices are found by PARTUUID",
    "type@initrd_system | dracut": (
        'leave it out, and kiwilite makes the initrd, or write "dracut", and dracut does'
    ),
    "type@luksOS": "write the options themselves into `<luksformat>`",
    "type@luks_randomize | false 0": (
        "leave it out: every sector is authenticated, and luks_fill says what is written"
    ),
    "type@integrity_legacy_hmac type@integrity_metadata_key_description": _INTEGRITY,
    "type@integrity_keyfile": _INTEGRITY,
    "type@disk_start_sector | 2048": "leave it out: the first partition begins at 1 MiB",
    "type@rootfs_label": "leave it out: the root is found by PARTUUID; a `<partition>` has a label",
    "type@target_removable | false 0": (
        "leave it out: the ESP has the path for removable media anyway"
    ),
    "type@spare_part_mountpoint type@spare_part_fs type@spare_part_fs_attributes": _SPARE,
    "type@spare_part_is_last": "leave it out: the last partition is the overlay's, which can grow",
    "type@btrfs_quota_groups type@btrfs_root_is_snapper_snapshot | false 0": _BTRFS,
    "type@btrfs_root_is_subvolume type@btrfs_set_default_volume | false 0": _BTRFS,
    "type@btrfs_root_is_readonly_snapshot | false 0": _BTRFS,
    "type@boot type@bootkernel type@bootprofile": _OLD_INITRD,
    "type@volid type@application_id type@publisher type@mediacheck type@flags": _NOT_FOR_DISKS,
    "type@hybridpersistent type@hybridpersistent_filesystem type@efifatimagesize": _NOT_FOR_DISKS,
    "type@archive type@compressed type@enclave_format type@metadata_path": _NOT_FOR_DISKS,
    "type@erofscompression": "write squashfscompression: the read-only root is a squashfs",
    "type@gcelicense": "name the licence when you upload the image",
    "type@vhdfixedtag": _QEMU_IMG,
    "type@delta_root type@provide_system_files type@require_system_files": _CONTAINERS,
    "type@ensure_empty_tmpdirs": _CONTAINERS,
    "type@installboot type@install_continue_on_timeout type@installprovidefailsafe": _INSTALLER,
    "type@wwid_wait_timeout": _INSTALLER,
    "type@bundle_format": "leave it out: results are called NAME.ARCH-VERSION.KIND",
    "bootloader@name | systemd_boot": (
        'write name="systemd_boot" for a menu; without `<bootloader>` the firmware starts the '
        "kernel itself"
    ),
    "bootloader@bls": "leave it out: systemd-boot has no other entries",
    "bootloader@output_console bootloader@input_console": _MENU,
    "bootloader@serial_line bootloader@video_mode bootloader@timeout_style": _MENU,
    "bootloader@targettype": "leave it out: it is for s390x",
    "bootloader@use_disk_password | false 0": (
        "leave it out: the boot loader reads nothing encrypted; the initrd opens the volume"
    ),
    "bootloader@grub_template": _MENU,
    "bootloadersettings": "leave it out: no tool of a boot loader is run",
    "containerconfig": _CONTAINERS,
    "machine@min_memory machine@min_cpu machine@max_cpu machine@ncpus": _HYPERVISOR,
    "machine@ovftype machine@HWversion machine@arch machine@xen_loader": _HYPERVISOR,
    "machine@guestOS vmconfig-entry vmdisk vmdvd vmnic": _HYPERVISOR,
    "vagrantconfig": "leave it out, and pack the qcow2 image into a box yourself",
    "installmedia": _INSTALLER,
    "initrd": (
        'write initrd_system="dracut", and add_dracutmodules, add_drivers or omit_dracutmodules '
        "into a file root/etc/dracut.conf.d/NAME.conf"
    ),
    "oem-bootwait oem-multipath-scan | false 0": _INSTALLER,
    "oem-kiwi-initrd | false 0": _OLD_INITRD,
    "oem-recovery oem-inplace-recovery | false 0": _RECOVERY,
    "oem-recoveryID oem-recovery-part-size": _RECOVERY,
    "oem-partition-install | false 0": _INSTALLER,
    "oem-reboot oem-reboot-interactive oem-shutdown oem-shutdown-interactive | false 0": _INSTALLER,
    "oem-silent-boot | false 0": "write quiet into kernelcmdline",
    "oem-silent-install oem-silent-verify oem-skip-verify | false 0": _INSTALLER,
    "oem-unattended | false 0": _INSTALLER,
    "oem-boot-title": "write the title into displayname of `<image>`",
    "oem-ramdisk-size oem-device-filter oem-nic-filter oem-vmcp-parmfile": _INSTALLER,
    "oem-swapsize oem-swapname": _SWAP,
    "oem-systemsize": "write a `<size>` for the disk: the overlay has what the others leave",
    "oem-unattended-id": _INSTALLER,
    "repository@sourcetype | baseurl": "leave it out: the address is taken as it is",
    "repository@package_gpgcheck | true 1": (
        "leave it out: apt checks the repository, which has the packages' digests"
    ),
    "package@bootinclude package@bootdelete archive@bootinclude | false 0": _OLD_INITRD,
    "ignore": 'apt cannot leave packages out; remove them with `<packages type="uninstall">`',
    "namedCollection": "write a `<package>` for each, or for the task: task-NAME",
    "collectionModule product": "write a `<package>` for each: apt knows no modules and products",
    "drivers strip": _OLD_INITRD,
    "extension": "keep it for the tools it is for: kiwilite leaves it alone",
}
