"""Text that is not well-formed XML, or not text: one diagnostic, where it goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import X86, minimal, place, write

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import load
from kiwilite.description.source import MAX_BYTES


def only_fault(file: Path) -> Diagnostic:
    with pytest.raises(DescriptionInvalid) as caught:
        load(file)
    (found,) = caught.value.diagnostics
    return found


def fault_in(directory: Path, raw: bytes) -> tuple[str, int, int]:
    file = directory / "broken.kiwi"
    file.write_bytes(raw)
    found = only_fault(file)
    assert found.span.file == file
    return found.code, found.span.line, found.span.column


def test_a_wrong_end_tag_names_the_element_and_its_line(tmp_path: Path) -> None:
    text = X86.replace("</packages>", "</package>", 1)
    found = only_fault(write(tmp_path, text))
    opened = place(text, '<packages type="bootstrap"')[0]
    assert found.message == f"`<packages>` opened at line {opened} is closed by `</package>`"
    assert (found.span.line, found.span.column) == place(text, "</package>")
    assert found.code == "KL0006"


def test_an_element_that_is_never_closed(tmp_path: Path) -> None:
    found = only_fault(write(tmp_path, X86.replace("</image>\n", "")))
    assert (found.code, found.message) == ("KL0006", "`<image>` opened at line 2 is never closed")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", ("KL0007", 1, 1)),
        (b"text", ("KL0007", 1, 1)),
        (b"<image/>\n<image/>", ("KL0007", 2, 1)),
        (b'<image>\n  <b c=1/>\n</image>', ("KL0007", 2, 8)),
        (b'<image>\n <b c="1" c="2"/>\n</image>', ("KL0008", 2, 11)),
        (b"<image>\n a & b\n</image>", ("KL0007", 2, 4)),
        (b"<image>\n AT&T b\n</image>", ("KL0007", 2, 4)),
        (b"<image>&nbsp;</image>", ("KL0007", 1, 8)),
        (b"<image>\x01</image>", ("KL0004", 1, 8)),
        (b"<image>\n\0</image>", ("KL0004", 2, 1)),
        (b"<image>&#0;</image>", ("KL0004", 1, 8)),
        (b'<image x:b="1"/>', ("KL0007", 1, 8)),
        (b'<image\n a="1"\n x:b="1"/>', ("KL0007", 3, 2)),
        (b'<image\n a="1"\n b="&x;"/>', ("KL0007", 3, 5)),
        (b'<image\n a="1\n b="2"/>', ("KL0007", 2, 2)),
        (b'<image\n a="1/>\n<b c="2"/>', ("KL0007", 2, 2)),
        (b'<image\n a="1 < 2"/>', ("KL0007", 2, 7)),
        (b'<image\n a="1"\n b/>', ("KL0007", 3, 2)),
        (b'<image\n a="1"b="2"/>', ("KL0007", 2, 7)),
        (b"<image\n a='1'\n<b/></image>", ("KL0007", 2, 7)),
        (b"<image><b></b\n</image>", ("KL0007", 1, 14)),
        (b"<image></image>\n</image>", ("KL0006", 2, 1)),
        (b"<image>\n]]></image>", ("KL0007", 2, 1)),
        (b"<image>\n<![CDATA[ x\n</image>", ("KL0007", 2, 1)),
        (b"<image>\n<!ELEMENT a></image>", ("KL0007", 2, 1)),
        (b"<image>\n< b/></image>", ("KL0007", 2, 1)),
        (b"<image>\n\xef\xbf\xbe</image>", ("KL0004", 2, 1)),
        (b"<image>\n<b a='1'\n", ("KL0007", 2, 1)),
        (b'<!DOCTYPE image [<!ENTITY a "b">]>\n<image>&a;</image>', ("KL0005", 1, 1)),
        (b'<?xml version="1.0"?>\n<!DOCTYPE image SYSTEM "file:///etc/passwd"><image/>',
         ("KL0005", 2, 1)),
        (b"<image>\xc3\xa4\xc3\xb6\n\xc3\xa4\xe9</image>", ("KL0003", 2, 2)),
        (b'<?xml version="1.0" encoding="klingon"?><image/>', ("KL0003", 1, 1)),
        (b'<?xml version="1.0" encoding="utf-16"?><image/>', ("KL0003", 1, 1)),
        (b'<?xml version="1.0" encoding="punycode"?><image/>', ("KL0003", 1, 1)),
        (b"<image>\n<!-- a -- b -->\n</image>", ("KL0007", 2, 8)),
        (b"\n<?xml version='1.0'?><image/>", ("KL0007", 2, 1)),
        (b"<image>" * 65, ("KL0002", 1, 64 * 7 + 1)),
    ],
)  # fmt: skip
def test_each_fault_of_the_text_has_its_place(
    tmp_path: Path, raw: bytes, expected: tuple[str, int, int]
) -> None:
    assert fault_in(tmp_path, raw) == expected


def test_columns_count_characters_not_bytes(tmp_path: Path) -> None:
    assert fault_in(tmp_path, "<image a='äöü€𝄞' b=1/>".encode())[2] == 20


def test_lines_end_with_either_convention(tmp_path: Path) -> None:
    assert fault_in(tmp_path, b"<image>\r\n\r\n<a b=1/></image>") == ("KL0007", 3, 6)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "iso-8859-1", "cp1252"])
def test_other_encodings_are_read_with_the_same_places(tmp_path: Path, encoding: str) -> None:
    declared = encoding.removesuffix("-sig")
    body = minimal().replace("<author>a<", "<author>ä<").replace("<package name", "<package nane")
    file = write(tmp_path, "")
    text = f'<?xml version="1.0" encoding="{declared}"?>\n{body}'
    file.write_bytes(text.encode(encoding))
    with pytest.raises(DescriptionInvalid) as caught:
        load(file)
    found = caught.value.diagnostics[0]
    assert (found.code, (found.span.line, found.span.column)) == ("KL0102", place(text, "nane"))


def test_a_file_too_large_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "large.kiwi"
    with file.open("wb") as stream:
        stream.truncate(100 * MAX_BYTES)
    assert only_fault(file).code == "KL0002"


@pytest.mark.parametrize(
    "raw",
    [
        b"<image>" + b"<a/>" * 20_001 + b"</image>",
        b"<image>" + (b"<b>" + b"<a/>" * 19_000 + b"</b>") * 6 + b"</image>",
    ],
)
def test_too_many_elements_are_refused(tmp_path: Path, raw: bytes) -> None:
    assert fault_in(tmp_path, raw)[0] == "KL0002"


def test_too_many_attributes_are_refused(tmp_path: Path) -> None:
    raw = "<image " + " ".join(f'a{n}=""' for n in range(257)) + "/>"
    assert fault_in(tmp_path, raw.encode())[0] == "KL0002"


def test_a_missing_file_and_a_file_that_is_none(tmp_path: Path) -> None:
    assert only_fault(tmp_path / "none.kiwi").code == "KL0001"
    (tmp_path / "loop.kiwi").symlink_to("loop.kiwi")
    assert only_fault(tmp_path / "loop.kiwi").code == "KL0001"
    assert only_fault(Path("/dev/zero")).code == "KL0001"
