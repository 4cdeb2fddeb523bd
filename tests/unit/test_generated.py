"""What is generated and committed is what its sources give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_generated_files_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "scripts/generate"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"run `make generate`:\n{done.stdout}{done.stderr}"
