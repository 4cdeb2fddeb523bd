"""`kiwilite description format` and `upgrade`: what they write, say and return."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from description_samples import minimal, write

from kiwilite.cli.main import main
from kiwilite.description.load import load
from kiwilite.description.text.difference import unified
from kiwilite.description.text.save import save
from kiwilite.errors import KiwiliteError

OLD = '<image schemaversion="7.4">\n<type image="oem" vga="1"/>\n</image>\n'
NEW = '<image schemaversion="8.5">\n<type image="oem"/>\n</image>\n'
USUAL = '<image schemaversion="7.4">\n    <type image="oem" vga="1"/>\n</image>\n'
DIFF = """\
--- {0}
+++ {0}
@@ -1,3 +1,3 @@
-<image schemaversion="7.4">
-<type image="oem" vga="1"/>
+<image schemaversion="8.5">
+<type image="oem"/>
 </image>
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "appliance.kiwi"
    path.write_text(OLD)
    return path


Said = pytest.CaptureFixture[str]


def test_an_upgrade_is_written_and_shown(file: Path, capsys: Said) -> None:
    assert main(["description", "upgrade", str(file.parent)]) == 0
    assert file.read_text() == NEW
    said = capsys.readouterr()
    assert said.out.startswith(DIFF.format(file))
    assert said.out.splitlines()[-1] == f"upgraded from schemaversion 7.4 to 8.5: {file}"
    assert not said.err


def test_with_check_an_upgrade_is_just_shown(file: Path, capsys: Said) -> None:
    assert main(["description", "upgrade", str(file), "--check"]) == 1
    assert file.read_text() == OLD
    assert capsys.readouterr().out == DIFF.format(file)


@pytest.mark.parametrize("option", [[], ["--check"]])
def test_nothing_to_upgrade_is_said(file: Path, capsys: Said, option: list[str]) -> None:
    file.write_text(NEW)
    before = file.stat()
    assert main(["description", "upgrade", str(file), *option]) == 0
    assert capsys.readouterr().out == f"nothing to do: {file} has schemaversion 8.5\n"
    assert file.stat().st_ino == before.st_ino


def test_format_writes_and_says_so(file: Path, capsys: Said) -> None:
    assert main(["description", "format", str(file)]) == 0
    assert file.read_text() == USUAL
    assert capsys.readouterr().out == f"formatted {file}\n"
    assert main(["description", "format", str(file), "--check"]) == 0
    assert capsys.readouterr().out == f"nothing to do: {file} is in the usual form\n"


def test_with_check_the_usual_form_is_just_shown(file: Path, capsys: Said) -> None:
    assert main(["description", "format", str(file), "--check"]) == 1
    assert file.read_text() == OLD
    assert '-<type image="oem" vga="1"/>\n+    <type image="oem" vga="1"/>' in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize(("command", "expected"), [("format", USUAL), ("upgrade", NEW)])
def test_output_goes_elsewhere(file: Path, capsys: Said, command: str, expected: str) -> None:
    other = file.with_name("other.kiwi")
    assert main(["description", command, str(file), f"--output={other}"]) == 0
    assert (file.read_text(), other.read_text()) == (OLD, expected)
    capsys.readouterr()


@pytest.mark.parametrize(("command", "expected"), [("format", USUAL), ("upgrade", NEW)])
def test_output_to_the_terminal_is_the_document_alone(
    file: Path, capfdbinary: pytest.CaptureFixture[bytes], command: str, expected: str
) -> None:
    assert main(["description", command, str(file), "--output=-"]) == 0
    assert capfdbinary.readouterr().out == expected.encode()
    assert file.read_text() == OLD


def test_output_is_written_even_where_nothing_changes(file: Path, capsys: Said) -> None:
    file.write_text(NEW)
    other = file.with_name("other.kiwi")
    assert main(["description", "upgrade", str(file), f"--output={other}"]) == 0
    assert other.read_text() == NEW
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["format", "upgrade"])
@pytest.mark.parametrize("options", [["--check", "--output=x"], ["--output=."], ["--output="],
                                     ["--format=json"], ["--profile=a"]])  # fmt: skip
def test_options_that_make_no_sense_are_usage_mistakes(
    file: Path, capsys: Said, command: str, options: list[str]
) -> None:
    assert main(["description", command, str(file), *options]) == 2
    assert file.read_text() == OLD
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("command", ["format", "upgrade"])
def test_a_file_that_is_not_well_formed_is_left_alone(
    file: Path, capsys: Said, command: str
) -> None:
    file.write_text("<image>")
    assert main(["description", command, str(file)]) == 1
    assert file.read_text() == "<image>"
    assert f"{file}:1:" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["format", "upgrade"])
def test_a_file_that_is_not_there_is_a_usage_mistake(
    tmp_path: Path, capsys: Said, command: str
) -> None:
    assert main(["description", command, str(tmp_path / "none.kiwi")]) == 2
    assert "there is no description" in capsys.readouterr().err


INNER = '<image>\n<type vga="1"/>\n</image>\n'


def included(folder: Path) -> Path:
    """A description that includes a file of its own folder and one from elsewhere."""
    for name in ("description/inner.xml", "outer.xml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(INNER)
    text = '<include from="file://inner.xml"/><include from="file://../outer.xml"/>'
    return write(folder / "description", f'<image schemaversion="7.4">{text}</image>')


def test_included_files_are_upgraded_too_and_those_elsewhere_named(
    tmp_path: Path, capsys: Said
) -> None:
    main_file = included(tmp_path)
    assert main(["description", "upgrade", str(main_file)]) == 0
    inner = tmp_path / "description/inner.xml"
    outer = tmp_path / "description/../outer.xml"
    assert inner.read_text() == INNER.replace(' vga="1"', "")
    assert outer.read_text() == INNER
    said = capsys.readouterr()
    assert said.out.count("\n+++ ") == 2 and f"+++ {inner}" in said.out
    assert said.err.startswith(f"warning: {outer} is included and has to be upgraded too")


def test_output_is_one_file_and_the_included_ones_are_named(tmp_path: Path, capsys: Said) -> None:
    main_file = included(tmp_path)
    assert main(["description", "upgrade", str(main_file), f"--output={tmp_path / 'new'}"]) == 0
    assert (tmp_path / "description/inner.xml").read_text() == INNER
    assert capsys.readouterr().err.count("warning: ") == 2


def test_mode_and_links_are_kept(tmp_path: Path, capsys: Said) -> None:
    target = tmp_path / "real.kiwi"
    target.write_text(OLD)
    target.chmod(0o640)
    link = tmp_path / "link.kiwi"
    link.symlink_to("real.kiwi")
    assert main(["description", "upgrade", str(link)]) == 0
    assert link.is_symlink() and link.readlink() == Path("real.kiwi")
    assert target.read_text() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.kiwi", "real.kiwi"]
    capsys.readouterr()


def test_a_new_file_has_the_mode_of_a_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        save({tmp_path / "new": b"x"})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_what_is_no_regular_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    save({pipe: b"content"})
    reader.join(10)
    assert found == [b"content"] and pipe.is_fifo()


def test_one_file_that_cannot_be_written_leaves_all_as_they_were(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.write_text("old")
    with pytest.raises(KiwiliteError, match=r"none/second: the file cannot be written: no such"):
        save({first: b"new", tmp_path / "none/second": b"new"})
    assert first.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["first"]


def test_an_interrupt_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    first.write_text("old")

    def interrupted(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save({first: b"new"})
    assert first.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["first"]


def test_links_in_a_loop_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(KiwiliteError, match="loop of links"):
        save({tmp_path / "a": b"x"})


def test_a_difference_shows_line_ends_and_a_missing_one() -> None:
    _, _, *lines = unified("a\r\nb", "a\nb\n", "f")
    assert lines == [
        "@@ -1,2 +1,2 @@",
        "-a\r",
        "-b",
        "\\ No newline at end of file",
        "+a",
        "+b",
    ]


def test_on_a_terminal_the_difference_has_colours_and_no_commands(
    file: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(OLD.replace("oem", "\x9b31m"), encoding="utf-8")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert main(["description", "upgrade", str(file), "--check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert '\x1b[31m-<type image="\\x9b31m" vga="1"/>\x1b[0m' in lines
    assert '\x1b[32m+<type image="\\x9b31m"/>\x1b[0m' in lines
    assert lines[0] == f"\x1b[1m--- {file}\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    main(["description", "upgrade", str(file), "--check"])
    assert "\x1b" not in capsys.readouterr().out


def test_a_change_of_encoding_alone_is_told(file: Path, capsys: Said) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + USUAL.encode())
    assert main(["description", "format", str(file), "--check"]) == 1
    assert capsys.readouterr().out == f"{file}: only its encoding changes, to UTF-8\n"
    assert main(["description", "format", str(file)]) == 0
    assert file.read_bytes() == USUAL.encode()


def test_an_upgraded_description_passes_the_check(tmp_path: Path, capsys: Said) -> None:
    text = minimal(type_attributes='vga="1"').replace('"8.5"', '"7.4"')
    file = write(tmp_path, text)
    assert main(["description", "upgrade", str(file)]) == 0
    assert main(["description", "format", str(file)]) == 0
    assert load(file)[1] == ()
    capsys.readouterr()
