"""Two target folders: which files differ, and which differ only since the disk does."""

from __future__ import annotations

from pathlib import Path

import compared_disk
import pytest

from kiwilite.inspect.compare_results import compare_results

FILES = {
    "x.raw": bytes(100_000),
    "x.qcow2": b"QFI\xfb" + bytes(900),
    "x.efi": b"MZ and so on",
    "x.roothash": b"00" * 32,
    "x.packages": b"apt|None|3.0|None|amd64\nbash|None|5.2|None|amd64\n",
    "SHA256SUMS": b"sums",
    "kiwilite.result.json": b"{}",
}


def target(folder: Path, **changes: bytes | None) -> Path:
    """A target folder with other contents for some endings, None for no such file."""
    folder.mkdir()
    for name, content in FILES.items():
        wanted = changes.get(name.removeprefix("x."), content)
        if wanted is not None:
            (folder / name).write_bytes(wanted)
    return folder


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return target(tmp_path / "first")


def test_the_same_files_are_the_same(first: Path, tmp_path: Path) -> None:
    (first / "SHA256SUMS").write_text("another word for the same")
    assert compare_results(first, target(tmp_path / "other")) == ()


def test_other_packages_come_first_with_both_versions(first: Path, tmp_path: Path) -> None:
    lists = b"apt|None|3.0|None|amd64\nbash|None|5.3|None|amd64\nvim|None|9|None|amd64\n"
    found = compare_results(first, target(tmp_path / "other", packages=lists, raw=bytes(99_999)))
    assert [file.name for file in found] == ["x.packages", "x.raw"]
    assert [d.what for d in found[0].parts[0].named] == [
        "bash|None|5.2|None|amd64 and bash|None|5.3|None|amd64",
        "no vim and vim|None|9|None|amd64",
    ]


def test_what_the_disk_tells_is_not_told_twice(first: Path, tmp_path: Path) -> None:
    disk = bytes(50_000) + b"x" + bytes(49_999)
    other = target(tmp_path / "other", raw=disk, qcow2=b"QFI\xfb!", roothash=b"11" * 32)
    found = compare_results(first, other)
    told = {file.name: file.told_by_disk for file in found}
    assert told == {"x.raw": False, "x.qcow2": True, "x.roothash": True}
    assert not any(file.on_purpose for file in found)


def test_a_file_that_differs_while_the_disk_does_not(first: Path, tmp_path: Path) -> None:
    (file,) = compare_results(first, target(tmp_path / "other", efi=b"MZ and so forth"))
    assert (file.name, file.told_by_disk) == ("x.efi", False)
    assert file.parts[0].named[0].within == 10


def test_a_file_of_one_side_only(first: Path, tmp_path: Path) -> None:
    (file,) = compare_results(first, target(tmp_path / "other", qcow2=None))
    assert file.parts[0].named[0].what == "only in the first folder"


def test_formats_of_a_disk_that_is_meant_to_differ_are_meant_to(
    first: Path, tmp_path: Path
) -> None:
    other = target(tmp_path / "other", qcow2=b"QFI\xfb!", roothash=b"11" * 32)
    for folder, content in ((first, b"one"), (other, b"another")):
        key = tmp_path / "key"
        key.write_bytes(content)
        compared_disk.make(folder / "x.raw", {"p.lxroot": key})
    found = compare_results(first, other, fresh=frozenset({"p.lxroot"}))
    assert {file.name: file.on_purpose for file in found} == {
        "x.raw": True,
        "x.qcow2": True,
        "x.roothash": False,
    }
