"""A container as engines make it for an ordinary user, of the kernel's means alone.

It has 65536 ids of the host or fewer, namespaces of its own but for the network, a /proc
with parts that are masked, so that nobody inside may mount another one, and root has no
more capabilities than engines leave it. Inside there is a user `build` beside root. A filter
of system calls, which engines have as well, it has where that is asked for.

    python container.py SPEC COMMAND…    as root of the host; SPEC is a Container in JSON
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from kiwilite.build import syscalls as sc
from kiwilite.build.reproduce.circumstances import ways_to_python
from kiwilite.build.reproduce.launch import uncover

FIRST = 0x30000000
"""The host's id of root inside."""
BUILD = 1000
"""Id of `build` inside."""
OTHERS = "build:1:999\nbuild:1001:64535\n"
"""All other ids inside, in two ranges, as `build` stands between them."""
CAPABILITIES = (
    *("chown", "dac_override", "fowner", "fsetid", "kill", "net_bind_service", "setfcap"),
    *("setgid", "setpcap", "setuid", "sys_chroot"),
)

CALLS = {
    "unshare": {"x86_64": 272, "aarch64": 97},
    "sethostname": {"x86_64": 170, "aarch64": 161},
}
"""Numbers of system calls by machine."""

SETUP = """\
set -eu
options=mode=0755
[ "$1" != nosuid ] || options=$options,nosuid
mount -t tmpfs -o "$options" none /mnt
cp --preserve=mode /usr/bin/newuidmap /usr/bin/newgidmap /mnt
chmod u-s /mnt/newuidmap /mnt/newgidmap
case $1 in
capable | nosuid)
    setcap cap_setuid=ep /mnt/newuidmap
    setcap cap_setgid=ep /mnt/newgidmap
    ;;
setuid) chmod u+s /mnt/newuidmap /mnt/newgidmap ;;
plain) ;;
none) chmod a-x /mnt/newuidmap /mnt/newgidmap ;;
esac
# A copy: what is mounted on a file goes when somebody outside replaces the file.
cp -dR /etc /mnt/etc 2>/mnt/unreadable || :
for name in passwd group; do mv "/mnt/etc/$name" "/mnt/$name"; done
{ echo 'build:x:1000:1000::/:/bin/sh'; cat /mnt/passwd; } >/mnt/etc/passwd
{ echo 'build:x:1000:'; cat /mnt/group; } >/mnt/etc/group
printf '%s' "$2" | tee /mnt/etc/subuid >/mnt/etc/subgid
mount --bind /mnt/etc /etc
for name in newuidmap newgidmap; do mount --bind "/mnt/$name" "/usr/bin/$name"; done
mount -t proc -o nosuid,nodev,noexec none /proc
[ -z "$3" ] || echo "$3" >/proc/sys/user/max_user_namespaces
cd /proc
for name in kcore keys timer_list; do [ ! -e $name ] || mount --bind /dev/null $name; done
for name in acpi scsi; do [ ! -e $name ] || mount -t tmpfs -o ro,size=0 none $name; done
for name in bus fs irq sys; do
    mount --bind $name $name
    mount -o remount,bind,ro $name
done
cd /
shift 3
exec setpriv "$@"
"""


@dataclass(frozen=True, slots=True)
class Container:
    """What a container is like, where it is not like others."""

    user: str = "root"
    visible: Sequence[str] = ()
    """Paths that only root of the host may reach."""
    ids: int = 65536
    subordinate: str = OTHERS
    """The tables of subordinate ids inside."""
    helper: Literal["capable", "nosuid", "setuid", "plain", "none"] = "capable"
    """What newuidmap and newgidmap are."""
    most_namespaces: str = ""
    """What user.max_user_namespaces is set to inside."""
    lacks: str | None = None
    """A capability that root has not either."""
    forbidden: str | None = None
    """A system call of CALLS that a filter refuses."""
    gains_powers: bool = True
    """Without: started as with --security-opt no-new-privileges."""

    @property
    def owner(self) -> int:
        """The host's id of who runs commands."""
        return FIRST + (BUILD if self.user == "build" else 0)

    def identity(self) -> list[str]:
        """Options of setpriv."""
        kept = ",".join(f"+{name}" for name in CAPABILITIES if name != self.lacks)
        words = [f"--bounding-set=-all,{kept}", "--inh-caps=-all"]
        if self.user == "build":
            words += [f"--reuid={BUILD}", f"--regid={BUILD}", "--clear-groups"]
        return words if self.gains_powers else [*words, "--no-new-privs"]

    def run(
        self, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside."""
        return subprocess.run(
            [sys.executable, __file__, json.dumps(asdict(self)), *command],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def forbid(call: str) -> None:
    """Let a system call fail with EPERM from here on, in all that is started too.

    A BPF program (<linux/filter.h>, <linux/seccomp.h>) of four instructions of eight bytes,
    (u16 code, u8 if true, u8 if false, u32 value): load the call's number, compare it,
    SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with 1.
    """
    number = CALLS[call][os.uname().machine]
    rows = ((0x20, 0, 0, 0), (0x15, 1, 0, number), (0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x50001))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *row) for row in rows))
    program = struct.pack("@HP", len(rows), ctypes.addressof(code))
    address = ctypes.create_string_buffer(program)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(22, ctypes.c_ulong(2), address, 0, 0) != 0:  # PR_SET_SECCOMP, a filter
        raise OSError(ctypes.get_errno(), "seccomp")


def main(argv: Sequence[str]) -> int:
    """Be the container; the exit status of the command."""
    wanted, command = Container(**json.loads(argv[0])), argv[1:]
    uncover(map(Path, (*ways_to_python(), *wanted.visible)), FIRST)
    asks, asked = os.pipe()
    gate, opened = os.pipe()
    pid = os.fork()
    if pid == 0:
        sc.unshare(
            sc.CLONE_NEWUSER | sc.CLONE_NEWNS | sc.CLONE_NEWPID | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS
        )
        os.write(asked, b"?")
        os.read(gate, 1)
        os.setgroups([])
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        if wanted.forbidden is not None:
            forbid(wanted.forbidden)
        setup = [wanted.helper, wanted.subordinate, wanted.most_namespaces]
        words = ["sh", "-c", SETUP, "sh", *setup, *wanted.identity(), *command]
        os._exit(subprocess.call(words))
    os.read(asks, 1)
    for table in ("uid_map", "gid_map"):
        Path(f"/proc/{pid}/{table}").write_text(f"0 {FIRST} {wanted.ids}\n")
    os.write(opened, b"!")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
