"""Bad input and bad hosts: one clear message, its exit status, nothing half-written."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_appliance
from tiny_appliance import Appliance, Said

from kiwilite.build.kinds import KINDS

pytestmark = pytest.mark.build

WRONG, USAGE, HOST, STEP, SPACE = 1, 2, 3, 4, 6

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount and map all ids")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which the sound appliance is built; the steps are shared by all tests."""
    sound = tiny_appliance.make(tmp_path_factory.mktemp("sound"))
    said = sound.build()
    assert said.status == 0, said.err
    return sound.store


@pytest.fixture
def tiny(tmp_path: Path, warm: Path) -> Appliance:
    return tiny_appliance.make(tmp_path, warm)


def refused(appliance: Appliance, said: Said, status: int) -> str:
    """The message of a build that had to fail; sees that it left no trace and no harm."""
    assert said.status == status, said.err
    message = said.complaint()
    assert appliance.results() == []
    good = tiny_appliance.make(appliance.folder.parent / "good", appliance.store).build()
    assert good.status == 0, good.err
    return message


## The description


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<version>1.0.0</version>", "<verson>1.0.0</verson>", ["verson", "version"]),
        ("kernelcmdline=", "kernelcmdlin=", ["kernelcmdlin", "kernelcmdline"]),
        ("</preferences>", "</preference>", ["preference"]),
        ('squashfscompression="zstd"', 'squashfscompression="zst"', ["zst", "zstd"]),
        ('package name="kmod"', 'package name="kmod" arch=""', ["arch"]),
        (
            '<packages type="image">',
            '<packages type="image" profiles="smal">',
            ["smal", "did you mean", "small"],
        ),
        (
            '<package name="kmod"/>',
            '<package name="kmod"/><file name="motd" target="/etc/motd"/>',
            ["motd"],
        ),
        (
            '<package name="kmod"/>',
            '<package name="kmod"/><archive name="more.tar.gz"/>',
            ["more.tar.gz"],
        ),
        ('<source path="distro:debian"/>', '<source path="distro:nowhere"/>', ["distro:nowhere"]),
        ('<source path="distro:debian"/>', '<source path="file:///not/there"/>', ["/not/there"]),
    ],
    ids=[
        *("element", "attribute", "tag", "value", "empty-arch", "profile", "file", "archive"),
        *("distribution", "folder"),
    ],
)
def test_a_mistake_in_the_description_is_shown_at_its_line(
    tiny: Appliance, old: str, new: str, words: list[str]
) -> None:
    line = tiny.change(old, new)
    message = refused(tiny, tiny.build(), WRONG)
    lines = {line, line - 1} if "source path" in old else {line}
    assert any(f"{tiny.file}:{n}:" in message for n in lines), message
    assert all(word in message for word in words), message


def test_an_unknown_profile_is_an_error_with_a_suggestion(tiny: Appliance) -> None:
    message = refused(tiny, tiny.build("--profile", "smal"), WRONG)
    assert "smal" in message
    assert "did you mean" in message
    assert "`small`" in message


def test_several_mistakes_are_all_told_at_once(tiny: Appliance) -> None:
    first = tiny.change("<version>1.0.0</version>", "<verson>1.0.0</verson>")
    second = tiny.change("kernelcmdline=", "kernelcmdlin=")
    message = refused(tiny, tiny.build(), WRONG)
    assert f"{tiny.file}:{first}:" in message
    assert f"{tiny.file}:{second}:" in message


def test_a_description_that_is_not_there_is_usage(tiny: Appliance) -> None:
    tiny.file.unlink()
    assert str(tiny.folder) in refused(tiny, tiny.build(), USAGE)


def test_a_package_nobody_has_is_shown_at_its_line(tiny: Appliance) -> None:
    line = tiny.change('<package name="kmod"/>', '<package name="kmodd-nobody-has-it"/>')
    message = refused(tiny, tiny.build(), WRONG)
    assert f"{tiny.file}:{line}:" in message
    assert "kmodd-nobody-has-it" in message


## Scripts


@pytest.mark.parametrize("name", ["post_bootstrap", "config", "images", "pre_disk_sync"])
def test_a_failing_script_is_named_with_its_status_and_last_words(
    tiny: Appliance, name: str
) -> None:
    script = tiny.script(name, "echo these were my last words\nexit 7")
    message = refused(tiny, tiny.build(), STEP)
    assert f"{script}: the script failed" in message
    assert "status 7" in message
    assert "these were my last words" in message


@pytest.mark.parametrize("file", ["preferences.d/more", "sources.list.d/more.list"])
def test_a_script_that_wants_a_say_in_the_choice_of_packages_is_refused(
    tiny: Appliance, file: str
) -> None:
    script = tiny.script("post_bootstrap", f"echo '# more' >/etc/apt/{file}")
    message = refused(tiny, tiny.build(), STEP)
    assert f"{script}: the script changes how apt selects packages (/etc/apt/{file})" in message
    assert "<repository>" in message


def test_a_script_with_an_interpreter_the_image_lacks_is_named(tiny: Appliance) -> None:
    script = tiny.script("config", "true")
    script.write_text("#!/usr/bin/no-such-shell\n")
    assert f"{script}: the script failed" in refused(tiny, tiny.build(), STEP)


def test_a_script_that_is_a_dangling_link_is_an_error(tiny: Appliance) -> None:
    (tiny.folder / "config.sh").symlink_to("not-there.sh")
    message = refused(tiny, tiny.build(), WRONG)
    assert "config.sh" in message
    assert str(tiny.file) in message


def test_a_script_cannot_reach_the_network(tiny: Appliance) -> None:
    tiny.script("config", 'test -z "$(ls /sys/class/net 2>/dev/null)" || exit 8\nexit 9')
    assert "status 9" in refused(tiny, tiny.build(), STEP)


## Sizes


def test_an_efi_partition_too_small_is_shown_at_its_line(tiny: Appliance) -> None:
    line = tiny.change("<type image", '<type efipartsize="5" image')
    message = refused(tiny, tiny.build(), WRONG)
    assert f"{tiny.file}:{line}:" in message
    assert "5 MiB" in message
    assert "efipartsize=" in message


PARTITION = """\
            <partitions>
                <partition name="home" size="16M" mountpoint="/home" filesystem="ext4"/>
            </partitions>
        </type>"""


@pytest.mark.parametrize("count", [20, 14])
def test_a_partition_too_small_for_its_files_is_shown_at_its_line(
    tiny: Appliance, count: int
) -> None:
    """20 MiB are more than the partition has; 14 MiB are more than ext4 has room for in it."""
    line = tiny.change("        </type>", PARTITION) + 1
    (tiny.folder / "root/home").mkdir(parents=True)
    (tiny.folder / "root/home/large").write_bytes(os.urandom(count << 20))
    message = refused(tiny, tiny.build(), WRONG)
    assert f"{tiny.file}:{line}:" in message
    assert "16 MiB" in message
    assert f"{count} MiB" in message


def test_a_disk_too_small_is_shown_at_its_line(tiny: Appliance) -> None:
    line = tiny.change("</type>", '    <size unit="M">60</size>\n        </type>')
    message = refused(tiny, tiny.build(), WRONG)
    assert f"{tiny.file}:{line}:" in message
    assert "60 MiB" in message


## The host


def in_mounts(*commands: str) -> list[str]:
    """Words that run what follows in a mount namespace prepared by these shell commands."""
    ready = " && ".join([*commands, 'exec "$@"'])
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", *user, "--mount", "sh", "-c", ready, "sh"]


def tools() -> list[str]:
    return sorted({tool for kind in KINDS.values() for tool in kind.tools} - {"tar", "dpkg"})


@pytest.mark.parametrize("tool", ["mcopy", "mkfs.vfat", "mmdebstrap"])
def test_a_missing_tool_is_named_with_its_package_before_any_step(
    tiny: Appliance, tool: str
) -> None:
    assert tool in tools()
    hide = (
        f"for dir in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin; do "
        f'test ! -e "$dir/{tool}" || mount --bind /dev/null "$dir/{tool}"; done'
    )
    said = tiny.build(before=in_mounts(hide))
    message = refused(tiny, said, HOST)
    assert f"the tool {tool} is not installed" in message
    assert "apt-get install" in message
    assert "bootstrap" not in said.out


def with_own_store(tiny: Appliance) -> Appliance:
    """Where the shared store belongs to ids that a made-up user does not have."""
    return Appliance(tiny.folder, tiny.target, tiny.folder.parent / "store")


def test_a_user_without_subordinate_ids_is_told_the_command(tiny: Appliance) -> None:
    who = ["unshare", "--user", "--map-user=54321", "--map-group=54321"]
    message = refused(tiny, with_own_store(tiny).build(before=who), HOST)
    assert "54321 has no 65534 subordinate ids in /etc/subuid" in message
    assert "usermod --add-subuids" in message


ALL_IDS = "0 0 4294967295"
NO_NAMESPACES = """
import os, sys
from pathlib import Path
from kiwilite.build import syscalls
syscalls.unshare(syscalls.CLONE_NEWUSER)
print("ready", flush=True)
sys.stdin.readline()
Path("/proc/sys/user/max_user_namespaces").write_text("0")
os.execv(sys.argv[1], sys.argv[1:])
"""


@as_root
def test_a_kernel_that_allows_no_namespaces_is_named(tiny: Appliance) -> None:
    tiny.script("config", f"# {tiny.folder}")
    child = subprocess.Popen(
        [sys.executable, "-c", NO_NAMESPACES, *tiny.command()],
        env=tiny.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None and child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    for table in ("uid_map", "gid_map"):
        Path(f"/proc/{child.pid}/{table}").write_text(ALL_IDS)
    out, err = child.communicate("go\n", timeout=300)
    message = refused(tiny, Said(child.returncode, out, err), HOST)
    assert "user.max_user_namespaces is 0" in message
    assert "No space left" not in message
    assert "sysctl" in message


def test_the_root_of_a_small_container_is_told_to_have_more_ids(tiny: Appliance) -> None:
    before = ["unshare", "--map-root-user"]
    message = refused(tiny, with_own_store(tiny).build(before=before), HOST)
    assert "a container with 1 ids" in message
    assert "usermod --add-subuids" in message


def test_a_store_that_cannot_be_made_says_where_else(tiny: Appliance, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = tiny.build(environment={"KIWILITE_STORE": str(tmp_path / "file/store")})
    assert "KIWILITE_STORE" in refused(tiny, said, HOST)


def test_a_target_that_is_a_file_is_usage(tiny: Appliance) -> None:
    tiny.target.write_text("mine")
    said = tiny.build()
    assert said.status == USAGE
    assert str(tiny.target) in said.complaint()
    assert tiny.target.read_text() == "mine"


## Full disks


def small(folder: Path, mebibytes: int) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return f"mount -t tmpfs -o size={mebibytes}m tmpfs {shlex.quote(str(folder))}"


@as_root
@pytest.mark.parametrize("mebibytes", [1, 30, 150])
def test_a_full_disk_under_a_step_says_where_to_make_room(tiny: Appliance, mebibytes: int) -> None:
    tiny.script("config", f"# {tiny.folder}")
    work = small(tiny.store / "work", mebibytes)
    message = refused(tiny, tiny.build(before=in_mounts(work)), SPACE)
    assert f"no space left in the store {tiny.store}" in message
    assert "make room" in message


@as_root
def test_a_store_on_a_full_disk_says_where_to_make_room(tiny: Appliance, tmp_path: Path) -> None:
    store = tmp_path / "store"
    said = Appliance(tiny.folder, tiny.target, store).build(before=in_mounts(small(store, 60)))
    assert f"no space left in the store {store}" in refused(tiny, said, SPACE)


@as_root
def test_a_full_disk_under_the_target_leaves_no_file_there(tiny: Appliance) -> None:
    listing = tiny.folder / "listing"
    words = " && ".join([small(tiny.target, 20), '{ "$@"; status=$?; }'])
    after = f"ls -A {shlex.quote(str(tiny.target))} >{shlex.quote(str(listing))}; exit $status"
    said = tiny.build(before=["unshare", "--mount", "sh", "-c", f"{words}; {after}", "sh"])
    assert listing.read_text() == ""
    assert "no space left" in refused(tiny, said, SPACE)


@as_root
def test_a_full_disk_keeps_the_results_of_the_build_before(tiny: Appliance) -> None:
    assert tiny.build().status == 0
    before = {p.name: p.stat().st_ino for p in tiny.target.iterdir()}
    tiny.change("<version>1.0.0<", "<version>2.0.0<")
    kept = tiny.target.with_name("out.kept")
    tiny.target.rename(kept)
    listing = tiny.folder / "listing"
    after = f"(cd {tiny.target} && ls -A && sha256sum -c SHA256SUMS) >{listing}; exit $status"
    fill = f"{small(tiny.target, 170)} && cp -a {kept}/. {tiny.target}"
    words = f'{fill} && {{ "$@"; status=$?; }}; {after}'
    said = tiny.build(before=["unshare", "--mount", "sh", "-c", words, "sh"])
    assert said.status == SPACE, said.err
    said.complaint()
    found = listing.read_text().splitlines()
    assert found[: len(before)] == sorted(before)
    assert all(row.endswith(": OK") for row in found[len(before) :])
