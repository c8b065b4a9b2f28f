# SPDX-License-Identifier: GPL-2.0-only
# The README's tables: awk -f labels.awk -f rows.awk -f readme.awk JSON
function has(name)
{
	return name in value
}

function cell(name,	text)
{
	if (!has(name))
		return ""
	text = grouped(value[name])
	if (target[name] == "")
		return text
	return text (value[name] <= target[name] + 0 ? "" : " (target: " grouped(target[name]) ")")
}

# The ways, cheapest first
function sort_ways(	i, j, way, name)
{
	for (i = 1; i <= n; i++) {
		name = names[i]
		if (name !~ /^(floor|.*\/8)$/ && name !~ /^library-/ || name ~ /^(across|pairs)/)
			continue
		way = name
		sub(/\/8$/, "", way)
		for (j = ++ways_count; j > 1 && cost[ways[j - 1]] > value[name]; j--)
			ways[j] = ways[j - 1]
		ways[j] = way
		cost[way] = value[name]
	}
}

function round_trips(	i, way, text, mark)
{
	print "| round trip, result of 8 bytes | 8 B | 4 KiB | 64 KiB |\n|---|--:|--:|--:|"
	for (i = 1; i <= ways_count; i++) {
		way = ways[i]
		text = label_of(way)
		mark = way == "invoke" || way == "floor" ? "**" : ""
		printf "| %s%s%s | %s | %s | %s |\n", mark, text, mark,
			cell(has(way) ? way : way "/8"), cell(way "/4096"), cell(way "/65536")
	}
}

function one_way(	i, name)
{
	print "\n| message of 8 bytes, one way | |\n|---|--:|"
	for (i = 1; i <= n; i++) {
		name = names[i]
		if (name ~ /^(oneway|notify|async)\//)
			printf "| %s%s | %s |\n", (name ~ /^oneway/ ? "" : "upcall "), label_of(name), cell(name)
	}
}

function others(	i, name)
{
	print "\n| upcall | |\n|---|--:|"
	for (i = 1; i <= n; i++) {
		name = names[i]
		if (name ~ /^(empty|stale|register|invoke@|handle|death)/)
			printf "| %s | %s%s |\n", label_of(name), cell(name),
				(unit[name] == "instructions" ? "" : " " unit[name])
	}
}

function across(	i, name, way, miss)
{
	print "\n| two processors, time of a round trip as a multiple of futex's | |\n|---|--:|"
	for (i = 1; i <= n; i++) {
		name = names[i]
		if (name !~ /^across\//)
			continue
		way = name
		sub(/^across./, "", way)
		sub(/, sched_yield/, ", both looking", label["ring"])
		miss = ""
		if (target[name] != "" && value[name] > target[name] + 0)
			miss = sprintf(" (target: %.2f)", target[name] / value["across/futex"])
		printf "| %s | %.2f%s |\n", label_of(way), value[name] / value["across/futex"], miss
	}
}

function pairs(	i, way)
{
	print "\n| pairs, each on its own processor: time as a multiple of one pair's | 2 pairs | 4 pairs |\n|---|--:|--:|"
	for (i = 1; i <= n; i++) {
		way = names[i]
		if (!sub(/^pairs./, "", way) || !sub(/.1$/, "", way))
			continue
		printf "| %s | %.2f | %.2f |\n", label_of(way), value["pairs/" way "/2"] / value[names[i]],
			value["pairs/" way "/4"] / value[names[i]]
	}
}

END {
	sort_ways()
	round_trips()
	one_way()
	others()
	if (has("across/futex"))
		across()
	if (has("pairs/invoke/1"))
		pairs()
}
