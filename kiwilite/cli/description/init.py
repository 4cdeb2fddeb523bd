"""`kiwilite description init`: a new description to begin with."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kiwilite.description.schema import data_directories
from kiwilite.description.skeleton import SkeletonFile, fault_of_name, skeleton
from kiwilite.errors import UsageError


def init(found: dict[str, Any]) -> int:
    """Write the skeleton of a description into a new folder; say what to do with it."""
    name: str = found["NAME"]
    fault = fault_of_name(name)
    if fault is not None:
        raise UsageError(fault, hint=_hint(name))
    folder = Path(name if found["--output"] is None else found["--output"])
    files = skeleton(name)
    _write(folder, files)
    _tell(folder, files)
    return 0


def _hint(name: str) -> str:
    rules = "it begins with a letter or digit; `.`, `_` and `-` may follow"
    if "/" not in name:
        return rules
    last = Path(name).name or "NAME"
    output = shlex.quote(name)
    return f"the folder is named apart: kiwilite description init {last} --output={output}"


def _write(folder: Path, files: Iterable[SkeletonFile]) -> None:
    """All of it or nothing: the folder is made under another name beside its place."""
    if os.path.lexists(folder):
        raise UsageError(
            "this exists already, and nothing in it was changed",
            where=str(folder),
            hint="take another name, or another folder with --output",
        )
    parent = folder.parent
    if not parent.is_dir():
        hint = f"mkdir -p {shlex.quote(str(parent))}"
        raise UsageError("there is no such folder", where=str(parent), hint=hint)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=parent))
    try:
        for file in files:
            path = scratch / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
            path.chmod(0o755 if file.executable else 0o644)
        scratch.chmod(0o755)
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch)
        raise


def _tell(folder: Path, files: Iterable[SkeletonFile]) -> None:
    described = shlex.quote(str(folder))
    print(f"{folder} is a description now:")
    for file in files:
        print(f"  {file.path}")
    print("\nWhat to do next:")
    print(f"  kiwilite description check {described}")
    print(f"  kiwilite system plan --description {described} --profile debug")
    print(f"  kiwilite system build --description {described} --profile debug")
    editors = next((p for p in data_directories("editors") if p.is_dir()), None)
    if editors is not None:
        print(f"\nFiles that teach editors the schema are in {editors}")
