"""No stale result: what can change an image changes its key, or cannot be built at all.

The grammar is walked as the code has it, and so are the steps: an attribute, or a field of
a step, that is added later is changed here without a word about it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from built_description import AT_BUILD, DIGEST, EVERYTHING, REFUSED, SIMPLE, changed, write_files
from grammar_changes import WITHOUT_EFFECT, effects, forms, name_of, value_of, values
from planned_keys import lock, planned

from kiwilite.build.executor import Keyed
from kiwilite.build.host import Identity, ToolDigests
from kiwilite.build.image import wanted_nodes
from kiwilite.build.keys import Ingredients, ingredients_of
from kiwilite.build.lock_file import LockOutdated
from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.support import SUPPORT
from kiwilite.description.support_table import BUILT
from kiwilite.errors import KiwiliteError
from kiwilite.plan import steps as s
from kiwilite.plan.nodes import Node, Plan
from kiwilite.plan.references import LINE, Output, Secret, Source, sources_of
from kiwilite.plan.selection import PackageFile, Place, Selection

SCRIPTS = ("post_bootstrap", "config", "images", "pre_disk_sync")


@pytest.fixture(autouse=True)
def any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys must not need the tools."""
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: Identity(name, name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """All that the descriptions refer to, and what stands beside a description unnamed."""
    place = tmp_path / "description"
    (place / "bootstrap").mkdir(parents=True)
    write_files(place)
    for name in ("tree", "stem"):
        (place / f"bootstrap/{name}.tar.zst").write_text("archive")
    (place / "root/etc/dracut.conf.d").mkdir(parents=True)
    (place / "root/etc/dracut.conf.d/own.conf").write_text("# of dracut\n")
    (place / "root/etc/link").symlink_to("motd")
    for profile in ("p", "q", "other"):
        (place / profile).mkdir()
        (place / profile / "of-profile").write_text(f"{profile}\n")
    return place


@pytest.fixture
def with_scripts(folder: Path) -> Path:
    """The same with all scripts, which are given variables: most attributes are in one."""
    for name in SCRIPTS:
        (folder / f"{name}.sh").write_text(f"#!/bin/sh\n# {name}\n")
    return folder


def planned_text(folder: Path, text: str) -> tuple[Plan, Keyed]:
    """The plan of `text` beside the files of `folder`. Raises KiwiliteError."""
    found = hashlib.sha256((folder / "bootstrap/tree.tar.zst").read_bytes()).hexdigest()
    (folder / "appliance.kiwi").write_text(text.replace(DIGEST, f"sha256:{found}"))
    _, plan, keyed = planned(folder)
    return plan, keyed


def image_key(folder: Path, text: str) -> tuple[str, ...] | None:
    """The keys of all that is published, and its names; None where nothing would be."""
    try:
        plan, keyed = planned_text(folder, text)
    except DescriptionInvalid:
        return None
    except LockOutdated:
        raise
    except KiwiliteError as error:
        assert "digest" in error.message
        return None
    return (plan.file_name, *(keyed.keys[name] for name in wanted_nodes(plan)))


FROM_AN_ARCHIVE = f' bootstrap_package="tree" bootstrap_digest="{DIGEST}"'
"""Without it the tree is made from the bootstrap packages."""

OF_THE_ARCHIVE = {"packages@bootstrap_package", "packages@bootstrap_digest"}
"""A build refuses an archive with another digest."""

EFFECTS = list(effects())


@pytest.mark.parametrize(
    ("base", "element", "attribute", "value"),
    EFFECTS,
    ids=[f"{e}@{a}={v}" if a else f"{e}={v}" for _, e, a, v in EFFECTS],
)
def test_what_is_built_changes_the_key_of_the_image(
    folder: Path, base: str, element: str, attribute: str | None, value: str
) -> None:
    if value_of(base, element, attribute) == value:
        return
    name = name_of(element, attribute)
    if name not in OF_THE_ARCHIVE:
        base = base.replace(FROM_AN_ARCHIVE, "")
    before = image_key(folder, base)
    after = image_key(folder, changed(base, element, attribute, value))
    assert before is not None
    assert after != before
    assert after is not None or name in REFUSED | OF_THE_ARCHIVE


def test_every_built_attribute_and_text_is_among_the_changes() -> None:
    tried = {name_of(element, attribute) for _, element, attribute, _ in EFFECTS}
    built = {
        name_of(element, attribute)
        for element, attribute, kind in forms()
        if kind is not None and name_of(element, attribute) in BUILT
    }
    assert built - WITHOUT_EFFECT - tried == set()


CHOICES = {
    "image@schemaversion",  # the older ones have other words
    "include@from",
    "packages@type",
    "repository@type",
    "type@luks_unlock",
    "type@primary",
}
"""Declared to be without an effect of their own, and with nothing to change them to here."""

IDLE = [
    (element, attribute, kind)
    for element, attribute, kind in forms()
    if kind is not None and name_of(element, attribute) in WITHOUT_EFFECT - CHOICES
]


@pytest.mark.parametrize(
    ("element", "attribute", "kind"), IDLE, ids=[name_of(e, a) for e, a, _ in IDLE]
)
def test_what_is_declared_to_have_no_effect_runs_nothing(
    folder: Path, element: str, attribute: str | None, kind: Any
) -> None:
    base = AT_BUILD if element == "keyslot" else EVERYTHING
    row = SUPPORT.get(name_of(element, attribute))
    value = row.fine[0] if row else values(kind)[-1]
    before = image_key(folder, base)
    after = image_key(folder, changed(base, element, attribute, value))
    assert before is not None
    assert after == before


def change_content(path: Path) -> None:
    """Of a file, or of the first in a folder."""
    target = next(p for p in sorted(path.rglob("*")) if p.is_file()) if path.is_dir() else path
    target.write_text(f"{target.read_text()}# changed\n")


def change_mode(path: Path) -> None:
    path.chmod(0o700 if path.stat().st_mode & 0o777 != 0o700 else 0o750)


def add_to(path: Path) -> None:
    (path / "added").write_text("")


def remove_from(path: Path) -> None:
    next(p for p in sorted(path.rglob("*")) if p.is_file()).unlink()


def relink(path: Path) -> None:
    (path / "etc/link").unlink()
    (path / "etc/link").symlink_to("issue")


TREES = ("root", "p", "q")
Change = Callable[[Path], None]
FILES: list[tuple[str, Change]] = [
    *((name, change_content) for name in ("key", "rsa.pem", "motd", "extra.tar.gz")),
    *((f"{name}.sh", change) for name in SCRIPTS for change in (change_content, change_mode)),
    *(
        (name, change)
        for name in ("root", "p", "q")
        for change in (change_content, add_to, remove_from)
    ),
    ("root", relink),
    ("p/of-profile", change_mode),
    ("root/etc/dracut.conf.d", add_to),
    ("bootstrap/tree.tar.zst", change_content),
]


@pytest.mark.parametrize("base", [EVERYTHING, AT_BUILD], ids=["firstboot", "build"])
@pytest.mark.parametrize(("name", "change"), FILES, ids=[f"{n}-{c.__name__}" for n, c in FILES])
def test_what_stands_beside_the_description_changes_the_key_of_the_image(
    with_scripts: Path, base: str, name: str, change: Change
) -> None:
    folder = with_scripts
    before = image_key(folder, base)
    change(folder / name)
    after = image_key(folder, base)
    assert before and after and before != after


def test_every_file_that_a_step_reads_is_among_those_that_are_changed(with_scripts: Path) -> None:
    folder = with_scripts
    tried = {folder / name for name, _ in FILES}
    for base in (EVERYTHING, AT_BUILD):
        plan, _ = planned_text(folder, base)
        read = {source.path for node in plan.nodes for source in sources_of(node.step)}
        assert read <= tried


def test_an_included_file_counts_as_if_it_stood_there(folder: Path) -> None:
    text = EVERYTHING.replace("</image>", '<include from="file://more.xml"/></image>')
    seen = []
    for name in ("nano", "less"):
        package = f'<packages type="image"><package name="{name}"/></packages>'
        (folder / "more.xml").write_text(f"<image>{package}</image>")
        seen.append(image_key(folder, text))
    assert None not in seen
    assert len({*seen}) == 2


OTHERS: dict[type, Callable[[Any], Any]] = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    str: lambda value: f"{value}x",
    UUID: lambda value: UUID(int=value.int ^ 1),
    Secret: lambda value: Secret(f"{value.text}x"),
    type(None): lambda value: "something",
}
"""Another value of the same type."""


def mutations(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """`value` with one part of it changed, for each of its parts; and the path of that part."""
    if isinstance(value, Output | Source):
        return  # what these lead to is changed elsewhere
    if is_dataclass(value) and not isinstance(value, type | Secret):
        for field in fields(value):
            if field.name == LINE:
                continue
            for where, part in mutations(getattr(value, field.name), f"{path}.{field.name}"):
                yield where, replace(value, **{field.name: part})
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield f"{path}[-{number}]", (*value[:number], *value[number + 1 :])
            for where, part in mutations(item, f"{path}[{number}]"):
                yield where, (*value[:number], part, *value[number + 1 :])
        yield f"{path}[+]", (*value, "one more")
    else:
        yield path, OTHERS[type(value)](value)


@pytest.mark.parametrize(
    "base", [EVERYTHING, AT_BUILD, SIMPLE], ids=["firstboot", "build", "simple"]
)
def test_every_part_of_every_step_counts(with_scripts: Path, base: str) -> None:
    plan, keyed = planned_text(with_scripts, base)
    wrong = []
    count = 0
    nodes = {node.name: node for node in (*plan.nodes, *keyed.nodes)}
    for made in (*(keyed.ingredients[name] for name in nodes), *of_archives(with_scripts)):
        node = made.node
        for where, step in mutations(node.step, node.name):
            count += 1
            if replace(made, node=replace(node, step=step)).key == made.key:
                wrong.append(where)
    assert "resolve-packages" in nodes
    assert wrong == []
    assert count > 300


def of_archives(folder: Path) -> Iterator[Ingredients]:
    """Of the steps that find and make bootstrap archives, before there is a plan."""
    source = s.AptSource("distro:debian", "trixie", ("main",), priority=1, snapshot="2026")
    steps: dict[str, s.Step] = {
        "find": s.FindBootstrap("tree", (source,), "amd64", "1"),
        "fetch": s.FetchBootstrap(PACKAGE),
        "pack": s.PackBootstrap(s.Output("bootstrap"), 1),
    }
    tools = ToolDigests(folder.parent / "tools.json")
    for name, step in steps.items():
        yield ingredients_of(Node(name, name, step), {"bootstrap": ""}, tools)


PACKAGE = PackageFile("a", "1", "all", 1, "0" * 64, 1, Place("distro:debian", "./", None, "a.deb"))


def locked_key(
    folder: Path, text: str, change: Callable[[PackageFile], PackageFile] = lambda package: package
) -> tuple[str, ...] | None:
    """The keys with a lock made for `text`, in which the first package of the image is changed."""

    def changed(chosen: Selection) -> Selection:
        first, *others = chosen.image
        return replace(chosen, image=(change(first), *others))

    (folder / "appliance.kiwi").write_text(text)
    lock(folder, changed)
    return image_key(folder, text)


def test_a_lock_says_the_same_as_the_selection_it_was_made_of(folder: Path) -> None:
    text = EVERYTHING.replace(FROM_AN_ARCHIVE, "")
    assert image_key(folder, text) == locked_key(folder, text) is not None


@pytest.mark.parametrize(
    "field", [field.name for field in fields(PackageFile) if field.name != LINE]
)
def test_what_a_lock_says_of_a_package_changes_the_key_of_the_image(
    folder: Path, field: str
) -> None:
    def change(package: PackageFile) -> PackageFile:
        value = getattr(package, field)
        if field == "sha256":
            return replace(package, sha256=value[::-1])
        return replace(package, **{field: OTHERS[type(value)](value)})

    text = EVERYTHING.replace(FROM_AN_ARCHIVE, "")
    before, after = locked_key(folder, text), locked_key(folder, text, change)
    assert before and after and before != after


def test_where_a_locked_package_comes_from_changes_no_key(folder: Path) -> None:
    text = EVERYTHING.replace(FROM_AN_ARCHIVE, "")
    elsewhere = Place("http://elsewhere.invalid", "sid/main", "20260101T000000Z", "x.deb")
    after = locked_key(folder, text, lambda package: replace(package, where=elsewhere))
    assert after == locked_key(folder, text)


OF_PACKAGES = ("package", "packages", "repository", "source", "signing")

WHO_VOUCHES = {"signing@key", "repository@repository_gpgcheck"}
"""Packages of a lock are known by their digests."""


@pytest.mark.parametrize(
    ("base", "element", "attribute", "value"),
    [row for row in EFFECTS if row[1] in OF_PACKAGES],
    ids=[f"{e}@{a}={v}" for _, e, a, v in EFFECTS if e in OF_PACKAGES],
)
def test_a_lock_does_not_hide_what_the_description_asks(
    folder: Path, base: str, element: str, attribute: str | None, value: str
) -> None:
    name = name_of(element, attribute)
    if value_of(base, element, attribute) == value or name in OF_THE_ARCHIVE:
        return
    base = base.replace(FROM_AN_ARCHIVE, "")
    before = locked_key(folder, base)
    try:
        after = image_key(folder, changed(base, element, attribute, value))
    except LockOutdated:
        return
    assert before is not None
    assert (after == before) == (name in WHO_VOUCHES)


def test_a_variable_that_a_script_looks_at_counts_though_nothing_else_does(folder: Path) -> None:
    """`fsmountoptions` is ignored, and the script is told what it is."""
    (folder / "images.sh").write_text("#!/bin/sh\n")
    base = EVERYTHING.replace('<archive name="extra.tar.gz" target_dir="/opt"/>', "")
    text = base.replace("<type ", '<type fsmountoptions="noatime" ')
    seen = [image_key(folder, base), image_key(folder, text)]
    assert seen[0] == seen[1] is not None
    (folder / "images.sh").write_text('#!/bin/sh\necho "$kiwi_fsmountoptions" >/etc/options\n')
    seen += [image_key(folder, base), image_key(folder, text)]
    assert len({*seen}) == 3
