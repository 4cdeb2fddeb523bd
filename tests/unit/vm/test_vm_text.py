"""Terminal sequences, and the frame around a command, as pure functions."""

from __future__ import annotations

import subprocess
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.vm import ansi
from kiwilite.vm.shell import Frame

SEQUENCES = st.sampled_from(
    [
        "\x1b[0m",
        "\x1b[1;32m",
        "\x1b[?2004h",
        "\x1b[01;01H",
        "\x1b[=3h",
        "\x1b(B",
        "\x1b]0;title\x07",
        *["\x1b]0;title\x1b\\", "\x1bP1$r\x1b\\", "\x1bc", "\x1bM", "\x1b=", "\r", "\0", "\x07"],
    ]
)
TEXT = st.text(st.characters(exclude_characters="\x1b\r\0\x07", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(TEXT, SEQUENCES)), st.lists(st.integers(0, 200)))
def test_text_is_the_same_however_it_is_cut(pieces: list[tuple[str, str]], cuts: list[int]) -> None:
    whole = "".join(text + sequence for text, sequence in pieces)
    borders = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    plain, rest = "", ""
    for begin, end in pairwise(borders):
        more, rest = ansi.split(rest + whole[begin:end])
        plain += more
    assert plain == "".join(text for text, _ in pieces)
    assert rest == ""


def test_an_escape_that_never_ends_does_not_hold_the_text_back() -> None:
    plain, _ = ansi.split("\x1b]" + "x" * 1000 + "login:")
    assert plain.endswith("login:")


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3000))
def test_nothing_that_is_typed_contains_a_token_or_a_control_character(command: str) -> None:
    frame = Frame.fresh()
    for line in frame.lines(command):
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 1000
        for tokens in (frame.token, frame.end):
            assert "".join(tokens) not in line


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=500))
def test_a_shell_gets_the_command_as_it_was(text: str) -> None:
    frame = Frame.fresh()
    quoted = "'" + text.replace("'", "'\\''") + "'"
    script = "\n".join(frame.lines(f"printf '%s' {quoted}; exit 3"))
    ran = subprocess.run(["sh"], input=script.encode(), capture_output=True, check=True)
    printed = ran.stdout.decode()
    ended = frame.ended.search(printed)
    assert ended is not None
    assert ended.group(1) == "3"
    assert frame.settled.search(printed)
    assert frame.output(printed) == text


FRAME = Frame(("o1", "2o"), ("e1", "2e"))
STATUS = "".join(f"o12o|e12e:5;{copy};|o12o\n" for copy in (1, 2, 3))


def framed(*lines: str) -> str:
    return "".join(f"o12o|{line}|o12o\n" for line in lines)


def test_lines_of_others_are_no_output() -> None:
    text = "kernel\n" + framed("a") + "[  OK  ] Started x\nnoise " + framed("b", "") + STATUS
    assert FRAME.output(text) == "a\nb\n"


@given(st.data(), st.lists(st.sampled_from(["", "x", "[    0.000000] Linux version 6"])))
def test_a_kernel_message_anywhere_is_no_output(data: st.DataObject, lines: list[str]) -> None:
    whole = framed(*lines, "") + STATUS
    at = data.draw(st.integers(0, len(whole)))
    stamp = data.draw(st.sampled_from(["[    1.234567] ", "[12345.000001][    T1] "]))
    text = whole[:at] + f"{stamp}random: crng init done\n" + whole[at:]
    ended = FRAME.ended.search(text)
    assert ended is not None
    assert ended.group(1) == "5"
    expected = "\n".join([*lines, ""])
    if not any("[" in line for line in lines):
        assert FRAME.output(text) == expected
    else:  # a message inside what looks like a message: not more than that line suffers
        assert len(FRAME.output(text).split("\n")) in (len(lines), len(lines) + 1)


@given(st.integers(0, len(STATUS) // 3 * 2), st.booleans())
def test_a_status_cut_in_two_by_another_writer_is_no_output(at: int, newline: bool) -> None:
    noise = ("\n" if newline else "") + "[  OK  ] Started x\n"
    text = framed("a", "") + STATUS[:at] + noise + STATUS[at:]
    ended = FRAME.ended.search(text)
    assert ended is not None
    assert ended.group(1) == "5"
    assert FRAME.output(text) == "a\n"


def test_a_status_that_has_not_arrived_whole_is_no_status() -> None:
    assert FRAME.ended.search("o12o|e12e:12") is None
    assert FRAME.ended.search("o12o|e12e:127;1;") is not None
