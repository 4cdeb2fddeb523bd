"""A coverage-guided fuzzer finds no input that is answered by anything but diagnostics."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_description_fuzz import SEEDS, TOKENS

FUZZER = Path(__file__).resolve().parents[2] / "fuzz" / "description.py"


@pytest.mark.parametrize("seconds", [10, pytest.param(600, marks=pytest.mark.soak)])
def test_the_fuzzer_finds_nothing(tmp_path: Path, seconds: int) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(SEEDS):
        (corpus / str(number)).write_bytes(seed)
    words = ["".join(f"\\x{byte:02x}" for byte in token) for token in TOKENS]
    dictionary = tmp_path / "dictionary"
    dictionary.write_text("".join(f'"{word}"\n' for word in words))
    command = [
        sys.executable,
        str(FUZZER),
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-max_len=20000",
    ]
    command += [f"-dict={dictionary}", f"-artifact_prefix={tmp_path}/", str(corpus)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "Done" in done.stderr
