"""Everything a description can put into a tree arrives in the image, and nothing of the host."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from opened_image import cut_out, debugfs, partition, squashfs_file, squashfs_listing
from tiny_appliance import store_folder

pytestmark = pytest.mark.build

REPOSITORY = Path(__file__).parent.parent.parent
STORE = store_folder()

CONFIG = """\
#!/bin/bash
set -eu
. /.profile
echo "$kiwi_iname $kiwi_iversion $kiwi_profiles" >/etc/script-variables
id -u >/etc/script-user
uname -n >/etc/script-host
setcap cap_net_raw+ep /usr/bin/special
setfacl -m u:1000:r /etc/with-acl
setfattr -n user.colour -v blue /etc/with-xattr
ln /etc/with-xattr /etc/hard-link
{ ip route get 203.0.113.1 && echo reachable || echo none; } >/etc/script-network
ls / >/etc/script-root
cd / && md5sum --check --ignore-missing /var/lib/dpkg/info/*python3*.md5sums >/etc/script-python
"""

ADDED = """
    <packages type="image">
        <package name="libcap2-bin"/><package name="acl"/><package name="attr"/>
        <package name="never-there" arch="aarch64"/>
        <package name="nano"/>
        <archive name="extra.tar.gz" target_dir="/opt"/>
        <file name="notes.txt" target="/etc/notes" owner="admin:users" permissions="0640"/>
    </packages>
    <packages type="delete"><package name="nano"/></packages>
    <users>
        <user name="operator" groups="operators:2345,users" password="plain words"
              pwdformat="plain" id="1500" home="/home/operator" shell="/bin/sh"/>
    </users>
"""


def _description(folder: Path) -> Path:
    """The reference appliance with one thing of each kind added."""
    shutil.copytree(REPOSITORY / "descriptions/x86", folder, symlinks=True)
    text = (folder / "appliance.kiwi").read_text().replace("</image>", f"{ADDED}</image>")
    (folder / "appliance.kiwi").write_text(text)
    script = (folder / "config.sh").read_text()
    (folder / "config.sh").write_text(CONFIG + script.split("\n", 1)[1])
    for name in ("with-acl", "with-xattr"):
        (folder / "root/etc" / name).write_text(name)
    special = folder / "root/usr/bin/special"
    special.parent.mkdir(parents=True)
    special.write_text("#!/bin/sh\n")
    special.chmod(0o755)
    below = folder / "root/home/admin"
    below.mkdir(parents=True)
    (below / "from-overlay").write_text("moved into the partition\n")
    (folder / "notes.txt").write_text("notes\n")
    with tarfile.open(folder / "extra.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("extra/tool")
        info.size, info.mode, info.uid, info.gid = 5, 0o4755, 0, 33
        archive.addfile(info, io.BytesIO(b"tool\n"))
    return folder


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The raw disk of a description that uses everything."""
    folder = tmp_path_factory.mktemp("features")
    description = _description(folder / "features")
    done = subprocess.run(
        [sys.executable, "-m", "kiwilite", "--profile", "bootstrapped", "system", "build"]
        + ["--description", str(description), "--target-dir", str(folder / "out")],
        env={**os.environ, "KIWILITE_STORE": str(STORE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "plain words" not in done.stdout + done.stderr
    yield next((folder / "out").glob("*.raw"))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def listing(image: Path) -> dict[str, str]:
    return squashfs_listing(image, "p.lxreadonly")


def _text(image: Path, path: str) -> str:
    return squashfs_file(image, "p.lxreadonly", path).decode()


def test_scripts_see_the_appliance_and_no_network_and_no_host(image: Path) -> None:
    assert _text(image, "/etc/script-variables") == "kiwilite-x86 1.0.1 bootstrapped\n"
    assert _text(image, "/etc/script-user") == "0\n"
    assert _text(image, "/etc/script-host") == "localhost\n"
    assert _text(image, "/etc/script-network") == "none\n"
    root = _text(image, "/etc/script-root").split()
    assert "work" not in root
    assert "kiwilite" not in root
    assert {"etc", "usr", "var"} < set(root)


def test_the_build_leaves_no_helper_files(listing: dict[str, str]) -> None:
    for path in ("/.profile", "/.kconfig", "/image", "/etc/resolv.conf.kiwilite"):
        assert path not in listing
    left = [
        p for p in listing if "kiwilite-build" in p or p.startswith(("/run/", "/tmp/", "/dev/"))
    ]
    assert left == []


def test_python_is_as_its_packages_have_it_and_nothing_is_compiled(
    image: Path, listing: dict[str, str]
) -> None:
    """The build puts another compiler in place of theirs while packages are set up."""
    compilers = [p for p in listing if p.endswith(("/py_compile.py", "/bin/py3compile"))]
    checked = _text(image, "/etc/script-python").splitlines()
    assert len(compilers) == 2
    assert {f"{path.lstrip('/')}: OK" for path in compilers} <= set(checked)
    assert [line for line in checked if not line.endswith(": OK")] == []
    assert listing["/usr/bin/py3compile"].startswith("-rwxr-xr-x 0/0 ")
    assert [p for p in listing if p.endswith(".pyc") or "kiwilite-aside" in p] == []


def test_file_archive_and_overlay_have_their_owners_and_modes(listing: dict[str, str]) -> None:
    assert listing["/etc/notes"].startswith("-rw-r----- 1000/100 ")
    assert listing["/opt/extra/tool"].startswith("-rwsr-xr-x 0/33 ")
    assert listing["/etc/with-acl"].startswith("-rw-r")
    assert listing["/usr/bin/special"].startswith("-rwxr-xr-x 0/0 ")


def test_file_capabilities_and_xattrs_reach_the_image(image: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can unpack capabilities")
    start, _ = partition(image, "p.lxreadonly")
    subprocess.run(
        ["unsquashfs", "-q", "-n", "-o", str(start), "-d", str(tmp_path / "t"), str(image)]
        + ["usr/bin/special", "etc/with-xattr", "etc/hard-link"],
        check=True,
        capture_output=True,
    )
    capability = os.getxattr(tmp_path / "t/usr/bin/special", "security.capability")
    # Revision 2 (no id of the build's namespace in it), effective, CAP_NET_RAW = bit 13.
    assert capability[:8] == bytes([1, 0, 0, 2, 0, 0x20, 0, 0])
    assert len(capability) == 20
    assert os.getxattr(tmp_path / "t/etc/with-xattr", "user.colour") == b"blue"
    assert (tmp_path / "t/etc/with-xattr").stat().st_nlink == 2


def test_no_file_carries_attributes_of_the_host(image: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can unpack all attributes")
    start, _ = partition(image, "p.lxreadonly")
    subprocess.run(
        ["unsquashfs", "-q", "-n", "-o", str(start), "-d", str(tmp_path / "t"), str(image)],
        check=False,
        capture_output=True,
    )
    names = set()
    for base, folders, files in os.walk(tmp_path / "t"):
        for name in (*folders, *files):
            names |= set(os.listxattr(Path(base) / name, follow_symlinks=False))
    assert names <= {"security.capability", "user.colour"}


def test_acls_come_back_through_tmpfiles(image: Path) -> None:
    rows = _text(image, "/usr/lib/tmpfiles.d/kiwilite-acl.conf").splitlines()
    assert any(re.match(r"a /etc/with-acl - - - - .*u:1000:r--", row) for row in rows)


def test_users_have_their_ids_groups_and_passwords(image: Path) -> None:
    passwd = _text(image, "/etc/passwd")
    assert "operator:x:1500:2345:" in passwd
    shadow = dict(row.split(":", 1) for row in _text(image, "/etc/shadow").splitlines())
    hashed = shadow["operator"].split(":")[0]
    salt = hashed.split("$")[2]
    again = subprocess.run(
        ["openssl", "passwd", "-6", "-salt", salt, "-stdin"],
        input="plain words\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout.strip() == hashed
    days = {row.split(":")[1] for row in shadow.values()}
    assert days == {str(1754697600 // 86400)}
    assert shadow["admin"].startswith("$6$kiwiliteadmin$")


def test_a_deleted_package_is_gone_and_another_architecture_never_came(
    image: Path, listing: dict[str, str]
) -> None:
    assert "/usr/bin/nano" not in listing
    packages = (image.with_suffix(".packages")).read_text()
    assert not re.search(r"^(nano|never-there)\|", packages, re.MULTILINE)
    assert re.search(r"^acl\|None\|[^|]+\|None\|amd64\|None\|None$", packages, re.MULTILINE)


def test_content_below_a_mount_point_moves_into_its_partition(
    image: Path, listing: dict[str, str], tmp_path: Path
) -> None:
    assert "/home" in listing
    assert not [p for p in listing if p.startswith("/home/")]
    home = cut_out(image, "home", tmp_path / "home")
    assert debugfs(home, "cat /admin/from-overlay") == "moved into the partition\n"
    assert re.search(r"User:\s+1000\s+Group:\s+1000", debugfs(home, "stat /admin"))
    assert re.search(r"User:\s+1500\s+Group:\s+2345", debugfs(home, "stat /operator"))
    subprocess.run(["e2fsck", "-fn", str(home)], check=True, capture_output=True)


def test_no_time_stamp_in_the_home_partition_is_younger_than_the_epoch(
    image: Path, tmp_path: Path
) -> None:
    home = cut_out(image, "home", tmp_path / "home")
    said = debugfs(home, "stat /admin/from-overlay") + debugfs(home, "stat /lost+found")
    stamps = [int(s, 16) for s in re.findall(r"[acm]r?time: 0x([0-9a-f]{8})", said)]
    assert len(stamps) == 8
    assert max(stamps) <= 1754697600


def test_the_xfs_partition_is_sound(image: Path, tmp_path: Path) -> None:
    storage = cut_out(image, "oci-storage", tmp_path / "storage")
    subprocess.run(["xfs_repair", "-n", "-f", str(storage)], check=True, capture_output=True)


def test_both_hash_trees_verify_with_the_reference_tool(image: Path, tmp_path: Path) -> None:
    root_hash = image.with_suffix(".roothash").read_text().strip()
    root = cut_out(image, "p.lxreadonly", tmp_path / "root")
    superblock = root.read_bytes()[40:48]
    size = -(-int.from_bytes(superblock, "little") // 4096) * 4096
    subprocess.run(
        ["veritysetup", "verify", f"--hash-offset={size}", str(root), str(root), root_hash],
        check=True,
    )
