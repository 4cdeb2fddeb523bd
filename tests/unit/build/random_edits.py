"""Edits of a tree, drawn from a seed: the same on two trees that are the same."""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

COUNT = 120


def edit_at_random(tree: Path, seed: int) -> None:
    """Do COUNT things to what is there at that moment."""
    chance = random.Random(seed)
    for number in range(COUNT):
        chance.choice(EDITS)(tree, chance, number)


def _some(tree: Path, chance: random.Random, kind: Callable[[int], bool]) -> Path | None:
    found = sorted(p for p in tree.rglob("*") if kind(p.lstat().st_mode))
    return chance.choice(found) if found else None


def _file(tree: Path, chance: random.Random) -> Path | None:
    return _some(tree, chance, stat.S_ISREG)


def _folder(tree: Path, chance: random.Random) -> Path:
    return _some(tree, chance, stat.S_ISDIR) or tree


def _append(tree: Path, chance: random.Random, number: int) -> None:
    if path := _file(tree, chance):
        with path.open("a") as stream:
            stream.write(f"{number}")


def _replace(tree: Path, chance: random.Random, number: int) -> None:
    if path := _file(tree, chance):
        path.with_name("new").write_text(f"{number}")
        path.with_name("new").rename(path)


def _create(tree: Path, chance: random.Random, number: int) -> None:
    path = _folder(tree, chance) / f"created-{number % 20}"
    if not path.is_dir():
        path.write_text(f"{number}")


def _remove(tree: Path, chance: random.Random, number: int) -> None:
    if path := _some(tree, chance, lambda mode: not stat.S_ISDIR(mode)):
        path.unlink()


def _remove_folder(tree: Path, chance: random.Random, number: int) -> None:
    if number % 4 == 0:
        path = _folder(tree, chance)
        if path != tree:
            shutil.rmtree(path)
            if number % 8 == 0:
                (path / "again").mkdir(parents=True)


def _make_folder(tree: Path, chance: random.Random, number: int) -> None:
    (_folder(tree, chance) / f"folder-{number % 10}").mkdir(exist_ok=True)


def _swap_kind(tree: Path, chance: random.Random, number: int) -> None:
    if path := _file(tree, chance):
        path.unlink()
        path.mkdir()


def _rename(tree: Path, chance: random.Random, number: int) -> None:
    """Names of one file stay in one folder: `mv` of a folder may make it two (see `layers`)."""
    if path := _file(tree, chance):
        into = _folder(tree, chance)
        names = [p for p in tree.rglob("*") if os.path.samestat(p.lstat(), path.lstat())]
        path.rename((into if len(names) == 1 else path.parent) / f"renamed-{number}")


def _move_folder(tree: Path, chance: random.Random, number: int) -> None:
    path, into = _folder(tree, chance), _folder(tree, chance)
    if path != tree and not into.is_relative_to(path):
        subprocess.run(["mv", path, into / f"moved-{number}"], check=True)


def _link(tree: Path, chance: random.Random, number: int) -> None:
    if path := _file(tree, chance):
        path.with_name(f"linked-{number}").hardlink_to(path)


def _symlink(tree: Path, chance: random.Random, number: int) -> None:
    (_folder(tree, chance) / f"link-{number}").symlink_to(f"../to/{number}")


def _mode(tree: Path, chance: random.Random, number: int) -> None:
    if path := _some(tree, chance, lambda mode: not stat.S_ISLNK(mode)):
        path.chmod(chance.choice([0o600, 0o644, 0o755, 0o4755, 0o1777]))


def _owner(tree: Path, chance: random.Random, number: int) -> None:
    if path := _some(tree, chance, lambda mode: True):
        os.lchown(path, chance.randrange(100), chance.randrange(100))


def _attribute(tree: Path, chance: random.Random, number: int) -> None:
    if path := _some(tree, chance, lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        os.setxattr(path, f"user.n{number % 5}", b"%d" % number)


def _time(tree: Path, chance: random.Random, number: int) -> None:
    if path := _some(tree, chance, lambda mode: True):
        os.utime(path, ns=(number, number), follow_symlinks=False)


EDITS = (
    *(_append, _replace, _create, _remove, _remove_folder, _make_folder, _swap_kind, _rename),
    *(_move_folder, _link, _symlink, _mode, _owner, _attribute, _time),
)
