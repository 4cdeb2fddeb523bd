"""Files made to hurt whoever reads them are refused with a message, soon and in little memory."""

from __future__ import annotations

import encodings.aliases
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.reader import parse
from kiwilite.description.source import read_source

MIB = 1 << 20
MEMORY = 512 * MIB
SECONDS = 20
"""Of CPU time: a bound that no input may come near, not a measurement."""

HEAD = b'<?xml version="1.0" encoding="utf-8"?>\n'
LAUGHS = b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10 if n else b"ha") for n in range(12)
)
COMMANDS = (("check",), ("format", "--check"), ("upgrade", "--check"), ("show",), ("diagram",))

FILES = {
    "an entity bomb": (
        HEAD + b"<!DOCTYPE image [" + LAUGHS + b"]>\n<image>&a11;</image>",
        "KL0005",
    ),
    "an external entity": (
        HEAD + b'<!DOCTYPE image [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n<image>&x;</image>',
        "KL0005",
    ),
    "a document type elsewhere": (
        HEAD + b'<!DOCTYPE image SYSTEM "http://localhost:9/x.dtd">\n<image/>',
        "KL0005",
    ),
    "a parameter entity": (
        HEAD + b'<!DOCTYPE image [<!ENTITY % p SYSTEM "file:///dev/zero"> %p;]>\n<image/>',
        "KL0005",
    ),
    "deep nesting": (HEAD + b"<image>" * 400_000, "KL0002"),
    "many siblings": (HEAD + b"<image>" + b"<users/>" * 400_000 + b"</image>", "KL0002"),
    "many attributes": (
        HEAD + b"<image " + b" ".join(b'a%d=""' % n for n in range(300_000)) + b"/>",
        "KL0002",
    ),
    "a NUL byte": (HEAD + b'<image name="a\0b"/>', "KL0004"),
    "a tag without an end": (HEAD + b"<image " + b'a="b" ' * 1_000_000, "KL00"),
    "a comment without an end": (HEAD + b"<image><!--" + b"- " * 3_000_000, "KL00"),
}


def said(file: Path, *command: str) -> tuple[int, str]:
    """Status and messages of `kiwilite description COMMAND FILE` within the bounds."""
    words = [sys.executable, "-m", "kiwilite", "description", command[0], str(file), *command[1:]]
    done = subprocess.run(
        ["sh", "-c", f'ulimit -v {MEMORY >> 10} -t {SECONDS}; exec "$@"', "sh", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("name", FILES)
def test_it_is_refused(tmp_path: Path, name: str, command: tuple[str, ...]) -> None:
    raw, code = FILES[name]
    file = tmp_path / "appliance.kiwi"
    file.write_bytes(raw)
    status, text = said(file, *command)
    assert status == 1, text[-500:]
    assert code in text
    assert "Traceback" not in text
    assert file.read_bytes() == raw


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_a_file_of_a_hundred_megabytes_is_not_read(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "appliance.kiwi"
    with file.open("wb") as stream:
        stream.write(HEAD + b"<image>")
        stream.truncate(100 * MIB)
    status, text = said(file, *command)
    assert (status, "KL0002" in text) == (1, True), text[-500:]


def document(encoding: str) -> bytes | None:
    """A small description in this encoding; None where it cannot be written in it."""
    try:
        return f'<?xml version="1.0" encoding="{encoding}"?>\n<image name="ä é"/>'.encode(encoding)
    except (LookupError, UnicodeError, AssertionError):
        return None


ENCODINGS = [name for name in sorted(set(encodings.aliases.aliases.values())) if document(name)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_is_read_as_libxml2_reads_it_or_refused(tmp_path: Path, encoding: str) -> None:
    raw = document(encoding)
    assert raw is not None
    file = tmp_path / "appliance.kiwi"
    file.write_bytes(raw)
    try:
        mine = parse(read_source(file)).get("name")
    except DescriptionInvalid as error:
        assert next(d.code for d in error.diagnostics).startswith("KL000")
        return
    try:
        theirs = etree.fromstring(raw).get("name")
    except etree.XMLSyntaxError:
        theirs = None
    assert mine == "ä é"
    assert theirs in (None, mine)
