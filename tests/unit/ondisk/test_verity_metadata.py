"""KIWI's metadata block: read as KIWI's own tool reads it, and opened with what it says."""

from __future__ import annotations

import re
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import verity
from kiwilite.ondisk.verity_metadata import (
    METADATA_BYTES,
    BadVerityMetadata,
    VerityMetadata,
    pack,
    unpack,
)

SAMPLE = VerityMetadata("squashfs", 4096, 4096, 300, 301, "sha256", "ab" * 32, "00ff" * 16)


def words_of(raw: bytes) -> list[str]:
    """The block's fields as a reader finds them that knows only its two separators."""
    return [word.decode() for word in re.split(rb"[ \xff]", raw.partition(b"\xff\0")[0])]


def test_the_fields_stand_where_kiwis_reader_looks_for_them() -> None:
    raw = pack(SAMPLE, b"signature")
    expected = ["1", "squashfs", "ro", "verity", "1", "4096", "4096", "300", "301", "sha256"]
    assert words_of(raw) == [*expected, "ab" * 32, "00ff" * 16]
    assert len(raw) == METADATA_BYTES
    text = raw[: len(SAMPLE.signed_part())]
    assert text.startswith(b"1 squashfs ro verity\xff1 4096 ")
    assert text.endswith(b"\xff\0")
    assert raw[len(text) :].rstrip(b"\0") == b"signature"


@pytest.mark.parametrize(
    ("algorithm", "data_block", "hash_block"),
    [("sha256", 4096, 4096), ("sha512", 4096, 4096), ("sha256", 1024, 4096), ("sha1", 512, 512)],
)
@pytest.mark.parametrize("salt", ["", "00112233"])
def test_veritysetup_opens_by_the_block_alone_without_reading_a_superblock(
    tmp_path: Path, algorithm: str, data_block: int, hash_block: int, salt: str
) -> None:
    image = tmp_path / "image"
    size = 70 * 4096
    image.write_bytes(bytes(range(256)) * 16 * 70)
    with image.open("r+b") as out:
        out.seek(size)
        root = verity.write_hash_area(
            image, out, uuid=uuid.UUID(int=1), salt=bytes.fromhex(salt), data_bytes=size,
            data_block_size=data_block, hash_block_size=hash_block, algorithm=algorithm,
        )  # fmt: skip
    block = pack(
        VerityMetadata(
            "squashfs", data_block, hash_block, size // data_block, size // hash_block + 1,
            algorithm, root.hex(), salt,
        )
    )  # fmt: skip
    assert verify_by(image, block) == 0
    # one block earlier stands the superblock: KIWI's off-by-one
    wrong = replace(unpack(block).metadata, hash_start=size // hash_block)
    assert verify_by(image, pack(wrong)) != 0


def verify_by(image: Path, block: bytes) -> int:
    """Exit status of veritysetup with what the block says, as KIWI's initrd calls it."""
    _, _, _, _, kind, data_bs, hash_bs, blocks, start, algorithm, root, salt = words_of(block)
    command: list[str | Path] = [
        *("veritysetup", "verify", image, image, root, "--no-superblock"),
        *(f"--format={kind}", f"--data-block-size={data_bs}", f"--hash-block-size={hash_bs}"),
        *(f"--data-blocks={blocks}", f"--hash-offset={int(start) * int(hash_bs)}"),
        *(f"--hash={algorithm}", f"--salt={salt}"),
    ]
    return subprocess.run(command, check=False, capture_output=True).returncode


sizes = st.sampled_from([512, 1024, 2048, 4096])
hexadecimal = st.binary(min_size=1, max_size=64).map(bytes.hex)
blocks = st.builds(
    VerityMetadata,
    st.sampled_from(["squashfs", "erofs"]),
    sizes,
    sizes,
    st.integers(0, 2**63 - 1),
    st.integers(0, 2**63 - 1),
    st.sampled_from(["sha256", "sha512", "blake2b-512"]),
    hexadecimal,
    st.one_of(st.just(""), hexadecimal),
)


@given(blocks, st.binary(max_size=512))
def test_what_was_packed_is_unpacked(metadata: VerityMetadata, signature: bytes) -> None:
    block = unpack(pack(metadata, signature))
    assert block.metadata == metadata
    assert block.signed_part == metadata.signed_part()
    assert block.signature(512).rstrip(b"\0") == signature.rstrip(b"\0")
    assert block.has_signature == any(signature)


@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 150))
def test_nothing_but_bad_metadata_comes_out_of_broken_bytes(edit: bytes, at: int) -> None:
    raw = bytearray(pack(SAMPLE))
    raw[at : at + len(edit)] = edit
    try:
        found = unpack(bytes(raw))
    except BadVerityMetadata as error:
        assert error.field
    else:
        assert found.metadata.signed_part() == found.signed_part


@pytest.mark.parametrize(
    ("field", "raw"),
    [
        ("length", b""),
        ("end", bytes(4096)),
        ("end", b"1 squashfs ro verity\xff".ljust(4096, b"x")),
        ("text", b"1 squashfs ro verity\xff1 2 3\xff\0".ljust(4096, b"\0")),
        ("header", pack(SAMPLE).replace(b"1 squashfs ro", b"2 squashfs ro")),
        ("header", pack(SAMPLE).replace(b" ro ", b" rw ")),
        ("hash type", pack(SAMPLE).replace(b"\xff1 4096", b"\xff0 4096")),
        ("data blocks", pack(SAMPLE).replace(b" 300 ", b" 3x0 ")),
        ("root hash", pack(SAMPLE).replace(b" abab", b" Abab")),
    ],
)
def test_a_bad_block_is_refused_by_its_field(field: str, raw: bytes) -> None:
    with pytest.raises(BadVerityMetadata) as caught:
        unpack(raw)
    assert caught.value.field == field


def test_a_signature_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BadVerityMetadata, match="does not fit"):
        pack(SAMPLE, b"x" * 4000)


def test_bytes_behind_the_signature_are_found() -> None:
    block = unpack(pack(SAMPLE, b"x" * 257))
    with pytest.raises(BadVerityMetadata, match="longer"):
        block.signature(256)
