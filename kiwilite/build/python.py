"""How processes of ours are started: the interpreter, and where it finds modules."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def package() -> Path:
    """The folder of this package, which need not be installed: a checkout will do."""
    import kiwilite

    return Path(kiwilite.__path__[0])


def import_path() -> str:
    """What $PYTHONPATH has to be for this package and its libraries to be found."""
    libraries = [folder for folder in sys.path if folder.endswith("-packages")]
    return os.pathsep.join(dict.fromkeys([str(package().resolve().parent), *libraries]))


def python_command(module: str, *words: str) -> list[str]:
    """The command that runs a module of ours, given `import_path` in its environment.

    Without `site`, which takes as long as all else of the interpreter's start.
    """
    return [sys.executable, "-S", "-m", module, *words]
