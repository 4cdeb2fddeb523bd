"""How the boot hook tells the states of a volume apart, on files, with cryptsetup's headers."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from uuid import UUID

import hook_shell
import pytest

from kiwilite.boot.mark import provisioning_mark

MIB = 1024 * 1024
SIZE = 40 * MIB
ID = "abcdef01-2345-4678-9abc-def012345678"
OTHER = "00000000-0000-4000-8000-00000000dead"

# Write number CUT is torn in the middle, and nothing comes after it.
_STUBS = f"""
volume_id={ID} place=overlay leader=PARTUUID partuuid=PARTUUID leading=""
blockdev() {{ stat -c %s "$2"; }}
sync() {{ :; }}
cut() {{
    writes=$((${{writes:-0}} + 1))
    [ "$writes" != "${{CUT:-0}}" ]
}}
write_blocks() {{
    count=$4
    cut || {{ [ "$count" = 1 ] || dd if="$1" of="$2" bs=4096 seek="$3" count=$((count / 2)) \
        conv=notrunc 2>/dev/null; exit 9; }}
    dd if="$1" of="$2" bs=4096 seek="$3" count="$count" conv=notrunc 2>/dev/null
}}
"""


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A partition that is zero from end to end."""
    path = tmp_path / "device"
    with path.open("wb") as file:
        file.truncate(SIZE)
    return path


def write(device: Path, offset: int, data: bytes) -> None:
    with device.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def line(word: str, volume_id: str = ID) -> bytes:
    return f"KIWILITE {word} {volume_id}".encode().ljust(511) + b"\n"


def format_volume(device: Path, state: str, label: str = ID) -> None:
    """A LUKS2 header of cryptsetup's, and ciphertext behind it."""
    if shutil.which("cryptsetup") is None:
        pytest.skip("needs cryptsetup")
    key = device.with_suffix(".key")
    key.write_text("secret")
    subprocess.run(
        ["cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--pbkdf", "pbkdf2",
         "--pbkdf-force-iterations", "1000", "--label", label, "--subsystem", f"kiwilite-{state}",
         "--key-file", key, device],
        check=True,
    )  # fmt: skip
    write(device, 16 * MIB, b"\xa5" * (SIZE - 16 * MIB - 4096))


def state(device: Path) -> str:
    work = device.with_suffix(".work")
    commands = f"device={device} header_dump=$work/dump\nclassify_volume\necho state: $volume"
    ran = hook_shell.run(work, commands, _STUBS)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.rpartition("state: ")[2].strip()


@pytest.mark.parametrize(
    ("subsystem", "expected"),
    [("ready", "ready"), ("sparse", "sparse"), ("provisioning", "unfinished"),
     ("reset", "resetting"), ("something", "damaged")],
)  # fmt: skip
def test_the_subsystem_of_our_header_says_the_state(
    device: Path, subsystem: str, expected: str
) -> None:
    format_volume(device, subsystem)
    assert state(device) == expected
    write(device, 0, bytes(16384))  # the second header is intact
    assert state(device) == expected


def test_a_header_with_another_label_is_foreign(device: Path) -> None:
    format_volume(device, "ready", OTHER)
    assert state(device) == "foreign"


def test_our_mark_is_marked_and_that_of_others_foreign(device: Path) -> None:

    write(device, 0, provisioning_mark(UUID(ID)))
    assert state(device) == "marked"
    write(device, 0, provisioning_mark(UUID(OTHER)))
    assert state(device) == "foreign"


def test_zero_is_blank(device: Path) -> None:
    assert state(device) == "blank"


@pytest.mark.parametrize("zeroed", [64 * 1024, 17 * MIB])
def test_a_volume_whose_head_was_zeroed_is_damaged_and_not_blank(device: Path, zeroed: int) -> None:
    format_volume(device, "ready")
    write(device, 0, bytes(zeroed))
    assert state(device) == "damaged"


def test_something_else_is_damaged(device: Path) -> None:
    write(device, 8192, b"data of somebody")
    assert state(device) == "damaged"


def test_a_partition_that_cannot_be_read_is_damaged(device: Path) -> None:
    with device.open("r+b") as file:
        file.truncate(16 * MIB)
    assert state(device) == "damaged"


def test_without_a_header_the_last_block_tells_what_was_going_on(device: Path) -> None:
    write(device, 0, b"\xff" * 65536)
    write(device, SIZE - 4096, line("PROVISION"))
    assert state(device) == "unfinished"
    write(device, SIZE - 4096, line("RESET"))
    assert state(device) == "resetting"
    write(device, SIZE - 4096, line("PROVISION", OTHER))
    assert state(device) == "damaged"


def reset(device: Path, cut: int = 0) -> int:
    """Run the reset of the leading volume up to write number `cut`; gives the exit status."""
    work = device.with_suffix(".work")
    commands = f"""
device={device} header_dump=$work/dump CUT={cut}
cryptsetup() {{ case $1 in config | erase) cut || exit 9 ;; esac; command cryptsetup "$@"; }}
phase() {{ :; }}
classify_volume
begin_reset
echo between
finish_reset
"""
    return hook_shell.run(work, commands, _STUBS).returncode


@pytest.mark.parametrize("before", ["ready", "foreign", "damaged", "marked", "unfinished"])
@pytest.mark.parametrize("cut", range(1, 6))
def test_a_reset_cut_at_any_write_either_did_not_begin_or_is_completed(
    device: Path, before: str, cut: int
) -> None:
    if before in ("ready", "foreign", "unfinished"):
        word = "provisioning" if before == "unfinished" else "ready"
        format_volume(device, word, OTHER if before == "foreign" else ID)
    elif before == "damaged":
        write(device, 0, b"\xff" * 65536)
    else:
        write(device, 0, line("PROVISION") * 128)
    assert state(device) == before
    status = reset(device, cut)
    assert status == (9 if status else 0)
    after = state(device)
    assert after in ((before, "resetting") if cut == 1 else ("resetting", "unfinished"))
    if after != "unfinished":
        assert reset(device) == 0
    assert state(device) == "unfinished"


def test_after_a_reset_no_keyslot_is_left(device: Path) -> None:
    format_volume(device, "ready")
    assert reset(device) == 0
    assert not any(device.read_bytes()[: 16 * MIB])


@pytest.mark.parametrize(
    ("extents", "holes"),
    [
        ("0 10", "10 100\n"),
        ("5 5\n20 80", "0 5\n10 20\n"),
        ("0 100", ""),
        ("0 4294967296000", None),
        ("10 5\n2 3", None),
        ("0 10\n5 10", None),
        ("0 10 7", None),
        ("0 x", None),
        ("", None),
    ],
)
def test_the_holes_are_what_the_extents_leave_out(
    tmp_path: Path, extents: str, holes: str | None
) -> None:
    ran = hook_shell.run(tmp_path / "work", f"blocks=100\nprintf '{extents}\\n' | list_holes")
    assert (ran.stdout if ran.returncode == 0 else None) == holes


def test_the_extents_are_read_from_the_token(device: Path) -> None:
    format_volume(device, "sparse")
    token = device.with_suffix(".json")
    token.write_text('{"type":"kiwilite-written","keyslots":[],"extents":["0 1040","99 3"]}')
    subprocess.run(
        ["cryptsetup", "token", "import", "--json-file", token, device], check=True
    )  # fmt: skip
    commands = f"""device={device} header_dump=$work/dump
cryptsetup luksDump $device >$header_dump
written_extents"""
    ran = hook_shell.run(tmp := device.with_suffix(".work"), commands)
    assert tmp.is_dir()
    assert ran.stdout.split("\n")[:2] == ["0 1040", "99 3"]


@pytest.mark.parametrize(
    ("extents", "filled"),
    [("0 100", []), ("0 60", ["zeros: 60 100"]), ("5 20", ["zeros: 0 5", "zeros: 25 100"])],
    ids=["full", "full, on a larger disk", "with holes"],
)
def test_a_volume_made_with_the_image_is_ready_once_all_outside_of_its_extents_is_zero(
    tmp_path: Path, extents: str, filled: list[str]
) -> None:
    stubs = f"""
unlock_volume() {{ blocks=100; }}
written_extents() {{ echo "{extents}"; }}
zero_blocks() {{ echo "zeros: $1 $2"; }}
set_state() {{ echo "state: $1"; }}
phase() {{ :; }}
"""
    ran = hook_shell.run(
        tmp_path / "work", "device=d place=overlay mapping=luks\nfill_holes", stubs
    )
    assert ran.stdout.splitlines() == [*filled, "state: ready"], ran.stderr


_REFUSED = "asks for other encryption than the policy"


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ("--cipher aes-xts-plain64\n", ""),
        ("--cipher aes-xts-plain64\nformat --integrity hmac-sha256\n", _REFUSED),
        ("--cipher aes-cbc-essiv:sha256\n", _REFUSED),
    ],
    ids=["the same", "not authenticated", "another cipher"],
)
def test_a_header_must_ask_for_what_the_policy_asks_for(device: Path, asks: str, said: str) -> None:
    format_volume(device, "ready")
    work = device.with_suffix(".work")
    work.mkdir()
    (work / "policy").write_text(f"format {asks}")
    commands = f"""device={device} header_dump=$work/dump
cryptsetup luksDump $device >$header_dump
check_header"""
    ran = hook_shell.run(work, commands)
    assert ran.returncode == (1 if said else 0), ran.stderr
    assert said in ran.stdout


def test_the_wait_for_a_partition_ends_and_names_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    (work / "policy").write_text(
        "verity root AAAA hash AAAA 0 / squashfs\nvolume luks BBBB id xfs\n"
    )
    stubs = """
patience=1 root_partuuid=AAAA
load_drivers() { :; }
list_partitions() { echo "AAAA /dev/vda1 /dev/vda 1"; }
"""
    ran = hook_shell.run(work, "wait_for_partitions", stubs)
    assert ran.returncode == 1
    assert ran.stdout == "FAILED: partition BBBB did not appear\n"


def test_the_tpm_gets_one_extension_of_pcr_12(tmp_path: Path) -> None:
    tpm = tmp_path / "tpm"
    tpm.write_bytes(b"")
    hook_shell.run(tmp_path / "work", "extend_pcr", tpm=tpm)
    # TPM 2.0 Library, part 3, 22.2: TPM2_PCR_Extend with a password session
    head = struct.pack(">HIIIIIHBHIH", 0x8002, 65, 0x182, 12, 9, 0x40000009, 0, 0, 0, 1, 0x0B)
    assert tpm.read_bytes() == head + b"kiwilite: a shell after failure."
    assert len(tpm.read_bytes()) == 65


def test_before_a_shell_the_key_file_is_gone(tmp_path: Path) -> None:
    work, key = tmp_path / "work", tmp_path / "luks.key"
    work.mkdir()
    key.write_text("secret")
    (work / "policy").write_text(
        f"volume luks 1 2 xfs {key} overlay\nvolume home 1 2 xfs {key} /h\n"
    )
    ran = hook_shell.run(work, "drop_keys", "sh() { :; }")
    assert ran.returncode == 0, ran.stderr
    assert not key.exists()


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        ("MAPPER=verityRoot", True),
        ("/dev/mapper/verityRoot", True),
        ("MAPPER=other", False),
        ("UNIXNODE=vda1", True),
        ("/dev/vda1", True),
        ("/dev/vda2", False),
        ("PARTUUID=ABCD-1", True),
        ("/dev/disk/by-partuuid/abcd-1", True),
        ("PARTLABEL=p.lxroot", True),
        ("/dev/disk/by-partlabel/other", False),
        ("UUID=1234", True),
        ("/dev/disk/by-uuid/9", False),
        ("LABEL=home", True),
        ("nbd=1.2.3.4", False),
    ],
)
def test_a_device_is_recognised_by_each_of_its_names(tmp_path: Path, spec: str, same: bool) -> None:
    stubs = """
device=/dev/vda1
partx() { case "$*" in *UUID*) echo abcd-1 ;; *) echo p.lxroot ;; esac; }
cryptsetup() { case $1 in luksUUID) echo 1234 ;; *) printf 'Label:          \\thome\\n' ;; esac; }
"""
    ran = hook_shell.run(
        tmp_path / "work", f"if names_device '{spec}' verityRoot; then echo same; fi", stubs
    )
    assert (ran.stdout == "same\n") == same, ran.stderr
