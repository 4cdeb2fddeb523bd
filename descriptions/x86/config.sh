#!/bin/sh
# Runs in the complete tree: packages, overlay files and users are there.
set -eu
# shellcheck source=/dev/null
. /.profile
# shellcheck source=/dev/null
. /.kconfig

baseInsertService systemd-networkd
baseInsertService systemd-resolved
baseInsertService ssh-host-keys
baseInsertService ssh
ln -sf /run/systemd/resolve/stub-resolv.conf /etc/resolv.conf

# Who this image is, for people and for update tools. No date: the same description
# gives the same image at any hour.
cat >>/etc/os-release <<END
VARIANT="kiwilite reference appliance"
VARIANT_ID=x86
IMAGE_ID=${kiwi_iname:?}
IMAGE_VERSION=${kiwi_iversion:?}
END
