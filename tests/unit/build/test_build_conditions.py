"""Conditions of a rebuild as data, and what becomes of them on one host or another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kiwilite.build.reproduce.circumstances import Host, obstacle, variables
from kiwilite.build.reproduce.conditions import VARIATIONS, Condition, Variation, chosen
from kiwilite.build.reproduce.rebuild import says_something
from kiwilite.errors import UsageError

HOST = Host(
    is_root=True,
    processors=(0, 1),
    clock=Path("/lib/faketime"),
    other_user="somebody",
    other_file_system=Path("/dev/shm"),
    epoch=1000,
    given_epoch=None,
)
OWN = Path("/elsewhere/own")


def test_there_are_twenty_and_no_two_are_the_same() -> None:
    assert len(VARIATIONS) == 20
    assert len({v.name for v in VARIATIONS}) == 20
    assert len({v.conditions for v in VARIATIONS}) == 20


@pytest.mark.parametrize("condition", Condition)
def test_every_condition_comes_alone_and_with_others(condition: Condition) -> None:
    sizes = [len(v.conditions) for v in VARIATIONS if condition in v.conditions]
    # Who builds as somebody else has another home and needs a readable description.
    assert min(sizes) == (3 if condition is Condition.USER else 1)
    assert max(sizes) > 3


@pytest.mark.parametrize("variation", VARIATIONS, ids=lambda v: v.name)
def test_without_what_it_is_about_a_variation_says_nothing(variation: Variation) -> None:
    everything = variation.conditions
    assert says_something(variation, everything)
    if variation.about is not None:
        assert not says_something(variation, everything - {variation.about})
    elif everything:
        assert not says_something(variation, frozenset())
        assert all(says_something(variation, everything - {c}) for c in everything)


def test_a_number_and_names_choose() -> None:
    assert chosen("3") == VARIATIONS[:3]
    assert [v.name for v in chosen("umask,locale,umask")] == ["umask", "locale"]


@pytest.mark.parametrize("words", ["0", "21", "", "umask,", "moon", "-1"])
def test_what_chooses_nothing_is_a_mistake(words: str) -> None:
    with pytest.raises(UsageError):
        chosen(words)


@pytest.mark.parametrize("condition", Condition)
def test_a_host_with_everything_allows_everything(condition: Condition) -> None:
    assert obstacle(condition, HOST) is None


@pytest.mark.parametrize(
    ("host", "lost"),
    [
        (replace(HOST, is_root=False), {Condition.HOSTNAME, Condition.USER}),
        (replace(HOST, processors=(3,)), {Condition.PROCESSORS}),
        (replace(HOST, clock=None), {Condition.LATER}),
        (replace(HOST, other_user=None), {Condition.USER}),
        (replace(HOST, other_file_system=None), {Condition.ORDER}),
        (replace(HOST, given_epoch=1001), {Condition.EPOCH}),
        (replace(HOST, given_epoch=1000), set()),
    ],
)
def test_what_a_host_lacks_is_left_out_with_the_reason(host: Host, lost: set[Condition]) -> None:
    reasons = {c: obstacle(c, host) for c in Condition}
    assert {c for c, reason in reasons.items() if reason is not None} == lost
    assert all(reason is None or len(reason) > 20 for reason in reasons.values())


@pytest.mark.parametrize("condition", Condition)
def test_an_environment_changes_where_a_condition_is_about_it(condition: Condition) -> None:
    base = {"HOME": "/home/somebody", "XDG_CACHE_HOME": "/home/somebody/.cache", "PATH": "/bin"}
    about_it = {
        Condition.LOCALE, Condition.TIME_ZONE, Condition.HOME, Condition.SCRATCH,
        Condition.NOISE, Condition.USER, Condition.EPOCH,
    }  # fmt: skip
    found = variables(frozenset({condition}), HOST, base, OWN)
    assert (found != base) == (condition in about_it)
    assert found["PATH"] == "/bin"


def test_the_same_epoch_is_given_or_not() -> None:
    wanted = frozenset({Condition.EPOCH})
    assert variables(wanted, HOST, {}, OWN) == {"SOURCE_DATE_EPOCH": "1000"}
    given = {"SOURCE_DATE_EPOCH": "1000"}
    assert variables(wanted, replace(HOST, given_epoch=1000), given, OWN) == {}


def test_another_home_is_not_undone_by_the_caches_of_this_one() -> None:
    base = {"HOME": "/home/somebody", "XDG_CACHE_HOME": "/home/somebody/.cache"}
    assert variables(frozenset({Condition.HOME}), HOST, base, OWN) == {
        "HOME": "/elsewhere/own/home"
    }
