#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# faults.sh [PATTERN]...: 'make faults'. Every allocation and every copy of each call fails once,
# on the kernel tests/kernels/faults.config; tests/faults/faults.h says what is looked at. With
# patterns, only the scenarios whose names match. Its last line is 'faults: N injected, M wrong'.
#
# KERNEL=kasan: on that one. VERBOSE=2: the kernel's log says where each fault was.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

kernel=${KERNEL:-faults}
out=$build/faults
mkdir -p "$out"
make -s -B -C "$top/tests/faults" OUTPUT="$out" USERCFLAGS="-DUPCALL_SLOW=$sanitizer_slowness"
{
	say '#!/bin/sh'
	say "export VERBOSE=${VERBOSE:-}"
	printf 'exec ./faults'
	[ $# = 0 ] || printf ' %q' "$@"
	say
} >"$out/job"

# The machine's own lines come behind the program's: the verdict is to be the last one
status=0
"$top/tests/vm/run" --kernel "$kernel" --smp 1 --timeout "${VM_TIMEOUT:-300}" --out "$out/vm" --job "$out/job" \
	"$out/faults" | tee "$out/log" | grep --line-buffered -vx 'faults: [0-9]* injected, [0-9]* wrong' || :
status=${PIPESTATUS[0]}
line=$(grep -x 'faults: [0-9]* injected, [0-9]* wrong' "$out/log") || { say "faults: no verdict"; exit 1; }
[ $# -gt 0 ] || keep_verdict faults "$line"
say "$line"
exit "$status"
