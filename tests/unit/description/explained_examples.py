"""The examples of explanations, made whole as `kiwilite.description.explanation` says."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from description_samples import findings

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.explanation import explanation
from kiwilite.description.rewrite import upgraded

WHOLE = """\
<image schemaversion="8.5" name="small">
    <description type="system">
        <author>a</author>
        <contact>c</contact>
        <specification>s</specification>
    </description>
PREFERENCES
    <packages type="image">
        <package name="linux-image-amd64"/>
        <package name="busybox"/>
        <package name="cryptsetup-bin"/>
        <package name="systemd-boot-efi"/>
        <package name="xfsprogs"/>
PACKAGES
    </packages>
IMAGE
</image>
"""
PREFERENCES = """\
<preferences>
<version>1.0.0</version>
<packagemanager>apt</packagemanager>
TYPE
</preferences>"""
TYPE = """\
<type image="oem" firmware="uefi" filesystem="xfs" overlayroot="true"
      overlayroot_write_partition="false">
INSIDE-TYPE
</type>"""

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r" *\^+")


@dataclass(frozen=True)
class Example:
    """A description in a folder, what is asked for, and where its mistake is marked.

    `built_upon` says whether it was put into the valid one, and is no file by itself.
    """

    file: Path
    built_upon: bool
    asked: dict[str, str]
    marks: list[tuple[int, int]] = field(default_factory=list)

    def findings(self) -> list[Diagnostic]:
        if self.asked.get("ask") == "upgrade":
            try:
                upgraded(self.file)
            except DescriptionInvalid as error:
                return list(error.diagnostics)
            return []
        profiles = [self.asked["profile"]] if "profile" in self.asked else []
        return findings(self.file, *profiles, arch=self.asked.get("arch", "x86_64"))


def example(code: str, part: str, folder: Path) -> Example:
    """The example "Wrong" or "Right" of `code`, written into `folder`."""
    text = explanation(code).body.split(f"## {part}\n")[1].split("\n## ")[0]
    holes = dict.fromkeys(("PREFERENCES", "TYPE", "INSIDE-TYPE", "PACKAGES", "IMAGE", "FILE"), "")
    holes |= {"PREFERENCES": PREFERENCES, "TYPE": TYPE, "FILE": WHOLE}
    commands = ""
    marks: list[tuple[int, int]] = []
    asked: dict[str, str] = {}
    (folder / "disk.key").write_text("secret")
    for _, words, content in _BLOCK.findall(text):
        place, *rest = words.split()
        asked |= dict(word.split("=") for word in rest)
        if place == "session":
            commands = content
        elif place.startswith("beside="):
            beside = folder / place.removeprefix("beside=")
            beside.parent.mkdir(exist_ok=True)
            text, marks = without_marks(content)
            beside.write_text(text)
        else:
            assert place.upper() in holes, f"{code}: {place}"
            holes[place.upper()] = content
    whole = holes["FILE"]
    for name in ("PREFERENCES", "TYPE", "INSIDE-TYPE", "PACKAGES", "IMAGE"):
        whole = "\n".join(holes[name] if row == name else row for row in whole.splitlines())
    file = folder / "appliance.kiwi"
    whole, in_file = without_marks(whole)
    version = asked.get("schemaversion", "8.5")
    file.write_text(whole.replace('"8.5"', f'"{version}"'), encoding="utf-8")
    subprocess.run(["sh", "-euc", commands], cwd=folder, check=True)
    return Example(file, holes["FILE"] == WHOLE, asked, in_file or marks or [(1, 1)])


def without_marks(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its lines of `^`, and the line and column of each."""
    lines: list[str] = []
    marks = []
    for line in text.splitlines():
        if _MARK.fullmatch(line):
            marks.append((len(lines), line.index("^") + 1))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n", marks
