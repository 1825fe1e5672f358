#!/bin/sh
# Installs the programs that the tests drive, where they are missing and this is Debian.
set -eu
missing=
command -v nc >/dev/null || missing="$missing netcat-openbsd"
command -v telnet >/dev/null || missing="$missing telnet"
command -v tmux >/dev/null || missing="$missing tmux"
command -v ip >/dev/null || missing="$missing iproute2"
command -v chromium >/dev/null || command -v google-chrome >/dev/null || missing="$missing chromium"
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "please install:$missing" >&2
    exit 1
fi
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
