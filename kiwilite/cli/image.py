"""`kiwilite image`: look at finished images, check, compare, enlarge and reproduce them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kiwilite.cli.parse import demand_one_of, parse
from kiwilite.errors import KiwiliteError, UsageError
from kiwilite.inspect.source import opened

USAGE = """\
Look at finished images from outside: raw, qcow2, split files, block devices;
and at a description before its image is built.

Usage:
  kiwilite image info --description=PATH [--profile=NAME]... [options]
  kiwilite image inspect IMAGE [options]
  kiwilite image verify IMAGE [--key-file=FILE]... [--passphrase-file=FILE]...
                        [options]
  kiwilite image compare IMAGE OTHER [options]
  kiwilite image reproduce --description=PATH [--profile=NAME]... [options]
  kiwilite image resize IMAGE SIZE [options]

Commands:
  info       Print facts of a description as JSON, as KIWI's `image info` does.
  inspect    Draw what is in it: partition table, device stack, boot images.
  verify     Check all of it, and say what cannot be checked.
  compare    Name partition, file and first bytes where two images differ.
  reproduce  Build it again under other conditions: is it the same image?
  resize     Make the disk larger: SIZE as 8G, 8192M or bytes. Never smaller
             than what is on it.

Options:
  --format=FORMAT         text or json [default: text].
  --key-file=FILE         Of `verify`: opens volumes; every byte of it counts.
                          May be given several times: each is tried on each.
  --passphrase-file=FILE  The same, without the line end at its end.
  --metadata-cert=FILE    Of `verify`: certificate or public key (PEM) of who
                          signed the metadata block.
  --output=FILE           Of `resize`: write here, and leave IMAGE as it is.
  --variations=LIST       Of `reproduce`: how many, up to 20, or names with
                          commas; the first has it all [default: 1].
  --user=NAME             Of `reproduce`, as root: who builds as another user;
                          without it the first who has ids in /etc/subuid.
  --tools=FROM            Of `reproduce`: host or tree, as of `system build`.
  --keep                  Of `reproduce`: leave all builds where they are.
  --description=PATH      A folder, a file, or the name of a description.
  --profile=NAME          Select a profile; may be given several times.
  --type=IMAGE            The <type> that counts, where there are several.
  --arch=ARCH             For this architecture, as `uname -m` has it.
  --list-profiles         Of `info`: the names of all profiles.
  --print-kiwi-env        The variables that scripts find in /.profile.
  --resolve-package-list  All packages of the image: version, size, source.
  --print-xml             After the JSON the description: in the current
                          vocabulary, includes in place, secrets left out.
  --print-yaml            The same as YAML.
  --print-toml            The same as TOML.
  --config=FILE           Runtime configuration; see `system`.
  -h --help               This text.

Of split files name the first one. Exit status of `verify`: 0 sound, 1 there are
errors, 2 usage, 7 there are warnings but no errors, 8 nothing wrong was found
but not everything could be checked. Of `compare` and `reproduce`: 0 the same,
1 something differs; of `reproduce` also 3 nothing could be varied here, 4 a
build failed.
"""

STATUS = {"sound": 0, "errors": 1, "warnings": 7, "incomplete": 8}
"""Exit status of `verify` by its verdict."""


def main(arguments: Sequence[str]) -> int:
    """Run `kiwilite image …`; returns the exit status."""
    found = parse(USAGE, arguments)
    demand_one_of(found, "--format", "text", "json")
    demand_one_of(found, "--tools", "host", "tree")
    try:
        return _run(found)
    except KiwiliteError as error:
        # What reads an image is not told its name.
        if not isinstance(error, UsageError):
            error.where = error.where or found["IMAGE"]
        raise


def _run(found: dict[str, Any]) -> int:
    if found["info"]:
        from kiwilite.cli.image_info import info

        return info(found)
    if found["reproduce"]:
        from kiwilite.cli.image_reproduce import reproduce

        return reproduce(found)
    image = Path(found["IMAGE"])
    if found["compare"]:
        from kiwilite.cli.image_compare import compare_images

        return compare_images(image, Path(found["OTHER"]), found["--format"])
    if found["inspect"]:
        return _inspect(image, found["--format"])
    if found["verify"]:
        return _verify(image, found)
    return _resize(image, found)


def _inspect(path: Path, output_format: str) -> int:
    from kiwilite.cli.image_picture import picture
    from kiwilite.inspect.facts import facts
    from kiwilite.inspect.look import look

    with opened(path) as disk:
        image = facts(look(disk))
    if output_format == "json":
        print(json.dumps(asdict(image), indent=1))
    else:
        print(picture(path.name, image))
    return 0


def _verify(path: Path, found: dict[str, Any]) -> int:
    from kiwilite.cli.image_picture import checks
    from kiwilite.inspect.verify import Given, verify
    from kiwilite.inspect.volume import Key

    keys = [Key(name, _read(name)) for name in found["--key-file"]]
    keys += [Key(name, _read(name).removesuffix(b"\n")) for name in found["--passphrase-file"]]
    certificate = _read(found["--metadata-cert"]) if found["--metadata-cert"] else None
    with opened(path) as disk:
        report = verify(disk, Given(tuple(keys), certificate))
    if found["--format"] == "json":
        body = {
            "verdict": report.verdict.value,
            "sound": report.verdict.value == "sound",
            "unchecked": [asdict(each) for each in report.unchecked],
            "findings": [{**asdict(f), "severity": f.severity.value} for f in report.findings],
            "regions": [{**asdict(r), "state": r.state.value} for r in report.regions],
            "limits": list(report.limits),
        }
        print(json.dumps(body, indent=1))
    else:
        print(checks(path.name, report))
    return STATUS[report.verdict.value]


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from error


def _resize(image: Path, found: dict[str, Any]) -> int:
    from kiwilite.inspect.resize import parse_size, resize

    output = Path(found["--output"]) if found["--output"] else image
    for line in resize(image, parse_size(found["SIZE"]), output):
        sys.stdout.write(f"{line}\n")
    return 0
