#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the guest: one module after the other, as the file 'plan' says. It has a line for each program
# of tests: NAME PROGRAM [TEST...], where NAME.ko is the module, and without a TEST all are meant.
# Each ends in one line:
#
#	== NAME: passed
#	== NAME: skipped WHICH	nothing has failed, but one was not run
#	== NAME: test WHICH	one has failed, the first
#	== NAME: log LINE	the kernel has said something that it should not
#	== NAME: hung WHERE	something has not ended within $limit seconds
#
# Behind the last two nothing else is tried in this machine, nor where the module does not go.
# shellcheck source=../vm/sanitizers.sh
. /etc/sanitizers.sh
limit=$(cat limit)
bad=$(cat bad)

run_tests()	# NAME
{
	grep "^$1 " plan | while read -r _ program only; do
		if [ -n "$only" ]; then export UPCALL_ONLY="$only"; else unset UPCALL_ONLY; fi
		"./$program" >tap 2>&1 </dev/null || echo failed >status
		cat tap
		sed -n 's/^not ok [0-9]* \([^ ]*\).*/\1/p' tap | head -n 1 >failed
		! grep -q '^ok .*# SKIP' tap || echo "of $program" >skipped
		[ ! -s status ] || break
	done
	: >ended
}

# What has begun does not always end, and cannot always be killed
within()	# SECONDS FILE: it is there by then
{
	left=$(($1 * 10))
	while [ ! -e "$2" ]; do
		[ $left -gt 0 ] || return 1
		left=$((left - 1))
		sleep 0.1
	done
}

# The last file is closed a moment after its process has gone
unload()
{
	tries=100
	while ! rmmod upcall 2>/dev/null && [ $tries -gt 0 ]; do
		tries=$((tries - 1))
		sleep 0.1
	done
	: >unloaded
}

complaint()	# NAME: the first since it began
{
	dmesg | sed "1,/^[^a-z]*mutants: $1\$/d" | grep -E "$bad" | head -n 1 | sed 's/^\[[^]]*\] //'
}

try()		# NAME: false if nothing else can be tried here
{
	line=
	rm -f status failed skipped ended unloaded
	mkdir -p /lib/modules
	cp "$1.ko" /lib/modules/upcall.ko	# tests of unloading load it again
	echo "== $1"
	echo "mutants: $1" >/dev/kmsg
	insmod "$1.ko" || { echo "== $1: hung: it cannot be loaded"; return 1; }
	kcsan_on
	run_tests "$1" &
	within "$limit" ended || { echo "== $1: hung in $(tail -n 1 tap)"; return 1; }
	unload &
	within $((limit / 4)) unloaded && [ ! -d /sys/module/upcall ] || line="it cannot be unloaded"
	report_leaks upcall
	if [ -s status ] && [ -s failed ]; then
		echo "== $1: test $(cat failed)"
	elif [ -n "$(complaint "$1")" ]; then
		echo "== $1: log $(complaint "$1")"
	elif [ -n "$line" ]; then
		echo "== $1: hung: $line"
	elif [ -s status ]; then
		echo "== $1: test that ended badly"
	elif [ -s skipped ]; then
		echo "== $1: skipped $(cat skipped)"
	else
		echo "== $1: passed"
	fi
	[ -z "$line$(complaint "$1")" ]
}

cut -d' ' -f1 plan | uniq >names
while read -r name; do
	try "$name" || reboot -f
done <names
