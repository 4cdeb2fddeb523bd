"""KIWI's `kiwi_*` variables, which scripts find in `/.profile` and in their environment.

All names that KIWI 11 sets for disk images are there, empty where nothing says more, so that
a script may run under `set -u`. `kiwi_format`, `kiwi_overlayroot` and `kiwi_uninstall` are
kiwilite's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kiwilite.description.choose import Chosen
from kiwilite.description.profiles import Selection
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean

_TYPE: Final = {
    "kiwi_bootkernel": "bootkernel",
    "kiwi_bootprofile": "bootprofile",
    "kiwi_btrfs_root_is_snapper_snapshot": "btrfs_root_is_snapper_snapshot",
    "kiwi_btrfs_root_is_snapshot": "btrfs_root_is_snapper_snapshot",
    "kiwi_cmdline": "kernelcmdline",
    "kiwi_compressed": "compressed",
    "kiwi_devicepersistency": "devicepersistency",
    "kiwi_firmware": "firmware",
    "kiwi_format": "format",
    "kiwi_fsmountoptions": "fsmountoptions",
    "kiwi_gpt_hybrid_mbr": "gpt_hybrid_mbr",
    "kiwi_hybridpersistent": "hybridpersistent",
    "kiwi_hybridpersistent_filesystem": "hybridpersistent_filesystem",
    "kiwi_installboot": "installboot",
    "kiwi_ramonly": "ramonly",
    "kiwi_target_removable": "target_removable",
    "kiwi_type": "image",
    "kiwi_wwid_wait_timeout": "wwid_wait_timeout",
}
"""Attributes of `<type>`, as written."""

_TYPE_OR_ELSE: Final = {
    "kiwi_install_volid": ("volid", "INSTALL"),
    "kiwi_startsector": ("disk_start_sector", "2048"),
    "kiwi_target_blocksize": ("target_blocksize", "512"),
}

_OEM: Final = {
    "kiwi_oembootwait": "oem-bootwait",
    "kiwi_oemdevicefilter": "oem-device-filter",
    "kiwi_oemkboot": "oem-kiwi-initrd",
    "kiwi_oemmultipath_scan": "oem-multipath-scan",
    "kiwi_oemnicfilter": "oem-nic-filter",
    "kiwi_oempartition_install": "oem-partition-install",
    "kiwi_oemramdisksize": "oem-ramdisk-size",
    "kiwi_oemreboot": "oem-reboot",
    "kiwi_oemrebootinteractive": "oem-reboot-interactive",
    "kiwi_oemrecovery": "oem-recovery",
    "kiwi_oemrecoveryID": "oem-recoveryID",
    "kiwi_oemrecoveryInPlace": "oem-inplace-recovery",
    "kiwi_oemrecoveryPartSize": "oem-recovery-part-size",
    "kiwi_oemresizeonce": "oem-resize-once",
    "kiwi_oemrootMB": "oem-systemsize",
    "kiwi_oemshutdown": "oem-shutdown",
    "kiwi_oemshutdowninteractive": "oem-shutdown-interactive",
    "kiwi_oemsilentboot": "oem-silent-boot",
    "kiwi_oemsilentinstall": "oem-silent-install",
    "kiwi_oemsilentverify": "oem-silent-verify",
    "kiwi_oemskipverify": "oem-skip-verify",
    "kiwi_oemswapMB": "oem-swapsize",
    "kiwi_oemtitle": "oem-boot-title",
    "kiwi_oemunattended": "oem-unattended",
    "kiwi_oemunattended_id": "oem-unattended-id",
    "kiwi_oemvmcp_parmfile": "oem-vmcp-parmfile",
}
"""Elements of `<oemconfig>`."""

_PREFERENCES: Final = {
    "kiwi_iversion": "version",
    "kiwi_keytable": "keytable",
    "kiwi_language": "locale",
    "kiwi_loader_theme": "bootloader-theme",
    "kiwi_showlicense": "showlicense",
    "kiwi_splash_theme": "bootsplash-theme",
    "kiwi_timezone": "timezone",
}

_STRIP: Final = {
    "kiwi_strip_delete": "delete",
    "kiwi_strip_libs": "libs",
    "kiwi_strip_tools": "tools",
}

_FIXED: Final = {
    "kiwi_align": "1048576",
    "kiwi_revision": "",
    "kiwi_rootpartuuid": "",
    "kiwi_sectorsize": "512",
    "kiwi_shasum_suffix": "",
}
"""The alignment of partitions, and what kiwilite has no value for."""


def environment(
    root: Node, selection: Selection, chosen: Chosen, sections: Iterable[Node]
) -> tuple[tuple[str, str], ...]:
    """(name, value) of all variables, sorted; `sections` are the `<packages>` that hold."""
    kind = chosen.type
    assert kind is not None
    packages = list(sections)
    name = root.get("name") or ""
    variables = {
        **_FIXED,
        "kiwi_iname": name,
        "kiwi_displayname": root.get("displayname") or name,
        "kiwi_profiles": ",".join(selection.profiles),
        "kiwi_delete": _packages(packages, "delete", selection),
        "kiwi_uninstall": _packages(packages, "uninstall", selection),
        "kiwi_drivers": ",".join(_files(selection.sections(root, "drivers"))),
        **{n: kind.get(attribute) or "" for n, attribute in _TYPE.items()},
        **{n: kind.get(a) or default for n, (a, default) in _TYPE_OR_ELSE.items()},
        **_boot(kind),
        **_oem(kind.first("oemconfig")),
        **_preferences(selection.sections(root, "preferences")),
        **_strip(list(selection.sections(root, "strip"))),
    }
    return tuple(sorted(variables.items()))


def _boot(kind: Node) -> Mapping[str, str]:
    loader = kind.first("bootloader")

    def of_loader(attribute: str, otherwise: str) -> str:
        return (loader.get(attribute) if loader else None) or otherwise

    output = of_loader("output_console", "none")
    consoles = [output, of_loader("input_console", output)]
    return {
        "kiwi_boot_timeout": of_loader("timeout", ""),
        "kiwi_bootloader": of_loader("name", ""),
        "kiwi_bootloader_console": ":".join("default" if c == "none" else c for c in consoles),
        "kiwi_vga": of_loader("video_mode", "auto"),
        "kiwi_initrd_system": kind.get("initrd_system") or "kiwi",
        "kiwi_luks_empty_passphrase": str(kind.attributes.get("luks") == "").lower(),
        "kiwi_overlayroot": "true" if boolean(kind, "overlayroot") else "",
    }


def _oem(section: Node | None) -> Mapping[str, str]:
    def text(name: str) -> str:
        node = section.first(name) if section else None
        return node.text.strip() if node else ""

    return {variable: text(name) for variable, name in _OEM.items()}


def _preferences(sections: Iterable[Node]) -> Mapping[str, str]:
    nodes = [node for section in sections for node in section.children]
    first = {node.name: node.text.strip() for node in reversed(nodes)}
    return {variable: first.get(name, "") for variable, name in _PREFERENCES.items()}


def _packages(sections: Iterable[Node], kind: str, selection: Selection) -> str:
    names = {
        node.get("name") or ""
        for section in sections
        if section.get("type") == kind
        for node in section.all("package")
        if selection.holds(node)
    }
    return " ".join(sorted(names))


def _strip(sections: list[Node]) -> Mapping[str, str]:
    return {
        variable: " ".join(_files(s for s in sections if s.get("type") == kind))
        for variable, kind in _STRIP.items()
    }


def _files(sections: Iterable[Node]) -> list[str]:
    return [node.get("name") or "" for section in sections for node in section.all("file")]
