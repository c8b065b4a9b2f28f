#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# Bytes in are bytes out.
# shellcheck disable=SC2317 # functions are run by claim
. ./tap.inc
. ./tool.inc

every_byte_value()
{
	awk 'BEGIN { for (i = 0; i < 256; i++) printf "\\%03o", i }' >octal
	# shellcheck disable=SC2059 # the text is the format
	printf "$(cat octal)" >bytes
	[ "$(wc -c <bytes)" = 256 ]
}

comes_back()	{ upcall call echo <"$1" >back && cmp "$1" back; }

too_long()	{ upcall call echo <larger; }

comes_back_empty()
{
	upcall call echo '' >back && [ ! -s back ] &&
		upcall call echo </dev/null >back && [ ! -s back ]
}

argument_has_no_newline()
{
	upcall call echo hello >back && printf hello | cmp - back
}

dd if=/dev/urandom of=mebibyte bs=4096 count=256 2>/dev/null
cat mebibyte >larger && printf x >>larger

claim a_file_of_every_byte_value_can_be_made every_byte_value
claim a_server_says_when_it_is_up serve echo -- cat
claim every_byte_value_comes_back_NUL_and_all comes_back bytes
claim one_mebibyte_comes_back comes_back mebibyte
claim no_bytes_come_back_as_no_bytes comes_back_empty
claim data_is_passed_without_a_newline argument_has_no_newline
claim a_byte_more_than_a_mebibyte_is_not_delivered fails 120 EMSGSIZE too_long
stop "$server"

serve short --max-arg 16 -- cat
claim an_argument_that_COMMAND_does_not_take_says_how_much_it_takes \
	fails 120 'it takes 16 bytes' upcall call short 12345678901234567
claim an_argument_that_just_fits_is_taken exits 0 upcall call short 1234567890123456
stop "$server"

too_long_for()
{
	serve long -- seq 100 || return 1
	fails 123 "292 bytes of output, $1 are accepted" upcall call --max-reply "$1" long &&
		stop "$server"
}

ignored()	{ [ "$(upcall call deaf <mebibyte)" = "done" ]; }
serve deaf -- echo "done"
claim a_COMMAND_that_does_not_read_a_mebibyte_of_stdin_answers ignored
claim a_reply_longer_than_the_caller_accepts_says_how_long_it_was \
	fails 123 'status -1: 5 b' upcall call --max-reply 3 deaf
claim a_reply_that_just_fits_is_accepted exits 0 upcall call --max-reply 5 deaf
stop "$server"
claim a_reply_that_is_too_long_says_so_in_words_where_there_is_room too_long_for 100

serve endless -- yes
claim a_COMMAND_that_writes_for_ever_is_ended fails 123 'over 1048576 bytes of output' upcall call endless
stop "$server"

loud()
{
	: >noise
	upcall call loud noise >out && [ ! -s out ] && grep -qx 'on stderr' serve.err
}
serve loud -- sh -c 'echo on stderr >&2'
claim stderr_of_COMMAND_is_that_of_the_server loud
stop "$server"

conclude
