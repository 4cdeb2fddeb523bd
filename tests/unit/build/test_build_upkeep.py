"""A store is emptied and examined beside builds, and never takes from them what they use."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kiwilite.build import children, manifest
from kiwilite.build.inventory import Entry, take_stock
from kiwilite.build.store import Store
from kiwilite.build.upkeep import DAY, Limits, by_worth, collect, examine
from kiwilite.build.uses import Uses

MIB = 1 << 20
ALL = Limits(unused=0, most=None)
NOTHING = Limits(unused=None, most=None)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    children.begin()
    found = Store(tmp_path / "store")
    found.create()
    return found


def key(number: int) -> str:
    return f"{number:064x}"


def keep(store: Store, number: int, *, days: float, size: int = 1000) -> Path:
    """An entry that was last used some days ago."""
    with store.lock(key(number)), store.making(key(number)) as folder:
        (folder / "out/result").write_bytes(b"x" * size)
        manifest.write(folder)
        store.keep(folder, key(number), {"step": f"s{number}", "title": "t", "place": "host"})
    entry = store.entries / key(number)
    age(entry, days)
    return entry


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def numbers(store: Store) -> list[int]:
    return sorted(int(path.name, 16) for path in store.entries.iterdir())


def test_what_was_not_used_for_long_goes(store: Store) -> None:
    for number, days in enumerate([0, 3, 8, 40]):
        keep(store, number, days=days)
    freed = collect(store, Limits(unused=7 * DAY, most=None))
    assert numbers(store) == [0, 1]
    assert sorted(e.step for e in freed.entries) == ["s2", "s3"]
    assert freed.bytes > 0
    assert {p.name for p in (store.root / "locks").iterdir()} == {key(0), key(1)}
    assert list(store.work.iterdir()) == []


def test_the_longest_unused_go_until_the_store_is_small_enough(store: Store) -> None:
    for number, days in enumerate([2, 5, 1, 4, 3]):
        keep(store, number, days=days, size=MIB)
    before = take_stock(store).bytes
    freed = collect(store, Limits(unused=None, most=before - MIB - MIB // 2))
    assert numbers(store) == [0, 2, 4]
    assert freed.left == take_stock(store).bytes


def test_what_fits_stays_however_old(store: Store) -> None:
    keep(store, 1, days=4000)
    collect(store, Limits(unused=None, most=MIB))
    assert numbers(store) == [1]


def test_using_an_entry_makes_it_young(store: Store) -> None:
    entry = keep(store, 1, days=40)
    keep(store, 2, days=40)
    uses = Uses()
    uses.hold([entry, store.entries / key(77)])
    uses.release()
    collect(store, Limits(unused=DAY, most=None))
    assert numbers(store) == [1]


def test_what_is_held_stays_whatever_the_limits_are(store: Store) -> None:
    held, other = keep(store, 1, days=40), keep(store, 2, days=40)
    uses = Uses()
    uses.hold([held])
    age(held, 40)
    freed = collect(store, Limits(unused=0, most=0))
    assert (numbers(store), freed.in_use) == ([1], 1)
    assert not other.exists()
    uses.release()
    collect(store, ALL)
    assert numbers(store) == []


def test_what_is_being_made_anew_stays(store: Store) -> None:
    keep(store, 1, days=40)
    with store.lock(key(1)):
        assert collect(store, ALL).in_use == 1
    assert numbers(store) == [1]


def test_useless_entries_go_first(store: Store) -> None:
    keep(store, 1, days=9)
    spoilt = keep(store, 2, days=0)
    (spoilt / "out/result").write_text("y")
    assert [e.step for e in by_worth(take_stock(store))] == ["s2", "s1"]
    collect(store, NOTHING)
    assert numbers(store) == [1]


def test_the_default_of_a_person_s_own_archives_is_to_stay(store: Store) -> None:
    archive = store.bootstrap / "base.tar.zst"
    archive.write_bytes(b"x" * MIB)
    age(archive, 400)
    collect(store, Limits(unused=0, most=0))
    assert archive.exists()


def test_packages_nobody_has_read_go_unless_a_build_may_install_them(store: Store) -> None:
    folder = store.packages / "debian"
    folder.mkdir()
    (folder / "a.deb").write_bytes(b"x")
    (store.packages / "downloading").touch()
    uses = Uses()
    uses.hold([store.packages])
    assert collect(store, Limits(unused=None, most=0)).packages == 0
    uses.release()
    assert collect(store, Limits(unused=DAY, most=None)).packages == 0
    assert collect(store, Limits(unused=None, most=0)).packages == 1
    assert {p.name for p in store.packages.rglob("*")} == {"downloading", "debian"}


def test_lists_go_as_a_whole_and_stay_while_their_time_is_asked_for(store: Store) -> None:
    folder = store.packages / "lists/sources"
    for name in ("1000", "2000"):
        (folder / name).mkdir(parents=True)
        (folder / name / "Packages").write_text("x")
        (folder / name / "InRelease").write_text("x")
        age(folder / name, 40)
    (folder / "lock").touch()
    (store.root / "pins/subject").write_text("2000")
    assert collect(store, Limits(unused=7 * DAY, most=None)).packages == 1
    assert {p.name for p in folder.iterdir()} == {"2000", "lock"}
    assert len([*(folder / "2000").iterdir()]) == 2
    age(store.root / "pins/subject", 40)
    store.pin("subject", renew=False)
    assert collect(store, Limits(unused=7 * DAY, most=None)).packages == 0
    assert collect(store, Limits(unused=None, most=0)).packages == 1
    assert {p.name for p in folder.iterdir()} == {"lock"}


def test_what_killed_builds_were_installing_from_goes(store: Store) -> None:
    left = store.packages / "work/abc"
    left.mkdir(parents=True)
    (left / "lock").touch()
    uses = Uses()
    uses.hold([store.packages])
    collect(store, NOTHING)
    assert left.exists()
    uses.release()
    collect(store, NOTHING)
    assert not left.exists()


def test_entries_go_before_packages(store: Store) -> None:
    (store.packages / "a.deb").write_bytes(b"x" * MIB)
    keep(store, 1, days=0, size=MIB)
    collect(store, Limits(unused=None, most=MIB + MIB // 2))
    assert (numbers(store), (store.packages / "a.deb").exists()) == ([], True)


def test_what_killed_builds_left_goes_and_work_in_progress_stays(store: Store) -> None:
    left = store.work / "abc.1.x"
    left.mkdir()
    (left / "half").write_bytes(b"x" * MIB)
    with store.making(key(1)) as folder:
        freed = collect(store, NOTHING)
        assert folder.is_dir()
    assert not left.exists()
    assert freed.bytes >= MIB


def test_records_of_targets_that_are_gone_and_old_logs_go(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "kiwilite.result.json").touch()
    (store.published / "here").write_text(f'{{"target": "{target}"}}')
    (store.published / "gone").write_text('{"target": "/nowhere/at/all"}')
    for name, days in (("old.log", 40), ("new.log", 1)):
        (store.root / "logs" / name).touch()
        age(store.root / "logs" / name, days)
    (store.root / "pins/subject").write_text("1000")
    age(store.root / "pins/subject", 400)
    collect(store, NOTHING)
    assert [p.name for p in store.published.iterdir()] == ["here"]
    assert [p.name for p in (store.root / "logs").iterdir()] == ["new.log"]
    assert (store.root / "pins/subject").exists()


def flip(entry: Path) -> None:
    """Damage that no stat shows."""
    path = entry / "out/result"
    before = path.stat()
    path.write_bytes(b"y" + path.read_bytes()[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def examined(store: Store) -> dict[str, tuple[str, ...]]:
    found = examine(store, take_stock(store).entries)
    return {entry.step: said for entry, said in found.items()}


def test_damage_is_named_and_the_entry_counts_as_not_there(store: Store) -> None:
    keep(store, 1, days=0)
    flip(keep(store, 2, days=0))
    assert store.find(key(2)) is not None
    assert examined(store) == {"s2": ("out/result: has another content",)}
    assert store.find(key(2)) is None
    assert store.find(key(1)) is not None
    assert list(examined(store)) == ["s2"]
    keep(store, 2, days=0)
    assert examined(store) == {}
    assert store.find(key(2)) is not None


def test_a_note_that_was_lost_is_damage_and_examining_is_no_use(store: Store) -> None:
    (keep(store, 1, days=0) / "about.json").write_text("")
    before = keep(store, 2, days=5).stat().st_mtime
    assert list(examined(store)) == ["?"]
    assert (store.entries / key(2)).stat().st_mtime == before


def test_entries_of_earlier_versions_are_told_apart(store: Store) -> None:
    (keep(store, 1, days=0) / "about.json").write_text('{"step": "s1"}')
    assert [e.state for e in take_stock(store).entries] == ["old"]
    assert examined(store) == {}


def test_stock_of_a_store_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert take_stock(Store(tmp_path / "none")).bytes == 0


def test_entries_are_listed_with_the_last_used_first(store: Store) -> None:
    for number, days in enumerate([2, 0, 1]):
        keep(store, number, days=days, size=MIB)
    entries: tuple[Entry, ...] = take_stock(store).entries
    assert [e.step for e in entries] == ["s1", "s2", "s0"]
    assert all(MIB < e.bytes < 2 * MIB for e in entries)


BUILDER = """
import random, sys, time
from pathlib import Path
from kiwilite.build import manifest
from kiwilite.build.store import Store
from kiwilite.build.uses import Uses

store, made = Store(Path(sys.argv[1])), 0
random.seed(int(sys.argv[2]))
for _ in range(3000):
    uses = Uses()
    plan = [f"{n:064x}" for n in random.sample(range(12), 4)]
    uses.hold(store.entries / key for key in plan)
    for key in plan:
        with store.lock(key):
            if store.find(key) is None:
                with store.making(key) as folder:
                    (folder / "out/result").write_text(key * 100)
                    manifest.write(folder)
                    store.keep(folder, key, {"step": "s", "place": "host"})
                made += 1
            uses.hold([store.entries / key])
    for _ in range(20):
        for key in plan:
            assert (store.output(key) / "result").read_text() == key * 100
        time.sleep(0.001)
    uses.release()
    if made >= 12:
        break
else:
    sys.exit("nothing was removed")
"""

COLLECTOR = """
import sys
from pathlib import Path
from kiwilite.build.store import Store
from kiwilite.build.upkeep import Limits, collect

store = Store(Path(sys.argv[1]))
while not (store.root / "stop").exists():
    collect(store, Limits(unused=0, most=0))
"""


def started(script: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *words], stderr=subprocess.PIPE, text=True
    )


def test_builds_never_lose_what_they_use_to_collectors_beside_them(store: Store) -> None:
    """Each builder makes as many entries as there are: it ends only if others are removed."""
    root = str(store.root)
    collectors = [started(COLLECTOR, root) for _ in range(2)]
    builders = [started(BUILDER, root, str(seed)) for seed in range(3)]
    built = [(child.communicate()[1], child.returncode) for child in builders]
    (store.root / "stop").touch()
    emptied = [(child.communicate()[1], child.returncode) for child in collectors]
    assert [*built, *emptied] == [("", 0)] * 5
    assert list(store.work.iterdir()) == []
