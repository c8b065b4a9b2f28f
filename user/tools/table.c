// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Rows and columns: the same cells as aligned text for people, or as JSON for
 * programs. In JSON ages are nanoseconds, handles numbers, and no cell is cut.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

struct cell {
	char *text;		/* for people */
	char *json;		/* a JSON value */
};

static char *must_copy(const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		tool_die(EXIT_LOCAL, "out of memory");
	return copy;
}

static void cell_add(struct table *table, const char *text, const char *json)
{
	if (table->count == table->room) {
		table->room = table->room ? table->room * 2 : 64;
		table->cells = reallocarray(table->cells, table->room, sizeof(*table->cells));
		if (!table->cells)
			tool_die(EXIT_LOCAL, "out of memory");
	}
	table->cells[table->count++] = (struct cell){ must_copy(text), must_copy(json) };
}

/**
 * table_add_text() - The next cell: a word, the same for people and programs
 * @table: Cells fill it row by row.
 * @text: ASCII; escaped where it is a stranger's.
 */
void table_add_text(struct table *table, const char *text)
{
	cell_add(table, text, text_json(text).s);
}

/**
 * table_add_number() - The next cell: a number
 * @table: Cells fill it row by row.
 * @value: As it is.
 */
void table_add_number(struct table *table, uint64_t value)
{
	struct text text;

	text_print(&text, "%" PRIu64, value);
	cell_add(table, text.s, text.s);
}

/**
 * table_add_id() - The next cell: a pid or uid, which may have no number here
 * @table: Cells fill it row by row.
 * @id: UINT32_MAX: none; "-" for people, null for programs.
 * @text: For people instead of the number, or NULL.
 */
void table_add_id(struct table *table, uint32_t id, const char *text)
{
	struct text number;

	text_print(&number, "%" PRIu32, id);
	if (id == UINT32_MAX)
		cell_add(table, "-", "null");
	else
		cell_add(table, text ? text : number.s, number.s);
}

/**
 * table_add_handle() - The next cell: a handle, hexadecimal for people
 * @table: Cells fill it row by row.
 * @handle: Below 2^53, so a JSON number holds it.
 */
void table_add_handle(struct table *table, uint64_t handle)
{
	struct text text, json;

	text_print(&text, "0x%" PRIx64, handle);
	text_print(&json, "%" PRIu64, handle);
	cell_add(table, text.s, json.s);
}

/**
 * table_add_age() - The next cell: a time span
 * @table: Cells fill it row by row.
 * @ns: Nanoseconds.
 */
void table_add_age(struct table *table, uint64_t ns)
{
	struct text json;

	text_print(&json, "%" PRIu64, ns);
	cell_add(table, text_age(ns).s, json.s);
}

/**
 * table_add_rate() - The next cell: so many a second
 * @table: Cells fill it row by row.
 * @milli: In 1000 seconds.
 */
void table_add_rate(struct table *table, uint64_t milli)
{
	struct text text, json;

	text_print(&text, "%.1f", milli / 1e3);
	text_print(&json, "%.3f", milli / 1e3);
	cell_add(table, text.s, json.s);
}

/**
 * table_add_span() - The next cell: a time that was measured
 * @table: Cells fill it row by row.
 * @ns: Nanoseconds; 0: it was not, "-" for people, null for programs.
 */
void table_add_span(struct table *table, uint64_t ns)
{
	struct text json;

	text_print(&json, "%" PRIu64, ns);
	cell_add(table, ns ? text_span(ns).s : "-", ns ? json.s : "null");
}

static size_t table_columns(const struct table *table)
{
	size_t count = 0;

	while (table->columns[count].title)
		count++;
	return count;
}

static int column_width(const struct table *table, size_t column, size_t columns)
{
	size_t width = strlen(table->columns[column].title);

	for (size_t i = column; i < table->count; i += columns) {
		size_t len = strlen(table->cells[i].text);

		width = len > width ? len : width;
	}
	return (int)width;
}

static void print_cell(FILE *file, const struct column *column, const char *text, int width,
		       bool last)
{
	if (last && !column->right)
		fprintf(file, "%s\n", text);
	else
		fprintf(file, "%*s%s", column->right ? width : -width, text, last ? "\n" : "  ");
}

/**
 * table_write() - All rows, under a heading
 * @table: Full rows only.
 * @file: Where to.
 */
void table_write(const struct table *table, FILE *file)
{
	size_t columns = table_columns(table);
	int widths[columns];

	for (size_t i = 0; i < columns; i++)
		widths[i] = column_width(table, i, columns);
	for (size_t i = 0; i < columns; i++)
		print_cell(file, &table->columns[i], table->columns[i].title, widths[i],
			   i + 1 == columns);
	for (size_t i = 0; i < table->count; i++) {
		size_t at = i % columns;

		print_cell(file, &table->columns[at], table->cells[i].text, widths[at],
			   at + 1 == columns);
	}
}

static void print_json_row(const struct table *table, size_t first, size_t columns)
{
	for (size_t i = 0; i < columns; i++)
		printf("%s\"%s\": %s", i ? ", " : "{", table->columns[i].key,
		       table->cells[first + i].json);
	printf("}");
}

static void print_json(const struct table *table)
{
	size_t columns = table_columns(table);

	for (size_t i = 0; i < table->count; i += columns) {
		printf(i ? ",\n " : "[");
		print_json_row(table, i, columns);
	}
	printf(table->count ? "]\n" : "[]\n");
}

/**
 * table_print() - All rows to stdout
 * @table: Full rows only.
 * @json: One array of objects, instead of columns under a heading.
 */
void table_print(const struct table *table, bool json)
{
	if (json)
		print_json(table);
	else
		table_write(table, stdout);
}

/**
 * table_print_lines() - All rows to stdout as JSON, an object each line
 * @table: Full rows only.
 */
void table_print_lines(const struct table *table)
{
	size_t columns = table_columns(table);

	for (size_t i = 0; i < table->count; i += columns) {
		print_json_row(table, i, columns);
		printf("\n");
	}
}

/**
 * table_print_record() - A single row to stdout, one line a column
 * @table: One row.
 * @json: One object, instead of lines.
 */
void table_print_record(const struct table *table, bool json)
{
	size_t columns = table_columns(table);

	if (json) {
		print_json_row(table, 0, columns);
		printf("\n");
		return;
	}
	for (size_t i = 0; i < columns; i++)
		printf("%-18s %s\n", table->columns[i].title, table->cells[i].text);
}

/**
 * table_free() - Give back what the cells took
 * @table: May be filled again afterwards.
 */
void table_free(struct table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		free(table->cells[i].text);
		free(table->cells[i].json);
	}
	free(table->cells);
	table->cells = NULL;
	table->count = table->room = 0;
}
