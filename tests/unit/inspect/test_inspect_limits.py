"""What is not promised is told of each image it is true of."""

from __future__ import annotations

from typing import cast
from uuid import UUID

import pytest
from test_inspect_bootimage import image, opened

from kiwilite.boot.policy import Volume
from kiwilite.inspect.checked import Checked
from kiwilite.inspect.limits import limits
from kiwilite.inspect.look import Seen
from kiwilite.inspect.seals import Seal
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Table


@pytest.mark.parametrize("volumes", [0, 1])
def test_that_a_mark_stops_no_attacker_is_told_of_every_image_with_a_volume(volumes: int) -> None:
    """Whether a mark stands there or a volume: who can write can exchange one for the other."""
    rows = tuple(Volume("luks", UUID(int=8), UUID(int=9), "xfs") for _ in range(volumes))
    boot = opened(image(volumes=rows))
    nothing = cast(Disk, None), cast(Table, None), ()
    seen = Seen(*nothing, (boot,), Seal((), 0, ()), Checked())
    said = [line for line in limits(seen) if "prevents accidents, not attackers" in line]
    assert len(said) == volumes
