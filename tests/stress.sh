#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# stress.sh [--kernel NAME] SECONDS [SEED]: 'make stress'. Boots the module and lets owners
# and callers loose; tests/stress says what is counted. Its last line is
# 'stress: sent S, answered S, duplicates 0, lost 0'.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

kernel='' slow=1
if [ "${1:-}" = --kernel ]; then
	kernel=$2 slow=$sanitizer_slowness
	! is_debian "$kernel" || slow=$debian_slowness
	shift 2
fi
seconds=${1:-10} seed=${2:-}
[[ $seconds =~ ^[0-9]+$ && $seed =~ ^[0-9]*$ ]] || die "usage: make stress DURATION=seconds [SEED=number]"
out=$build/stress${kernel:+-$kernel}
mkdir -p "$out"
cross=()
if is_debian "$kernel"; then
	dir=$("$top/tests/kernels/debian.sh" "$kernel")
	mapfile -t cross < <(cross_words "$dir")
fi
make -s -B -C "$top/tests/stress" OUTPUT="$out" "${cross[@]}" USERCFLAGS="-DUPCALL_SLOW=$slow"

# The machine's own lines come behind the program's: the verdict is to be the last one
status=0
"$top/tests/vm/run" ${kernel:+--kernel "$kernel"} --timeout $((seconds + 300)) --out "$out/vm" \
	-c "./stress $seconds $seed" "$out/stress" | tee "$out/log" | grep --line-buffered -v '^stress: sent' || :
status=${PIPESTATUS[0]}
sed -n '/^stress: sent/p' "$out/log" | grep . || { say "stress: no verdict"; exit 1; }
exit "$status"
