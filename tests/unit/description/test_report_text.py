"""Diagnostics as text: the line of the source, and marks exactly below what is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.lines import line_reader
from kiwilite.description.model import Span
from kiwilite.description.report.printable import columns
from kiwilite.description.report.text import Look, count, one, text

FILE = Path("appliance.kiwi")


def diagnostic(
    column: int = 1, message: str = "wrong", code: str = "KL0105", hint: str | None = None
) -> Diagnostic:
    return Diagnostic(Span(FILE, 7, column), "error", code, message, hint)


def shown(line: str, column: int, code: str = "KL0105", most: int = 100) -> tuple[str, str]:
    """The line as it is shown and the marks, both from the same column on."""
    rows = one(diagnostic(column, code=code), lambda _: line, Look(columns=most)).splitlines()
    assert [rows[3][:4], rows[4][:4]] == ["7 | ", "  | "]
    return rows[3][4:], rows[4][4:]


def marked(line: str, column: int, code: str = "KL0105", most: int = 100) -> str:
    """What is marked, for lines where each character has a column."""
    row, marks = shown(line, column, code, most)
    return row[marks.index("^") : marks.rindex("^") + 1]


def test_it_reads_as_a_compiler_writes() -> None:
    found = diagnostic(7, "`<type>` has no attribute `imag`", "KL0102", "did you mean `image`?")
    assert one(found, lambda _: '<type imag="oem"/>', Look()) == (
        "error[KL0102]: `<type>` has no attribute `imag`\n"
        " --> appliance.kiwi:7:7\n"
        "  |\n"
        '7 | <type imag="oem"/>\n'
        "  |       ^^^^\n"
        "  = hint: did you mean `image`?"
    )


def test_without_the_line_there_is_still_the_place() -> None:
    assert one(diagnostic(), lambda _: None, Look()).splitlines() == [
        "error[KL0105]: wrong",
        " --> appliance.kiwi:7:1",
    ]


@pytest.mark.parametrize(
    ("line", "column", "code", "expected"),
    [
        ('<type imag="oem"/>', 7, "KL0102", "imag"),
        ('<type image="oom"/>', 7, "KL0105", 'image="oom"'),
        ("<type image = 'oom' x='y'/>", 7, "KL0105", "image = 'oom'"),
        ('<type image="oom"/>', 1, "KL0702", "<type"),
        ("<verson>1</verson>", 1, "KL0101", "<verson"),
        ("<users>\n</user>"[8:], 1, "KL0006", "</user"),
        ("<users>some text</users>", 8, "KL0108", "some"),
        ('<a b="unfinished', 4, "KL0105", 'b="unfinished'),
        ("<a b", 4, "KL0007", "b"),
        ("&x;", 1, "KL0007", "&x;"),
    ],
)
def test_marks_are_as_wide_as_what_is_meant(
    line: str, column: int, code: str, expected: str
) -> None:
    assert marked(line, column, code) == expected


@pytest.mark.parametrize("column", [9, 50])
def test_a_place_at_the_end_of_a_line_has_one_mark_behind_it(column: int) -> None:
    assert shown("12345678", column) == ("12345678", " " * 8 + "^")


def test_tabs_take_four_columns_in_both_rows() -> None:
    assert shown('\t\t<a b="c"/>', 6) == ('        <a b="c"/>', " " * 11 + "^^^^^")


def test_wide_characters_take_two_columns_and_combining_ones_none() -> None:
    row, marks = shown('<名 前="値"/> e\u0301', 4)
    assert row == '<名 前="値"/> e\u0301'
    assert marks == " " * 4 + "^" * columns('前="値"')
    row, marks = shown("e\u0301e\u0301 <a/>", 6)
    assert marks == "   ^^"


@pytest.mark.parametrize("column", [1, 3, 40, 77, 500, 9_998])
def test_a_long_line_is_cut_around_the_place(column: int) -> None:
    line = "".join(str(n % 10) for n in range(1, 10_001))
    line = f"{line[: column - 1]}<ab {line[column + 3 :]}"
    row, marks = shown(line, column, most=84)
    assert columns(row) <= 80
    assert row[len(marks.rstrip("^")) :].startswith("<ab") and marks.endswith(" ^^^"[column == 1 :])
    assert row.startswith("…") == (column > 75)
    assert row.endswith("…") == (column < 9_950)


def test_a_token_wider_than_the_terminal_is_cut_too() -> None:
    row, marks = shown(f'<a b="{"x" * 10_000}"/>', 4, most=64)
    assert row.startswith('<a b="xxx') and row.endswith("…")
    assert columns(row) <= 60 and len(marks) < 60


def test_a_narrow_terminal_still_gets_something() -> None:
    assert marked('<type imag="oem"/>', 7, "KL0102", most=3) == "imag"


@pytest.mark.parametrize("evil", ["\x1b[31m", "\x9b31m", "\x00", "\u202e", "\u2028", "\r"])
def test_nothing_from_a_file_commands_the_terminal(evil: str) -> None:
    found = Diagnostic(Span(Path(f"a{evil}"), 1, 1), "error", "KL0105", f"b{evil}", f"c{evil}")
    written = text([found], lambda _: f"<d{evil}", Look())
    assert evil not in written
    assert all(c.isprintable() or c == "\n" for c in written)


def test_colours_change_nothing_but_colour() -> None:
    found = diagnostic(7, hint="another")
    plain = one(found, lambda _: '<type imag="oem"/>', Look())
    coloured = one(found, lambda _: '<type imag="oem"/>', Look(colour=True))
    assert coloured != plain and "\x1b[1;31m^" in coloured
    for colour in ("0", "1", "1;31", "1;34"):
        coloured = coloured.replace(f"\x1b[{colour}m", "")
    assert coloured == plain


def test_what_was_found_is_counted() -> None:
    warning = Diagnostic(Span(FILE, 1, 1), "warning", "KL0902", "x")
    note = Diagnostic(Span(FILE, 1, 1), "note", "KL0902", "x")
    assert count([]) == ""
    assert count([diagnostic()]) == "1 error"
    assert count([warning, diagnostic(), diagnostic(), note]) == "2 errors, 1 warning, 1 note"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_those_of_the_file(tmp_path: Path, end: str) -> None:
    file = tmp_path / "x.kiwi"
    file.write_bytes(end.join(["<a>", "<ü/>", "</a>"]).encode())
    line_of = line_reader()
    lines = [line_of(Span(file, number, 1)) for number in range(5)]
    assert lines == [None, "<a>", "<ü/>", "</a>", None]


def test_a_file_in_another_encoding_is_shown_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "x.kiwi"
    file.write_bytes('<?xml version="1.0" encoding="latin-1"?>\n<ü/>'.encode("latin-1"))
    assert line_reader()(Span(file, 2, 1)) == "<ü/>"
    file.write_bytes('<?xml version="1.0" encoding="ascii"?>\n<ü/>'.encode())
    assert line_reader()(Span(file, 2, 1)) == "<ü/>"
    file.write_bytes(b"\0\0\0<a/>")
    assert line_reader()(Span(file, 1, 1)) == "\0\0\0<a/>"
    assert line_reader()(Span(tmp_path, 1, 1)) is None
    assert line_reader()(Span(tmp_path / "none", 1, 1)) is None


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "x.kiwi"
    file.write_text('<user password="linux" name="a"/>\n<type luks = \'key\' luks="file://k"/>')
    line_of = line_reader()
    assert line_of(Span(file, 1, 1)) == '<user password="*****" name="a"/>'
    assert line_of(Span(file, 2, 1)) == "<type luks = '***' luks=\"file://k\"/>"
