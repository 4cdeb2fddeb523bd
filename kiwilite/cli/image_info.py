"""`kiwilite image info`: facts of a description as JSON, in KIWI's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kiwilite.description.codes import SETTLED
from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.find import find
from kiwilite.description.load import Examined, examine
from kiwilite.description.model import Appliance
from kiwilite.description.profiles import declared
from kiwilite.description.tree import Node

_OPEN_CHOICES = ("KL0204", "KL0205", "KL0206", "KL0207")
"""What leaves open which values hold; the questions that depend on none are answered."""


def info(found: dict[str, Any]) -> int:
    """Print the JSON object, then the description where that is asked for."""
    path = find(found["--description"])
    profiles = tuple(found["--profile"])
    examined = examine(path, profiles, arch=found["--arch"], type_name=found["--type"])
    _refuse(examined, lambda problem: problem.code not in _OPEN_CHOICES)
    root = examined.document.root
    result: dict[str, Any] = {"image": root.get("name") or ""}
    if found["--list-profiles"]:
        result["profile_names"] = [profile.name for profile in declared(root)]
    if found["--print-kiwi-env"]:
        result["kiwi_env"] = dict(_appliance(examined).environment)
    if found["--resolve-package-list"]:
        result["resolved-packages"] = _packages(_appliance(examined), found["--config"])
    print(json.dumps(result, sort_keys=True, indent=4))
    if found["--print-xml"]:
        print("\n".join(_xml(root)))
    elif found["--print-yaml"]:
        print(_yaml(root), end="")
    elif found["--print-toml"]:
        print(_toml(root), end="")
    return 0


def _refuse(examined: Examined, matters: Callable[[Diagnostic], bool]) -> None:
    """Raise DescriptionInvalid for errors that leave the answer open.

    What is not built, or missing beside the description, does not.
    """
    general = examined.document.problems
    for problem in examined.found:
        open_ended = problem in general or problem.code < SETTLED
        if problem.severity == "error" and open_ended and matters(problem):
            raise DescriptionInvalid(examined.found)


def _appliance(examined: Examined) -> Appliance:
    """The appliance, where it is clear what holds."""
    _refuse(examined, lambda _: True)
    assert examined.appliance is not None
    return examined.appliance


def _packages(appliance: Appliance, configuration: str | None) -> dict[str, Any]:
    from kiwilite.build import image
    from kiwilite.build.configuration import load
    from kiwilite.build.package_list import package_list
    from kiwilite.build.progress import Progress

    site = image.site_for(appliance, load(Path(configuration) if configuration else None))
    progress = Progress()
    try:
        packages = package_list(appliance, site, progress)
    finally:
        progress.close()
    return {
        package.name: {
            "arch": package.architecture,
            "installsize_bytes": package.installed_bytes,
            "source": package.source,
            "status": "listed_in_kiwi_description"
            if package.listed
            else "added_by_dependency_solver",
            "version": package.version,
        }
        for package in packages
    }


def _xml(root: Node) -> Sequence[str]:
    from kiwilite.description.show.elements import whole
    from kiwilite.description.show.xml import plain

    return list(plain(whole(root)))


def _yaml(root: Node) -> str:
    import yaml

    from kiwilite.description.show.elements import whole
    from kiwilite.description.show.markup import mapping

    text: str = yaml.safe_dump(mapping(whole(root)), allow_unicode=True, default_flow_style=False)
    return text


def _toml(root: Node) -> str:
    from kiwilite.description.show.elements import whole
    from kiwilite.description.show.markup import mapping, toml

    return toml(mapping(whole(root)))
