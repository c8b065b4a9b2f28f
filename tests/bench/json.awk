# SPDX-License-Identifier: GPL-2.0-only
# The lines of bench, and the targets, as JSON with a row to a line:
#	awk -f json.awk -v machine=TEXT targets log
FNR == NR {
	if (NF == 5 && $1 != "#") {
		within[$1] = $2
		factor[$1] = $3
		of[$1] = $4
		plus[$1] = $5
	}
	next
}

$1 == "row" {
	names[++n] = $2
	unit[$2] = $3
	value[$2] = $4
}

# A target that rests on a row which was not measured is none
function target(name)
{
	if (!(name in factor) || (within[name] != "-" && within[name] != unit[name]) ||
	    (of[name] != "-" && !(of[name] in value)))
		return ""
	return int(factor[name] * (of[name] == "-" ? 0 : value[of[name]]) + plus[name])
}

END {
	printf "{\"machine\": \"%s\",\n\"rows\": [", machine
	for (i = 1; i <= n; i++) {
		name = names[i]
		t = target(name)
		printf "%s\n  {\"name\": \"%s\", \"%s\": %s%s}", (i > 1 ? "," : ""), name, unit[name],
			value[name], (t == "" ? "" : ", \"target\": " t)
	}
	print "\n]}"
}
