"""kiwilite with steps that see the clock this process sees, through libfaketime.

    python -m kiwilite.build.reproduce.clock WORD...

Steps get an environment that is the same on every host, without LD_PRELOAD. This adds to
it, in this process only, what makes their Python see another time. The tools and programs
they start have the environment of `job` again, and the true time.
"""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from kiwilite.build import starter
from kiwilite.build.reproduce.circumstances import clock_variables


def main() -> None:
    """Be kiwilite."""
    names = clock_variables(Path()).keys()
    given = {name: os.environ[name] for name in names if name in os.environ}
    base = "BASE_ENVIRONMENT"
    setattr(starter, base, {**getattr(starter, base), **given})
    runpy.run_module("kiwilite", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
