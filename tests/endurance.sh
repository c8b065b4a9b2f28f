#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# endurance.sh SECONDS [PART]...: 'make endurance'. What takes its time to go wrong, on eight
# processors, in parts, each in a machine of its own:
#
#	load	stress for most of the time: every call accounted for, memory flat
#	reload	the module unloaded and loaded beside processes that open it, poll and die
#	freeze	owners and callers stopped and frozen in the middle of calls, as before a suspend
#	memory	callers at the limit of their memory cgroup
#	million	a million callbacks of one owner that dies: how long a processor is held
#	million-rt	the same on Debian's kernel with PREEMPT_RT
#
# KERNEL=kasan, or rt: on that one. The last line is 'endurance: N passed, 0 failed'.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

seconds=${1:-3600}
[ $# = 0 ] || shift
[[ $seconds =~ ^[0-9]+$ ]] || die "usage: make endurance DURATION=seconds [T='load reload freeze memory million million-rt']"
chosen=$*
kernel=${KERNEL:-} slow=1 mem=3072
if [ $# = 0 ]; then
	set -- load reload freeze memory million
	[ -n "$kernel" ] || set -- "$@" million-rt
fi
if is_debian "$kernel"; then
	slow=$debian_slowness
elif [ -n "$kernel" ]; then
	slow=$sanitizer_slowness mem=6144
fi
out=$build/endurance${kernel:+-$kernel}
passed=0 failed=0

# How the time is divided among those that are asked for; the last one takes as long as it takes
declare -A shares=([load]=60 [reload]=14 [freeze]=13 [memory]=13 [million]=0 [million-rt]=0)
all=0
for part; do
	[ -n "${shares[$part]:-}" ] || die "no part is called $part"
	all=$((all + shares[$part]))
done

result()	# ok|FAIL TEXT
{
	say "$1$(printf '%*s' $((6 - ${#1})) '')$2" | tee -a "$out/results"
}

run_part()	# NAME
{
	local name=$1 on=$kernel time status=0

	[ "$name" != million-rt ] || on=rt
	time=$((seconds * shares[$name] / (all ? all : 1)))
	say "== $name: ${time} s"
	"$top/tests/vm/run" --bare ${on:+--kernel "$on"} --smp 8 --mem $mem --timeout $((time + 900)) \
		--out "$out/$name" -c "exec ./endurance ${name%-rt} $time" "$out/endurance" "$out/stress" |
		sed -u 's|\r||' | tee "$out/$name.log" || :
	status=${PIPESTATUS[0]}
	grep -E '^(ok|FAIL)  ' "$out/$name.log" >>"$out/results" || :
	if [ "$status" = 0 ]; then
		result ok "$name: the kernel's log is clean, and the module went"
	else
		result FAIL "$name: $(sed -n 's/^vm: FAIL: //p' "$out/$name.log" | head -n 1) (in $out/$name.log)"
	fi
}

mkdir -p "$out"
exec 9>"$out/.lock"
flock -n 9 || { say "waiting for another run to end"; flock 9; }
: >"$out/results"
for program in stress endurance; do
	make -s -B -C "$top/tests/$program" OUTPUT="$out" USERCFLAGS="-DUPCALL_SLOW=$slow"
done
for part; do run_part "$part"; done
passed=$(grep -c '^ok' "$out/results") || :
failed=$(grep -c '^FAIL' "$out/results") || :
[ "$failed" = 0 ] || { say; grep '^FAIL' "$out/results"; }
line="endurance: $passed passed, $failed failed"
[ -n "$chosen" ] || keep_verdict endurance "$line, in $seconds s${kernel:+, on $kernel}"
say "$line"
[ "$failed" = 0 ]
