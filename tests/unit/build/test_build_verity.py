"""Hash tree, error correction and metadata of a partition, as the stages make them."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.boot.policy import Fec
from kiwilite.build.geometry import read_geometry
from kiwilite.build.job import Job
from kiwilite.build.stages import fec, layout, verity, verity_metadata
from kiwilite.build.verified import verity_device
from kiwilite.errors import StageFailed
from kiwilite.ondisk.verity_metadata import unpack
from kiwilite.plan import steps as s
from kiwilite.plan.partitions import MIB, Partition, PartitionSize
from kiwilite.trust.rsa_pss import BadKey, BadSignature, load_private_key, verify

BLOCKS = 600
IMAGE = s.Output("image")
TREE = s.Output("tree")
PARITY = s.Output("parity")
BLOCK_OF_METADATA = s.Output("metadata")
SETTINGS = s.Verity(IMAGE, UUID(int=7), "00ff", None, where="appliance.kiwi:9:1")


@dataclass(frozen=True, slots=True)
class Workshop:
    """Runs stages below `base`; their results stand in folders called after the output."""

    base: Path

    def job(self, output: s.Output, sources: dict[str, Path] | None = None) -> Job:
        out, scratch = self.base / output.step, self.base / f"scratch-{output.step}"
        out.mkdir(exist_ok=True)
        scratch.mkdir(exist_ok=True)
        outputs = {o.step: self.base / o.step for o in (IMAGE, TREE, PARITY, BLOCK_OF_METADATA)}
        log = self.base / "log"
        return Job("test", out, scratch, log, outputs, sources or {}, self.base, {})

    def file(self, output: s.Output, name: str) -> Path:
        return self.base / output.step / name

    def make(self, step: s.Verity, roots: int | None = None) -> str:
        """The tree, and where `roots` are given the parity; the root hash."""
        verity.run(step, self.job(TREE))
        if roots is not None:
            fec.run(s.Fec(IMAGE, TREE, roots), self.job(PARITY))
        return self.file(TREE, "roothash").read_text().strip()

    def partition(self, device_names: tuple[tuple[s.Output, str], ...], target: Path) -> Path:
        """The files one behind the other, 4096-aligned, as the disk has them."""
        content = b""
        for output, name in device_names:
            content += self.file(output, name).read_bytes()
            content += bytes(-len(content) % 4096)
        target.write_bytes(content)
        return target


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    (tmp_path / "image").mkdir()
    (tmp_path / "image/image").write_bytes(random.Random(1).randbytes(BLOCKS * 4096))
    return Workshop(tmp_path)


HASHES = (TREE, "hashes")
DATA = (IMAGE, "image")
FEC_FILE = (PARITY, "fec")


def checked(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


COMBINATIONS = [
    *itertools.product(("sha256", "sha512"), (4096, 1024), ("appended", "partition"), (None, 2)),
    ("sha256", 4096, "appended", 24),
    ("sha3-256", 2048, "partition", 13),
    ("blake2b-512", 4096, "appended", 2),
]


@pytest.mark.parametrize(("algorithm", "size", "place", "roots"), COMBINATIONS)
def test_veritysetup_verifies_every_combination_by_what_the_policy_says(
    shop: Workshop, algorithm: str, size: int, place: str, roots: int | None
) -> None:
    step = replace(SETTINGS, algorithm=algorithm, data_block_size=size, hash_block_size=size)
    shop.make(step, roots)
    apart = place == "partition"
    device = verity_device(target(apart=apart, roots=roots), shop.job(s.Output("uki")))
    parity = (FEC_FILE,) if roots else ()
    if apart:
        data = shop.partition((DATA,), shop.base / "data")
        hashes = shop.partition((HASHES, *parity), shop.base / "hashes")
    else:
        data = hashes = shop.partition((DATA, HASHES, *parity), shop.base / "whole")
    command: list[str | Path] = ["veritysetup", "verify", data, hashes, device.root_hash]
    command.append(f"--hash-offset={device.hash_offset}")
    if roots:
        assert device.fec is not None and device.fec.offset % 4096 == 0
        command += [f"--fec-device={hashes}", f"--fec-offset={device.fec.offset}"]
        command.append(f"--fec-roots={device.fec.roots}")
    else:
        assert device.fec is None
    assert checked(*command).returncode == 0
    # a block of zeros: without parity it is lost, with it can be had back
    with data.open("r+b") as stream:
        stream.seek(17 * 4096)
        stream.write(bytes(4096))
    said = checked(*command)
    assert f"failed at position {17 * 4096}" in said.stderr
    repairable = re.search(r"Found (\d+) repairable errors", said.stdout + said.stderr)
    if roots:
        assert said.returncode == 0 and repairable and int(repairable[1]) > 3000
    else:
        assert said.returncode != 0 and repairable is None


def target(
    *,
    apart: bool = False,
    roots: int | None = None,
    metadata: bool = False,
    size: PartitionSize | None = None,
) -> s.VerityTarget:
    return s.VerityTarget(
        mapping="verityRoot",
        partuuid=UUID(int=1),
        mountpoint="/",
        image=IMAGE,
        verity=TREE,
        size=size or PartitionSize("content"),
        hash_partuuid=UUID(int=2) if apart else None,
        fec=PARITY if roots else None,
        fec_roots=roots or 0,
        metadata=metadata,
    )


def test_parity_is_the_same_on_every_build_and_wherever_the_tree_stands(shop: Workshop) -> None:
    shop.make(SETTINGS, 2)
    first = shop.file(PARITY, "fec").read_bytes()
    fec.run(s.Fec(IMAGE, TREE, 2), shop.job(PARITY))
    assert shop.file(PARITY, "fec").read_bytes() == first
    # as veritysetup makes it for all in one file
    whole = shop.partition((DATA,), shop.base / "whole")
    device = verity_device(target(roots=2), shop.job(s.Output("uki")))
    assert device.fec is not None
    checked(
        *("veritysetup", "format", whole, whole, f"--hash-offset={BLOCKS * 4096}"),
        *(f"--fec-device={whole}", f"--fec-offset={device.fec.offset}", "--fec-roots=2"),
        *("--salt=00ff", f"--data-blocks={BLOCKS}", f"--uuid={UUID(int=7)}"),
    )
    assert whole.read_bytes() == shop.partition((DATA, HASHES, FEC_FILE), whole).read_bytes()


def test_parity_over_another_tree_than_ours_is_refused(shop: Workshop) -> None:
    shop.make(SETTINGS)
    hashes = bytearray(shop.file(TREE, "hashes").read_bytes())
    hashes[5000] ^= 1
    shop.file(TREE, "hashes").write_bytes(hashes)
    with pytest.raises(StageFailed, match="another hash tree"):
        fec.run(s.Fec(IMAGE, TREE, 2), shop.job(PARITY))


@pytest.mark.parametrize(("wanted", "fault"), [(1, "does not cover"), (599, "does not cover"),
                                               (601, "goes beyond")])  # fmt: skip
def test_blocks_that_are_not_the_squashfs_are_an_error_at_their_line(
    shop: Workshop, wanted: int, fault: str
) -> None:
    with pytest.raises(StageFailed, match=fault) as caught:
        shop.make(replace(SETTINGS, data_blocks=wanted))
    assert caught.value.where == "appliance.kiwi:9:1"
    assert '"600"' in str(caught.value.hint)


def test_a_count_that_covers_it_is_as_good_as_all(shop: Workshop) -> None:
    assert shop.make(replace(SETTINGS, data_blocks=600)) == shop.make(SETTINGS)
    small = replace(SETTINGS, data_block_size=1024, data_blocks=2400)
    assert shop.make(small) == shop.make(replace(small, data_blocks=None))


def private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize("place", ["appended", "partition"])
@pytest.mark.parametrize("size", [4096, 1024])
def test_the_metadata_block_says_where_the_tree_begins_and_is_signed(
    shop: Workshop, place: s.TreePlace, size: int
) -> None:
    root_hash = shop.make(replace(SETTINGS, data_block_size=size, hash_block_size=size))
    key = shop.base / "key.pem"
    key.write_bytes(private_key())
    step = s.VerityMetadata(IMAGE, TREE, place, s.Source(key))
    made = [made_metadata(shop, step, {str(key): key}) for _ in range(2)]
    assert made[0] == made[1]
    block = unpack(made[0])
    assert block.metadata.root_hash == root_hash
    assert block.metadata.salt == "00ff"
    assert block.metadata.data_blocks * size == BLOCKS * 4096
    before = BLOCKS * 4096 // size if place == "appended" else 0
    assert block.metadata.hash_start == before + 1
    public = load_private_key(key.read_bytes(), where="key").public_key()
    verify(public, block.signed_part, block.signature(256))
    with pytest.raises(BadSignature):
        verify(public, block.signed_part[:-1], block.signature(256))


def made_metadata(
    shop: Workshop, step: s.VerityMetadata, sources: dict[str, Path] | None = None
) -> bytes:
    verity_metadata.run(step, shop.job(BLOCK_OF_METADATA, sources))
    return shop.file(BLOCK_OF_METADATA, "metadata").read_bytes()


def test_without_a_key_the_block_has_no_signature(shop: Workshop) -> None:
    shop.make(SETTINGS)
    block = unpack(made_metadata(shop, s.VerityMetadata(IMAGE, TREE, "appended", None)))
    assert not block.has_signature


def test_a_key_that_cannot_sign_is_named(shop: Workshop) -> None:
    shop.make(SETTINGS)
    key = shop.base / "key.pem"
    key.write_text("no key")
    step = s.VerityMetadata(IMAGE, TREE, "appended", s.Source(key))
    with pytest.raises(BadKey) as caught:
        made_metadata(shop, step, {str(key): key})
    assert caught.value.where == str(key)


def test_offsets_follow_the_sizes_of_what_stands_before(shop: Workshop) -> None:
    shop.make(replace(SETTINGS, data_block_size=1024, hash_block_size=1024), 2)
    job = shop.job(s.Output("uki"))
    tree = shop.file(TREE, "hashes").stat().st_size
    parity = shop.file(PARITY, "fec").stat().st_size
    image = BLOCKS * 4096
    up = -(-tree // 4096) * 4096
    appended = verity_device(target(roots=2, metadata=True), job)
    assert (appended.hash_offset, appended.fec) == (image, Fec(image + up, 2))
    assert appended.hash_partuuid is None
    whole = image + up + -(-parity // 4096) * 4096 + 4096
    assert appended.metadata_offset == -(-whole // MIB) * MIB - 4096
    apart = verity_device(target(apart=True, roots=2, metadata=True), job)
    assert (apart.hash_offset, apart.fec, apart.hash_partuuid) == (0, Fec(up, 2), UUID(int=2))
    assert apart.metadata_offset == 3 * MIB - 4096
    fixed = target(metadata=True, size=PartitionSize("fixed", 50 * MIB))
    assert verity_device(fixed, job).metadata_offset == 50 * MIB - 4096


@settings(max_examples=60, deadline=None)
@given(
    image=st.integers(1, 600), tree=st.integers(1, 300), parity=st.none() | st.integers(1, 300),
    apart=st.booleans(), fixed=st.none() | st.integers(6, 9),
)  # fmt: skip
def test_the_metadata_block_is_the_last_one_of_the_partition_as_it_is_laid_out(
    image: int, tree: int, parity: int | None, apart: bool, fixed: int | None
) -> None:
    """The policy has the offset before the disk is laid out: both have to agree."""
    with tempfile.TemporaryDirectory() as folder:
        shop = Workshop(Path(folder))
        for (output, name), blocks in ((DATA, image), (HASHES, tree), (FEC_FILE, parity or 0)):
            (shop.base / output.step).mkdir()
            with shop.file(output, name).open("wb") as stream:
                stream.truncate(blocks * 4096)
        shop.file(TREE, "roothash").write_text("00")
        size = PartitionSize("fixed", fixed * MIB) if fixed else PartitionSize("content")
        device = verity_device(
            target(apart=apart, roots=parity and 2, metadata=True, size=size),
            shop.job(s.Output("uki")),
        )
        rest = () if apart else (TREE, *((PARITY,) if parity else ()))
        guid = UUID(int=1)
        placed = Partition("p.lxreadonly", guid, guid, size, "squashfs", "/", "here")
        step = s.Layout(
            partitions=(placed,), contents=(("p.lxreadonly", (IMAGE, *rest)),), size=None, extra=0,
            unpartitioned=0, sector_size=512, where="here",
            tails=("p.lxreadonly",),
        )  # fmt: skip
        job = shop.job(s.Output("layout"))
        layout.run(step, job)
        there = read_geometry(job.out, step.partitions).find("p.lxreadonly")
        assert device.metadata_offset == there.size - 4096
        content = image + (0 if apart else tree + (parity or 0))
        assert there.size >= (content + 1) * 4096
