"""The overlay's volume at build time: which step makes it, of what, and for whom."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from plan_samples import X86, plan_of, x86

from kiwilite.description.model import Appliance, Keyslot, Luks, Span
from kiwilite.errors import KiwiliteError
from kiwilite.plan import steps as s
from kiwilite.plan.image import format_options
from kiwilite.plan.nodes import Plan
from kiwilite.plan.references import plain

HERE = Span(X86 / "config.xml", 7, 3)
Options = tuple[tuple[str, str], ...]


def built(options: Options = (), filesystem: str = "xfs", **changes: object) -> Appliance:
    """The reference appliance with its overlay made at build time."""
    appliance = x86()
    overlay = appliance.type.overlay
    assert overlay is not None and overlay.luks is not None
    luks = replace(overlay.luks, provisioning="build", options=options)
    luks = replace(luks, **changes)  # type: ignore[arg-type]
    changed = replace(overlay, luks=luks, filesystem=filesystem)
    return replace(appliance, type=replace(appliance.type, overlay=changed))


def luks_of(appliance: Appliance) -> Luks:
    overlay = appliance.type.overlay
    assert overlay is not None and overlay.luks is not None
    return overlay.luks


def volume(plan: Plan) -> s.LuksVolume:
    (found,) = (n.step for n in plan.nodes if isinstance(n.step, s.LuksVolume))
    return found


def disk(plan: Plan) -> s.Disk:
    (found,) = (n.step for n in plan.nodes if isinstance(n.step, s.Disk))
    return found


def test_the_first_boot_makes_the_volume_unless_the_build_does() -> None:
    firstboot = plan_of(x86())
    assert not [n for n in firstboot.nodes if isinstance(n.step, s.LuksVolume)]
    assert [name for name, _ in disk(firstboot).marks] == ["p.lxroot"]
    atbuild = plan_of(built())
    assert disk(atbuild).marks == ()
    assert dict(disk(atbuild).contents)["p.lxroot"] == (s.Output("overlay-luks"),)


def test_a_volume_of_the_build_has_no_nonces_that_could_repeat() -> None:
    step = volume(plan_of(built()))
    assert (step.cipher, step.integrity, step.key_bits) == ("aes-xts-plain64", "hmac-sha256", 512)
    assert (step.sector_size, step.fill, step.journal) == (4096, "sparse", "written")


def test_the_policy_asks_for_the_cipher_the_volume_has() -> None:
    """The initrd refuses a header with another cipher than its policy names."""
    plan = plan_of(built((("--cipher", "aes-gcm-random"), ("--integrity", "aead"))))
    (uki,) = (n.step for n in plan.nodes if isinstance(n.step, s.Uki))
    assert uki.overlay is not None
    options = dict(uki.overlay.format_options)
    step = volume(plan)
    assert (step.cipher, step.integrity) == (options["--cipher"], options["--integrity"])
    assert str(step.sector_size) == options["--sector-size"]
    assert step.volume_id == uki.overlay.volume_id


def test_the_first_boot_keeps_the_reference_cipher_as_its_default() -> None:
    luks = replace(luks_of(x86()), options=())
    assert dict(format_options(luks))["--cipher"] == "aegis128-random"


def test_the_layout_does_not_wait_for_the_volume_that_needs_it() -> None:
    plan = plan_of(built())
    (layout,) = (n.step for n in plan.nodes if isinstance(n.step, s.Layout))
    assert "p.lxroot" not in dict(layout.contents)


def test_every_keyslot_has_its_own_key_and_cost() -> None:
    slots = (
        Keyslot("recovery", "file://recovery.key", "argon2id", HERE),
        Keyslot("spare", "file://spare.key", "pbkdf2", HERE),
    )
    first, recovery, spare = volume(plan_of(built(keyslots=slots))).keys
    assert (first.name, first.pbkdf, first.iterations) == ("", "pbkdf2", 1000)
    assert recovery.passphrase == s.Source(X86 / "recovery.key")
    assert (recovery.name, recovery.pbkdf, recovery.memory) == ("recovery", "argon2id", 65536)
    assert (spare.name, spare.pbkdf, spare.iterations) == ("spare", "pbkdf2", 600_000)


def test_the_cost_of_the_first_keyslot_is_the_description_s() -> None:
    options = (
        ("--pbkdf", "argon2id"),
        ("--pbkdf-memory", "32768"),
        ("--pbkdf-parallel", "1"),
        ("--pbkdf-force-iterations", "5"),
    )
    (key,) = volume(plan_of(built(options))).keys
    assert (key.pbkdf, key.memory, key.parallel, key.iterations) == ("argon2id", 32768, 1, 5)


def test_the_passphrase_is_not_in_what_a_plan_shows() -> None:
    plan = plan_of(built(passphrase="correct horse"))
    assert "correct horse" not in json.dumps([plain(n.step) for n in plan.nodes])
    assert "correct horse" not in repr(plan)


def test_only_xfs_is_made_at_build_time() -> None:
    with pytest.raises(KiwiliteError, match="ext4") as caught:
        plan_of(built(filesystem="ext4"))
    assert caught.value.where == str(luks_of(x86()).span)
    assert caught.value.hint
