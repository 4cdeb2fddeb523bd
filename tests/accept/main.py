"""Show that the reference image is what it claims to be: a line of evidence for each claim.

    python tests/accept/main.py [--list] [ROW]...

A row is a claim with its parts. Each part is shown by the tests whose names match; a part
that no test shows, a test that fails and a test that is skipped all mean that the claim is
not shown. The last row is measured by `benchmarks/build_speed.py`. Exit status 1 unless
every row that was asked for is shown.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Row:
    """A claim; `parts` maps what has to be shown to a pattern of the tests that show it.

    Patterns are searched in `PATH::NAME` of tests.
    """

    number: int
    claim: str
    parts: Mapping[str, str]


def machine(name: str) -> str:
    """A pattern for tests of the reference image in a machine, by the start of their names."""
    return rf"^tests/vm/test_reference_image\.py::test_{name}"


def build(name: str) -> str:
    """A pattern for tests that run real builds, by a part of their names."""
    return rf"^tests/build/test_\w+\.py::test_\w*{name}"


ROWS = (
    Row(
        1,
        "the image boots to a verified root under an encrypted overlay",
        {
            "first boot reaches login": machine("the_first_boot_reaches_login"),
            "second boot reaches login": machine("the_second_boot_opens_the_volume"),
            "overlay": machine("the_root_is_an_overlay_over_the_verified_squashfs"),
            "verified, read-only": machine("the_root_device_is_verified_and_read_only"),
            "LUKS2, aegis128-random, aead": machine("the_overlay_volume_is_encrypted"),
            "dm-integrity": machine("the_integrity_device_is_there"),
            "/home": machine("home_is_ext4"),
            "container storage": machine("container_storage_is_xfs"),
            "preloaded containers": machine("preloaded_containers_are_a_verified_squashfs"),
            "four sysctls": machine("the_kernel_settings_of_the_appliance_hold"),
            "/etc survives a reboot": machine("what_is_written_to_etc_survives"),
        },
    ),
    Row(
        2,
        "a changed bit is an I/O error and never wrong data",
        {
            "byte of the root": machine("one_flipped_byte_in_the_verified_root_is_an_io_error"),
            "bit of ciphertext, tag, IV": machine("one_flipped_bit_in_the_overlay_is_an_io_error"),
            "exactly that block": machine("all_other_blocks_in_the_overlay_are_unharmed"),
            "wrong root hash": r"^tests/vm/test_reference_boot.py::test_a_wrong_root_hash_reaches",
        },
    ),
    Row(
        3,
        "factory reset through the firmware destroys the key and what was written",
        {
            "the command": machine("the_command_boots_the_reset_entry_once"),
            "the boot entry": r"^tests/vm/test_reference_boot.py::test_the_reset_entry_can_be",
            "the key is gone": machine(
                "(the_old_volume_key_opens_nothing|no_block_of_the_old_key)"
            ),
            "the file is gone": machine("a_factory_reset_takes_what_was_written"),
            "provisioned again": machine("a_factory_reset_provisions_the_machine_again"),
        },
    ),
    Row(
        4,
        "bad input gives one message, a status and nothing half-written",
        {
            "misspelt element": build(r"mistake_in_the_description\w*\[element"),
            "misspelt attribute": build(r"mistake_in_the_description\w*\[attribute"),
            "mismatched tag": build(r"mistake_in_the_description\w*\[tag"),
            "unknown profile": build("unknown_profile"),
            "missing script": build("script_that_is_a_dangling_link"),
            "missing file": build(r"mistake_in_the_description\w*\[file"),
            "missing tool": build("missing_tool"),
            "no user namespaces": build("allows_no_namespaces"),
            "full disk": build("full_(disk|store)"),
            "unreachable repository": build("repository_that_cannot_be_reached"),
            "interrupted download": build("download_that_breaks_off"),
        },
    ),
    Row(
        5,
        "an ordinary user and root make the same image",
        {"byte for byte": r"^tests/build/test_root_and_user\.py::test_the_same_bytes"},
    ),
)

MEASURED = Row(6, "a build is fast and small", {})


@dataclass(slots=True)
class Outcomes:
    """A pytest plugin that keeps the worst outcome of each test."""

    found: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self.found.get(report.nodeid)
        if report.outcome != "passed" or (known is None and report.when == "call"):
            self.found[report.nodeid] = report.outcome if known != "failed" else known


def main() -> int:
    parser = argparse.ArgumentParser(description="Show the claims about the reference image.")
    parser.add_argument("--list", action="store_true", help="say which tests would be run")
    parser.add_argument("rows", metavar="ROW", nargs="*", type=int, help="only these")
    options = parser.parse_args()
    rows = [r for r in ROWS if not options.rows or r.number in options.rows]
    known = collect() if rows else []
    if options.list:
        list_tests(rows, known)
        return 0
    begun = time.monotonic()
    outcomes = run_tests(sorted({t for row in rows for t in chosen(row, known)}))
    lines = [evidence(row, known, outcomes) for row in rows]
    if not options.rows or MEASURED.number in options.rows:
        lines.append(benchmark())
    print(f"\n== What it shows ({time.monotonic() - begun:.0f} s) ==")
    for line, _ in lines:
        print(line)
    return 0 if all(shown for _, shown in lines) else 1


def collect() -> list[str]:
    """The names of all tests."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the tests cannot be collected:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def matching(pattern: str, known: Iterable[str]) -> list[str]:
    return [test for test in known if re.search(pattern, test)]


def chosen(row: Row, known: Sequence[str]) -> list[str]:
    return [test for pattern in row.parts.values() for test in matching(pattern, known)]


def list_tests(rows: Iterable[Row], known: Sequence[str]) -> None:
    for row in rows:
        print(f"row {row.number}: {row.claim}")
        for part, pattern in row.parts.items():
            print(f"  {part}:")
            for test in matching(pattern, known) or ["no test"]:
                print(f"    {test}")


def run_tests(tests: Sequence[str]) -> dict[str, str]:
    """Outcome by name; two at a time, tests of one file together as they share machines."""
    outcomes = Outcomes()
    if tests:
        options = ["-q", "-n", "2", "--dist", "loadfile", "--rootdir", str(ROOT)]
        pytest.main([*options, *(str(ROOT / test) for test in tests)], plugins=[outcomes])
    return outcomes.found


def evidence(row: Row, known: Sequence[str], outcomes: Mapping[str, str]) -> tuple[str, bool]:
    """The line for a row, and whether it is shown."""
    mine = set(chosen(row, known))
    passed = [test for test in mine if outcomes.get(test) == "passed"]
    wrong = [f"{short(t)} {outcomes.get(t, 'did not run')}" for t in sorted(mine - set(passed))]
    wrong += [f"no test shows: {p}" for p, x in row.parts.items() if not matching(x, known)]
    files = sorted({test.split("::")[0].removeprefix("tests/") for test in passed})
    said = f"{len(passed)} tests passed in {', '.join(files) or 'no file'}"
    said += f"; shown: {', '.join(row.parts)}" if not wrong else f"; {'; '.join(wrong)}"
    return sentence(row, said, shown=not wrong), not wrong


def short(test: str) -> str:
    return test.split("::", 1)[1]


def sentence(row: Row, said: str, *, shown: bool) -> str:
    return f"row {row.number}: {row.claim}: {said}: {'ok' if shown else 'FAILED'}"


def benchmark() -> tuple[str, bool]:
    """The line for what is measured."""
    command = [sys.executable, str(ROOT / "benchmarks" / "build_speed.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        measures = json.loads(done.stdout)["measures"]
    except ValueError:
        return sentence(MEASURED, f"no numbers: {done.stderr.strip()[-300:]}", shown=False), False
    said = ", ".join(
        f"{m['name']} {m['value']:.2f} {m['unit']} (limit {m['limit']:g})" for m in measures
    )
    shown = done.returncode == 0 and all(m["within"] for m in measures)
    return sentence(MEASURED, said, shown=shown), shown


if __name__ == "__main__":
    sys.exit(main())
