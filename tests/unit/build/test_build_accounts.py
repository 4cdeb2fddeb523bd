"""Plain passwords become the same hash on every build, and it is the right one."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.build.accounts import hashed_password

PASSWORD = st.text(
    alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40
)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@given(PASSWORD)
@settings(max_examples=15, deadline=None)
def test_openssl_gives_the_same_hash_for_the_same_salt(password: str) -> None:
    hashed = hashed_password(password, "image", "root")
    salt = hashed.split("$")[2]
    done = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, "-stdin"],
        input=password,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashed


def test_a_password_of_more_than_ascii_is_taken_as_utf_8() -> None:
    assert hashed_password("pässwörd", "image", "root").startswith("$6$")


def test_the_hash_is_the_same_on_every_build() -> None:
    assert hashed_password("linux", "image", "root") == hashed_password("linux", "image", "root")


@pytest.mark.parametrize(
    "other", [("linux2", "image", "root"), ("linux", "other", "root"), ("linux", "image", "admin")]
)
def test_password_image_and_user_each_change_the_salt(other: tuple[str, str, str]) -> None:
    salts = {hashed_password(*words).split("$")[2] for words in (other, ("linux", "image", "root"))}
    assert len(salts) == 2
    assert all(len(salt) == 16 for salt in salts)
