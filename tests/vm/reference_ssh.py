"""The acceptance tests of the reference image: what a user who logs in over ssh must see.

The state of the storage and of the kernel, as standard commands tell it. All are run by
the user admin, with sudo.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from kiwilite.vm import ssh
from kiwilite.vm.shell import CommandResult


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A command, and what its output must say.

    `fields` are those of `NAME: VALUE` lines; `words` the words of the line of output
    that contains `line`, by their place from 1 on.
    """

    command: str
    fields: Mapping[str, str]
    words: Mapping[int, str]
    line: str = ""

    def wrong(self, answer: CommandResult) -> list[str]:
        """What does not hold."""
        if answer.status != 0:
            return [f"status {answer.status}"]
        found = [
            (name, expected, re.search(rf"^ *{re.escape(name)}: +(.+?) *$", answer.output, re.M))
            for name, expected in self.fields.items()
        ]
        wrong = [f"{n} is not {x}" for n, x, match in found if not match or match.group(1) != x]
        lines = [line.split() for line in answer.output.splitlines() if self.line in line]
        for place, expected in self.words.items():
            if [words[place - 1 : place] for words in lines] != [[expected]]:
                wrong.append(f"word {place} is not {expected}")
        return wrong


def device_mapper(name: str, target: str) -> Acceptance:
    """A mapping and its target."""
    return Acceptance(f"sudo dmsetup status {name}", {}, {3: target})


def status(tool: str, name: str, **fields: str) -> Acceptance:
    """A mapping as the tool for it shows it."""
    return Acceptance(f"sudo {tool} status {name}", fields, {})


def sysctl(name: str, value: str) -> Acceptance:
    """A setting of the kernel."""
    return Acceptance(f"sudo sysctl {name}", {}, {1: name, 2: "=", 3: value})


ACCEPTANCE = (
    device_mapper("luks", "crypt"),
    status("cryptsetup", "luks", type="LUKS2", cipher="aegis128-random", integrity="aead",
           mode="read/write"),
    device_mapper("luks_dif", "integrity"),
    status("integritysetup", "luks_dif", type="INTEGRITY", failures="0", mode="read/write"),
    device_mapper("verityRoot", "verity"),
    status("veritysetup", "verityRoot", type="VERITY", status="verified", mode="readonly"),
    Acceptance("mount", {}, {1: "OverlayOS_rootfs", 5: "overlay"}, " on / type "),
    sysctl("vm.overcommit_memory", "2"),
    sysctl("kernel.randomize_va_space", "2"),
    sysctl("kernel.kptr_restrict", "1"),
    sysctl("kernel.yama.ptrace_scope", "1"),
)  # fmt: skip


def ask(account: ssh.Account) -> dict[str, CommandResult]:
    """The answers of the machine, by command; sudo asks for the password as a user is asked."""
    commands = {a.command: a.command for a in ACCEPTANCE} | {"id": "id -un; pwd"}
    commands["become root"] = "sudo id -un"
    return {
        f"ssh: {name}": ssh.run(account, _answered(c, account), 180) for name, c in commands.items()
    }


def _answered(command: str, account: ssh.Account) -> str:
    return re.sub(r"^sudo ", f"echo {account.password} | sudo -S -p '' ", command)
