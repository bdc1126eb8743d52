#!/bin/bash
# SPDX-License-Identifier: MIT
# fresh_root.sh [COMMAND...] - ./run demo and ./run test of a clean clone, in a Debian 12 that has
# nothing installed yet
#
# What works where it was written may lean on a package, a file or a setting that happens to be
# there.  So: a minimal bookworm root from the mirrors this machine uses itself, a clone of HEAD in
# it, and each COMMAND run there (default: both).  Needs root, mmdebstrap and about
# 4 GB below TMPDIR.  Exit code 77: it could not be tried, and the last line says why.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# -gt 0 ] || set -- "./run demo" "./run test"

skip() { echo "SKIP: $*" && exit 77; }

# The mirrors apt uses here for Debian itself; mmdebstrap's own choice when there are none.
sources() {
    local f
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        if [ -s "$f" ] && grep -q bookworm "$f"; then
            echo "$f"
        fi
    done
}

# Inside namespaces of its own: mounts, and processes that nobody ended, go away with them.
inside() {
    local root=$1 command
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/dev/shm"
    for command in "$@"; do
        echo "== $command"
        chroot "$root" /usr/bin/env -i HOME=/root LANG=C.UTF-8 CI=true \
            PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
            ${HOB_JOBS:+HOB_JOBS="$HOB_JOBS"} \
            bash -c "cd /hob && $command" </dev/null
    done
}

if [ "${1:-}" = --inside ]; then
    shift
    inside "$@"
    exit
fi

[ "$(id -u)" = 0 ] || skip "a fresh root needs root"
for tool in mmdebstrap git unshare chroot; do
    command -v $tool >/dev/null || skip "there is no $tool"
done
unshare --mount --pid --fork true 2>/dev/null || skip "no mount namespace may be made here"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
mapfile -t mirrors < <(sources)
include=()
if [ ${#mirrors[@]} -gt 0 ] && grep -q https: "${mirrors[@]}"; then
    include=(--include=ca-certificates)
fi
echo "== bookworm in $root"
mmdebstrap --quiet --variant=minbase "${include[@]}" bookworm "$root" "${mirrors[@]}" \
    >"$work/log" 2>&1 || { cat "$work/log" && skip "mmdebstrap could not fetch Debian"; }
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
# The installer writes this one; mmdebstrap does not.
printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
git clone --quiet --no-hardlinks "$top" "$root/hob"
unshare --mount --pid --fork --kill-child "$0" --inside "$root" "$@"
