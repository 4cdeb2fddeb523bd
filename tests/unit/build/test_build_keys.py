"""A key changes with everything that can change a result, and with nothing else."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.build import host
from kiwilite.build.beside import digest, entries_of, take
from kiwilite.build.host import ToolDigests, find_tool
from kiwilite.build.keys import ingredients_of, key_of
from kiwilite.build.tree import overlay
from kiwilite.errors import HostError, KiwiliteError
from kiwilite.plan import steps as s
from kiwilite.plan.nodes import Node


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "description"
    (root / "root/etc").mkdir(parents=True)
    (root / "root/etc/motd").write_text("hello\n")
    (root / "root/etc/link").symlink_to("motd")
    return root


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ToolDigests:
    monkeypatch.setattr(host, "find_tool", lambda tool: str(tmp_path / "bin" / tool))
    (tmp_path / "bin").mkdir()
    for name in ("cp", "tar", "zstd"):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\necho {name}\n")
    return ToolDigests(tmp_path / "tools.json")


def unpack(path: Path) -> Node:
    return Node("bootstrap", "tree", s.UnpackBootstrap(s.Source(path)))


def test_a_key_is_64_hexadecimal_digits_and_stays(folder: Path, tools: ToolDigests) -> None:
    key = key_of(unpack(folder / "root"), {}, tools)
    assert len(bytes.fromhex(key)) == 32
    assert key_of(unpack(folder / "root"), {}, tools) == key


def test_another_checkout_has_the_same_keys(
    folder: Path, tools: ToolDigests, tmp_path: Path
) -> None:
    copy = tmp_path / "quite" / "another" / "place"
    shutil.copytree(folder, copy, symlinks=True)
    (copy / "root/etc/motd").touch()
    assert digest(entries_of(copy / "root")) == digest(entries_of(folder / "root"))
    here, there = (unpack(f / "root") for f in (folder, copy))
    assert key_of(here, {}, tools) == key_of(there, {}, tools)


def esp(where: str, size: int) -> Node:
    step = s.Esp(s.Output("uki"), s.Output("boot"), "i.efi", True, 0, size, None, 1, where, epoch=0)
    return Node("esp", "ESP", step)


def test_a_line_that_only_messages_show_changes_no_key(
    tools: ToolDigests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToolDigests, "tool", lambda self, tool: host.Identity(tool, tool))
    known = {"uki": "1", "boot": "2"}
    one, other, larger = esp("/a/x.kiwi:1:1", 1), esp("/b/x.kiwi:9:9", 1), esp("/a/x.kiwi:1:1", 2)
    assert key_of(one, known, tools) == key_of(other, known, tools)
    assert key_of(one, known, tools) != key_of(larger, known, tools)


def change_content(root: Path) -> None:
    (root / "etc/motd").write_text("hello!\n")


def change_mode(root: Path) -> None:
    (root / "etc/motd").chmod(0o600)


def change_name(root: Path) -> None:
    (root / "etc/motd").rename(root / "etc/issue")


def change_link(root: Path) -> None:
    (root / "etc/link").unlink()
    (root / "etc/link").symlink_to("issue")


def link_to_file(root: Path) -> None:
    (root / "etc/link").unlink()
    (root / "etc/link").write_text("motd")


def add_folder(root: Path) -> None:
    (root / "empty").mkdir()


def change_folder_mode(root: Path) -> None:
    (root / "etc").chmod(0o700)


CHANGES = [
    *(change_content, change_mode, change_name, change_link, link_to_file, add_folder),
    change_folder_mode,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_in_a_folder_changes_the_key(
    folder: Path, tools: ToolDigests, change: object
) -> None:
    before = key_of(unpack(folder / "root"), {}, tools)
    assert callable(change)
    change(folder / "root")
    assert key_of(unpack(folder / "root"), {}, tools) != before


def test_a_umask_of_002_changes_no_key(folder: Path, tools: ToolDigests) -> None:
    (folder / "root/etc/motd").chmod(0o644)
    before = key_of(unpack(folder / "root"), {}, tools)
    (folder / "root/etc/motd").chmod(0o664)
    assert key_of(unpack(folder / "root"), {}, tools) == before


def test_what_a_link_to_a_file_leads_to_counts(folder: Path, tools: ToolDigests) -> None:
    """A step is given the content, so the content is what changes the result."""
    (folder / "config.sh").symlink_to("root/etc/motd")
    before = key_of(unpack(folder / "config.sh"), {}, tools)
    change_content(folder / "root")
    assert key_of(unpack(folder / "config.sh"), {}, tools) != before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_an_owner_changes_neither_key_nor_result(
    folder: Path, tools: ToolDigests, tmp_path: Path
) -> None:
    before = key_of(unpack(folder / "root"), {}, tools)
    for path in (folder / "root", *(folder / "root").rglob("*")):
        os.chown(path, 12345, 23456, follow_symlinks=False)
    assert key_of(unpack(folder / "root"), {}, tools) == before
    copies = take([s.Source(folder / "root")], tmp_path / "sources", {})
    (tmp_path / "tree").mkdir()
    overlay(copies[str(folder / "root")], tmp_path / "tree")
    owners = {(p.lstat().st_uid, p.lstat().st_gid) for p in (tmp_path / "tree").rglob("*")}
    assert owners == {(0, 0)}


def test_a_file_that_changes_before_it_is_copied_gets_no_old_key(
    folder: Path, tmp_path: Path
) -> None:
    source = s.Source(folder / "root")
    known = {source: entries_of(source.path)}
    copies = take([source], tmp_path / "one", known)
    assert entries_of(copies[str(source.path)]) == known[source]
    change_content(folder / "root")
    with pytest.raises(KiwiliteError) as caught:
        take([source], tmp_path / "other", known)
    assert caught.value.where == str(source.path)
    assert caught.value.hint == "build again"


def test_the_key_of_an_input_changes_the_key(tools: ToolDigests) -> None:
    node = Node("pack", "archive", s.PackBootstrap(s.Output("bootstrap"), 0))
    assert key_of(node, {"bootstrap": "1"}, tools) != key_of(node, {"bootstrap": "2"}, tools)


def test_a_parameter_changes_the_key(tools: ToolDigests) -> None:
    step = s.PackBootstrap(s.Output("bootstrap"), 0)
    nodes = [Node("pack", "archive", p) for p in (step, replace(step, epoch=1))]
    assert len({key_of(n, {"bootstrap": "1"}, tools) for n in nodes}) == 2


def test_a_title_changes_no_key(tools: ToolDigests) -> None:
    step = s.PackBootstrap(s.Output("bootstrap"), 0)
    nodes = [Node(name, name, step) for name in ("one", "other")]
    assert len({key_of(n, {"bootstrap": "1"}, tools) for n in nodes}) == 1


def test_two_kinds_with_the_same_parameters_differ(tools: ToolDigests) -> None:
    verity = s.Verity(s.Output("root"), UUID(int=1), "00", None)
    pack = s.PackBootstrap(s.Output("root"), 0)
    found = [key_of(Node("n", "n", step), {"root": "1"}, tools) for step in (verity, pack)]
    assert found[0] != found[1]


def test_a_tool_s_bytes_change_the_key_in_a_new_build(
    folder: Path, tools: ToolDigests, tmp_path: Path
) -> None:
    before = key_of(unpack(folder / "root"), {}, tools)
    (tmp_path / "bin/tar").write_text("#!/bin/sh\necho newer tar\n")
    assert key_of(unpack(folder / "root"), {}, ToolDigests(tmp_path / "tools.json")) != before


def test_tools_are_not_read_again_while_they_stay_as_they_are(
    tools: ToolDigests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = tools.tool("tar")

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(host, "digest_file", refuse)
    assert ToolDigests(tmp_path / "tools.json").tool("tar") == digest


def test_a_broken_cache_of_tools_is_made_anew(tools: ToolDigests, tmp_path: Path) -> None:
    digest = tools.tool("tar")
    (tmp_path / "tools.json").write_text("{")
    assert ToolDigests(tmp_path / "tools.json").tool("tar") == digest


def test_libraries_count_with_the_tool_that_loads_them() -> None:
    assert any("libc.so" in path for path in host._libraries(find_tool("cp")))


def test_the_interpreter_and_the_libraries_change_the_key(
    tools: ToolDigests, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = s.VerityMetadata(s.Output("root"), s.Output("tree"), "appended", None)
    made = ingredients_of(Node("metadata", "block", step), {"root": "1", "tree": "2"}, tools)
    assert set(made.libraries) == {"python", "cryptography"}
    for name in made.libraries:
        assert replace(made, libraries={**made.libraries, name: "other"}).key != made.key


def test_files_of_the_host_change_the_key(tmp_path: Path) -> None:
    pattern = f"{tmp_path}/*.conf"[1:]
    cache = tmp_path / "tools.json"
    seen = [ToolDigests(cache).files(pattern).digest]
    for text in ("one", "other"):
        (tmp_path / "a.conf").write_text(text)
        seen.append(ToolDigests(cache).files(pattern).digest)
    (tmp_path / "a.conf").rename(tmp_path / "b.conf")
    (tmp_path / "a.conf").write_text("")
    seen.append(ToolDigests(cache).files(pattern).digest)
    assert len(set(seen)) == 4


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool, path: None)
    with pytest.raises(HostError) as caught:
        find_tool("mksquashfs")
    assert "mksquashfs is not installed" in caught.value.message
    assert caught.value.hint == "apt-get install squashfs-tools"


def test_a_tool_of_the_caller_s_path_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Steps run with the system's PATH: the key must be of the tool that really runs."""
    (tmp_path / "tar").write_text("#!/bin/sh\n")
    (tmp_path / "tar").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert not find_tool("tar").startswith(str(tmp_path))


def test_a_missing_file_is_named(tmp_path: Path, tools: ToolDigests) -> None:
    with pytest.raises(KiwiliteError) as caught:
        key_of(unpack(tmp_path / "absent"), {}, tools)
    assert caught.value.where == str(tmp_path / "absent")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_named(folder: Path, tools: ToolDigests) -> None:
    (folder / "root/etc/motd").chmod(0)
    with pytest.raises(KiwiliteError) as caught:
        key_of(unpack(folder / "root"), {}, tools)
    assert caught.value.where == str(folder / "root/etc/motd")


def test_only_files_folders_and_links_are_taken(folder: Path) -> None:
    os.mkfifo(folder / "root/pipe")
    with pytest.raises(KiwiliteError) as caught:
        entries_of(folder / "root")
    assert caught.value.where == str(folder / "root/pipe")
