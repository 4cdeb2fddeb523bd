"""Ages for people."""

from __future__ import annotations

import pytest

from kiwilite.cli.report import human_age


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a minute"),
        (59.9, "less than a minute"),
        (60, "1 minute"),
        (119, "1 minute"),
        (120, "2 minutes"),
        (3600, "1 hour"),
        (7200, "2 hours"),
        (86399, "23 hours"),
        (86400, "1 day"),
        (30 * 86400, "30 days"),
    ],
)
def test_an_age_has_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert human_age(seconds) == text
