#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# double.sh lib|all SANITIZER...: the tests of the library, with 'all' also those of the ABI where
# the test can be the only process, on the library's test double, here: no module, no virtual
# machine. Built once for each SANITIZER, as gcc's -fsanitize knows it (address,undefined and
# thread). Prints what failed.
set -u
# shellcheck source=env.sh
. "${0%/*}/env.sh"
cd "$top" || exit 1

work=$build/double
ksft=$(kernel_source)/tools/testing/selftests || exit 1

# Not: names, which are files of the system; what is about the module only
lib_tests="lib_async_test lib_call_test lib_double_test lib_fork_test lib_nested_test lib_pull_test
	lib_push_test lib_race_test"
abi_tests="abi_deadline_test abi_errno_order_test abi_exchange_test abi_fds_test abi_info_test
	abi_invoke_test abi_list_test abi_oneway_test abi_poll_test abi_receive_test
	abi_register_test abi_release_test abi_reply_test abi_shutdown_test abi_struct_test ways_test"

compile()	# OUT OPTION... FILE
{
	local out=$1; shift

	gcc -std=gnu11 -O1 -g -Wall -Wextra -Wno-override-init -Wno-maybe-uninitialized -pthread \
		-Ikmod/uapi -Iuser/include -isystem "$ksft" -isystem "$ksft/kselftest" -o "$out" "$@"
}

# One more at a time than there are processors waits
in_turn()
{
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || return; done
}

build_with()	# DIR SANITIZER
{
	local dir=$1 t

	rm -rf "$dir"
	mkdir -p "$dir"
	for t in user/lib/*.c; do
		in_turn || return
		compile "$dir/$(basename "$t" .c).o" "-fsanitize=$2" -fno-sanitize-recover=all -c "$t" &
	done
	wait
	ar rcs "$dir/lib.a" "$dir"/*.o || return
	for t in $lib_tests $abi_tests; do
		in_turn || return
		case $t in
		lib_*)	compile "$dir/$t" "-fsanitize=$2" "tests/selftests/$t.c" "$dir/lib.a" & ;;
		*)	compile "$dir/$t" "-fsanitize=$2" -DUPCALL_DOUBLE "tests/selftests/$t.c" "$dir/lib.a" & ;;
		esac
	done
	wait
}

# What a sanitizer finds in a test's child must not pass for that test's own exit code
export ASAN_OPTIONS=exitcode=99 TSAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=halt_on_error=1 UPCALL_DEVICE=test:

run_in()	# DIR
{
	local dir=$1 t failed=0

	for t in $lib_tests $abi_tests; do
		timeout 60 "$dir/$t" >"$dir/$t.log" 2>&1 && ! grep -q 'Sanitizer\|runtime error' "$dir/$t.log" && continue
		say "${dir##*/}: $t"
		grep -E '^not ok|Expected|Sanitizer|runtime error' "$dir/$t.log" | head -n 10
		failed=1
	done
	return $failed
}

[ "$1" = all ] || abi_tests=
shift
failed=0
for sanitizer; do
	dir=$work/${sanitizer%%,*}
	build_with "$dir" "$sanitizer" && run_in "$dir" || failed=1
done
exit $failed
