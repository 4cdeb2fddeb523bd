"""`kiwilite doctor`: what this host has of what kiwilite needs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from kiwilite.build.configuration import load
from kiwilite.build.doctor import examine, only_in_tree
from kiwilite.build.findings import Finding, Verdict, packages_to_install, status
from kiwilite.cli.parse import demand_one_of, parse
from kiwilite.cli.terminal import wants_colour
from kiwilite.errors import HostError
from kiwilite.plan.picture import table
from kiwilite.vm.accelerate import Accelerator, choose
from kiwilite.vm.firmware import find_ovmf

USAGE = """\
Look at this host: tools, libraries, user namespaces, store, mirrors, virtual machines.

Usage:
  kiwilite doctor [options]

Options:
  --format=FORMAT  text or json [default: text].
  --config=FILE    Runtime configuration; without it ./kiwilite.yml, then the
                   user's, then /etc/kiwilite.yml.
  -h --help        This text.

Exit status: 0 all that a build needs is there, 3 something is missing.
"""


def main(arguments: Sequence[str]) -> int:
    """Run `kiwilite doctor`; returns the exit status."""
    found = parse(USAGE, arguments)
    demand_one_of(found, "--format", "text", "json")
    path = Path(found["--config"]) if found["--config"] else None
    findings = [*examine(load(path), path), *_virtual_machines()]
    if found["--format"] == "json":
        print(as_json(findings))
    else:
        print(as_text(findings))
    return HostError.exit_status if status(findings) is Verdict.BROKEN else 0


def _virtual_machines() -> Iterator[Finding]:
    group, purpose = "virtual machines", "boots images (run_x86)"
    try:
        code = str(find_ovmf().code)
        yield Finding(group, "UEFI firmware", Verdict.FINE, code, purpose, "ovmf")
    except HostError:
        yield Finding(group, "UEFI firmware", Verdict.LACKING, "not installed", purpose, "ovmf")
    if choose() is Accelerator.KVM:
        yield Finding(group, "KVM", Verdict.FINE, "usable")
    else:
        yield Finding(group, "KVM", Verdict.FINE, "not usable: machines are emulated, slowly")


def as_json(findings: Sequence[Finding]) -> str:
    """`status`, `packages` to install, and every finding."""
    rows = [{**asdict(f), "verdict": f.verdict.value} for f in findings]
    packages = list(packages_to_install(findings))
    body = {"status": status(findings).value, "packages": packages, "findings": rows}
    return json.dumps(body, indent=1)


def as_text(findings: Sequence[Finding]) -> str:
    """A table per group, then what to do."""
    lines = []
    for group in dict.fromkeys(f.group for f in findings):
        mine = [f for f in findings if f.group == group]
        rows = [(f.verdict.value, f.name, f.found, f.package or "", f.purpose) for f in mine]
        used = [i for i in range(5) if i < 3 or any(row[i] for row in rows)]
        text = table([[row[i] for i in used] for row in rows])
        lines += [group, *(f"  {_coloured(line)}" for line in text.splitlines()), ""]
    return "\n".join([*lines, *_advice(findings)])


def _coloured(line: str) -> str:
    """The verdict at the start of a line in its colour, on a terminal that wants some."""
    verdict = next(v for v in Verdict if line.startswith(v.value))
    colour = {Verdict.BROKEN: "1;31", Verdict.LACKING: "33"}.get(verdict)
    if colour is None or not wants_colour(sys.stdout):
        return line
    return f"\x1b[{colour}m{verdict.value}\x1b[0m{line.removeprefix(verdict.value)}"


def _with_a_tree(findings: Sequence[Finding]) -> Iterator[str]:
    """Which of the packages that builds miss they can do without."""
    broken = {f.package for f in findings if f.verdict is Verdict.BROKEN and f.package}
    needed = sorted(broken - only_in_tree())
    if needed != sorted(broken):
        words = f"only {', '.join(needed)}" if needed else "none"
        yield f"of what builds miss here, those with --tools tree need {words}"


def _advice(findings: Sequence[Finding]) -> Iterator[str]:
    if packages := packages_to_install(findings):
        yield f"to install what is missing:\n    apt-get install {' '.join(packages)}"
    yield from _with_a_tree(findings)
    for finding in findings:
        if finding.remedy and finding.verdict is not Verdict.FINE:
            yield f"{finding.name}:\n    {finding.remedy}"
    if status(findings) is Verdict.BROKEN:
        yield "images cannot be built before this is done"
    elif status(findings) is Verdict.LACKING:
        yield "images can be built; the warnings concern virtual machines, tests or room"
    else:
        yield "everything is there"
