"""`kiwilite image` as a person calls it: words, JSON, exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import synthetic_disk
import volume_disk
from synthetic_disk import MIB, flip

from kiwilite.cli import image as command
from kiwilite.cli.main import USAGE, main
from kiwilite.inspect.verdict import KEYSLOT
from kiwilite.ondisk import seal

pytestmark = pytest.mark.skipif(
    any(shutil.which(t) is None for t in (*volume_disk.TOOLS, "e2fsck")),
    reason="mkfs.xfs, cryptsetup or e2fsprogs is not installed",
)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk that is sound without a policy: nothing awaits provisioning."""
    return synthetic_disk.make(tmp_path / "disk.raw", last=b"")


def test_a_sound_image_is_status_0(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "verify", str(disk)]) == 0
    said = capsys.readouterr().out
    assert said.endswith("disk.raw: sound\n")
    assert "checked" in said


def test_a_warning_is_status_7_and_names_partition_bytes_and_what(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(disk, 5 * MIB + 7)
    assert main(["image", "verify", str(disk)]) == 7
    said = capsys.readouterr().out
    first = 3 * MIB
    assert f"warning: home, bytes {first} to {first + 4096}: changed since it was built" in said
    # What has changed since it was sealed is not checked by it, or by anything else.
    assert said.endswith("disk.raw: 1 warning, but 4096 bytes could not be checked\n")


def test_bytes_that_nothing_vouches_for_are_status_8(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with disk.open("r+b") as out:
        out.seek(seal.OFFSET)
        out.write(bytes(seal.MAX_BYTES))
    assert main(["image", "verify", str(disk)]) == 8
    home = f"{8 * MIB} bytes that nothing in the image vouches for: content (Ext4)"
    said = capsys.readouterr().out
    assert home in said
    assert "disk.raw: nothing wrong found, but " in said
    assert main(["image", "verify", str(disk), "--format=json"]) == 8
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["sound"]) == ("incomplete", False)
    (row,) = [u for u in told["unchecked"] if u["place"]["part"] == "home"]
    assert (row["size"], row["why"]) == (8 * MIB, "content (Ext4)")
    assert row["remedy"]


def test_json_has_findings_and_a_map_of_the_whole_disk(
    disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flip(disk, 17)
    assert main(["image", "verify", str(disk), "--format=json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["sound"]) == ("errors", False)
    (finding,) = [f for f in said["findings"] if f["severity"] != "note"]
    assert finding["place"] == {"part": "MBR", "start": 0, "end": 446}
    assert said["regions"][0]["start"] == 0
    assert said["regions"][-1]["end"] == disk.stat().st_size
    ends = [r["end"] for r in said["regions"]]
    assert ends[:-1] == [r["start"] for r in said["regions"][1:]]


def test_the_picture_has_every_partition(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "inspect", str(disk)]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in synthetic_disk.NAMES)
    assert "MBR: hybrid, shows home (Linux), p.lxroot (Linux)" in said
    assert main(["image", "inspect", str(disk), "--format=json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [p["name"] for p in facts["partitions"]] == list(synthetic_disk.NAMES)
    assert facts["partitions"][1]["kind"] == "ext4"


def test_inspect_declares_what_is_unallocated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Behind a mark nothing stands yet; all else on this disk is somebody's."""
    disk = synthetic_disk.make(tmp_path / "disk.raw")
    assert main(["image", "inspect", str(disk)]) == 0
    table = capsys.readouterr().out.split("\n\n")[-1].splitlines()
    assert [row.split() for row in table] == [
        ["unallocated", "in", "why"],
        ["388.9", "MiB", "p.lxroot", "not", "provisioned"],
    ]
    assert main(["image", "inspect", str(disk), "--format=json"]) == 0
    regions = json.loads(capsys.readouterr().out)["regions"]
    (free,) = [r for r in regions if not r["allocated"]]
    start = 10 * MIB + 65536
    assert free == {
        "start": start, "end": 399 * MIB, "part": "p.lxroot", "allocated": False,
        "why": "not provisioned",
    }  # fmt: skip
    assert [r["start"] for r in regions][1:] == [r["end"] for r in regions][:-1]


def test_resize_says_what_it_did(disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["image", "resize", str(disk), "512M"]) == 0
    assert "400 MiB → 512 MiB" in capsys.readouterr().out
    assert main(["image", "verify", str(disk)]) == 0


def test_keys_may_be_given_several_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each opens another keyslot, so that both are checked."""
    path, _ = volume_disk.made(tmp_path, "gcm", "sparse")
    for name, content in (("file", b"second\n"), ("text", b"first\n"), ("other", b"no key")):
        (tmp_path / name).write_bytes(content)
    words = ["image", "verify", str(path), "--format=json"]
    words += [f"--key-file={tmp_path / 'file'}", f"--key-file={tmp_path / 'other'}"]
    assert main(words) == 8
    assert KEYSLOT in [u["why"] for u in json.loads(capsys.readouterr().out)["unchecked"]]
    assert main([*words, f"--passphrase-file={tmp_path / 'text'}"]) == 8
    reasons = [u["why"] for u in json.loads(capsys.readouterr().out)["unchecked"]]
    assert KEYSLOT not in reasons


@pytest.mark.parametrize(
    "words",
    [["verify"], ["resize", "x"], ["inspect", "x", "--format=xml"], ["resize", "x", "big"], ["lo"]],
)
def test_words_that_make_no_sense_are_status_2(words: list[str]) -> None:
    assert main(["image", *words]) == 2


def test_a_file_that_is_no_image_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("hello")
    assert main(["image", "verify", str(path)]) == 1
    assert main(["image", "inspect", str(tmp_path / "nothing")]) == 1


def test_help_fits_80_columns() -> None:
    for text in (command.USAGE, USAGE):
        assert all(len(line) <= 80 for line in text.splitlines())
