"""`kiwilite image info`: facts of a description as JSON, in KIWI's words."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.find import find
from kiwilite.description.load import Examined, examine
from kiwilite.description.load import load as load_description
from kiwilite.description.profiles import declared
from kiwilite.description.tree import Node

_OPEN_CHOICES = ("KL0204", "KL0205", "KL0206", "KL0207")
"""What leaves open which values hold; the questions that depend on none are answered."""

_OF_CHOICES = "KL0300"
"""Codes below it are those of the file, its grammar, and the choices in it."""


def info(found: dict[str, Any]) -> int:
    """Print the JSON object, then the description where that is asked for."""
    path = find(found["--description"])
    profiles = tuple(found["--profile"])
    examined = examine(path, profiles, arch=found["--arch"], type_name=found["--type"])
    _refuse(examined, ignored=() if found["--print-kiwi-env"] else _OPEN_CHOICES)
    root = examined.document.root
    result: dict[str, Any] = {"image": root.get("name") or ""}
    if found["--list-profiles"]:
        result["profile_names"] = [profile.name for profile in declared(root)]
    if found["--print-kiwi-env"] and examined.appliance is not None:
        result["kiwi_env"] = dict(examined.appliance.environment)
    if found["--resolve-package-list"]:
        result["resolved-packages"] = _packages(path, profiles, found)
    print(json.dumps(result, sort_keys=True, indent=4))
    if found["--print-xml"]:
        print("\n".join(_xml(root)))
    elif found["--print-yaml"]:
        print(_yaml(root), end="")
    elif found["--print-toml"]:
        print(_toml(root), end="")
    return 0


def _refuse(examined: Examined, *, ignored: Sequence[str]) -> None:
    """Raise DescriptionInvalid for errors that leave the answer open."""

    def stops(problem: Diagnostic) -> bool:
        if problem.severity != "error" or problem.code in ignored:
            return False
        return problem.code < _OF_CHOICES or problem in examined.document.problems

    if any(map(stops, examined.found)):
        raise DescriptionInvalid(examined.found)


def _packages(path: Path, profiles: Sequence[str], found: dict[str, Any]) -> dict[str, Any]:
    from kiwilite.build import image
    from kiwilite.build.configuration import load
    from kiwilite.build.package_list import package_list
    from kiwilite.build.progress import Progress

    appliance, _ = load_description(path, profiles, arch=found["--arch"], type_name=found["--type"])
    site = image.site_for(appliance, load(Path(found["--config"]) if found["--config"] else None))
    progress = Progress()
    try:
        packages = package_list(appliance, site, progress)
    finally:
        progress.close()
    sys.stderr.flush()
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
