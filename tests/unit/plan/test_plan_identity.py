"""Names that must be the same on every build, and never for two purposes."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from kiwilite.plan.identity import derived_hex, derived_uuid, derived_volume_id

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def test_these_values_never_change() -> None:
    """Devices in the field find their partitions by them."""
    assert derived_uuid("image", "partition home") == UUID("7ebaf597-baba-5c99-b34c-b45368fd2791")
    assert derived_hex("image", "salt root", 32) == (
        "58b995be5b8289540ad867168d55722686978f009292bff4c8e5fabb697ee1b7"
    )
    assert derived_volume_id("image", "esp") == 612771102


def test_a_uuid_is_of_version_5() -> None:
    assert derived_uuid("a", "b").version == 5
    assert derived_uuid("a", "b").variant == RFC_4122


@given(TEXT, TEXT, TEXT, TEXT)
def test_two_purposes_or_two_images_share_nothing(a: str, b: str, c: str, d: str) -> None:
    same = (a, b) == (c, d)
    assert (derived_uuid(a, b) == derived_uuid(c, d)) == same
    assert (derived_hex(a, b, 32) == derived_hex(c, d, 32)) == same


@given(st.integers(0, 32))
def test_hexadecimal_text_has_the_length_asked_for(length: int) -> None:
    assert len(bytes.fromhex(derived_hex("image", "salt", length))) == length


@given(TEXT, TEXT)
def test_a_volume_id_has_32_bits(seed: str, purpose: str) -> None:
    assert 0 <= derived_volume_id(seed, purpose) < 1 << 32
