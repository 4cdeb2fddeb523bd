"""dm-verity metadata against veritysetup, and what `verify` says about damage."""

from __future__ import annotations

import io
import os
import re
import resource
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import verity
from kiwilite.ondisk.verity import BadSuperblock, BlockKind, Corruption, VeritySuperblock

UUID = uuid.UUID("6a1f5d0e-3c1b-4f2a-9d8e-0b7c6a5d4e3f")
SALT = bytes(range(32))


def veritysetup_format(path: Path, hash_offset: int, *options: str) -> bytes:
    shown = subprocess.run(
        ["veritysetup", "format", f"--hash-offset={hash_offset}", f"--uuid={UUID}"]
        + [*options, str(path), str(path)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = re.search(r"^Root hash:\s+([0-9a-f]+)$", shown, re.MULTILINE)
    assert found
    return bytes.fromhex(found[1])


def content(blocks: int, block_size: int = 4096) -> bytes:
    return b"".join(n.to_bytes(8, "little") * (block_size // 8) for n in range(1, blocks + 1))


@pytest.mark.parametrize("blocks", [1, 2, 127, 128, 129, 16384, 16385, 128 * 130])
def test_the_hash_area_is_that_of_veritysetup(tmp_path: Path, blocks: int) -> None:
    """One block, one level, two levels, three levels, and full and partial blocks in each."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    for path in (theirs, ours):
        path.write_bytes(content(blocks))
    options = (f"--salt={SALT.hex()}", f"--data-blocks={blocks}")
    expected = veritysetup_format(theirs, blocks * 4096, *options)
    with ours.open("r+b") as out:
        out.seek(blocks * 4096)
        root_hash = verity.write_hash_area(
            ours, out, uuid=UUID, salt=SALT, data_bytes=blocks * 4096
        )
        assert out.tell() == theirs.stat().st_size
    assert root_hash == expected
    assert ours.read_bytes() == theirs.read_bytes()


@pytest.mark.parametrize(
    ("data_block", "hash_block", "algorithm", "salt"),
    [
        (4096, 4096, "sha512", SALT),
        (4096, 4096, "sha1", b""),
        (4096, 4096, "sha384", SALT * 8),
        (1024, 4096, "sha256", b"x"),
        (4096, 1024, "sha256", SALT),
        (512, 512, "sha224", SALT),
        (2048, 2048, "blake2b-512", SALT),
        (4096, 4096, "blake2s-256", SALT),
        (4096, 4096, "sha3-256", SALT),
        (1024, 2048, "sha3-512", SALT),
    ],
)
def test_other_parameters_give_the_bytes_of_veritysetup_too(
    tmp_path: Path, data_block: int, hash_block: int, algorithm: str, salt: bytes
) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    data = content(300 * 4096 // data_block, data_block)
    theirs.write_bytes(data)
    ours.write_bytes(data)
    options = (
        f"--data-block-size={data_block}",
        f"--hash-block-size={hash_block}",
        f"--hash={algorithm}",
        f"--salt={salt.hex() or '-'}",
        f"--data-blocks={len(data) // data_block}",
    )
    expected = veritysetup_format(theirs, len(data), *options)
    with ours.open("r+b") as out:
        out.seek(len(data))
        root_hash = verity.write_hash_area(
            ours,
            out,
            uuid=UUID,
            salt=salt,
            data_bytes=len(data),
            data_block_size=data_block,
            hash_block_size=hash_block,
            algorithm=algorithm,
        )
    assert root_hash == expected
    assert ours.read_bytes() == theirs.read_bytes()
    with ours.open("rb") as image:
        assert list(verity.verify(image, root_hash, hash_offset=len(data))) == []


def test_veritysetup_accepts_our_image_and_root_hash(tmp_path: Path) -> None:
    image, size = tmp_path / "image", 200 * 4096
    image.write_bytes(content(200))
    with image.open("r+b") as out:
        out.seek(size)
        root = verity.write_hash_area(image, out, uuid=UUID, salt=SALT, data_bytes=size)
    command = ["veritysetup", "verify", f"--hash-offset={size}", str(image), str(image)]
    subprocess.run([*command, root.hex()], check=True, capture_output=True)
    wrong = subprocess.run([*command, root[::-1].hex()], check=False, capture_output=True)
    assert wrong.returncode != 0


BLOCKS = 300
OFFSET = BLOCKS * 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """An image of 300 data blocks (three leaf blocks under one top) and its root hash."""
    path = tmp_path_factory.mktemp("verity") / "image"
    path.write_bytes(content(BLOCKS))
    with path.open("r+b") as out:
        out.seek(OFFSET)
        root = verity.write_hash_area(path, out, uuid=UUID, salt=SALT, data_bytes=OFFSET)
    return path.read_bytes(), root


def corruptions(raw: bytes, root: bytes) -> list[Corruption]:
    return list(verity.verify(io.BytesIO(raw), root, hash_offset=OFFSET))


def flipped(raw: bytes, *offsets: int) -> bytes:
    broken = bytearray(raw)
    for at in offsets:
        broken[at] ^= 1
    return bytes(broken)


def test_a_sound_image_has_no_corruption(sound: tuple[bytes, bytes]) -> None:
    assert corruptions(*sound) == []


def test_one_flipped_bit_names_the_data_block(sound: tuple[bytes, bytes]) -> None:
    raw, root = sound
    assert corruptions(flipped(raw, 4096 * 299 + 4095, 4096 * 7), root) == [
        Corruption(BlockKind.DATA, 7),
        Corruption(BlockKind.DATA, 299),
    ]


def test_a_flipped_bit_in_a_leaf_names_the_hash_block_and_hides_what_is_below(
    sound: tuple[bytes, bytes],
) -> None:
    raw, root = sound
    top, second_leaf = BLOCKS + 1, BLOCKS + 3
    broken = flipped(raw, second_leaf * 4096 + 5, 200 * 4096, 299 * 4096)
    assert corruptions(broken, root) == [
        Corruption(BlockKind.METADATA, second_leaf),
        Corruption(BlockKind.DATA, 299),
    ]
    assert corruptions(flipped(raw, top * 4096), root) == [Corruption(BlockKind.METADATA, top)]


def test_another_root_hash_makes_the_top_block_corrupted(sound: tuple[bytes, bytes]) -> None:
    raw, root = sound
    expected = [Corruption(BlockKind.METADATA, BLOCKS + 1)]
    assert corruptions(raw, bytes(32)) == expected
    assert corruptions(raw, root[:31]) == expected
    assert corruptions(raw, b"") == expected


@settings(max_examples=50, deadline=None)
@given(at=st.integers(0, OFFSET + 5 * 4096 - 1))
def test_every_flipped_bit_of_data_and_tree_is_found(sound: tuple[bytes, bytes], at: int) -> None:
    raw, root = sound
    broken = flipped(raw, at)
    if OFFSET <= at < OFFSET + 4096:
        _check_superblock_change(broken, root, at - OFFSET)
    else:
        assert [c.block for c in corruptions(broken, root)] == [at // 4096]


def _check_superblock_change(broken: bytes, root: bytes, at: int) -> None:
    """The superblock is not authenticated: UUID and padding may change, the rest may not."""
    unused = (16 <= at < 32) or at >= 88 + len(SALT) or 82 <= at < 88
    try:
        assert bool(corruptions(broken, root)) is not unused
    except BadSuperblock:
        assert not unused


def test_a_file_that_is_too_short_is_said_at_once(sound: tuple[bytes, bytes]) -> None:
    raw, root = sound
    with pytest.raises(BadSuperblock, match="hash area ends"):
        verity.verify(io.BytesIO(raw[:-1]), root, hash_offset=OFFSET)
    with pytest.raises(BadSuperblock, match="the data ends"):
        verity.verify(
            io.BytesIO(raw[: OFFSET - 1]),
            root,
            hash_offset=0,
            hash_image=io.BytesIO(raw[OFFSET:]),
        )


def test_the_hash_area_may_be_another_file(sound: tuple[bytes, bytes]) -> None:
    raw, root = sound
    data, hashes = io.BytesIO(flipped(raw[:OFFSET], 0)), io.BytesIO(raw[OFFSET:])
    found = verity.verify(data, root, hash_offset=0, hash_image=hashes)
    assert list(found) == [Corruption(BlockKind.DATA, 0)]


superblocks = st.builds(
    VeritySuperblock,
    st.uuids(),
    st.integers(1, 2**54),
    st.binary(max_size=256),
    st.sampled_from((512, 1024, 4096, 65536)),
    st.sampled_from((512, 1024, 4096, 65536)),
    st.sampled_from(("sha1", "sha224", "sha256", "sha384", "sha512", "blake2b-512", "sha3-256")),
)


@settings(deadline=None)
@given(superblocks)
def test_a_superblock_is_unpacked_as_packed(superblock: VeritySuperblock) -> None:
    raw = superblock.pack()
    assert len(raw) == 512
    assert VeritySuperblock.unpack(raw) == superblock


@settings(deadline=None)
@given(superblocks, st.integers(0, 511), st.binary(max_size=16), st.binary(max_size=64))
def test_nothing_but_bad_superblock_comes_out_of_broken_bytes(
    superblock: VeritySuperblock, at: int, edit: bytes, rest: bytes
) -> None:
    raw = bytearray(superblock.pack())
    raw[at : at + len(edit)] = edit
    try:
        for _ in verity.verify(io.BytesIO(bytes(raw) + rest), bytes(32), hash_offset=0):
            pass
    except BadSuperblock as error:
        assert error.field


@pytest.mark.parametrize(
    "bad",
    [
        {"data_blocks": 0},
        {"salt": bytes(257)},
        {"data_block_size": 4095},
        {"hash_block_size": 256},
        {"algorithm": "md5"},
    ],
)
def test_impossible_parameters_are_refused(bad: dict[str, object]) -> None:
    parameters: dict[str, object] = {"uuid": UUID, "data_blocks": 1, "salt": b""}
    with pytest.raises(BadSuperblock):
        VeritySuperblock(**(parameters | bad))  # type: ignore[arg-type]


def test_data_or_position_off_the_block_size_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(4097))
    with pytest.raises(BadSuperblock, match="4097"):
        verity.write_hash_area(path, io.BytesIO(), uuid=UUID, salt=b"")
    out = io.BytesIO(bytes(512))
    out.seek(512)
    with pytest.raises(BadSuperblock, match="512"):
        verity.write_hash_area(path, out, uuid=UUID, salt=b"", data_bytes=4096)


class Chunked(io.RawIOBase):
    """A reader that gives odd pieces, as pipes do."""

    def __init__(self, raw: bytes) -> None:
        self._pieces = self._cut(raw)

    @staticmethod
    def _cut(raw: bytes) -> Iterator[bytes]:
        for at in range(0, len(raw), 1000):
            yield raw[at : at + 1000]

    def read(self, size: int = -1) -> bytes:
        piece = next(self._pieces, b"")
        assert size < 0 or len(piece) <= size or size < 1000
        if 0 <= size < len(piece):
            rest, piece = piece[size:], piece[:size]
            following = self._pieces
            self._pieces = (p for source in ((rest,), following) for p in source)
        return piece


def test_short_reads_do_not_change_the_tree() -> None:
    raw, superblock = content(10), VeritySuperblock(UUID, 10, SALT)
    expected = verity.hash_tree(io.BytesIO(raw), superblock)
    assert verity.hash_tree(Chunked(raw), superblock) == expected  # type: ignore[arg-type]
    with pytest.raises(BadSuperblock, match="ends"):
        verity.hash_tree(io.BytesIO(raw[:-1]), superblock)
    with pytest.raises(BadSuperblock, match="ends"):
        verity.hash_tree(io.BytesIO(raw[:4096]), superblock)


MEMORY_PROBE = """
import resource, sys, uuid
from pathlib import Path
from kiwilite.ondisk import verity
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with open(sys.argv[2], "w+b") as out:
    verity.write_hash_area(Path(sys.argv[1]), out, uuid=uuid.UUID(int=1), salt=bytes(32))
print(peak() - before)
"""


def test_a_gibibyte_takes_less_than_20_mib_of_memory(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with data.open("wb") as f:
        f.truncate(2**30)
    extra_kib = int(
        subprocess.run(
            [sys.executable, "-c", MEMORY_PROBE, data, tmp_path / "tree"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    )
    assert extra_kib < 20 * 1024


def test_hashing_in_python_costs_little_more_than_hashing_at_all(tmp_path: Path) -> None:
    """188 MB (a reference root) as against one SHA-256 over the same bytes, in CPU seconds."""
    import hashlib

    data = tmp_path / "data"
    data.touch()
    os.truncate(data, 188_743_680)

    def cpu_seconds() -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    began = cpu_seconds()
    with data.open("rb") as f:
        hashlib.file_digest(f, "sha256")
    plain = cpu_seconds() - began
    began = cpu_seconds()
    verity.write_hash_area(data, io.BytesIO(), uuid=UUID, salt=SALT)
    ours = cpu_seconds() - began
    assert ours < 3 * plain + 0.3, f"{ours:.2f} s, plain {plain:.2f} s"
