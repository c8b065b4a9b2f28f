# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=sh
# For the guest's scripts, sourced: what the sanitizer kernels must be told. Each
# function does nothing on a kernel that has not got what it is about.

kcsan=/sys/kernel/debug/kcsan
kmemleak=/sys/kernel/debug/kmemleak

# From here on: what the kernel does by itself while it boots is not of interest
kcsan_on()	{ [ ! -e $kcsan ] || echo on >$kcsan; }
kcsan_off()	{ [ ! -e $kcsan ] || echo off >$kcsan; }

# Tells the kernel's log of every object without an owner that the module allocated: an
# address without a name is code of a module that is gone. kmemleak looks at objects older
# than 5 s, and believes it when their contents did not change between two scans.
report_leaks()	# MODULE
{
	[ -e $kmemleak ] || return 0
	sleep 6
	echo scan >$kmemleak && echo scan >$kmemleak || {
		echo "kmemleak gave up: kernel memory leak unknown" >/dev/kmsg
		return
	}
	awk -v m="[$1]" '
		function flush()
		{
			if (ours)
				printf "kernel memory leak of %s: %s", substr(m, 2, length(m) - 2), text
			text = ""
			ours = 0
		}
		/^unreferenced/	{ flush() }
				{ text = text $0 "\n" }
		index($0, m) || /\] 0xffffffff[0-9a-f]*$/ { ours = 1 }
		END		{ flush() }' $kmemleak |
		while read -r line; do echo "$line" >/dev/kmsg; done
	echo clear >$kmemleak
}

# What of the module has run, as lines of a compressed archive; also when it has gone. Files
# of this file system have no size, so that nothing but reading them tells what is there.
report_coverage()
{
	mkdir -p /tmp/gcda
	find /sys/kernel/debug/gcov -name '*.gcda' 2>/dev/null |
		while read -r file; do cat "$file" >"/tmp/gcda/${file##*/}"; done
	rmdir /tmp/gcda 2>/dev/null || tar -c -C /tmp gcda | gzip | base64
}

# lockdep is off from the first report on, of whatever kind
lockdep_state()	{ sed -n 's/^ *debug_locks: *//p' /proc/lockdep_stats 2>/dev/null; }
