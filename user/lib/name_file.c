// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The text of a published name: lines of key=value, "upcall=1" first. Unknown keys are
 * for newer versions that stay readable; another number behind upcall= is not.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "internal.h"

bool upcall_name_valid(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t len;

	if (!name || *name == '.')
		return false;
	len = strnlen(name, UPCALL_NAME_MAX + 1);
	return len >= 1 && len <= UPCALL_NAME_MAX && strspn(name, allowed) == len;
}

/* A label is any bytes; in the file it is one line of printable ones. */
static void label_clean(char *to, const char *from, size_t room)
{
	size_t i;

	for (i = 0; i + 1 < room && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] != 0x7f ? from[i] : '?';
	to[i] = 0;
}

/* Return: bytes without the NUL, or -EMSGSIZE. */
int upcall_name_format(const struct upcall_name_record *record, char *text, size_t room)
{
	char label[sizeof(record->label)];
	int len;

	label_clean(label, record->label, sizeof(label));
	len = snprintf(text, room,
		       "upcall=1\n"
		       "handle=%" PRIu64 "\n"
		       "instance=%016" PRIx64 "\n"
		       "signature=%016" PRIx64 "\n"
		       "uid=%" PRIu32 "\n"
		       "pid=%" PRIu32 "\n"
		       "label=%s\n",
		       record->handle, record->instance, record->signature,
		       record->uid, record->pid, label);
	return len < 0 || (size_t)len >= room ? -EMSGSIZE : len;
}

/* All of the digits, and nothing else: no sign, no space, no overflow. */
static bool number_parse(const char *text, int base, uint64_t *value)
{
	const char *digits = base == 16 ? "0123456789abcdef" : "0123456789";
	char *end;
	int saved = errno;
	bool good;

	if (!*text || strspn(text, digits) != strlen(text))
		return false;
	errno = 0;
	*value = strtoull(text, &end, base);
	good = !errno && !*end;
	errno = saved;
	return good;
}

enum { SEEN_HANDLE = 1, SEEN_INSTANCE = 2 };

/* Return: which of SEEN_* it was, 0 for others; -EPROTO. */
static int line_parse(const char *key, const char *value, struct upcall_name_record *record)
{
	uint64_t number;

	if (strcmp(key, "handle") == 0) {
		if (!number_parse(value, 10, &record->handle) || !record->handle ||
		    record->handle > UPCALL_MAX_HANDLE)
			return -EPROTO;
		return SEEN_HANDLE;
	}
	if (strcmp(key, "instance") == 0)
		return number_parse(value, 16, &record->instance) ? SEEN_INSTANCE : -EPROTO;
	if (strcmp(key, "signature") == 0)
		return number_parse(value, 16, &record->signature) ? 0 : -EPROTO;
	if (strcmp(key, "uid") == 0 || strcmp(key, "pid") == 0) {
		if (!number_parse(value, 10, &number) || number > UINT32_MAX)
			return -EPROTO;
		if (*key == 'u')
			record->uid = (uint32_t)number;
		else
			record->pid = (uint32_t)number;
	}
	if (strcmp(key, "label") == 0)
		label_clean(record->label, value, sizeof(record->label));
	return 0;
}

/* Return: 0 or -EPROTO. */
int upcall_name_parse(const char *text, struct upcall_name_record *record)
{
	char copy[UPCALL_NAME_TEXT_MAX];
	char *line, *end, *value;
	int seen = 0, ret;

	if (strlen(text) >= sizeof(copy) || strncmp(text, "upcall=1\n", 9) != 0)
		return -EPROTO;
	strcpy(copy, text);
	memset(record, 0, sizeof(*record));
	for (line = copy; *line; line = end + 1) {
		end = strchr(line, '\n');
		value = strchr(line, '=');
		if (!end || !value || value > end)
			return -EPROTO;
		*end = 0;
		*value++ = 0;
		ret = line_parse(line, value, record);
		if (ret < 0)
			return ret;
		seen |= ret;
	}
	return seen == (SEEN_HANDLE | SEEN_INSTANCE) ? 0 : -EPROTO;
}
