"""A description as KIWI users have it: all of it is built, or named with what to write instead."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from description_samples import findings

import kiwilite
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.load import load, profiles_of
from kiwilite.description.reader import parse
from kiwilite.description.source import read_source
from kiwilite.description.support import SUPPORT
from kiwilite.description.support_table import BUILT
from kiwilite.description.tree import Node
from kiwilite.plan.compile import compile
from kiwilite.plan.image_steps import Uki
from kiwilite.plan.selection import Unselected

HERE = Path(__file__).parent / "bring_your_own"
GUIDE = Path(kiwilite.__file__).parent.parent / "docs/bring-your-own.md"
PROFILES: tuple[tuple[str, ...], ...] = ((), ("bootstrapped",), ("development",))

OF_KIWI_ALONE = ("disk.sh", "install_boot.sh", "kiwi.yml", "root")
KEYS = ("luks.key", "verity.pem", "archive.asc")


def copied(tmp_path: Path) -> Path:
    """A copy of it, with the archive that it names."""
    shutil.copytree(HERE / "before", tmp_path / "it")
    (tmp_path / "it/menu.tar.gz").write_bytes(b"")
    return tmp_path / "it/appliance.kiwi"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The description as it came."""
    return copied(tmp_path)


@pytest.fixture
def after(before: Path) -> Path:
    """The same after what the guide says was done."""
    for name in OF_KIWI_ALONE:
        path = before.parent / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in KEYS:
        (before.parent / name).write_text(name)
    shutil.copyfile(HERE / "after/appliance.kiwi", before)
    return before


def everything(file: Path) -> list[Diagnostic]:
    """What is said of any of the profiles."""
    return list(dict.fromkeys(d for chosen in PROFILES for d in findings(file, *chosen)))


def parts(root: Node) -> list[tuple[Node, str | None]]:
    """Each element and each attribute of the file."""
    return [(node, name) for node in root.walk() for name in (None, *node.attributes)]


def is_covered(node: Node, attribute: str | None, said: set[tuple[int, int]]) -> bool:
    span = node.span if attribute is None else node.attribute_span(attribute)
    if (span.line, span.column) in said:
        return True
    name = node.name if attribute is None else f"{node.name}@{attribute}"
    value = node.text if attribute is None else node.attributes[attribute]
    return name in BUILT or (name in SUPPORT and value.strip() in SUPPORT[name].fine)


def test_each_element_and_attribute_is_built_or_named_at_its_place(before: Path) -> None:
    said = {
        (d.span.line, d.span.column)
        for d in everything(before)
        if d.code >= "KL0900" and d.span.file == before
    }
    root = parse(read_source(before))
    inside_of_named = {
        inner
        for node in root.walk()
        if (node.span.line, node.span.column) in said
        and node.name in SUPPORT
        and not SUPPORT[node.name].fine
        for inner in node.walk()
    }
    silent = [
        f"{node.span}: {node.name}@{attribute}"
        for node, attribute in parts(root)
        if not is_covered(node, attribute, said) and node not in inside_of_named
    ]
    assert silent == []
    assert len(parts(root)) > 200


def test_it_is_valid_and_only_says_what_kiwilite_does_otherwise(before: Path) -> None:
    errors = [d for d in everything(before) if d.severity == "error"]
    assert [d for d in errors if d.code < "KL0900"] == []
    assert {d.code for d in errors} == {"KL0901", "KL0903", "KL0906"}


def test_every_finding_says_what_to_do_instead(before: Path) -> None:
    assert [d for d in everything(before) if not d.hint] == []


def test_what_is_said_of_it_has_each_thing_once_and_by_name(before: Path) -> None:
    subjects = {
        found[1]
        for d in everything(before)
        if d.code >= "KL0900" and (found := re.search(r"`<?([a-z_-]+)", d.message))
    }
    assert subjects >= set(
        """
        overlayroot_readonly_partsize bootpartition bootpartsize bootfilesystem vga
        devicepersistency editbootinstall name console timeout oem-unattended partition_name
        initrd ncpus use_for_bootstrap key bootinclude ignore bootloader-theme credentials
        runtime_checks mapper rd busybox systemd-boot-efi xfsprogs kiwi-dracut-overlay
        kiwi-dracut-verity
        """.split()  # noqa: SIM905
    )


def test_settings_and_hooks_beside_it_are_named(before: Path) -> None:
    found = everything(before)
    files = {d.span.file.name for d in found}
    assert files == {"appliance.kiwi", "kiwi.yml", "90-preload.conf"}
    assert any("disk.sh" in d.message for d in found)


def test_every_word_of_its_kernel_line_is_passed_on(before: Path, after: Path) -> None:
    appliance, _ = load(after, arch="x86_64")
    plan = compile(
        appliance, bootstrap_archive=None, epoch=None, packages=Unselected(""), mirrors={}
    )
    uki = plan.node("uki").step
    assert isinstance(uki, Uki)
    assert uki.profiles[0].cmdline == "console=ttyS0 rootwait pstore.backend=efi"


@pytest.mark.parametrize("chosen", PROFILES)
def test_after_the_changes_of_the_guide_it_compiles_to_a_plan(
    after: Path, chosen: tuple[str, ...]
) -> None:
    appliance, found = load(after, chosen, arch="x86_64")
    assert [d.code for d in found] == ["KL0602"]
    plan = compile(
        appliance, bootstrap_archive=None, epoch=None, packages=Unselected(""), mirrors={}
    )
    assert [p.name for p in plan.partitions] == [
        "p.legacy",
        "p.UEFI",
        "home",
        "oci-storage",
        "oci-preloaded",
        "p.lxreadonly",
        "p.lxroot",
    ]
    assert plan.format == "qcow2"


def test_both_have_the_same_profiles(before: Path) -> None:
    names = [p.name for p in profiles_of(before)]
    assert names == [p.name for p in profiles_of(HERE / "after")]


def test_the_guide_tells_of_everything_that_is_said(before: Path) -> None:
    guide = GUIDE.read_text()
    for finding in (d for d in everything(before) if d.code >= "KL0900"):
        subject = re.search(r"`<?([a-z_]+)", finding.message)
        words = {finding.code, subject[1] if subject else finding.code}
        assert any(word in guide for word in words), finding
    for code in {d.code for d in everything(before) if d.code >= "KL0900"}:
        assert code in guide, code


def test_an_older_file_loses_no_attribute_in_silence(tmp_path: Path) -> None:
    text = (HERE / "before/appliance.kiwi").read_text()
    file = copied(tmp_path)
    file.write_text(text.replace('type="apt-deb" alias="kiosk"', 'type="rpm-dir" alias="kiosk"'))
    found = [(d.code, d.message.split("=")[0]) for d in findings(file, "development")]
    assert ("KL0907", "`type") in found
    assert ("KL0907", "`vga") in found
