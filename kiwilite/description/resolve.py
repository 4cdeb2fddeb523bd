"""The model from the sections that hold. The tree is valid and the choices are clear by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kiwilite.description import resolve_type
from kiwilite.description.choose import Chosen
from kiwilite.description.defaults import PACKAGE_MANAGER, value_of
from kiwilite.description.environment import environment
from kiwilite.description.include import is_file, local_path
from kiwilite.description.model import (
    Appliance,
    Archive,
    BootstrapPackage,
    FileElement,
    Package,
    Packages,
    Preferences,
    Repository,
    Specification,
    User,
)
from kiwilite.description.profiles import Selection, matches
from kiwilite.description.script_variables import Readers, looked_at
from kiwilite.description.tree import Node
from kiwilite.description.values import (
    boolean,
    comma_list,
    group,
    integer,
    number,
    permissions,
    truth,
)

SCRIPTS = ("post_bootstrap", "config", "images", "pre_disk_sync")
"""KIWI's scripts that kiwilite runs, in KIWI's order."""

DRACUT = "etc/dracut.conf.d"


def resolve(root: Node, written_version: str, selection: Selection, chosen: Chosen) -> Appliance:
    """The appliance that `root` describes for `selection`.

    `written_version` is the schemaversion the file has on disk.
    """
    assert chosen.type is not None
    directory = root.file.parent
    trees = tuple(overlay_trees(directory, selection.profiles))
    image_type = resolve_type.image_type(chosen.type)
    sections = list(packages_sections(root, selection, image_type.image))
    variables = environment(root, selection, chosen, sections)
    archives, files = tuple(_archives(sections)), tuple(_files(sections, selection.arch))
    scripts = _scripts(directory)
    return Appliance(
        name=root.get("name") or "",
        displayname=root.get("displayname"),
        schemaversion=written_version,
        arch=selection.arch,
        file=root.file,
        directory=directory,
        profiles=selection.profiles,
        specification=_specification(root),
        preferences=_preferences(chosen.values),
        type=image_type,
        users=tuple(
            _user(user)
            for section in selection.sections(root, "users")
            for user in section.all("user")
        ),
        repositories=tuple(
            _repository(node, directory) for node in selection.sections(root, "repository")
        ),
        packages=_packages(sections, selection.arch),
        archives=archives,
        files=files,
        scripts=scripts,
        overlay_trees=trees,
        span=root.span,
        environment=variables,
        bootstrap_variables=looked_at(
            variables, _early_readers(directory, scripts, archives, files)
        ),
        script_variables=looked_at(variables, _readers(directory, scripts, archives, files, trees)),
        dracut_configuration=tuple(t / DRACUT for t in trees if (t / DRACUT).is_dir()),
    )


Scripts = tuple[tuple[str, Path], ...]
POST_BOOTSTRAP = SCRIPTS[0]


def _scripts(directory: Path) -> Scripts:
    rows = ((name, directory / f"{name}.sh") for name in SCRIPTS)
    return tuple(row for row in rows if is_file(row[1]))


def _early_readers(
    directory: Path,
    scripts: Scripts,
    archives: Sequence[Archive],
    files: Sequence[FileElement],
) -> Readers:
    """post_bootstrap.sh, and what is in the tree before it."""
    return Readers(
        scripts=tuple(path for name, path in scripts if name == POST_BOOTSTRAP),
        called=tuple(directory / f.name for f in files if f.bootstrap),
        archives=any(a.bootstrap for a in archives),
    )


def _readers(
    directory: Path,
    scripts: Scripts,
    archives: Sequence[Archive],
    files: Sequence[FileElement],
    trees: Sequence[Path],
) -> Readers:
    """The other scripts, and all that the description brings."""
    return Readers(
        scripts=tuple(path for name, path in scripts if name != POST_BOOTSTRAP),
        called=(*trees, *(directory / f.name for f in files)),
        archives=bool(archives),
    )


def packages_sections(root: Node, selection: Selection, image: str) -> Iterator[Node]:
    """The `<packages>` sections that hold for image type `image`."""
    used = ("bootstrap", "image", "delete", "uninstall", image)
    return (s for s in selection.sections(root, "packages") if s.get("type") in used)


def _specification(root: Node) -> Specification:
    section = root.first("description")
    assert section is not None

    def text(name: str) -> str:
        return ", ".join(" ".join(node.text.split()) for node in section.all(name))

    return Specification(text("author"), text("contact"), text("specification"))


def _preferences(values: dict[str, str]) -> Preferences:
    epoch = values.get("source_date_epoch")
    return Preferences(
        version=values["version"],
        packagemanager=values.get("packagemanager", PACKAGE_MANAGER),
        locale=values.get("locale"),
        keytable=values.get("keytable"),
        timezone=values.get("timezone"),
        script_network=values.get("script_network") in ("true", "1"),
        source_date_epoch=number(epoch),
    )


def overlay_trees(directory: Path, profiles: Sequence[str]) -> Iterator[Path]:
    """`root/`, then a directory per profile; a profile's name is never taken for a longer path."""
    for name in dict.fromkeys(("root", *profiles)):
        if name not in ("", ".", "..") and "/" not in name and (directory / name).is_dir():
            yield directory / name


def _user(node: Node) -> User:
    groups = (group(text) for text in comma_list(node.get("groups")))
    return User(
        name=node.get("name") or "",
        password=node.attributes.get("password"),
        pwdformat=value_of(node, "pwdformat"),
        uid=integer(node, "id"),
        realname=node.get("realname"),
        home=node.get("home"),
        shell=node.get("shell"),
        groups=tuple(found for found in groups if found is not None),
        span=node.span,
    )


def _repository(node: Node, directory: Path) -> Repository:
    source = node.first("source")
    assert source is not None
    distribution = node.get("distribution")
    components = value_of(node, "components") if distribution else node.get("components") or ""
    return Repository(
        type=value_of(node, "type"),
        path=_beside(source.get("path") or "", directory, "dir:"),
        alias=node.get("alias"),
        distribution=distribution,
        components=tuple(components.split()),
        architectures=comma_list(node.get("architectures")),
        priority=integer(node, "priority"),
        imageinclude=boolean(node, "imageinclude"),
        imageonly=boolean(node, "imageonly"),
        use_gpg=truth(value_of(node, "repository_gpgcheck")),
        signing_keys=tuple(
            _beside(key.get("key") or "", directory, "file://") for key in source.all("signing")
        ),
        username=node.get("username"),
        password=node.attributes.get("password"),
        span=node.span,
        snapshot=source.get("snapshot"),
    )


def _beside(address: str, directory: Path, scheme: str) -> str:
    """`this://PATH` as an absolute path behind `scheme`; other addresses as they are."""
    if not address.startswith("this://"):
        return address
    path = local_path(address, directory.absolute())
    return address if path is None else f"{scheme}{path}"


def _packages(sections: Sequence[Node], arch: str) -> Packages:
    """Sections of the image type itself count as `image`."""
    special = ("bootstrap", "delete", "uninstall")
    image = [section for section in sections if section.get("type") not in special]

    def listed(section_type: str) -> tuple[Package, ...]:
        return _listed([s for s in sections if s.get("type") == section_type], arch)

    archive = next((s for s in sections if s.get("bootstrap_package")), None)
    return Packages(
        bootstrap=listed("bootstrap"),
        image=_listed(image, arch),
        delete=listed("delete"),
        uninstall=listed("uninstall"),
        bootstrap_package=None if archive is None else _bootstrap_package(archive),
        recommends=any(s.get("patternType") == "plusRecommended" for s in image),
    )


def _bootstrap_package(section: Node) -> BootstrapPackage:
    digest = section.get("bootstrap_digest")
    return BootstrapPackage(
        section.get("bootstrap_package") or "",
        None if digest is None else digest.removeprefix("sha256:"),
        section.attribute_span("bootstrap_package"),
    )


def _listed(sections: Sequence[Node], arch: str) -> tuple[Package, ...]:
    """The packages of `sections`, each name once, at its first place."""
    by_name: dict[str, Package] = {}
    for section in sections:
        for node in section.all("package"):
            name = node.get("name") or ""
            if matches(node, arch) and name not in by_name:
                by_name[name] = Package(name, node.span)
    return tuple(by_name.values())


def _archives(sections: Sequence[Node]) -> Iterator[Archive]:
    for section in sections:
        for node in section.all("archive"):
            yield Archive(
                name=node.get("name") or "",
                target_dir=value_of(node, "target_dir"),
                bootstrap=section.get("type") == "bootstrap",
                span=node.span,
            )


def _files(sections: Sequence[Node], arch: str) -> Iterator[FileElement]:
    for section in sections:
        for node in section.all("file"):
            if matches(node, arch):
                mode = node.get("permissions")
                yield FileElement(
                    name=node.get("name") or "",
                    target=node.get("target"),
                    owner=node.get("owner"),
                    permissions=None if mode is None else permissions(mode),
                    bootstrap=section.get("type") == "bootstrap",
                    span=node.span,
                )
