#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh [--here] [ROW]...: 'make bench'. Measures everything, or the rows whose names begin so,
# in a virtual machine whose clock counts instructions, and prints the table; BENCH_JSON=FILE
# leaves the numbers there. With --here on this machine, as root, with upcall loaded: in
# nanoseconds.
set -euo pipefail
# shellcheck source=common.sh
. "${0%/*}/common.sh"

here=''
[ "${1:-}" != --here ] || { here=1; shift; }

in_vm()
{
	run_in_vm --icount --mem 4096 -c "$load; ./bench -i $*"
	# the clock that counts instructions knows one processor only
	run_in_vm --pin --append "idle=poll tsc=reliable" -c "$load; ./bench -x $*"
}

build_all
in_vm "$@" | tee "$out/log" >&2
awk -f "$bench/json.awk" -v machine="instructions, one processor" "$bench/targets" "$out/log" >"$out/bench.json"
awk -f "$bench/rows.awk" -f "$bench/table.awk" "$out/bench.json"
[ -z "${BENCH_JSON:-}" ] || cp "$out/bench.json" "$BENCH_JSON"
