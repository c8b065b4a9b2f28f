# SPDX-License-Identifier: GPL-2.0-only
# Reads what json.awk wrote: names[1..n], unit[], value[], target[], machine
function member(name,	rest)
{
	if (!match($0, "\"" name "\": "))
		return ""
	rest = substr($0, RSTART + RLENGTH)
	if (sub(/^"/, "", rest))
		sub(/".*/, "", rest)
	else
		sub(/[,}].*/, "", rest)
	return rest
}

function grouped(x,	text)
{
	if (x != int(x))
		return sprintf("%.1f", x)
	text = sprintf("%d", x)
	while (match(text, /[0-9][0-9][0-9][0-9](,|$)/))
		text = substr(text, 1, RSTART) "," substr(text, RSTART + 1)
	return text
}

/"machine"/	{ machine = member("machine") }
/"name"/ {
	name = names[++n] = member("name")
	match($0, /", "[a-z]+": /)
	unit[name] = substr($0, RSTART + 4, RLENGTH - 7)
	value[name] = member(unit[name]) + 0
	target[name] = member("target")
}
