# SPDX-License-Identifier: GPL-2.0-only
# The table of 'make bench': awk -f rows.awk -f table.awk JSON
END {
	printf "%-20s %18s %8s %10s\n", machine, "", "x floor", "target"
	for (i = 1; i <= n; i++) {
		name = names[i]
		times = unit[name] == unit["floor"] && !(name ~ /^across/) ? \
			sprintf("%.2f", value[name] / value["floor"]) : ""
		text = ""
		if (target[name] != "")
			text = sprintf("%10s  %s", grouped(target[name]),
				       value[name] <= target[name] + 0 ? "met" : "MISSED")
		printf "%-20s %18s %8s %s\n", name, grouped(value[name]) " " unit[name], times, text
	}
}
