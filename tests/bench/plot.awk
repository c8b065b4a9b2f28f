# SPDX-License-Identifier: GPL-2.0-only
# Round trips as bars, a panel for each size; what goes beyond the scale is cut:
#	awk -f labels.awk -f rows.awk -f plot.awk JSON
function escaped(text)
{
	gsub(/&/, "\\&amp;", text)
	return text
}

# The ways that have a row of this size, cheapest first
function sort_ways(size,	i, j, way)
{
	count = 0
	for (i = 1; i <= n; i++) {
		way = names[i]
		if (way ~ /^(across|pairs)/ || sub("/" size "$", "", way) == 0)
			continue
		for (j = ++count; j > 1 && value[sorted[j - 1] "/" size] > value[names[i]]; j--)
			sorted[j] = sorted[j - 1]
		sorted[j] = way
	}
}

# Those of others' libraries are not what the rest should be seen against
function is_library(way)
{
	return way ~ /bus|rest|grpc/
}

function panel(size, title,	i, name, width, largest, cut)
{
	sort_ways(size)
	for (i = 1; i <= count; i++) {
		if (!is_library(sorted[i]))
			largest = value[sorted[i] "/" size] * 1.15
	}
	printf "<text class=\"title\" x=\"0\" y=\"%d\">%s</text>\n", y, title
	y += 10
	for (i = 1; i <= count; i++) {
		name = sorted[i] "/" size
		width = value[name] / largest * 420
		cut = width > 420
		width = cut ? 420 : width
		printf "<text x=\"200\" y=\"%d\" text-anchor=\"end\">%s</text>", y + 12, escaped(label_of(sorted[i]))
		printf "<rect class=\"%s\" x=\"208\" y=\"%d\" width=\"%.1f\" height=\"15\"/>",
			(sorted[i] == "invoke" ? "own" : "other"), y, width
		if (cut)
			printf "<path d=\"M600 %d l10 -19 h6 l-10 19 z\" fill=\"#fff\"/>", y + 17
		printf "<text x=\"%.1f\" y=\"%d\">%s</text>\n", 213 + width, y + 12, grouped(value[name])
		y += 19
	}
	if ("floor" in value)
		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>\n", 208 + value["floor"] / largest * 420,
			208 + value["floor"] / largest * 420, y - 19 * count - 2, y
	y += 28
}

END {
	y = 18
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-4 0 704 HEIGHT\" font-family=\"sans-serif\" font-size=\"12\">\n"
	print "<!-- SPDX-License-Identifier: GPL-2.0-only -->"
	print "<style>.own{fill:#c0392b}.other{fill:#8aa0b4}.title{font-weight:bold;font-size:13px}" \
		"line{stroke:#222;stroke-dasharray:4 3}</style>"
	print "<rect x=\"-4\" y=\"0\" width=\"704\" height=\"HEIGHT\" fill=\"#fff\"/>"
	what = unit["invoke/8"] == "ns" ? "nanoseconds" : "instructions"
	panel(8, "Round trip, argument of 8 bytes: " what " (dashed: the floor)")
	panel(4096, "Argument of 4 KiB")
	panel(65536, "Argument of 64 KiB")
	print "</svg>\n<!-- height " y " -->"
}
