"""Entry point: finds the command group, turns failures into one message and an exit status."""

from __future__ import annotations

import errno
import gc
import importlib
import io
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType

from kiwilite import __version__
from kiwilite.errors import KiwiliteError, NoSpace, UsageError

USAGE = """\
kiwilite compiles KIWI appliance descriptions into verified disk images.

Usage:
  kiwilite system build --description PATH [--profile NAME]... [--target-dir D]
  kiwilite system plan --description PATH [--profile NAME]... [--format FORMAT]
  kiwilite system lock --description PATH [--profile NAME]... [--update-lock]
  kiwilite system bootstrap --description PATH [--target-dir DIR]
  kiwilite description check|format|upgrade|show|diagram PATH [--format FORMAT]
  kiwilite description init NAME
  kiwilite image info --description PATH [--profile NAME]...
  kiwilite image inspect|verify IMAGE [--format FORMAT]
  kiwilite image compare IMAGE OTHER
  kiwilite image reproduce --description PATH [--profile NAME]...
  kiwilite image resize IMAGE SIZE [--output FILE]
  kiwilite store list|verify|gc
  kiwilite explain CODE
  kiwilite doctor
  kiwilite COMMAND --help
  kiwilite --version

Exit status: 0 done, 1 the description or an input is wrong, 2 usage, 3 this
host lacks something, 4 a build step failed, 5 a package source cannot be
reached, 6 no space left; of `image verify` also 7 warnings, 8 nothing wrong,
but not all of it could be checked.
"""

GROUPS = ("system", "description", "image", "store", "explain", "doctor")
WITH_VALUE = (
    "--profile",
    "--description",
    "--target-dir",
    "--config",
    "--type",
    "--format",
    "--arch",
    "--store",
    "--keep-days",
    "--max-size",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    os.umask(0o022)
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names have what a locale may lack
    try:
        return _dispatch(arguments)
    except KiwiliteError as error:
        _complain(error)
        return error.exit_status
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; finished steps are kept, nothing half-written is left\n")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        failure = _of_the_file_system(error)
        if failure is None:
            raise
        _complain(failure)
        return failure.exit_status


def _of_the_file_system(error: OSError) -> KiwiliteError | None:
    """What a person can mend about a file; None where it is a defect of ours."""
    name = str(error.filename) if error.filename else None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpace("no space left on this disk", where=name)
    if name and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG):
        return KiwiliteError(os.strerror(error.errno), where=name)
    return None


def _interrupt(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _dispatch(arguments: list[str]) -> int:
    if arguments in (["--version"], ["-V"]):
        print(f"kiwilite {__version__}")
        return 0
    group = command_group(arguments)
    if group is None:
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(USAGE, end="")
            return 0 if arguments else UsageError.exit_status
        raise _unknown(next(command_words(arguments), arguments[0]))
    status: int = _group(group).main(arguments)
    return status


def _group(name: str) -> ModuleType:
    """The module of a command group.

    What modules are made of stays to the end: to look for garbage in it, again and again while
    it grows, takes a tenth of the time of the import.
    """
    gc.disable()
    try:
        return importlib.import_module(f"kiwilite.cli.{name}")
    finally:
        gc.freeze()
        gc.enable()


def command_group(arguments: Sequence[str]) -> str | None:
    """The first word, where it names a command group; KIWI has global options before it."""
    word = next(command_words(arguments), None)
    return word if word in GROUPS else None


def command_words(arguments: Sequence[str]) -> Iterator[str]:
    """What is neither an option nor the value of one."""
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in WITH_VALUE:
            skip = True
        elif not word.startswith("-"):
            yield word


def _unknown(word: str) -> UsageError:
    from kiwilite.description import suggest

    nearest = suggest.hint(word, GROUPS, "`kiwilite {}`")
    return UsageError(f"unknown command {word}", hint=nearest or "kiwilite --help")


def _complain(error: KiwiliteError) -> None:
    from kiwilite.cli.terminal import wants_colour
    from kiwilite.description.diagnostics import DescriptionInvalid

    if isinstance(error, DescriptionInvalid):
        from kiwilite.cli.diagnostics import print_with_count

        print_with_count(error.diagnostics, sys.stderr)
        return
    head = "\x1b[1;31merror:\x1b[0m" if wants_colour(sys.stderr) else "error:"
    sys.stderr.write(f"{head} {error}\n")


if __name__ == "__main__":
    sys.exit(main())
