"""A change is charged only for what it touches: which keys it changes, without a build."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from planned_keys import planned

import kiwilite
from kiwilite.build.host import Identity, ToolDigests

X86 = Path(kiwilite.__file__).resolve().parent.parent / "descriptions/x86"
BOOT = {"uki", "esp", "layout", "disk", "qcow2"}
DISK = {"layout", "disk", "qcow2"}
PACKAGE_WORK = {"bootstrap", "large-packages", "packages", "boot-files"}


@pytest.fixture(autouse=True)
def any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: Identity(name, name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The reference description with its passphrase in a file, and an archive to start from."""
    place = tmp_path / "x86"
    shutil.copytree(X86, place)
    edit('luks="insecure"', 'luks="file://passphrase"')(place)
    (place / "passphrase").write_text("one\n")
    (place / "metadata.pem").write_text("one\n")
    (place / "bootstrap").mkdir()
    (place / "bootstrap/kiwilite-bootstrap-trixie.tar.zst").write_text("archive")
    return place


Change = Callable[[Path], None]


def edit(*pairs: str) -> Change:
    """Replace the first of each pair, which must be there, by the second."""

    def change(folder: Path) -> None:
        file = folder / "appliance.kiwi"
        text = file.read_text()
        for old, new in zip(pairs[::2], pairs[1::2], strict=True):
            assert old in text, old
            text = text.replace(old, new, 1)
        file.write_text(text)

    return change


def append(name: str) -> Change:
    """Add a line to a file, which may be new."""

    def change(folder: Path) -> None:
        with (folder / name).open("a") as stream:
            stream.write("# changed\n")

    return change


def charged(folder: Path, change: Change) -> set[str]:
    """Names of the steps that have another key after `change`."""
    _, _, before = planned(folder, "bootstrapped")
    change(folder)
    _, _, after = planned(folder, "bootstrapped")
    return {name for name, key in after.keys.items() if before.keys.get(name) != key}


FIXED_ESP = edit('on_failure="halt"', 'on_failure="halt" efipartsize="64"')
SIGNED = edit(
    'verity_blocks="all"',
    'verity_blocks="all" embed_verity_metadata="true"',
    "<oemconfig>",
    '<verity metadata_key="file://metadata.pem"/><oemconfig>',
)
MADE_AT_BUILD = edit(
    'provisioning="firstboot"',
    'provisioning="build"',
    "aegis128-random",
    "aes-xts-plain64",
    'name="--key-size" value="128"',
    'name="--key-size" value="512"',
    'value="aead"',
    'value="hmac-sha256"',
)
COMMAND_LINE = edit("no_timer_check", "no_timer_check quiet")
PASSPHRASE = append("passphrase")

EXACTLY: dict[str, tuple[Change, set[str]]] = {
    "nothing": (lambda folder: None, set()),
    "only time stamps": (lambda folder: (folder / "config.sh").touch(), set()),
    "comment": (edit("<packages", "<!-- more --><packages"), set()),
    "specification": (edit("<specification>Verified", "<specification>A verified"), set()),
    "command line": (COMMAND_LINE, BOOT),
    "passphrase": (PASSPHRASE, BOOT),
    "another file of the passphrase": (edit("file://passphrase", "file://metadata.pem"), BOOT),
    "what happens on failure": (edit('on_failure="halt"', 'on_failure="reboot"'), BOOT),
    "menu": (edit('timeout="0"', 'timeout="5"'), BOOT - {"uki"}),
    "size of the disk": (edit("1400", "1500"), DISK),
    "size of a partition": (edit('"32M"', '"48M"'), {"home", *DISK}),
}


@pytest.mark.parametrize("name", EXACTLY)
def test_a_change_is_charged_for_what_it_touches(folder: Path, name: str) -> None:
    change, steps = EXACTLY[name]
    assert charged(folder, change) == steps


@pytest.mark.parametrize("change", [COMMAND_LINE, PASSPHRASE], ids=["command line", "passphrase"])
def test_an_esp_of_a_fixed_size_leaves_the_layout_as_it_is(folder: Path, change: Change) -> None:
    FIXED_ESP(folder)
    assert charged(folder, change) == BOOT - {"layout"}


def test_a_signing_key_is_charged_for_the_metadata_block_and_the_disk(folder: Path) -> None:
    SIGNED(folder)
    assert charged(folder, append("metadata.pem")) == {"root-metadata", "disk", "qcow2"}


def test_a_volume_made_at_build_time_stays_while_its_size_and_keys_do(folder: Path) -> None:
    MADE_AT_BUILD(folder)
    FIXED_ESP(folder)
    assert charged(folder, COMMAND_LINE) == BOOT - {"layout"}
    assert charged(folder, PASSPHRASE) == {"overlay-luks", *BOOT} - {"layout"}


def test_scripts_are_not_run_again_for_a_command_line_that_they_do_not_look_at(
    folder: Path,
) -> None:
    (folder / "images.sh").write_text("#!/bin/sh\n. /.profile\n")
    assert charged(folder, COMMAND_LINE) == BOOT
    (folder / "images.sh").write_text('#!/bin/sh\n. /.profile\necho "$kiwi_cmdline"\n')
    found = charged(folder, edit("quiet", "loud"))
    assert "customise" in found
    assert not found & PACKAGE_WORK


NO_PACKAGE_WORK: dict[str, Change] = {
    "overlay file": append("root/etc/motd"),
    "mode of an overlay file": lambda folder: next(
        p for p in sorted((folder / "root").rglob("*")) if p.is_file()
    ).chmod(0o600),
    "config.sh": append("config.sh"),
    "pre_disk_sync.sh": append("pre_disk_sync.sh"),
    "images.sh": append("images.sh"),
    "placed file": append("sudoers-admin"),
    "password": edit("$6$kiwiliteroot", "$6$kiwiliteother"),
    "version": edit("<version>1.0.1", "<version>1.0.2"),
    "locale": edit("<locale>C", "<locale>en_US"),
    "display name": edit('displayname="kiwilite x86"', 'displayname="x86"'),
}


@pytest.mark.parametrize("name", NO_PACKAGE_WORK)
def test_no_packages_are_touched_for_what_the_description_adds(folder: Path, name: str) -> None:
    found = charged(folder, NO_PACKAGE_WORK[name])
    assert found
    assert not found & PACKAGE_WORK


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (edit('<package name="less"/>', '<package name="less"/><package name="nano"/>'), False),
        (edit('<package name="less"/>', ""), False),
        (edit('<package name="less"/>', '<package name="linux-image-amd64"/>'), True),
        (append("post_bootstrap.sh"), True),
    ],
    ids=["one more package", "one package less", "one more large one", "post_bootstrap.sh"],
)
def test_packages_are_added_to_the_same_trees(folder: Path, change: Change, again: bool) -> None:
    """To the minimal one, and to that with the large packages unless these change."""
    found = charged(folder, change)
    assert "packages" in found
    assert "bootstrap" not in found
    assert ("large-packages" in found) == again


def test_another_format_is_one_step_more(folder: Path) -> None:
    edit(' format="qcow2"', "")(folder)
    assert charged(folder, edit('filesystem="xfs"', 'filesystem="xfs" format="qcow2"')) == {"qcow2"}
