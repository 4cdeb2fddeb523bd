"""Drives a serial console: waits for what appears, types, runs commands."""

from __future__ import annotations

import codecs
import contextlib
import os
import re
import select
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from kiwilite.errors import HostError, KiwiliteError
from kiwilite.vm import ansi
from kiwilite.vm.shell import CommandResult, Frame

__all__ = ["CommandResult", "Console", "ConsoleClosed", "ConsoleError", "LoginFailed", "Timeout"]

_TAIL_LINES = 40
_PROBE = 10.0  # seconds until a shell that does not answer is asked again
_LOGIN = re.compile(r"(?<!Last )login: ?")
_PROMPT = re.compile(r"[#$%>] ?\Z")
_REFUSED = re.compile(r"[Ll]ogin incorrect")


class ConsoleError(KiwiliteError):
    """Something expected did not appear; `tail` has the console's last lines."""

    def __init__(self, message: str, tail: str) -> None:
        super().__init__(f"{message}; the console's last lines:\n{tail}")
        self.tail = tail


class Timeout(ConsoleError):
    """It did not appear in time."""


class ConsoleClosed(ConsoleError):
    """The other end has closed the console: the machine is off."""


class LoginFailed(ConsoleError):
    """The guest refused user and password."""


class Console:
    """A console behind a descriptor: a unix socket, or the master of a pseudo-terminal.

    A thread reads it from the first moment on, so nothing is lost or held back
    while no one waits. `log` gets every byte as it came. What `expect` and `text`
    see is plain text: without terminal sequences and carriage returns.

    The console owns the descriptor.
    """

    def __init__(self, descriptor: int, *, log: Path | None = None) -> None:
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        self._log = _open_log(log)
        self._changed = threading.Condition()
        self._text = ""
        self._seen = 0  # what lies before it has been matched
        self._open = True
        self._wake_reader, self._wake = os.pipe()
        self._reader = threading.Thread(target=self._read, name="console", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def text(self) -> str:
        """All that has appeared so far."""
        with self._changed:
            return self._text

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last `lines` lines that have appeared."""
        return "\n".join(self.text.rstrip("\n").split("\n")[-lines:])

    def expect(self, pattern: str | re.Pattern[str], timeout: float) -> re.Match[str]:
        """Wait until the regular expression appears behind the last match.

        Raises Timeout after `timeout` seconds, ConsoleClosed where it cannot
        appear any more.
        """
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = expression.search(self._text, self._seen)
                if match is not None:
                    self._seen = match.end()
                    return match
                remaining = deadline - time.monotonic()
                if not self._open:
                    break
                if remaining <= 0:
                    break
                self._changed.wait(remaining)
            closed = not self._open
        wanted = f"{expression.pattern!r}"
        if closed:
            raise ConsoleClosed(f"the console closed before {wanted} appeared", self.tail())
        raise Timeout(f"{wanted} did not appear within {timeout:g} s", self.tail())

    def send(self, text: str, timeout: float = 30) -> None:
        """Type `text`; a line needs its "\\n".

        Raises Timeout where the other end takes nothing for `timeout` seconds,
        ConsoleClosed where there is none.
        """
        data = text.encode()
        while data:
            _, writable, _ = select.select([], [self._descriptor], [], timeout)
            if not writable:
                raise Timeout(f"the console took no input for {timeout:g} s", self.tail())
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise ConsoleClosed(f"nothing can be typed: {error}", self.tail()) from error

    def login(self, user: str, password: str, timeout: float = 120) -> None:
        """Log in at the `login:` prompt, and keep the kernel's messages off the console.

        Raises LoginFailed, or Timeout after about `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        if _LOGIN.search(self.text[-500:]):
            # The prompt may have been matched already, or buried by messages:
            # an empty line brings a fresh one.
            self._skip()
            self.send("\n")
        self.expect(_LOGIN, _until(deadline))
        self.send(f"{user}\n")
        self.expect(r"[Pp]assword: ?", _until(deadline))
        self.send(f"{password}\n")
        # A message may hide the prompt: then the probe below finds the shell.
        with contextlib.suppress(Timeout):
            answer = rf"{_REFUSED.pattern}|{_PROMPT.pattern}"
            if _REFUSED.match(self.expect(answer, min(_PROBE, _until(deadline))).group()):
                raise LoginFailed(f"{user} could not log in", self.tail())
        try:
            self.wait_for_shell(_until(deadline))
        except Timeout as error:
            if _REFUSED.search(error.tail):
                raise LoginFailed(f"{user} could not log in", error.tail) from error
            raise

    def wait_for_shell(self, timeout: float = 60) -> None:
        """Wait until a shell answers, and keep the kernel's messages off the console.

        For a console without a login prompt. Raises Timeout.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.run("dmesg -n 1 || true", min(_PROBE, _until(deadline)))
                return
            except Timeout:
                if time.monotonic() >= deadline:
                    raise
                self.send("\n")

    def run(self, command: str, timeout: float = 60) -> CommandResult:
        """Run `command` at the prompt of a POSIX shell, in a subshell.

        So `cd` and variables end with it, and its output is no terminal. Kernel
        messages do not get into the output. Raises Timeout after `timeout`
        seconds; the command goes on then.
        """
        deadline = time.monotonic() + timeout
        frame = Frame.fresh()
        *first, last = frame.lines(command)
        for line in first:
            self.send(line + "\n")
            self.expect(frame.acknowledged, _until(deadline))
        with self._changed:
            begin = self._seen
        self.send(last + "\n")
        status = int(self.expect(frame.ended, _until(deadline)).group(1))
        with self._changed:
            text = self._text[begin : self._seen]
        with contextlib.suppress(Timeout):  # a message may have hit the last copy
            self.expect(frame.settled, 1)
        return CommandResult(status, frame.output(text))

    def close(self) -> None:
        """Stop reading and close the descriptor; `text` stays."""
        if self._reader.is_alive():
            os.write(self._wake, b"x")
            self._reader.join()
        if self._descriptor >= 0:
            for descriptor in (self._descriptor, self._wake, self._wake_reader):
                os.close(descriptor)
            self._descriptor = -1

    def _skip(self) -> None:
        with self._changed:
            self._seen = len(self._text)

    def _read(self) -> None:
        try:
            self._read_to_the_end()
        finally:  # no one must wait for what will never come
            with self._changed:
                self._open = False
                self._changed.notify_all()
            if self._log is not None:
                self._log.close()

    def _read_to_the_end(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        rest = ""
        while data := self._receive():
            if self._log is not None:
                self._log.write(data)
            plain, rest = ansi.split(rest + decoder.decode(data))
            with self._changed:
                self._text += plain
                self._changed.notify_all()

    def _receive(self) -> bytes:
        while True:
            ready, _, _ = select.select([self._descriptor, self._wake_reader], [], [])
            if self._descriptor not in ready:
                return b""
            try:
                return os.read(self._descriptor, 65536)
            except BlockingIOError:
                continue
            except OSError:  # EIO: the last process has closed the pseudo-terminal
                return b""


def _open_log(path: Path | None) -> IO[bytes] | None:
    try:
        return None if path is None else path.open("wb", buffering=0)
    except OSError as error:
        raise HostError(error.strerror or str(error), where=str(path)) from error


def _until(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
