#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# run.sh [NAME]...: 'make model'. Has spin search all interleavings of the model in this
# folder, in each configuration below; and then once more with each fault that the model knows,
# which has to be found. With names, only those configurations and faults. Its last line is
# 'model: N properties, E errors': each configuration is two, each fault one.
set -u
# shellcheck source=../env.sh
. "${0%/*}/../env.sh"

out=$build/model
call="Invoke(0) Receiver(0) Worker(0)"
async="Async(0) Results(0) RESULTS Receiver(0) Worker(0)"
orphan="ADOPTABLE Dies() Due()"

# NAME: what it consists of: processes, and what may befall them
configurations="
plain:		$call FAULTS REFUSES EXPIRES
signals:	$call SIGNALS EXPIRES KILLED KEEPS
twice:		$call EXPIRES Twice(0)
close:		$call EXPIRES FAULTS Release(CLOSE)
abort:		$call EXPIRES FAULTS Release(ABORT)
rebind:		$call FAULTS Rebind()
shutdown:	$call EXPIRES Shutdown()
death:		$call EXPIRES Dies() LastClose()
caller-ends:	$call SIGNALS CallerEnds()
two:		$call Invoke(1) Worker(1)
two-abort:	Invoke(0) Invoke(1) Receiver(0) Release(ABORT)
serial:		$call Invoke(1) Worker(1) SERIAL
notify:		$call Notify(1) Worker(1) FAULTS
autoend:	$call Notify(1) AUTOEND Release(CLOSE)
receivers:	Notify(0) Notify(1) MANY Receiver(0) Receiver(1) Worker(0) Worker(1)
async:		$async EXPIRES FAULTS SIGNALS
cancel:		$async Cancel(0)
deadline:	$async EXPIRES Deadline(0)
async-ends:	$async CallerEnds()
orphan:		$call $orphan EXPIRES LastClose()
adopt:		$call $orphan IDEMPOTENT EXPIRES REFUSES Adopter()
adopt-plain:	$call $orphan Adopter()
adopt-signal:	$call $orphan IDEMPOTENT SIGNALS Adopter()
adopt-release:	$call $orphan IDEMPOTENT Adopter() Release(CLOSE)
"

# FAULT: the configuration that has to notice it
faults="
WITHDRAW_TAKEN:	signals
REPLY_BLIND:	twice
DETACH_DEAD:	caller-ends
CANCEL_REF:	plain
STALE_CANCEL:	plain
HEIR:		plain
UNSORTED:	two-abort
RELEASED_EARLY:	close
SERIAL_STOPS:	serial
NO_WAKE:	two
COOKIE:		rebind
REFUSE_STAGE:	adopt
REQUEUE_ANY:	adopt-plain
ABANDONED:	adopt
UNWAIT:		async
"

build_model()
{
	rm -rf "$out"
	mkdir -p "$out"
	gcc -E -x c "$top/tests/model/call.pml" >"$out/model.pml" &&
		cd "$out" && spin -a model.pml && gcc -O1 -w -DSAFETY -DNOFAIR -DMEMLIM=1800 -o pan pan.c &&
		gcc -O1 -w -DNP -DNOFAIR -DMEMLIM=1800 -o pan-cycles pan.c
}

value()		# NAME TABLE: what stands behind the name
{
	sed -n "s/^$1:[[:space:]]*//p" <<<"$2"
}

search()	# LOG CONFIGURATION FAULT PROGRAM...: 0 if it was exhaustive and found nothing
{
	local all

	all=" $(value "$2" "$configurations") ${3:+FAULT_$3 }"
	(cd "$out" && MODEL=$all "${@:4}" -m200000 -c1) >"$1" 2>&1 || return
	grep -q 'errors: 0$' "$1" && ! grep -qE 'max search depth too small|out of memory|not completed' "$1"
}

figure()	# LOG PATTERN
{
	sed -n "s/.*$2.*/\1/p" "$1" | head -n 1
}

# Two properties: nothing is wrong wherever it stops, and it does stop
configuration()	# NAME
{
	local log=$out/$1.log

	search "$log" "$1" "" ./pan || { error "$log"; bad=1; }
	printf '%-16s %9s states, depth %4s, %s errors; ' "$1" \
		"$(figure "$log" ' \([0-9]*\) states, stored')" \
		"$(figure "$log" 'depth reached \([0-9]*\)')" "$(figure "$log" 'errors: \([0-9]*\)')"
	n=$((n + 1))
	log=$out/$1-cycles.log
	search "$log" "$1" "" ./pan-cycles -l || { error "$log"; bad=$((bad + 1)); }
	printf '%s cycles\n' "$(figure "$log" 'errors: \([0-9]*\)')"
}

error()		# LOG; and keeps the way there
{
	say "$(grep '^pan:1:' "$1" || tail -n 3 "$1"); the way there: $1.trail"
	[ ! -e "$out/model.pml.trail" ] || mv "$out/model.pml.trail" "$1.trail"
}

fault()		# NAME
{
	local log=$out/fault-$1.log where

	where=$(value "$1" "$faults")
	search "$log" "$where" "$1" ./pan
	if grep -q '^pan:1:' "$log"; then
		printf 'fault %-16s found in %s: %s\n' "$1" "$where" "$(sed -n 's/^pan:1: //p' "$log" | cut -c 1-90)"
	else
		say "fault $1 NOT found in $where"
		bad=1
	fi
	rm -f "$out/model.pml.trail"
}

names()		{ sed -n 's/^\([A-Za-z_-]*\):.*/\1/p' <<<"$1"; }

mkdir -p "$build"
quietly "$build/model.log" build_model || die "the model does not build"
n=0 errors=0 chosen=$*
# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(names "$configurations") $(names "$faults")
for name; do
	bad=0
	if [ -n "$(value "$name" "$configurations")" ]; then
		configuration "$name"
	elif [ -n "$(value "$name" "$faults")" ]; then
		fault "$name"
	else
		die "no configuration or fault $name"
	fi
	n=$((n + 1)) errors=$((errors + bad))
done
line="model: $n properties, $errors errors"
[ -n "$chosen" ] || keep_verdict model "$line"
say "$line"
[ $errors = 0 ]
