#!/bin/sh
# Sourced by dracut's init before it first asks for the kernel command line.
#
# rd.break, rd.shell, rd.cmdline=ask, rd.emergency and init= are ways past the policy, for
# whoever can change the command line. dracut gets to see the words below only; the hook
# reads /proc/cmdline itself and asks the policy. Where dracut would give a shell, it stops.

getcmdline() ( # replaces dracut's: what it may know
    set -f
    read -r line </proc/cmdline
    for word in $line; do
        case $word in
        console=* | quiet | loglevel=*) printf '%s ' "$word" ;;
        esac
    done
    set +f
    cat /etc/cmdline.d/*.conf 2>/dev/null || :
)

emergency_shell() { # replaces dracut's
    kiwilite_stop "$*"
}

die() { # replaces dracut's
    kiwilite_stop "$*"
}

kiwilite_stop() { # WHY
    trap - 0
    PATH=/usr/lib/kiwilite/bin:/usr/sbin:/usr/bin
    echo "kiwilite: FAILED: dracut could not go on: $1"
    if grep -qx 'on-failure halt' /etc/kiwilite/policy; then
        halt -f
    fi
    echo "kiwilite: rebooting in 10 seconds"
    sleep 10
    reboot -f
    while :; do sleep 3600; done
}
