#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# coverage.sh [PATTERN]...: 'make coverage'. How much of kmod/ runs in all tests (or in those that
# match), in the faults and in the stress, by gcov on the kernel tests/kernels/faults.config. Every
# line that does not is shown, with the reason that tests/coverage.reasons has for it, and every reason
# that has no such line. Its last line is 'coverage: lines NN.N%'; it fails below 95, and where a test does.
#
# FAULTS=PATTERN: with patterns for tests also these of the faults.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

least=95.0
out=$build/coverage-report
objects=$build/coverage/kmod
reasons=$top/tests/coverage.reasons
failed=''

KDIR=$("$top/tests/kernels/build.sh" faults)/build
KDIR=$KDIR "$top/tests/module.sh" coverage UPCALL_TEST=1 UPCALL_COVERAGE=1
export UPCALL_MODULE=$build/coverage/upcall.ko
rm -rf "$out" "$build"/test-faults/*/gcda "$build"/stress-faults/vm/gcda "$build"/faults/vm/gcda
mkdir -p "$out"

# --- the runs ------------------------------------------------------------------

"$top/tests/run.sh" --kernel faults "$@" || failed+=" tests"
if [ $# = 0 ] || [ -n "${FAULTS+x}" ]; then
	# shellcheck disable=SC2086 # patterns
	"$top/tests/faults.sh" ${FAULTS:-} || failed+=" faults"
fi

# --- together ------------------------------------------------------------------

# What several machines counted, in one
merge()		# DIR...
{
	cp -r "$1" "$out/gcda"
	shift
	for dir; do
		gcov-tool merge "$out/gcda" "$dir" -o "$out/merged" 2>"$out/log" || die "cannot merge $dir"
		rm -rf "$out/gcda"
		mv "$out/merged" "$out/gcda"
	done
}

mapfile -t counted < <(find "$build/test-faults" "$build/stress-faults" "$build/faults" -type d -name gcda 2>/dev/null)
[ ${#counted[@]} -gt 0 ] || die "no machine counted anything"
merge "${counted[@]}"

# Line by line, with branches. Headers come with every source that includes them
for object in "$out"/gcda/*.gcda; do
	name=${object##*/}
	cp "$objects/${name%.gcda}.gcno" "$out/gcda/"
	(cd "$build/coverage" && gcov -b -c -t -o "$object" "kmod/${name%.gcda}.c" 2>/dev/null)
done >"$out/gcov"

awk -v least=$least -f "$top/tests/coverage.awk" "$reasons" "$out/gcov" && good=1 || good=''
[ -z "$failed" ] || say "coverage: failed:$failed" >&2
[ -z "$failed" ] && [ -n "$good" ]
