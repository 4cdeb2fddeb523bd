#!/bin/bash
set -eu
# shellcheck disable=SC1091
. /.profile
# shellcheck disable=SC1091
. /.kconfig
baseInsertService systemd-networkd
