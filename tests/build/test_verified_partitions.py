"""Hash tree in a partition of its own, error correction and metadata block, with other tools."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from opened_image import cut_out
from tiny_appliance import has, make, run_words
from verified_appliance import BLOB, FEC_ROOTS, Built, build

from kiwilite.boot import uki
from kiwilite.ondisk import cpio

pytestmark = pytest.mark.build

ROOT, HASHES = "p.lxreadonly", "p.lxreadonly-verity"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    for tool in ("mmdebstrap", "veritysetup", "openssl", "sfdisk"):
        if not has(tool):
            pytest.skip(f"needs {tool}")
    return build(tmp_path_factory.mktemp("verified"), "kiwilite")


@pytest.fixture(scope="module")
def parts(built: Built, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The partitions as files."""
    folder = tmp_path_factory.mktemp("partitions")
    names = (ROOT, HASHES, "data", "data-verity")
    return {name: cut_out(built.raw, name, folder / name) for name in names}


@pytest.fixture(scope="module")
def policy(built: Built) -> list[list[str]]:
    """The records of the policy in the UKI."""
    entries, _ = cpio.read_one(uki.read(built.uki.read_bytes()).initrd)
    text = next(e.data for e in entries if e.path == "etc/kiwilite/policy").decode()
    return [line.split() for line in text.splitlines()]


def record(policy: list[list[str]], kind: str, mapping: str) -> list[str]:
    (found,) = (row[2:] for row in policy if row[:2] == [kind, mapping])
    return found


def verity_command(
    policy: list[list[str]], mapping: str, data: Path, hashes: Path
) -> list[str | Path]:
    """veritysetup's call by what the policy says and nothing else."""
    _, root_hash, _, hash_offset, *_ = record(policy, "verity", mapping)
    fec_offset, roots = record(policy, "fec", mapping)
    return [
        *("veritysetup", "verify", data, hashes, root_hash, f"--hash-offset={hash_offset}"),
        *(f"--fec-device={hashes}", f"--fec-offset={fec_offset}", f"--fec-roots={roots}"),
    ]


@pytest.mark.parametrize(
    ("mapping", "data", "hashes"),
    [("verityRoot", ROOT, HASHES), ("verity-data", "data", "data-verity")],
)
def test_both_partitions_verify_by_the_policy(
    policy: list[list[str]], parts: dict[str, Path], mapping: str, data: str, hashes: str
) -> None:
    run_words(*verity_command(policy, mapping, parts[data], parts[hashes]))


def test_the_tree_has_the_algorithm_that_was_chosen(parts: dict[str, Path]) -> None:
    assert re.search(r"^Hash algorithm:\s+sha512$", run_words("veritysetup", "dump", parts[HASHES]),
                     re.MULTILINE)  # fmt: skip


def test_a_damaged_block_is_found_and_can_be_repaired(
    policy: list[list[str]], parts: dict[str, Path], tmp_path: Path
) -> None:
    """veritysetup repairs nothing in files, it says what could be; the kernel does it."""
    broken = bytearray(parts[ROOT].read_bytes())
    at = -(-broken.index(BLOB[8192:8256]) // 4096) * 4096
    broken[at : at + 4096] = bytes(4096)
    damaged = tmp_path / "damaged"
    damaged.write_bytes(broken)
    command = verity_command(policy, "verityRoot", damaged, parts[HASHES])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"Verification failed at position {at}." in done.stderr
    found = re.search(r"Found (\d+) repairable errors with FEC device", done.stdout + done.stderr)
    assert found and 0 < int(found[1]) <= 4096
    without = subprocess.run(command[:6], capture_output=True, text=True, check=False)
    assert without.returncode != 0


def test_the_metadata_block_opens_the_device_and_names_the_policys_root_hash(
    built: Built, policy: list[list[str]], parts: dict[str, Path]
) -> None:
    raw = parts[ROOT].read_bytes()
    assert record(policy, "metadata", "verityRoot") == [str(len(raw) - 4096)]
    words = re.split(rb"[ \xff]", raw[-4096:].partition(b"\xff\0")[0])
    assert words[:4] == [b"1", b"squashfs", b"ro", b"verity"]
    kind, data_bs, hash_bs, blocks, start, algorithm, root, salt = (w.decode() for w in words[4:])
    assert root == built.root_hash == record(policy, "verity", "verityRoot")[1]
    run_words(
        *("veritysetup", "verify", parts[ROOT], parts[HASHES], root, "--no-superblock"),
        *(f"--format={kind}", f"--data-block-size={data_bs}", f"--hash-block-size={hash_bs}"),
        *(f"--data-blocks={blocks}", f"--hash-offset={int(start) * int(hash_bs)}"),
        *(f"--hash={algorithm}", f"--salt={salt}"),
    )


def test_openssl_verifies_the_metadatas_signature_and_finds_a_flipped_bit(
    built: Built, parts: dict[str, Path], tmp_path: Path
) -> None:
    block = parts[ROOT].read_bytes()[-4096:]
    end = block.index(b"\xff\0") + 2
    content, signature = tmp_path / "content", tmp_path / "signature"
    signature.write_bytes(block[end : end + 256])
    assert not any(block[end + 256 :])
    content.write_bytes(block[:end])
    command = (
        *("openssl", "dgst", "-sha256", "-sigopt", "rsa_padding_mode:pss"),
        *("-sigopt", "rsa_pss_saltlen:-1", "-sigopt", "rsa_mgf1_md:sha256"),
        *("-verify", built.public_key, "-signature", signature, content),
    )
    assert run_words(*command).strip() == "Verified OK"
    content.write_bytes(bytes([block[0] ^ 1]) + block[1:end])
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_the_error_correction_is_as_large_as_it_was_asked_for(
    policy: list[list[str]], parts: dict[str, Path]
) -> None:
    offset, roots = (int(word) for word in record(policy, "fec", "verityRoot"))
    dump = run_words("veritysetup", "dump", parts[HASHES])
    data_blocks = int(re.findall(r"^Data blocks:\s+(\d+)$", dump, re.MULTILINE)[0])
    rounds = -(-(data_blocks + offset // 4096) // (255 - roots))
    assert roots == FEC_ROOTS
    parity = parts[HASHES].read_bytes()[offset:]
    assert any(parity[: rounds * roots * 4096][-4096:])
    assert not any(parity[rounds * roots * 4096 :])


def test_too_few_verity_blocks_are_an_error_at_their_line(tmp_path: Path) -> None:
    appliance = make(tmp_path)
    line = appliance.change('verity_blocks="all"', 'verity_blocks="100"')
    said = appliance.build()
    assert said.status == 4
    complaint = said.complaint()
    assert f"{appliance.file}:{line}:" in complaint
    assert "verity_blocks=100 does not cover the whole squashfs" in complaint
    # the number it names is the one that works
    (needed,) = re.findall(r'or "(\d+)"', complaint)
    appliance.change('verity_blocks="100"', f'verity_blocks="{needed}"')
    said = appliance.build()
    assert said.status == 0, said.err
