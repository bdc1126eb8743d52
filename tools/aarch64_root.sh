#!/bin/bash
# SPDX-License-Identifier: MIT
# aarch64_root.sh DIR - in DIR the libraries hob needs, for 64-bit Arm; in DIR.txt where they are, for
# tools/cross/aarch64.txt
#
# Debian's own packages, unpacked and not installed: nothing of this machine's changes, and none of
# their scripts runs.  What is no library or header goes, for the emulator would show programs the
# root's files in place of the machine's.  Exit code 77: no root could be made, and why.
#
# When the list of packages is another than DIR's, it is made anew; but only if this has made it, which
# a mark in it says, or it is empty.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
[ $# = 1 ] || { echo "usage: $0 DIR" >&2 && exit 2; }
root=$(realpath -m "$1")
mark=$root/.made-by-aarch64_root

skip() { echo "SKIP: $*" && exit 77; }

packages=(libc6-dev linux-libc-dev libcurl4-openssl-dev libc-ares-dev libxml2-dev libicu-dev
    libsqlite3-dev libssl-dev liburing-dev libseccomp-dev)

have=$(cat "$root/packages" 2>/dev/null || true)
# One made before there was a mark is known by its list.
if [ "$have" != "${packages[*]}" ] && [ ! -e "$mark" ] && [ "${have#libc6-dev }" = "$have" ] &&
    { [ -n "$(ls -A "$root" 2>/dev/null)" ] || [ -e "$root.txt" ]; }; then
    echo "$0: $root (or its .txt) is there and not of this program's making; take it away first" >&2
    exit 1
fi
for tool in mmdebstrap aarch64-linux-gnu-gcc qemu-aarch64-static; do
    command -v $tool >/dev/null || skip "there is no $tool"
done
if [ "$have" != "${packages[*]}" ]; then
    mirrors=()
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources; do
        if [ -s "$f" ] && grep -q bookworm "$f"; then
            mirrors+=("$f")
        fi
    done
    rm -rf --one-file-system "$root" "$root.txt"
    mkdir -p "$root"
    touch "$mark"
    IFS=,
    mmdebstrap --quiet --variant=extract --architectures=arm64 --include="${packages[*]}" \
        bookworm "$root/new" "${mirrors[@]}" >"$root.log" 2>&1 ||
        { cat "$root.log" && skip "mmdebstrap could not fetch Debian for arm64"; }
    unset IFS
    mv "$root/new/lib" "$root/new/usr" "$root"
    rm -rf --one-file-system "$root/new"
    find "$root/usr" -mindepth 1 -maxdepth 1 ! -name lib ! -name include -exec rm -rf {} +
    rm -f "$root.log"
    echo "${packages[*]}" >"$root/packages"
fi
printf "[constants]\nsysroot = '%s'\nsource = '%s'\n" "$root" "$top" >"$root.txt"
