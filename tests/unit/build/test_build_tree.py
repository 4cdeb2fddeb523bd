"""What a description puts into a tree stays in the tree."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kiwilite.build.job import Job
from kiwilite.build.tree import inside, overlay, place_file
from kiwilite.errors import StageFailed
from kiwilite.plan.references import Source
from kiwilite.plan.tree_steps import PlaceFile


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for folder in ("etc", "usr/bin", "run/lock", "var"):
        (root / folder).mkdir(parents=True)
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nme:x:1234:1::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nus:x:4321:\n")
    (root / "bin").symlink_to("usr/bin")
    (root / "var/lock").symlink_to("/run/lock")
    (root / "var/run").symlink_to("../run")
    return root


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/", ""),
        ("/etc/passwd", "etc/passwd"),
        ("etc/passwd", "etc/passwd"),
        ("/bin/sh", "usr/bin/sh"),
        ("/var/lock/a", "run/lock/a"),
        ("/var/run/lock/a", "run/lock/a"),
        ("/not/there/yet", "not/there/yet"),
    ],
)
def test_links_are_followed_inside_the_tree(tree: Path, path: str, place: str) -> None:
    assert inside(tree, path) == tree / place


def test_a_link_through_another_absolute_link_stays_inside(tree: Path) -> None:
    (tree / "here").symlink_to("there/passwd")
    (tree / "there").symlink_to("/etc")
    assert inside(tree, "/here") == tree / "etc/passwd"


@pytest.mark.parametrize("path", ["/..", "/etc/../../x", "../x", "/a/.."])
def test_a_path_upwards_is_refused(tree: Path, path: str) -> None:
    with pytest.raises(StageFailed, match="leaves the image"):
        inside(tree, path)


@pytest.mark.parametrize("link", ["..", "../../etc/passwd", "usr/../../x"])
def test_a_link_that_leaves_the_tree_is_refused(tree: Path, link: str) -> None:
    (tree / "out").symlink_to(link)
    with pytest.raises(StageFailed, match="out of the image"):
        inside(tree, "/out/file")


def test_a_circle_of_links_is_refused(tree: Path) -> None:
    (tree / "a").symlink_to("b")
    (tree / "b").symlink_to("/a")
    with pytest.raises(StageFailed, match="circle"):
        inside(tree, "/a")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "overlay"
    (root / "etc/new").mkdir(parents=True)
    (root / "bin").mkdir()
    return root


def test_files_and_folders_come_with_their_modes(tree: Path, source: Path) -> None:
    for name, mode in (("etc/new/secret", 0o600), ("etc/shared", 0o664), ("bin/run", 0o775)):
        (source / name).write_text(name)
        (source / name).chmod(mode)
    (source / "etc/new").chmod(0o700)
    overlay(source, tree)
    modes = {
        name: stat.S_IMODE((tree / name).stat().st_mode)
        for name in ("etc/new", "etc/new/secret", "etc/shared", "usr/bin/run")
    }
    assert modes == {
        "etc/new": 0o700,
        "etc/new/secret": 0o600,
        "etc/shared": 0o644,
        "usr/bin/run": 0o755,
    }


def test_a_folder_that_is_there_keeps_its_mode_and_its_links(tree: Path, source: Path) -> None:
    (tree / "etc").chmod(0o711)
    overlay(source, tree)
    assert stat.S_IMODE((tree / "etc").stat().st_mode) == 0o711
    assert (tree / "bin").is_symlink()


def test_links_come_as_links_and_replace_files(tree: Path, source: Path) -> None:
    (source / "etc/passwd").symlink_to("/nowhere/at/all")
    overlay(source, tree)
    assert (tree / "etc/passwd").readlink() == Path("/nowhere/at/all")


def test_a_file_replaces_a_link_and_does_not_write_through_it(
    tree: Path, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "host").write_text("untouched")
    (tree / "etc/file").symlink_to(tmp_path / "host")
    (source / "etc/file").write_text("new")
    overlay(source, tree)
    assert (tmp_path / "host").read_text() == "untouched"
    assert (tree / "etc/file").read_text() == "new"


def test_a_folder_behind_an_absolute_link_is_the_tree_s(
    tree: Path, source: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "host"
    outside.mkdir()
    (tree / "srv").symlink_to(outside)
    (source / "srv").mkdir()
    (source / "srv/file").write_text("x")
    overlay(source, tree)
    assert not list(outside.iterdir())
    assert (tree / str(outside)[1:] / "file").read_text() == "x"


def test_a_folder_over_a_file_and_a_file_over_a_folder_are_refused(
    tree: Path, source: Path
) -> None:
    (tree / "etc/new").write_text("a file")
    with pytest.raises(StageFailed, match="new is a folder in the overlay tree"):
        overlay(source, tree)
    (tree / "etc/new").unlink()
    (tree / "etc/other").mkdir()
    (source / "etc/other").write_text("a file")
    with pytest.raises(StageFailed, match="other is a folder in the image"):
        overlay(source, tree)


def job_with(tmp_path: Path, item: PlaceFile) -> Job:
    return Job(
        title="files",
        out=tmp_path,
        scratch=tmp_path,
        log=tmp_path / "log",
        outputs={},
        sources={str(item.source.path): item.source.path},
        cache=tmp_path,
        mirrors={},
    )


@pytest.fixture
def owners(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """Owners that were set, by path: only root can really set them."""
    found: dict[str, tuple[int, int]] = {}

    def chown(path: Path, user: int, group: int) -> None:
        found[str(path)] = (user, group)

    monkeypatch.setattr(os, "chown", chown)
    return found


@pytest.mark.parametrize(
    ("target", "place"),
    [("/etc/named", "etc/named"), ("/etc/", "etc/plain"), ("/bin", "usr/bin/plain")],
)
def test_a_file_is_placed_by_name_or_into_a_folder(
    tree: Path, tmp_path: Path, owners: dict[str, tuple[int, int]], target: str, place: str
) -> None:
    source = tmp_path / "plain"
    source.write_text("content")
    item = PlaceFile(Source(source), target, "me:us", 0o440)
    place_file(job_with(tmp_path, item), tree, item)
    assert (tree / place).read_text() == "content"
    assert stat.S_IMODE((tree / place).stat().st_mode) == 0o440
    assert owners == {str(tree / place): (1234, 4321)}


@pytest.mark.parametrize(
    ("owner", "numbers"), [("7:8", (7, 8)), ("root", (0, 0)), ("me:8", (1234, 8))]
)
def test_owners_are_names_of_the_image_or_numbers(
    tree: Path,
    tmp_path: Path,
    owners: dict[str, tuple[int, int]],
    owner: str,
    numbers: tuple[int, int],
) -> None:
    source = tmp_path / "plain"
    source.write_text("content")
    source.chmod(0o664)
    item = PlaceFile(Source(source), "/opt/deep/down/file", owner, None)
    place_file(job_with(tmp_path, item), tree, item)
    assert list(owners.values()) == [numbers]
    assert stat.S_IMODE((tree / "opt/deep/down/file").stat().st_mode) == 0o644


@pytest.mark.parametrize(("owner", "word"), [("you:root", "user"), ("root:them", "group")])
def test_an_owner_the_image_does_not_know_is_an_error(
    tree: Path, tmp_path: Path, owner: str, word: str
) -> None:
    source = tmp_path / "plain"
    source.touch()
    item = PlaceFile(Source(source), "/etc/x", owner, None)
    with pytest.raises(StageFailed, match=f"the image has no {word} called"):
        place_file(job_with(tmp_path, item), tree, item)


def test_a_file_is_never_written_through_a_link_to_the_host(
    tree: Path, tmp_path: Path, owners: dict[str, tuple[int, int]]
) -> None:
    victim = tmp_path / "host-file"
    victim.write_text("untouched")
    (tree / "etc/plain").symlink_to(victim)
    source = tmp_path / "plain"
    source.write_text("new")
    item = PlaceFile(Source(source), "/etc/", "root", None)
    place_file(job_with(tmp_path, item), tree, item)
    assert victim.read_text() == "untouched"
    assert list(owners) == [str(tree / str(victim)[1:])]
