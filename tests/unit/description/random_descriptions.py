"""Descriptions drawn by hypothesis: mutated ones, unruly ones, and ones of older versions."""

from __future__ import annotations

from hypothesis import strategies as st

from kiwilite.description.upgrade import VERSIONS

SPACES = st.sampled_from([" ", "  ", "\n", "\n        ", "\t", "\r\n    ", " \n\n\n "])
MAYBE_SPACES = st.sampled_from(["", "", " ", "\n", "\n\n\n  ", "\t\r\n"])
WORDS = st.sampled_from(
    ["a", "serial", "dnf", "rpm-dir", "true", "ä", "a,b", "x &lt; y", "&#65;", "out in", "", "  a ",
     "one\n   two", "&#10;", "&quot;", "é,&#44;b"]
)  # fmt: skip
COMMENTS = st.sampled_from(
    ["<!-- a -->", "<!---->", "<!-- some\n       lines\n\t\tof\n it -->", "<!--\n  <package/>\n-->",
     "<!-- vga='1' console='x' -->"]
)  # fmt: skip
OTHERS = st.sampled_from(
    ["<![CDATA[ dnf <x> ]]>", "<?target some  data?>", "text", " dnf ", "&amp;", "two\n words"]
)


@st.composite
def attribute(draw: st.DrawFn, name: str, values: st.SearchStrategy[str] = WORDS) -> str:
    """One attribute with the white space before it."""
    quote = draw(st.sampled_from("\"'"))
    value = draw(values)
    sign = draw(st.sampled_from(["=", " = ", "\n="]))
    return draw(SPACES) + name + sign + quote + value + quote


@st.composite
def tag(draw: st.DrawFn, name: str, attributes: tuple[str, ...], content: str) -> str:
    """An element with some of `attributes`."""
    names = draw(st.lists(st.sampled_from(attributes), unique=True)) if attributes else []
    written = "".join(draw(attribute(a)) for a in names)
    if not content and draw(st.booleans()):
        return f"<{name}{written}{draw(MAYBE_SPACES)}/>"
    return f"<{name}{written}{draw(MAYBE_SPACES)}>{content}</{name}{draw(MAYBE_SPACES)}>"


NAMES = (
    "description", "author", "packages", "package", "preferences", "version", "packagemanager",
    "type", "size", "locale", "users", "oemconfig", "oem-resize", "extension", "unknown", "x:data",
)  # fmt: skip
ATTRIBUTES = ("name", "type", "arch", "x:a", "profiles", "image", "xml:space")


@st.composite
def content(draw: st.DrawFn, depth: int = 3) -> str:
    """What may stand in an element, well-formed and mostly invalid."""
    parts = [draw(MAYBE_SPACES)]
    for _ in range(draw(st.integers(0, 4))):
        if depth and draw(st.booleans()):
            name = draw(st.sampled_from(NAMES))
            parts.append(draw(tag(name, ATTRIBUTES, draw(content(depth - 1)))))
        else:
            parts.append(draw(st.one_of(COMMENTS, OTHERS)))
        parts.append(draw(MAYBE_SPACES))
    return "".join(parts)


@st.composite
def unruly(draw: st.DrawFn) -> str:
    """A well-formed document, with anything anywhere."""
    declaration = draw(st.sampled_from(["", "<?xml version='1.0'  encoding='utf-8' ?>\r\n"]))
    before = "".join(draw(st.lists(COMMENTS, max_size=2))) + draw(MAYBE_SPACES)
    after = draw(MAYBE_SPACES) + draw(st.sampled_from(["", "<!-- end -->", "<?end?>"]))
    root = draw(st.sampled_from(["image", "image", "image", "imag"]))
    attributes = " xmlns:x='urn:x'" + draw(st.sampled_from(["", " name='a'", " xmlns='urn:y'"]))
    before = before if declaration or before.startswith("<") else before.lstrip()
    return f"{declaration}{before}<{root}{attributes}>{draw(content())}</{root}>{after}"


OLD = (
    ("containerconfig", ("name", "additionaltags", "tag")),
    ("packagemanager", ()),
    ("repository", ("type", "use_for_bootstrap", "alias", "imageinclude")),
    ("type", ("image", "btrfs_root_is_snapshot", "vga", "filesystem", "kernelcmdline")),
    ("bootloader", ("name", "console", "timeout", "grub_template")),
    ("type", ("vga",)),
    ("bootloader", ("name", "console", "output_console")),
)


@st.composite
def old(draw: st.DrawFn) -> str:
    """A description of an older version, with what has changed since in many forms."""
    parts = [draw(MAYBE_SPACES)]
    for _ in range(draw(st.integers(1, 5))):
        name, attributes = draw(st.sampled_from(OLD))
        inner = ""
        if name == "packagemanager":
            said = [
                "dnf",
                " dnf\n",
                "<![CDATA[dnf]]>",
                "d<!-- dnf -->nf",
                "&#100;nf",
                "apt",
                "dnf4",
            ]
            inner = draw(st.sampled_from(said))
        elif draw(st.booleans()):
            nested, its = draw(st.sampled_from(OLD))
            inner = draw(tag(nested, its, draw(st.sampled_from(["", "<!-- vga='1' -->"]))))
        parts += [draw(tag(name, attributes, inner)), draw(COMMENTS), draw(MAYBE_SPACES)]
    version = draw(attribute("schemaversion", st.sampled_from(VERSIONS)))
    more = draw(attribute("name"))
    return f"<image{version}{more}>{''.join(parts)}</image>"


def declared(text: str, encoding: str, line_end: str) -> bytes:
    """`text` behind an XML declaration, its line ends being `line_end`, in `encoding`."""
    whole = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>\n{text}'
    lines = whole.replace("\r\n", "\n").replace("\n", line_end)
    return lines.encode(encoding)
