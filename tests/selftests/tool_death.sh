#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# What callers hear when a callback is gone, and who may call at all.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

gate='echo $$ >started; until [ -e go ]; do sleep 0.05; done'

serve gone -- cat
claim a_live_handle_can_be_called exits 0 upcall call "$handle" x
claim stat_of_a_live_handle_is_0_and_shows_its_label says gone exits 0 upcall stat "$handle"
claim why_says_that_a_handle_is_live says 'is live: "gone", owned by process' upcall why gone
claim ls_shows_the_callback says gone upcall ls
claim ls_names_shows_the_name says gone upcall ls --names
claim ls_peers_shows_the_server says "$server upcall" upcall ls --peers
claim ls_users_shows_root says root upcall ls --users
claim ls_json_shows_the_handle_as_a_number says "\"handle\": $((handle))," upcall ls --json
claim a_server_that_is_told_to_end_exits_with_0 stop "$server"
claim a_released_handle_is_ESTALE fails 120 ESTALE upcall call "$handle" x
claim a_released_handle_says_so says 'released' upcall call "$handle" x
claim why_says_that_it_was_released says 'is dead: ' upcall why "$handle"
claim stat_of_a_dead_handle_is_1 exits 1 upcall stat "$handle"
claim why_of_a_handle_that_never_was_is_1 fails 1 'never issued' upcall why 12345

owner_dies()
{
	rm -f started
	upcall call victim x 2>victim.err &
	caller=$!
	until_true [ -s started ] || return 1
	kill -9 "$server"
	exits 121 wait "$caller" && grep -q EOWNERDEAD victim.err && grep -q 'signal 9' victim.err
}

serve victim -- sh -c "$gate"
claim a_server_killed_in_mid_call_is_EOWNERDEAD_delivered owner_dies
claim the_message_says_that_it_may_have_run grep 'may have run' victim.err
claim a_later_call_is_ESTALE_with_the_signal fails 120 'signal 9' upcall call "$handle" x
claim why_says_which_signal_it_was says 'signal 9' upcall why "$handle"
claim a_killed_servers_COMMAND_ends until_true is_gone "$(cat started)"
claim a_killed_servers_name_can_be_served_again serve victim -- cat
stop "$server"

stub_works()
{
	upcall stub stubbed -o stub && [ -x stub ] &&
		[ "$(./stub data)" = data ] && [ "$(printf in | ./stub)" = in ]
}

other_instance()
{
	sed 's/--instance 0x[0-9a-f]*/--instance 0x1/' stub >other && chmod +x other
	fails 120 'earlier load of the module' ./other x
}

serve stubbed -- cat
claim a_stub_is_an_executable_that_calls stub_works
claim a_stub_of_another_load_of_the_module_is_stale other_instance
stop "$server"
serve stubbed -- cat
claim a_stub_does_not_call_a_successor fails 120 ESTALE ./stub x
claim a_stub_of_a_dead_handle_is_not_made exits 1 upcall stub 12345 -o never
claim a_stub_that_is_not_made_leaves_no_file not [ -e never ]
stop "$server"

revoked()
{
	rm -f started
	upcall call revoked x 2>revoked.err &
	caller=$!
	until_true [ -s started ] || return 1
	exits 0 upcall revoke revoked && exits 121 wait "$caller" &&
		grep -q ECANCELED revoked.err && exits 1 wait "$server"
}

serve revoked --access anyone -- sh -c "$gate"
claim another_user_may_not_revoke fails 1 EPERM as alice upcall revoke "$handle"
claim an_administrator_may_revoke revoked
claim why_says_that_it_was_revoked says 'revoked' upcall why "$handle"

serve private -- cat
claim another_user_is_EACCES_not_delivered fails 120 EACCES as alice upcall call "$handle" x
claim stat_shows_another_user_nothing fails 1 'may not call it' as alice upcall stat "$handle"
stop "$server"

serve for-alice --access uid:alice -- cat
claim the_uid_that_is_named_may_call exits 0 as alice upcall call for-alice x
claim another_uid_may_not_call fails 120 EACCES as bob upcall call for-alice x
claim root_may_not_call_either fails 120 EACCES upcall call for-alice x
stop "$server"

serve for-bobs --access gid:bob -- cat
claim the_gid_that_is_named_may_call exits 0 as bob upcall call for-bobs x
claim another_gid_may_not_call fails 120 EACCES as alice upcall call for-bobs x
stop "$server"

serve open --access anyone -- cat
claim anyone_may_call exits 0 as carol upcall call open x
claim an_owner_that_is_not_the_required_one_is_not_called \
	fails 120 EACCES upcall call --owner alice open x
claim the_owner_that_is_required_is_called exits 0 upcall call --owner root open x
stop "$server"

claim info_names_features says sync upcall info
claim info_shows_the_ABI says 'ABI                1' upcall info

conclude
