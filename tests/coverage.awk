# SPDX-License-Identifier: GPL-2.0-only
# First the reasons, then what gcov -b -c -t says of every object; prints what coverage.sh promises.
#
# A reason stands as 'function | text of the line | why'; * for the text is the whole function. The text
# may have ' | ' in it, too.

FNR == NR {
	if ($0 ~ /^#/ || $0 ~ /^ *$/)
		next
	first = index($0, " | ")
	text = substr($0, first + 3)
	match(text, /.* \| /)
	key = substr($0, 1, first - 1) SUBSEP substr(text, 1, RLENGTH - 3)
	why[key] = substr(text, RLENGTH + 1)
	used[key] = 0
	next
}

# 'COUNT: NUMBER:text', with NUMBER 0 for what is said of the file
/^ *[^:]*: *0:Source:/ {
	source = $0
	sub(/.*:0:Source:/, "", source)
	ours = source ~ /(^|\/)kmod\// && source !~ /\/hook\.[ch]$|\.mod\.c$/
	sub(/.*kmod\//, "kmod/", source)
	name = ""
	branch = 0
	next
}

!ours { next }

/^ *([0-9]+\*?|#####|=====|-): *[0-9]+:/ {
	at = index($0, ":")
	count = substr($0, 1, at - 1)
	rest = substr($0, at + 1)
	number = rest + 0
	text = rest
	sub(/^ *[0-9]+:/, "", text)
	if (text ~ /^[a-z].*\(/ && text !~ /;$/) {
		name = text
		sub(/\(.*/, "", name)
		sub(/.*[ *]/, "", name)
	}
	gsub(/ /, "", count)
	branch = 0
	line = ""
	if (count == "-" || text ~ /UPCALL_HOOK/)	# hooks are the test build's own
		next
	line = source SUBSEP number
	if (!(line in seen)) {
		seen[line] = 0
		order[++lines] = line
		gsub(/^[ \t]+|[ \t]+$/, "", text)
		texts[line] = text
		names[line] = name
	}
	if (count + 0 > 0)
		seen[line] = 1
	next
}

/^branch / && line != "" {
	key = line SUBSEP branch++
	if (!(key in taken)) {
		taken[key] = 0
		branches++
	}
	if ($3 == "taken" && $4 + 0 > 0)
		taken[key] = 1
}

function reason(line,	n, t)
{
	n = names[line]
	t = texts[line]
	if ((n, t) in why) {
		used[n, t] = 1
		return why[n, t]
	}
	if ((n, "*") in why) {
		used[n, "*"] = 1
		return why[n, "*"]
	}
	return ""
}

END {
	for (i = 1; i <= lines; i++) {
		covered += seen[order[i]]
		if (seen[order[i]])
			continue
		split(order[i], part, SUBSEP)
		r = reason(order[i])
		if (r == "")
			without++
		printf "%s:%d: %s: %s\n\t%s\n", part[1], part[2], names[order[i]], texts[order[i]],
			r == "" ? "NO REASON GIVEN" : r
	}
	for (key in used) {
		if (!used[key]) {
			split(key, part, SUBSEP)
			printf "coverage: a reason without its line: %s | %s\n", part[1], part[2]
		}
	}
	for (key in taken)
		took += taken[key]
	if (!lines || !branches)
		exit 1
	printf "coverage: %d of %d lines, %d of %d branches (%.1f%%); %d lines without a reason\n",
		covered, lines, took, branches, 100 * took / branches, without
	printf "coverage: %slines %.1f%%\n", partial == "" ? "" : "partial, ", 100 * covered / lines
	exit 100 * covered / lines < least
}
