#!/bin/sh
# Runs last: takes out what the running system does not need.
set -eu

# Kernel and initrd boot from the unified kernel image in the ESP.
# shellcheck disable=SC2115 # this is the image, and it is meant
rm -rf /boot/* /initrd.img* /vmlinuz*
rm -rf /usr/share/doc-base /usr/share/lintian /var/lib/dpkg/info/*.md5sums
rm -rf /usr/src /usr/lib/*/gconv
