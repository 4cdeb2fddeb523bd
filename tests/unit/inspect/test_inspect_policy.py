"""The policy reads back as what the boot room wrote, by another reader."""

from __future__ import annotations

from uuid import UUID

import pytest

from kiwilite.boot.policy import Fec, Grow, Policy, VerityDevice, Volume, policy_archive
from kiwilite.inspect.policy import BadPolicy, read_initrd

ROOT = VerityDevice(
    "verityRoot", UUID(int=1), "ab" * 32, 4096, "/", "squashfs", UUID(int=2), Fec(8192, 4), 12288
)
OTHER = VerityDevice("other", UUID(int=3), "cd" * 32, 8192, "/srv", "squashfs", options="ro,nodev")
POLICY = Policy(
    image="tiny",
    version="1.0.0",
    verity=(ROOT, OTHER),
    volumes=(Volume("luks", UUID(int=4), UUID(int=5), "xfs"),),
    switches=("kiwilite.factory-reset",),
    on_failure="halt",
    format_options=(("--cipher", "aegis128-random"), ("--sector-size", "4096")),
    on_corruption="panic",
    trees=("/etc", "/var"),
    grow=Grow("once", UUID(int=4)),
)


def test_what_was_written_reads_back() -> None:
    archive = policy_archive(POLICY, b"secret", epoch=0)
    read = read_initrd(archive + b"\x28\xb5\x2f\xfdcompressed")
    policy = read.policy()
    assert (policy.image, policy.version) == ("tiny", "1.0.0")
    assert [v.mapping for v in policy.verity] == ["verityRoot", "other"]
    root, other = policy.verity
    assert (root.partuuid, root.hash_partuuid) == (UUID(int=1), UUID(int=2))
    assert (root.root_hash, root.hash_offset, root.mountpoint) == ("ab" * 32, 4096, "/")
    assert (root.fec, root.metadata_offset) == ((8192, 4), 12288)
    assert (root.options, other.options) == ("", "ro,nodev")
    assert (other.hash_partuuid, other.fec, other.metadata_offset) == (UUID(int=3), None, None)
    assert [(v.partuuid, v.volume_id, v.mountpoint) for v in policy.volumes] == [
        (UUID(int=4), UUID(int=5), "overlay")
    ]
    assert policy.option("--cipher") == "aegis128-random"
    assert policy.trees == ("/etc", "/var")
    assert policy.grow == (("once", UUID(int=4)),)
    assert (policy.on_corruption, policy.on_failure) == ("panic", "halt")
    assert policy.switches == ("kiwilite.factory-reset",)
    assert policy.embedded_keys == (policy.volumes[0].keyfile,)


def test_an_initrd_without_policy_is_said_to_have_none() -> None:
    with pytest.raises(BadPolicy, match="no policy"):
        read_initrd(b"").policy()


@pytest.mark.parametrize("line", ["verity x y z", "volume only", "verity a 1 2 3 four / squashfs"])
def test_a_damaged_record_is_an_error(line: str) -> None:
    from kiwilite.ondisk import cpio

    archive = cpio.write([cpio.regular("etc/kiwilite/policy", line.encode())], mtime=0)
    with pytest.raises(BadPolicy):
        read_initrd(archive).policy()
