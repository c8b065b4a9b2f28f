# SPDX-License-Identifier: GPL-2.0-only
# QEMU's log of blocks (log exec,nochain,in_asm) as lines 'ADDRESS ~ TIMES INSTRUCTIONS': those
# that ran from the first time that block FROM was entered to the last time.
/^Trace/ {
	# Trace 0: 0x7f... [cs_base/pc/flags/cflags] symbol
	split($4, field, "/")
	block = field[2]
	if (block == from) {
		for (b in since)
			times[b] += since[b]
		split("", since)
		begun = 1
	}
	if (begun)
		since[block]++
	next
}

/^IN:/		{ block = ""; next }

/^0x/ {
	if (block == "") {
		block = substr($1, 3)
		sub(/:$/, "", block)
		while (length(block) < 16)
			block = "0" block
		here = 0
	}
	# one that was cut short because the clock's budget ended is not the usual one
	if (++here > size[block])
		size[block] = here
}

END {
	for (block in times)
		print block, "~", times[block], size[block] + 0 | "sort"
}
