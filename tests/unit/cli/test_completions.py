"""What a person gets who presses the tabulator, in the shells themselves."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kiwilite.cli.main import GROUPS
from kiwilite.description.codes import TITLES

Shell = Callable[..., set[str]]
FOLDER = Path(__file__).resolve().parents[3] / "completions"


def words(*command: str) -> set[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return {line.split("\t")[0].strip() for line in done.stdout.splitlines()}


def bash(line: str, program: str = "kiwilite") -> set[str]:
    """Readline breaks words at `=` too."""
    typed = line.replace("=", " = ").split(" ")
    array = " ".join(f"'{word}'" for word in typed)
    script = (
        f"source {FOLDER}/bash/{program}; COMP_WORDS=({array}); COMP_CWORD={len(typed) - 1}; "
        f"_{program}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    return words("bash", "--norc", "-c", script)


def fish(line: str, program: str = "kiwilite") -> set[str]:
    script = f"source {FOLDER}/fish/{program}.fish; complete -C '{line}'"
    return words("fish", "--no-config", "--private", "-c", script)


def zsh(line: str, program: str = "kiwilite") -> set[str]:
    """In a terminal of zsh's own: completion works in its line editor only."""
    script = f"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1= ; fpath=({FOLDER}/zsh \\$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w z "compadd () {{ local -a shown; builtin compadd -O shown \\$@; print -rl -- \\$shown }}"
zpty -w z "zstyle ':completion:*' list-grouped no; bindkey '^I' complete-word; echo READY"
zpty -r z text '*READY*READY*' || zpty -r z text '*READY*'
zpty -w -n z $'{line}\\t'
sleep 1
zpty -w z $'\\nexit'
while zpty -r z text; do print -rn -- $text; done
"""
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=False)
    return set(re.findall(r"\w+", re.sub(r"\x1b\[[\d;?]*[A-Za-z]", " ", done.stdout)))


@pytest.mark.parametrize("shell", [bash, fish])
def test_groups_are_completed(shell: Shell) -> None:
    assert shell("kiwilite ") >= set(GROUPS)
    assert shell("kiwilite sys") == {"system"}


@pytest.mark.parametrize("shell", [bash, fish])
def test_commands_of_a_group_are_completed(shell: Shell) -> None:
    assert shell("kiwilite description ") >= {"check", "format", "upgrade", "show", "diagram"}
    assert shell("kiwilite image ver") == {"verify"}


@pytest.mark.parametrize("shell", [bash, fish])
def test_options_and_their_values_are_completed(shell: Shell) -> None:
    assert "--profile" in {w.rstrip("=") for w in shell("kiwilite system build --prof")}
    assert shell("kiwilite image verify --format ") >= {"text", "json"}
    assert "sarif" in shell("kiwilite description check --format s")
    assert shell("kiwilite explain KL01") == {code for code in TITLES if code.startswith("KL01")}


def test_bash_completes_values_behind_an_equals_sign_too() -> None:
    assert bash("kiwilite image verify --format=j") == {"json"}


@pytest.mark.parametrize("shell", [bash, fish])
def test_files_are_completed_where_one_is_meant(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk.raw").write_text("")
    monkeypatch.chdir(tmp_path)
    assert shell("kiwilite image verify di") == {"disk.raw"}
    assert shell("run_x86 di", "run_x86") == {"disk.raw"}
    assert "nvme" in shell("run_x86 --bus ", "run_x86")


@pytest.mark.parametrize("name", ["_kiwilite", "_run_x86"])
def test_zsh_reads_its_completions(name: str) -> None:
    assert words("zsh", "-n", str(FOLDER / "zsh" / name)) == set()


def test_zsh_completes_groups_and_commands() -> None:
    assert set(GROUPS) <= zsh("kiwilite ")
    assert {"check", "format", "upgrade"} <= zsh("kiwilite description ")
