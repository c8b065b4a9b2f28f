# SPDX-License-Identifier: GPL-2.0-only
# The table of 'make bench': awk -f rows.awk -f table.awk JSON
function ratio(name,	to)
{
	to = name ~ /^across/ ? "across/futex" : "floor"
	if (name ~ /^pairs/) {
		to = name
		sub(/[0-9]+$/, "1", to)
	}
	if (!(to in value) || unit[to] != unit[name] || name ~ /^death/)
		return ""
	return sprintf("%.2f %s", value[name] / value[to],
		       to ~ /^pairs/ ? "alone" : to ~ /futex/ ? "futex" : "floor")
}

END {
	printf "%s\n%-20s %20s %14s %12s\n", machine, "", "", "in terms of", "target"
	for (i = 1; i <= n; i++) {
		name = names[i]
		text = ""
		if (target[name] != "") {
			verdict = value[name] <= target[name] + 0 ? "met" : "MISSED"
			verdicts[verdict]++
			text = sprintf("%12s  %s", grouped(target[name]), verdict)
		}
		printf "%-20s %20s %14s %s\n", name, grouped(value[name]) " " unit[name], ratio(name), text
	}
	if (verdicts["met"] + verdicts["MISSED"])
		printf "targets: %d met, %d missed\n", verdicts["met"], verdicts["MISSED"]
}
