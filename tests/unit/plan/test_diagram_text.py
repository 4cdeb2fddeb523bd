"""The picture in characters: golden for a small description, and what holds for all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from diagram_samples import CIRCLE, board, drawn, elsewhere, hostile, profiles, small, write

from kiwilite.description.report.printable import columns as cells
from kiwilite.plan.diagram.canvas import Canvas
from kiwilite.plan.diagram.gutter import MOST_LANES, gutter_width, trunks
from kiwilite.plan.diagram.model import Arrow, Box
from kiwilite.plan.diagram.text import WIDTH, text

SMALL = """\
small 1.0.0
x86_64, image="oem", profiles product

Profiles
● holds, ○ does not; by default: selected where no profile is asked for
    ┌──────────────────────────────────────────────────────────────────────────┐
┌──▶│ ● product                                                     by default │
│   │   The product part                                                       │
│   └──────────────────────────────────────────────────────────────────────────┘
│   ┌──────────────────────────────────────────────────────────────────────────┐
│   │ ○ debug                                                                  │
└───┤   requires product                                                       │
    │   The debug part                                                         │
    │   overlay tree debug/                                                    │
    │   packages image: 1 package                                              │
    └──────────────────────────────────────────────────────────────────────────┘
    ┌──────────────────────────────────────────────────────────────────────────┐
    │ ● always                                                                 │
    │   overlay tree root/                                                     │
    │   preferences: version 1.0.0, type oem                                   │
    │   repository: debian                                                     │
    │   packages image: 5 packages                                             │
    └──────────────────────────────────────────────────────────────────────────┘

Packages
┌─ repositories ──────────────────────────────────────────────────── 1 source ─┐
│ ● debian                    distro:debian trixie                             │
└──────────────────────────────────────────────────────────────────────────────┘
                                        ▼
┌─ image: the system ──────────────────────────────────────── 5 of 6 packages ─┐
│ ● always                  5 linux-image-cloud-amd64  busybox  cryptsetup-bin │
│                             systemd-boot-efi  xfsprogs                       │
│ ○ debug                   1 strace                                           │
└──────────────────────────────────────────────────────────────────────────────┘

Storage
disk of 2 GiB, not drawn to scale
                                           ┌───────────────────────────────────┐
                                           │/                                  │
                                           │overlayfs                          │
                                           ├────────────┬──────────────────────┤
                                           │squashfs    │xfs                   │
                                           │lower:      │upper: what is written│
                                           │read-only   │made at the first boot│
         ┌───────────────┐      ┌──────────┤            ├──────────────────────┤
         │firmware       │      │/opt/tools│            │dm-crypt              │
         │starts it      │      │squashfs, │            │LUKS2, authenticated  │
         │               │      │read-only │            │aegis128-random       │
         ├───────────────┼──────┼──────────┼────────────┼──────────────────────┤
         │UKI            │/home │dm-verity │dm-verity   │dm-integrity          │
         │small-1.0.0.efi│ext4  │root hash │root hash in│                      │
         │               │      │in the UKI│the UKI     │                      │
┌────────┼───────────────┼──────┼──────────┼────────────┼──────────────────────┤
│p.legacy│p.UEFI         │home  │tools     │p.lxreadonly│p.lxroot              │
│2 MiB   │as its content │64 MiB│as its    │as its      │the rest              │
│BIOS    │               │      │content   │content     │grows with the disk   │
│boot,   │               │      │          │            │                      │
│empty   │               │      │          │            │                      │
└────────┴───────────────┴──────┴──────────┴────────────┴──────────────────────┘

sectors             512 bytes
MBR                 protective
boots with          UEFI
"""


def test_a_small_description_looks_like_this(tmp_path: Path) -> None:
    assert text(drawn(small(tmp_path / "small"))) == SMALL


@pytest.mark.parametrize("make", [small, board, hostile, elsewhere])
def test_no_line_is_wider_than_a_terminal(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    shown = text(drawn(make(tmp_path / "description")))
    assert max(cells(line) for line in shown.splitlines()) <= WIDTH
    assert not [line for line in shown.splitlines() if line != line.rstrip()]


def test_hostile_texts_neither_steer_the_terminal_nor_break_the_frames(tmp_path: Path) -> None:
    shown = text(drawn(hostile(tmp_path / "hostile"), "y"))
    assert not set(shown) & set("\u202e\u202c\u009b\x1b\r\t")
    inside = shown.split("Packages\n")[1].split("\n\n")[0].splitlines()
    assert {cells(line) for line in inside if "▼" not in line} == {WIDTH}


def test_many_packages_are_folded_and_counted(tmp_path: Path) -> None:
    shown = text(drawn(board(tmp_path / "board")))
    assert "● always                155 linux-image-cloud-amd64" in shown
    assert "… and 1" in shown
    assert len(shown.splitlines()) < 250


def test_a_circle_of_profiles_is_drawn_too(tmp_path: Path) -> None:
    shown = text(drawn(write(tmp_path, profiles(CIRCLE, "b")), "a"))
    wanted = [line.split("requires ")[1][0] for line in shown.splitlines() if "requires" in line]
    assert wanted == ["b", "c", "a"]
    assert sum("▶│ ●" in line for line in shown.splitlines()) == 3


def test_a_disk_that_cannot_be_drawn_is_a_sentence_with_the_reasons(tmp_path: Path) -> None:
    shown = text(drawn(elsewhere(tmp_path / "elsewhere")))
    _, storage = shown.split("Storage\n")
    assert storage.startswith("There is no disk to draw")
    assert 'appliance.kiwi:3: `image="docker"` is not built by kiwilite' in storage
    assert "● one" in shown
    assert "1 vim" in shown


def boxes(count: int) -> list[Box]:
    return [Box(str(n), f"p{n}") for n in range(count)]


def test_arrows_to_one_box_share_a_line_and_lines_that_overlap_have_lanes_of_their_own() -> None:
    arrows = [Arrow("1", "0"), Arrow("2", "0"), Arrow("2", "1"), Arrow("4", "3")]
    found = {t.target: t for t in trunks(boxes(5), arrows)}
    assert found["0"].sources == ("1", "2")
    assert found["0"].lane != found["1"].lane
    assert found["3"].lane == 0


def test_the_gutter_never_takes_more_than_its_share() -> None:
    arrows = [Arrow(str(a), str(b)) for a in range(30) for b in range(a)]
    assert gutter_width(trunks(boxes(30), arrows)) == 2 * MOST_LANES + 2
    assert gutter_width(trunks(boxes(3), [])) == 0


def test_lines_that_meet_join() -> None:
    canvas = Canvas()
    canvas.frame(0, 0, 5, 3)
    canvas.frame(4, 0, 5, 3)
    canvas.horizontal(0, 1, 4)
    assert canvas.rows() == ["┌───┬───┐", "├───┤   │", "└───┴───┘"]


def test_a_wide_character_takes_two_columns_and_a_mark_none() -> None:
    canvas = Canvas()
    canvas.text(0, 0, "日e\u0301x")
    assert canvas.rows() == ["日e\u0301x"]
    assert cells("日e\u0301x") == 4
