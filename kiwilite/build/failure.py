"""An expected failure on its way from a step's process to the executor, through a file.

It arrives as it was raised, with everything it knows, whatever its class takes to be made.
"""

from __future__ import annotations

import pickle
from pathlib import Path

from kiwilite.errors import KiwiliteError
from kiwilite.parallel import parts_of, remade


def write(error: KiwiliteError, path: Path) -> None:
    """Leave `error` in the file `path`; its members must be such that can be pickled."""
    path.write_bytes(pickle.dumps(parts_of(error)))


def read(path: Path, *, where: str, hint: str) -> KiwiliteError:
    """What `write` has left; `where` and `hint` are for an error that says nothing of them."""
    error = remade(pickle.loads(path.read_bytes()))
    assert isinstance(error, KiwiliteError)
    error.where = error.where or where
    error.hint = error.hint or hint
    return error
