"""Write every file that is generated and committed: `python scripts/generate`.

With --check nothing is written; exit status 1 where a file is not what it would be.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from compatibility import compatibility

ROOT = Path(__file__).resolve().parents[2]

GENERATORS: tuple[Callable[[], dict[str, str]], ...] = (compatibility,)
"""Each gives file contents by path, relative to the project."""


def generated() -> dict[str, str]:
    """Contents of all generated files by path, relative to the project."""
    return {path: text for generator in GENERATORS for path, text in generator().items()}


def main(arguments: list[str]) -> int:
    stale = []
    for name, text in sorted(generated().items()):
        path = ROOT / name
        if path.is_file() and path.read_text() == text:
            continue
        stale.append(name)
        if arguments != ["--check"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    for name in stale:
        print(f"{'stale' if arguments == ['--check'] else 'written'}: {name}")
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
