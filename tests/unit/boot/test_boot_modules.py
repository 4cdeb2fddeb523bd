"""Which kernel modules a list of names brings along."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import synthetic

from kiwilite.boot.modules import (
    Index,
    MissingModule,
    closure,
    hash_modules,
    module_name,
    plain_module,
    read_index,
    render_alias,
    render_dep,
)
from kiwilite.errors import KiwiliteError


@pytest.fixture
def index(tmp_path: Path) -> Index:
    base = tmp_path / "lib/modules" / synthetic.KERNEL
    base.mkdir(parents=True)
    (base / "modules.dep").write_text(
        "kernel/a/dm-mod.ko.xz:\n"
        "kernel/a/dm-bufio.ko.xz: kernel/a/dm-mod.ko.xz\n"
        "kernel/a/dm-verity.ko.xz: kernel/a/dm-bufio.ko.xz kernel/a/dm-mod.ko.xz\n"
        "kernel/x/crc32c-intel.ko.xz:\n"
        "kernel/x/crc32c-generic.ko.xz:\n"
        "kernel/x/libcrc.ko.xz:\n"
        "kernel/x/loop-one.ko.xz:\n"
        "kernel/x/loop-two.ko.xz:\n"
    )
    (base / "modules.builtin").write_text("kernel/drivers/virtio/virtio_pci.ko\n")
    (base / "modules.softdep").write_text(
        "# comment\nsoftdep libcrc pre: crc32c\n"
        "softdep loop-one pre: loop-two\nsoftdep loop_two post: loop-one\n"
    )
    (base / "modules.alias").write_text(
        "# comment\nalias crc32c crc32c_intel\nalias crc32c crc32c_generic\n"
        "alias virtio:d00000002v* virtio_blk\n"
    )
    return read_index(tmp_path, synthetic.KERNEL)


def test_what_a_module_needs_is_loaded_before_it(index: Index) -> None:
    assert closure(index, ["dm-verity"]) == ("dm_mod", "dm_bufio", "dm_verity")


def test_dash_and_underscore_name_the_same_module(index: Index) -> None:
    assert closure(index, ["dm_verity"]) == closure(index, ["dm-verity"])


def test_a_soft_dependency_on_an_alias_brings_every_module_of_that_name(index: Index) -> None:
    assert closure(index, ["libcrc"]) == ("crc32c_intel", "crc32c_generic", "libcrc")


def test_soft_dependencies_may_form_a_circle(index: Index) -> None:
    with_circle = closure(index, ["loop-one"])
    assert sorted(with_circle) == ["loop_one", "loop_two"]


def test_a_built_in_module_is_not_missing(index: Index) -> None:
    assert closure(index, ["virtio-pci"]) == ()


def test_a_missing_required_module_is_named_with_the_package(index: Index) -> None:
    with pytest.raises(MissingModule) as error:
        closure(index, ["aegis128"])
    assert "aegis128" in str(error.value)
    assert "linux-image" in str(error.value)


def test_a_missing_optional_module_is_left_out(index: Index) -> None:
    assert closure(index, [], ["nvme", "dm-mod"]) == ("dm_mod",)


def test_a_kernel_without_modules_dep_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModule, match=r"6\.9 has no modules\.dep"):
        read_index(tmp_path, "6.9")


def test_the_written_dependencies_read_back_the_same(index: Index, tmp_path: Path) -> None:
    names = closure(index, ["dm-verity", "libcrc"])
    base = tmp_path / "again/lib/modules" / synthetic.KERNEL
    base.mkdir(parents=True)
    (base / "modules.dep").write_bytes(render_dep(index, names))
    again = read_index(tmp_path / "again", synthetic.KERNEL)
    assert set(again.files) == set(names)
    assert again.needs == {name: index.needs[name] for name in names}
    assert all(path.endswith(".ko") for path in again.files.values())


def test_only_aliases_of_carried_modules_are_kept(index: Index) -> None:
    assert render_alias(index, ["crc32c_intel"]) == b"alias crc32c crc32c_intel\n"


def test_modules_are_decompressed_whatever_packed_them() -> None:
    assert plain_module(gzip.compress(b"elf"), "a.ko.gz", None) == b"elf"
    assert plain_module(b"packed", "a.ko.zst", lambda raw: raw + b"!") == b"packed!"
    assert plain_module(b"elf", "a.ko", None) == b"elf"
    with pytest.raises(KiwiliteError, match="zstd"):
        plain_module(b"packed", "a.ko.zst", None)


def test_a_path_gives_the_kernels_name_of_the_module() -> None:
    assert module_name("kernel/crypto/aegis128-aesni.ko.xz") == "aegis128_aesni"


def hash_index(modules: str = "", aliases: str = "", builtin: str = "") -> Index:
    """A kernel with these hashes."""
    files = {module_name(path): path for path in modules.split()}
    pairs = dict(line.split() for line in aliases.splitlines())
    return Index(
        directory="lib/modules/1",
        files=files,
        needs=dict.fromkeys(files, ()),
        soft={},
        aliases={alias: (module,) for alias, module in pairs.items()},
        builtin=frozenset(builtin.split()),
    )


@pytest.mark.parametrize(
    ("algorithm", "index", "loaded"),
    [
        # as Debian 13 has them
        ("sha512", hash_index("sha512-ssse3.ko", "sha512 sha512_ssse3", "sha512_generic"),
         ("sha512_ssse3",)),
        ("sha3-256", hash_index(builtin="sha3_generic"), ()),
        ("blake2b-512", hash_index("blake2b_generic.ko"), ("blake2b_generic",)),
        # other kernels
        ("sha384", hash_index("sha512_generic.ko", "sha384 sha512_generic"), ("sha512_generic",)),
        ("sha3-512", hash_index("sha3.ko"), ("sha3",)),
        ("sha256", hash_index(builtin="sha256"), ()),
    ],
)  # fmt: skip
def test_the_hash_of_the_tree_brings_its_module(
    algorithm: str, index: Index, loaded: tuple[str, ...]
) -> None:
    assert closure(index, hash_modules(index, algorithm)) == loaded


def test_a_hash_the_kernel_does_not_have_is_named() -> None:
    with pytest.raises(MissingModule, match="blake2b-512") as error:
        hash_modules(hash_index(builtin="sha256_generic sha512_generic"), "blake2b-512")
    assert "algorithm" in str(error.value.hint)
