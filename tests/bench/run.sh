#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh [--here] [ROW]...: 'make bench'. Measures everything, or the rows whose names begin so,
# in a virtual machine whose clock counts instructions, and prints the table; BENCH_JSON=FILE
# leaves the numbers there. With --here on this machine, as root, with upcall loaded: in
# nanoseconds.
set -eu
# shellcheck source=../env.sh
. "${0%/*}/../env.sh"

out=$build/bench
here=''
[ "${1:-}" != --here ] || { here=1; shift; }
mkdir -p "$out"

build_floor()
{
	local headers dir=$out/floor

	headers=$(test_headers)
	mkdir -p "$dir"
	cp "$top"/tests/bench/floor/* "$dir/"
	quietly "$dir/log" make -C "$headers" M="$dir" modules || die "the floor does not build"
}

build_programs()
{
	flock "$build/.user" make -s -C "$top/user" lib >&2
	make -s -C "$top/tests/bench" OUTPUT="$out" >&2
}

# OPTIONS...: of tests/vm/run
run_in_vm()
{
	local release

	release=$(release_of "$(test_headers)")
	"$top/tests/vm/run" --out "$out/vm" --timeout 900 "$@" "$out/bench" "$out/floor/floor.ko" \
		"$(kernel_module "$release" drivers/android/binder_linux)" \
		"$(kernel_module "$release" fs/fuse/fuse)"
}

modules='for m in floor binder_linux fuse; do insmod $m.ko; done'

build_floor
build_programs
run_in_vm --icount --mem 4096 -c "$modules; ./bench -i $*" | tee "$out/log" >&2
awk -f "$top/tests/bench/json.awk" -v machine="instructions, one processor" "$top/tests/bench/targets" \
	"$out/log" >"$out/bench.json"
awk -f "$top/tests/bench/rows.awk" -f "$top/tests/bench/table.awk" "$out/bench.json"
[ -z "${BENCH_JSON:-}" ] || cp "$out/bench.json" "$BENCH_JSON"
