#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# mutants.sh [PATTERN]...: 'make mutants'. Breaks the module on purpose, in one place at a time, as
# the files of tests/mutants say (what stands in them: mutants/mutant.pl), and runs the tests that
# have to notice. First of all the module as it is has to pass all of these tests. With patterns,
# only the mutants whose names match.
#
# A mutant is caught if a test fails, if the kernel's log is not clean, or if something hangs until
# its time limit; which one it was is said. It fails if nobody notices, if it cannot be built, or
# if the code that it breaks is not there any more. The last line is 'mutants: N passed, N failed'.
#
# One machine takes as many as it stands: as long as only tests fail, the next module is loaded.
#
# mutants.sh --check: only looks whether the code and the tests of each are there.
set -eu
# shellcheck source=env.sh
. "${0%/*}/env.sh"

here=$top/tests/mutants
out=$build/mutants
limit=150	# seconds, for the tests of one
passed=0 failed=0

names=() harmless=() fatal=()
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

says()	{ "$here/mutant.pl" "$here/$1.mutant" "$2"; }

select_mutants()	# PATTERN...
{
	local file name pattern

	[ $# -gt 0 ] || set -- '*'
	for file in "$here"/*.mutant; do
		name=${file##*/}
		name=${name%.mutant}
		for pattern; do
			# shellcheck disable=SC2053 # it is a pattern
			[[ $name != $pattern ]] || { names+=("$name"); break; }
		done
	done
	[ ${#names[@]} -gt 0 ] || die "no mutant is called $*"
}

kernel_of()	{ local k; k=$(says "$1" kernel); say "${k:-plain}"; }

# Those with the delay points, where one of the tests needs them
module_of()	# NAME
{
	case " $(says "$1" tests)" in
	*" hook_"*)	say "$(kernel_of "$1")-test" ;;
	*)		kernel_of "$1" ;;
	esac
}

# What is wrong with a mutant itself
check_mutant()	# NAME
{
	local name=$1 test program

	[ -n "$(says "$name" breaks)" ] || say "$name: does not say what it breaks"
	[ -n "$(says "$name" tests)" ] || say "$name: does not say who has to notice"
	case $(kernel_of "$name") in plain | kasan) ;; *) say "$name: no such kernel" ;; esac
	for test in $(says "$name" tests); do
		program=$top/tests/selftests/${test%%/*}.c
		[ -e "$program" ] || { say "$name: there is no ${test%%/*}"; continue; }
		[ "$test" = "${test#*/}" ] ||
			grep -qE "^[A-Z_]+\(([a-z_]+, )?${test#*/}[,)]" "$program" ||
			say "$name: there is no test ${test#*/} in ${test%%/*}"
	done
	"$here/mutant.pl" "$here/$name.mutant" --check "$top" 2>&1 | sed "s/^/$name: /"
}

check_all()
{
	local name

	select_mutants
	for name in "${names[@]}"; do check_mutant "$name"; done >"$work/bad"
	cat "$work/bad"
	[ ! -s "$work/bad" ]
}

# --- the tests -----------------------------------------------------------------

# 'PROGRAM/TEST ...' as lines of 'NAME PROGRAM TEST...'; without any test it is all of them
plan_of()	# NAME TEST...
{
	printf '%s\n' "${@:2}" | sort | awk -F/ -v name="$1" '
		!($1 in n)	{ order[++count] = $1; n[$1] = "" }
		NF == 1		{ whole[$1] = 1 }
		NF > 1 && !index(n[$1] " ", " " $2 " ")	{ n[$1] = n[$1] " " $2 }
		END		{ for (i = 1; i <= count; i++)
					print name, order[i] (whole[order[i]] ? "" : n[order[i]]) }'
}

# Of all mutants of which FUNCTION says that
tests_of()	# KERNEL-OR-MODULE FUNCTION
{
	local name

	for name in "${names[@]}"; do
		[ "$($2 "$name")" != "$1" ] || says "$name" tests
	done | tr ' ' '\n' | sort -u
}

# kselftest's harness knows no choice of tests: here UPCALL_ONLY names those that run
prepare_harness()	# FOLDER SLOWNESS
{
	local source harness=$1/tools/testing/selftests/kselftest_harness.h

	source=$(kernel_source) || exit 1
	mkdir -p "$1"
	cp -rT "$source" "$1"
	sed -i "s/alarm(t->timeout)/alarm(t->timeout * $2)/
/^static inline void __register_test(/,/^}/ {
	/^static/ i\\
static inline bool __wanted(const char *name)\\
{\\
	const char *only = getenv(\"UPCALL_ONLY\"), *at = only;\\
	size_t len = strlen(name);\\
\\
	for (; at && (at = strstr(at, name)); at += len) {\\
		if ((at == only || at[-1] == ' ') && (!at[len] || at[len] == ' '))\\
			return true;\\
	}\\
	return !only;\\
}\\

	s/__LIST_APPEND/if (__wanted(t->name))\n\t\t&/
}" "$harness"
	grep -q 'if (__wanted(t->name))' "$harness" || die "kselftest's harness is not as it was"
}

build_tests()	# KERNEL SLOWNESS
{
	local programs ksft=$out/ksft-$1/tools/testing/selftests bin=$out/bin-$1

	programs=$(tests_of "$1" kernel_of | sed 's|/.*||' | sort -u)
	[ -n "$programs" ] || return 0
	prepare_harness "$out/ksft-$1" "$2"
	mkdir -p "$bin"
	quietly "$out/log" flock "$build/.user" make -C "$top/user" lib || die "user/ does not build"
	# shellcheck disable=SC2046,SC2086 # one word per program
	make -s -C "$top/tests/selftests" KSFT="$ksft" OUTPUT="$bin" COLLECTION=upcall \
		USERCFLAGS="-O0 -g0 -DUPCALL_SLOW=$2" $(printf "$bin/%s " $programs) || die "the tests do not build"
}

# --- the module ----------------------------------------------------------------

# The sources as they are, but what has not changed is not touched: little is to be compiled
copy_sources()	# FOLDER
{
	mkdir -p "$1"
	rsync -rc --delete --prune-empty-dirs --include='*/' --include='/Kbuild' --exclude='*.mod.c' \
		--include='/kmod/**.[ch]' --exclude='*' "$top/Kbuild" "$top/kmod" "$1/"
}

build_copy()	# MODULE
{
	local headers arguments=()

	case $1 in
	kasan*)	headers=$("$top/tests/kernels/build.sh" kasan)/build || return
		arguments=(UBSAN_SANITIZE=y) ;;
	*)	headers=$(test_headers) ;;
	esac
	case $1 in *-test) arguments+=(UPCALL_TEST=1) ;; esac
	make -j"$(nproc)" -C "$headers" M="$out/src-$1" CC="ccache gcc" "${arguments[@]}" modules >"$work/make.log" 2>&1
}

# The broken module; or why there is none
build_mutant()	# NAME
{
	local module dir

	module=$(module_of "$1")
	dir=$out/src-$module
	copy_sources "$dir"
	"$here/mutant.pl" "$here/$1.mutant" --apply "$dir" 2>&1 || return
	if ! build_copy "$module"; then
		say "does not build: $(grep -m 1 -E 'error|ERROR' "$work/make.log" || tail -n 1 "$work/make.log")"
		return 1
	fi
	strip -g -o "$out/ko/$1.ko" "$dir/upcall.ko"
}

# One of the mutants, or the module as it is: 'as_it_is', with or without the delay points
build_whole()	# MODULE
{
	[ -n "$(tests_of "$1" module_of)" ] || return 0
	copy_sources "$out/src-$1"
	build_copy "$1" || { tail -n 20 "$work/make.log" >&2; die "the module does not build"; }
	strip -g -o "$out/ko/as_it_is-$1.ko" "$out/src-$1/upcall.ko"
}

build_all()	# KERNEL
{
	local name why

	build_whole "$1"
	build_whole "$1-test"
	for name in "${names[@]}"; do
		[ "$(kernel_of "$name")" = "$1" ] || continue
		why=$(build_mutant "$name") || say "FAIL  $name: $why"
	done
}

# --- the machines --------------------------------------------------------------

verdict_of()	{ cat "$out/verdicts/$1" 2>/dev/null; }

# What is there to be tried on a kernel, the module as it is first, and what ends a machine last
waiting()	# KERNEL
{
	local name

	for name in "as_it_is-$1" "as_it_is-$1-test" "${harmless[@]}" "${fatal[@]}"; do
		if [ ! -e "$out/ko/$name.ko" ] || [ -e "$out/verdicts/$name" ]; then continue; fi
		case $name in
		as_it_is-*)	say "$name" ;;
		*)		[ "$(kernel_of "$name")" != "$1" ] || say "$name" ;;
		esac
	done
}

verdict()	# NAME TEXT, as mutants/job.sh says it
{
	say "$2" >"$out/verdicts/$1"
	case "$1 $2" in
	as_it_is-*\ passed)	say "ok    ${1#as_it_is-}: the module as it is passes $(tests_of "${1#as_it_is-}" module_of | wc -w) tests" ;;
	as_it_is-*)		say "FAIL  ${1#as_it_is-}: the module as it is: $2" ;;
	*\ passed | *\ skipped\ *)
		say "FAIL  $1: nobody has noticed, $2: $(says "$1" tests)" ;;
	*)			say "ok    $1: $2" ;;
	esac
}

# Reads what a machine says, and notes each verdict; what is last without one is in 'current'
read_verdicts()
{
	local line

	: >"$work/current"
	while read -r line; do
		case $line in
		"== "*": "*)
			line=${line#== }
			: >"$work/current"
			verdict "${line%%: *}" "${line#*: }" ;;
		"== "*)	say "${line#== }" >"$work/current" ;;
		esac
	done
}

# As far as one machine goes. Whatever was freed is poisoned where KASAN does not look
run_machine()	# KERNEL NAME...
{
	local kernel=$1 name log tests slow=1 files=() options=(--append "slub_debug=FZPU"); shift

	[ "$kernel" = plain ] || slow=$sanitizer_slowness options=(--kernel "$kernel")
	log=$out/machine-$kernel
	: >"$work/plan"
	for name; do
		case $name in
		as_it_is-*)	tests=$(tests_of "${name#as_it_is-}" module_of) ;;
		*)		tests=$(says "$name" tests) ;;
		esac
		# shellcheck disable=SC2086 # one word per test
		plan_of "$name" $tests >>"$work/plan"
		files+=("$out/ko/$name.ko")
	done
	while read -r name; do files+=("$out/bin-$kernel/$name"); done < <(cut -d' ' -f2 "$work/plan" | sort -u)
	say "$bad_lines" >"$work/bad"
	say $((limit * slow)) >"$work/limit"
	"$top/tests/vm/run" "${options[@]}" --module none --timeout $((limit * ($# + 2))) --out "$log" \
		--job "$here/job.sh" "$work/plan" "$work/bad" "$work/limit" "${files[@]}" 2>&1 |
		sed -u 's|\r||' | tee "$log.log" | read_verdicts
	name=$(cat "$work/current")
	[ -z "$name" ] || verdict "$name" "$(how_it_ended "$log.log")"
}

# A machine that had no time to say so
how_it_ended()	# LOG
{
	local line

	line=$(sed -n '/^vm: FAIL: the kernel complained/,/^vm: its log/ s/^vm: *[0-9]*:\[[ 0-9.]*\] *//p' "$1" | tail -n 1)
	if [ -n "$line" ]; then
		say "log $line"
	else
		say "hung: $(sed -n 's/^vm: FAIL: //p' "$1" | head -n 1)"
	fi
}

# A machine gets at least one further; else, as on one that is busy with other things, it is tried again
run_all()	# KERNEL
{
	local list last='' tries=3

	while list=$(waiting "$1") && [ -n "$list" ]; do
		[ "$list" = "$last" ] || tries=3
		[ $((tries--)) -gt 0 ] || die "no machine says anything: $out/machine-$1.log"
		last=$list
		# shellcheck disable=SC2086 # one word per name
		run_machine "$1" $list
		! grep -sLx passed "$out"/verdicts/as_it_is-"$1"* | grep -q . || return 0
	done
}

# -------------------------------------------------------------------------------

if [ "${1:-}" = --check ]; then
	check_all
	exit
fi
select_mutants "$@"
mkdir -p "$out"
exec 9>"$out/.lock"
flock -n 9 || { say "waiting for another run to end"; flock 9; }
for name in "${names[@]}"; do check_mutant "$name"; done | grep -v ' in kmod/: \| of kmod/: ' >"$work/wrong" || :
[ ! -s "$work/wrong" ] || { cat "$work/wrong" >&2; exit 1; }
for name in "${names[@]}"; do
	if [ -n "$(says "$name" fatal)" ]; then fatal+=("$name"); else harmless+=("$name"); fi
done
rm -rf "$out/ko" "$out/verdicts"
mkdir -p "$out/ko" "$out/verdicts"
build_tests plain 1
build_tests kasan $sanitizer_slowness
for kernel in plain kasan; do build_all $kernel; run_all $kernel; done

for name in "${names[@]}"; do
	case $(verdict_of "$name") in
	'' | passed | skipped*)	failed=$((failed + 1)) ;;
	*)		passed=$((passed + 1)) ;;
	esac
done
for verdict in "$out"/verdicts/as_it_is-*; do
	[ "$(cat "$verdict")" = passed ] || failed=$((failed + 1))
done
line="mutants: $passed passed, $failed failed"
[ $# -gt 0 ] || keep_verdict mutants "$line"
say "$line"
[ $failed = 0 ]
