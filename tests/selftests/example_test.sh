#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The programs of user/examples, as README shows them.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

# owner PROGRAM: in the background; sets $server and $handle once it can be called
owner()
{
	: >"$dir/handle"	# the one before is in it
	"$1" >>"$dir/handle" 2>&1 &
	server=$!
	until_true [ -s "$dir/handle" ] && handle=$(cat "$dir/handle")
}

many()
{
	[ "$(lib_many upper a b c | sort | tr '\n' ' ')" = "a: A b: B c: C " ]
}
says()		{ [ "$("$@")" = "HELLO, WORLD" ]; }
ends()		{ kill "$server" && wait "$server"; }
is_killed()	{ kill "$server"; wait "$server"; [ $? = 143 ]; }
fails_with()	{ text=$1; shift; ! "$@" >"$dir/out" 2>&1 && grep -q "$text" "$dir/out"; }

# What a plugin is given as lines, its host is told as a number of words
hosts()
{
	text=$1; shift
	printf '%s\n' "to be or not to be" "is it" | "$@" >"$dir/out" &&
		[ "$(sed 's/.* user //' "$dir/out" | xargs)" = "$text" ]
}
opens_a_file()
{
	! printf '%s\n' "the window" "open it" "and more" | plugin_host plugin >"$dir/out" &&
		grep -q 'says: 2 words' "$dir/out" && ! grep -q 'says: 3 words' "$dir/out" &&
		tail -n 1 "$dir/out" | grep -q 'is gone: .* killed by signal 31'
}

# An idle one: it has subscribed, and the next line does not come; sets $host and $plugin
idles()
{
	mkfifo lines
	plugin_host plugin <lines >"$dir/out" &
	host=$!
	exec 9>lines
	rm lines
	echo ready >&9
	until_true grep -q 'says: 1 words' "$dir/out" && plugin=$(sed 's/process \([0-9]*\) .*/\1/' "$dir/out")
}
lets_go()	{ exec 9>&-; wait "$host"; }
is_confined()
{
	grep -qx 'Uid:.65534.65534.65534.65534' "/proc/$plugin/status" &&
		grep -qx 'CapEff:.0*' "/proc/$plugin/status" &&
		grep -qx 'Seccomp:.2' "/proc/$plugin/status" &&
		[ -z "$(ls -A "/proc/$plugin/root/")" ] &&
		[ "$(ls -l "/proc/$plugin/fd" | grep -c upcall)" = 2 ]
}
tells_of_death()
{
	kill -9 "$plugin"
	! wait "$host" && tail -n 1 "$dir/out" | grep -q 'is gone: .* killed by signal 9'
}
host_dies()	{ kill -9 "$host" && until_true is_gone "$plugin"; }
is_empty()	{ [ "$(upcall ls | wc -l)" = 1 ]; }

claim library_owner_can_be_found_by_its_name owner lib_owner
claim library_caller_gets_its_text_in_upper_case says lib_caller upper "hello, world"
claim command_calls_the_same_owner says upcall call upper "hello, world"
claim library_makes_many_calls_at_once many
claim library_owner_ends_cleanly ends
claim library_owner_leaves_no_name fails_with "nothing is published" upcall call upper x

claim raw_owner_prints_its_handle owner raw_owner
claim raw_caller_gets_its_text_in_upper_case says raw_caller "$handle" "hello, world"
claim raw_owner_can_be_killed is_killed
claim raw_caller_hears_that_the_handle_is_dead fails_with . raw_caller "$handle" x

claim host_and_plugin_in_a_sandbox_call_each_other hosts "65534 says: 6 words 65534 says: 2 words" plugin_host plugin
claim plugin_goes_into_its_sandbox_without_privileges hosts "1000 says: 6 words 1000 says: 2 words" as alice plugin_host plugin
claim plugin_that_opens_a_file_is_killed_and_its_host_says_so opens_a_file
claim plugin_that_does_not_subscribe_is_noticed fails_with "without having subscribed" plugin_host true
idles
claim plugin_has_two_descriptors_and_no_file_user_or_capability is_confined
claim host_hears_why_an_idle_plugin_died tells_of_death
idles
claim plugin_ends_when_its_host_is_killed host_dies
idles
claim plugin_ends_when_its_host_is_done lets_go
# A callback dies a moment after its process has gone
claim plugin_and_host_leave_nothing until_true is_empty
conclude
