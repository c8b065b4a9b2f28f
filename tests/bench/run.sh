#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh [--here | --time] [ROW]...: 'make bench'. Measures everything, or the rows whose names begin
# so, in a virtual machine whose clock counts instructions, and prints the table; BENCH_JSON=FILE
# leaves the numbers there. In nanoseconds instead: with --time in a virtual machine, which says
# something if that has KVM; with --here on this machine, as root, with upcall loaded.
set -euo pipefail
# shellcheck source=common.sh
. "${0%/*}/common.sh"

where=instructions machine="instructions, one processor"
case ${1:-} in
--here | --time)
	where=${1#--} machine="nanoseconds, one processor"
	shift ;;
esac

programs()	# OPTION...: of them
{
	say "./bench $*; ./bench-libraries $*"
}

in_vm()
{
	if [ $where = instructions ]; then
		run_in_vm --icount --mem 4096 -c "$load; $(programs -i "$@")"
	else
		run_in_vm --smp 1 --mem 4096 -c "$load; $(programs "$@")"
	fi
	# the clock that counts instructions knows one processor only
	[[ " ${*:-across} " != *" across"* ]] ||
		run_in_vm --pin --append "idle=poll tsc=reliable" -c "$load; ./bench -x"
	[[ " ${*:-pairs} " != *" pairs"* ]] ||
		run_in_vm --smp 4 --append tsc=reliable -c "$load; ./bench -y"
}

here()
{
	[ "$(id -u)" = 0 ] || die "--here takes root: for SCHED_FIFO"
	modprobe -qa fuse binder_linux || :
	insmod "$out/floor/floor.ko" || :
	(cd "$out" && sh -c "$(programs "$@"); ./bench -x; ./bench -y")
	rmmod floor || :
}

measure()
{
	if [ $where = here ]; then here "$@"; else in_vm "$@"; fi
}

"$top/tests/deps.sh" bench
build_all
measure "$@" | tee "$out/log" >&2
awk -f "$bench/json.awk" -v machine="$machine" "$bench/targets" "$out/log" >"$out/bench.json"
awk -f "$bench/rows.awk" -f "$bench/table.awk" "$out/bench.json"
[ -z "${BENCH_JSON:-}" ] || cp "$out/bench.json" "$BENCH_JSON"
# What was left out, and what went wrong
grep '^skip ' "$out/log" || :
! grep '^fail ' "$out/log"
