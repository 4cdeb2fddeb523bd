"""How much processor time kiwilite needs to start, and to check a description.

Usage: check_speed.py [--json]

Measured are whole processes, user and system time together, of which the median is
printed: the reference description brought to 300 lines, and to 10,000 packages. Modules
are compiled beforehand, as they are where kiwilite is installed. The exit status is 1 if a
limit is exceeded; --json prints numbers for a program.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kiwilite.description.find import find

LINES = 300
PACKAGES = 10_000
MARK = '        <package name="less"/>\n'
"""Where packages are added."""

RUNS = 15

Measure = dict[str, str | float]


def description(folder: Path, name: str, packages: int) -> Path:
    """The reference description with so many packages more."""
    added = "".join(f'        <package name="package-{n}"/>\n' for n in range(packages))
    text = find("x86").read_text().replace(MARK, added + MARK)
    file = folder / name
    file.write_text(text)
    return file


def milliseconds(arguments: Sequence[str], environment: dict[str, str]) -> float:
    """Processor time of one run, which must succeed."""
    command = [sys.executable, "-m", "kiwilite", *arguments]
    silent = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    pid = os.posix_spawn(sys.executable, command, environment, file_actions=silent)
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, f"{' '.join(arguments)} failed"
    return (usage.ru_utime + usage.ru_stime) * 1000


def measures() -> Iterator[Measure]:
    """Each command with its median and its limit."""
    with tempfile.TemporaryDirectory(prefix="kiwilite-check-") as name:
        folder = Path(name)
        shutil.copy(find("x86").with_name("sudoers-admin"), folder)
        have = len(find("x86").read_text().splitlines())
        lines = description(folder, "lines.kiwi", LINES - have)
        packages = description(folder, "packages.kiwi", PACKAGES)
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for what, arguments, limit in (
            ("--version", ["--version"], 100),
            (f"check of {LINES} lines", ["description", "check", str(lines)], 250),
            (f"check of {PACKAGES} packages", ["description", "check", str(packages)], 2000),
        ):
            milliseconds(arguments, environment)
            times = [milliseconds(arguments, environment) for _ in range(RUNS)]
            median = round(statistics.median(times), 1)
            yield {"name": what, "value": median, "unit": "ms", "limit": limit}


def main(arguments: Sequence[str]) -> int:
    found = list(measures())
    if "--json" in arguments:
        print(json.dumps(found, indent=1))
    else:
        for each in found:
            print(f"{each['name']:24} {each['value']:8} ms  (limit {each['limit']} ms)")
    return 0 if all(float(each["value"]) < float(each["limit"]) for each in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
