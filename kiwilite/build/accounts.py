"""The description's users and groups, made with the image's own tools."""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import os
from pathlib import Path

from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed
from kiwilite.plan.tree_steps import Account

_SALT_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def set_up_accounts(
    job: Job, tree: Path, accounts: tuple[Account, ...], *, seed: str, epoch: int
) -> None:
    """Create or change each account; passwords never appear on a command line or in the log."""
    environment = {"SOURCE_DATE_EPOCH": str(epoch)}
    for account in accounts:
        for group, number in account.groups:
            if group not in _names(tree, "group"):
                numbered = ["--gid", str(number)] if number is not None else ["--system"]
                run_in_tree(job, tree, ["groupadd", *numbered, group], environment=environment)
        known = account.name in _names(tree, "passwd")
        arguments = _arguments(account, known=known)
        if arguments or not known:
            command = ["usermod" if known else "useradd", *arguments, account.name]
            run_in_tree(job, tree, command, environment=environment)
        _give_home(tree, account.name)
        password = account.password
        if account.plain_password is not None:
            password = hashed_password(account.plain_password.text, seed, account.name)
        if password is not None:
            _set_password(tree / "etc/shadow", account.name, password)


def _arguments(account: Account, *, known: bool) -> list[str]:
    rows = [] if known else ["--create-home"]
    for option, value in (
        ("--uid", account.uid),
        ("--comment", account.realname),
        ("--home-dir" if not known else "--home", account.home),
        ("--shell", account.shell),
    ):
        if value is not None and not (known and option == "--home"):
            rows += [option, str(value)]
    names = [name for name, _ in account.groups]
    if names:
        rows += ["--gid", names[0]]
    if len(names) > 1:
        rows += ["--groups", ",".join(names[1:])]
    return rows


def _names(tree: Path, table: str) -> set[str]:
    lines = (tree / "etc" / table).read_text().splitlines()
    return {line.split(":")[0] for line in lines}


def _give_home(tree: Path, name: str) -> None:
    """What the overlay tree brought into the home of a user is that user's, as KIWI has it."""
    rows = (line.split(":") for line in (tree / "etc/passwd").read_text().splitlines())
    uid, gid, home = next((int(r[2]), int(r[3]), inside(tree, r[5])) for r in rows if r[0] == name)
    if uid == 0 or not home.is_dir() or home == tree:
        return
    for path in (home, *home.rglob("*")):
        if path.lstat().st_uid == 0:
            os.lchown(path, uid, gid)


def _set_password(shadow: Path, name: str, hashed: str) -> None:
    rows = [line.split(":") for line in shadow.read_text().splitlines()]
    for row in rows:
        if row[0] == name:
            row[1] = hashed
    shadow.write_text("".join(f"{':'.join(row)}\n" for row in rows))


def hashed_password(password: str, seed: str, user: str) -> str:
    """SHA-512 crypt(3) of a plain password, the same on every build.

    The salt comes from the image, the user and the password: it need not be secret, only
    differ between passwords, so that equal hashes do not give equal passwords away.
    """
    digest = hashlib.sha256(f"{seed}\0{user}\0{password}".encode()).digest()
    salt = "".join(_SALT_ALPHABET[byte % 64] for byte in digest[:16])
    library = ctypes.util.find_library("crypt")
    if library is None:
        raise StageFailed(
            "a plain password needs libcrypt on this host",
            hint='give it as pwdformat="encrypted" (mkpasswd makes it), or install libcrypt1',
        )
    crypt = ctypes.CDLL(library).crypt
    crypt.restype = ctypes.c_char_p
    hashed: bytes | None = crypt(password.encode(), f"$6${salt}$".encode())
    if not hashed or not hashed.startswith(b"$6$"):
        raise StageFailed(f"libcrypt did not hash the password of {user}")
    return hashed.decode()
