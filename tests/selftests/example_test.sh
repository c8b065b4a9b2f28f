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
conclude
