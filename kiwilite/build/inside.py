"""Runs one step in a process of its own, which the starter forks: `main([JOB, PLACE], ())`.

JOB is a file with the pickled module name, step and job, written by the executor, PLACE is
where the step runs (`kinds.Place`). Beside the job goes `failure`, an expected one for the
executor to raise again; on a full disk there may be no room for that, so this failure is told
by the exit status. What a step made in the namespace can only be seen as it is in there, so its
manifest is written here as well; that of a step on the host is the executor's to write.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import pickle
import signal
from collections.abc import Sequence
from pathlib import Path

from kiwilite.build import manifest
from kiwilite.build import syscalls as sc
from kiwilite.build.failure import write
from kiwilite.build.input_manifests import inputs_of
from kiwilite.build.no_sync import flush_nothing
from kiwilite.errors import KiwiliteError, NoSpace

NO_SPACE_STATUS = 3
FEW_COLLECTIONS = 50_000
"""New objects between two looks for garbage."""
FULL = (errno.ENOSPC, errno.EDQUOT)


def main(words: Sequence[str], fds: Sequence[int]) -> int:
    """Carry out the step; 0: done, 1: `failure` (or a traceback) says why not, 3: disk full."""
    os.umask(0o022)
    sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    flush_nothing()
    # A tree is many objects, and no circles: what looks for these all the time finds none.
    gc.set_threshold(FEW_COLLECTIONS)
    path, place = Path(words[0]), words[1]
    module, step, job = pickle.loads(path.read_bytes())
    try:
        importlib.import_module(module).run(step, job)
        if place == "namespace":
            manifest.write(path.parent, inputs_of(job) if job.store is not None else ())
        return 0
    except KiwiliteError as error:
        failure: KiwiliteError = error
    except OSError as error:
        if error.errno not in FULL:
            raise
        return NO_SPACE_STATUS
    if isinstance(failure, NoSpace):
        return NO_SPACE_STATUS
    write(failure, path.with_name("failure"))
    return 1
