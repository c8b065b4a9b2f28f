#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# fuzz.sh MINUTES [SEED]: 'make fuzz'. Boots the module on the kernel tests/kernels/faults.config and makes
# programs for it, led by what of it they reach; tests/fuzz/fuzz.h says how. It begins with the programs of
# tests/fuzz/basics.prog and tests/fuzz/corpus; what it has at the end is in build/fuzz/corpus. Its last line is
# 'fuzz: N executions, N edges, N crashes'.
#
# fuzz.sh --replay FILE: runs the programs of that file, as often as TIMES says (10). Those before a crash
# are in build/fuzz/crash.prog.
#
# KERNEL=kasan: on that one. SMP=n: so many processors (2). KEEP=1: at the end each program is made as simple as it can be, and those of
# tests/fuzz/corpus are replaced by them.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

kernel=${KERNEL:-faults}
out=$build/fuzz
corpus=$top/tests/fuzz/corpus
verdict='^fuzz: [0-9]* executions, [0-9]* edges, [0-9]* crashes$'
# So small that programs come to their ends
limits="max_callbacks_user=64 max_callbacks=256 max_queued_calls_user=200 max_queued_bytes_user=4194304"
arguments=() files=() minutes=0
if [ "${1:-}" = --replay ]; then
	[ -r "${2:-}" ] || die "no file ${2:-}: REPLAY=file"
	arguments=(--replay "${TIMES:-10}" replay.prog)
	files=("$2:/root/replay.prog")
else
	minutes=${1:-10} seed=${2:-}
	[[ $minutes =~ ^[0-9]+$ && $seed =~ ^[0-9]*$ ]] || die "usage: make fuzz MINUTES=n [SEED=number]"
	arguments=(--minutes "$minutes" ${seed:+--seed "$seed"} ${KEEP:+--simplify})
	for file in "$top"/tests/fuzz/*.prog "$corpus"/*.prog; do
		[ ! -e "$file" ] || { arguments+=("${file##*/}"); files+=("$file"); }
	done
fi

mkdir -p "$out"
make -s -B -C "$top/tests/fuzz" OUTPUT="$out" USERCFLAGS="-DUPCALL_SLOW=$sanitizer_slowness"
kernel_dir=$("$top/tests/kernels/build.sh" "$kernel")
KDIR=$kernel_dir/build "$top/tests/module.sh" fuzz-module UPCALL_KCOV=1
{
	say '#!/bin/sh'
	printf 'export BAD_LINES=%q\n' "$bad_lines"
	printf 'exec ./fuzz'
	printf ' %q' "${arguments[@]}"
	say
} >"$out/job"

# The machine's memory is a file, in which the last programs are found however it ended
memory=$(mktemp "$([ ! -w /dev/shm ] || say /dev/shm)/upcall-fuzz.XXXXXX")
trap 'rm -f "$memory"' EXIT
status=0
UPCALL_MODULE=$build/fuzz-module/upcall.ko "$top/tests/vm/run" --kernel "$kernel" --smp "${SMP:-2}" --params "$limits" \
	--timeout $(((minutes * 60 * (${KEEP:+2} + 2) + 600) / sanitizer_slowness)) --memory-file "$memory" \
	--append "softlockup_panic=1" --out "$out/vm" --job "$out/job" "$out/fuzz" "${files[@]}" |
	tee "$out/log" | grep --line-buffered -v -e "$verdict" -e '^corpus|' -e '^kept|' -e '^@fuzz@' || :
status=${PIPESTATUS[0]}

keep()		# DIR: its programs, a file for each group
{
	rm -rf "$1.new"
	mkdir -p "$1.new"
	awk -F '|' -v dir="$1.new" '
		/^corpus\|/	{ file = dir "/" $2 ".prog"
				  if (!(file in begun)) print "# SPDX-License-Identifier: GPL-2.0-only" >file
				  begun[file] = 1
				  sub(/^corpus\|[a-z]*\|/, ""); print >file }' "$out/log"
	rm -rf "$1"
	mv "$1.new" "$1"
}

say_verdict()
{
	[ "$minutes" = 0 ] || keep_verdict fuzz "$1, in $minutes minutes"
	say "$1"
}

# The last programs of all, as they can be replayed
keep_crash()	# FILE: has them as lines '@fuzz@ EXECUTION NUMBER OPERATION'
{
	grep -aohE '^@fuzz@ [0-9]+ [0-9]+ [ -~]+' "$1" | sort -u -k 2,2n -k 3,3n |
		awk '$2 != n && NR > 1 { print "" } { n = $2; sub(/^@fuzz@ [0-9]+ [0-9]+ /, ""); print }' >"$out/crash.prog"
	say "fuzz: the programs before it are $out/crash.prog, the last one is"
	awk -v RS= 'END { print }' "$out/crash.prog"
}

if ! grep -q "$verdict" "$out/log"; then
	# The machine ended before it
	keep_crash "$memory"
	news=$(sed -n 's/^fuzz: [0-9]* s: \(.* edges\), .*/\1/p' "$out/log" | tail -n 1)
	say_verdict "fuzz: ${news:-0 executions, 0 edges}, 1 crashes"
	exit 1
fi
! grep -q '^@fuzz@' "$out/log" || keep_crash "$out/log"
[ "${1:-}" = --replay ] || keep "$out/corpus"
[ -z "${KEEP:-}" ] || [ "$status" != 0 ] || keep "$corpus"
verdict=$(sed -n "/$verdict/p" "$out/log" | tail -n 1)
# What the machine found at its end is one, too
[ "$status" = 0 ] || verdict=${verdict/ 0 crashes/ 1 crashes}
say_verdict "$verdict"
exit "$status"
