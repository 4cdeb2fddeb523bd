"""Which mirror `distro:debian` stands for on a host."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.build.mirrors import address_of, host_mirrors, is_local, resolve
from kiwilite.errors import KiwiliteError

DEB822 = """\
# The main archive
Types: deb deb-src
URIs: http://one.invalid/debian/
Suites: trixie trixie-updates
Components: main
Signed-By: /usr/share/keyrings/key.gpg

Types: deb
# a comment in between
URIs: https://two.invalid/debian-security
  http://three.invalid/debian-ports
Suites: trixie-security
Components: main
"""


def apt(tmp_path: Path, **files: str) -> Path:
    folder = tmp_path / "sources.list.d"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return tmp_path


def mirrors_of(apt: Path) -> dict[str, str]:
    """What apt alone says, on a host without mmdebstrap."""
    return host_mirrors({}, apt, apt / "no-tool")


def test_deb822_stanzas_name_mirrors_on_several_lines(tmp_path: Path) -> None:
    assert mirrors_of(apt(tmp_path, debian_sources=DEB822)) == {
        "debian": "http://one.invalid/debian/",
        "debian-security": "https://two.invalid/debian-security",
        "debian-ports": "http://three.invalid/debian-ports",
    }


@pytest.mark.parametrize("line", ["Enabled: no", "enabled: No", "Enabled: false"])
def test_a_disabled_stanza_does_not_count(tmp_path: Path, line: str) -> None:
    text = f"{line}\nTypes: deb\nURIs: http://off.invalid/debian\nSuites: x\n"
    assert mirrors_of(apt(tmp_path, debian_sources=text)) == {}


def test_a_stanza_of_source_packages_does_not_count(tmp_path: Path) -> None:
    text = "Types: deb-src\nURIs: http://src.invalid/debian\nSuites: x\n"
    assert mirrors_of(apt(tmp_path, debian_sources=text)) == {}


def test_one_line_lists_with_and_without_options(tmp_path: Path) -> None:
    text = """\
# deb http://comment.invalid/debian trixie main
deb-src http://src.invalid/debian trixie main
deb [arch=amd64 signed-by=/k.gpg] http://options.invalid/debian trixie main
  deb\thttp://plain.invalid/ubuntu noble main
"""
    assert mirrors_of(apt(tmp_path, any_list=text)) == {
        "debian": "http://options.invalid/debian",
        "ubuntu": "http://plain.invalid/ubuntu",
    }


def test_the_first_mirror_of_a_distribution_counts(tmp_path: Path) -> None:
    folder = apt(tmp_path, a_list="deb http://late.invalid/debian x main\n")
    (folder / "sources.list").write_text("not apt's, it has no suffix apt reads")
    (folder / "sources.list.d/0.list").write_text("deb http://early.invalid/debian x main\n")
    assert mirrors_of(folder)["debian"] == "http://early.invalid/debian"


def test_the_configuration_wins_over_apt(tmp_path: Path) -> None:
    folder = apt(tmp_path, debian_sources=DEB822)
    own = {"debian": "http://mine.invalid/d", "other": "http://o.invalid/"}
    found = host_mirrors(own, folder, folder / "no-tool")
    assert found["debian"] == "http://mine.invalid/d"
    assert found["other"] == "http://o.invalid/"
    assert found["debian-security"] == "https://two.invalid/debian-security"


def test_media_mirror_lists_and_other_files_are_no_mirrors(tmp_path: Path) -> None:
    lines = "deb cdrom:[Debian]/ trixie main\ndeb mirror+file:/etc/m/debian x main\n"
    folder = apt(tmp_path, a_list=lines, b_bak="deb http://bak.invalid/debian x main\n")
    assert mirrors_of(folder) == {}


def test_a_host_without_apt_has_no_mirrors(tmp_path: Path) -> None:
    assert mirrors_of(tmp_path / "nothing") == {}


def test_the_tool_s_own_mirror_counts_where_nobody_names_one(tmp_path: Path) -> None:
    tool = tmp_path / "mmdebstrap"
    tool.write_text('my $mirror = "http://tool.invalid/debian";\n')
    assert host_mirrors({}, tmp_path / "nothing", tool) == {"debian": "http://tool.invalid/debian"}
    named = apt(tmp_path, a_list="deb http://apt.invalid/debian x main\n")
    assert host_mirrors({}, named, tool)["debian"] == "http://apt.invalid/debian"


@pytest.mark.parametrize(
    ("written", "uri"),
    [
        ("distro:debian", "http://m.invalid/debian"),
        ("dir:///srv/packages", "dir:///srv/packages"),
        ("file:///srv/mirror", "file:///srv/mirror"),
        ("https://x.invalid/debian", "https://x.invalid/debian"),
    ],
)
def test_what_a_source_stands_for(written: str, uri: str) -> None:
    assert resolve(written, {"debian": "http://m.invalid/debian"}) == uri


@pytest.mark.parametrize("written", ["dir:/srv/p", "dir:///srv/p", "file:///srv/p", "file:/srv/p"])
def test_local_sources_are_folders(written: str) -> None:
    assert is_local(written) == Path("/srv/p")


def test_a_distribution_without_mirror_says_what_to_write() -> None:
    with pytest.raises(KiwiliteError) as caught:
        resolve("distro:ubuntu", {"debian": "http://m.invalid/debian"})
    assert "distro:ubuntu" in caught.value.message
    assert "ubuntu: URL" in (caught.value.hint or "")


MIRRORS = {"debian": "http://now.invalid/debian"}
SNAPSHOTS = {"debian": "http://past.invalid/{snapshot}/debian"}


@pytest.mark.parametrize(
    ("written", "time", "address"),
    [
        ("distro:debian", None, "http://now.invalid/debian"),
        ("distro:debian", "20260101T000000Z", "http://past.invalid/20260101T000000Z/debian"),
        ("http://own.invalid/d", "20260101T000000Z", "http://own.invalid/d"),
    ],
)
def test_a_distribution_with_a_time_is_on_the_snapshot_mirror(
    written: str, time: str | None, address: str
) -> None:
    assert address_of(written, time, MIRRORS, SNAPSHOTS) == address


def test_a_distribution_without_a_snapshot_mirror_says_what_to_write() -> None:
    with pytest.raises(KiwiliteError) as caught:
        address_of("distro:debian", "20260101T000000Z", MIRRORS, {})
    assert "distro:debian" in caught.value.message
    assert "snapshots:\n      debian: URL with {snapshot}" in (caught.value.hint or "")
