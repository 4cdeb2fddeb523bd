"""The console driver against pseudo-terminals with real shells, and a fake peer."""

from __future__ import annotations

import os
import pty
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kiwilite.vm.console import CommandResult, Console, ConsoleClosed, LoginFailed, Timeout

SHELLS = [
    pytest.param([*command], id=command[0])
    for command in (["dash", "-i"], ["bash", "--norc", "-i"], ["busybox", "sh", "-i"])
    if shutil.which(command[0])
]

GETTY = r"""
while :; do
    printf 'guest login: '; read -r user
    [ -n "$user" ] || continue
    stty -echo; printf 'Password: '; read -r password; stty echo; echo
    [ "$password" = secret ] && break
    echo; echo 'Login incorrect'
done
echo 'Last login: Mon Jan  1 00:00:00 on ttyS0'
"""


@contextmanager
def at_terminal(command: list[str], log: Path | None = None) -> Iterator[tuple[Console, int]]:
    """A console with `command` at its other end, and a descriptor that adds noise there."""
    master, slave = pty.openpty()
    with subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        env={**os.environ, "TERM": "vt220", "ENV": ""},
        preexec_fn=lambda: os.login_tty(0),  # noqa: PLW1509
    ) as process:
        try:
            with Console(master, log=log) as console:
                yield console, slave
        finally:
            os.close(slave)
            process.kill()


@contextmanager
def with_peer() -> Iterator[tuple[Console, socket.socket]]:
    ours, theirs = socket.socketpair()
    with theirs, Console(ours.detach()) as console:
        yield console, theirs


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> Iterator[Console]:
    with at_terminal(request.param) as (console, _):
        console.wait_for_shell(20)
        yield console


def test_output_and_status_come_back_exactly(shell: Console) -> None:
    for command, status, output in [
        ("echo hi", 0, "hi\n"),
        ("printf 'no newline'", 0, "no newline"),
        ("printf 'a\\n\\n\\n'", 0, "a\n\n\n"),
        ("true", 0, ""),
        ("exit 42", 42, ""),
        ("echo out; echo err >&2; false", 1, "out\nerr\n"),
        ("printf '%s\\n' '!! $HOME \\n `x` \"'", 0, '!! $HOME \\n `x` "\n'),
        ("echo one\necho two\n# a comment", 0, "one\ntwo\n"),
        ("printf '%s\\n' 'a\tb' 'grüße'", 0, "a\tb\ngrüße\n"),
        ("echo login: root", 0, "login: root\n"),
    ]:
        result = shell.run(command, timeout=20)
        assert result.status == status, command
        assert result.output == output


def test_a_syntax_error_is_a_status_not_a_hang(shell: Console) -> None:
    assert shell.run("echo 'unbalanced", timeout=20).status != 0
    assert shell.run("echo fine", timeout=20).output == "fine\n"


def test_a_command_longer_than_any_line_editor_takes(shell: Console) -> None:
    text = "x" * 3000 + "'" + "y" * 1500
    result = shell.run(f'printf %s "{text}" | wc -c', timeout=20)
    assert result.output.strip() == str(len(text))


def test_much_output_is_complete(shell: Console) -> None:
    result = shell.run("i=0; while [ $i -lt 5000 ]; do echo $i; i=$((i+1)); done", timeout=60)
    assert result.output == "".join(f"{number}\n" for number in range(5000))


def test_kernel_messages_between_the_lines_do_not_reach_the_output() -> None:
    with at_terminal(["dash", "-i"]) as (console, slave):
        console.wait_for_shell(20)
        pause = "for i in 1 2 3; do echo line $i; sleep 0.2; done; false"
        noise = [b"\r\n[    1.%06d] random: crng init done\r\n" % number for number in range(30)]
        feed = iter(noise)
        result = while_feeding(
            lambda: console.run(pause, timeout=20), lambda: os.write(slave, next(feed, b""))
        )
        assert result.status == 1
        assert result.output == "line 1\nline 2\nline 3\n"
        assert console.text.count("crng init done") >= 3


def test_a_message_in_the_middle_of_the_status_does_not_hide_it() -> None:
    with with_peer() as (console, peer):

        def guest() -> None:
            """Cuts the first two copies of the status in two, inside their token."""
            message = b"\r\n*** oops\r\n"
            line = next(read_lines(peer))
            halves = re.search(r"s/\^/'(\w+)'(\w+)\|/", line)
            ends = re.search(r"' (\w+) (\w+) \$s \$i", line)
            assert halves
            assert ends
            token, end = "".join(halves.groups()).encode(), "".join(ends.groups()).encode()
            for content in (b"result", b""):
                peer.sendall(token + b"|" + content + b"|" + token + b"\r\n")
            peer.sendall(token + b"|" + end[:5] + message + end[5:] + b":7;1;|" + token + b"\r\n")
            peer.sendall(token + b"|" + end + b":" + message + b"7;2;|" + token + b"\r\n")
            peer.sendall(token + b"|" + end + b":7;3;|" + token + b"\r\n")

        result = while_feeding(lambda: console.run("true", timeout=10), guest, times=1)
        assert (result.status, result.output) == (7, "result\n")


def test_login_sees_a_shell_behind_getty(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with at_terminal(["sh", "-c", f"{GETTY} exec sh -i"], log) as (console, _):
        console.expect("login: ", 10)  # matched before: login must still find it
        console.login("root", "secret", 30)
        assert console.run("echo $((40 + 2))").output == "42\n"
    assert b"Last login" in log.read_bytes()
    assert b"\r\n" in log.read_bytes()  # every byte as it came


def test_login_with_messages_over_the_prompt() -> None:
    noisy = f"{GETTY} (sleep 1; echo '[ 9.9] late noise') & exec sh -i"
    with at_terminal(["sh", "-c", noisy]) as (console, slave):
        console.expect("login: ", 10)
        os.write(slave, b"[    5.1] a message over the prompt\r\n")
        console.login("root", "secret", 30)
        assert console.run("true").status == 0


def test_a_wrong_password_is_told_from_a_slow_guest() -> None:
    guest = at_terminal(["sh", "-c", f"{GETTY} exec sh -i"])
    with guest as (console, _), pytest.raises(LoginFailed, match="root could not log in"):
        console.login("root", "wrong", 20)


def test_expect_goes_on_behind_the_last_match() -> None:
    with with_peer() as (console, peer):
        peer.sendall(b"one two one")
        assert console.expect("one", 5).start() == 0
        assert console.expect("one", 5).start() == 8
        with pytest.raises(Timeout):
            console.expect("one", 0.05)


def test_a_timeout_carries_the_last_forty_lines() -> None:
    with with_peer() as (console, peer):
        peer.sendall(b"".join(b"line %d\r\n" % number for number in range(100)))
        console.expect("line 99\n", 5)
        with pytest.raises(Timeout) as raised:
            console.expect("never", 0.05)
    lines = raised.value.tail.split("\n")
    assert lines == [f"line {number}" for number in range(60, 100)]
    assert "line 60" in str(raised.value)
    assert "'never'" in str(raised.value)


def test_an_end_of_the_machine_is_not_waited_for() -> None:
    with with_peer() as (console, peer):
        peer.sendall(b"Power down")
        peer.close()
        assert console.expect("Power down", 5)
        began = time.monotonic()
        with pytest.raises(ConsoleClosed, match="login"):
            console.expect("login:", 60)
        assert time.monotonic() - began < 10
        with pytest.raises(ConsoleClosed):
            console.send("root\n")


def test_a_peer_that_reads_nothing_is_a_timeout() -> None:
    with with_peer() as (console, _), pytest.raises(Timeout):
        console.send("x" * 10_000_000, timeout=0.2)


def test_colours_and_a_character_cut_in_two_do_not_hide_a_match() -> None:
    with with_peer() as (console, peer):
        for piece in (b"[\x1b[0;1", b";32m  OK  \x1b", b"[0m] gr\xc3", b"\xbc\xc3\x9fe\r\n"):
            peer.sendall(piece)
            time.sleep(0.02)
        assert console.expect(r"\[  OK  \] grüße\n", 5)


def while_feeding(
    work: Callable[[], CommandResult], feed: Callable[[], object], *, times: int = 1_000
) -> CommandResult:
    """The result of `work`, during which another thread calls `feed` again and again."""
    done = threading.Event()

    def feeder() -> None:
        for _ in range(times):
            feed()
            if done.wait(0.03):
                return

    thread = threading.Thread(target=feeder)
    thread.start()
    try:
        return work()
    finally:
        done.set()
        thread.join()


def read_lines(peer: socket.socket) -> Iterator[str]:
    with peer.makefile("r") as typed:
        for line in typed:
            yield line.rstrip("\n")
