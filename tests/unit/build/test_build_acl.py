"""What a tree has of ACLs is written down in order of path, for the device to set again."""

from __future__ import annotations

import os
from pathlib import Path

from layered_stage import acl

from kiwilite.build.acl import ACCESS, DEFAULT, TMPFILES, tmpfiles_lines, write_down


def test_each_file_and_folder_with_an_acl_has_a_line(tmp_path: Path) -> None:
    for name in ("b/inner", "a"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "a file").write_text("content")
    (tmp_path / "a/link").symlink_to("a file")
    os.setxattr(tmp_path / "b", DEFAULT, acl(7))
    os.setxattr(tmp_path / "a/a file", ACCESS, acl(5))
    os.setxattr(tmp_path / "b/inner/a file", ACCESS, acl(6))
    lines = list(tmpfiles_lines(tmp_path))
    assert [line.split()[1] for line in lines] == ["/b", r"/a/a\x20file", r"/b/inner/a\x20file"]
    assert lines[0].endswith(" - - - - d:u::rw-,d:u:7:r--,d:g::r--,d:m::r--,d:o::---")
    assert lines[1].endswith(" - - - - u::rw-,u:5:r--,g::r--,m::r--,o::---")
    write_down(tmp_path)
    assert (tmp_path / TMPFILES).read_text().splitlines() == lines


def test_a_tree_without_acls_gets_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write_down(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
