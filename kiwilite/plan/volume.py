"""The overlay's encrypted volume where it is made at build time."""

from __future__ import annotations

from kiwilite.description.model import Appliance, Luks
from kiwilite.errors import KiwiliteError
from kiwilite.plan import disk as d
from kiwilite.plan.identity import derived_uuid
from kiwilite.plan.image_steps import LuksVolume, OverlayTarget, VolumeKey
from kiwilite.plan.nodes import LAYOUT, OVERLAY, Context, Node
from kiwilite.plan.references import Output, Secret, Source

BUILD = "build"
BUILD_CIPHER = (
    ("--cipher", "aes-xts-plain64"),
    ("--key-size", "512"),
    ("--integrity", "hmac-sha256"),
)
"""Where the description names no cipher: every device flashed from the image has the same
volume key, and this one has no nonces that could repeat on two of them."""

RECOVERY_PBKDF2_ITERATIONS = 600_000
RECOVERY_ARGON2 = (
    ("--pbkdf-force-iterations", 4),
    ("--pbkdf-memory", 65536),
    ("--pbkdf-parallel", 2),
)
"""What a further keyslot's derivation costs (KiB of memory): a person may have chosen its key."""


def made_at_build(luks: Luks | None) -> bool:
    """Whether the image carries the volume, and not a mark that asks for one."""
    return luks is not None and luks.provisioning == BUILD


def secret_or_file(appliance: Appliance, text: str) -> Secret | Source:
    """A secret as written, or the file it is referred to by (`file://`, from the description)."""
    if text.startswith("file://"):
        return Source(appliance.directory / text.removeprefix("file://"))
    return Secret(text)


def volume_nodes(context: Context, target: OverlayTarget | None) -> list[Node]:
    """The step that makes the overlay's volume; none where the first boot does it."""
    overlay = context.appliance.type.overlay
    if target is None or overlay is None or overlay.luks is None:
        return []
    if not made_at_build(overlay.luks):
        return []
    return [
        Node(
            OVERLAY,
            "encrypted overlay, a new key in every build",
            _volume(context, overlay.luks, target),
        )
    ]


def _volume(context: Context, luks: Luks, target: OverlayTarget) -> LuksVolume:
    where = str(luks.span)
    if target.filesystem != "xfs":
        raise KiwiliteError(
            f"the overlay's volume cannot be made with {target.filesystem} at build time",
            where=where,
            hint='use filesystem="xfs", or provisioning="firstboot"',
        )
    options = dict(target.format_options)
    key_bits = options.get("--key-size")
    return LuksVolume(
        layout=Output(LAYOUT),
        partition=d.READ_WRITE,
        cipher=options.get("--cipher", ""),
        integrity=options.get("--integrity", ""),
        key_bits=int(key_bits) if key_bits else None,
        sector_size=int(options["--sector-size"]),
        uuid=derived_uuid(context.seed, "overlay LUKS"),
        volume_id=target.volume_id,
        filesystem_uuid=derived_uuid(context.seed, "overlay filesystem"),
        keys=_keys(context.appliance, luks, target),
        fill=luks.fill,
        journal=luks.journal,
        where=where,
        epoch=context.epoch,
    )


def _keys(appliance: Appliance, luks: Luks, target: OverlayTarget) -> tuple[VolumeKey, ...]:
    first = _key("", target.passphrase, dict(target.format_options))
    return (first, *(_further(appliance, k.name, k.key, k.pbkdf) for k in luks.keyslots))


def _further(appliance: Appliance, name: str, key: str, pbkdf: str) -> VolumeKey:
    options = {"--pbkdf": pbkdf}
    if pbkdf == "pbkdf2":
        options["--pbkdf-force-iterations"] = str(RECOVERY_PBKDF2_ITERATIONS)
    else:
        options |= {option: str(value) for option, value in RECOVERY_ARGON2}
    return _key(name, secret_or_file(appliance, key), options)


def _key(name: str, passphrase: Secret | Source, options: dict[str, str]) -> VolumeKey:
    defaults = dict(RECOVERY_ARGON2)
    pbkdf = options.get("--pbkdf", "argon2id")
    if pbkdf == "pbkdf2":
        defaults["--pbkdf-force-iterations"] = RECOVERY_PBKDF2_ITERATIONS
    cost = {option: int(options.get(option, value)) for option, value in defaults.items()}
    return VolumeKey(
        name=name,
        passphrase=passphrase,
        pbkdf=pbkdf,
        iterations=cost["--pbkdf-force-iterations"],
        memory=cost["--pbkdf-memory"],
        parallel=cost["--pbkdf-parallel"],
    )
