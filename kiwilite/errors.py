"""Failures a person can act on, and the exit status of each.

Every error that reaches the edge of the program is one of these: it says where,
what, why and what to do now. The command line prints it and exits with
`exit_status`; anything else is a defect of kiwilite and shows a traceback.
"""

from __future__ import annotations

from typing import ClassVar


class KiwiliteError(Exception):
    """Base of all expected failures.

    `message` is one sentence; `where` names the file, stage or partition;
    `hint` says what to do now.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  hint: {self.hint}" if self.hint else head


class UsageError(KiwiliteError):
    """The command line does not make sense (exit status 2)."""

    exit_status = 2


class HostError(KiwiliteError):
    """This host lacks a tool, a permission or a kernel feature (exit status 3)."""

    exit_status = 3


class StageFailed(KiwiliteError):
    """A build stage did not succeed (exit status 4)."""

    exit_status = 4


class SourceUnreachable(KiwiliteError):
    """A package source could not be reached or gave something broken (exit status 5)."""

    exit_status = 5


class NoSpace(KiwiliteError):
    """A file system is full (exit status 6)."""

    exit_status = 6
