"""Forward error correction (Reed-Solomon) over an image and its hash tree, by veritysetup.

    covered:  | image | superblock, tree, zeros up to a multiple of 4096 |

What it is made of depends on nothing but those bytes, so the same ones come out when
the image and the tree stand in one partition, or in two.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from kiwilite.build.geometry import BLOCK
from kiwilite.build.job import Job
from kiwilite.errors import StageFailed
from kiwilite.ondisk.verity import SUPERBLOCK_SIZE, VeritySuperblock
from kiwilite.plan.image_steps import Fec
from kiwilite.plan.partitions import round_up


def run(step: Fec, job: Job) -> None:
    """Fill `fec`. Raises StageFailed where veritysetup makes another tree than ours."""
    image = job.read(step.image) / "image"
    tree = job.read(step.verity)
    hashes = tree / "hashes"
    offset = round_up(hashes.stat().st_size, BLOCK)
    area = job.scratch / "area"
    with area.open("wb") as stream:
        # all that is covered has to be there to be read
        stream.truncate(offset)
    with hashes.open("rb") as stream:
        superblock = VeritySuperblock.unpack(stream.read(SUPERBLOCK_SIZE))
    command: list[str | Path] = ["veritysetup", "format", image, area, "--hash-offset=0"]
    command += [f"--fec-device={area}", f"--fec-offset={offset}", f"--fec-roots={step.roots}"]
    said = job.run([*command, *_options(superblock)])
    found = re.search(r"^Root hash:\s+([0-9a-f]+)$", said, re.MULTILINE)
    same_root = found is not None and found[1] == (tree / "roothash").read_text().strip()
    if not same_root or not _begins_with(area, hashes):
        raise StageFailed("veritysetup makes another hash tree than kiwilite: report this")
    with area.open("rb") as source, (job.out / "fec").open("wb") as out:
        source.seek(offset)
        shutil.copyfileobj(source, out)


def _options(superblock: VeritySuperblock) -> list[str]:
    return [
        f"--uuid={superblock.uuid}",
        f"--hash={superblock.algorithm}",
        f"--salt={superblock.salt.hex() or '-'}",
        f"--data-blocks={superblock.data_blocks}",
        f"--data-block-size={superblock.data_block_size}",
        f"--hash-block-size={superblock.hash_block_size}",
    ]


def _begins_with(path: Path, start: Path) -> bool:
    with path.open("rb") as whole, start.open("rb") as expected:
        while chunk := expected.read(1 << 20):
            if whole.read(len(chunk)) != chunk:
                return False
    return True
