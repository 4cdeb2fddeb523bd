"""Root and an ordinary user get the same image, byte for byte.

The user has another checkout in another folder, another store, another umask, time zone,
language and home, and builds at another time.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import pytest
from opened_image import cut_out
from opened_volume import decrypted, is_clean, opens

import kiwilite
from kiwilite.ondisk import gpt

CHECKOUT = Path(kiwilite.__file__).resolve().parent.parent
PARTS = ("kiwilite", "schema", "descriptions")
SYSTEM_PYTHON = Path("/usr/bin/python3")
ARGUMENTS = ("system", "build", "--description", "x86", "--profile", "bootstrapped")

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else too"),
]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with a home and a checkout of their own."""

    name: str
    home: Path

    @property
    def checkout(self) -> Path:
        """Where their copy of kiwilite is."""
        return self.home / "some where" / "else"

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command as this user, in their checkout, with nothing of root's environment."""
        environment = {
            "HOME": str(self.home),
            "USER": self.name,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "de_DE.UTF-8",
            "TZ": "Pacific/Kiritimati",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        identity = ["setpriv", f"--reuid={self.name}", f"--regid={self.name}", "--init-groups"]
        return subprocess.run(
            [*identity, "sh", "-c", 'umask 077 && cd "$0" && exec "$@"', self.checkout, *words],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def user() -> Iterator[User]:
    """An ordinary user made for this test, who goes with all they have."""
    name = f"kiwilite{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--user-group", name], check=True)
    try:
        found = User(name, Path(pwd.getpwnam(name).pw_dir))
        give_checkout(found)
        give_python(found)
        subprocess.run(["chown", "--recursive", f"{name}:{name}", found.home], check=True)
        yield found
    finally:
        clear_store(name)
        subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)


def clear_store(name: str) -> None:
    """Trees in the user's store belong to ids of their own; root removes them all the same."""
    shutil.rmtree(Path(pwd.getpwnam(name).pw_dir) / ".cache", ignore_errors=True)


def give_checkout(user: User) -> None:
    """A copy of what builds an image."""
    ignore = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        shutil.copytree(CHECKOUT / part, user.checkout / part, symlinks=True, ignore=ignore)


def give_python(user: User) -> None:
    """An environment of the system's Python: ours may lie where only root can read.

    Libraries are copied where they fit, else installed.
    """
    environment = user.home / "venv"
    subprocess.run([SYSTEM_PYTHON, "-m", "venv", environment], check=True)
    libraries = next(environment.glob("lib/python*/site-packages"))
    if libraries.parent.name == f"python{sys.version_info[0]}.{sys.version_info[1]}":
        own = Path(next(p for p in sys.path if p.endswith("site-packages")))
        shutil.copytree(own, libraries, symlinks=True, dirs_exist_ok=True)
        for link in libraries.glob("__editable__*"):
            shutil.rmtree(link) if link.is_dir() else link.unlink()
        return
    names = subprocess.run(
        [sys.executable, "-c", REQUIREMENTS], capture_output=True, text=True, check=True
    )
    pip: list[str | Path] = [environment / "bin/pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", *names.stdout.split()], check=True)


REQUIREMENTS = """
from importlib.metadata import requires
print(*[r for r in requires("kiwilite") or [] if "extra" not in r])
"""


def build_as_root(target: Path, *more: str) -> dict[str, str]:
    subprocess.run(
        [sys.executable, "-m", "kiwilite", *ARGUMENTS, "--target-dir", target, *more],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        check=True,
    )
    return sums(target)


def differences(one: Path, other: Path) -> list[str]:
    """Partitions that differ between two builds' disks, and where in them."""
    rows = []
    with next(one.glob("*.raw")).open("rb") as a, next(other.glob("*.raw")).open("rb") as b:
        table = gpt.read(a)
        assert table == gpt.read(b)
        for partition in table.partitions:
            start = partition.first_lba * table.sector_size
            size = partition.sectors * table.sector_size
            places = list(different_blocks(a, b, start, size))
            if places:
                rows.append(f"{partition.name}: {len(places)} blocks, the first at {places[0]:#x}")
    return rows


def different_blocks(a: BinaryIO, b: BinaryIO, start: int, size: int) -> Iterator[int]:
    """Offsets from `start` of the blocks of 4096 that differ."""
    for base in range(0, size, 1 << 20):
        a.seek(start + base)
        b.seek(start + base)
        here, there = a.read(min(1 << 20, size - base)), b.read(min(1 << 20, size - base))
        if here != there:
            pairs = ((i, here[i : i + 4096], there[i : i + 4096]) for i in range(0, 1 << 20, 4096))
            yield from (base + i for i, x, y in pairs if x != y)


def sums(target: Path) -> dict[str, str]:
    """Digest by file name, from the file that the build wrote and `sha256sum` agrees with."""
    subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=target, check=True)
    rows = (line.split("  ") for line in (target / "SHA256SUMS").read_text().splitlines())
    return {name: digest for digest, name in rows}


@pytest.fixture(scope="module")
def by_user(user: User) -> Path:
    """What the user built."""
    done = user.run(user.home / "venv/bin/python", "-m", "kiwilite", *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    return user.checkout / "build/kiwilite-x86-bootstrapped"


def test_the_same_bytes(user: User, by_user: Path, tmp_path: Path) -> None:
    theirs = sums(by_user)
    packages = next(by_user.glob("*.packages"))
    ours = build_as_root(tmp_path / "image")
    if ours[packages.name] != theirs[packages.name]:  # our store is older than today's mirror
        ours = build_as_root(tmp_path / "image", "--refresh")
    kinds = {Path(name).suffix for name in ours}
    assert kinds == {".qcow2", ".efi", ".roothash", ".packages"}
    assert differences(by_user, tmp_path / "image") == []
    assert theirs == ours


def test_all_of_it_belongs_to_the_user(user: User, by_user: Path) -> None:
    number = pwd.getpwnam(user.name).pw_uid
    files = [by_user, *by_user.rglob("*")]
    assert {path.stat().st_uid for path in files} == {number}


def test_a_second_time_the_user_has_nothing_to_do(user: User, by_user: Path) -> None:
    done = user.run(user.home / "venv/bin/python", "-m", "kiwilite", *ARGUMENTS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nothing to do")


def test_the_user_s_build_encrypts_an_overlay_without_a_device(
    user: User, by_user: Path, tmp_path: Path
) -> None:
    """With most of the steps in the user's store already: the one that encrypts has no root."""
    file = user.checkout / "descriptions/x86/appliance.kiwi"
    old = file.read_text()
    assert 'provisioning="firstboot"' in old
    new = re.sub("<luksformat>.*</luksformat>", "", old, flags=re.DOTALL)
    file.write_text(new.replace('provisioning="firstboot"', 'provisioning="build"'))
    target = user.home / "encrypted"
    try:
        done = user.run(
            *(user.home / "venv/bin/python", "-m", "kiwilite", *ARGUMENTS),
            *("--target-dir", target),
        )
    finally:
        file.write_text(old)
    assert done.returncode == 0, done.stderr
    volume = cut_out(next(target.glob("*.raw")), "p.lxroot", tmp_path / "volume")
    assert opens(volume, b"insecure")
    assert is_clean(decrypted(volume, b"insecure", tmp_path / "xfs"))


def test_the_user_s_store_is_sound_and_can_be_emptied(user: User, by_user: Path) -> None:
    """Files in its trees belong to ids that only exist in the namespace."""
    store = (str(user.home / "venv/bin/python"), "-m", "kiwilite", "store")
    verified = user.run(*store, "verify")
    assert verified.returncode == 0, f"{verified.stdout}{verified.stderr}"
    emptied = user.run(*store, "gc", "--max-size", "1M")
    assert emptied.returncode == 0, emptied.stderr
    assert list((user.home / ".cache/kiwilite/entries").iterdir()) == []
    assert list((user.home / ".cache/kiwilite/work").iterdir()) == []
