"""KIWI's metadata block about an image and its hash tree, signed where there is a key."""

from __future__ import annotations

from kiwilite.build.geometry import BLOCK, TAIL_FILE
from kiwilite.build.job import Job
from kiwilite.ondisk.verity import SUPERBLOCK_SIZE, VeritySuperblock
from kiwilite.ondisk.verity_metadata import VerityMetadata as Metadata
from kiwilite.ondisk.verity_metadata import pack
from kiwilite.plan.image_steps import VerityMetadata
from kiwilite.plan.partitions import round_up
from kiwilite.trust.rsa_pss import load_private_key, sign


def run(step: VerityMetadata, job: Job) -> None:
    """Fill `metadata`. Raises BadKey where the key cannot sign."""
    image = round_up((job.read(step.image) / "image").stat().st_size, BLOCK)
    tree = job.read(step.verity)
    with (tree / "hashes").open("rb") as stream:
        superblock = VeritySuperblock.unpack(stream.read(SUPERBLOCK_SIZE))
    before = image if step.tree == "appended" else 0
    metadata = Metadata(
        filesystem="squashfs",
        data_block_size=superblock.data_block_size,
        hash_block_size=superblock.hash_block_size,
        data_blocks=superblock.data_blocks,
        # the superblock has a hash block of its own, which readers of this do not look at
        hash_start=before // superblock.hash_block_size + 1,
        algorithm=superblock.algorithm,
        root_hash=(tree / "roothash").read_text().strip(),
        salt=superblock.salt.hex(),
    )
    signature = b""
    if step.key is not None:
        key = load_private_key(job.source(step.key).read_bytes(), where=str(step.key.path))
        signature = sign(key, metadata.signed_part())
    (job.out / TAIL_FILE).write_bytes(pack(metadata, signature))
