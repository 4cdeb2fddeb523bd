"""Another release of Debian in a folder, with kiwilite in an environment of its own Python."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import yaml
from tiny_appliance import PACKAGE, run_words

from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.mirrors import host_mirrors
from kiwilite.build.tools import DATA_FILES, TOOLS, Use

CHECKOUT = PACKAGE.parent
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PYTHON = ("python3-venv", "python3-dev", "gcc", "pkg-config", "libparted-dev", "ca-certificates")
"""What makes the environment; libparted-dev is for pyparted."""
ACCOUNTS = ("passwd", "util-linux")
"""What makes an ordinary user, and lets root be that one."""
USER = "builder"


@dataclass(frozen=True, slots=True)
class OtherHost:
    """The host's root folder; only root can run something there."""

    root: Path
    work: Path

    def run(self, *words: str, binds: Mapping[str, Path], variables: Mapping[str, str]) -> str:
        """What a program there prints, which has to work. It has a network."""
        job = Job("host", self.work, self.work, self.work / "log", {}, {}, self.work, {})
        return run_in_tree(
            job, self.root, words, environment=variables, network="host", binds=binds
        )

    def kiwilite(self, *words: str, folders: Mapping[str, Path], user: str = "root") -> str:
        """What a command of kiwilite prints. `folders` are shown under the names they have here.

        The store has to be one of them, as /store.
        """
        binds = {f"/kiwilite/{name}": CHECKOUT / name for name in ("kiwilite", "schema")}
        variables = {"PYTHONPATH": "/kiwilite", "PYTHONDONTWRITEBYTECODE": "1"}
        become = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}"]
        become += ["--init-groups"] if become else []
        return self.run(
            *(*become, "/opt/kiwilite/bin/python", "-m", "kiwilite", *words),
            binds={**binds, **folders},
            variables={**variables, "KIWILITE_STORE": "/store", "HOME": "/tmp"},
        )

    def user_id(self) -> int:
        """Of the ordinary user there."""
        rows = (self.root / "etc/passwd").read_text().splitlines()
        return next(int(row.split(":")[2]) for row in rows if row.startswith(f"{USER}:"))


def make(suite: str, base: Path) -> OtherHost:
    """The host below `base`, with all that doctor asks for."""
    host = OtherHost(base / "root", base / "work")
    host.work.mkdir(parents=True)
    mirrors = host_mirrors({})
    packages = {tool.package for tool in TOOLS if tool.use in (Use.BUILD, Use.USER_BUILD)}
    packages |= {item.package for item in DATA_FILES} | {*PYTHON, *ACCOUNTS}
    run_words(
        *("mmdebstrap", "--mode=root", "--variant=apt", "--skip=output/mknod,output/dev"),
        f"--include={','.join(sorted(packages))}",
        *(suite, host.root, mirrors["debian"]),
    )
    (host.root / "etc/kiwilite.yml").write_text(yaml.safe_dump({"mirrors": mirrors}))
    if CERTIFICATES.exists():
        shutil.copyfile(CERTIFICATES, host.root / str(CERTIFICATES)[1:])
    host.run("useradd", "--create-home", USER, binds={}, variables={})
    host.run("python3", "-m", "venv", "/opt/kiwilite", binds={}, variables={})
    settings = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    pip = "/opt/kiwilite/bin/pip"
    host.run(pip, "install", "--quiet", *requirements(), binds={}, variables=settings)
    return host


def requirements() -> list[str]:
    """The libraries that kiwilite is installed with."""
    configuration = ConfigParser()
    configuration.read(CHECKOUT / "setup.cfg")
    return configuration["options"]["install_requires"].split()
