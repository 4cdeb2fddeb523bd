"""The two shell scripts of the initrd, without a kernel."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.boot.initrd import APPLETS, PROGRAMS
from kiwilite.boot.mark import MAGIC, mark_line

SCRIPTS = ("init", "kiwilite-root")
VOLUME_ID = UUID("abcdef01-2345-4678-9abc-def012345678")


def script(name: str) -> Path:
    return Path(str(resources.files("kiwilite.boot") / "initrd_files" / name))


def functions(name: str) -> dict[str, str]:
    """Shell functions with their bodies."""
    text = script(name).read_text()
    return {m[1]: m[2] for m in re.finditer(r"^(\w+)\(\) \{[^\n]*\n(.*?)^\}$", text, re.M | re.S)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck_has_nothing_to_say(name: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck")
    ran = subprocess.run(
        ["shellcheck", "-s", "sh", script(name)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("name", SCRIPTS)
def test_functions_stay_small(name: str) -> None:
    found = functions(name)
    assert found
    assert {f: n for f, body in found.items() if (n := body.count("\n")) > 16} == {}


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_command_called_is_carried(name: str) -> None:
    """Where a command can stand: a function, a shell builtin, or in the initrd."""
    language = {
        *(
            "break",
            "case",
            "continue",
            "do",
            "done",
            "elif",
            "else",
            "esac",
            "exec",
            "exit",
            "fi",
            "for",
        ),
        *("if", "return", "then", "while"),
        *("echo", "export", "false", "printf", "read", "set", "shift", "trap", "umask", "unset"),
        "END",  # of a here-document
    }
    known = {*language, *APPLETS, "modprobe", *PROGRAMS}
    text = re.sub(r"\\\n\s*", " ", script(name).read_text())
    text = text.replace("'s ", "s ")  # in messages
    text = re.sub(r"(?<=\s)#.*|'[^']*'", "''", text)
    text = re.sub(r'^\s*[\w.*"$=|/ -]+\)(?=\s)', "", text, flags=re.M)  # labels of `case`
    before = r"^\s*|\| |&& |[$]\(|; |\{ |! |(?:if|elif|then|else|while|do) "
    called = set(re.findall(rf"(?:{before})([a-zA-Z][\w.]*)(?=[ )\n;])", text, re.M))
    assert {"mount", "switch_root"} & called
    assert called - known - set(functions(name)) == set()


def test_hook_and_builder_write_the_same_mark() -> None:
    body = functions("kiwilite-root")["mark_line"]
    ran = subprocess.run(
        ["sh", "-c", f"volume_id={VOLUME_ID}\nmark() {{\n{body}}}\nmark PROVISION"],
        capture_output=True,
        check=True,
    )
    assert ran.stdout == mark_line(VOLUME_ID)
    assert f"'{MAGIC.decode()}'" in functions("kiwilite-root")["classify_volume"]
