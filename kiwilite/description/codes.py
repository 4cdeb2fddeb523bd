"""Every diagnostic code of the description language, and its short title.

Codes are stable: one is never given a second meaning, and a retired one is not reused.
The hundreds group them: 00 the file and its XML, 01 the grammar, 02 profiles and
choices, 03 files beside the description, 04 storage, 05 packages and repositories,
06 secrets, 07 rules beyond the grammar, 09 what is valid but not built by kiwilite.
"""

from __future__ import annotations

from typing import Final

SETTLED: Final = "KL0300"
"""Errors with a code below it leave open what holds: file, grammar, profiles and choices."""

NOT_BUILT: Final = "KL0900"
"""Errors from here on say what is not built; the description is valid."""

TITLES: Final[dict[str, str]] = {
    "KL0001": "the file cannot be read",
    "KL0002": "the file is too large or too deep",
    "KL0003": "the text does not fit its encoding",
    "KL0004": "a NUL byte or another character that XML forbids",
    "KL0005": "document types and entities are refused",
    "KL0006": "a tag is closed by another one, or never",
    "KL0007": "not well-formed XML",
    "KL0008": "an attribute stands twice",
    "KL0010": "the schema version is not one that can be read",
    "KL0011": "an include cannot be resolved",
    "KL0012": "an include leads back to itself",
    "KL0101": "unknown element",
    "KL0102": "unknown attribute",
    "KL0103": "a mandatory attribute is missing",
    "KL0104": "a mandatory child is missing",
    "KL0105": "a value is not one of the legal ones",
    "KL0106": "a value has the wrong form",
    "KL0107": "an element stands more often than it may",
    "KL0108": "text where none is allowed",
    "KL0109": "the description does not fit the schema",
    "KL0201": "unknown profile",
    "KL0202": "a profile does not exist for this architecture",
    "KL0203": "a profile is declared twice",
    "KL0204": "two values hold at once",
    "KL0205": "two image types hold at once",
    "KL0206": "no image type holds",
    "KL0207": "no version holds",
    "KL0208": "a version that cannot be part of a file name",
    "KL0210": "the place of a secret that was not printed",
    "KL0301": "a file that is to be copied is missing",
    "KL0302": "an archive is missing",
    "KL0303": "a script cannot be read",
    "KL0304": "a path leaves the image's tree",
    "KL0305": "permissions are not an octal mode",
    "KL0401": "a mount point is used twice",
    "KL0402": "a partition name is used twice",
    "KL0403": "an XFS file system has too little room",
    "KL0404": "a partition name is reserved",
    "KL0405": "unpartitioned space exceeds the disk",
    "KL0406": "a mount point is not an absolute path",
    "KL0407": "an unknown option of luksFormat",
    "KL0408": "a value that an encrypted volume cannot have",
    "KL0409": "a cipher and an integrity that do not go together",
    "KL0410": "not possible at this time of provisioning",
    "KL0411": "deriving the key takes more memory than the machine has",
    "KL0412": "a hash tree that dm-verity or its readers refuse",
    "KL0413": "a hybrid MBR that cannot be written",
    "KL0414": "a directory that no overlay can lie over",
    "KL0415": "a partition that no device can make anew",
    "KL0416": "mount options that cannot be used",
    "KL0417": "a legacy BIOS cannot boot it",
    "KL0418": "a name that a partition cannot have",
    "KL0419": "a label that the file system cannot have",
    "KL0420": "an unknown switch of the boot",
    "KL0501": "a package that the initrd needs is not installed",
    "KL0502": "a source of packages cannot be used",
    "KL0503": "a local repository or key is missing",
    "KL0504": "a digest without its package",
    "KL0505": "two bootstrap archives hold at once",
    "KL0601": "a secret is written in the file",
    "KL0602": "the passphrase travels inside the initrd",
    "KL0603": "a user is declared twice",
    "KL0604": "groups are not written as NAME or NAME:GID",
    "KL0701": "an attribute does not belong to this image type",
    "KL0702": "an attribute or element needs another one",
    "KL0901": "not built by kiwilite",
    "KL0902": "ignored by kiwilite",
    "KL0903": "a script that kiwilite does not run",
}
