"""Partitions, what is written to, verity settings, the table: what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import X86, encrypted, findings, minimal, place, places, write, write_keys

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.load import load
from kiwilite.description.model import HybridEntry, ImageType, VeritySettings
from kiwilite.description.room import ROOT_LEAST

MIB = 1024 * 1024
E2FSPROGS = '<package name="e2fsprogs"/>'
HOME = 'name="home" size="64M" mountpoint="/home" filesystem="ext4"'


def said(directory: Path, text: str, arch: str = "x86_64") -> list[Diagnostic]:
    """What is said beside that the passphrase is in the initrd."""
    write_keys(directory)
    return [d for d in findings(write(directory, text), arch=arch) if d.code != "KL0602"]


def type_of(directory: Path, text: str) -> ImageType:
    write_keys(directory)
    return load(write(directory, text), arch="x86_64")[0].type


def partitions(*attributes: str) -> str:
    inner = "\n".join(f"<partition {a}/>" for a in attributes)
    return f"<partitions>\n{inner}\n</partitions>"


def disk(*attributes: str) -> str:
    return minimal(type_children=partitions(*attributes))


def overlay(*paths: str, more: str = "") -> str:
    trees = "\n".join(f'<tree path="{path}"/>' for path in paths)
    return minimal(type_children=f"{more}<overlay>\n{trees}\n</overlay>")


def verity(attributes: str, type_attributes: str = "") -> str:
    return minimal(type_attributes=type_attributes, type_children=f"<verity {attributes}/>")


def hybrid(*entries: str, more: str = "") -> str:
    inner = "\n".join(f"<entry {e}/>" for e in entries)
    return minimal(
        type_attributes='gpt_hybrid_mbr="true"',
        type_children=f"{more}<hybridmbr>\n{inner}\n</hybridmbr>",
    )


SQUASHFS = 'name="s" mountpoint="/s" filesystem="squashfs"'
SIGNED = 'verity_blocks="all" embed_verity_metadata="true"'


@pytest.mark.parametrize(
    "text",
    [
        disk(HOME, 'name="data" size="300" mountpoint="/data" filesystem="xfs" label="DATA"'),
        disk(HOME + ' mountoptions="ro,x-systemd.device-timeout=5,context=a:b=c"'),
        disk(SQUASHFS),
        disk(SQUASHFS + ' size="0"'),
        encrypted(type_children=partitions(HOME + ' reset="true"'), packages=E2FSPROGS),
        encrypted(type_children=partitions(
            HOME + ' reset="true"', HOME.replace("home", "home/x").replace('"home/x"', '"x"', 1)),
            packages=E2FSPROGS),
        encrypted(type_children=partitions(HOME + ' encrypted="true" reset="true"'),
                  packages=E2FSPROGS),
        encrypted(type_children=partitions(
            'name="x" size="321" mountpoint="/x" filesystem="xfs" encrypted="true"')),
        overlay("/etc", "/var"),
        overlay("/etc/ssh", "/etc/systemd", more=partitions(HOME)),
        overlay("/var", more=partitions(HOME.replace("/home", "/var/lib/containers/storage"))),
        verity('data_block_size="1024" hash_block_size="1024" fec_roots="2"'),
        verity('salt="00ff" algorithm="sha512" hash_tree="partition" on_corruption="panic"'),
        verity(f'salt="{"01" * 256}"'),
        verity('metadata_key="file://rsa.pem"', SIGNED),
        minimal(type_attributes='verity_blocks="1000"'),
        minimal(type_attributes='target_blocksize="4096" apply_dps_codes="true"'),
        hybrid('partition="p.UEFI" type="ef" active="true"', 'partition="p.legacy" type="0x83"'),
        hybrid('partition="s-verity"', 'partition="p.lxreadonly-verity"',
               more=partitions(SQUASHFS) + '<verity hash_tree="partition"/>'),
        minimal(type_attributes='eficsm="true"', packages='<package name="grub-pc-bin"/>'),
        minimal(type_attributes='eficsm="false" target_blocksize="4096"'),
        minimal(type_attributes='initrd_system="dracut"', packages='<package name="dracut"/>'),
        minimal(type_attributes='boot_switches="rd.root.overlay.temporary"'),
        encrypted(type_children="<oemconfig><oem-resize>true</oem-resize></oemconfig>"),
    ],
)  # fmt: skip
def test_what_can_be_built_is_silent(tmp_path: Path, text: str) -> None:
    assert said(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "code", "at", "words"),
    [
        # room
        (disk(HOME.replace(' size="64M"', "")), "KL0103", "<partition ", "the attribute `size`"),
        (disk(HOME.replace("64M", "0")), "KL0403", 'size="0"', "without room"),
        (encrypted(type_children=partitions(
            'name="x" size="320" mountpoint="/x" filesystem="xfs" encrypted="true"')),
         "KL0403", 'size="320"', "encrypted XFS file system needs 321 MiB"),
        (encrypted('name="--sector-size" value="512"', type_children=partitions(
            'name="x" size="337" mountpoint="/x" filesystem="xfs" encrypted="true"')),
         "KL0403", 'size="337"', "needs 338 MiB"),
        (encrypted(type_children=partitions(HOME.replace("64M", "23M") + ' encrypted="1"'),
                   packages=E2FSPROGS),
         "KL0403", 'size="23M"', "needs 24 MiB, this one has 23"),
        # names and labels
        (disk(HOME.replace('"home"', '"p.UEFI"')), "KL0404", 'name="p.UEFI"', "gives itself"),
        (disk(HOME.replace('"home"', '"uki"')), "KL0404", 'name="uki"', "gives itself"),
        (disk(SQUASHFS, HOME.replace('"home"', '"s-verity"')), "KL0404", 'name="s-verity"', ""),
        (disk(HOME.replace('"home"', '"my home"')), "KL0418", 'name="my home"', "36 letters"),
        (disk(HOME.replace('"home"', f'"{"h" * 37}"')), "KL0418", 'name="hhh', "36 letters"),
        (minimal(type_children=partitions(HOME.replace('"home"', f'"{"h" * 30}"'))
                 + '<verity hash_tree="partition"/>'),
         "KL0418", 'name="hhh', "29 letters"),
        (disk(HOME + f' label="{"l" * 17}"'), "KL0419", "label=", "at most 16"),
        (disk('name="x" size="300" filesystem="xfs" label="thirteen-char"'), "KL0419", "label=",
         "at most 12"),
        (disk(HOME + ' label="two words"'), "KL0419", "label=", "letters, digits and signs"),
        # what a partition is for
        (disk('name="x" size="9" mountpoint="/x"'), "KL0702", "mountpoint", "needs `filesystem`"),
        (disk('name="x" filesystem="squashfs"'), "KL0702", "filesystem=\"sq", "needs `mountpoint`"),
        (encrypted(type_children=partitions(SQUASHFS + ' reset="true"')), "KL0415", "reset",
         "read-only and verified"),
        (encrypted(type_children=partitions(HOME.replace("ext4", "ext2") + ' reset="true"')),
         "KL0415", 'reset="', "ext4 or xfs"),
        (encrypted(type_children=partitions(SQUASHFS + ' encrypted="true"')), "KL0415",
         'encrypted="', "choose ext4 or xfs"),
        (minimal(type_children=partitions(HOME + ' encrypted="true"'), packages=E2FSPROGS),
         "KL0702", 'encrypted="', "needs `luks`"),
        (encrypted(type_children=partitions('name="x" size="9" filesystem="ext4" reset="true"'),
                   packages=E2FSPROGS),
         "KL0702", 'reset="', "needs `filesystem` and `mountpoint`"),
        (minimal(type_children=partitions(HOME + ' reset="true"'), packages=E2FSPROGS),
         "KL0702", 'reset="', "needs `luks`"),
        (encrypted(type_children=partitions(
            HOME, 'name="x" size="9" filesystem="ext4" mountpoint="/home/x" reset="true"'),
            packages=E2FSPROGS),
         "KL0415", 'reset="', "inside of another partition"),
        (encrypted(type_children=partitions(HOME + ' reset="true"')), "KL0501", "<partition ",
         "`e2fsprogs`"),
        (disk(HOME.replace("/home", "/my home")), "KL0406", "mountpoint", "characters"),
        # mount options
        (disk(HOME + ' mountoptions="ro, noatime"'), "KL0416", "mountoptions", "` noatime`"),
        (disk(HOME + ' mountoptions="ro,,noatime"'), "KL0416", "mountoptions", "NAME=VALUE"),
        (disk(HOME + ' mountoptions=""'), "KL0416", "mountoptions", "NAME=VALUE"),
        (disk(HOME + ' mountoptions="=x"'), "KL0416", "mountoptions", "`=x`"),
        (disk(SQUASHFS + ' mountoptions="ro"'), "KL0416", "mountoptions", "the initrd mounts"),
        (disk('name="x" size="9" filesystem="ext4" mountoptions="ro"'), "KL0702", "mountoptions",
         "needs `mountpoint`"),
        # trees
        (overlay("etc"), "KL0414", 'path="etc"', "not an absolute path"),
        (overlay("/etc/../usr"), "KL0414", 'path="/etc/..', "not an absolute path"),
        (overlay("//"), "KL0414", 'path="//"', "leave `<overlay>` out"),
        (overlay("/etc", "/etc/ssh"), "KL0414", 'path="/etc/ssh"', "inside the other"),
        (overlay("/etc/ssh", "/etc"), "KL0414", 'path="/etc"', "inside the other"),
        (overlay("/etc", "/etc/"), "KL0414", 'path="/etc/"', "inside the other"),
        (overlay("/home", more=partitions(HOME)), "KL0414", 'path="/home"', "partition of its own"),
        (overlay("/home/a", more=partitions(HOME)), "KL0414", 'path="/home/a"', "partition of"),
        (overlay("/etc", "/run/x"), "KL0414", 'path="/run/x"', "not part of the image"),
        (overlay("/a:b"), "KL0414", 'path="/a:b"', "characters"),
        # verity
        (verity('data_block_size="8192"'), "KL0105", "data_block_size", "512, 1024, 2048, 4096"),
        (verity('hash_block_size="1000"'), "KL0105", "hash_block_size", "512, 1024, 2048, 4096"),
        (verity('salt="0"'), "KL0106", "salt", "pairs of hexadecimal digits"),
        (verity('salt="xy"'), "KL0106", "salt", "pairs of hexadecimal digits"),
        (verity(f'salt="{"00" * 257}"'), "KL0106", "salt", "at most 256"),
        (verity('fec_roots="1"'), "KL0106", "fec_roots", "from 2 to 24"),
        (verity('fec_roots="25"'), "KL0106", "fec_roots", "from 2 to 24"),
        (verity('algorithm="sha265"'), "KL0105", "algorithm", "did you mean `sha256`?"),
        (verity('on_corruption="ignore"'), "KL0105", "on_corruption", "eio, restart, panic"),
        (verity('fec_roots="2" hash_block_size="1024"'), "KL0412", "hash_block_size", "same size"),
        (verity('data_block_size="512"', 'target_blocksize="4096"'), "KL0412", "data_block_size",
         "smaller than the disk's sectors"),
        (minimal(type_attributes='verity_blocks="00"'), "KL0412", "verity_blocks", "one block"),
        (verity('metadata_key="file://rsa.pem"'), "KL0702", "metadata_key", "embed_verity_meta"),
        (verity('metadata_key="file://none"', SIGNED), "KL0301", "metadata_key", "does not exist"),
        # hybrid MBR
        (hybrid('partition="p.uefi"'), "KL0413", "partition=\"p.", "did you mean `p.UEFI`?"),
        (hybrid('partition="p.lxroot"'), "KL0413", "partition=\"p.", "no partition `p.lxroot`"),
        (hybrid('partition="p.UEFI"', 'partition="p.UEFI" type="0c"'), "KL0413",
         'partition="p.UEFI" type', "already"),
        (hybrid('partition="p.UEFI" active="true"', 'partition="p.legacy" active="1"'), "KL0413",
         'active="1"', "boots from one"),
        (hybrid('partition="p.UEFI" type="EE"'), "KL0413", 'type="EE"', "guard of the GPT"),
        (hybrid('partition="p.UEFI" type="0"'), "KL0413", 'type="0"', "unused"),
        (hybrid('partition="p.UEFI" type="123"'), "KL0106", 'type="123"', "type byte of an MBR"),
        (hybrid(*(f'partition="{name}"' for name in ("p.legacy", "p.UEFI", "a", "p.lxreadonly")),
                more=partitions('name="a" size="1"')),
         "KL0413", '<entry partition="p.lxreadonly"', "at most 3"),
        (hybrid('partition="p.UEFI"').replace('gpt_hybrid_mbr="true"', ""), "KL0702",
         "<hybridmbr>", "gpt_hybrid_mbr"),
        # boot
        (minimal(type_attributes='eficsm="true"'), "KL0501", "eficsm", "`grub-pc-bin`"),
        (minimal(type_attributes='eficsm="true" target_blocksize="4096"',
                 packages='<package name="grub-pc-bin"/>'),
         "KL0417", "eficsm", "512 bytes only"),
        (minimal(type_attributes='target_blocksize="1024"'), "KL0901", "target_bl", "512 or 4096"),
        (minimal(type_attributes='initrd_system="dracut"'), "KL0501", "initrd_s", "`dracut`"),
        (minimal(type_attributes='boot_switches="rd.root.overlay.temp"'), "KL0420", "boot_sw",
         "rd.root.overlay.temporary"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_an_error_at_its_place(
    tmp_path: Path, text: str, code: str, at: str, words: str
) -> None:
    (found,) = said(tmp_path, text)
    assert places([found]) == [("error", code, *place(text, at))]
    assert words in f"{found.message}\n{found.hint}"


def test_growth_without_a_partition_to_grow_is_a_warning(tmp_path: Path) -> None:
    text = minimal(type_children="<oemconfig><oem-resize-once>1</oem-resize-once></oemconfig>")
    (found,) = said(tmp_path, text)
    assert places([found]) == [("warning", "KL0902", *place(text, "<oem-resize-once>"))]
    assert "no overlay writes to a partition" in found.message


def test_a_machine_without_legacy_bios_cannot_boot_from_it(tmp_path: Path) -> None:
    text = minimal(type_attributes='eficsm="true"', packages='<package name="grub-pc-bin"/>')
    assert places(said(tmp_path, text, "aarch64")) == [("error", "KL0417", *place(text, "eficsm"))]


def test_a_metadata_block_without_a_signature_is_worth_a_warning(tmp_path: Path) -> None:
    text = minimal(type_attributes=SIGNED)
    (found,) = said(tmp_path, text)
    assert places([found]) == [("warning", "KL0702", *place(text, "embed_verity_metadata"))]


@pytest.mark.parametrize("element", ["<verity/>", '<overlay><tree path="/etc"/></overlay>'])
def test_what_belongs_to_an_overlay_needs_one(tmp_path: Path, element: str) -> None:
    text = minimal(type_children=element).replace('overlayroot="true"', 'overlayroot="false"')
    found = [d for d in said(tmp_path, text) if d.code == "KL0702"]
    assert places(found) == [("error", "KL0702", *place(text, element[:8]))]


@pytest.mark.parametrize(("mib", "fits"), [(321, True), (320, False)])
def test_content_sized_partitions_take_a_mebibyte_at_least(
    tmp_path: Path, mib: int, fits: bool
) -> None:
    taken = 64 + 256 + 512 + 1 + 2 + 2 + ROOT_LEAST // MIB
    text = X86.replace('size="1G"', "").replace(
        '<size unit="G">4</size>', f"<size>{taken + mib}</size>"
    )
    assert ("KL0403" not in [d.code for d in said(tmp_path, text)]) is fits


def test_a_description_that_says_nothing_gets_the_defaults(tmp_path: Path) -> None:
    kind = type_of(tmp_path, minimal())
    assert (kind.bios, kind.dps_types, kind.initrd_system) == (False, False, "kiwilite")
    assert (kind.grow, kind.hybrid, kind.boot_switches) == ("never", (), ())
    assert kind.overlay is not None
    assert kind.overlay.trees == ()
    assert kind.overlay.verity == VeritySettings(kind.overlay.verity.span)


def test_verity_settings_are_those_of_the_element(tmp_path: Path) -> None:
    text = verity(
        'algorithm="sha512" salt="00FF" data_block_size="1024" hash_block_size="1024" '
        'hash_tree="partition" fec_roots="24" on_corruption="restart" '
        'metadata_key="file://rsa.pem"',
        SIGNED,
    )
    overlay = type_of(tmp_path, text).overlay
    assert overlay is not None
    found = overlay.verity
    assert found == VeritySettings(
        found.span, "sha512", "00FF", 1024, 1024, "partition", 24, "restart", "file://rsa.pem"
    )
    assert (found.span.line, found.span.column) == place(text, "<verity")
    assert overlay.embed_verity_metadata


def test_hybrid_entries_have_their_type_byte_and_place(tmp_path: Path) -> None:
    text = hybrid('partition="p.UEFI" type="eF" active="true"', 'partition="p.legacy"')
    first, second = type_of(tmp_path, text).hybrid
    assert first == HybridEntry("p.UEFI", 0xEF, True, first.span)
    assert second == HybridEntry("p.legacy", None, False, second.span)
    assert (second.span.line, second.span.column) == place(text, "<entry", 2)


def test_partitions_say_what_is_encrypted_reset_and_how_it_is_mounted(tmp_path: Path) -> None:
    children = partitions(
        HOME + ' encrypted="true"',
        HOME.replace("home", "log") + ' reset="1" mountoptions="ro"',
        SQUASHFS,
    )
    text = encrypted(type_children=children, packages=E2FSPROGS)
    home, log, sized = type_of(tmp_path, text).partitions
    assert (home.encrypted, home.reset, home.mountoptions) == (True, False, None)
    assert (log.encrypted, log.reset, log.mountoptions) == (False, True, "ro")
    assert (home.size, sized.size) == (64 * MIB, 0)


def test_trees_and_switches_keep_their_order(tmp_path: Path) -> None:
    switches = 'boot_switches=" rd.root.overlay.temporary  rd.root.overlay.readonly"'
    text = overlay("/var", "/etc").replace("<type ", f"<type {switches} ")
    kind = type_of(tmp_path, text)
    assert kind.boot_switches == ("rd.root.overlay.temporary", "rd.root.overlay.readonly")
    assert kind.overlay is not None and kind.overlay.trees == ("/var", "/etc")


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("", ("kiwilite", False)),
        ('initrd_system="kiwi" eficsm="false"', ("kiwilite", False)),
        ('initrd_system="dracut" eficsm="true"', ("dracut", True)),
    ],
)
def test_dracut_and_bios_are_there_where_they_are_asked_for(
    tmp_path: Path, attribute: str, expected: tuple[str, bool]
) -> None:
    packages = '<package name="dracut"/><package name="grub-pc-bin"/>'
    kind = type_of(tmp_path, minimal(type_attributes=attribute, packages=packages))
    assert (kind.initrd_system, kind.bios) == expected


RESIZE = "<oem-resize>{}</oem-resize>"
ONCE = "<oem-resize-once>{}</oem-resize-once>"


@pytest.mark.parametrize(
    ("elements", "grow"),
    [
        ("", "always"),
        (RESIZE.format("true"), "always"),
        (RESIZE.format("false"), "never"),
        (ONCE.format("true"), "once"),
        (ONCE.format("false"), "always"),
        (RESIZE.format("true") + ONCE.format("true"), "once"),
        (RESIZE.format("1") + ONCE.format("0"), "always"),
        (RESIZE.format("false") + ONCE.format("true"), "never"),
    ],
)
def test_growth_is_as_oem_resize_says(tmp_path: Path, elements: str, grow: str) -> None:
    text = encrypted(type_children=f"<oemconfig>{elements}</oemconfig>" if elements else "")
    assert type_of(tmp_path, text).grow == grow


def test_without_a_partition_to_write_to_nothing_grows(tmp_path: Path) -> None:
    assert type_of(tmp_path, minimal()).grow == "never"


REFERENCE = """\
<type image="oem" filesystem="xfs" firmware="efi" initrd_system="dracut" overlayroot="true"
overlayroot_write_partition="true" overlayroot_readonly_partsize="1024"
squashfscompression="zstd" bootpartition="true" bootpartsize="256" bootfilesystem="ext4"
format="qcow2" verity_blocks="all" embed_verity_metadata="true" luks_version="luks2"
luks="insecure" kernelcmdline="console=ttyS0 root=overlay:MAPPER=verityRoot">
<bootloader name="grub2" console="console" timeout="0"/>
<oemconfig><oem-resize>false</oem-resize></oemconfig>
<size unit="G">3</size>
<luksformat>
<option name="--cipher" value="aegis128-random"/>
<option name="--key-size" value="128"/>
<option name="--integrity" value="aead"/>
<option name="--pbkdf" value="argon2id"/>
<option name="--pbkdf-memory" value="178155"/>
<option name="--pbkdf-force-iterations" value="4"/>
<option name="--pbkdf-parallel" value="2"/>
</luksformat>
</type>"""


def test_the_type_of_the_image_that_was_the_model_is_understood_as_it_is(tmp_path: Path) -> None:
    text = minimal(packages='<package name="dracut"/>').replace('"8.5"', '"7.5"')
    start, end = text.index("<type "), text.index("</type>") + len("</type>")
    text = text[:start] + REFERENCE + text[end:]
    appliance, found = load(write(tmp_path, text), arch="x86_64")
    assert {d.severity for d in found} == {"warning"}
    assert [d.code for d in found if d.code < "KL0900"] == ["KL0702", "KL0601", "KL0602"]
    overlay = appliance.type.overlay
    assert overlay is not None and overlay.luks is not None
    assert dict(overlay.luks.options)["--pbkdf-memory"] == "178155"
    assert (appliance.type.initrd_system, appliance.type.grow) == ("dracut", "never")
