"""`check`: valid or not is another question than built or not, and no profile is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import X86, minimal, place, places, write

from kiwilite.description.check import Checked, check_description
from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.load import load

TYPE = '<type image="oem" firmware="uefi" filesystem="xfs" overlayroot="true"\n{}/>'

GONE_IN_B = """\
<packages type="image" profiles="a"/>
<packages type="image" profiles="b">
<file name="gone"/>
</packages>"""


def checked(directory: Path, text: str, *profiles: str, arch: str = "x86_64") -> Checked:
    return check_description(write(directory, text), profiles, arch=arch)


def with_profiles(*names: str, sections: str) -> str:
    declared = "\n".join(f'<profile name="{n}" description="d"/>' for n in names)
    return minimal(top=f"<profiles>\n{declared}\n</profiles>\n{sections}")


def foreign() -> str:
    """Valid for KIWI, and nothing that kiwilite builds."""
    text = minimal(preferences="<version>1.0.0</version><packagemanager>zypper</packagemanager>")
    return text.replace('"busybox"', '"filesystem"')


def test_what_is_only_not_built_is_valid_and_a_warning(tmp_path: Path) -> None:
    text = minimal(type_attributes='mdraid="mirroring"')
    found = checked(tmp_path, text)
    assert found.valid
    assert places(list(found.found)) == [("warning", "KL0901", *place(text, "mdraid"))]
    with pytest.raises(DescriptionInvalid) as caught:
        load(tmp_path, arch="x86_64")
    assert places(list(caught.value.diagnostics)) == [("error", "KL0901", *place(text, "mdraid"))]


def test_an_image_type_that_is_not_built_is_valid(tmp_path: Path) -> None:
    text = minimal().replace('"oem" firmware="uefi"', '"iso"').replace('overlayroot="true"', "")
    text = text.replace('overlayroot_write_partition="false"', "").replace('filesystem="xfs"', "")
    found = checked(tmp_path, text)
    assert found.valid and {d.code for d in found.found} == {"KL0901"}


def test_a_script_that_is_not_run_is_valid(tmp_path: Path) -> None:
    (tmp_path / "disk.sh").write_text("true\n")
    found = checked(tmp_path, minimal())
    assert found.valid and [d.code for d in found.found] == ["KL0903"]


def test_who_is_not_built_need_not_meet_the_demands_of_a_build(tmp_path: Path) -> None:
    found = checked(tmp_path, foreign())
    assert found.valid
    assert {(d.severity, d.code) for d in found.found} == {
        ("warning", "KL0901"),
        ("warning", "KL0501"),
    }


def test_who_would_be_built_has_to_meet_them(tmp_path: Path) -> None:
    found = checked(tmp_path, minimal().replace('"busybox"', '"filesystem"'))
    assert not found.valid and [d.code for d in found.found] == ["KL0501"]


def test_mistakes_stay_mistakes_where_something_is_not_built(tmp_path: Path) -> None:
    text = foreign().replace('"filesystem"/>', '"filesystem"/><file name="gone"/>')
    found = checked(tmp_path, text)
    assert not found.valid
    assert {d.code for d in found.found if d.severity == "error"} == {"KL0301"}


def test_a_mistake_in_a_profile_nobody_asked_for_is_found(tmp_path: Path) -> None:
    text = with_profiles("a", "b", sections=GONE_IN_B)
    assert not load(write(tmp_path, text), arch="x86_64")[1]
    found = checked(tmp_path, text)
    assert places(list(found.found)) == [("error", "KL0301", *place(text, 'name="gone"'))]
    assert found.looked_at == ("", "a", "b")


def test_with_profiles_only_these_are_looked_at(tmp_path: Path) -> None:
    text = with_profiles("a", "b", sections=GONE_IN_B)
    assert checked(tmp_path, text, "a") == Checked((), ("a",))
    assert not checked(tmp_path, text, "a", "b").valid


def test_what_several_profiles_show_is_said_once(tmp_path: Path) -> None:
    sections = "\n".join(f'<packages type="image" profiles="{n}"/>' for n in "abc")
    text = with_profiles("a", "b", "c", sections=sections)
    text = text.replace("</packages>", '<file name="gone"/></packages>')
    assert [d.code for d in checked(tmp_path, text).found] == ["KL0301"]


def test_it_is_as_grave_as_it_is_anywhere(tmp_path: Path) -> None:
    """With a bootstrap archive a missing package is a warning, without one an error."""
    archive = "<preferences><packagemanager>apt</packagemanager></preferences>"
    archive += '<packages type="bootstrap" bootstrap_package="x" profiles="a"/>'
    text = with_profiles("a", sections=archive).replace('name="busybox"', 'name="x"')
    found = checked(tmp_path, text).found
    assert [(d.severity, d.code) for d in found] == [("error", "KL0501")]
    assert [d.severity for d in checked(tmp_path, text, "a").found] == ["warning"]


def each_with_a_type(*names: str) -> str:
    """A description in which every profile has its type, and none of them is the default."""
    types = TYPE.format('overlayroot_write_partition="false"')
    sections = "".join(f'<preferences profiles="{n}">{types}</preferences>\n' for n in names)
    text = with_profiles(*names, sections=sections)
    start, end = text.index("<type"), text.index("</type>") + len("</type>")
    return text[:start] + text[end:]


def test_nobody_has_to_have_a_default(tmp_path: Path) -> None:
    found = checked(tmp_path, each_with_a_type("a", "b"))
    assert found == Checked((), ("a", "b"))


def test_a_profile_for_others_to_build_upon_is_not_looked_at_alone(tmp_path: Path) -> None:
    text = each_with_a_type("a").replace('name="a" description="d"/>', "PROFILES").replace(
        "<profile PROFILES",
        '<profile name="common" description="d"/>\n<profile name="a" description="d">'
        '<requires profile="common"/></profile>',
    )  # fmt: skip
    text = text.replace("</preferences>\n<profiles", "</preferences>\n<profiles")
    sections = '<packages type="image" profiles="common"><package name="vim"/></packages></image>'
    found = checked(tmp_path, text.replace("</image>", sections))
    assert found == Checked((), ("a",), ("common",))


def test_a_profile_of_another_architecture_is_not_looked_at(tmp_path: Path) -> None:
    text = with_profiles("a", sections='<packages type="image" profiles="a"/>')
    text = text.replace('name="a" ', 'name="a" arch="aarch64" ')
    assert checked(tmp_path, text) == Checked((), ("",), ("a",))
    assert checked(tmp_path, text, arch="aarch64").looked_at == ("", "a")
    assert [d.code for d in checked(tmp_path, text, "a").found] == ["KL0202"]


def test_no_type_anywhere_is_an_error(tmp_path: Path) -> None:
    text = each_with_a_type("a")
    start, end = text.index("<type"), text.index("</preferences>", text.index("<type"))
    found = checked(tmp_path, text[:start] + text[end:])
    assert [(d.severity, d.code) for d in found.found] == [("error", "KL0206")]


def test_what_only_profiles_together_have_is_a_warning(tmp_path: Path) -> None:
    text = each_with_a_type("a").replace("<version>1.0.0</version>", "")
    text = text.replace("</profiles>", '<profile name="b" description="d"/></profiles>')
    section = '<preferences profiles="b"><version>1.0.0</version></preferences></image>'
    found = checked(tmp_path, text.replace("</image>", section))
    assert found.valid and {d.code for d in found.found} == {"KL0206", "KL0207"}
    assert (found.looked_at, found.left_out) == ((), ("a", "b"))
    assert checked(tmp_path, text.replace("</image>", section), "a", "b").found == ()


def test_types_of_several_kinds_are_all_looked_at(tmp_path: Path) -> None:
    second = '<type image="tbz" mediacheck="true"/>'
    text = minimal().replace("</type>", f"</type>\n{second}")
    found = checked(tmp_path, text.replace("\n>", '\nmdraid="mirroring">', 1)).found
    codes = [(d.severity, d.code) for d in found]
    assert ("warning", "KL0205") in codes and codes.count(("warning", "KL0901")) >= 2
    assert ("error", "KL0205") not in codes


def test_two_types_of_one_kind_leave_nothing_to_choose_by(tmp_path: Path) -> None:
    text = minimal()
    kind = text[text.index("<type") : text.index("</type>") + len("</type>")]
    text = text.replace(kind, f"{kind}\n{kind}")
    found = checked(tmp_path, text)
    assert [(d.severity, d.code) for d in found.found] == [("error", "KL0205")]


def test_a_type_that_does_not_exist_is_an_error_with_profiles_too(tmp_path: Path) -> None:
    file = write(tmp_path, each_with_a_type("a"))
    found = check_description(file, type_name="ome", arch="x86_64")
    assert not found.valid


def test_what_cannot_be_read_at_all_is_reported_like_the_rest(tmp_path: Path) -> None:
    found = checked(tmp_path, "<image>")
    assert [d.code for d in found.found] == ["KL0006"] and not found.looked_at


def test_hundreds_of_profiles_stay_bounded(tmp_path: Path) -> None:
    names = [f"p{n}" for n in range(400)]
    sections = "\n".join(
        f'<packages type="image" profiles="{n}"><package name="{n}"/></packages>' for n in names
    )
    packages = "\n".join(f'<package name="package-{n}"/>' for n in range(3000))
    text = with_profiles(*names, sections=sections).replace("</packages>\n</image>", packages +
                                                            "</packages>\n</image>")  # fmt: skip
    found = checked(tmp_path, text)
    assert found.valid
    assert 30 < len(found.looked_at) < 100
    assert len(found.looked_at) + len(found.left_out) == 401


def test_the_reference_is_valid_with_each_of_its_profiles(tmp_path: Path) -> None:
    found = checked(tmp_path, X86)
    assert found.valid and found.looked_at == ("", "default", "bootstrapped", "development")
