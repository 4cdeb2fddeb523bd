"""Secrets that stand in the file, where everybody who gets the description reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.files import exists
from kiwilite.description.profiles import Selection
from kiwilite.description.tree import Node

_TELLING: Final = re.compile(
    r"(^|[-._:])(pass(wd|word|phrase)?|pwd|secret|token|api_?key|private_?key|credential|psk"
    r"|set_credential(_binary)?)$",
    re.IGNORECASE,
)
"""What the name of a value ends with that nobody else should know."""

_REFERENCE: Final = re.compile(r"(/|\./|file:|\$|<).*", re.DOTALL)
"""A value that says where the secret is."""

_ACCOUNT: Final = re.compile(r"[a-z+]+://[^/@\s:]*:(?P<password>[^/@\s]+)@.*")
_HASH: Final = re.compile(
    r"[!*]?|[!*]+\S*|x|!?\$[0-9a-zA-Z-]+\$\S+|!?_[./0-9A-Za-z]{19}|!?[./0-9A-Za-z]{13}"
)
"""What /etc/shadow can have: locked, none, or one of the forms of crypt(5)."""

_IN_A_FILE: Final = (
    "keep it in a file of its own beside the description, and place that with "
    '`<file name="…" target="…" permissions="0600"/>`'
)


def check_secrets(root: Node, selection: Selection, image_type: Node) -> Iterator[Diagnostic]:
    """Secrets in what holds for `selection`."""
    for section in selection.sections(root, "users"):
        for user in section.all("user"):
            yield from _password(user)
    for repository in selection.sections(root, "repository"):
        yield from _repository(repository)
    yield from _passphrase(image_type, root.file.parent)
    yield from _kernel_line(image_type)
    for node in image_type.walk():
        yield from _named_value(node)


def _secret(node: Node, attribute: str | None, what: str, hint: str) -> Diagnostic:
    span = node.span if attribute is None else node.attribute_span(attribute)
    return Diagnostic(span, "warning", "KL0601", f"{what} stands in the file", hint)


def _password(user: Node) -> Iterator[Diagnostic]:
    name = user.get("name") or ""
    hint = "put the output of `openssl passwd -6` there, without pwdformat"
    if user.get("pwdformat") == "plain":
        what = f"the password of `{name}` in plain text"
        yield _secret(user, "password", what, hint)
    elif not _HASH.fullmatch(user.get("password") or ""):
        message = f"the password of `{name}` is no crypt(5) hash: nobody can log in with it"
        hint = 'put the output of `openssl passwd -6` there, or "*" for an account without one'
        yield Diagnostic(user.attribute_span("password"), "warning", "KL0605", message, hint)


def _repository(repository: Node) -> Iterator[Diagnostic]:
    hint = "take a mirror that asks for no password, or a folder of packages: path=dir:PATH"
    if "password" in repository.attributes:
        yield _secret(repository, "password", "the password of a repository", hint)
    source = repository.first("source")
    for node, attribute in ((source, "path"), *((k, "key") for k in _keys(source))):
        if node is not None and _ACCOUNT.fullmatch(node.get(attribute) or ""):
            yield _secret(node, attribute, "the password of a server", hint)


def _keys(source: Node | None) -> Iterator[Node]:
    return iter(()) if source is None else source.all("signing")


def _passphrase(image_type: Node, directory: Path) -> Iterator[Diagnostic]:
    """A passphrase that is not there, stands in the file, or travels in every initrd."""
    luks = image_type.attributes.get("luks")
    if luks in (None, "", "random"):
        return
    span = image_type.attribute_span("luks")
    if luks.startswith("file://"):
        path = directory / luks.removeprefix("file://")
        if not exists(path):
            message = f"the key file {path} does not exist"
            yield fault(image_type, "luks", "KL0301", message, "put it there, or name another")
    else:
        what = "the passphrase of the encrypted volume"
        yield _secret(image_type, "luks", what, 'refer to it: luks="file://PATH"')
    if (image_type.get("luks_unlock") or "embedded") == "embedded":
        yield Diagnostic(
            span,
            "warning",
            "KL0602",
            "the passphrase travels inside the initrd, readable to whoever has the image",
            "this is for demonstrations; a device in the field needs a TPM",
        )


def _kernel_line(image_type: Node) -> Iterator[Diagnostic]:
    for word in (image_type.get("kernelcmdline") or "").split():
        name, has_value, value = word.partition("=")
        if has_value and value and _TELLING.search(name) and not _REFERENCE.fullmatch(value):
            what = f"the secret of `{name}=` on the kernel command line, which every process reads,"
            yield _secret(image_type, "kernelcmdline", what, _IN_A_FILE)


def _named_value(node: Node) -> Iterator[Diagnostic]:
    """`<option name="--password" value="…"/>` and its like."""
    name, value = node.get("name"), node.get("value")
    if name and value and _TELLING.search(name) and not _REFERENCE.fullmatch(value):
        what = f"the secret of `{name}`"
        yield _secret(node, "value", what, _IN_A_FILE)
