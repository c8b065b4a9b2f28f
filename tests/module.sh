#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# module.sh NAME [MAKE ARGUMENT]...: builds the module for the kernel that is
# tested, in a copy of its sources at build/NAME, since kbuild puts objects
# beside them. What make prints goes to build/NAME/log. With KMAKE that builds it: see
# kernels/debian.sh.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

dir=$build/$1; shift
mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9
cd "$top"
find Kbuild kmod -name Kbuild -o -name '*.[ch]' ! -name '*.mod.c' |
	cpio --quiet -pdm "$dir" 2>/dev/null
cd "$dir"
# a source that is gone must not be found here
find kmod -name '*.[ch]' ! -name '*.mod.c' | while read -r f; do
	[ -e "$top/$f" ] || rm "$f"
done
if [ -n "${KMAKE:-}" ]; then
	quietly log "$KMAKE" -j"$(nproc)" M="$PWD" "$@" modules ||
		die "the module does not build with $KMAKE"
else
	headers=$(cd "$top" && test_headers)
	quietly log make -j"$(nproc)" -C "$headers" M="$PWD" "$@" modules ||
		die "the module does not build against $headers"
fi
