"""What the description adds to the packages, in KIWI's order.

archives → overlay trees → users → locale, time zone, keyboard → files → config.sh →
uninstall → delete → images.sh → pre_disk_sync.sh → normalise
"""

from __future__ import annotations

import functools
import shutil
from pathlib import Path

from kiwilite.build import acl
from kiwilite.build.accounts import set_up_accounts
from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.layers import derive_tree
from kiwilite.build.normalise import normalise
from kiwilite.build.scripts import Scripting, run_script
from kiwilite.build.tree import inside, overlay, place_file, unpack_archive
from kiwilite.errors import StageFailed
from kiwilite.plan.tree_steps import Customise

IMAGE_FILES = Path(__file__).parent.parent / "image_files"


def run(step: Customise, job: Job) -> None:
    """Fill `tree/`; `packages` has the package list, `os-release` the system's identity."""
    derive_tree(job, step.tree, functools.partial(_customise, job, step))


def _customise(job: Job, step: Customise, tree: Path) -> None:
    """Do all of it to `tree`."""
    for archive in step.archives:
        unpack_archive(job, tree, archive)
    for source in step.overlay_trees:
        overlay(job.source(source), tree)
    set_up_accounts(job, tree, step.accounts, seed=step.seed, epoch=step.epoch)
    _set_locale(tree, step)
    _set_up_system(tree, step)
    for item in step.files:
        place_file(job, tree, item)
    scripting = Scripting(step.script_variables, step.script_network, step.epoch)
    scripts = dict(step.scripts)
    if "config" in scripts:
        run_script(job, tree, "config", scripts["config"], scripting)
    _remove_packages(job, tree, step)
    # Later scripts may remove dpkg itself.
    _list_packages(job, tree)
    for name in ("images", "pre_disk_sync"):
        if name in scripts:
            run_script(job, tree, name, scripts[name], scripting)
    normalise(tree, epoch=step.epoch)
    acl.write_down(tree)
    _copy_os_release(tree, job.out / "os-release")


def _write(tree: Path, path: str, text: str, mode: int = 0o644) -> None:
    target = inside(tree, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_text(text)
    target.chmod(mode)


def _set_locale(tree: Path, step: Customise) -> None:
    if step.locale:
        name = step.locale.split(",")[0]
        _write(tree, "/etc/locale.conf", f"LANG={name}.UTF-8\n")
    if step.keytable:
        _write(tree, "/etc/vconsole.conf", f"KEYMAP={step.keytable}\n")
    if step.timezone:
        zone = f"/usr/share/zoneinfo/{step.timezone}"
        if step.timezone != "UTC" and not inside(tree, zone).exists():
            raise StageFailed(
                f"the image has no time zone called {step.timezone}",
                hint="install the package tzdata, or choose another <timezone>",
            )
        link = inside(tree, "/etc") / "localtime"
        link.unlink(missing_ok=True)
        link.symlink_to(zone)


def _set_up_system(tree: Path, step: Customise) -> None:
    if not inside(tree, "/etc/hostname").exists():
        _write(tree, "/etc/hostname", f"{step.hostname}\n")
    if step.fstab:
        fstab = inside(tree, "/etc/fstab")
        before = fstab.read_text() if fstab.exists() else ""
        kept = [line for line in before.splitlines() if line and not line.startswith("#")]
        _write(tree, "/etc/fstab", "".join(f"{line}\n" for line in [*kept, *step.fstab]))
    for folder in step.mount_points:
        inside(tree, folder).mkdir(parents=True, exist_ok=True)
    append = inside(tree, "/etc/fstab.append")
    if append.exists():
        with inside(tree, "/etc/fstab").open("a") as stream:
            stream.write(append.read_text())
        append.unlink()
    if step.image_sources:
        text = "".join(f"{line}\n" for line in step.image_sources)
        _write(tree, "/etc/apt/sources.list.d/image.list", text)
    if step.lists_overlay:
        command = (IMAGE_FILES / "kiwilite-overlay").read_text()
        _write(tree, "/usr/sbin/kiwilite-overlay", command, 0o755)
    if step.resettable:
        command = (IMAGE_FILES / "kiwilite-factory-reset").read_text()
        _write(tree, "/usr/sbin/kiwilite-factory-reset", command, 0o755)
    if step.factory_reset_entry:
        _write(tree, "/usr/lib/kiwilite/factory-reset-entry", f"{step.factory_reset_entry}\n")


def _remove_packages(job: Job, tree: Path, step: Customise) -> None:
    """`uninstall` takes what depends on it along; `delete` removes the package alone, by force."""
    environment = {"SOURCE_DATE_EPOCH": str(step.epoch)}
    if step.uninstall:
        command = ["apt-get", "purge", "--yes", "--auto-remove", *step.uninstall]
        run_in_tree(job, tree, command, environment=environment)
    if step.delete:
        command = ["dpkg", "--purge", "--force-all", *step.delete]
        run_in_tree(job, tree, command, environment=environment)


PACKAGE_ROW = "${db:Status-Abbrev}|${Package}|None|${Version}|None|${Architecture}|None|None\n"


def _list_packages(job: Job, tree: Path) -> None:
    """KIWI's `.packages` form: name|epoch|version|release|arch|disturl|licence."""
    rows = run_in_tree(job, tree, ["dpkg-query", "--show", f"--showformat={PACKAGE_ROW}"])
    installed = [row.split("|", 1)[1] for row in rows.splitlines() if row.startswith("ii")]
    (job.out / "packages").write_text("".join(f"{row}\n" for row in sorted(installed)))


def _copy_os_release(tree: Path, target: Path) -> None:
    source = inside(tree, "/etc/os-release")
    if not source.exists():
        raise StageFailed("the image has no /etc/os-release", hint="install base-files")
    shutil.copyfile(source, target)
