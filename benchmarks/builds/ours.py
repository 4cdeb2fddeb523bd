"""Builds of descriptions/x86: from nothing but packages, and after each kind of change.

Each run has a store of its own, in which a clean build is followed by the same command
again and by one build for each change. The packages are those of the user's store, which
gets what it lacks; nothing else of it is used or changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from builds.measures import Row, said
from builds.running import Cost, Look, Usage, run
from kiwilite.build.configuration import load
from kiwilite.build.digest import digest_file
from kiwilite.build.store import Store, default_store, remove_tree
from kiwilite.plan.trees import RESOLVE

DESCRIPTION = Path(__file__).resolve().parents[2] / "descriptions" / "x86"
PROFILE = "bootstrapped"
AGAIN = 5
"""How often the build without a change is repeated in each store: it takes a moment only."""
CLOCKED_CHANGES = 3
"""How often the command line changes once more in each store."""
SMALL_PACKAGE = "tree"
"""Below 100 kB, and needs nothing but the C library."""
UP_TO_PACKAGES = (
    "resolve-packages",
    "find-bootstrap",
    "bootstrap",
    "pack",
    "large-packages",
    "packages",
)

CLEAN, NOTHING = "clean build, packages in the cache", "nothing changed"
COMMAND_LINE, OVERLAY_FILE = "kernel command line changed", "one overlay file changed"
PACKAGE_ADDED = "one small package added"
SMALL_ROOT = "clean build, root as small as by default"
SMALL_ROOT_OVERLAY_FILE = "one overlay file changed, root as small"


@dataclass(frozen=True, slots=True)
class Builds:
    """What was measured of our builds, and files of the last ones."""

    rows: tuple[Row, ...]
    clocked: Mapping[str, float]
    """By name: median of wall-clock seconds while nothing looks on."""
    same_bytes: bool
    """Whether the image with one package more is that of a clean build of its description."""
    initrd_bytes: int

    def row(self, name: str) -> Row:
        """The row called `name`."""
        return next(row for row in self.rows if row.name == name)

    def after_packages(self) -> float:
        """CPU seconds of a clean build without the steps that install packages."""
        clean = self.row(CLEAN)
        return clean.cpu - sum(
            cost.cpu for name, cost in clean.steps().items() if name.split()[0] in UP_TO_PACKAGES
        )


def user_store() -> Path:
    """The store whose packages are used."""
    return (load(None).store or default_store()).absolute()


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder beside the user's store, removed with all that belongs to foreign ids."""
    beside = user_store().parent
    beside.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="kiwilite-benchmark-", dir=beside))
    base.chmod(0o755)
    try:
        yield base
    finally:
        for store in (path for path in base.glob("store*") if path.is_dir()):
            forget(store)
        remove_tree(base)


def fresh_store(path: Path) -> Path:
    """An empty store with the user's packages; all beside it select from the same state of them.

    That is the one the user's last build selected from, if there was one.
    """
    source = Store(user_store())
    source.create()
    pins = path.parent / "pins"
    if not pins.exists():
        shutil.copytree(source.root / "pins", pins)
    path.mkdir()
    (path / "packages").symlink_to(source.packages)
    (path / "pins").symlink_to(pins)
    return path


def forget(store: Path) -> None:
    """Remove a store and leave the packages where they are."""
    (store / "packages").unlink(missing_ok=True)
    for entry in (store / "entries").glob("*"):
        remove_tree(entry)
    remove_tree(store)


def settle(folder: Path) -> None:
    """Have what was written there put on the disk and taken out of memory.

    Else each round has less room than the one before, and while it builds the kernel writes
    what others have left, and looks for pages it can do without.
    """
    os.sync()
    for base, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                fd = os.open(Path(base, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(fd)


def build(
    description: Path, store: Path, target: Path, *profiles: str, look: Look = "processes"
) -> Usage:
    """Build with our command; steps by their names."""
    # The user's own configuration could name another store; JSON is YAML.
    settings = store.with_suffix(".yml")
    settings.write_text(json.dumps({"store": str(store), "mirrors": dict(load(None).mirrors)}))
    command: list[str | Path] = [sys.executable, "-m", "kiwilite", "system", "build"]
    command += [f"--config={settings}", f"--description={description}", f"--target-dir={target}"]
    usage = run([*command, *(f"--profile={name}" for name in profiles)], look=look)
    return replace(usage, steps=by_name(usage, store))


def by_name(usage: Usage, store: Path) -> dict[str, Cost]:
    """Costs by name and title of the step; a name is not enough, trees are made in two ways."""
    names: dict[str, str] = {}
    for path in (store / "entries").glob("*/about.json"):
        about = json.loads(path.read_text())
        names[path.parent.name[:16]] = f"{about['step']} ({about['title']})"
    return {names[key]: cost for key, cost in usage.steps.items() if key in names}


def result_of(store: Path, step: str) -> Path:
    """The newest result of a step in a store."""
    abouts = [json.loads(p.read_text()) | {"at": p} for p in store.glob("entries/*/about.json")]
    found = [(a["made"], a["at"]) for a in abouts if a["step"] == step]
    return Path(max(found)[1]).parent / "out"


def variants(base: Path) -> dict[str, Path]:
    """The description as it is, and with each change, by the change's name."""
    overlay_file = ("root/etc/systemd/network/10-virtio.network", "DHCP=", "# Changed.\nDHCP=")
    small_root = ("appliance.kiwi", 'squashfscompression_level="3"', "")
    edits = {
        CLEAN: [],
        COMMAND_LINE: [("appliance.kiwi", 'no_timer_check"', 'no_timer_check quiet"')],
        OVERLAY_FILE: [overlay_file],
        SMALL_ROOT: [small_root],
        SMALL_ROOT_OVERLAY_FILE: [small_root, overlay_file],
        PACKAGE_ADDED: [
            (
                "appliance.kiwi",
                '<package name="less"/>',
                f'<package name="less"/><package name="{SMALL_PACKAGE}"/>',
            )
        ],
    }
    found = {}
    for number, (name, changes) in enumerate(edits.items()):
        found[name] = base / f"description{number}"
        shutil.copytree(DESCRIPTION, found[name])
        for file, old, new in changes:
            text = (found[name] / file).read_text()
            if old not in text:
                raise SystemExit(f"{file} has no {old!r}: the benchmark does not fit it any more")
            (found[name] / file).write_text(text.replace(old, new))
    return found


def measure(base: Path, runs: int, after_clean: Callable[[Path, Path], None]) -> Builds:
    """Build everything `runs` times. The first build of all is not measured: it gets packages.

    After each clean build `after_clean` gets its selection of packages and the tree that went
    into the root's squashfs: what it is compared with has the same machine then, which may be
    another an hour later. Stores stay until the end: for minutes after many files were removed,
    ext4 takes long to make new ones.
    """
    descriptions = variants(base)
    usages: dict[str, list[Usage]] = {name: [] for name in descriptions}
    usages[NOTHING] = []
    clocked: dict[str, list[float]] = {NOTHING: [], COMMAND_LINE: []}
    same: list[bool] = []
    cold = fresh_store(base / "store-cold")

    def built(name: str, description: str) -> None:
        usages[name].append(said(name, build(descriptions[description], store, target, PROFILE)))

    said("packages", build(descriptions[PACKAGE_ADDED], cold, base / "cold", PROFILE))
    for number in range(runs):
        settle(base)
        store, target = fresh_store(base / f"store-{number}"), base / f"target-{number}"
        built(CLEAN, CLEAN)
        tree = result_of(store, "customise") / "tree"
        after_clean(result_of(store, RESOLVE) / "packages.json", tree)
        for _ in range(AGAIN):
            built(NOTHING, CLEAN)
        initrd = (result_of(store, "boot-files") / "initrd").stat().st_size
        built(COMMAND_LINE, COMMAND_LINE)
        for name, description in clocked_changes(descriptions[COMMAND_LINE], base, number):
            usage = build(description, store, target, PROFILE, look="clock")
            clocked[name].append(said(f"{name}, by the clock", usage).wall)
        for name in (OVERLAY_FILE, PACKAGE_ADDED):
            built(name, name)
        same.append(digest_file(disk_in(target)) == digest_file(disk_in(base / "cold")))
        store = fresh_store(base / f"store-{number}-small")
        for name in (SMALL_ROOT, SMALL_ROOT_OVERLAY_FILE):
            built(name, name)
    order = (CLEAN, NOTHING, *(name for name in descriptions if name != CLEAN))
    rows = tuple(Row(name, tuple(usages[name])) for name in order)
    medians = {name: statistics.median(walls) for name, walls in clocked.items()}
    return Builds(rows, medians, all(same), initrd)


def clocked_changes(description: Path, base: Path, number: int) -> Iterator[tuple[str, Path]]:
    """Descriptions to build one after the other: each with another command line, and then as is."""
    changing = base / f"clocked{number}"
    shutil.copytree(description, changing)
    file = changing / "appliance.kiwi"
    for time in range(CLOCKED_CHANGES):
        file.write_text(file.read_text().replace(' quiet"', f' quiet{time} quiet"'))
        yield COMMAND_LINE, changing
        yield NOTHING, changing


def disk_in(target: Path) -> Path:
    """The raw disk that a build has put into `target`."""
    (found,) = target.glob("*.raw")
    return found
