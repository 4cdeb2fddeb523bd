"""An overlay that the build encrypts, opened from the outside."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from opened_image import cut_out
from opened_volume import decrypted, is_clean, opens
from tiny_appliance import Appliance, make

pytestmark = pytest.mark.build

MIB = 1 << 20
PHRASE, RECOVERY = b"not so secret", b"only in case of need"
LUKS = (
    f'overlayroot_write_partition="true" luks="{PHRASE.decode()}" luks_version="luks2" '
    'luks_unlock="embedded" provisioning="build"'
)
SLOT = (
    '<luksformat><keyslot name="recovery" key="file://recovery.key" pbkdf="pbkdf2"/></luksformat>'
)


def encrypted(base: Path, store: Path | None = None) -> Appliance:
    """The tiny appliance with an overlay on a disk of 1400 MiB, made at build time."""
    tiny = make(base, store)
    tiny.change('overlayroot_write_partition="false"', LUKS)
    tiny.change(
        '<bootloader name="systemd_boot" timeout="0"/>',
        f'<bootloader name="systemd_boot" timeout="0"/><size unit="M">1400</size>{SLOT}',
    )
    (tiny.folder / "recovery.key").write_bytes(RECOVERY + b"\n")
    return tiny


def disk_of(tiny: Appliance) -> Path:
    (raw,) = tiny.target.glob("*.raw")
    return raw


@dataclass(frozen=True, slots=True)
class Built:
    """A finished build, and its overlay's partition as a file."""

    tiny: Appliance
    said: str
    volume: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    base = tmp_path_factory.mktemp("encrypted")
    tiny = encrypted(base)
    said = tiny.build()
    assert said.status == 0, said.err
    volume = cut_out(disk_of(tiny), "p.lxroot", base / "volume")
    return Built(tiny, said.out + said.err, volume)


def test_cryptsetup_opens_the_partition_with_each_key_and_no_other(built: Built) -> None:
    assert opens(built.volume, PHRASE)
    assert opens(built.volume, RECOVERY)
    assert not opens(built.volume, b"insecure")


def test_the_file_system_inside_is_clean(built: Built, tmp_path: Path) -> None:
    assert is_clean(decrypted(built.volume, RECOVERY, tmp_path / "xfs"))


def test_the_volume_takes_little_room_in_the_store(built: Built) -> None:
    """Whatever the partition's size is: holes stay holes, here and on the disk."""
    store = built.tiny.store / "entries"
    kept = [
        path.parent / "out/image"
        for path in store.glob("*/about.json")
        if json.loads(path.read_text())["step"] == "overlay-luks"
    ]
    assert kept
    assert all(path.stat().st_blocks * 512 < 32_000_000 for path in kept)
    disk = disk_of(built.tiny).stat()
    assert disk.st_blocks * 512 < disk.st_size / 2


def test_no_key_is_shown_or_kept_in_readable_files(built: Built) -> None:
    """But in the initrd, which the description asks for with luks_unlock="embedded"."""
    assert PHRASE.decode() not in built.said
    assert RECOVERY.decode() not in built.said
    for path in built.tiny.store.glob("entries/*"):
        for name in ("about.json", "log"):
            text = (path / name).read_bytes() if (path / name).exists() else b""
            assert PHRASE not in text, path
            assert RECOVERY not in text, path
    names = [str(p) for p in built.tiny.store.rglob("*recovery*") if "tree" not in p.parts]
    assert not names


def test_a_second_build_changes_nothing(built: Built) -> None:
    before = disk_of(built.tiny).stat()
    said = built.tiny.build()
    assert said.status == 0, said.err
    assert disk_of(built.tiny).stat().st_mtime_ns == before.st_mtime_ns


def test_another_keyslot_leaves_everything_but_the_volume_and_the_disk(
    built: Built, tmp_path: Path
) -> None:
    tiny = encrypted(tmp_path, built.tiny.store)
    another = uuid.uuid4().bytes  # new for a store that outlives the run, too
    (tiny.folder / "recovery.key").write_bytes(another)
    said = tiny.build()
    assert said.status == 0
    done = re.findall(r"^ +[\d.]+ s  (\S+)", said.err, re.MULTILINE)
    assert done == ["overlay-luks", "disk"]
    volume = cut_out(disk_of(tiny), "p.lxroot", tmp_path / "volume")
    assert opens(volume, another)
    assert not opens(volume, RECOVERY)


def test_a_disk_without_a_size_has_the_least_overlay_that_xfs_fits_in(tmp_path: Path) -> None:
    tiny = encrypted(tmp_path)
    options = {"--cipher": "aes-gcm-random", "--integrity": "aead", "--sector-size": "512"}
    rows = "".join(f'<option name="{name}" value="{value}"/>' for name, value in options.items())
    tiny.change("<luksformat>", f"<luksformat>{rows}")
    tiny.change('<size unit="M">1400</size>', "")
    assert tiny.build().status == 0
    volume = cut_out(disk_of(tiny), "p.lxroot", tmp_path / "volume")
    inside = decrypted(volume, PHRASE, tmp_path / "xfs")
    assert 300 * MIB <= inside.stat().st_size < 302 * MIB
    assert is_clean(inside)
