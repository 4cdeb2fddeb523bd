"""Show what is promised of builds: fast, reproducible, and undisturbed by what goes wrong.

    python tests/accept/speed.py [--list] [ROW]...

Rows 1 to 3 measure; run them on a machine that does nothing else. KIWI and mkosi are put
below build/peers the first time, for which row 1 takes root; `make accept-speed` sees to
KIWI. Rows 4 and 5 have the long runs among their tests, which take hours. Exit status 1
unless every row that was asked for is shown.
"""

from __future__ import annotations

import sys

from evidence import Row, show


def build(file: str, name: str) -> str:
    """A pattern for tests of real builds, by the start of their names."""
    return rf"^tests/build/test_{file}\.py::test_{name}"


def key(name: str) -> str:
    """A pattern for tests of the image's key, by the start of their names."""
    return rf"^tests/unit/build/test_image_key\.py::test_{name}"


ROWS = (
    Row(
        1,
        "a clean build costs little more than the tools that it needs, and less than elsewhere",
        benchmark="build_speed.py",
        sections=("clean",),
    ),
    Row(
        2,
        "a change is charged for what it touches",
        benchmark="build_speed.py",
        sections=("changes",),
    ),
    Row(
        3,
        "memory does not grow with the image",
        benchmark="build_speed.py",
        sections=("memory",),
    ),
    Row(
        4,
        "the same bytes under all conditions, and on other hosts with a locked tools tree",
        {
            "20 of 20 variations": build("reproduce", "all_twenty_variations"),
            "all at once, another user": build("reproduce", "the_same_bytes"),
            "tools tree": build("tools_from_tree", ""),
            "Debian 12 and 13": build("two_hosts", ""),
        },
    ),
    Row(
        5,
        "after a kill or a full disk the next build gives the same bytes",
        {
            "100 kills": build("disturbed_builds", "after_a_kill"),
            "20 full disks": build("disturbed_builds", "after_a_full_disk"),
        },
    ),
    Row(
        6,
        "no stale result: what can change an image changes its key",
        {
            "every attribute": key("what_is_built_changes_the_key"),
            "all of the grammar": key("every_built_attribute_and_text"),
            "declared to have no effect": key("what_is_declared_to_have_no_effect"),
            "every kind of file": key("what_stands_beside_the_description"),
            "all files that steps read": key("every_file_that_a_step_reads"),
            "every field of every step": key("every_part_of_every_step"),
            "locks": key("what_a_lock_says_of_a_package"),
        },
    ),
    Row(
        7,
        "four builds at once on one store are all correct",
        {"bytes of builds alone": build("builds_at_once", "")},
    ),
)


if __name__ == "__main__":
    sys.exit(show("Show the claims about builds.", ROWS))
