"""The resolved appliance: what a description says once profiles and architecture are chosen.

Frozen data, no behaviour beyond look-ups. Names follow KIWI's vocabulary. Every
part that a later room may have to complain about carries the `Span` it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kiwilite.description.snapshot import at_time


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a description file; line and column count from 1."""

    file: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Specification:
    """`<description>`: who made the appliance and what it is for."""

    author: str
    contact: str
    specification: str


@dataclass(frozen=True, slots=True)
class Preferences:
    """The `<preferences>` that hold for the selected profiles."""

    version: str
    packagemanager: str = "apt"
    locale: str | None = None
    keytable: str | None = None
    timezone: str | None = None
    script_network: bool = False
    """kiwilite's own: description scripts may use the network."""
    source_date_epoch: int | None = None
    """kiwilite's own: seconds since 1970 that clamp every time stamp."""


@dataclass(frozen=True, slots=True)
class Size:
    """`<size>`: the disk's size in bytes; additive means on top of the contents."""

    bytes: int
    additive: bool
    unpartitioned: int
    """Bytes left without a partition at the end of the disk."""
    span: Span


@dataclass(frozen=True, slots=True)
class PartitionElement:
    """One `<partition>`; size in bytes, 0 for as many as its content needs (squashfs only)."""

    name: str
    size: int
    filesystem: str | None
    mountpoint: str | None
    label: str | None
    partition_type: str | None
    span: Span
    partition_name: str | None = None
    """Name in the partition table, where the description gives one."""
    encrypted: bool = False
    """kiwilite's own: under the overlay's encryption and key, provisioned at the first boot."""
    reset: bool = False
    """kiwilite's own: a factory reset makes its file system anew."""
    mountoptions: str | None = None
    """kiwilite's own: mount options, separated by commas, in place of kiwilite's."""


@dataclass(frozen=True, slots=True)
class Bootloader:
    """`<bootloader>`; timeout in seconds."""

    name: str
    timeout: int | None
    span: Span


@dataclass(frozen=True, slots=True)
class Keyslot:
    """kiwilite's own `<keyslot>`: a further key of a volume that is made at build time.

    `key` is `file://PATH`, relative to the description.
    """

    name: str
    key: str
    pbkdf: Literal["argon2id", "pbkdf2"]
    span: Span


@dataclass(frozen=True, slots=True)
class Luks:
    """The encryption of the overlay's write partition.

    `passphrase` is the text of `luks=`; `options` are the `<luksformat>` options
    in order, as (name, value) pairs, value "" where there is none.
    """

    passphrase: str
    version: str
    options: tuple[tuple[str, str], ...]
    unlock: str
    """kiwilite's own `luks_unlock`: "embedded" puts the passphrase into the initrd."""
    provisioning: str
    """kiwilite's own: "firstboot" or "build"."""
    span: Span
    fill: Literal["sparse", "full"] = "sparse"
    """kiwilite's own: write what the file system has written only, or the whole volume."""
    journal: Literal["written", "deferred"] = "written"
    """kiwilite's own: dm-integrity's journal at build time, or by the kernel at the first open."""
    keyslots: tuple[Keyslot, ...] = ()
    """Beside the slot of `passphrase`."""


@dataclass(frozen=True, slots=True)
class VeritySettings:
    """kiwilite's own `<verity>`: how the hash trees of all squashfs partitions are made.

    Block sizes are bytes; `salt` is hexadecimal, None where one is derived from the
    appliance's name; `metadata_key` is `file://PATH` of the RSA private key (PEM) that
    signs the metadata block, relative to the description.
    """

    span: Span
    algorithm: str = "sha256"
    salt: str | None = None
    data_block_size: int = 4096
    hash_block_size: int = 4096
    hash_tree: Literal["appended", "partition"] = "appended"
    fec_roots: int | None = None
    """Parity bytes per 255 of forward error correction, 2 to 24; None for none."""
    on_corruption: Literal["eio", "restart", "panic"] = "eio"
    metadata_key: str | None = None


@dataclass(frozen=True, slots=True)
class Overlay:
    """`overlayroot=`: a squashfs root below a writable file system."""

    write_partition: bool
    filesystem: str
    """File system of the write partition."""
    verity_blocks: str | None
    """"all", a number as text, or None for no verity."""
    embed_verity_metadata: bool
    luks: Luks | None
    verity: VeritySettings
    trees: tuple[str, ...]
    """kiwilite's own: directories that can be written to; empty stands for all of `/`."""
    span: Span
    verity_blocks_span: Span | None = None
    """Where `verity_blocks` stands."""


@dataclass(frozen=True, slots=True)
class HybridEntry:
    """kiwilite's own `<entry>` of `<hybridmbr>`: a partition that the MBR shows too.

    `type` is the MBR's type byte, None for the one that fits the partition.
    """

    partition: str
    type: int | None
    active: bool
    span: Span


@dataclass(frozen=True, slots=True)
class ImageType:
    """The chosen `<type>`; sizes in bytes."""

    image: str
    filesystem: str | None
    firmware: str
    format: str | None
    kernelcmdline: str
    gpt_hybrid_mbr: bool
    efipartsize: int | None
    squashfscompression: str
    squashfscompression_level: int | None
    """kiwilite's own: the compressor's level; None where the compressor decides."""
    overlay: Overlay | None
    partitions: tuple[PartitionElement, ...]
    size: Size | None
    bootloader: Bootloader | None
    target_blocksize: int
    on_failure: str
    """kiwilite's own: "reboot", "halt" or "shell" when the root cannot be assembled."""
    span: Span
    bios: bool = False
    """`eficsm="true"`, written out: the image boots under legacy BIOS too."""
    dps_types: bool = False
    """`apply_dps_codes`: type GUIDs of the Discoverable Partitions Specification."""
    initrd_system: Literal["kiwilite", "dracut"] = "kiwilite"
    """What makes the initrd; "dracut" only where the description says so."""
    grow: Literal["never", "always", "once"] = "never"
    """`oem-resize`, `oem-resize-once`: the overlay's partition, the last, grows with the disk."""
    hybrid: tuple[HybridEntry, ...] = ()
    """Empty: with `gpt_hybrid_mbr` the first three partitions, as KIWI has them."""
    boot_switches: tuple[str, ...] = ()
    """kiwilite's own: switches that the policy honours beside those of `kernelcmdline`."""


@dataclass(frozen=True, slots=True)
class User:
    """`<user>`; `groups` are names, the first is the primary one, "name:gid" is split off."""

    name: str
    password: str | None
    pwdformat: str
    uid: int | None
    realname: str | None
    home: str | None
    shell: str | None
    groups: tuple[tuple[str, int | None], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Repository:
    """`<repository>`: a place packages come from.

    `path` is `<source path=…>` as written: `distro:debian`, `http(s)://…`,
    `file://…` or `dir:…`. `snapshot` is the time that takes the place of `{snapshot}` in it,
    such as 20260101T000000Z.
    """

    type: str
    path: str
    alias: str | None
    distribution: str | None
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    priority: int | None
    imageinclude: bool
    imageonly: bool
    use_gpg: bool
    signing_keys: tuple[str, ...]
    username: str | None
    password: str | None
    span: Span
    snapshot: str | None = None

    @property
    def address(self) -> str:
        """`path` with the time in its place."""
        return at_time(self.path, self.snapshot) if self.snapshot else self.path


@dataclass(frozen=True, slots=True)
class Package:
    """`<package>` of the selected profiles and architecture."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Archive:
    """`<archive>`: unpacked below `target_dir` in the tree."""

    name: str
    target_dir: str
    bootstrap: bool
    span: Span


@dataclass(frozen=True, slots=True)
class FileElement:
    """`<file>`: one file copied from the description directory; permissions as octal number."""

    name: str
    target: str | None
    owner: str | None
    permissions: int | None
    bootstrap: bool
    span: Span


@dataclass(frozen=True, slots=True)
class BootstrapPackage:
    """`bootstrap_package=`: the prebuilt archive a tree starts from.

    `digest` is kiwilite's own `bootstrap_digest="sha256:…"`, hexadecimal part only.
    """

    name: str
    digest: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Packages:
    """All `<packages>` sections that hold, by what they are for, in document order."""

    bootstrap: tuple[Package, ...]
    image: tuple[Package, ...]
    delete: tuple[Package, ...]
    uninstall: tuple[Package, ...]
    bootstrap_package: BootstrapPackage | None
    recommends: bool
    """patternType="plusRecommended" on the image section."""


@dataclass(frozen=True, slots=True)
class Appliance:
    """A description, resolved for one set of profiles and one architecture."""

    name: str
    displayname: str | None
    schemaversion: str
    arch: str
    """Machine name as `uname -m` has it, for example x86_64."""
    file: Path
    directory: Path
    profiles: tuple[str, ...]
    """Active profiles in KIWI's order (a requirer stands before what it requires)."""
    specification: Specification
    preferences: Preferences
    type: ImageType
    users: tuple[User, ...]
    repositories: tuple[Repository, ...]
    packages: Packages
    archives: tuple[Archive, ...]
    files: tuple[FileElement, ...]
    scripts: tuple[tuple[str, Path], ...]
    """(name without .sh, path) of the KIWI scripts that stand beside the description."""
    overlay_trees: tuple[Path, ...]
    """`root/` and one directory per active profile, where they exist, in order."""
    span: Span
    dracut_configuration: tuple[Path, ...] = ()
    """`etc/dracut.conf.d` of the overlay trees that have one."""
    environment: tuple[tuple[str, str], ...] = ()
    """KIWI's `kiwi_*` variables, (name, value), sorted."""
    bootstrap_variables: tuple[tuple[str, str], ...] = ()
    """Those of `environment` that post_bootstrap.sh is given."""
    script_variables: tuple[tuple[str, str], ...] = ()
    """Those of `environment` that the other scripts are given."""

    def script(self, name: str) -> Path | None:
        """Path of KIWI script `name` (such as "config"), or None."""
        return dict(self.scripts).get(name)
