"""The menu for GRUB says what the unified kernel image says, and can be read back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.ondisk.grub import BadGrub
from kiwilite.ondisk.grub_menu import MenuEntry, kernel_words, read, render

MAIN = MenuEntry("main", "Appliance", "console=ttyS0 roothash=abc")
RESET = MenuEntry("factory-reset", "Appliance (factory reset)", "roothash=abc reset")


def test_the_file_for_two_entries_is_this() -> None:
    assert render([MAIN, RESET], timeout=5).splitlines()[2:] == [
        "serial --unit=0 --speed=115200",
        "terminal_input console serial",
        "terminal_output console serial",
        "set default=main",
        "set timeout_style=menu",
        "set timeout=5",
        "menuentry 'Appliance' --id main {",
        "    linux /kiwilite/linux 'console=ttyS0' 'roothash=abc'",
        "    initrd /kiwilite/initrd",
        "}",
        "menuentry 'Appliance (factory reset)' --id factory-reset {",
        "    linux /kiwilite/linux 'roothash=abc' 'reset'",
        "    initrd /kiwilite/initrd",
        "}",
    ]


def test_without_a_timeout_the_menu_is_hidden_for_one_second() -> None:
    assert "timeout_style=hidden\nset timeout=1\n" in render([MAIN, RESET], timeout=0)


def test_a_single_entry_starts_at_once() -> None:
    text = render([MAIN], timeout=10)
    assert "set timeout=0\n" in text
    assert "hidden" not in text


def test_the_speed_of_the_serial_console_is_the_kernel_s() -> None:
    entry = MenuEntry("main", "A", "console=tty0 console=ttyS1,9600n8 x")
    assert "serial --unit=1 --speed=9600\n" in render([entry], timeout=0)
    assert "serial" not in render([MenuEntry("main", "A", "console=tty0")], timeout=0)


def test_a_title_is_no_script() -> None:
    hostile = MenuEntry("main", "O'Hara; halt } $root `x`", "a")
    (found,) = read(render([hostile], timeout=0))
    assert found == hostile
    assert r"menuentry 'O'\''Hara; halt } $root `x`' --id main {" in render([hostile], timeout=0)


@pytest.mark.parametrize("cmdline", ["a=\\n", "it's", 'a="b'])
def test_what_grub_would_change_is_refused(cmdline: str) -> None:
    with pytest.raises(BadGrub):
        render([MenuEntry("main", "A", cmdline)], timeout=0)


@pytest.mark.parametrize(("name", "title"), [("", "A"), ("main", ""), ("a b", "A")])
def test_an_entry_without_a_name_is_refused(name: str, title: str) -> None:
    with pytest.raises(BadGrub):
        render([MenuEntry(name, title, "a")], timeout=0)


def test_quotes_divide_words_as_the_kernel_divides_them() -> None:
    assert kernel_words('a="b c"  "d=e f" g') == ["a=b c", "d=e f", "g"]


words = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=1).filter(
    lambda w: not set(w) & set("\\'\"")
)
lines = st.lists(words | words.map(lambda w: f'a="{w} {w}"'), min_size=1).map(" ".join)
titles = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S", "Zs")), min_size=1)
names = st.from_regex(r"\A[a-z0-9._-]+\Z")
menus = st.lists(
    st.builds(MenuEntry, names, titles.map(str.strip).filter(bool), lines),
    min_size=1,
    max_size=4,
)


@given(menus, st.integers(0, 60))
def test_what_is_rendered_is_read_with_the_same_words(menu: list[MenuEntry], seconds: int) -> None:
    found = read(render(menu, timeout=seconds))
    assert [(e.id, e.title) for e in found] == [(e.id, e.title) for e in menu]
    assert [kernel_words(e.cmdline) for e in found] == [kernel_words(e.cmdline) for e in menu]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("roothash=abc", "roothash=abd' 'x"),
        ("/kiwilite/linux", "/other/linux"),
        ("initrd /kiwilite/initrd", "initrd /kiwilite/initrd /more"),
        ("set default=main", "set default=main\nset root=(hd1)"),
        ("menuentry", "menuentri"),
        ("'reset'", "'reset"),
    ],
)
def test_a_menu_that_was_edited_is_read_as_it_is_now_or_refused(old: str, new: str) -> None:
    text = render([MAIN, RESET], timeout=3)
    try:
        found = read(text.replace(old, new))
    except BadGrub:
        return
    assert found != (MAIN, RESET)


@given(st.text())
def test_nothing_but_bad_grub_comes_out_of_noise(noise: str) -> None:
    with pytest.raises(BadGrub):
        read(noise)
