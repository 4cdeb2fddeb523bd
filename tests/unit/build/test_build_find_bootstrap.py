"""Whether a package list names a package is told without apt."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.build.stages.find_bootstrap import may_list

NAME = "kiwilite-bootstrap"


@pytest.mark.parametrize(
    ("text", "listed"),
    [
        ("", False),
        (f"Package: {NAME}\nVersion: 1\n", True),
        (f"Package: a\nVersion: 1\n\nPackage: {NAME}\nVersion: 1\n", True),
        (f"Package: a\nDescription: b\n Package: {NAME}\n", False),
        (f"Package: {NAME}-trixie\n\nPackage: old-{NAME}\nProvides: {NAME}\n", False),
    ],
)
def test_a_plain_list_is_read(tmp_path: Path, text: str, listed: bool) -> None:
    path = tmp_path / "deb.localhost_debian_dists_trixie_main_binary-amd64_Packages"
    path.write_text(text)
    assert may_list(path, NAME) == listed


def test_what_only_apt_reads_is_left_to_apt(tmp_path: Path) -> None:
    path = tmp_path / "deb.localhost_debian_dists_trixie_main_binary-amd64_Packages.lz4"
    path.touch()
    assert may_list(path, NAME)
