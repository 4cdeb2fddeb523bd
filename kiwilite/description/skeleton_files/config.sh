#!/bin/sh
# Runs in the finished tree: packages, overlay files and users are there. A command that
# fails ends the build.
set -eu
# What the description says, as variables, and KIWI's functions.
# shellcheck source=/dev/null
. /.profile
# shellcheck source=/dev/null
. /.kconfig

baseInsertService systemd-networkd
echo "${kiwi_iname:?} ${kiwi_iversion:?}" >/etc/issue
