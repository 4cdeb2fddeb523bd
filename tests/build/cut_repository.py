"""A tiny package repository whose downloads can be cut off in the middle."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.ondisk.deb import write_deb

PADDING = 2 << 20
"""Bytes of each file that is cut: much more than fits into a socket's buffers."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A flat repository at `url`; `asked` names the files that were fetched."""

    url: str
    asked: list[str]


@contextlib.contextmanager
def serve(folder: Path, cut: str | None, provides: Sequence[str]) -> Iterator[Repository]:
    """Serve a fresh repository below `folder`; files ending in `cut` break off half-way.

    Its essential package claims to be all that `provides` names as well.
    """
    fill(folder, provides)
    asked: list[str] = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler(folder, cut, asked))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Repository(f"http://127.0.0.1:{server.server_port}/repo", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def handler(
    folder: Path, cut: str | None, asked: list[str]
) -> type[http.server.BaseHTTPRequestHandler]:
    """Answers GET from `folder`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = folder / Path(self.path).name
            asked.append(path.name)
            if not path.is_file():
                self.send_error(404)
                return
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if cut and path.name.endswith(cut):
                content = content[: len(content) // 2]
                self.close_connection = True
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


def padding(number: int) -> str:
    """A package nobody installs, 1000 bytes or so that gzip cannot make much smaller."""
    noise = "".join(f"\n {os.urandom(32).hex()}" for _ in range(14))
    return (
        f"Package: padding-{number}\nVersion: 1\nArchitecture: amd64\n"
        f"Maintainer: nobody <root@localhost>\nFilename: ./padding.deb\nSize: 1\n"
        f"SHA256: {'0' * 64}\nDescription: fills the index{noise}\n"
    )


def fill(folder: Path, provides: Sequence[str]) -> None:
    """Packages, their index and a Release file: one essential package and apt."""
    folder.mkdir(parents=True)
    stanzas = []
    for name in ("apt", "essential-thing"):
        control = {
            "Package": name,
            "Version": "1",
            "Architecture": "amd64",
            "Maintainer": "nobody <root@localhost>",
            "Essential": "yes",
            **({"Provides": ", ".join(provides)} if name == "essential-thing" else {}),
            "Description": "something to download",
        }
        package = folder / f"{name}_1_amd64.deb"
        package.write_bytes(write_deb(control, {}) + os.urandom(PADDING))
        fields = {
            **control,
            "Filename": f"./{package.name}",
            "Size": str(package.stat().st_size),
            "SHA256": hashlib.sha256(package.read_bytes()).hexdigest(),
        }
        stanzas.append("".join(f"{k}: {v}\n" for k, v in fields.items()))
    stanzas += [padding(number) for number in range(PADDING // 1000)]
    index = "\n".join(stanzas).encode()
    (folder / "Packages.gz").write_bytes(gzip.compress(index))
    rows = "".join(
        f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n"
        for name, data in (
            ("Packages", index),
            ("Packages.gz", (folder / "Packages.gz").read_bytes()),
        )
    )
    (folder / "Release").write_text(f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nSHA256:\n{rows}")
