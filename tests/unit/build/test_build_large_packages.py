"""Which packages go in first: a property of each package and of what it needs."""

from __future__ import annotations

import itertools

import pytest

from kiwilite.build.large_packages import LARGE, large

KIB = 1024
BIG, SMALL = LARGE // KIB, 8


def stanza(name: str, size: int, **fields: str) -> str:
    rows = [f"Package: {name}", f"Installed-Size: {size}"]
    return "\n".join([*rows, *(f"{key.replace('_', '-')}: {text}" for key, text in fields.items())])


def world(*rows: str) -> dict[str, str]:
    return {row.splitlines()[0].removeprefix("Package: "): row for row in rows}


PACKAGES = world(
    stanza("kernel", BIG, Depends="kernel-base (>= 1), tool | other-tool"),
    stanza("kernel-base", SMALL),
    stanza("tool", SMALL),
    stanza("other-tool", SMALL),
    stanza("pager", SMALL, Depends="libpager"),
    stanza("libpager", SMALL),
    stanza("editor", SMALL, Pre_Depends="runtime:any", Provides="any-editor (= 1), vi"),
    stanza("runtime", BIG - 1, Provides="runtime-api"),
    stanza("hello", SMALL),
)


def test_a_large_package_takes_along_all_it_needs() -> None:
    assert large(["kernel", "pager"], PACKAGES) == ("kernel", "kernel-base", "other-tool", "tool")


def test_small_ones_are_large_where_what_they_need_is() -> None:
    assert large(["editor", "pager"], PACKAGES) == ("editor", "runtime")


def test_the_size_is_that_of_all_it_needs_together() -> None:
    short = {**PACKAGES, "runtime": stanza("runtime", BIG - SMALL - 1)}
    assert large(["editor", "pager"], short) == ()


@pytest.mark.parametrize("name", ["any-editor", "vi", "editor=1.0-1"])
def test_a_package_may_be_asked_for_by_what_it_provides_or_with_a_version(name: str) -> None:
    assert large([name, "pager"], PACKAGES) == ("editor", "runtime")


@pytest.mark.parametrize("field", ["Depends", "Pre_Depends", "Recommends"])
def test_every_kind_of_need_counts(field: str) -> None:
    needs = {**PACKAGES, "hello": stanza("hello", SMALL, **{field: "pager, runtime-api"})}
    assert large(["hello", "kernel-base"], needs) == ("hello", "libpager", "pager", "runtime")


@pytest.mark.parametrize("asked", [["pager", "hello"], ["kernel", "editor"], [], ["unknown"]])
def test_one_go_is_enough_where_none_or_all_are_large(asked: list[str]) -> None:
    assert large(asked, PACKAGES) == ()


def test_another_small_package_changes_nothing_wherever_it_stands() -> None:
    one = large(["kernel", "editor", "pager"], PACKAGES)
    for asked in itertools.permutations(["kernel", "editor", "pager", "hello"]):
        assert large(asked, PACKAGES) == one


def test_packages_that_need_each_other_come_to_an_end() -> None:
    both = world(stanza("a", BIG, Depends="b"), stanza("b", SMALL, Depends="a"), stanza("c", 1))
    assert large(["b", "c"], both) == ("a", "b")
