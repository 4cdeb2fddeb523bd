"""What is said of a command line that fits no usage."""

from __future__ import annotations

import pytest

from kiwilite.cli.parse import parse
from kiwilite.cli.store import USAGE
from kiwilite.errors import UsageError


def test_words_that_fit_no_usage_are_said_as_they_were_given() -> None:
    with pytest.raises(UsageError) as caught:
        parse(USAGE, ["store", "lst"])
    assert caught.value.message == "these words do not fit together: store lst"


def test_an_option_without_its_value_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        parse(USAGE, ["store", "gc", "--max-size"])
    assert "--max-size" in caught.value.message
    assert "Argument(" not in caught.value.message
