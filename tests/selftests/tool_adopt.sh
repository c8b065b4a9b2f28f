#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# A service that is restarted: this shell holds its peer, as a service manager does.
# shellcheck disable=SC2016,SC2317 # COMMAND's shell expands these; functions are run by claim
. ./tap.inc
. ./tool.inc

exec 5<>/dev/upcall 6<>/dev/upcall 7<>/dev/upcall

gate='echo >started; until [ -e go ]; do sleep 0.05; done; echo through'

kept()	{ serve kept --adoptable 10m --peer-fd 5 -- "$@"; }

claim an_unused_peer_is_served_on kept echo one
first=$handle
prints_one()	{ [ "$(upcall call kept x)" = one ]; }
claim it_is_called prints_one
claim a_second_server_of_a_living_one_is_EBUSY \
	fails 1 'EBUSY' upcall serve kept --adoptable 10m --peer-fd 5 -- echo two

taken_over()
{
	stop "$server" || return 1
	upcall call "$first" x >out 2>err & caller=$!
	until_true is_queued kept || return 1
	kept echo two && grep -q "adopted handle $first " "$dir/serve.err" &&
		[ "$handle" = "$first" ] && wait "$caller" && [ "$(cat out)" = two ]
}
claim TERM_leaves_its_handle_to_the_next_one_and_a_caller_waits taken_over
claim its_name_leads_to_the_next_one sh -c '[ "$(upcall call kept x)" = two ]'

killed()
{
	kill -9 "$server"; wait "$server" 2>/dev/null
	kept echo three && [ "$handle" = "$first" ] && [ "$(upcall call "$first" x)" = three ]
}
claim KILL_leaves_its_handle_to_the_next_one_too killed
stop "$server"

finishes()
{
	rm -f started go
	kept sh -c "$gate" || return 1
	upcall call kept x >out & caller=$!
	until_true [ -e started ] || return 1
	kill "$server"
	: >go
	wait "$caller" && [ "$(cat out)" = through ] && wait "$server"
}
claim TERM_lets_a_running_call_finish finishes

lost()
{
	rm -f started go
	kept sh -c "$gate" || return 1
	upcall call kept x 2>err & caller=$!
	until_true [ -e started ] || return 1
	kill -9 "$server"
	exits 121 wait "$caller" && grep -q EOWNERDEAD err
	: >go
}
claim a_call_that_ran_when_it_was_killed_is_lost lost

another_label()
{
	serve renamed --adoptable 10m --peer-fd 5 -- echo four || return 1
	[ "$handle" != "$first" ] && fails 120 ESTALE upcall call "$first" x &&
		[ "$(upcall call renamed x)" = four ]
}
claim a_callback_with_another_label_is_new_and_the_old_one_released another_label

# --once is the end of the service, not of a process
serve once --adoptable 10m --peer-fd 6 --once -- cat
once_ends()	{ upcall call once x && wait "$server" && not upcall stat "$handle"; }
claim the_end_of_the_service_is_the_end_of_the_handle once_ends
anew()		{ serve once --adoptable 10m --peer-fd 6 -- echo anew && grep -q 'has ended' serve.err; }
claim on_a_peer_that_has_ended_it_begins_anew anew

runs_again()
{
	rm -f started go
	serve again --idempotent --adoptable 10m --peer-fd 7 -- sh -c "$gate" || return 1
	upcall call again x >out & caller=$!
	until_true [ -e started ] || return 1
	kill -9 "$server"; wait "$server" 2>/dev/null
	: >go
	serve again --idempotent --adoptable 10m --peer-fd 7 -- echo again || return 1
	wait "$caller" && [ "$(cat out)" = again ]
}
claim an_idempotent_call_runs_again_in_the_next_one runs_again

stored()
{
	stop "$server" || return 1
	again=$handle
	: >serve.err
	sh -c 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=other:upcall exec upcall serve again \
		--adoptable 10m -- sh -c "echo \"<\$LISTEN_FDS>\""' 3<serve.err 4<&7 2>serve.err &
	server=$!
	servers="$servers $server"
	until_true grep -q "adopted handle $again " serve.err && [ "$(upcall call again x)" = '<>' ]
}
claim the_service_manager_hands_the_peer_over_and_COMMAND_sees_nothing_of_it stored

lone()
{
	serve lone --adoptable 10m -- cat && stop "$server" && not upcall stat "$handle"
}
claim if_nobody_holds_the_peer_all_ends_with_the_process lone

claim a_peer_fd_without_adoptable_is_refused fails 125 'goes with' upcall serve x --peer-fd 5 -- cat
claim a_descriptor_that_is_no_peer_is_124 \
	fails 124 'no peer' upcall serve x --adoptable 1s --peer-fd 0 -- cat
claim more_than_an_hour_is_refused fails 125 '1h' upcall serve x --adoptable 2h -- cat

conclude
