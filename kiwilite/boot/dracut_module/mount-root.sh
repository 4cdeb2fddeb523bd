#!/bin/sh
# mount hook: have kiwilite-root assemble /sysroot. It is sourced into dracut's init, so
# the hook runs in a shell of its own, with the commands it has in kiwilite's own initrd.

kiwilite_assemble() {
    modprobe -q dm-mod || : # nothing asks for this one by name
    (
        export PATH=/usr/lib/kiwilite/bin:/usr/sbin:/usr/bin:/sbin:/bin
        unset ENV LD_LIBRARY_PATH LD_PRELOAD # the kernel makes variables of unknown words
        exec sh /usr/lib/kiwilite/kiwilite-root
    ) && return
    # The hook has said what is wrong and reboots or halts; dracut must not go on.
    while :; do sleep 3600; done
}

kiwilite_assemble
echo "kiwilite: handing over to /sbin/init"
