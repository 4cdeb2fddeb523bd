"""Says at which line of the description stands what a step failed over."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from kiwilite.build.executor import Site
from kiwilite.build.lock_file import lock_path
from kiwilite.build.mirrors import address_of
from kiwilite.build.package_files import NotInCache, PackageChanged, PackageGone
from kiwilite.description.model import Appliance
from kiwilite.errors import KiwiliteError, SourceUnreachable, StageFailed

# apt's words for a package that no repository has.
_NO_SUCH_PACKAGE = re.compile(
    r"Unable to locate package (\S+)|Package '(\S+)' has no installation candidate"
)

# Lines in which apt names what it could not have, and not what it could.
_COMPLAINT = re.compile(r"\s*(Err:|E: )")


_REFRESH = "--refresh selects packages anew"
_UPDATE = (
    "--update-lock selects packages anew and locks them; old ones may be on a snapshot mirror: "
    "`snapshots:` in kiwilite.yml"
)


class NoSuchPackage(KiwiliteError):
    """The description asks for a package that none of its repositories has (exit status 1)."""


@contextlib.contextmanager
def placed(appliance: Appliance, site: Site) -> Iterator[None]:
    """While inside, failures over packages and repositories get the line that caused them."""
    try:
        yield
    except (PackageGone, PackageChanged) as error:
        error.where = _whoever_selected(appliance)
        error.hint = _REFRESH if error.where == str(appliance.span) else _UPDATE
        raise
    except NotInCache as error:
        error.where = _whoever_selected(appliance)
        raise
    except SourceUnreachable as error:
        error.where = _repository_line(appliance, site, error.message)
        raise
    except StageFailed as error:
        names = [one or other for one, other in _NO_SUCH_PACKAGE.findall(error.message)]
        if not names:
            raise
        raise NoSuchPackage(
            f"no repository of the description has the package {', '.join(dict.fromkeys(names))}",
            where=_package_line(appliance, names[0]),
            hint="check the name, and the distribution and components of each <repository>",
        ) from error


def _whoever_selected(appliance: Appliance) -> str:
    path = lock_path(appliance)
    return str(path if path.exists() else appliance.span)


def _repository_line(appliance: Appliance, site: Site, message: str) -> str:
    complaints = "\n".join(line for line in message.splitlines() if _COMPLAINT.match(line))
    for repository in appliance.repositories:
        address = address_of(repository.address, repository.snapshot, site.mirrors, site.snapshots)
        words = (address.rstrip("/"), repository.distribution or "")
        # "trixie" is not meant where "trixie-security" stands.
        if all(re.search(rf"{re.escape(w)}(?![\w-])", complaints) for w in words):
            return str(repository.span)
    return str(appliance.repositories[0].span)


def _package_line(appliance: Appliance, name: str) -> str:
    packages = (*appliance.packages.bootstrap, *appliance.packages.image)
    return next((str(p.span) for p in packages if p.name == name), str(appliance.span))
