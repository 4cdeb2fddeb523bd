"""What a lock holds against a description, and what becomes of it when it is renewed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plan_samples import SELECTION, package, x86

from kiwilite.description.model import Appliance
from kiwilite.plan.lock import (
    Lock,
    Locked,
    LockedTool,
    changes,
    differences,
    other_tools,
    question,
    selection_name,
)
from kiwilite.plan.selection import RepositoryState, Selection


def locked(appliance: Appliance, selection: Selection = SELECTION) -> Locked:
    return Locked(question(appliance), (), None, selection, ())


def said(changed: Appliance) -> list[str]:
    """What a lock of the reference appliance says to a changed one."""
    return [d.message for d in differences(changed, locked(x86()))]


def without(appliance: Appliance, name: str) -> Appliance:
    packages = appliance.packages
    image = tuple(p for p in packages.image if p.name != name)
    assert len(image) < len(packages.image)
    return replace(appliance, packages=replace(packages, image=image))


def with_one_more(appliance: Appliance, name: str) -> Appliance:
    packages = appliance.packages
    one = replace(packages.image[0], name=name)
    return replace(appliance, packages=replace(packages, image=(*packages.image, one)))


def test_the_description_that_was_locked_differs_in_nothing() -> None:
    assert said(x86()) == []


def test_a_package_that_is_new_in_the_description_is_named_at_its_line() -> None:
    appliance = with_one_more(x86(), "strace")
    (found,) = differences(appliance, locked(x86()))
    assert found.message == "the description asks for the package strace, which is not in the lock"
    assert found.where == appliance.packages.image[-1].span


def test_one_that_was_there_for_another_s_sake_is_told_apart() -> None:
    (message,) = said(with_one_more(x86(), "libc6"))
    assert message.endswith("not in the lock but as what another one needs")


def test_a_package_that_nobody_asks_for_any_more_is_named() -> None:
    name = x86().packages.image[-1].name
    (message,) = said(without(x86(), name))
    assert message == f"the lock has the package {name}, which the description asks for no more"


def test_the_order_of_packages_is_no_difference() -> None:
    appliance = x86()
    image = tuple(reversed(appliance.packages.image))
    assert said(replace(appliance, packages=replace(appliance.packages, image=image))) == []


def test_recommended_packages_are_part_of_the_question() -> None:
    appliance = x86()
    (message,) = said(replace(appliance, packages=replace(appliance.packages, recommends=True)))
    assert message == "the lock was made without recommended packages, the description is with"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distribution": "forky"}, "distro:debian forky main"),
        ({"components": ("main", "contrib")}, "distro:debian trixie main contrib"),
        ({"priority": 7}, "priority=7"),
        ({"architectures": ("amd64",)}, "architectures=amd64"),
        ({"snapshot": "20260101T000000Z"}, "snapshot=20260101T000000Z"),
    ],
)
def test_each_trait_of_a_repository_is_part_of_the_question(
    change: dict[str, object], words: str
) -> None:
    appliance = x86()
    first, *rest = appliance.repositories
    changed = replace(first, **change)  # type: ignore[arg-type]
    new, old = said(replace(appliance, repositories=(changed, *rest)))
    assert words in new
    assert old.startswith("the lock has the repository distro:debian trixie main, the description")


def test_the_order_of_repositories_decides_between_equals() -> None:
    appliance = x86()
    turned = tuple(reversed(appliance.repositories))
    (message,) = said(replace(appliance, repositories=turned))
    assert "another order" in message


def test_a_repository_for_the_device_alone_is_no_part_of_it() -> None:
    appliance = x86()
    more = replace(appliance.repositories[0], imageonly=True, path="http://device.invalid/")
    assert said(replace(appliance, repositories=(*appliance.repositories, more))) == []


def test_another_bootstrap_archive_is_another_question() -> None:
    appliance = x86("bootstrapped")
    found = differences(appliance, locked(x86()))
    assert any("wants the bootstrap archive" in d.message for d in found)


def test_each_selection_of_profiles_has_a_name_of_its_own() -> None:
    names = {selection_name(x86(*p)) for p in ((), ("bootstrapped",), ("development",))}
    assert len(names) == 3
    assert all(name.startswith("kiwilite-x86 x86_64 oem ") for name in names)


def test_renewing_one_selection_leaves_the_others() -> None:
    one, other = locked(x86()), locked(x86("development"))
    lock = Lock().having("one", one).having("other", other)
    again = lock.having("one", locked(x86(), Selection((), ())))
    assert again.selections["other"] is other
    assert lock.selections["one"] is one


def test_changes_are_additions_removals_versions_and_other_bytes() -> None:
    old = Selection((package("a"), package("b"), package("c")), (package("d"),))
    new = Selection(
        (package("a"), package("c", "2"), package("e")), (package("d", sha256="1" * 64),)
    )
    found = changes(locked(x86(), old), locked(x86(), new))
    rows = [(c.name, c.old and c.old.version, c.new and c.new.version) for c in found]
    assert rows == [("b", "1", None), ("c", "1", "2"), ("d", "1", "1"), ("e", None, "1")]


def test_another_place_is_no_change() -> None:
    moved = replace(package("a"), where=replace(package("a").where, suite="trixie-security/main"))
    one, other = (locked(x86(), Selection((p,), ())) for p in (package("a"), moved))
    assert changes(one, other) == ()


def test_a_package_of_the_image_takes_the_place_of_the_minimal_tree_s() -> None:
    both = locked(x86(), Selection((package("a"),), (package("a", "2"),)))
    assert both.packages["a"].version == "2"


def test_tools_with_other_bytes_and_tools_nobody_locked_are_named() -> None:
    lock = replace(locked(x86()), tools=(LockedTool("a", "1", "0"), LockedTool("b", "1", "0")))
    here = (LockedTool("a", "1", "0"), LockedTool("b", "1", "9"), LockedTool("c", "1", "0"))
    assert other_tools(lock, here) == ("b", "c")


@pytest.mark.parametrize(
    ("date", "time"),
    [("Sat, 21 Nov 2026 09:15:44 UTC", "20261121T091544Z"), ("yesterday", None), (None, None)],
)
def test_packages_know_when_their_repository_had_them(date: str | None, time: str | None) -> None:
    state = RepositoryState("distro:debian", "trixie", "main", None, date, None)
    dated = replace(locked(x86()), repositories=(state,)).dated
    assert {p.where.seen for p in (*dated.bootstrap, *dated.image)} == {time}
