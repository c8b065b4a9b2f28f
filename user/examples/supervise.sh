#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
# supervise.sh COMMAND [ARG]...: runs it, and at once again whenever a signal killed it. Each of
# them has descriptor 5, a peer that this shell keeps open: what one owns there, the next adopts.
#
#	supervise.sh upcall serve wordcount --adoptable 30s --peer-fd 5 -- wc -w
#
# TERM is passed on, and ends it.

ended='' child=''
trap 'ended=1; [ -z "$child" ] || kill "$child"' TERM
exec 5<>"${UPCALL_DEVICE:-/dev/upcall}" || exit

while :; do
	"$@" &
	child=$!
	wait "$child"
	code=$?
	[ -z "$ended" ] || { wait "$child"; exit; }
	[ $code -gt 128 ] || exit $code
done
