#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh [PATTERN]...: 'make test'. Runs the checks, builds everything, boots
# the module and runs the tests inside; with patterns, only the test programs
# that match. Its last line is 'N passed, N failed, N skipped'.
#
# run.sh --kernel kasan|kcsan|faults [PATTERN]...: 'make test-kasan', 'make test-kcsan'. The
# same tests on that kernel, and instead of the checks, each of the kernel's own is seen
# to work. The last line is 'kasan: N passed, N failed'.
#
# run.sh --kernel cloud|rt|6.12|sid|arm64 [PATTERN]...: a part of 'make test-kernels'. The tests
# on that kernel of Debian's; the last line is 'cloud (RELEASE): N passed, N failed, N skipped'.
#
# The suites of user/python and user/node are programs of that name.
#
# run.sh --race: 'make test-race'. The race matrix alone; the last line is 'race: N passed,
# N failed', one for each of its cells.
#
# With UPCALL_UNTIL=TIME, as date +%s counts, no program begins after it: those are skipped.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

limit=${VM_TIMEOUT:-900}	# seconds, for each boot
bindings="python node"		# languages, each with a suite user/NAME/tests/run
kernel='' debian='' slow=1 title='' until=${UPCALL_UNTIL:-}
if [ "${1:-}" = --kernel ]; then
	kernel=$2 slow=$sanitizer_slowness title=$2
	! is_debian "$kernel" || debian=1 slow=$debian_slowness
	shift 2
elif [ "${1:-}" = --race ]; then
	title=race
	set -- 'hook_race_*'
fi
whole=''	# what of proof.sh's it is, if it is all of that
if [ "$title" = race ]; then
	whole=race
elif [ $# = 0 ] && [ -z "$until" ]; then
	whole=${kernel:-test}
fi
out=$build/test${kernel:+-$kernel}
results=$out/results
passed=0 failed=0 skipped=0
cross=()	# make's words where it is for another architecture

count()		# PASSED FAILED SKIPPED
{
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
}

step()	{ printf '\n== %s\n' "$*"; }

verdict()
{
	local line

	! grep -q '^SKIP' "$results" || { step "skipped"; grep '^SKIP' "$results"; }
	! grep -q '^FAIL' "$results" || { step "failed"; grep -E '^(FAIL| {4})' "$results"; }
	step "results"
	line="$passed passed, $failed failed, $skipped skipped"
	[ -z "$title" ] || line="$title: $line"
	[ -z "$whole" ] || keep_verdict "${debian:+kernel-}$whole" "$line"
	if [ -z "$title" ] || [ -n "$debian" ]; then
		say "$line"
	else
		[ $skipped = 0 ] || say "$title: $skipped skipped"
		say "$title: $passed passed, $failed failed"
	fi
	[ $failed = 0 ] && { [ $passed -gt 0 ] || [ -n "$until" ]; }
}

note()	{ tee -a "$results"; }

broken()	# TEXT: nothing can run
{
	say "FAIL  $*" | note
	count 0 1 0
	verdict
	exit 1
}

get_kernel()
{
	local status=0	# 124: timeout's

	if [ -n "$debian" ]; then
		kernel_dir=$("$top/tests/kernels/debian.sh" "$kernel") || broken "no kernel"
		title="$kernel ($(cat "$kernel_dir/release"))"
		mapfile -t cross < <(cross_words "$kernel_dir")
		return
	fi
	kernel_dir=$(${until:+timeout $((until - $(date +%s)))} "$top/tests/kernels/build.sh" "$kernel") || status=$?
	[ $status != 0 ] || return 0
	[ $status = 124 ] || broken "no kernel"
	say "SKIP  $kernel: none of it has run: no time left to build the kernel" | note
	count 0 0 1
	verdict
	exit
}

run_checks()
{
	step "checks"
	"$top/tests/check.sh" | note | tee "$out/check.log" || :
	count "$(grep -c '^ok' "$out/check.log")" "$(grep -c '^FAIL' "$out/check.log")" 0
}

# Each detector fires once
run_planted()
{
	step "planted bugs"
	"$top/tests/kernels/planted.sh" "$kernel" "$out/planted" | note | tee "$out/planted.log" || :
	count "$(grep -c '^ok' "$out/planted.log")" "$(grep -c '^FAIL' "$out/planted.log")" 0
}

# Short; 'make stress' takes longer
run_stress()
{
	step "stress: 10 s"
	if "$top/tests/stress.sh" ${kernel:+--kernel "$kernel"} 10 >"$out/stress.log" 2>&1; then
		say "ok    $(tail -n 1 "$out/stress.log")"
		count 1 0 0
	else
		{
			say "FAIL  $(tail -n 1 "$out/stress.log")"
			sed 's/^/    /' "$out/stress.log"
		} | note
		count 0 1 0
	fi
}

# kselftest with longer time limits: that of a test is in its harness, that of a program in 'settings'
slow_kselftest()
{
	local new=$out/ksft.new source=tools/testing/selftests

	rm -rf "$new"
	cp -r "${ksft%/tools/*}" "$new"
	sed -i "s/alarm(t->timeout)/alarm(t->timeout * $slow)/" "$new/$source/kselftest_harness.h"
	grep -q "timeout \* $slow" "$new/$source/kselftest_harness.h" || broken "kselftest's harness is not as it was"
	# A newer one has every test built again
	diff -r "$new" "$shared/ksft" >/dev/null 2>&1 || { rm -rf "$shared/ksft"; mv "$new" "$shared/ksft"; }
	ksft=$shared/ksft/$source
}

# What needs no machine
run_double()
{
	step "test double, with sanitizers"
	if "$top/tests/double.sh" all address,undefined thread; then
		say "ok    test double" | note
		count 1 0 0
	else
		say "FAIL  test double" | note
		count 0 1 0
	fi
}

build_module()
{
	[ -z "${UPCALL_MODULE:-}" ] || return 0
	if [ -n "$debian" ]; then
		KMAKE=$kernel_dir/make "$top/tests/module.sh" "$kernel"
	elif [ -n "$kernel" ]; then
		KDIR=$kernel_dir/build "$top/tests/module.sh" "$kernel" UBSAN_SANITIZE=y
	else
		"$top/tests/module.sh" vm
	fi
}

build_tests()	# PATTERN...
{
	local name user=() tests=()

	step "build"
	# One build of the tests serves all kernels of Debian's of one architecture
	shared=$out
	[ -z "$debian" ] || shared=$build/test-debian${cross:+-$kernel}
	ksft=$(kernel_source)/tools/testing/selftests || broken "no kselftest"
	mkdir -p "$shared/bin"
	exec 8>"$shared/.lock-tests"
	flock 8
	[ $slow = 1 ] || slow_kselftest
	build_module || broken "the module does not build"
	[ ${#cross[@]} = 0 ] || {
		user=("${cross[@]}" B="$build/user-$kernel")
		tests=("${cross[@]}" LIBUPCALL="$build/user-$kernel/libupcall.a" TESTS_32=)
	}
	[ ! -e "$top/user/Makefile" ] ||
		quietly "$out/log" flock "$build/.user" make -C "$top/user" "${user[@]}" || broken "user/ does not build"
	rm -rf "$out/kselftest"
	make -s -C "$top/tests/selftests" KSFT="$ksft" OUTPUT="$shared/bin" COLLECTION=upcall \
		emit_tests | sort >"$out/all"
	[ $# = 0 ] || tests+=(ONLY="$(matching "$@" <"$out/all" | sed 's/.*://' | tr '\n' ' ')none")
	make -s -C "$top/tests/selftests" KSFT="$ksft" OUTPUT="$shared/bin" COLLECTION=upcall "${tests[@]}" \
		INSTALL_PATH="$out/kselftest/upcall" USERCFLAGS="-DUPCALL_SLOW=$slow" install || broken "the tests do not build"
	cp -r "$ksft/run_kselftest.sh" "$ksft/kselftest" "$out/kselftest/"
	[ $slow = 1 ] || {
		timeout=$(sed -n 's/^timeout=//p' "$out/kselftest/upcall/settings")
		say "timeout=$((timeout * slow))" >"$out/kselftest/upcall/settings"
	}
	exec 8>&-
	# The kernels of tests/kernels have no disks
	[ -n "$kernel" ] && [ -z "$debian" ] || for name in $bindings; do
		[ ! -e "$top/user/$name/tests/run" ] || say "binding:$name"
	done >>"$out/all"
	# Where time may run out, what is the same again comes last
	[ -z "$kernel" ] || [ -n "$debian" ] || {
		{ grep -v '_32$' "$out/all"; grep '_32$' "$out/all"; } >"$out/all.new"
		mv "$out/all.new" "$out/all"
	}
}

matching()	# PATTERN...: those of the list on standard input
{
	local test pattern

	while read -r test; do
		[ $# -gt 0 ] || say "$test"
		for pattern; do
			# shellcheck disable=SC2053 # it is a pattern
			[[ ${test#*:} != $pattern ]] || { say "$test"; break; }
		done
	done
}

# What is not for Debian's other kernels, aloud
skip_programs()
{
	{
		sed -n 's/^binding:\(.*\)/SKIP  \1: its packages are on a disk, and that is for the usual kernel/p' "$out/list"
		[ ${#cross[@]} = 0 ] ||
			sed -n 's/^.*:\(.*_32\)$/SKIP  \1: no 32-bit programs are built for this architecture/p' "$out/list"
	} >"$out/skipped"
	count 0 0 "$(wc -l <"$out/skipped")"
	note <"$out/skipped"
	sed -i '/^binding:/d' "$out/list"
	[ ${#cross[@]} = 0 ] || sed -i '/_32$/d' "$out/list"
}

boot()		# NAME LIST RUNNER-OPTION...
{
	local name=$1 list=$2 status; shift 2

	[ -s "$list" ] || return 0
	step "$name: $(wc -l <"$list") programs"
	if [ -n "$until" ] && [ "$(date +%s)" -ge "$until" ]; then
		sed "s/^[a-z]*:\(.*\)/SKIP  \1: no time left ($name)/" "$list" | note
		count 0 0 "$(wc -l <"$list")"
		return
	fi
	rm -f "$out/counts"
	set +e
	"$top/tests/vm/run" "$@" ${kernel:+--kernel "$kernel"} ${until:+--until "$until"} --timeout "$limit" --out "$out/$name" |
		tee "$out/$name.log" | "$top/tests/ktap.sh" "$out/counts" | note
	status=${PIPESTATUS[0]}
	set -e
	# shellcheck disable=SC2046 # three words
	count $(cat "$out/counts")
	# The machine's verdict is a result of its own, but no race
	if [ "$status" = 0 ]; then
		[ "$title" = race ] || count 1 0 0
	else
		say "FAIL  $name: $(sed -n 's/^vm: FAIL: \(.*[^:]\):*$/\1/p' "$out/$name.log" | head -n 1) (in $out/$name.log)" | note
		count 0 1 0
	fi
}

boot_selftests()	# NAME LIST RUNNER-OPTION...
{
	boot "$@" --job "$top/tests/vm/selftests.job" \
		"$out/kselftest:/kselftest" "$2:/kselftest/kselftest-list.txt"
}

# One program is a whole suite here
boot_bindings()		# NAME LIST
{
	local name suites=()

	while IFS=: read -r _ name; do
		suites+=("$top/user/$name/tests:/bindings/$name")
	done <"$2"
	limit=$((4 * limit)) boot "$@" --packages "$interpreters" --job "$top/tests/vm/bindings.job" "$2:/bindings/list" "${suites[@]}"
}

mkdir -p "$out"
exec 9>"$out/.lock"
flock -n 9 || { say "waiting for another run to end"; flock 9; }
: >"$results"
if [ -n "$kernel" ]; then
	step "kernel"
	get_kernel
	say "$kernel_dir"
	[ $# -gt 0 ] || [ -n "$debian" ] || [ "$kernel" = faults ] || run_planted
else
	[ $# -gt 0 ] || { run_checks; run_double; }
fi
build_tests "$@"
matching "$@" <"$out/all" >"$out/list"
[ -s "$out/list" ] || broken "no test is called $*"
[ -z "$debian" ] || skip_programs
grep -v -e ':hook_' -e '^binding:' "$out/list" >"$out/list.plain" || :
grep '^binding:' "$out/list" >"$out/list.bindings" || :
grep ':hook_' "$out/list" >"$out/list.hook" || :
# First, because where time runs out, it is to be missing at the 32-bit programs. Here freed
# memory is poisoned, too, and checked when it is used again
boot_selftests test-module "$out/list.hook" --test-module --append slub_debug=FZPU
boot_selftests module "$out/list.plain"
boot_bindings bindings "$out/list.bindings"
[ $# -gt 0 ] || run_stress
# KCSAN looks at few accesses, by chance: where many run at a time once more, at more of them and for longer
[ "$kernel" != kcsan ] || {
	grep -E ':(lib_)?(race|churn|death|receivers|unload|room|ways|async|nested|fd)' "$out/list.plain" >"$out/list.again" || :
	boot_selftests module-again "$out/list.again" --append "kcsan.skip_watch=50 kcsan.udelay_task=150"
}
verdict
