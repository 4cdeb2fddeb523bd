"""`kiwilite image reproduce`: builds under other conditions, and what differs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiwilite.build import image
from kiwilite.build.configuration import Configuration, load
from kiwilite.build.reproduce import circumstances, folders, rebuild
from kiwilite.build.reproduce.circumstances import Host
from kiwilite.build.reproduce.conditions import Variation, chosen
from kiwilite.build.reproduce.rebuild import Built, Subject
from kiwilite.build.store import remove_tree
from kiwilite.cli.diagnostics import print_with_count
from kiwilite.cli.image_compare import part_data, part_lines
from kiwilite.description.find import find
from kiwilite.description.load import load as load_description
from kiwilite.description.model import Appliance
from kiwilite.errors import HostError, StageFailed, UsageError
from kiwilite.inspect.compare_results import FileDifference, compare_results
from kiwilite.plan.disk import READ_WRITE
from kiwilite.plan.nodes import DEFAULT_EPOCH
from kiwilite.plan.volume import made_at_build


@dataclass(frozen=True, slots=True)
class Outcome:
    """A build under other conditions, and where its files are not those of the first."""

    built: Built
    files: tuple[FileDifference, ...]

    @property
    def verdict(self) -> str:
        """In a word."""
        if not self.built.is_shown:
            return "left out"
        if self.built.target is None:
            return "failed"
        return "same" if all(file.on_purpose for file in self.files) else "different"


def reproduce(found: dict[str, Any]) -> int:
    """Build, build again, compare: 0 all the same, 1 something differs, 4 a build failed."""
    variations = chosen(found["--variations"])
    path = find(found["--description"])
    profiles = tuple(found["--profile"])
    appliance, warnings = load_description(path, profiles, type_name=found["--type"])
    print_with_count(warnings, sys.stderr)
    configuration = load(Path(found["--config"]) if found["--config"] else None)
    subject = _subject(appliance, configuration, found)
    user = _user(found["--user"])
    as_text = found["--format"] == "text"
    outcomes = []
    with rebuild.work_folder(keep=found["--keep"]) as work:
        for outcome in _outcomes(subject, appliance, variations, user, work, found["--keep"]):
            outcomes.append(outcome)
            if as_text:
                print("\n".join(lines_of(outcome)), flush=True)
        if found["--keep"]:
            sys.stderr.write(f"kept: {work}\n")
    shown = outcomes[1:]
    if as_text:
        print(summary_of(shown, _fresh(appliance)))
    else:
        print(json.dumps({"variations": [_data(o) for o in shown]}, indent=1))
    return status_of(shown)


def _subject(appliance: Appliance, configuration: Configuration, found: dict[str, Any]) -> Subject:
    site = image.site_for(appliance, configuration, tools_from=found["--tools"])
    options = [word for name in found["--profile"] for word in ("--profile", name)]
    if found["--type"]:
        options += ["--type", found["--type"]]
    options += ["--tools", site.tools_from]
    file = appliance.file.absolute()
    return Subject(
        file=file,
        folder=file.parent,
        options=tuple(options),
        mirrors=configuration.mirrors,
        snapshots=configuration.snapshots,
        store=site.store,
    )


def _user(name: str | None) -> str | None:
    """Who builds where another user is to: the one that is named, else the first there is."""
    known = list(circumstances.users_with_ids()) if os.geteuid() == 0 else []
    if name is not None and name not in known:
        raise UsageError(
            f"--user {name}: no such user who has a range in /etc/subuid and /etc/subgid",
            hint="useradd gives new users one; and only root can build as somebody else",
        )
    return name or next(iter(known), None)


def _fresh(appliance: Appliance) -> frozenset[str]:
    """Names of the partitions that are meant to be others in every build."""
    overlay = appliance.type.overlay
    return frozenset({READ_WRITE}) if overlay and made_at_build(overlay.luks) else frozenset()


def _outcomes(
    subject: Subject,
    appliance: Appliance,
    variations: Sequence[Variation],
    user: str | None,
    work: Path,
    keep: bool,
) -> Iterator[Outcome]:
    first = rebuild.first_build(subject, work)
    assert first.target is not None
    room = folders.occupied(work)
    if not keep:
        remove_tree(work / "first/store/entries")
    yield Outcome(first, ())
    epoch = appliance.preferences.source_date_epoch
    host = Host(
        is_root=os.geteuid() == 0,
        processors=tuple(sorted(os.sched_getaffinity(0))),
        clock=circumstances.clock_library(),
        other_user=user,
        other_file_system=folders.other_file_system(work, room + room // 4),
        epoch=DEFAULT_EPOCH if epoch is None else epoch,
        given_epoch=image.source_date_epoch(),
    )
    for variation in variations:
        with rebuild.varied_build(subject, variation, host, work, keep=keep) as built:
            files: tuple[FileDifference, ...] = ()
            if built.target is not None:
                files = compare_results(first.target, built.target, fresh=_fresh(appliance))
            yield Outcome(built, files)


def lines_of(outcome: Outcome) -> Iterator[str]:
    """What is told of a build when it has been compared."""
    built = outcome.built
    if built.variation is rebuild.FIRST:
        yield f"{'first':12} {built.seconds:6.0f} s  what the others are compared with"
        return
    yield f"{built.variation.name:12} {built.seconds:6.0f} s  {outcome.verdict}"
    for condition in built.applied:
        yield f"    {condition.value}"
    for condition, reason in built.left_out:
        yield f"    left out: {condition.value} ({reason})"
    if built.complaint:
        yield built.complaint
    for file in outcome.files:
        if file.told_by_disk:
            yield f"    {file.name}: differs as the disk does"
            continue
        yield f"    {file.name}"
        yield from (f"      {line}" for line in part_lines(file.parts))


def summary_of(outcomes: Sequence[Outcome], fresh: frozenset[str]) -> str:
    """What is told in the end; `fresh` are partitions that were meant to differ."""
    said = [o.verdict for o in outcomes]
    shown = [word for word in said if word != "left out"]
    lines = [f"{said.count('same')} of {len(shown)} variations give the same bytes"]
    if "left out" in said:
        lines[0] += f", {said.count('left out')} left out"
    for name in sorted(fresh):
        lines.append(
            f'not compared: {name}, whose key is a new one in every build (provisioning="build")'
        )
    return "\n".join(lines)


def _data(outcome: Outcome) -> dict[str, Any]:
    built = outcome.built
    return {
        "variation": built.variation.name,
        "verdict": outcome.verdict,
        "seconds": round(built.seconds, 1),
        "conditions": [c.name.lower() for c in built.applied],
        "left_out": {c.name.lower(): reason for c, reason in built.left_out},
        "complaint": built.complaint,
        "files": [
            {
                "file": file.name,
                "told_by_disk": file.told_by_disk,
                "parts": [part_data(part) for part in file.parts],
            }
            for file in outcome.files
        ],
    }


def status_of(outcomes: Sequence[Outcome]) -> int:
    """The exit status: what is not left out has to be the same."""
    said = {o.verdict for o in outcomes}
    if "different" in said:
        return 1
    if "failed" in said:
        return StageFailed.exit_status
    return 0 if "same" in said else HostError.exit_status
