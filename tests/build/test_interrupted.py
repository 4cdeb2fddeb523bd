"""Downloads that break off, and builds that are ended from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_appliance
from cut_repository import serve
from tiny_appliance import Appliance

pytestmark = pytest.mark.build

UNREACHABLE = 5
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the sound appliance is built."""
    sound = tiny_appliance.make(tmp_path_factory.mktemp("sound"))
    said = sound.build()
    assert said.status == 0, said.err
    return sound.store


@pytest.fixture
def tiny(tmp_path: Path, warm: Path) -> Appliance:
    return tiny_appliance.make(tmp_path, warm)


def still_works(appliance: Appliance) -> None:
    good = tiny_appliance.make(appliance.folder.parent / "good", appliance.store).build()
    assert good.status == 0, good.err


def only_source(appliance: Appliance, url: str) -> int:
    """Leave one repository, that at `url`; its line."""
    text = appliance.file.read_text()
    text = re.sub(r"    <repository.*</repository>\n", "@@\n", text, count=1, flags=re.DOTALL)
    repository = (
        '    <repository type="apt-deb" repository_gpgcheck="false">'
        f'<source path="{url}"/></repository>'
    )
    appliance.file.write_text(text.replace("@@", repository))
    return text[: text.index("@@")].count("\n") + 1


def asked_for(appliance: Appliance) -> list[str]:
    """The names of all packages in the description."""
    return re.findall(r'<package name="([^"]+)"', appliance.file.read_text())


def test_a_repository_that_cannot_be_reached_is_shown_at_its_line(tiny: Appliance) -> None:
    line = only_source(tiny, "http://127.0.0.1:9/debian")
    said = tiny.build()
    assert said.status == UNREACHABLE, said.err
    message = said.complaint()
    assert f"{tiny.file}:{line}:" in message
    assert "127.0.0.1" in message
    assert tiny.results() == []
    still_works(tiny)


def test_one_unreachable_repository_among_others_is_the_one_that_is_named(tiny: Appliance) -> None:
    line = tiny.change(
        'components="main">\n        <source path="distro:debian-security"/>',
        'components="main">\n        <source path="http://127.0.0.1:9/debian-security"/>',
    )
    said = tiny.build()
    assert said.status == UNREACHABLE, said.err
    assert any(f"{tiny.file}:{n}:" in said.complaint() for n in (line, line - 1)), said.err
    assert tiny.results() == []


@pytest.mark.parametrize("cut", ["Packages.gz", "essential-thing_1_amd64.deb"])
def test_a_download_that_breaks_off_is_a_source_that_cannot_be_had(
    tiny: Appliance, tmp_path: Path, cut: str
) -> None:
    with serve(tmp_path / "repository", cut, asked_for(tiny)) as repository:
        line = only_source(tiny, repository.url)
        said = tiny.build()
    assert cut in repository.asked
    assert said.status == UNREACHABLE, said.err
    assert f"{tiny.file}:{line}:" in said.complaint()
    assert tiny.results() == []
    still_works(tiny)


def test_the_same_repository_whole_is_downloaded_to_the_end(
    tiny: Appliance, tmp_path: Path
) -> None:
    """The packages are no packages, so unpacking fails: it is the cut that the tests above see."""
    with serve(tmp_path / "repository", None, asked_for(tiny)) as repository:
        only_source(tiny, repository.url)
        said = tiny.build()
    assert "essential-thing_1_amd64.deb" in repository.asked
    assert said.status not in (0, UNREACHABLE), said.err
    said.complaint()


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def processes_with(word: str) -> list[int]:
    """Process ids whose command line or environment has `word`; those that died do not count."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            text = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in text:
            found.append(int(folder.name))
    return found


@pytest.fixture
def sleeper(tiny: Appliance) -> tuple[subprocess.Popen[str], str]:
    """A build that sleeps in config.sh, and a word that only its processes have."""
    word = f"1{os.getpid()}{time.time_ns() % 10**6:06}"
    tiny.script("config", f"sleep {word}")
    child = tiny.start(environment={"KIWILITE_TEST_WORD": word})
    wait_for(lambda: any(f"sleep\0{word}\0" in command_of(p) for p in processes_with(word)))
    return child, word


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("number", SIGNALS, ids=lambda n: n.name)
def test_a_build_ended_in_the_middle_of_a_step_leaves_a_good_store(
    tiny: Appliance, sleeper: tuple[subprocess.Popen[str], str], number: signal.Signals
) -> None:
    child, word = sleeper
    assert len(processes_with(word)) >= 2
    if number == signal.SIGINT:
        os.killpg(child.pid, number)  # as a terminal does
    else:
        child.send_signal(number)
    _, err = child.communicate(timeout=60)
    wait_for(lambda: not processes_with(word), 20)
    assert "Traceback" not in err
    assert tiny.results() == []
    if number == signal.SIGKILL:
        assert child.returncode == -number
    else:
        assert child.returncode == 130
        assert "interrupted" in err
        assert not tiny.in_the_making(child.pid)
    tiny.script("config", f"# {word}")
    again = tiny.build()
    assert again.status == 0, again.err
    assert not tiny.in_the_making(child.pid)


def test_ended_while_it_waits_for_another_build_it_goes_at_once(
    tiny: Appliance, sleeper: tuple[subprocess.Popen[str], str]
) -> None:
    child, word = sleeper
    second = tiny.start()
    time.sleep(3)
    assert second.poll() is None
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=20)
    assert second.returncode == 130
    assert processes_with(word)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)


def test_two_builds_of_the_same_at_once_both_succeed(tiny: Appliance, tmp_path: Path) -> None:
    tiny.script("config", f"# {tmp_path}\nsleep 1")
    other = Appliance(tiny.folder, tmp_path / "other", tiny.store)
    children = [tiny.start(), other.start()]
    reports = [child.communicate(timeout=300)[1] for child in children]
    assert [c.returncode for c in children] == [0, 0], reports
    assert (tiny.target / "SHA256SUMS").read_text() == (other.target / "SHA256SUMS").read_text()
    made = [line.split()[2] for report in reports for line in report.splitlines() if " s  " in line]
    assert sorted(made) == sorted(set(made)), made
