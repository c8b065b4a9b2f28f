#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# check.sh [NAME]...: 'make check', what can be checked without running the
# module; with names, only those checks. Each is a function below that prints
# what it dislikes; to add one, write it and name it in 'checks'.
set -u
# shellcheck source=env.sh
. "${0%/*}/env.sh"
cd "$top" || exit 1

checks="module test_module kernel_doc user_build double python cppcheck checkpatch uapi_abi headers_alone
	names_in_docs tests_in_docs code_in_readme ioctls_in_man exported_symbols man_pages tests_are_built
	spdx private_paths length shell model_functions syzlang mutants coverage_reasons"

work=$build/check
uapi=kmod/uapi/linux/upcall.h
api=user/include/upcall.h
map=user/lib/libupcall.map

# Files of the tree, also new ones, that match the patterns; none is no error
files()		# PATTERN...; a * matches / too
{
	local f pattern

	while read -r f; do
		for pattern; do
			# shellcheck disable=SC2053 # it is a pattern
			[[ $f != $pattern || ! -f $f ]] || { say "$f"; break; }
		done
	done <"$work/files"
}

all_files()
{
	git -c safe.directory="$top" ls-files -co --exclude-standard 2>/dev/null ||
		find . -path ./.git -prune -o -path ./build -prune -o -type f -printf '%P\n'
}

has()		{ [ -n "$(files "$@")" ]; }
sources()	{ files 'kmod/*.[ch]'; }
silent()	{ ! grep . ; }		# fails, and shows it, if anything is said

# --- the module ----------------------------------------------------------------

warnings()	{ ! grep -E '(warning|error):'; }

# gcc first, from scratch, or it says nothing; then sparse on what that left
check_module()
{
	has kmod/main.c || return 0
	rm -rf "$build/check-module"
	tests/module.sh check-module W=1
	warnings <"$build/check-module/log"
	tests/module.sh check-module W=1 C=2 CHECK=sparse
	warnings <"$build/check-module/log"
}

# The one with the hooks
check_test_module()
{
	has kmod/main.c || return 0
	rm -rf "$build/check-test-module"
	tests/module.sh check-test-module UPCALL_TEST=1 W=1 C=2 CHECK=sparse
	warnings <"$build/check-test-module/log"
}

# An ignored type needs its reason here.
#   BIT_MACRO: a uapi header has no BIT(), and 1 << 20 may be a number
#   in trace headers, what every TRACE_EVENT of the kernel looks like
#   in compat.h, and nowhere else, code asks which kernel it is for
check_checkpatch()
{
	local headers trace=kmod/trace.h compat=kmod/compat.h ok=0

	headers=$(sources | grep -vx -e $trace -e $compat)
	# shellcheck disable=SC2086 # one word per file
	perl "$source/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary \
		--ignore BIT_MACRO -f $headers || ok=1
	perl "$source/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary \
		--ignore PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE -f $trace || ok=1
	perl "$source/scripts/checkpatch.pl" --no-tree --strict --terse --no-summary \
		--ignore LINUX_VERSION_CODE,CONSTANT_COMPARISON -f $compat || ok=1
	return $ok
}

check_kernel_doc()
{
	# shellcheck disable=SC2046
	perl "$source/scripts/kernel-doc" -none -Werror $(sources)
}

# --- the ABI -------------------------------------------------------------------

# 32-bit programs; of gcc-multilib only the link to asm/*.h is missing
m32=(-m32 -idirafter "/usr/include/$(gcc -print-multiarch)")

sizes()		# GCC-OPTION...: of every struct, as assembler text
{
	{
		say '#include <linux/upcall.h>'
		sed -n 's/^struct \(upcall_[a-z0-9_]*\) {.*/const int size_\1 = sizeof(struct \1), align_\1 = _Alignof(struct \1);/p' $uapi
	} | gcc "$@" -std=gnu11 -Wall -Wextra -Werror -Ikmod/uapi -S -o - -x c - |
		sed -n '/^[a-z]*_upcall/p; /\.long/p'
}

check_uapi_abi()
{
	[ -e $uapi ] || return 0
	sizes -m64 >"$work/sizes64"
	sizes "${m32[@]}" >"$work/sizes32"
	diff "$work/sizes64" "$work/sizes32"
}

check_headers_alone()
{
	local h

	for h in $uapi $api; do
		[ -e $h ] || continue
		gcc -fsyntax-only -std=c99 -pedantic -Wall -Wextra -Werror -Ikmod/uapi -x c $h
		gcc -fsyntax-only "${m32[@]}" -std=gnu11 -Wall -Wextra -Werror -Ikmod/uapi -x c $h
		! have g++ || g++ -fsyntax-only -Wall -Wextra -Werror -Ikmod/uapi -x c++ $h
	done
}

# --- documentation against headers ---------------------------------------------

docs()	{ files README.md 'user/man/*'; }

# UPCALL_EVENT_ in prose stands for all of them; UPCALL_PID and the like are what
# 'upcall serve' sets for its COMMAND; the last two are the build's
# README's tables name a test behind each row as `file` `test`
check_tests_in_docs()
{
	local file name

	sed -n 's/.*| `\([a-z0-9_]*_test\)` `\([a-z0-9_]*\)` |$/\1 \2/p' README.md |
		while read -r file name; do
			grep -qsE "^TEST.*\<$name\)" "tests/selftests/$file.c" ||
				say "README.md: there is no test $name in $file"
			grep -qxF ".Pq Li $file $name" user/man/upcall.4 ||
				say "upcall.4: nothing is said to be shown by $file $name"
		done | silent
}

# A block of code in README is a whole file of user/examples, named in the line before it
check_code_in_readme()
{
	awk -v work="$work/readme" '
		/^```[a-z]+$/	{ n++; out = work "." n; print file >(out ".of"); printf "" >out; next }
		/^```$/		{ out = ""; next }
		out		{ print >out; next }
		match($0, /\(user\/examples\/[a-z_]*\.[a-z]+\)/) { file = substr($0, RSTART + 1, RLENGTH - 2) }
	' README.md
	local block

	for block in "$work"/readme.*.of; do
		cmp "$(cat "$block")" "${block%.of}" || return 1
	done
}

check_names_in_docs()
{
	local f name

	for f in $(docs); do
		grep -vE '^\.(Dt|TH) ' "$f" | grep -oE '\bUPCALL_[A-Z0-9_]+' | sort -u | while read -r name; do
			case $name in
			UPCALL_TEST | UPCALL_CACHE) ;;
			*_)	grep -qsE "\b$name" $uapi $api || say "$f: no name begins with $name" ;;
			*)	grep -qsw "$name" $uapi $api user/tools/environment.c user/tools/child.c || say "$f: $name is in no header" ;;
			esac
		done
	done | silent
}

check_ioctls_in_man()
{
	local name

	has 'user/man/*' || return 0
	grep -oE '\bUPCALL_IOC_[A-Z0-9]+' $uapi | sort -u | grep -v _MAGIC | while read -r name; do
		grep -qw -- "$name" user/man/* || say "$name is in no man page"
	done | silent
}

declared()	# the functions of the library's header, without its inline ones
{
	gcc -fpreprocessed -dD -E -P $api | grep -v '^#define' >"$work/api"
	comm -23 <(grep -oE '\bupcall_[a-z0-9_]+ *\(' "$work/api" | tr -d ' (' | sort -u) \
		 <(grep -A 1 'static inline' "$work/api" | grep -oE '\bupcall_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u)
}

check_exported_symbols()
{
	local name

	[ -e $map ] || return 0
	grep -oE '\bupcall_[a-z0-9_]+;' $map | tr -d ';' | sort -u >"$work/exported"
	declared >"$work/declared"
	{
		comm -23 "$work/exported" "$work/declared" | sed "s|.*|& is in $map and not in $api|"
		comm -13 "$work/exported" "$work/declared" | sed "s|.*|& is in $api and not in $map|"
		! has 'user/man/*' || while read -r name; do
			grep -qw -- "$name" user/man/* || say "$name is in no man page"
		done <"$work/exported"
	} | silent
}

check_man_pages()
{
	# shellcheck disable=SC2046
	! has 'user/man/*.[1-8]' || mandoc -T lint -W warning $(files 'user/man/*.[1-8]') | silent
}

# --- user space and tests ------------------------------------------------------

# In a copy, so that these flags mix with nobody's objects
check_user_build()
{
	[ -e user/Makefile ] || return 0
	rm -rf "$work/tree"
	mkdir -p "$work/tree/kmod"
	cp -r user "$work/tree/"
	cp -r kmod/uapi "$work/tree/kmod/"
	rm -rf "$work/tree/user/build"
	quietly "$work/user.log" make -C "$work/tree/user" CC="gcc -Wall -Wextra -Werror"
	(PATH=$work/tree/user/build:$PATH; completes) | silent
	quietly "$work/user.log" make -C "$work/tree/user" node CC="gcc -Wall -Wextra -Werror"
}

completion()	# WORD...: what bash offers for the last one
{
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	_upcall
	say "${COMPREPLY[*]}"
}

# The command completed is the one that was just built
completes()
{
	# shellcheck source=../user/tools/completion/upcall.bash
	. user/tools/completion/upcall.bash
	[ "$(completion upcall se)" = serve ] || say "completion: no serve"
	[ "$(completion upcall to)" = top ] || say "completion: no top"
	[ "$(completion upcall call --asy)" = --async ] || say "completion: no call --async"
	[ "$(completion upcall top --sort b)" = bytes ] || say "completion: no values"
	[ "$(completion upcall trace que)" = queued ] || say "completion: no operands"
}

# The library's tests on its test double. 'make test' runs more of them so
check_double()
{
	tests/double.sh lib address,undefined
}

# The Python package's suite, as far as it can do without the module
check_python()
{
	has 'user/python/*.py' || return 0
	quietly "$work/python.log" flock "$build/.user" make -C user lib
	UPCALL_LIBRARY=$PWD/user/build/libupcall.so.0 UPCALL_DEVICE=test: PYTHONPATH=user/python \
		PYTHONDONTWRITEBYTECODE=1 PYTHONWARNINGS=error timeout 120 user/python/tests/run >"$work/python.tap" ||
		{ grep -v '^ok' "$work/python.tap"; return 1; }
}

# Suppressed are kselftest's macros, and what takes filling a buffer for reading it
check_cppcheck()
{
	has 'user/*.c' 'tests/*.c' || return 0
	# shellcheck disable=SC2046
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --inline-suppr \
		--suppress=unknownMacro --suppress=ctuuninitvar --suppress=missingInclude -Ikmod/uapi -Iuser/include -Iuser/lib \
		-Iuser/tools $(files 'user/*.c' 'tests/*.c')
}

# In the comments of the model, name() is a function of the module; and each transition names one
check_model_functions()
{
	local name

	{
		grep -ohE '[a-z_]+[0-9]*\(\)' <(sed -n 's/[^*]*\/\*//p; /^ \*/p' tests/model/*.pml) | tr -d '()' | sort -u |
			while read -r name; do
				grep -qsE "^[a-z].*\<$name\(" kmod/*.[ch] || say "tests/model: there is no $name() in kmod"
			done
		grep -nE '\bd_step \{' tests/model/[!c]*.pml | grep -v '()' || :
	} | silent
}

# 'NAME: MEMBER...' for each struct
members_in_header()
{
	awk '
		/^struct [a-z_]+ \{/	{ line = $2 ":"; open = 1; next }
		/^};/			{ if (open) print line; open = 0 }
		open && match($0, /^\t(__u32|__aligned_u64|char|struct [a-z_]+) [a-z_]+[\[;]/) {
			n = split(substr($0, RSTART, RLENGTH - 1), words, " ")
			line = line " " words[n]
		}' $uapi
}

members_in_syzlang()
{
	awk '
		/^upcall_[a-z_]+ \{/	{ line = $1 ":"; open = 1; next }
		/^}/			{ if (open) print line; open = 0 }
		open			{ line = line " " $1 }' tests/fuzz/upcall.txt
}

# 'STRUCT MEMBER' for each that the kernel reads
members_read()
{
	awk '
		/^struct [a-z_]+ \{/	{ name = $2; next }
		/^};/			{ name = "" }
		name && /\/\* \[in[],]/ && match($0, /[a-z_]+(\[|;)/) { print name, substr($0, RSTART, RLENGTH - 1) }' $uapi
}

# As syz-extract would find them, on architectures that agree about O_CLOEXEC and its like
syzlang_constants()
{
	local name

	sed -nE 's/^define (UPCALL_[A-Z_]+)\t+(.*)/#define \1 \2/p' tests/fuzz/upcall.txt >"$work/syzlang.h"
	{
		say '#include <fcntl.h>'
		say '#include <stdio.h>'
		say '#include <linux/upcall.h>'
		say '#include "syzlang.h"'
		say 'int main(void) {'
		grep -owE '(UPCALL|O|AT)_[A-Z0-9_]+' tests/fuzz/upcall.txt | sort -u | while read -r name; do
			say "printf(\"$name = %llu\\n\", (unsigned long long)$name);"
		done
		say 'return 0; }'
	} | gcc -D_GNU_SOURCE -Ikmod/uapi -I"$work" -o "$work/syzlang" -x c -
	sed '/^[A-Z]/,$d' tests/fuzz/upcall.txt.const
	"$work/syzlang"
}

# What the fuzzers know of the ABI is all of it: syzkaller's description, and the verbs of our own
check_syzlang()
{
	local name rest

	diff <(members_in_header | sort) <(members_in_syzlang | sort)
	syzlang_constants >"$work/upcall.txt.const"
	diff tests/fuzz/upcall.txt.const "$work/upcall.txt.const"
	members_read | grep -v ' size$' | while read -r name rest; do
		grep -qE "\(struct $name, $rest\)|\($name, $rest," tests/fuzz/abi.c || say "$name.$rest is not in abi.c"
	done | silent
	sed -nE 's/^#define (UPCALL_[A-Z0-9_]+)[ \t(].*/\1/p' $uapi | while read -r name; do
		case $name in
		UPCALL_ABI_VERSION | UPCALL_IOC_MAGIC | UPCALL_MAX_* | UPCALL_LATEST_REACH) continue ;;
		esac
		grep -qw -- "$name" tests/fuzz/upcall.txt || say "$name is not in upcall.txt"
		case $name in
		*_FEATURE_* | *_STAGE_* | *_REASON_* | *_STATUS_* | *_STATE_* | *_EVENT_* | *_CALL_*) continue ;;
		esac
		rest=${name#UPCALL_*_}
		grep -qE "\b$name\b|\(${name%"_$rest"}, $rest\)|IOCTL\([a-z]+, $rest," tests/fuzz/abi.c ||
			say "$name is not in abi.c"
	done | silent
}

# What the mutants break is there, once, and so are the tests that have to notice
check_mutants()
{
	tests/mutants.sh --check
}

# Each names a function of kmod, and a line that stands in it
check_coverage_reasons()
{
	local function text

	sed -n 's/^\([a-z_0-9]*\) | \(.*\) | .*/\1 \2/p' tests/coverage.reasons | while read -r function text; do
		[ "$text" != '*' ] || text=$function
		name=$function text=$text awk '
			/^[a-z].*\(/	{ inside = $0 ~ "[ *]" ENVIRON["name"] "\\(" }
			inside && index($0, ENVIRON["text"]) { found = 1 }
			END		{ exit !found }' kmod/*.[ch] || say "tests/coverage.reasons: no $function() with: $text"
	done | silent
}

check_tests_are_built()
{
	local f

	make -s -C tests/selftests KSFT="$source/tools/testing/selftests" OUTPUT=. COLLECTION=upcall \
		emit_tests | sed 's/.*://' >"$work/emitted"
	for f in $(files 'tests/selftests/*.c' 'tests/selftests/*.sh'); do
		[ "${f##*.}" = c ] || [ -x "$f" ] || say "$f is not executable"
		f=${f##*/}
		grep -qxF -- "${f%.c}" "$work/emitted" || say "$f is run by nothing: tests are *_test.c and *.sh"
	done | silent
}

check_shell()
{
	local f

	# shellcheck disable=SC2046 # no blanks in names
	for f in $(grep -lE '^(#!/bin/(ba)?sh|# shellcheck shell=bash)' $(files 'tests/*' '.ci/*' 'user/*')); do
		case $(head -n 2 "$f") in
		*bash*)	bash -n "$f" ;;
		*)	sh -n "$f" ;;
		esac
		! have shellcheck || shellcheck -S warning "$f"
	done
}

# --- the tree ------------------------------------------------------------------

check_spdx()
{
	local f

	for f in $(files '*' | grep -vx COPYING); do
		head -n 5 "$f" | grep -q SPDX-License-Identifier: || say "$f"
	done | silent
}

check_private_paths()
{
	# shellcheck disable=SC2046
	! grep -nIE '/(work|home|Users)/[a-z]' $(files '*' | grep -vx -e COPYING -e tests/check.sh)
}

# Names the functions over 60 lines, and the files over 450
check_length()
{
	# shellcheck disable=SC2046
	set -- $(files 'kmod/*.c' 'user/*.c')
	[ $# -gt 0 ] || return 0
	awk '
		FNR == 1	{ if (n > 450) print last ": " n " lines"; last = FILENAME }
				{ n = FNR }
		/^[a-z].*\(/	{ name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name) }
		/^\{/		{ start = FNR }
		/^\}/		{ if (start && FNR - start - 1 > 60)
					print FILENAME ":" start ": " name "() has " FNR - start - 1 " lines"
				  start = 0 }
		END		{ if (n > 450) print last ": " n " lines" }
	' "$@" | silent
}

# -------------------------------------------------------------------------------

run_check()	# NAME; one write for all its lines, as several checks run at a time
{
	local output=$work/output.$1 status

	# Not as a condition: there bash takes no notice of -e, and the last command alone would count
	set +e
	(set -eo pipefail; "check_$1") >"$output" 2>&1
	status=$?
	if [ $status = 0 ]; then
		say "ok    check: $1"
		echo ok >"$output"
	else
		say "FAIL  check: $1"$'\n'"$(head -n 40 "$output" | sed 's/^/        /')"
		echo FAIL >"$output"
	fi
}

[ $# -gt 0 ] || set -- $checks
mkdir -p "$work"
exec 8>"$work/.lock"
flock 8
rm -f "$work"/output.*
source=$(kernel_source) || exit 1
all_files | sort -u >"$work/files"
for c; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n; done
	run_check "$c" &
done
wait
passed=$(grep -lx ok "$work"/output.* | wc -l)
say "check: $passed passed, $(($# - passed)) failed"
[ "$passed" = $# ]
