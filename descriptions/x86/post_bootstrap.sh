#!/bin/sh
# Runs in the minimal tree, before the image's packages come in.
set -eu

# Documentation stays out from the start; licences stay in.
cat >/etc/dpkg/dpkg.cfg.d/50-small <<'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/man/*
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-include=/usr/share/locale/locale.alias
END
