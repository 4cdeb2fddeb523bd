"""Descriptions to draw, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kiwilite.description.outline import outline
from kiwilite.plan.diagram.compose import diagram
from kiwilite.plan.diagram.model import Diagram

BASE = ("linux-image-cloud-amd64", "busybox", "cryptsetup-bin", "systemd-boot-efi", "xfsprogs")
TYPE = """\
<type image="oem" firmware="uefi" filesystem="xfs" overlayroot="true" verity_blocks="all"
      luks="file://key" luks_version="luks2" {attributes}>
<size unit="G">2</size>
<partitions><partition name="home" size="64M" mountpoint="/home" filesystem="ext4"/>{partitions}
</partitions>{children}
</type>"""

CIRCLE: Mapping[str, Sequence[str]] = {"a": ("b",), "b": ("c",), "c": ("a", "c"), "d": ()}
BOARD: Mapping[str, Sequence[str]] = {
    "base": (),
    "net": ("base",),
    "wifi": ("net",),
    "lte": ("net",),
    "display": ("base",),
    "browser": ("display", "net", "audio"),
    "audio": ("base",),
    "bluetooth": (),
    "dev": ("base",),
    "debug": ("dev", "net"),
    "factory": (),
    "field-test": ("debug", "browser", "lte"),
}
"""Twelve profiles: who requires whom."""


def image_type(attributes: str = "", partitions: str = "", children: str = "") -> str:
    return TYPE.format(attributes=attributes, partitions=partitions, children=children)


def packages(kind: str, names: Sequence[str], attributes: str = "", more: str = "") -> str:
    listed = "".join(f'<package name="{name}"/>' for name in names)
    return f'<packages type="{kind}" {attributes}>{listed}{more}</packages>'


def profiles(requires: Mapping[str, Sequence[str]], default: str = "") -> str:
    rows = []
    for name, wanted in requires.items():
        imported = 'import="true"' if name == default else ""
        inner = "".join(f'<requires profile="{other}"/>' for other in wanted)
        rows.append(f'<profile name="{name}" description="The {name} part" {imported}>{inner}')
        rows.append("</profile>")
    return f"<profiles>{''.join(rows)}</profiles>"


def write(folder: Path, sections: str, kind: str | None = None, name: str = "small") -> Path:
    """A description with these sections; its file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text("secret")
    file = folder / "appliance.kiwi"
    file.write_text(
        f'<image schemaversion="8.5" name="{name}">\n<description type="system"><author>a</author>'
        "<contact>c</contact><specification>s</specification></description>\n"
        f"<preferences><version>1.0.0</version>{kind or image_type()}</preferences>\n"
        f'<repository type="apt-deb" alias="debian" distribution="trixie">'
        f'<source path="distro:debian"/></repository>\n'
        f"{packages('image', BASE)}\n{sections}\n</image>\n"
    )
    return file


def drawn(file: Path, *requested: str, type_name: str | None = None) -> Diagram:
    """The picture of the description in `file`, as data."""
    seen = outline(file, requested, arch="x86_64", type_name=type_name)
    return diagram(seen.outline, seen.appliance, seen.not_built)


def board(folder: Path) -> Path:
    """A description with 12 profiles, more than 300 packages and many partitions."""
    sections = [profiles(BOARD, "browser"), packages("image", [f"tool-{n}" for n in range(150)])]
    for n, name in enumerate(BOARD):
        own = [f"{name}-driver-{i}" for i in range(8 + n)]
        sections.append(packages("image", own, f'profiles="{name}"'))
    sections.append(packages("image", ["gdb"], 'profiles="dev,debug"'))
    sections.append(packages("delete", ["apt-utils"]))
    sections.append(packages("iso", ["live-boot"]))
    (folder / "base").mkdir(parents=True)
    rows = "".join(
        f'<partition name="{name}" size="{size}" mountpoint="{where}" filesystem="{system}"/>'
        for name, size, where, system in (
            ("log", "256M", "/var/log", "ext4"),
            ("media", "1G", "/srv/media/library", "xfs"),
            ("apps", "512M", "/opt/apps", "squashfs"),
            ("cache", "128M", "/var/cache", "ext4"),
            ("db", "300M", "/var/lib/postgresql", "xfs"),
        )
    )
    kind = image_type('gpt_hybrid_mbr="true"', rows).replace(">2<", ">8<")
    return write(folder, "\n".join(sections), kind, "board")


def small(folder: Path) -> Path:
    """A description with two profiles, one of which requires the other."""
    (folder / "root").mkdir(parents=True)
    (folder / "debug").mkdir()
    sections = profiles({"product": (), "debug": ("product",)}, "product")
    sections += packages("image", ["strace"], 'profiles="debug"')
    kind = image_type("", '<partition name="tools" mountpoint="/opt/tools" filesystem="squashfs"/>')
    return write(folder, sections, kind)


EVIL = "&lt;script&gt;x()&lt;/script&gt; &amp; &quot;q&quot; \u202egnp\u202c \u009b31m"
"""Markup, a turn of direction and a control sequence, as XML has it."""


def hostile(folder: Path) -> Path:
    """A description whose texts try to be something else."""
    wide = "\u65e5\u672c\u8a9e" * 30
    sections = profiles({"x": (), "y": ("x",)}).replace("The x part", f"{EVIL}{wide}")
    marks = "z" + "\u0301" * 40
    names = [f"{EVIL}{n}" for n in range(30)] + [marks, "l" * 300]
    sections += packages("image", names, 'profiles="y"')
    file = write(folder, sections)
    file.write_text(file.read_text().replace('name="small"', f'name="small" displayname="{EVIL}"'))
    return file


def elsewhere(folder: Path) -> Path:
    """A valid description of a container, which kiwilite does not build."""
    sections = profiles({"one": ()}, "one") + packages("image", ["vim"], 'profiles="one"')
    return write(folder, sections, '<type image="docker"><containerconfig name="c"/></type>')
