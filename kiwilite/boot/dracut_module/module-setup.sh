#!/bin/sh
# dracut module 90kiwilite: the root file system is assembled by kiwilite-root, the same
# hook that kiwilite's own initrd has, with the policy that stands in front of the archive.
#
# kiwilite's build puts beside this file: kiwilite-root; `programs` and `applets`, the
# commands the hook calls; `modules`, the kernel modules it asks for. dracut's own init is
# kept, without systemd: it has one place that reads the command line, which lockdown.sh
# takes over, and no generators that read it too.

# shellcheck disable=SC2154 # dracut sets moddir and initdir

check() {
    return 255 # only where it is asked for
}

depends() {
    echo base kernel-modules
}

installkernel() {
    # shellcheck disable=SC2046 # one word per module
    instmods $(cat "$moddir/modules")
}

install() {
    while read -r program; do
        inst_binary "$program"
    done <"$moddir/programs"
    inst_libdir_file libgcc_s.so.1 # loaded by the C library when a thread ends
    inst_simple "$(command -v busybox)" /usr/lib/kiwilite/busybox
    mkdir -p "$initdir/usr/lib/kiwilite/bin"
    while read -r applet; do
        ln -s ../busybox "$initdir/usr/lib/kiwilite/bin/$applet"
    done <"$moddir/applets"
    inst_simple "$moddir/modules" /etc/kiwilite/modules
    inst_script "$moddir/kiwilite-root" /usr/lib/kiwilite/kiwilite-root
    inst_simple "$moddir/lockdown.sh" /etc/conf.d/kiwilite.conf
    inst_hook cmdline 99 "$moddir/claim-root.sh"
    inst_hook mount 01 "$moddir/mount-root.sh"
}
