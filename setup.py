"""Data files: overlay trees have more folders than a list in setup.cfg could keep up with."""

from collections.abc import Iterator
from pathlib import Path

from setuptools import setup


def below(folder: str, place: str) -> Iterator[tuple[str, list[str]]]:
    """(target folder, files) for `folder` and every folder below it."""
    for path in [Path(folder), *sorted(Path(folder).rglob("*"))]:
        if path.is_dir() and (files := sorted(str(p) for p in path.iterdir() if p.is_file())):
            yield str(place / path.relative_to(folder)), files


setup(
    data_files=[
        *below("schema", "share/kiwilite/schema"),
        *below("descriptions", "share/kiwilite/descriptions"),
        *below("editors/emacs", "share/kiwilite/editors/emacs"),
        *below("editors/intellij", "share/kiwilite/editors/intellij"),
        *below("editors/vim", "share/kiwilite/editors/vim"),
        *below("editors/vscode", "share/kiwilite/editors/vscode"),
        *below("editors/xml", "share/xml/kiwilite"),
        ("share/man/man1", [str(page) for page in sorted(Path("man").glob("*.1"))]),
        ("share/man/man5", [str(page) for page in sorted(Path("man").glob("*.5"))]),
        *below("completions/bash", "share/bash-completion/completions"),
        *below("completions/zsh", "share/zsh/site-functions"),
        *below("completions/fish", "share/fish/vendor_completions.d"),
    ]
)
