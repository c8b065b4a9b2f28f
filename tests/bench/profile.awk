# SPDX-License-Identifier: GPL-2.0-only
# Symbols 'ADDRESS TYPE NAME [MODULE]' and blocks 'ADDRESS ~ TIMES INSTRUCTIONS', in the order of
# their addresses, as a table. One call of profiled() is EACH round trips.
$2 != "~" {
	if ($1 == at && $3 != "profiled")
		next	# of several names the first
	at = $1
	name = $3
	module = $4
	next
}

{
	key = name
	if (module == "[upcall]")
		own[key] = 1
	else if (module != "")
		key = key " " module
	instructions[key] += $3 * $4
	if (name == "profiled" && $1 == at)
		trips += $3 * each
	sum += $3 * $4
}

END {
	if (!trips) {
		print "profile: no round trip was seen" >"/dev/stderr"
		exit 1
	}
	printf "%s: instructions for one, average of %d\n", row, trips
	for (key in instructions) {
		if (key in own)
			ours += instructions[key]
		if (instructions[key] / trips >= 1)
			printf "%8.0f %5.1f%%  %s %s\n", instructions[key] / trips,
				100 * instructions[key] / sum, (key in own ? "*" : " "), key | "sort -nr"
	}
	close("sort -nr")
	printf "%8.0f         in all\n%8.0f %5.1f%%  * upcall\n", sum / trips, ours / trips, 100 * ours / sum
}
