"""Says at which line of the description stands what a step failed over."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

from kiwilite.build.mirrors import resolve
from kiwilite.description.model import Appliance
from kiwilite.errors import KiwiliteError, SourceUnreachable, StageFailed

# apt's words for a package that no repository has.
_NO_SUCH_PACKAGE = re.compile(
    r"Unable to locate package (\S+)|Package '(\S+)' has no installation candidate"
)

# Lines in which apt names what it could not have, and not what it could.
_COMPLAINT = re.compile(r"\s*(Err:|E: )")


class NoSuchPackage(KiwiliteError):
    """The description asks for a package that none of its repositories has (exit status 1)."""


@contextlib.contextmanager
def placed(appliance: Appliance, mirrors: Mapping[str, str]) -> Iterator[None]:
    """While inside, failures over packages and repositories get the line that caused them."""
    try:
        yield
    except SourceUnreachable as error:
        raise SourceUnreachable(
            error.message,
            where=_repository_line(appliance, mirrors, error.message),
            hint=error.hint,
        ) from error
    except StageFailed as error:
        names = [one or other for one, other in _NO_SUCH_PACKAGE.findall(error.message)]
        if not names:
            raise
        raise NoSuchPackage(
            f"no repository of the description has the package {', '.join(dict.fromkeys(names))}",
            where=_package_line(appliance, names[0]),
            hint="check the name, and the distribution and components of each <repository>",
        ) from error


def _repository_line(appliance: Appliance, mirrors: Mapping[str, str], message: str) -> str:
    complaints = "\n".join(line for line in message.splitlines() if _COMPLAINT.match(line))
    for repository in appliance.repositories:
        words = (resolve(repository.path, mirrors).rstrip("/"), repository.distribution or "")
        # "trixie" is not meant where "trixie-security" stands.
        if all(re.search(rf"{re.escape(w)}(?![\w-])", complaints) for w in words):
            return str(repository.span)
    return str(appliance.repositories[0].span)


def _package_line(appliance: Appliance, name: str) -> str:
    packages = (*appliance.packages.bootstrap, *appliance.packages.image)
    return next((str(p.span) for p in packages if p.name == name), str(appliance.span))
