"""Checks of what a selection needs: files, users, repositories, secrets, packages.

All of it is known before the first package is downloaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.include import local_path
from kiwilite.description.model import Appliance, ImageType, Overlay, Span
from kiwilite.description.profiles import Selection, matches
from kiwilite.description.resolve import SCRIPTS
from kiwilite.description.tree import Node
from kiwilite.description.values import comma_list, group, permissions, writes_to_partition

_NO_KERNEL = re.compile(
    r"linux-(base|firmware|headers|tools|perf|doc|source|kbuild|libc|compiler|config|support)"
)
_KERNEL = re.compile(r"linux-[a-z0-9]")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*")
_SOURCE = re.compile(r"(https?|file|dir|this|distro):(?P<rest>.*)")
_OF_KIWI = re.compile(r"(obs|obsrepositories|ftp|iso|suse):")
_DISTRO = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def check_version(root: Node, version: str) -> Iterator[Diagnostic]:
    """A version must be able to stand in the names of the results."""
    if not _VERSION.fullmatch(version):
        nodes = [v for p in root.all("preferences") for v in p.all("version")]
        span = next((v.span for v in nodes if v.text.strip() == version), root.span)
        message = f"the version `{version}` cannot be part of a file name"
        yield Diagnostic(span, "error", "KL0208", message, "write it as 1.0.2")


def check_scripts(root: Node) -> Iterator[Diagnostic]:
    """Scripts that exist but cannot be read, and those that kiwilite does not run."""
    directory = root.file.parent
    for name in SCRIPTS:
        script = directory / f"{name}.sh"
        if os.path.lexists(script) and not _readable(script):
            message = f"the script {script.name} exists, but cannot be read as a file"
            yield Diagnostic(root.span, "error", "KL0303", message, "check its type and mode")
    if os.path.lexists(directory / "disk.sh"):
        message = "disk.sh stands beside the description, but kiwilite does not run it"
        hint = "no disk is mounted during a build; do it in config.sh or pre_disk_sync.sh"
        yield Diagnostic(root.span, "error", "KL0903", message, hint)


def _readable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.R_OK)


def check_files(sections: Sequence[Node], arch: str) -> Iterator[Diagnostic]:
    """`<file>` and `<archive>`: missing, outside of the tree, or with a wrong mode."""
    for section in sections:
        for node in section.all("file"):
            if matches(node, arch):
                yield from _present(node, "KL0301", "file")
                yield from _inside(node, "target")
                mode = node.get("permissions")
                if mode is not None and permissions(mode) is None:
                    message = f"`{mode}` is not an octal mode"
                    span = node.attribute_span("permissions")
                    yield Diagnostic(span, "error", "KL0305", message, "write it as 0644")
        for node in section.all("archive"):
            yield from _present(node, "KL0302", "archive")
            yield from _inside(node, "target_dir")


def _present(node: Node, code: str, what: str) -> Iterator[Diagnostic]:
    name = node.get("name")
    if not name:
        return
    span = node.attribute_span("name")
    if name.startswith("/"):
        message = f"the {what} {name} comes from the build host, not from the description"
        hint = f"put a copy beside the description and write name={Path(name).name!r}"
        yield Diagnostic(span, "warning", code, message, hint)
    elif not _exists(node.file.parent / name):
        message = f"the {what} `{name}` does not stand beside the description"
        yield Diagnostic(span, "error", code, message, f"it would be {node.file.parent / name}")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _inside(node: Node, attribute: str) -> Iterator[Diagnostic]:
    value = node.get(attribute)
    if value is not None and ".." in value.split("/"):
        message = f"`{attribute}` must not lead upwards: `{value}`"
        yield Diagnostic(node.attribute_span(attribute), "error", "KL0304", message)


def check_users(sections: Sequence[Node]) -> Iterator[Diagnostic]:
    """Users declared twice, groups that are none, passwords in plain text."""
    seen: dict[str, Node] = {}
    for node in (user for section in sections for user in section.all("user")):
        name = node.get("name") or ""
        first = seen.setdefault(name, node)
        if first is not node:
            message = f"the user `{name}` is already declared at line {first.span.line}"
            yield Diagnostic(node.attribute_span("name"), "error", "KL0603", message)
        for text in comma_list(node.get("groups")):
            if group(text) is None:
                message = f"`{text}` is not a group; write NAME or NAME:GID"
                yield Diagnostic(node.attribute_span("groups"), "error", "KL0604", message)
        if node.get("pwdformat") == "plain":
            message = f"the password of `{name}` stands in the file in plain text"
            hint = "put the output of `openssl passwd -6` there, without pwdformat"
            yield Diagnostic(node.attribute_span("password"), "warning", "KL0601", message, hint)


def check_repositories(repositories: Sequence[Node]) -> Iterator[Diagnostic]:
    """Addresses that cannot be used, local ones that are missing, passwords."""
    for node in repositories:
        if "password" in node.attributes:
            message = "the password of a repository stands in the file"
            hint = "keep it in kiwilite.yml or in apt's auth.conf"
            yield Diagnostic(node.attribute_span("password"), "warning", "KL0601", message, hint)
        source = node.first("source")
        if source is not None:
            yield from _source(source)
            for key in source.all("signing"):
                yield from _local(key, "key", "the key")


def _source(source: Node) -> Iterator[Diagnostic]:
    path = source.get("path")
    if path is None:
        return
    span = source.attribute_span("path")
    found = _SOURCE.fullmatch(path)
    if _OF_KIWI.match(path):
        message = f"the source `{path}` is not built by kiwilite"
        hint = "name a mirror: distro:NAME, http(s)://…, file://…, dir:… or this://…"
        yield Diagnostic(span, "error", "KL0901", message, hint)
        return
    if found is None or not found["rest"].strip("/"):
        message = f"`{path}` is not a source that kiwilite can use"
        hint = "sources are distro:NAME, http(s)://…, file://…, dir:… and this://…"
        yield Diagnostic(span, "error", "KL0502", message, hint)
    elif found[1] == "distro" and not _DISTRO.fullmatch(found["rest"]):
        message = f"`{found['rest']}` is not the name of a distribution"
        yield Diagnostic(span, "error", "KL0502", message, "write for example distro:debian")
    else:
        yield from _local(source, "path", "the repository")


def _local(node: Node, attribute: str, what: str) -> Iterator[Diagnostic]:
    address = node.get(attribute) or ""
    if address.startswith("dir:"):
        address = "file://" + re.sub("^//(?=/)", "", address.removeprefix("dir:"))
    target = local_path(address, node.file.parent)
    if target is not None and not _exists(target):
        message = f"{what} {target} does not exist"
        yield Diagnostic(node.attribute_span(attribute), "error", "KL0503", message)


def check_passphrase(image_type: Node) -> Iterator[Diagnostic]:
    """A passphrase that is not there, stands in the file, or travels in every initrd."""
    luks = image_type.attributes.get("luks")
    if luks is None:
        yield from _unencrypted(image_type)
        return
    span = image_type.attribute_span("luks")
    if luks in ("", "random"):
        message = f'`luks="{luks}"` is not built by kiwilite: nobody would know the passphrase'
        yield Diagnostic(span, "error", "KL0901", message, 'write luks="file://PATH"')
        return
    if luks.startswith("file://"):
        path = image_type.file.parent / luks.removeprefix("file://")
        if not _exists(path):
            message = f"the key file {path} does not exist"
            yield Diagnostic(span, "error", "KL0301", message)
    else:
        message = "the passphrase of the encrypted volume stands in the file"
        yield Diagnostic(span, "warning", "KL0601", message, 'refer to it: luks="file://PATH"')
    if (image_type.get("luks_unlock") or "embedded") == "embedded":
        yield Diagnostic(
            span,
            "warning",
            "KL0602",
            "the passphrase travels inside the initrd, readable to whoever has the image",
            "this is for demonstrations; a device in the field needs a TPM",
        )


def _unencrypted(image_type: Node) -> Iterator[Diagnostic]:
    """An overlay partition in the clear, which is more than nothing and less than it looks."""
    if writes_to_partition(image_type):
        yield Diagnostic(
            image_type.attribute_span("overlayroot"),
            "error",
            "KL0901",
            "an overlay partition without encryption is not built by kiwilite",
            'add luks="file://PATH", or overlayroot_write_partition="false" for one in memory',
        )


def check_bootstrap(sections: Sequence[Node]) -> Iterator[Diagnostic]:
    """Two different bootstrap archives that hold at once."""
    first: Node | None = None
    for section in sections:
        if section.get("bootstrap_package") is None:
            continue
        first = first or section
        if section.get("bootstrap_package") != first.get("bootstrap_package"):
            line = first.attribute_span("bootstrap_package").line
            message = f"another bootstrap archive holds already, at line {line}"
            span = section.attribute_span("bootstrap_package")
            yield Diagnostic(span, "error", "KL0505", message)


def check_initrd_packages(appliance: Appliance, image_type: Node) -> Iterator[Diagnostic]:
    """Packages whose files the boot is made of, and that no section lists.

    Each is reported where `image_type` asks for what needs it.

    A bootstrap archive may bring them along, so with one it is just a warning.
    """
    overlay = appliance.type.overlay
    if overlay is None:
        return
    listed = {p.name for p in (*appliance.packages.bootstrap, *appliance.packages.image)}
    certain = appliance.packages.bootstrap_package is None
    for package, purpose, span in _needed(appliance.type, overlay, image_type):
        if not _provided(package, listed):
            yield Diagnostic(
                span,
                "error" if certain else "warning",
                "KL0501",
                f"no package `{package}` is installed, which is needed for {purpose}",
                f'add <package name="{package}"/>'
                + ("" if certain else ", unless the bootstrap archive has it"),
            )


def _needed(kind: ImageType, overlay: Overlay, node: Node) -> Iterator[tuple[str, str, Span]]:
    """Packages, what each is for, and what asks for it."""
    if kind.initrd_system == "dracut":
        yield "dracut", "making the initrd", node.attribute_span("initrd_system")
    yield "busybox", "the initrd's shell", kind.span
    yield "linux-image-…", "the kernel", kind.span
    if overlay.luks or overlay.verity_blocks:
        yield "cryptsetup-bin", "opening the verity and LUKS volumes", kind.span
    if overlay.write_partition and overlay.filesystem == "xfs":
        yield "xfsprogs", "making the overlay's file system", kind.span
    for partition in kind.partitions:
        if (partition.encrypted or partition.reset) and partition.filesystem in _FORMATTERS:
            tools = _FORMATTERS[partition.filesystem]
            yield tools, f"making the file system of {partition.name}", partition.span
    if kind.firmware == "uefi":
        yield "systemd-boot-efi", "the stub of the unified kernel image", kind.span
    if kind.bios:
        yield "grub-pc-bin", "booting under a legacy BIOS", node.attribute_span("eficsm")


_FORMATTERS = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}

_ALTERNATIVES = {
    "busybox": {"busybox", "busybox-static"},
    "cryptsetup-bin": {"cryptsetup-bin", "cryptsetup", "cryptsetup-initramfs"},
    "dracut": {"dracut", "dracut-core"},
    "grub-pc-bin": {"grub-pc-bin", "grub-pc"},
    "systemd-boot-efi": {"systemd-boot-efi", "systemd-boot"},
}


def _provided(package: str, listed: set[str]) -> bool:
    if package == "linux-image-…":
        return any(_KERNEL.match(name) and not _NO_KERNEL.match(name) for name in listed)
    return not listed.isdisjoint(_ALTERNATIVES.get(package, {package}))


def check_selection(
    root: Node, selection: Selection, image_type: Node, sections: Sequence[Node]
) -> Iterator[Diagnostic]:
    """All checks of this module that need no model."""
    yield from check_scripts(root)
    yield from check_files(sections, selection.arch)
    yield from check_users(list(selection.sections(root, "users")))
    yield from check_repositories(list(selection.sections(root, "repository")))
    yield from check_bootstrap(sections)
    yield from check_passphrase(image_type)
