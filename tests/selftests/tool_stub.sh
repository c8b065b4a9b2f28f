#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Stubs as descriptors: for a program that has nothing else; and what a dead handle says.
# shellcheck disable=SC2016,SC2317 # PROGRAM's shell expands these; functions are run by claim
. ./tap.inc
. ./tool.inc

# with_stub PROGRAM [OPTION]...: runs it with a stub of upper case; exit code and output are its
with_stub()
{
	program=$1; shift
	upcall serve - --exec "$program" "$@" -- tr a-z A-Z 2>"$dir/serve.err"
}

prints()
{
	want=$1; shift
	got=$("$@")
	[ "$got" = "$want" ] || { echo "printed '$got' instead of '$want'"; cat "$dir/serve.err"; return 1; }
}

claim a_program_calls_through_its_stub prints HELLO with_stub 'upcall call --fd $UPCALL_STUB_FD hello'
claim stdin_goes_through_a_stub_too prints HELLO \
	with_stub 'printf hello | upcall call --fd $UPCALL_STUB_FD'
claim its_exit_code_is_that_of_serve exits 7 with_stub 'exit 7'
claim a_signal_that_ends_it_is_128_and_the_signal exits 137 with_stub 'kill -9 $$'
claim its_stub_outlives_an_exec prints HI with_stub 'exec upcall call --fd "$UPCALL_STUB_FD" hi'
claim stub_only_callbacks_can_be_called_so prints HI \
	with_stub 'upcall call --fd $UPCALL_STUB_FD hi' --access stub-only
claim stub_only_without_a_program_is_refused \
	fails 125 'nobody could call' upcall serve - --access stub-only -- cat

by_handle()
{
	handle=$(sed -n 's/^upcall: serving .* as handle \(0x[0-9a-f]*\) .*/\1/p' "$1")
	fails 120 EACCES upcall call "$handle" x
}

stub_only_by_handle()
{
	: >"$dir/serve.err"
	upcall serve - --access stub-only --exec 'until [ -e go ]; do sleep 0.05; done' -- cat \
		2>"$dir/serve.err" &
	server=$!
	until_true grep -q '^upcall: serving ' "$dir/serve.err" && by_handle "$dir/serve.err" || return 1
	: >go
	wait "$server"
}
claim nobody_calls_a_stub_only_callback_by_handle stub_only_by_handle

unprivileged()
{
	cat >program <<-'END'
	chmod 755 .
	su nobody -c "upcall call --fd $UPCALL_STUB_FD from-nobody"
	END
	prints FROM-NOBODY with_stub 'sh program'
}
claim another_user_calls_through_it unprivileged

no_device()
{
	# without /dev, /proc and /sys
	mkdir -p jail && cp "$(command -v upcall)" jail/upcall || return 1
	find /lib* /usr/lib* -name 'libc.so.*' -o -name 'libm.so.*' -o -name 'ld-linux*' >libraries
	while read -r library; do
		mkdir -p "jail${library%/*}" && cp "$library" "jail$library" || return 1
	done <libraries
	prints SHUT-IN with_stub 'chroot jail /upcall call --fd $UPCALL_STUB_FD shut-in'
}
claim a_program_without_dev_proc_and_sys_calls_through_it no_device

last_words()
{
	rm -f said
	upcall serve - --exec 'upcall notify --fd $UPCALL_STUB_FD one; upcall notify --fd $UPCALL_STUB_FD two' \
		-- sh -c 'cat >>said; echo >>said' 2>"$dir/serve.err" &&
		[ "$(tr '\n' ' ' <said)" = 'one two ' ]
}
claim what_it_sent_last_is_still_run last_words

COMMAND_knows()
{
	upcall serve - --exec 'upcall call --fd $UPCALL_STUB_FD x' -- sh -c 'echo "stub $UPCALL_STUB"' \
		>said 2>"$dir/serve.err"
	grep -qx 'stub 1' said
}
claim COMMAND_knows_that_a_call_came_through_a_stub COMMAND_knows

claim the_last_stub_that_is_closed_is_told \
	says 'the last stub was closed' upcall serve - --unreferenced --exec true -- cat

# The stub is closed by PROGRAM, which goes on
told_once()
{
	rm -f go
	upcall serve - --unreferenced --exec 'eval "exec $UPCALL_STUB_FD>&-"
		until [ -e go ]; do sleep 0.05; done' -- cat 2>told.err &
	server=$!
	until_true grep -q 'last stub was closed' told.err || return 1
	: >go
	wait "$server" && [ "$(grep -c 'last stub' told.err)" = 1 ]
}
claim the_last_stub_is_told_while_the_program_runs told_once

terminated()
{
	rm -f got
	upcall serve - --exec 'trap "echo >got; exit 3" TERM; echo >ready
		while :; do sleep 0.05; done' -- cat 2>"$dir/serve.err" &
	server=$!
	until_true [ -e ready ] || return 1
	kill "$server"
	exits 3 wait "$server" && [ -e got ]
}
claim TERM_is_passed_on_to_the_program terminated

stat_of_stub()
{
	with_stub 'upcall stat --fd $UPCALL_STUB_FD --json' --label shown >json || return 1
	grep -q '"label": "shown"' json && grep -q '"state": "live"' json && not grep -q '"handle"' json
}
claim stat_of_a_stub_shows_what_it_calls stat_of_stub

dead_stub()
{
	rm -f go
	upcall serve dying --exec 'upcall revoke dying
		upcall call --fd $UPCALL_STUB_FD x; echo "code $?"
		upcall stat --fd $UPCALL_STUB_FD' -- cat >out 2>err
	grep -qx 'code 120' out && grep -q 'stub [0-9]*: ESTALE .*not-delivered' err && grep -q revoked out
}
claim a_dead_stub_is_ESTALE_and_says_why dead_stub

claim a_descriptor_that_is_no_stub_is_124 fails 124 'it is no stub' upcall call --fd 0 x
claim a_descriptor_that_is_not_open_is_124 fails 124 EBADF upcall call --fd 77 x
claim a_stub_and_a_name_do_not_go_together fails 125 'one of NAME' upcall stat --fd 0 name
claim a_stub_and_many_calls_do_not_go_together \
	fails 125 'one call to one callback' upcall call --fd 0 --calls 2 x

# --- the word ---

serve after -- cat
after=$server after_handle=$handle
serve before --word "$handle" -- cat
before_handle=$handle
stop "$server"
claim why_shows_a_live_successor says 'use this handle instead: it is live, "after"' \
	upcall why "$before_handle"
claim why_in_json_says_so_too says '"word_is": "live"' upcall why --json "$before_handle"
stop "$after"
claim why_shows_a_successor_that_is_dead_too says 'a handle that is dead, too' \
	upcall why "$before_handle"
claim why_in_json_says_that_as_well says '"word_is": "not live"' upcall why --json "$before_handle"
serve word --word 0xffffffffffffffff -- cat
kill -9 "$server"; wait "$server" 2>/dev/null
claim a_word_that_is_no_handle_is_shown says 'the word it left: 0xffffffffffffffff' upcall why "$handle"
claim why_in_json_has_the_signal says '"signal": 9' upcall why --json "$handle"
claim why_in_json_has_no_exit_code_then says '"exit_code": null' upcall why --json "$handle"
claim why_of_a_live_handle_in_json_has_no_reason says '"state": "dead"' upcall why --json "$after_handle"

conclude
