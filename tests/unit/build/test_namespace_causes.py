"""Each way in which a host forbids the namespace of a build has a message and a remedy."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from kiwilite.build.namespace_causes import (
    APPARMOR,
    CLONE,
    MOST,
    SWITCHES,
    Point,
    Surroundings,
    refusal,
    refused_map,
    surroundings,
)
from kiwilite.errors import HostError

USER, ROOT = 1000, 0
OPEN: Mapping[str, str] = {MOST.name: "9000", CLONE.name: "1", APPARMOR.name: "0"}


def around(uid: int, *, filtered: bool = False, **settings: str) -> Surroundings:
    """Where all is allowed but for these settings, by the last part of their names."""
    known = {s.name: settings.get(s.name.rpartition(".")[2], OPEN[s.name]) for s in SWITCHES}
    return Surroundings(uid, known, is_filtered=filtered)


EPERM, ENOSPC, EACCES = errno.EPERM, errno.ENOSPC, errno.EACCES


@pytest.mark.parametrize(
    ("point", "number", "found", "cause", "remedy"),
    [
        (Point.MAKE, ENOSPC, around(ROOT, max_user_namespaces="0"), MOST.name, "= 15000"),
        (Point.MAKE, ENOSPC, around(USER), "as many as user.max", "also of the container"),
        (Point.MAKE, EPERM, around(USER, unprivileged_userns_clone="0"), CLONE.name, "clone = 1"),
        (
            *(Point.USE, EACCES, around(USER, apparmor_restrict_unprivileged_userns="1")),
            *("restrict_unprivileged_userns is 1", "restrict_unprivileged_userns = 0"),
        ),
        (Point.MAKE, EPERM, around(ROOT, filtered=True), "filter of system", "seccomp=unconfined"),
        (Point.USE, EPERM, around(USER, filtered=True), "filter of system", "apparmor=unconfined"),
        (Point.NAME, EPERM, around(ROOT, filtered=True), "host name", "--hostname localhost"),
        (Point.MAP, EPERM, around(ROOT), "root of this container", "--cap-add SETUID,SETGID"),
        (Point.MAKE, EPERM, around(USER), "cannot be made", "chroot"),
        # What does not bind root, or comes later, is not the cause.
        (Point.MAKE, EPERM, around(ROOT, unprivileged_userns_clone="0"), "cannot", "chroot"),
        (
            *(Point.MAKE, EPERM, around(USER, apparmor_restrict_unprivileged_userns="1")),
            *("cannot be made", "chroot"),
        ),
    ],
)
def test_the_cause_is_named_with_its_remedy(
    point: Point, number: int, found: Surroundings, cause: str, remedy: str
) -> None:
    error = refusal(point, "in the kernel's words", number, found)
    assert error.exit_status == HostError.exit_status
    assert cause in error.message
    assert ("in the kernel's words" in error.message) == (number != ENOSPC)
    assert remedy in (error.hint or "")


def test_the_causes_are_told_apart() -> None:
    """No two of them have the same words."""
    found = [
        refusal(Point.MAKE, "", ENOSPC, around(USER, max_user_namespaces="0")),
        refusal(Point.MAKE, "", ENOSPC, around(USER)),
        refusal(Point.MAKE, "", EPERM, around(USER, unprivileged_userns_clone="0")),
        refusal(Point.USE, "", EPERM, around(USER, apparmor_restrict_unprivileged_userns="1")),
        refusal(Point.MAKE, "", EPERM, around(USER, filtered=True)),
        refusal(Point.NAME, "", EPERM, around(USER, filtered=True)),
        refusal(Point.MAKE, "", EPERM, around(USER)),
        refusal(Point.MAP, "", EPERM, around(ROOT)),
    ]
    assert len({error.message for error in found}) == len(found)
    assert len({error.hint for error in found}) == len(found)


def test_what_holds_for_this_process_is_read(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/status").write_text(
        "CapBnd:\t00000000800405fb\nNoNewPrivs:\t1\nSeccomp:\t2\n"
    )
    (tmp_path / "sys/user").mkdir(parents=True)
    (tmp_path / "sys/user/max_user_namespaces").write_text("0\n")
    found = surroundings(tmp_path)
    assert found == Surroundings(os.geteuid(), {MOST.name: "0"}, True, True, True)


def helper(folder: Path, mode: int) -> str:
    """A program that would give ids, alone on the way to programs."""
    program = folder / "newuidmap"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(mode)
    return str(folder)


def complaint(found: Surroundings) -> tuple[str, str]:
    error = refused_map("newuidmap", "write to uid_map failed", found)
    return error.message, error.hint or ""


def test_a_helper_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message, hint = complaint(around(USER))
    assert message == "newuidmap is not installed"
    assert "apt-get install uidmap" in hint


def test_a_helper_without_powers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", helper(tmp_path, 0o755))
    message, hint = complaint(around(USER))
    assert "neither setuid root nor has it capabilities" in message
    assert f"chmod u+s {tmp_path}/newuidmap" in hint


def test_a_helper_whose_powers_do_not_count(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", helper(tmp_path, 0o4755))
    message, hint = complaint(Surroundings(USER, OPEN, gains_no_powers=True))
    assert "no_new_privs" in message
    assert "no-new-privileges" in hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a program setuid root")
def test_a_helper_that_has_powers_and_refuses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", helper(tmp_path, 0o4755))
    message, hint = complaint(around(USER))
    assert message == "newuidmap refused: write to uid_map failed"
    assert "/etc/subuid" in hint
