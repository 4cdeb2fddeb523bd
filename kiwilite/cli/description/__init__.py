"""`kiwilite description`: check, format, upgrade, show, draw and begin descriptions."""

from __future__ import annotations

from collections.abc import Sequence

from kiwilite.cli.parse import parse

USAGE = """\
Work on appliance descriptions.

Usage:
  kiwilite description check PATH [--profile=NAME]... [options]
  kiwilite description format PATH [--check] [--output=FILE]
  kiwilite description upgrade PATH [--check] [--output=FILE]
  kiwilite description show PATH [--profile=NAME]... [--output=FILE] [options]
  kiwilite description diagram PATH [--profile=NAME]... [--output=OUT] [options]
  kiwilite description init NAME [--output=FILE]

Commands:
  check    Say all that is wrong with a description, each at its line.
  format   Rewrite it in the usual form; comments stay.
  upgrade  Rewrite an older one in the current vocabulary; comments stay.
  show     Print what it says once profiles are chosen, and where it is from.
  diagram  Draw profiles, packages and the storage stack.
  init     Begin a new description in the folder NAME.

Options:
  --profile=NAME   Select a profile; may be given several times.
  --type=IMAGE     The <type> that counts, where there are several.
  --arch=ARCH      For this architecture, as `uname -m` has it; else this one.
  --format=FORMAT  Of `check`: text, json, sarif or gcc; of `show`: text, xml,
                   json or yaml; of `diagram`: text or svg. Without it, text.
  --check          Of `format` and `upgrade`: change nothing, print the changes.
  --output=FILE    Write here instead of to the terminal or over the file; of
                   `init`, the folder to make, which is ./NAME without it.
  -h --help        This text.

PATH is a folder, a file such as appliance.kiwi, or the name of a description.
Exit status: 0 valid (or nothing to do), 1 invalid (or, with --check, something
to do), 2 usage.
"""


def main(arguments: Sequence[str]) -> int:
    """Run `kiwilite description …`; returns the exit status."""
    found = parse(USAGE, arguments)
    if found["check"]:
        from kiwilite.cli.description.check import check

        return check(found)
    if found["format"]:
        from kiwilite.cli.description.rewrite import format_description

        return format_description(found)
    if found["upgrade"]:
        from kiwilite.cli.description.rewrite import upgrade_description

        return upgrade_description(found)
    if found["show"]:
        from kiwilite.cli.description.show import show

        return show(found)
    if found["diagram"]:
        from kiwilite.cli.description.diagram import diagram

        return diagram(found)
    from kiwilite.cli.description.init import init

    return init(found)
