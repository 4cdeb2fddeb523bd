"""Show that the reference image is what it claims to be: a line of evidence for each claim.

    python tests/accept/main.py [--list] [ROW]...

Exit status 1 unless every row that was asked for is shown.
"""

from __future__ import annotations

import sys

from evidence import Row, show


def machine(name: str) -> str:
    """A pattern for tests of the reference image in a machine, by the start of their names."""
    return rf"^tests/vm/test_reference_image\.py::test_{name}"


def build(name: str) -> str:
    """A pattern for tests that run real builds, by a part of their names."""
    return rf"^tests/build/test_\w+\.py::test_\w*{name}"


ROWS = (
    Row(
        1,
        "the image boots to a verified root under an encrypted overlay",
        {
            "first boot reaches login": machine("the_first_boot_reaches_login"),
            "second boot reaches login": machine("the_second_boot_opens_the_volume"),
            "overlay": machine("the_root_is_an_overlay_over_the_verified_squashfs"),
            "verified, read-only": machine("the_root_device_is_verified_and_read_only"),
            "LUKS2, aegis128-random, aead": machine("the_overlay_volume_is_encrypted"),
            "dm-integrity": machine("the_integrity_device_is_there"),
            "/home": machine("home_is_ext4"),
            "container storage": machine("container_storage_is_xfs"),
            "preloaded containers": machine("preloaded_containers_are_a_verified_squashfs"),
            "four sysctls": machine("the_kernel_settings_of_the_appliance_hold"),
            "/etc survives a reboot": machine("what_is_written_to_etc_survives"),
        },
    ),
    Row(
        2,
        "a changed bit is an I/O error and never wrong data",
        {
            "byte of the root": machine("one_flipped_byte_in_the_verified_root_is_an_io_error"),
            "bit of ciphertext, tag, IV": machine("one_flipped_bit_in_the_overlay_is_an_io_error"),
            "exactly that block": machine("all_other_blocks_in_the_overlay_are_unharmed"),
            "wrong root hash": r"^tests/vm/test_reference_boot.py::test_a_wrong_root_hash_reaches",
        },
    ),
    Row(
        3,
        "factory reset through the firmware destroys the key and what was written",
        {
            "the command": machine("the_command_boots_the_reset_entry_once"),
            "the boot entry": r"^tests/vm/test_reference_boot.py::test_the_reset_entry_can_be",
            "the key is gone": machine(
                "(the_old_volume_key_opens_nothing|no_block_of_the_old_key)"
            ),
            "the file is gone": machine("a_factory_reset_takes_what_was_written"),
            "provisioned again": machine("a_factory_reset_provisions_the_machine_again"),
        },
    ),
    Row(
        4,
        "bad input gives one message, a status and nothing half-written",
        {
            "misspelt element": build(r"mistake_in_the_description\w*\[element"),
            "misspelt attribute": build(r"mistake_in_the_description\w*\[attribute"),
            "mismatched tag": build(r"mistake_in_the_description\w*\[tag"),
            "unknown profile": build("unknown_profile"),
            "missing script": build("script_that_is_a_dangling_link"),
            "missing file": build(r"mistake_in_the_description\w*\[file"),
            "missing tool": build("missing_tool"),
            "no user namespaces": build("allows_no_namespaces"),
            "full disk": build("full_(disk|store)"),
            "unreachable repository": build("repository_that_cannot_be_reached"),
            "interrupted download": build("download_that_breaks_off"),
        },
    ),
    Row(
        5,
        "an ordinary user and root make the same image",
        {"byte for byte": r"^tests/build/test_root_and_user\.py::test_the_same_bytes"},
    ),
    Row(
        6,
        "a build is fast and small",
        benchmark="build_speed.py",
        sections=("changes", "memory"),
    ),
)

if __name__ == "__main__":
    sys.exit(show("Show the claims about the reference image.", ROWS))
