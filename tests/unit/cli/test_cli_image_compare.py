"""`kiwilite image compare` and `image reproduce` as a person reads them: words, JSON, status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kiwilite.build.reproduce.conditions import VARIATIONS, Condition
from kiwilite.build.reproduce.rebuild import Built
from kiwilite.cli import image_reproduce
from kiwilite.cli.image_reproduce import Outcome
from kiwilite.cli.main import main
from kiwilite.inspect.compare import PartDifference
from kiwilite.inspect.compare_results import FileDifference
from kiwilite.inspect.difference import Difference

EVERYTHING = VARIATIONS[0]


@pytest.fixture
def images(tmp_path: Path) -> tuple[str, str]:
    """Two files that differ in their byte 3."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_bytes(b"abcdefgh")
    other.write_bytes(b"abc?efgh")
    return str(one), str(other)


def test_equal_images_are_status_0(
    images: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "compare", images[0], images[0]]) == 0
    assert capsys.readouterr().out == "one and one: the same\n"


def test_different_images_are_status_1_with_bytes_of_both(
    images: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "compare", *images]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "image: 1 of 8 bytes differ",
        "  content, from byte 3 of the image",
        "    64 65 66 67 68                                   defgh",
        "    3f 65 66 67 68                                   ?efgh",
        "one and other: not the same",
    ]


def test_json_has_offsets_and_hexadecimal_bytes(
    images: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "compare", *images, "--format=json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["same"] is False
    ((difference,),) = [part["differences"] for part in told["parts"]]
    assert (difference["offset"], difference["first"]) == (3, b"defgh".hex())


def test_an_image_that_is_not_there_is_named(
    images: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "compare", images[0], "/nowhere/other"]) == 1
    assert "/nowhere/other: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [["--variations=moon"], ["--variations=21"], ["--user=nobody-like-this"], ["--tools=none"]],
)
def test_what_cannot_be_varied_is_a_mistake_in_usage(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from test_cli_image_info import TEXT

    (tmp_path / "appliance.kiwi").write_text(TEXT)
    assert main(["image", "reproduce", f"--description={tmp_path}", *words]) == 2
    assert words[0].split("=")[1] in capsys.readouterr().err


def outcome(
    *files: FileDifference, target: Path | None = Path("/target"), applied: bool = True
) -> Outcome:
    left_out = ((Condition.USER, "only root can build as somebody else"),)
    conditions = (Condition.UMASK,) if applied else ()
    complaint = "" if target else "    no room"
    return Outcome(Built(EVERYTHING, conditions, left_out, 2.0, target, complaint), files)


def differing(*, on_purpose: bool) -> FileDifference:
    named = Difference("root", "/etc/motd", "content", 4096, 7, b"a", b"b")
    return FileDifference("x.raw", (PartDifference("root", 9, (99, 99), (named,), 3, on_purpose),))


SAME = outcome()
DIFFERENT = outcome(differing(on_purpose=False))
ON_PURPOSE = outcome(differing(on_purpose=True))
FAILED = outcome(target=None)
LEFT_OUT = outcome(target=None, applied=False)


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([SAME, ON_PURPOSE, LEFT_OUT], 0),
        ([SAME, DIFFERENT, FAILED], 1),
        ([SAME, FAILED], 4),
        ([LEFT_OUT], 3),
    ],
)
def test_the_exit_status_tells_the_worst(outcomes: list[Outcome], status: int) -> None:
    assert image_reproduce.status_of(outcomes) == status


def test_lines_name_conditions_file_and_bytes() -> None:
    lines = list(image_reproduce.lines_of(DIFFERENT))
    assert lines == [
        "everything        2 s  different",
        "    another umask",
        "    left out: another user (only root can build as somebody else)",
        "    x.raw",
        "      root: 9 of 99 bytes differ",
        "        /etc/motd: content, from byte 7 of it, byte 4096 of the image",
        "          61                                               a",
        "          62                                               b",
        "        and 3 more",
    ]


def test_what_is_left_out_does_not_count_as_shown() -> None:
    said = image_reproduce.summary_of([SAME, LEFT_OUT, DIFFERENT], frozenset({"p.lxroot"}))
    assert said.splitlines() == [
        "1 of 2 variations give the same bytes, 1 left out",
        'not compared: p.lxroot, whose key is a new one in every build (provisioning="build")',
    ]
