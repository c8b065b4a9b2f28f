// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Values as people write and read them: numbers, durations, sizes, ages, and bytes
 * of strangers that must not reach a terminal as they are.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tool.h"

struct unit {
	const char *name;
	double factor;
};

static const struct unit durations[] = {
	{ "", 1e9 }, { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 },
	{ "m", 60e9 }, { "h", 3600e9 }, { "d", 86400e9 }, { NULL, 0 },
};

static const struct unit sizes[] = {
	{ "", 1 }, { "B", 1 }, { "K", 1 << 10 }, { "KiB", 1 << 10 },
	{ "M", 1 << 20 }, { "MiB", 1 << 20 }, { "G", 1 << 30 }, { "GiB", 1 << 30 }, { NULL, 0 },
};

/* The largest double below 2^63: what it is rounded to still is an integer of 64 bits. */
#define UNIT_MAX	9223372036854774784.0

static int unit_parse(const char *text, const struct unit *units, uint64_t *value)
{
	char *end;
	double number;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	number = strtod(text, &end);
	if (end == text)
		return -EINVAL;
	while (units->name && strcmp(units->name, end))
		units++;
	if (!units->name)
		return -EINVAL;
	number *= units->factor;
	if (!(number <= UNIT_MAX))
		return -ERANGE;
	*value = (uint64_t)(number + 0.5);
	return 0;
}

/**
 * text_parse_duration() - Read "5", "2.5s", "500ms", "1m", "1h"
 * @text: Seconds, if it names no unit.
 * @ns: Set on success.
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int text_parse_duration(const char *text, uint64_t *ns)
{
	return unit_parse(text, durations, ns);
}

/**
 * text_parse_size() - Read "512", "64K", "1MiB"
 * @text: Bytes, if it names no unit.
 * @bytes: Set on success.
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int text_parse_size(const char *text, uint64_t *bytes)
{
	return unit_parse(text, sizes, bytes);
}

/**
 * text_parse_number() - Read a decimal or, with 0x, a hexadecimal number
 * @text: Nothing may stand before or behind it.
 * @value: Set on success.
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int text_parse_number(const char *text, uint64_t *value)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	char *end;

	if (!isxdigit((unsigned char)*digits))
		return -EINVAL;
	errno = 0;
	*value = strtoull(digits, &end, hex ? 16 : 10);
	if (errno)
		return -errno;
	return *end || end == digits ? -EINVAL : 0;
}

/**
 * text_age() - How long something lasted, in at most two units
 * @ns: Nanoseconds.
 *
 * Return: the text, by value: nobody owns memory.
 */
struct text text_age(uint64_t ns)
{
	uint64_t s = ns / 1000000000;
	struct text text;

	if (ns < 1000000)
		text_print(&text, "%" PRIu64 "us", ns / 1000);
	else if (ns < 1000000000)
		text_print(&text, "%" PRIu64 "ms", ns / 1000000);
	else if (s < 60)
		text_print(&text, "%" PRIu64 ".%" PRIu64 "s", s, ns / 100000000 % 10);
	else if (s < 3600)
		text_print(&text, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
	else if (s < 86400)
		text_print(&text, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
	else
		text_print(&text, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
	return text;
}

/**
 * text_span() - A time that was measured, in three digits
 * @ns: Nanoseconds.
 *
 * Return: the text: "870ns", "12.3us", "1.05ms", "42.0s".
 */
struct text text_span(uint64_t ns)
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = ns;
	struct text text;
	int unit = 0;

	for (; value >= 999.5 && unit < 3; unit++)
		value /= 1000;
	text_print(&text, "%.*f%s", !unit || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2, value,
		   units[unit]);
	return text;
}

/**
 * text_json() - A string of JSON
 * @ascii: Bytes above ASCII and control characters have been escaped before, by text_escape().
 *
 * Return: the text, in quotes, cut where it does not fit.
 */
struct text text_json(const char *ascii)
{
	struct text json = { "\"" };
	size_t used = 1;

	for (; *ascii && used + 4 < sizeof(json.s); ascii++) {
		if (*ascii == '"' || *ascii == '\\')
			json.s[used++] = '\\';
		json.s[used++] = *ascii;
	}
	strcpy(json.s + used, "\"");
	return json;
}

/**
 * text_escape() - Bytes of another user, fit for a terminal
 * @bytes: Ends at its first NUL, or at @len.
 * @len: Bytes.
 *
 * Printable ASCII stays; a backslash is doubled, everything else becomes \xHH.
 *
 * Return: the text, cut where it does not fit.
 */
struct text text_escape(const char *bytes, size_t len)
{
	struct text text;
	size_t used = 0;

	for (size_t i = 0; i < len && bytes[i] && used + 5 < sizeof(text.s); i++) {
		unsigned char c = bytes[i];

		if (c == '\\')
			used += sprintf(text.s + used, "\\\\");
		else if (c >= 0x20 && c < 0x7f)
			text.s[used++] = c;
		else
			used += sprintf(text.s + used, "\\x%02x", c);
	}
	text.s[used] = 0;
	return text;
}

/**
 * text_print() - printf into a text, cut where it does not fit
 * @text: Written.
 * @format: As of printf(3).
 */
void text_print(struct text *text, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(text->s, sizeof(text->s), format, args);
	va_end(args);
}

/* The name of a process, "?" if it is not to be had. */
static struct text process_name(uint32_t pid)
{
	struct text path, name = { "?" };
	char comm[64];
	size_t len;
	FILE *file;

	text_print(&path, "/proc/%" PRIu32 "/comm", pid);
	file = fopen(path.s, "re");
	if (!file)
		return name;
	len = fread(comm, 1, sizeof(comm), file);
	fclose(file);
	if (len && comm[len - 1] == '\n')
		len--;
	return text_escape(comm, len);
}

/**
 * text_process() - A process for people: "1234 wc"
 * @pid: As a listing gave it.
 *
 * Return: the text; "-" for a process that has no number here.
 */
struct text text_process(uint32_t pid)
{
	struct text text = { "-" };

	if (pid && pid != UINT32_MAX)
		text_print(&text, "%" PRIu32 " %s", pid, process_name(pid).s);
	return text;
}

/**
 * text_user() - A user for people
 * @uid: As a listing gave it.
 *
 * Return: the name; the number if it has none; "-" if it has no number here.
 */
struct text text_user(uint32_t uid)
{
	struct passwd *user = uid == UINT32_MAX ? NULL : getpwuid(uid);
	struct text text = { "-" };

	if (user)
		return text_escape(user->pw_name, SIZE_MAX);
	if (uid != UINT32_MAX)
		text_print(&text, "%" PRIu32, uid);
	return text;
}

/**
 * text_access() - Who may call, as "serve --access" takes it
 * @access: UPCALL_ACCESS_*.
 * @id: uid or gid, where @access has one.
 *
 * Return: the text.
 */
struct text text_access(uint32_t access, uint32_t id)
{
	struct text text;

	text_print(&text, "%s", upcall_access_name(access));
	if (access == UPCALL_ACCESS_UID || access == UPCALL_ACCESS_GID)
		text_print(&text, "%s:%" PRId32, upcall_access_name(access), (int32_t)id);
	return text;
}

/**
 * text_now() - Now, on the clock that the kernel uses
 *
 * Return: nanoseconds of CLOCK_MONOTONIC.
 */
uint64_t text_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}
