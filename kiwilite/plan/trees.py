"""The steps from packages to the finished root tree."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from kiwilite.description.model import Appliance, Repository, User
from kiwilite.plan import steps as s
from kiwilite.plan.mounts import fstab, mount_points
from kiwilite.plan.nodes import FACTORY_RESET, Context, Node, has_loader, uki_name
from kiwilite.plan.selection import PackageFiles, Selection, Unselected

DISTRO = "distro:"
RESOLVE = "resolve-packages"
"""Name of the step that selects packages."""
BOOTSTRAP = "bootstrap"
"""Name of the step that makes the minimal tree."""
LARGE = "large-packages"
"""Name of the step that installs the large packages, where there are others as well."""


def tree_nodes(context: Context, archive: Path | None) -> tuple[Node, ...]:
    """Minimal tree (from `archive`, if there is one), packages, customisation.

    The selection comes first, as long as there is none; packages are taken for one step then.
    """
    if archive is None:
        bootstrap = bootstrap_node(context)
    else:
        unpack = s.UnpackBootstrap(s.Source(archive))
        bootstrap = Node(BOOTSTRAP, "minimal tree from the bootstrap archive", unpack)
    chosen = context.chosen
    return (
        *((resolve_node(context, archive, chosen.pin),) if isinstance(chosen, Unselected) else ()),
        bootstrap,
        *_packages_nodes(context),
        Node("customise", "overlay tree, users, files, scripts", _customise(context)),
    )


def apt_sources(appliance: Appliance) -> tuple[s.AptSource, ...]:
    """The repositories as apt sources, in document order."""
    return tuple(_apt_source(appliance, r) for r in appliance.repositories)


def _apt_source(appliance: Appliance, repository: Repository) -> s.AptSource:
    keys = tuple(
        s.Source(appliance.directory / key.removeprefix("file://"))
        for key in repository.signing_keys
    )
    return s.AptSource(
        uri=repository.address,
        suite=repository.distribution or "./",
        components=repository.components,
        architectures=repository.architectures,
        signed_by=keys,
        trusted=not repository.use_gpg,
        priority=repository.priority,
        image_only=repository.imageonly,
        snapshot=repository.snapshot,
    )


def bootstrap_node(context: Context) -> Node:
    appliance = context.appliance
    chosen = context.chosen
    step = s.Bootstrap(
        packages=tuple(p.name for p in appliance.packages.bootstrap),
        package_files=chosen.bootstrap if isinstance(chosen, Selection) else s.Output(RESOLVE),
        architecture=context.architecture,
        epoch=context.epoch,
    )
    return Node(BOOTSTRAP, "minimal tree from packages", step)


def resolve_node(context: Context, archive: Path | None, pin: str) -> Node:
    """The step that tells which packages `tree_nodes` would install."""
    appliance = context.appliance
    step = s.ResolvePackages(
        sources=apt_sources(appliance),
        archive=None if archive is None else s.Source(archive),
        bootstrap=tuple(p.name for p in appliance.packages.bootstrap),
        packages=tuple(p.name for p in appliance.packages.image),
        recommends=appliance.packages.recommends,
        architecture=context.architecture,
        pin=pin,
    )
    return Node(RESOLVE, "list of packages", step)


def _packages_nodes(context: Context) -> tuple[Node, ...]:
    asked = tuple(p.name for p in context.appliance.packages.image)
    chosen = context.chosen
    if isinstance(chosen, Unselected):
        return (Node("packages", "packages", _packages(context, "all", asked, s.Output(RESOLVE))),)
    if not chosen.large:
        return (Node("packages", "packages", _packages(context, "all", asked, chosen.image)),)
    names = set(chosen.large)
    first = tuple(p for p in chosen.image if p.name in names)
    step = _packages(context, "large", tuple(n for n in asked if n in names), first)
    more = s.MorePackages(
        tree=s.Output(LARGE),
        packages=asked,
        package_files=chosen.image,
        recommends=step.recommends,
        epoch=step.epoch,
    )
    return Node(LARGE, "large packages", step), Node("packages", "packages", more)


def _packages(
    context: Context,
    scope: Literal["all", "large"],
    asked: tuple[str, ...],
    files: PackageFiles,
) -> s.Packages:
    appliance = context.appliance
    script = appliance.script("post_bootstrap")
    return s.Packages(
        tree=s.Output(BOOTSTRAP),
        scope=scope,
        packages=asked,
        package_files=files,
        recommends=appliance.packages.recommends,
        archives=_archives(appliance, bootstrap=True),
        files=_files(appliance, bootstrap=True),
        post_bootstrap=s.Source(script) if script else None,
        script_variables=appliance.bootstrap_variables,
        script_network=appliance.preferences.script_network,
        epoch=context.epoch,
    )


def _archives(appliance: Appliance, *, bootstrap: bool) -> tuple[s.UnpackArchive, ...]:
    return tuple(
        s.UnpackArchive(s.Source(appliance.directory / a.name), a.target_dir)
        for a in appliance.archives
        if a.bootstrap == bootstrap
    )


def _files(appliance: Appliance, *, bootstrap: bool) -> tuple[s.PlaceFile, ...]:
    return tuple(
        s.PlaceFile(
            s.Source(appliance.directory / f.name),
            f.target or f"/{Path(f.name).name}",
            f.owner or "root:root",
            f.permissions,
        )
        for f in appliance.files
        if f.bootstrap == bootstrap
    )


def _account(user: User) -> s.Account:
    plain = user.password if user.pwdformat == "plain" else None
    return s.Account(
        name=user.name,
        password=user.password if plain is None else None,
        plain_password=None if plain is None else s.Secret(plain),
        uid=user.uid,
        realname=user.realname,
        home=user.home,
        shell=user.shell,
        groups=user.groups,
    )


def _customise(context: Context) -> s.Customise:
    appliance = context.appliance
    kind = appliance.type
    resettable = kind.overlay is not None and kind.overlay.write_partition
    return s.Customise(
        tree=s.Output("packages"),
        overlay_trees=tuple(s.Source(p) for p in appliance.overlay_trees),
        archives=_archives(appliance, bootstrap=False),
        files=_files(appliance, bootstrap=False),
        accounts=tuple(_account(u) for u in appliance.users),
        locale=appliance.preferences.locale,
        keytable=appliance.preferences.keytable,
        timezone=appliance.preferences.timezone,
        hostname=appliance.name,
        fstab=fstab(appliance),
        mount_points=mount_points(kind),
        uninstall=tuple(p.name for p in appliance.packages.uninstall),
        delete=tuple(p.name for p in appliance.packages.delete),
        image_sources=_image_sources(context),
        scripts=tuple((n, s.Source(p)) for n, p in appliance.scripts if n != "post_bootstrap"),
        script_variables=appliance.script_variables,
        script_network=appliance.preferences.script_network,
        resettable=resettable,
        factory_reset_entry=f"{uki_name(appliance)}@{FACTORY_RESET}".lower()
        if resettable and has_loader(kind)
        else None,
        lists_overlay=kind.overlay is not None,
        seed=context.seed,
        epoch=context.epoch,
    )


def _image_sources(context: Context) -> tuple[str, ...]:
    """apt lines of the repositories that `imageinclude` or `imageonly` keeps in the image."""
    rows = []
    for repository in context.appliance.repositories:
        if not (repository.imageinclude or repository.imageonly):
            continue
        uri, past = repository.address, repository.snapshot is not None
        if uri.startswith(DISTRO):
            uri, past = context.mirrors.get(uri.removeprefix(DISTRO), ""), False
        if uri.startswith(("http://", "https://")):
            options = ["[check-valid-until=no]"] if past else []
            words = ["deb", *options, uri, repository.distribution or "./", *repository.components]
            rows.append(" ".join(words))
    return tuple(rows)
