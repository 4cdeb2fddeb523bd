"""appliance.lock on the real command line: written, obeyed, renewed, and without a network."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny_appliance
from tiny_appliance import Appliance, Said

from kiwilite.build.digest import digest_file
from kiwilite.ondisk.deb import write_deb

pytestmark = pytest.mark.build

REFUSED = "mirrors:\n  debian: http://127.0.0.1:1/d\n  debian-security: http://127.0.0.1:1/s\n"


def system(appliance: Appliance, command: str, *words: str) -> Said:
    """`kiwilite system COMMAND` of the appliance."""
    start = appliance.command()
    start[start.index("build")] = command
    done = subprocess.run(
        [*start, *words],
        env=appliance.environment(),
        cwd=appliance.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


def keys(appliance: Appliance) -> dict[str, str]:
    said = system(appliance, "plan", "--format", "json")
    assert said.status == 0, said.err
    return {step["name"]: step["key"] for step in json.loads(said.out)["steps"]}


def sums(appliance: Appliance) -> str:
    return (appliance.target / "SHA256SUMS").read_text()


def test_a_locked_build_elsewhere_and_without_a_network_gives_the_same_bytes(
    tmp_path: Path,
) -> None:
    here = tiny_appliance.make(tmp_path / "here")
    built = here.build()
    assert built.status == 0, built.err
    locked = system(here, "lock")
    assert locked.status == 0, locked.err
    again = here.build()
    assert "nothing to do" in again.out
    assert "appliance.lock" in again.out

    there = tiny_appliance.make(tmp_path / "there", tmp_path / "store")
    shutil.copy2(here.folder / "appliance.lock", there.folder)
    (there.folder / "kiwilite.yml").write_text(REFUSED)
    assert keys(there) == keys(here)
    missing = there.build("--offline")
    assert missing.status == 5
    assert re.search(r"without a network \d+ packages are missing", missing.complaint())
    assert "\n    libc6 2." in missing.err
    packages = there.store / "packages"
    subprocess.run(["rm", "-rf", packages / "debian"], check=True)
    subprocess.run(["cp", "-a", here.store / "packages/debian", packages], check=True)
    said = there.build("--offline")
    assert said.status == 0, said.err
    assert sums(there) == sums(here)


NEEDED = tuple(re.findall(r'<package name="(.*?)"', tiny_appliance.DESCRIPTION))


@dataclass(frozen=True, slots=True)
class Toys:
    """A description whose packages come from a made-up repository that a test can change."""

    appliance: Appliance
    repository: Path

    def put(self, *packages: str) -> None:
        """Let the repository have these, `NAME_VERSION`, beside what each description needs."""
        fill(self.repository, packages)

    def lock(self, *words: str) -> Said:
        said = system(self.appliance, "lock", *words)
        assert said.status == 0, said.err
        return said

    def locked(self) -> dict[str, str]:
        """Versions by package, of the one selection; of toys only."""
        data = json.loads((self.appliance.folder / "appliance.lock").read_text())
        (selection,) = data["selections"].values()
        rows = (*selection["bootstrap"], *selection["image"])
        return {p["name"]: p["version"] for p in rows if p["name"] not in NEEDED}


def fill(folder: Path, packages: tuple[str, ...]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    stanzas = []
    for word in (*packages, *(f"{name}_1" for name in NEEDED)):
        name, version = word.split("_")
        control = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Maintainer": "nobody <nobody@localhost>",
            "Description": "something to lock",
        }
        path = folder / f"{word}.deb"
        path.write_bytes(write_deb(control))
        text = "".join(f"{k}: {v}\n" for k, v in control.items())
        stanzas.append(
            f"{text}Filename: ./{path.name}\nSize: {path.stat().st_size}\n"
            f"SHA256: {digest_file(path)}\n"
        )
    index = folder / "Packages"
    index.write_text("\n".join(stanzas))
    row = f" {digest_file(index)} {index.stat().st_size} Packages\n"
    (folder / "Release").write_text(
        "Date: Thu, 01 Jan 2026 00:00:00 UTC\nValid-Until: Fri, 02 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n{row}"
    )


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a web server for `folder`."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def toys(base: Path, source: str, repository: Path) -> Toys:
    """The tiny appliance with one repository, `source` being its element, and toys in it."""
    appliance = tiny_appliance.make(base, base / "store")
    text = appliance.file.read_text()
    text = re.sub(
        r"    <repository.*</repository>",
        f'    <repository type="apt-deb" repository_gpgcheck="false">{source}</repository>',
        text,
        flags=re.DOTALL,
    )
    text = text.replace('"bootstrap">', '"bootstrap"><package name="apt"/>')
    text = text.replace('"image">', '"image"><package name="tool"/><package name="toy"/>')
    appliance.file.write_text(text)
    return Toys(appliance, repository)


@pytest.fixture
def local(tmp_path: Path) -> Toys:
    repository = tmp_path / "repository"
    found = toys(tmp_path, f'<source path="dir:{repository}"/>', repository)
    found.put("apt_1", "tool_1", "toy_1", "other_1")
    return found


def test_a_lock_stays_as_it_is_until_it_is_to_be_renewed(local: Toys) -> None:
    assert f"{len(NEEDED) + 3} packages" in local.lock().out
    text = (local.appliance.folder / "appliance.lock").read_text()
    local.put("apt_1", "tool_2", "toy_1", "other_1")
    assert "nothing to do" in local.lock().out
    assert (local.appliance.folder / "appliance.lock").read_text() == text
    assert json.loads(local.lock("--format", "json").out) == {
        "added": [],
        "removed": [],
        "changed": [],
    }


def test_a_renewed_lock_shows_what_changed(local: Toys) -> None:
    local.lock()
    local.put("apt_1", "tool_2", "toy_1", "other_1")
    local.appliance.change('<package name="toy"/>', '<package name="other"/>')
    table = local.lock("--update-lock").out
    rows = [tuple(line.split()) for line in table.splitlines()]
    assert ("other", "-", "1") in rows
    assert ("tool", "1", "2") in rows
    assert ("toy", "1", "-") in rows
    assert not any(row and row[0] == "apt" for row in rows)
    assert local.locked() == {"apt": "1", "tool": "2", "other": "1"}


def test_changes_are_there_for_programs_too(local: Toys) -> None:
    local.lock()
    local.put("apt_1", "tool_2", "toy_1", "other_1")
    data = json.loads(local.lock("--update-lock", "--format", "json").out)
    (row,) = data["changed"]
    assert (row["name"], row["old"]["version"], row["new"]["version"]) == ("tool", "1", "2")
    assert (data["added"], data["removed"]) == ([], [])


def test_profiles_do_not_get_in_each_other_s_way(local: Toys) -> None:
    path = local.appliance.folder / "appliance.lock"
    local.lock()
    before = json.loads(path.read_text())["selections"]
    local.put("apt_1", "tool_2", "toy_1", "other_1")
    local.lock("--profile", "smaller", "--update-lock")
    after = json.loads(path.read_text())["selections"]
    assert len(after) == 2
    assert all(after[name] == before[name] for name in before)


def test_a_build_fails_where_the_description_has_moved_on(local: Toys) -> None:
    local.lock()
    line = local.appliance.change(
        '<package name="toy"/>', '<package name="toy"/>\n<package name="other"/>'
    )
    said = local.appliance.build()
    assert said.status == 1
    complaint = said.complaint()
    assert f"appliance.kiwi:{line + 1}:" in complaint
    assert "asks for the package other, which is not in the lock" in complaint
    assert "--update-lock" in complaint


def test_a_build_with_profiles_that_nobody_locked_fails(local: Toys) -> None:
    local.lock()
    said = local.appliance.build("--profile", "smaller")
    assert said.status == 1
    assert "the lock has nothing for `tiny x86_64 oem smaller`" in said.complaint()
    assert "kiwilite system lock" in said.err


def test_a_build_fails_where_a_locked_package_is_gone_or_other_bytes(local: Toys) -> None:
    local.lock()
    local.put("apt_1", "tool_2", "toy_1", "other_1")
    (local.repository / "apt_1.deb").unlink()
    said = local.appliance.build()
    assert said.status == 1
    assert "no longer has apt 1 (all), and the cache has not got it" in said.complaint()
    assert "appliance.lock" in said.complaint() and "--update-lock" in said.complaint()
    shutil.copyfile(local.repository / "tool_2.deb", local.repository / "apt_1.deb")
    said = local.appliance.build()
    assert said.status == 1
    assert "has apt 1 (all) with other content" in said.complaint()


def test_words_that_contradict_each_other_are_refused(local: Toys) -> None:
    local.lock()
    assert local.appliance.build("--refresh").status == 2
    assert local.appliance.build("--offline", "--refresh").status == 2
    assert local.appliance.build("--offline", "--update-lock").status == 2


def test_tools_that_are_not_the_lock_s_are_named_and_no_hindrance(local: Toys) -> None:
    local.lock()
    path = local.appliance.folder / "appliance.lock"
    text, count = re.subn(
        r'("name": "mmdebstrap", "version": )"[^"]*", "sha256": "\w+"',
        r'\1"0.1", "sha256": "0"',
        path.read_text(),
    )
    assert count == 1
    path.write_text(text)
    said = local.appliance.build()
    assert re.search(r"warning: .*mmdebstrap \([\d.]+ here, 0.1 in the lock\)", said.err)
    assert "step bootstrap" in said.complaint()  # toys make no system


def test_without_lists_offline_says_how_to_get_them_and_with_them_needs_none(
    tmp_path: Path,
) -> None:
    repository = tmp_path / "web/repository"
    with served(repository.parent) as url:
        found = toys(tmp_path, f'<source path="{url}/repository"/>', repository)
        found.put("apt_1", "tool_1", "toy_1", "other_1")
        said = system(found.appliance, "lock", "--offline")
        assert said.status == 5
        assert "there are no package lists of" in said.complaint()
        assert "--offline" in said.complaint()
        found.lock()
    (found.appliance.folder / "appliance.lock").unlink()
    found.appliance.change('<package name="toy"/>', '<package name="other"/>')
    found.lock("--offline")
    assert found.locked() == {"apt": "1", "tool": "1", "other": "1"}


def test_a_further_package_is_selected_from_the_state_the_others_are_from(tmp_path: Path) -> None:
    repository = tmp_path / "web/repository"
    with served(repository.parent) as url:
        found = toys(tmp_path, f'<source path="{url}/repository"/>', repository)
        found.put("apt_1", "tool_1", "toy_1", "other_1")
        found.lock()
        (found.appliance.folder / "appliance.lock").unlink()
        found.put("apt_2", "tool_2", "toy_2", "other_2")
        found.appliance.change('<package name="toy"/>', '<package name="other"/>')
        found.lock()
        assert found.locked() == {"apt": "1", "tool": "1", "other": "1"}
        found.lock("--update-lock")
        assert found.locked() == {"apt": "2", "tool": "2", "other": "2"}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ('path="http://x.invalid/d" snapshot="20260101T000000Z"', "has no place for the time"),
        ('path="http://x.invalid/{snapshot}/d"', "has a place for a time, and there is none"),
    ],
)
def test_a_time_without_a_place_and_a_place_without_a_time_are_refused(
    tmp_path: Path, source: str, words: str
) -> None:
    found = toys(tmp_path, f"<source {source}/>", tmp_path / "unused")
    said = system(found.appliance, "lock")
    assert said.status == 1
    assert words in said.complaint()
    assert "appliance.kiwi:" in said.complaint()


def test_a_snapshot_is_used_and_its_time_is_in_the_lock(tmp_path: Path) -> None:
    past, now = (tmp_path / f"web/{name}/debian" for name in ("20260101T000000Z", "now"))
    fill(now, ("apt_2", "tool_2", "toy_2"))
    with served(tmp_path / "web") as url:
        source = '<source path="distro:debian" snapshot="20260101T000000Z"/>'
        found = toys(tmp_path, source, past)
        found.put("apt_1", "tool_1", "toy_1")
        settings = found.appliance.folder / "kiwilite.yml"
        settings.write_text(f"mirrors:\n  debian: {url}/now/debian\n")
        said = system(found.appliance, "lock")
        assert said.status == 1
        assert "no snapshot mirror for distro:debian" in said.complaint()
        settings.write_text(
            f"mirrors:\n  debian: {url}/now/debian\n"
            f"snapshots:\n  debian: {url}/{{snapshot}}/debian\n"
        )
        found.lock()
    assert found.locked() == {"apt": "1", "tool": "1", "toy": "1"}
    data = json.loads((found.appliance.folder / "appliance.lock").read_text())
    (selection,) = data["selections"].values()
    (repository,) = selection["repositories"]
    assert repository["snapshot"] == "20260101T000000Z"
    assert repository["date"] == "Thu, 01 Jan 2026 00:00:00 UTC"
    assert repository["release_sha256"] == digest_file(past / "Release")
    assert {p["snapshot"] for p in selection["image"]} == {"20260101T000000Z"}
