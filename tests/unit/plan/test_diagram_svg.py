"""The SVG: valid, self-contained, the same every time, and nothing lies on anything else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from diagram_samples import (
    BOARD,
    CIRCLE,
    board,
    drawn,
    elsewhere,
    hostile,
    profiles,
    small,
    write,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import X86
from svg_geometry import SVG, Drawn, Rect, read

from kiwilite.plan.diagram.model import Arrow, Box, Diagram
from kiwilite.plan.diagram.svg import svg


@dataclass(frozen=True)
class Case:
    """A description, and the picture of it."""

    diagram: Diagram
    text: str
    seen: Drawn


def circle(folder: Path) -> Path:
    return write(folder, profiles(CIRCLE, "b"))


def bare(folder: Path) -> Path:
    return write(folder, "")


SAMPLES: Mapping[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "small": (small, ()),
    "debug": (small, ("debug",)),
    "board": (board, ()),
    "field-test": (board, ("field-test",)),
    "circle": (circle, ()),
    "hostile": (hostile, ("y",)),
    "elsewhere": (elsewhere, ()),
    "bare": (bare, ()),
    "x86": (lambda _: X86, ()),
    "x86-development": (lambda _: X86, ("development",)),
}


@pytest.fixture(scope="module", params=SAMPLES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    maker, requested = SAMPLES[request.param]
    diagram = drawn(maker(tmp_path_factory.mktemp("drawn") / "description"), *requested)
    text = svg(diagram)
    return Case(diagram, text, read(text))


def overlapping(boxes: Mapping[str, Rect]) -> list[tuple[str, str]]:
    pairs = combinations(boxes.items(), 2)
    return [(a, b) for (a, first), (b, second) in pairs if first.overlaps(second)]


def test_no_two_boxes_overlap(case: Case) -> None:
    assert case.seen.boxes
    assert overlapping(case.seen.boxes) == []
    assert overlapping(case.seen.lanes) == []


def test_every_text_lies_inside_its_box(case: Case) -> None:
    assert case.seen.texts.keys() == case.seen.boxes.keys()
    for key, texts in case.seen.texts.items():
        assert all(case.seen.boxes[key].contains(text) for text in texts), key


def test_no_two_texts_overlap(case: Case) -> None:
    texts = [*case.seen.free, *(t for found in case.seen.texts.values() for t in found)]
    assert not [pair for pair in combinations(texts, 2) if pair[0].overlaps(pair[1])]


def test_all_of_it_is_in_view(case: Case) -> None:
    everything = [*case.seen.boxes.values(), *case.seen.lanes.values(), *case.seen.free]
    assert all(case.seen.view.contains(rect) for rect in everything)


def test_texts_outside_of_boxes_keep_clear_of_them(case: Case) -> None:
    for text in case.seen.free:
        assert not [key for key, box in case.seen.boxes.items() if box.overlaps(text)]


def test_every_box_of_a_lane_is_in_its_frame(case: Case) -> None:
    for lane in case.diagram.lanes:
        frame = case.seen.lanes[lane.key]
        assert all(frame.contains(case.seen.boxes[box.key]) for box in lane.boxes)


def test_every_arrow_goes_from_a_box_to_a_box_and_crosses_none(case: Case) -> None:
    places = case.seen.boxes | case.seen.lanes
    wanted = [(a.source, a.target) for a in (*case.diagram.requires, *case.diagram.flow)]
    assert sorted((a.source, a.target) for a in case.seen.arrows) == sorted(wanted)
    for arrow in case.seen.arrows:
        assert places[arrow.source].on_border(arrow.points[0])
        assert places[arrow.target].on_border(arrow.points[-1])
        for key, box in case.seen.boxes.items():
            assert not any(box.has_inside(point) for point in arrow.points), (arrow, key)


def test_every_box_of_the_data_is_drawn(case: Case) -> None:
    wanted = [case.diagram.always, *case.diagram.profiles]
    wanted += [box for lane in case.diagram.lanes for box in lane.boxes]
    if case.diagram.disk is not None:
        disk = case.diagram.disk
        wanted += [c.box for c in disk.columns]
        wanted += [s.box for s in (*disk.stacked, *disk.below)]
    assert {box.key for box in wanted} == case.seen.boxes.keys()


def test_every_key_stands_once(case: Case) -> None:
    keys = re.findall(r'\bid="([^"]*)"', case.text)
    assert len(keys) == len(set(keys))


def test_it_says_what_it_is_to_who_cannot_see_it(case: Case) -> None:
    root = ElementTree.fromstring(case.text.encode())
    assert root.attrib["role"] == "img"
    named = {e.attrib["id"]: e.text for e in root if e.tag in (f"{SVG}title", f"{SVG}desc")}
    assert list(named) == root.attrib["aria-labelledby"].split()
    assert all(named.values())


def test_it_needs_nothing_from_elsewhere_and_runs_nothing(case: Case) -> None:
    root = ElementTree.fromstring(case.text.encode())
    tags = {e.tag.removeprefix(SVG) for e in root.iter()}
    assert tags <= {
        *("svg", "title", "desc", "style", "defs", "marker", "path", "rect", "g", "text"),
    }
    names = {name for e in root.iter() for name in e.attrib}
    assert not [name for name in names if "href" in name or name.startswith("on")]
    assert set(re.findall(r"url\((.)", case.text)) <= {"#"}
    assert "@import" not in case.text


def test_it_is_light_and_dark(case: Case) -> None:
    assert "@media (prefers-color-scheme:dark){" in case.text
    assert "font-family:system-ui,sans-serif" in case.text


def test_what_has_no_place_in_the_picture_is_in_the_tooltips(tmp_path: Path) -> None:
    diagram = drawn(board(tmp_path / "board"))
    seen = read(svg(diagram))
    boxes = [box for lane in diagram.lanes for box in lane.boxes]
    assert sum(len(box.names) for box in boxes) >= 300
    for box in boxes:
        assert set(box.names) <= set(seen.tooltips[box.key].split())


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    text = svg(drawn(hostile(tmp_path / "hostile"), "y"))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not set(text) & set("\u202e\u202c\u009b\u200b")


def test_a_disk_that_cannot_be_drawn_is_a_sentence(tmp_path: Path) -> None:
    text = svg(drawn(elsewhere(tmp_path / "elsewhere")))
    assert "There is no disk to draw" in text
    assert 'class="box partition"' not in text


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from diagram_samples import drawn
from kiwilite.plan.diagram.svg import svg
from kiwilite.plan.diagram.text import text
picture = drawn(Path(sys.argv[2]), "field-test")
sys.stdout.buffer.write((svg(picture) + text(picture)).encode())
"""


def test_the_same_description_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    file = board(tmp_path / "board")
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(file)]
    found = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("0", "1", "77")
    }
    assert len(found) == 1


def graph(count: int, edges: Sequence[tuple[int, int]], widths: Sequence[int]) -> Diagram:
    """A picture of profiles only; `widths` are the lengths of their descriptions."""
    boxes = tuple(
        Box(f"profile-{n}", f"p{n}", lines=("word " * widths[n % len(widths)],))
        for n in range(count)
    )
    arrows = tuple(Arrow(f"profile-{a}", f"profile-{b}") for a, b in dict.fromkeys(edges))
    return Diagram("t", "s", Box("always", "always"), boxes, arrows, (), (), None, ("none",))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_profiles_that_require_each_other_in_any_way_are_drawn_apart(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 14))
    ends = st.integers(0, count - 1)
    edges = data.draw(st.lists(st.tuples(ends, ends).filter(lambda e: e[0] != e[1]), max_size=30))
    widths = data.draw(st.lists(st.integers(0, 40), min_size=1, max_size=5))
    diagram = graph(count, edges, widths)
    text = svg(diagram)
    case = Case(diagram, text, read(text))
    test_no_two_boxes_overlap(case)
    test_every_text_lies_inside_its_box(case)
    test_all_of_it_is_in_view(case)
    test_every_arrow_goes_from_a_box_to_a_box_and_crosses_none(case)


def test_who_requires_stands_left_of_what_is_required() -> None:
    with tempfile.TemporaryDirectory() as folder:
        diagram = drawn(board(Path(folder) / "board"))
    seen = read(svg(diagram)).boxes
    keys = {box.title: box.key for box in diagram.profiles}
    for name, wanted in BOARD.items():
        for other in wanted:
            assert seen[keys[name]].x + seen[keys[name]].width < seen[keys[other]].x
