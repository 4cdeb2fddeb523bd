"""The usual form: what it looks like, and that nothing else is said in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from description_samples import X86, minimal
from full_description import full_description
from hypothesis import given, settings
from random_descriptions import declared, unruly

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.reader import parse
from kiwilite.description.rewrite import formatted
from kiwilite.description.source import make_source, read_source
from kiwilite.description.text.layout import COLUMNS, lay_out
from kiwilite.description.text.tokens import Kind, tokens
from kiwilite.description.tree import Node

ROOT = Path(__file__).parents[3]


def shown(inner: str, head: str = "") -> str:
    """`inner`, put into an `<image>`, in the usual form, without the `<image>`."""
    lines = lay_out(f"{head}<image>\n{inner}\n</image>".encode()).split("\n")
    assert lines[0] == "<image>" and lines[-2:] == ["</image>", ""]
    return "\n".join(line.removeprefix("    ") for line in lines[1:-2])


def tree(text: str) -> Node:
    return parse(make_source(Path("x.kiwi"), text.encode()))


def said(node: Node) -> tuple[object, ...]:
    """All that `node` says, but for white space in its text."""
    children = tuple(said(child) for child in node.children)
    return node.name, dict(node.attributes), "".join(node.text.split()), children


def asides(text: str) -> list[tuple[Kind, list[str]]]:
    """Comments and instructions, the lines of comments without their indentation."""
    raw = text.replace("\r\n", "\n").encode()
    found = [t for t in tokens(raw) if t.kind in (Kind.COMMENT, Kind.INSTRUCTION)]
    pairs = [(t.kind, raw[t.start : t.end].decode()) for t in found]
    return [
        (kind, [line.lstrip(" \t") if kind is Kind.COMMENT else line for line in text.split("\n")])
        for kind, text in pairs
        if not text.startswith("<?xml ")
    ]


@given(unruly())
@settings(max_examples=200, deadline=None)
def test_formatting_changes_nothing_that_is_said_and_once_is_enough(text: str) -> None:
    after = lay_out(text.encode())
    assert said(tree(after)) == said(tree(text))
    assert asides(after) == asides(text)
    assert lay_out(after.encode()) == after
    assert after.endswith(">\n") and "\r" not in after


@pytest.mark.parametrize("text", [X86, full_description(), minimal()])
def test_white_space_of_any_kind_between_the_parts_makes_no_difference(text: str) -> None:
    usual = lay_out(text.encode())
    spread = re.sub(r">\s+<", ">\n\n\n\t<", usual)
    flat = re.sub(r">\s+<", "><", usual)
    once = re.sub(r"\n+", "\n", lay_out(spread.encode()))
    assert once == lay_out(flat.encode()) == re.sub(r"\n+", "\n", usual)


@pytest.mark.parametrize("file", sorted(ROOT.glob("descriptions/*/*.kiwi")))
def test_our_own_descriptions_are_in_the_usual_form(file: Path) -> None:
    assert not formatted(file).changed


def test_each_element_has_a_line_and_four_spaces_a_level() -> None:
    text = "<users><user><x/></user>\n\n\n\n\t<user name='b'></user></users><users/>"
    assert shown(text) == (
        '<users>\n    <user>\n        <x/>\n    </user>\n\n    <user name="b"/>\n</users>\n<users/>'
    )


def test_at_most_one_blank_line_and_none_at_the_edges() -> None:
    text = lay_out(b"\n\n<image>\n\n\n<users/>\n\n\n\n<users/>\n\n\n</image>\n\n\n")
    assert text == "<image>\n    <users/>\n\n    <users/>\n</image>\n"


def test_a_tag_that_fits_has_one_line() -> None:
    assert shown('<user\n   name="a"\n   id = "1"\n/>') == '<user name="a" id="1"/>'


def long(name: str, count: int) -> str:
    return f'{name}="{"x" * (count - len(name) - 3)}"'


def test_a_longer_tag_is_wrapped_under_its_first_attribute() -> None:
    a, b, c = long("a", 40), long("b", 40), long("c", 40)
    assert shown(f"<user {a} {b} {c}/>") == f"<user {a} {b}\n      {c}/>"


def test_a_longer_tag_keeps_the_breaks_of_its_author() -> None:
    a, b, c, d = long("a", 50), long("b", 20), long("c", 50), long("d", 60)
    text = f"<user\n  {a}\n\t{b} {c} {d}/>"
    assert shown(text) == f"<user {a}\n      {b} {c}\n      {d}/>"


@pytest.mark.parametrize("over", [0, 1])
def test_a_line_is_full_with_its_last_column(over: int) -> None:
    outside = len("    <user ") + len(" />") - 1
    a = long("a", 30)
    b = long("b", COLUMNS - outside - 30 - 1 + over)
    lines = lay_out(f"<image><user {a} {b}/></image>".encode()).split("\n")
    assert max(map(len, lines)) == (COLUMNS if not over else max(len(b) + 12, 40))
    assert len(lines) == 4 + over


def test_quotes_are_double_unless_the_value_has_some() -> None:
    text = """<user name='it&apos;s' realname='"x"' home="'"/>"""
    assert shown(text) == """<user name="it&apos;s" realname='"x"' home="'"/>"""


def test_references_and_sections_stay_as_they_are_written() -> None:
    text = '<author>&#x41;&amp;<![CDATA[ <&> ]]>&#10;</author>\n<user name="&#65;&#10;&lt;"/>'
    assert shown(f"<description>{text}</description>").replace("    ", "") == (
        f"<description>\n{text}\n</description>".replace("    ", "")
    )


def test_a_value_of_several_lines_stays_and_what_follows_is_aligned() -> None:
    text = '<type kernelcmdline="a\n  b" image="oem"\n  firmware="uefi"/>'
    assert shown(text) == '<type kernelcmdline="a\n  b" image="oem"\n      firmware="uefi"/>'


def test_white_space_goes_where_the_grammar_ignores_it() -> None:
    text = "<preferences><type image='oem'><size>\n 4 \n</size></type></preferences>"
    assert "<size>4</size>" in shown(text)


def test_white_space_stays_where_the_grammar_has_text() -> None:
    text = "<description><author> A.\n   Author\n</author></description>"
    assert "<author> A.\n   Author\n</author>" in lay_out(f"<image>{text}</image>".encode())


@pytest.mark.parametrize(
    "element",
    [
        "<x:a><x:b> </x:b>\n\n  text</x:a>",
        '<a xml:space="preserve"> <b/> </a>',
        "<unknown> some <b/> text\n\n\n</unknown>",
        "<unknown>  </unknown>",
    ],
)
def test_what_is_not_ours_to_know_stays(element: str) -> None:
    assert element in lay_out(f'<image xmlns:x="urn:x">{element}</image>'.encode())


def test_unknown_elements_without_text_are_laid_out() -> None:
    assert shown("<pakages><package/><b><c/></b></pakages>") == (
        "<pakages>\n    <package/>\n    <b>\n        <c/>\n    </b>\n</pakages>"
    )


def test_text_where_none_may_be_gets_a_line() -> None:
    assert shown("<users>stray <user/></users>") == "<users>\n    stray\n    <user/>\n</users>"


def test_comments_stay_in_their_place() -> None:
    text = """\
<packages><!-- about the packages -->
<package name="a"/>   <!-- about a -->
  <!-- about b -->
 <package name="b"/><!-- b too --><package name="c"/>

<!-- last --></packages> <!-- about them all -->
<users><!-- none --></users>"""
    assert (
        shown(text)
        == """\
<packages> <!-- about the packages -->
    <package name="a"/> <!-- about a -->
    <!-- about b -->
    <package name="b"/> <!-- b too -->
    <package name="c"/>

    <!-- last -->
</packages> <!-- about them all -->
<users>
    <!-- none -->
</users>"""
    )


def test_the_lines_of_a_comment_move_with_it() -> None:
    text = "<users>\n<!-- one\n     two\n\n  <a>\n\t<b/>\n-->\n<user/> <!-- x\n  y --></users>"
    assert shown(text) == (
        "<users>\n    <!-- one\n         two\n\n      <a>\n            <b/>\n    -->\n"
        "    <user/> <!-- x\n      y -->\n</users>"
    )


def test_a_comment_aligned_behind_an_element_stays_aligned() -> None:
    text = "<users>\n<user/>  <!-- one\n              two -->\n</users>"
    assert shown(text) == "<users>\n    <user/> <!-- one\n                 two -->\n</users>"


def test_a_comment_beside_a_word_gives_both_a_line() -> None:
    text = "<preferences><packagemanager><!-- why --> apt </packagemanager></preferences>"
    assert "<packagemanager> <!-- why -->\n            apt\n" in lay_out(
        f"<image>{text}</image>".encode()
    )


def test_a_comment_within_a_word_stays_there() -> None:
    text = "<packagemanager> a<!-- why -->pt </packagemanager>"
    assert text in lay_out(f"<image><preferences>{text}</preferences></image>".encode())


def test_what_stands_around_the_document_element_gets_lines() -> None:
    text = (
        "<?xml   version='1.0'\nstandalone = 'yes' ?><!-- a --><?xml-model  href='x'?><image/>"
        "<!-- b --><!-- c\n-->"
    )
    assert lay_out(text.encode()) == (
        '<?xml version="1.0" standalone="yes"?>\n<!-- a -->\n<?xml-model  href=\'x\'?>\n<image/> '
        "<!-- b --> <!-- c\n-->\n"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-15", "utf-16", "utf-32", "cp1252"])
def test_a_declared_encoding_is_kept(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "x.kiwi"
    file.write_bytes(declared("<image name='ä€'/>", encoding, "\r\n"))
    rewrite = formatted(file)
    assert rewrite.new.decode(encoding) == (
        f'<?xml version="1.0" encoding="{encoding}"?>\n<image name="ä€"/>\n'
    )
    file.write_bytes(rewrite.new)
    assert read_source(file).text.decode() == rewrite.after
    assert not formatted(file).changed


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_without_a_declared_encoding_it_is_utf_8(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "x.kiwi"
    file.write_bytes("<image name='ä'/>".encode(encoding))
    assert formatted(file).new == '<image name="ä"/>\n'.encode()


def test_a_mark_that_contradicts_the_declaration_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "x.kiwi"
    file.write_bytes(declared("<image name='ä'/>", "latin-1", "\n").replace(b"\xe4", "ä".encode()))
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    file.write_bytes(formatted(file).new)
    assert 'name="ä"' in read_source(file).text.decode()


def test_a_mark_beside_an_unknown_encoding_stays(tmp_path: Path) -> None:
    file = tmp_path / "x.kiwi"
    file.write_bytes(b"\xef\xbb\xbf<?xml version='1.0' encoding='klingon'?><image/>")
    file.write_bytes(formatted(file).new)
    assert read_source(file).text.endswith(b"<image/>\n")


def test_what_is_not_well_formed_is_an_error_at_its_place(tmp_path: Path) -> None:
    file = tmp_path / "x.kiwi"
    file.write_text("<image>\n  <users>\n</image>")
    with pytest.raises(DescriptionInvalid) as caught:
        formatted(file)
    (found,) = caught.value.diagnostics
    assert (found.code, found.span.line, found.span.column) == ("KL0006", 3, 1)


@pytest.mark.parametrize(
    ("inner", "what"),
    [
        ("\n" * 200_001, "lines"),
        ("<!-- -->" * 250_001, "tags and comments"),
        ("<a>" * 60 + "<!-- a -->\n" * 40_000 + "</a>" * 60, "too large"),
    ],
)
def test_a_file_that_would_take_too_long_is_refused(tmp_path: Path, inner: str, what: str) -> None:
    file = tmp_path / "x.kiwi"
    file.write_text(f"<image>{inner}</image>")
    with pytest.raises(DescriptionInvalid, match=what) as caught:
        formatted(file)
    assert caught.value.diagnostics[0].code == "KL0002"


SOME = "".join(f' a{n}="{"x" * 60}"' for n in range(200))


@pytest.mark.parametrize(
    "element",
    [
        f"<{'n' * 10_000}{SOME}/>",
        f'<a\nb="{"x" * 10_000}"\n/>' + "<!--\n" + "     x\n" * 1000 + "-->",
        f'<a\nb="\n{" " * 10_000}"\n/>' + "<!--\n" + "x\n" * 1000 + "-->",
    ],
)
def test_a_long_line_does_not_make_all_others_long(element: str) -> None:
    text = f"<image>{element}<a/></image>"
    after = lay_out(text.encode())
    assert len(after) < len(text) + 300_000
    assert lay_out(after.encode()) == after
