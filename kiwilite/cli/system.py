"""`kiwilite system`: build images, show what a build would do, lock packages, make archives."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiwilite.build import image
from kiwilite.build.configuration import Configuration, load
from kiwilite.build.digest import digest_file
from kiwilite.build.executor import Keyed, Site
from kiwilite.build.network import Network
from kiwilite.build.progress import Progress
from kiwilite.cli.diagnostics import print_with_count
from kiwilite.cli.parse import demand_one_of, parse
from kiwilite.description.find import find
from kiwilite.description.load import load as load_description
from kiwilite.description.model import Appliance
from kiwilite.errors import UsageError

if TYPE_CHECKING:
    from kiwilite.cli.why import PlacedReasons

USAGE = """\
Build disk images from appliance descriptions.

Usage:
  kiwilite system build --description=PATH [--profile=NAME]... [options]
  kiwilite system plan --description=PATH [--profile=NAME]... [--why] [options]
  kiwilite system lock --description=PATH [--profile=NAME]... [options]
  kiwilite system bootstrap --description=PATH [--profile=NAME]... [options]

Commands:
  build      Build the image. What is in the store already is not built again.
  plan       Show what a build would do: steps, partitions, device stack.
  lock       Write which packages builds install, to the byte, into appliance.lock
             beside the description. Builds then install exactly these.
  bootstrap  Make the bootstrap archive that `bootstrap_package=` names.

Options:
  --description=PATH  A folder, a file such as appliance.kiwi, or the name of a
                      description below ./descriptions, in $KIWILITE_DESCRIPTIONS
                      or among the installed ones.
  --profile=NAME      Select a profile; may be given several times, and before
                      the command as KIWI has it.
  --target-dir=DIR    Where the results go; without it build/IMAGE-PROFILE.
  --type=IMAGE        The <type> to build, where the description has several.
  --refresh           Select packages anew instead of as the last build did.
  --update-lock       Of `build` and `lock`: select packages anew, renew the lock,
                      and show what changed.
  --tools=FROM        host: steps call the host's mksquashfs, mkfs.xfs and so on,
                      which is the default. tree: those of a tree of packages
                      that is made once, the same on every host.
  --offline           Use no network: packages come from the cache.
  --format=FORMAT     Of `plan` and `lock`: text or json [default: text].
  --why               Of `plan`: for each step that would run, what changed since
                      the last build.
  --config=FILE       Runtime configuration; without it ./kiwilite.yml, then the
                      user's, then /etc/kiwilite.yml.
  -h --help           This text.
"""


def main(arguments: Sequence[str]) -> int:
    """Run `kiwilite system …`; returns the exit status."""
    found = parse(USAGE, arguments)
    _check(found)
    appliance = _appliance(found)
    configuration = load(Path(found["--config"]) if found["--config"] else None)
    if found["plan"]:
        return _plan(appliance, configuration, found)
    if found["lock"]:
        return _lock(appliance, configuration, found)
    if found["bootstrap"]:
        return _bootstrap(appliance, configuration, found)
    return _build(appliance, configuration, found)


def _check(found: dict[str, Any]) -> None:
    """Raise UsageError for words that do not go together."""
    demand_one_of(found, "--format", "text", "json")
    demand_one_of(found, "--tools", "host", "tree")
    if found["--update-lock"] and not (found["build"] or found["lock"]):
        raise UsageError("--update-lock is for `system build` and `system lock`")
    for name in ("--refresh", "--update-lock"):
        if found["--offline"] and found[name]:
            raise UsageError(f"{name} asks the repositories, and --offline forbids it")
    if found["--refresh"] and found["lock"]:
        raise UsageError("a lock is renewed by --update-lock, not by --refresh")


def _site(appliance: Appliance, configuration: Configuration, found: dict[str, Any]) -> Site:
    network: Network = "offline" if found["--offline"] else "online"
    return image.site_for(appliance, configuration, network, found["--tools"])


def _appliance(found: dict[str, Any]) -> Appliance:
    path = find(found["--description"])
    appliance, warnings = load_description(
        path, tuple(found["--profile"]), type_name=found["--type"]
    )
    print_with_count(warnings, sys.stderr)
    return appliance


def target_folder(appliance: Appliance, wanted: str | None) -> Path:
    """`--target-dir`, else build/IMAGE-PROFILE below the current folder."""
    if wanted:
        return Path(wanted)
    return Path("build") / "-".join([appliance.name, *appliance.profiles[:1]])


def _build(appliance: Appliance, configuration: Configuration, found: dict[str, Any]) -> int:
    from kiwilite.cli.report import print_report

    site = _site(appliance, configuration, found)
    target = target_folder(appliance, found["--target-dir"])
    progress = Progress()
    try:
        if found["--update-lock"]:
            from kiwilite.build import locking
            from kiwilite.cli.lock_changes import print_changes

            print_changes(locking.renew(appliance, site, progress))
        result = image.build(
            appliance, site, progress, target, refresh=found["--refresh"], tell=progress.tell
        )
    finally:
        progress.close()
    print_report(appliance, result, progress.steps)
    return 0


def _lock(appliance: Appliance, configuration: Configuration, found: dict[str, Any]) -> int:
    from kiwilite.build import locking
    from kiwilite.cli.lock_changes import changes_as_json, print_changes

    site = _site(appliance, configuration, found)
    progress = Progress()
    try:
        made = (locking.renew if found["--update-lock"] else locking.add)(appliance, site, progress)
    finally:
        progress.close()
    if found["--format"] == "json":
        print(changes_as_json(made))
    elif made is None:
        print("nothing to do: these profiles are locked; --update-lock selects packages anew")
    else:
        print_changes(made)
    return 0


def _bootstrap(appliance: Appliance, configuration: Configuration, found: dict[str, Any]) -> int:
    wanted = appliance.packages.bootstrap_package
    if wanted is None:
        raise UsageError(
            "with these profiles the description names no bootstrap_package",
            hint="select the profile that does, such as --profile bootstrapped",
        )
    site = _site(appliance, configuration, found)
    progress = Progress()
    try:
        archive = image.bootstrap(appliance, site, progress, refresh=found["--refresh"])
    finally:
        progress.close()
    folder = Path(found["--target-dir"] or site.store.bootstrap)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{wanted.name}.tar.zst"
    scratch = target.with_name(f".{target.name}")
    shutil.copyfile(archive, scratch)
    scratch.replace(target)
    print(f'{target}\nbootstrap_digest="sha256:{digest_file(target)}"')
    return 0


def _plan(appliance: Appliance, configuration: Configuration, found: dict[str, Any]) -> int:
    from kiwilite.cli.report import plan_data, print_plan
    from kiwilite.cli.why import text as reasons_as_text

    site = _site(appliance, configuration, found)
    plan, keyed = image.foreseen(appliance, site)
    to_run = image.up_front(keyed, plan, site.store)
    reasons = _reasons(appliance, keyed, to_run, site, found) if found["--why"] else None
    if found["--format"] == "json":
        print(json.dumps(plan_data(plan, keyed, to_run, reasons), indent=1))
    elif reasons is not None:
        print(reasons_as_text(reasons), end="")
    else:
        print_plan(appliance, plan, to_run)
    return 0


def _reasons(
    appliance: Appliance, keyed: Keyed, to_run: set[str], site: Site, found: dict[str, Any]
) -> PlacedReasons:
    """Why each step would run, with places in the description."""
    from kiwilite.cli.why import placed
    from kiwilite.description.load import examine
    from kiwilite.description.show.elements import resolved

    changed = image.changed_since(appliance, keyed, to_run, site.store)
    profiles = tuple(found["--profile"])
    examined = examine(find(found["--description"]), profiles, type_name=found["--type"])
    root = examined.document.root
    elements = resolved(root, examined.selection, examined.chosen, profiles)
    return placed(changed, elements)
