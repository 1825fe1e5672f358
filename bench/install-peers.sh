#!/bin/sh
# Installs the servers to compare with, where they are missing and this is Debian. What cannot be had
# is left out of the comparison.
set -eu
missing=
for program in mosquitto ngircd; do
    [ -x "/usr/sbin/$program" ] || command -v "$program" >/dev/null || missing="$missing $program"
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
# shellcheck disable=SC2086
{
    $sudo apt-get update -qq &&
        $sudo env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends $missing >/dev/null
} || echo "could not install:$missing" >&2
# The packages start services of their own, which nobody has asked for.
if command -v systemctl >/dev/null; then
    # shellcheck disable=SC2086
    $sudo systemctl disable --quiet --now $missing 2>/dev/null || true
fi
