"""Show what the storage stack promises: a line of evidence for each claim.

    python tests/accept/storage.py [--list] [ROW]...

The long runs are among the tests: all of it takes hours on an emulated machine. Exit
status 1 unless every row that was asked for is shown.
"""

from __future__ import annotations

import re
import sys

from evidence import Row, show


def unit(file: str, name: str) -> str:
    """A pattern for tests of formats, by the start of their names."""
    return rf"^tests/unit/ondisk/test_{file}\.py::test_{name}"


def machine(file: str, name: str) -> str:
    """A pattern for tests in a machine, by the start of their names."""
    return rf"^tests/vm/test_{file}\.py::test_{name}"


def volume(kernel: str, encryption: str, fill: str) -> str:
    """A pattern for a volume of our own writer in the hands of a stock kernel."""
    return machine(
        "offline_volume",
        rf"every_kernel_takes_every_volume.*\[{re.escape(kernel)}-{encryption}-{fill}-",
    )


def verify(name: str) -> str:
    """A pattern for tests of `kiwilite image verify`."""
    return rf"^tests/build/test_verify\w*\.py::test_{name}"


def accepted(command: str) -> str:
    """A pattern for a command of the reference image's acceptance tests, run over ssh."""
    return machine("reference_image", rf"an_acceptance_test_holds_over_ssh\[{command}")


def power_cut(scenario: str) -> str:
    """A pattern for power cuts of the long run."""
    return rf"^tests/vm/test_power_cut\.py::test_(?=.*{scenario}).*\b1\d\d\b"


ROWS = (
    Row(
        1,
        "stock kernels open, read and write what was written offline",
        {
            f"{encryption}, {fill}, kernel {kernel}": volume(kernel, encryption, fill)
            for encryption in ("xts-hmac-4096", "gcm-4096", "gcm-512")
            for fill in ("full", "sparse")
            for kernel in ("6.1", "6.12")
        },
    ),
    Row(
        2,
        "cryptsetup takes the header without device-mapper, and formulas are the tools' own",
        {
            "luksDump": unit("luks2_cryptsetup", "cryptsetup_shows_what_we_wrote"),
            "open --test-passphrase": unit("luks2_cryptsetup", "cryptsetup_opens_our_keyslots"),
            "luksAddKey": unit("luks2_cryptsetup", "we_read_what_cryptsetup_made_of_our_header"),
            "values of real tools": unit("integrity_reference", "our_superblock_is_the_one"),
            "after growth": unit("integrity_reference", "after_growth_the_kernel_provides"),
            "random sizes": unit(
                "integrity_reference", "(all_that_fits|a_longer_device|nothing_stands)"
            ),
        },
    ),
    Row(3, "the offline writer is fast, small and frugal", benchmark="volume_speed.py"),
    Row(
        4,
        "verify finds what is wrong with an image, says where, and nothing in a good one",
        {
            "30 chosen faults": verify("every_chosen_fault_is_found_and_placed"),
            "1000 random flips": verify("1000_random_flips_are_found"),
            "good image": verify("there_is_nothing_to_say_of_a_good_image"),
            "every byte": verify("every_byte_of_a_good_image_is_checked_or_unallocated"),
        },
        benchmark="verify_speed.py",
    ),
    Row(
        5,
        "one image boots by every firmware from every bus",
        {
            "UEFI and BIOS, sectors of 512": machine(
                "boot_matrix", r"every_firmware_boots_from_every_bus\[.*512"
            ),
            "UEFI, sectors of 4096": machine(
                "boot_matrix", r"every_firmware_boots_from_every_bus\[.*4096"
            ),
            "two disks with the same labels": machine("boot_matrix", "of_two_disks.*own_one"),
            "1 GiB of memory": machine("boot_matrix", "a_sample_boots"),
        },
    ),
    Row(
        6,
        "after a power cut the machine boots, and what was synced is there",
        {
            "provisioning": power_cut("provisioning"),
            "filling a sparse volume": power_cut("filled_to_its_end"),
            "use of a sparse volume": power_cut("synced_to_a_sparse"),
            "growth": power_cut("growth"),
            "reset": power_cut("reset"),
            "normal use": power_cut("use"),
            "nothing lost without a cut": machine("power_cut", "without_a_cut"),
        },
    ),
    Row(
        7,
        "the acceptance tests of the reference image hold over ssh",
        {
            "luks is crypt": accepted("sudo dmsetup status luks]"),
            "LUKS2, aegis128-random, aead": accepted("sudo cryptsetup status luks"),
            "luks_dif is integrity": accepted("sudo dmsetup status luks_dif"),
            "no integrity failures": accepted("sudo integritysetup status luks_dif"),
            "verityRoot is verity": accepted("sudo dmsetup status verityRoot"),
            "verified, read-only": accepted("sudo veritysetup status verityRoot"),
            "OverlayOS_rootfs": accepted("mount"),
            "four sysctls": accepted(r"sudo sysctl [\w.]+\]"),
        },
    ),
    Row(8, "what it costs at run time", benchmark="runtime_cost.py"),
)


if __name__ == "__main__":
    sys.exit(show("Show the claims about the storage stack.", ROWS))
