"""A key changes with everything that can change a result, and with nothing else."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.build import keys
from kiwilite.build.keys import ToolDigests, code_digest, digest_source, find_tool, key_of
from kiwilite.build.kinds import KINDS
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
    monkeypatch.setattr(keys, "find_tool", lambda tool: str(tmp_path / "bin" / tool))
    (tmp_path / "bin").mkdir()
    for name in ("tar", "zstd"):
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
    assert digest_source(copy / "root") == digest_source(folder / "root")
    here, there = (unpack(f / "root") for f in (folder, copy))
    assert key_of(here, {}, tools) == key_of(there, {}, tools)


def esp(where: str, size: int) -> Node:
    step = s.Esp(s.Output("uki"), s.Output("boot"), "i.efi", True, 0, size, None, 1, where, epoch=0)
    return Node("esp", "ESP", step)


def test_a_line_that_only_messages_show_changes_no_key(
    tools: ToolDigests, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToolDigests, "digest", lambda self, tool: tool)
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
    digest = tools.digest("tar")

    def refuse(path: Path) -> str:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(keys, "digest_file", refuse)
    assert ToolDigests(tmp_path / "tools.json").digest("tar") == digest


def test_a_broken_cache_of_tools_is_made_anew(tools: ToolDigests, tmp_path: Path) -> None:
    digest = tools.digest("tar")
    (tmp_path / "tools.json").write_text("{")
    assert ToolDigests(tmp_path / "tools.json").digest("tar") == digest


def test_libraries_count_with_the_tool_that_loads_them() -> None:
    assert any("libc.so" in path for path in keys._libraries(find_tool("cp")))


def test_our_own_code_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "kiwilite"
    (package / "build/stages").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "build/__init__.py").write_text("")
    (package / "build/stages/__init__.py").write_text("")
    (package / "build/stages/one.py").write_text("from kiwilite.build import helper\n")
    (package / "build/helper.py").write_text("import kiwilite.build.deep\n")
    (package / "build/deep.py").write_text("WORD = 1\n")
    (package / "build/other.py").write_text("WORD = 1\n")

    def path_of(name: str) -> Path | None:
        inner = package.joinpath(*name.split(".")[1:])
        found = (inner.with_suffix(".py"), inner / "__init__.py")
        return next((p for p in found if p.is_file()), None)

    monkeypatch.setattr(keys, "_module_path", path_of)

    def digest() -> str:
        for cached in (keys.imported_modules, keys._direct_imports, keys.code_digest):
            cached.cache_clear()
        return code_digest("kiwilite.build.stages.one", ())

    try:
        before = digest()
        (package / "build/other.py").write_text("WORD = 2\n")
        assert digest() == before
        (package / "build/deep.py").write_text("WORD = 2\n")
        assert digest() != before
    finally:
        monkeypatch.undo()
        for cached in (keys.imported_modules, keys._direct_imports, keys.code_digest):
            cached.cache_clear()


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda k: k.module)
def test_the_code_of_a_stage_reaches_what_it_imports(kind: object) -> None:
    module = getattr(kind, "module", "")
    found = keys.imported_modules(module)
    assert {module, "kiwilite.errors", "kiwilite.plan.references"} <= found
    assert not any(name.startswith("kiwilite.cli") for name in found)
    assert len(code_digest(module, ())) == 64


def test_installing_packages_does_not_depend_on_the_code_that_makes_the_disk() -> None:
    found = keys.imported_modules("kiwilite.build.stages.packages")
    assert "kiwilite.plan.tree_steps" in found
    assert not {"kiwilite.plan.image_steps", "kiwilite.plan.partitions"} & found


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
        digest_source(folder / "root")
    assert caught.value.where == str(folder / "root/pipe")
