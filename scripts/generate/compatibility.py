"""docs/compatibility.md: all elements and attributes, and what kiwilite makes of each.

Everything but the introduction comes from the tables that `description check` uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kiwilite.description.hooks import HOOKS, TREE_HOOKS, Hook
from kiwilite.description.kernel_line import MEANINGS
from kiwilite.description.kiwi_yml import COUNTERPARTS
from kiwilite.description.luks import CIPHERS, OPTIONS, Option
from kiwilite.description.resolve import SCRIPTS
from kiwilite.description.support import CONDITIONS_BY_NAME, SUPPORT, Support
from kiwilite.description.support_table import NO_EFFECT
from kiwilite.description.switches import SWITCHES
from kiwilite.description.upgrade import CURRENT, VERSIONS
from kiwilite.description.vocabulary import ElementForm, ValueType, vocabulary

PATH = "docs/compatibility.md"

OURS = "kiwilite's own"
PEOPLE = "for people"
OFF = {"false", "0"}
LONGEST_LIST = 9
"""So many values are listed; more have their form described."""

INTRODUCTION = f"""\
# Compatibility with KIWI

kiwilite reads the whole vocabulary of KIWI's descriptions, schemaversion {VERSIONS[0]} to
{CURRENT}, and builds a part of it: disk images with a verified root under an encrypted
overlay. This page is generated from the tables that `kiwilite description check` uses.

| word | means |
|---|---|
| built | it has its effect on the image |
| for people | nothing in the image depends on it |
| ignored | the image is made without it; `check` gives a warning (KL0902) |
| not built | a build would be of another image, so it refuses; `check` names it (KL0901) |
| not run | a script, which kiwilite does not run; `check` names it (KL0903) |

A value that asks for nothing (`false`, `0`) is fine everywhere. Only what holds for the
chosen profiles, and of several `<type>`s only the chosen one, is looked at.

## What KIWI takes for granted

| | KIWI | kiwilite |
|---|---|---|
| `<type firmware>` missing | a BIOS | not built: write `firmware="uefi"` |
| `eficsm` missing | the disk boots under a legacy BIOS too | it does with `eficsm="true"` only |
| `<oem-resize>` missing | the disk grows at its first boot | it does not |
| `overlayroot` missing | the root can be written to | not built: the root is always read-only |
| `verity_blocks` missing | the root is not verified | it is, as a whole |
| `bootpartition` missing | a partition with kernel and initrd | both are one file on the ESP |
| two `<version>`s or `<type>`s hold | the first one counts | an error that shows both |
| an unknown profile in `profiles=` | the section is left out | an error |
| several preferences | the first one in the file counts | an error where they differ |
| scripts | have the network | with `<preferences script_network="true">` only |
| what `post_bootstrap.sh` tells apt of sources and priorities | counts | an error: packages \
are selected before it runs, from the `<repository>`s |
| unique GUIDs, UUIDs, salts | by chance | from the name of the image, always the same |
"""


def compatibility() -> dict[str, str]:
    """The page by its path."""
    parts = [INTRODUCTION, *_elements(), *_options(), *_beside(), *_kernel_line(), *_kiwi_yml()]
    return {PATH: "\n".join(parts)}


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _table(head: str, rows: Iterable[str]) -> str:
    columns = head.count("|") - 1
    return "\n".join([head, "|" + "---|" * columns, *rows]) + "\n"


## Elements and attributes


def _elements() -> Iterator[str]:
    yield "## Elements and attributes\n"
    yield (
        "An element with attributes or children that are built has a table of its own; of the "
        "others the one row\nstands for all that is in them.\n"
    )
    words = vocabulary()
    for form in _with_tables(words.elements[words.root], {}).values():
        yield f"### `<{form.name}>`\n"
        yield _ours(form.doc) + "\n"
        rows = list(_rows(form))
        if rows:
            yield _table("| name | values | kiwilite | |", rows)


def _whole(form: ElementForm) -> bool:
    """Whether one row stands for the element and all in it."""
    row = SUPPORT.get(form.name)
    return (row is not None and not row.fine) or not (form.attributes or form.children)


def _with_tables(form: ElementForm, found: dict[str, ElementForm]) -> dict[str, ElementForm]:
    found[form.name] = form
    for child in form.children.values():
        inner = vocabulary().elements[child.definition]
        if inner.name not in found and not _whole(inner):
            _with_tables(inner, found)
    return found


def _rows(form: ElementForm) -> Iterator[str]:
    if form.text is not None:
        yield _described("text", form.name, form.text, form.doc)
    for attribute in sorted(form.attributes.values(), key=lambda a: a.name):
        name = f"{form.name}@{attribute.name}"
        yield _described(f"`{attribute.name}`", name, attribute.value, attribute.doc)
    for child in sorted(form.children):
        inner = vocabulary().elements[form.children[child].definition]
        if _whole(inner):
            shown = f"`<{child}>`"
            more = " and all in it" if inner.attributes or inner.children else ""
            yield _described(shown + more, child, inner.text, inner.doc)


def _described(shown: str, name: str, kind: ValueType | None, doc: str) -> str:
    row = SUPPORT.get(name)
    own = " (ours)" if doc.startswith(OURS) else ""
    return _row(shown + own, _values(kind), _status(name, row), _note(name, row))


def _ours(doc: str) -> str:
    text = doc.removeprefix(f"{OURS}: ")
    return f"Ours: {text}" if text != doc else doc


def _values(kind: ValueType | None) -> str:
    if kind is None:
        return ""
    if kind.literals and len(kind.literals) <= LONGEST_LIST:
        listed = ", ".join(f"`{value}`" for value in kind.literals)
        return f"{listed}, …" if kind.datatypes else listed
    if kind.literals:
        return f"{len(kind.literals)} names"
    names = {datatype.name for datatype in kind.datatypes}
    if "boolean" in names:
        return "true, false"
    if names & {"integer", "nonNegativeInteger"}:
        return "a number"
    return (kind.doc or ("text" if kind.any_text else "of a fixed form")).replace("\n", " ")


def _status(name: str, row: Support | None) -> str:
    if row is None:
        why = _without_effect(name)
        return PEOPLE if why.startswith(PEOPLE) else "built"
    on = [value for value in row.fine if value not in OFF]
    if on:
        return f"built: {', '.join(f'`{value}`' for value in on)}; else {row.status}"
    return row.status


def _without_effect(name: str) -> str:
    return next((why for names, why in NO_EFFECT.items() if name in names.split()), "")


def _note(name: str, row: Support | None) -> str:
    notes = [row.instead] if row is not None else []
    why = _without_effect(name)
    notes += [why] if row is None and why and not why.startswith(PEOPLE) else []
    for condition in CONDITIONS_BY_NAME.get(name, ()):
        notes.append(f"{condition.status} {condition.when} ({condition.why}): {condition.instead}")
    return "; ".join(notes)


## What is not in the grammar


def _options() -> Iterator[str]:
    yield "## Options of `<luksformat>`\n"
    yield "Others are an error (KL0407).\n"
    rows = (_row(f"`{name}`", _option_values(o), _when(o)) for name, o in OPTIONS.items())
    yield _table("| option | values | |", rows)
    ciphers = (
        _row(
            f"`{name}`",
            f"`{cipher.integrity}`",
            ", ".join(map(str, cipher.key_sizes)),
            "" if cipher.at_build else "at the first boot only",
        )
        for name, cipher in CIPHERS.items()
    )
    yield _table("| `--cipher` | its `--integrity` | its `--key-size` | |", ciphers)


def _option_values(option: Option) -> str:
    if option.values:
        return ", ".join(f"`{value}`" for value in option.values)
    return "none" if option.least is None else f"{option.least} to {option.most}"


def _when(option: Option) -> str:
    return "" if option.at_build else 'not with `provisioning="build"`'


def _beside() -> Iterator[str]:
    yield "## Files beside the description\n"
    built = [
        *((f"`{name}.sh`", "built", "run in the tree, in this order") for name in SCRIPTS),
        ("`root/`", "built", "copied over the tree"),
        ("`PROFILE/`", "built", "copied over the tree after it, where the profile is active"),
        ("`root/etc/fstab.append`", "built", "added to /etc/fstab"),
        ("`root/etc/dracut.conf.d/`", "built", 'read with `initrd_system="dracut"`'),
    ]
    rows = [_row(*row) for row in built]
    rows += [_hook("", hook) for hook in HOOKS] + [_hook("root/", hook) for hook in TREE_HOOKS]
    yield _table("| file | kiwilite | |", rows)


def _hook(folder: str, hook: Hook) -> str:
    return _row(f"`{folder}{hook.pattern}`", hook.status, f"{hook.what}; {hook.instead}")


def _kernel_line() -> Iterator[str]:
    yield "## Words of the kernel command line\n"
    yield (
        "The signed policy in the initrd says what may be asked for. "
        + ", ".join(f"`{word}`" for word in SWITCHES)
        + "\nhave an effect where `kernelcmdline` or `boot_switches` has them. KIWI's words for\n"
        "devices (`root=overlay:…`, `verityroot=…`, `rd.root.overlay.write=…`) are compared with\n"
        "the policy, and a boot tells where they differ. The rest gives a warning (KL0904):\n"
    )
    rows = [_row(f"`{start}…`", why) for start, why in MEANINGS]
    rows.append(_row("`rd.…`", "it is for dracut's initrd, so it counts with that one"))
    yield _table("| word | why it has no effect |", rows)


def _kiwi_yml() -> Iterator[str]:
    yield "## KIWI's runtime configuration\n"
    yield "A `kiwi.yml` is not read; `check` names each setting in it (KL0905).\n"
    rows = (_row(f"`{key.replace('/', ': ')}`", hint) for key, hint in COUNTERPARTS.items())
    yield _table("| setting | instead |", rows)
