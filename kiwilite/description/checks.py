"""Checks of what a selection needs: users, repositories, packages; and all others in a row.

All of it is known before the first package is downloaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from kiwilite.description.architectures import check_architectures
from kiwilite.description.beside import check_folders, check_scripts, check_unused
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.files import check_files, exists
from kiwilite.description.include import local_path
from kiwilite.description.kernel_line import check_kernel_line
from kiwilite.description.kiwi_yml import check_kiwi_yml
from kiwilite.description.listed import check_packages
from kiwilite.description.model import Appliance, ImageType, Overlay, Span
from kiwilite.description.profiles import Selection
from kiwilite.description.secrets import check_secrets
from kiwilite.description.tree import Node
from kiwilite.description.values import comma_list, group

_NO_KERNEL = re.compile(
    r"linux-(base|firmware|headers|tools|perf|doc|source|kbuild|libc|compiler|config|support)"
)
_KERNEL = re.compile(r"linux-[a-z0-9]")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]*")
_SOURCE = re.compile(r"(https?|file|dir|this|distro):(?P<rest>.*)")
_DISTRO = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def check_version(root: Node, version: str) -> Iterator[Diagnostic]:
    """A version must be able to stand in the names of the results."""
    if not _VERSION.fullmatch(version):
        nodes = [v for p in root.all("preferences") for v in p.all("version")]
        span = next((v.span for v in nodes if v.text.strip() == version), root.span)
        message = f"the version `{version}` cannot be part of a file name"
        yield Diagnostic(span, "error", "KL0208", message, "write it as 1.0.2")


def check_users(sections: Sequence[Node]) -> Iterator[Diagnostic]:
    """Users declared twice, and groups that are none."""
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


def check_repositories(repositories: Sequence[Node], directory: Path) -> Iterator[Diagnostic]:
    """Addresses that cannot be used, and local ones where nothing is."""
    for node in repositories:
        source = node.first("source")
        if source is not None:
            yield from _source(source, directory)
            for key in source.all("signing"):
                yield from _local(key, "key", "the key", directory)


def _source(source: Node, directory: Path) -> Iterator[Diagnostic]:
    path = source.get("path")
    if path is None:
        return
    span = source.attribute_span("path")
    found = _SOURCE.fullmatch(path)
    if found is None or not found["rest"].strip("/"):
        message = f"`{path}` is not a source that kiwilite can use"
        hint = "sources are distro:NAME, http(s)://…, file://…, dir:… and this://…"
        yield Diagnostic(span, "error", "KL0502", message, hint)
    elif found[1] == "distro" and not _DISTRO.fullmatch(found["rest"]):
        message = f"`{found['rest']}` is not the name of a distribution"
        yield Diagnostic(span, "error", "KL0502", message, "write for example distro:debian")
    else:
        yield from _local(source, "path", "the repository", directory)


def _local(node: Node, attribute: str, what: str, directory: Path) -> Iterator[Diagnostic]:
    address = node.get(attribute) or ""
    if address.startswith("dir:"):
        address = "file://" + re.sub("^//(?=/)", "", address.removeprefix("dir:"))
    target = local_path(address, directory)
    if target is not None and not exists(target):
        message = f"{what} {target} does not exist"
        yield Diagnostic(node.attribute_span(attribute), "error", "KL0503", message)


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


KIWI_MODULES = frozenset(("dracut-kiwi-overlay", "kiwi-dracut-overlay"))
"""What KIWI needs for an overlay; a description with it is right, but for another tool."""


def check_initrd_packages(appliance: Appliance, image_type: Node) -> Iterator[Diagnostic]:
    """Packages whose files the boot is made of, and that no section lists.

    Each is reported where `image_type` asks for what needs it. A bootstrap archive may
    bring them along, so with one it is just a warning.
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
                "KL0501" if listed.isdisjoint(KIWI_MODULES) else "KL0906",
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
    """All checks that need the tree, and no model."""
    directory, arch = root.file.parent, selection.arch
    yield from check_scripts(root)
    yield from check_folders(root)
    yield from check_unused(root, directory)
    yield from check_files(sections, directory, arch)
    yield from check_packages(root, sections, arch)
    yield from check_architectures(root)
    yield from check_users(list(selection.sections(root, "users")))
    yield from check_repositories(list(selection.sections(root, "repository")), directory)
    yield from check_bootstrap(sections)
    yield from check_secrets(root, selection, image_type)
    yield from check_kernel_line(image_type)
    yield from check_kiwi_yml(root, image_type)
