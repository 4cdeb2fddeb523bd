"""Debian binary packages: a minimal one is written, of any one the control file is read.

An ar archive of three members: "debian-binary" with the text "2.0\\n", "control.tar"
and "data.tar". Both tar members of one that is written stay uncompressed (allowed since
dpkg 1.17.6), so that the bytes do not depend on a compression library; those of others end
in .gz, .xz or .zst.

ar member header, 60 bytes: name 16, mtime 12, uid 6, gid 6, mode 8 (octal), size 10,
all ASCII padded with blanks, then "`\\n"; data is padded with "\\n" to 2 bytes.

Sources: deb(5), deb-control(5), ar(5).
"""

from __future__ import annotations

import io
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Protocol

from kiwilite.errors import KiwiliteError

if TYPE_CHECKING:
    import tarfile

_REQUIRED: Final = ("Package", "Version", "Architecture", "Maintainer", "Description")
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_FIELD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


_MAGIC: Final = b"!<arch>\n"
_HEADER_BYTES: Final = 60
_CHUNK: Final = 1 << 16
_MOST_CONTROL: Final = 16 << 20
"""Bytes of a compressed control member; real ones have less than 1 MiB."""


class BadDeb(KiwiliteError):
    """The fields or files given, or the bytes read, do not make a valid package."""


class UnknownCompression(BadDeb):
    """The control file is compressed in a way that Python's library does not read."""


def write_deb(
    control: Mapping[str, str], files: Mapping[str, bytes] | None = None, *, mtime: int = 0
) -> bytes:
    """The package's bytes: `control` fields in the given order, `files` by absolute path.

    Files are root's, 0644, their directories 0755; every time stamp is `mtime`.
    Raises BadDeb if a field that dpkg needs is missing or malformed.
    """
    _check(control)
    text = "".join(f"{field}: {value}\n" for field, value in control.items())
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar", _tar({"control": text.encode()}, mtime)),
        ("data.tar", _tar(files or {}, mtime)),
    )
    return _MAGIC + b"".join(_ar_member(name, data, mtime) for name, data in members)


def read_control(stream: IO[bytes]) -> str:
    """The text of the control file of the package that `stream` begins with.

    Raises BadDeb for what is no package, UnknownCompression for a member in .zst.
    """
    for name, size in _members(stream):
        if name.startswith("control.tar"):
            if name.removeprefix("control.tar") not in ("", ".gz", ".xz"):
                raise UnknownCompression(f"{name} is compressed otherwise")
            return _control_text(stream.read(min(size, _MOST_CONTROL)))
    raise BadDeb("there is no control.tar in it")


def write_uncompressed(source: IO[bytes], target: BinaryIO) -> None:
    """Write the package again with its tar members uncompressed: it installs to the same files.

    Raises BadDeb, UnknownCompression; what was written until then is nothing.
    """
    target.write(_MAGIC)
    for name, size in _members(source):
        plain, dot, suffix = name.partition(".tar.")
        unpack = _UNPACKERS.get(suffix) if dot else _Stored
        if unpack is None:
            raise UnknownCompression(f"{name} is compressed otherwise")
        start = target.tell()
        target.write(bytes(_HEADER_BYTES))
        try:
            length = _unpack(source, size, unpack(), target)
        except (lzma.LZMAError, zlib.error, EOFError) as error:  # EOFError: more after the end
            raise BadDeb(f"{name} cannot be read: {error}") from error
        target.write(b"\n" * (length % 2))
        target.seek(start)
        target.write(_ar_header(f"{plain}.tar" if dot else name, length, 0))
        target.seek(0, io.SEEK_END)


class _Unpacker(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...
    @property
    def eof(self) -> bool: ...


class _Stored:
    """A member that is not compressed ends where it says."""

    eof = True

    def decompress(self, data: bytes, /) -> bytes:
        return data


_UNPACKERS: Final[Mapping[str, Callable[[], _Unpacker]]] = {
    "xz": lzma.LZMADecompressor,
    "gz": lambda: zlib.decompressobj(wbits=31),  # with the header of gzip
}


def _unpack(source: IO[bytes], size: int, unpacker: _Unpacker, target: BinaryIO) -> int:
    """Unpack `size` bytes; how many they became."""
    length = 0
    while size:
        data = source.read(min(size, _CHUNK))
        if not data:
            raise BadDeb("the package is cut off")
        size -= len(data)
        length += target.write(unpacker.decompress(data))
    if not unpacker.eof:
        raise BadDeb("a member of the package is cut off")
    return length


def _members(stream: IO[bytes]) -> Iterator[tuple[str, int]]:
    """Name and bytes of each member, while the stream stands at its content."""
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise BadDeb("this is no ar archive")
    while header := stream.read(_HEADER_BYTES):
        name = header[:16].decode(errors="replace").strip().rstrip("/")
        size = header[48:58].strip()
        if len(header) < _HEADER_BYTES or header[58:] != b"`\n" or not size.isdigit():
            raise BadDeb("a member of the archive has a broken header")
        behind = stream.tell() + int(size) + int(size) % 2
        yield name, int(size)
        stream.seek(behind)


def _control_text(tar: bytes) -> str:
    import tarfile  # here, since this module is loaded before every build

    try:
        with tarfile.open(fileobj=io.BytesIO(tar), mode="r:*") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if member.name.removeprefix("./") == "control" and file is not None:
                    return file.read(_MOST_CONTROL).decode(errors="replace")
    except (tarfile.TarError, OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        raise BadDeb(f"control.tar cannot be read: {error}") from error
    raise BadDeb("control.tar has no control file")


def _check(control: Mapping[str, str]) -> None:
    for field in _REQUIRED:
        if not control.get(field):
            raise BadDeb(f"the control field {field} is missing")
    if not _PACKAGE.fullmatch(control["Package"]):
        raise BadDeb(f"{control['Package']!r} is no package name")
    for field, value in control.items():
        if not _FIELD.fullmatch(field):
            raise BadDeb(f"{field!r} is no control field name")
        lines = value.split("\n")
        if any(not line.strip() or line[0] not in " \t" for line in lines[1:]):
            raise BadDeb(f"in {field}, a continuation line is empty or not indented")
        if "\r" in value or "\0" in value:
            raise BadDeb(f"{field} has control characters in it")


def _tar(files: Mapping[str, bytes], mtime: int) -> bytes:
    import tarfile

    paths = {path.lstrip("/"): data for path, data in files.items()}
    if len(paths) != len(files):
        raise BadDeb("a file is given twice")
    directories = {"."}
    for path in paths:
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in path:
            raise BadDeb(f"{path!r} is no plain path")
        directories |= {"./" + "/".join(parts[:n]) for n in range(1, len(parts))}
    if clash := directories & {"./" + path for path in paths}:
        raise BadDeb(f"{min(clash)!r} is a file and a directory")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(directories):
            tar.addfile(_tar_info(name, tarfile.DIRTYPE, 0o755, 0, mtime))
        for path in sorted(paths):
            info = _tar_info("./" + path, tarfile.REGTYPE, 0o644, len(paths[path]), mtime)
            tar.addfile(info, io.BytesIO(paths[path]))
    return out.getvalue()


def _tar_info(name: str, kind: bytes, mode: int, size: int, mtime: int) -> tarfile.TarInfo:
    import tarfile

    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    info.size = size
    info.mtime = mtime
    info.uname = info.gname = "root"
    return info


def _ar_member(name: str, data: bytes, mtime: int) -> bytes:
    return _ar_header(name, len(data), mtime) + data + b"\n" * (len(data) % 2)


def _ar_header(name: str, size: int, mtime: int) -> bytes:
    return f"{name:<16}{mtime:<12}{0:<6}{0:<6}{0o100644:<8o}{size:<10}`\n".encode()
