// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* Whom a command means: a handle, or a name that stands for one. */
#include <errno.h>

#include "tool.h"

/**
 * target_is_handle() - Whether a word is a handle
 * @text: As typed. Every word that is a number is one.
 * @handle: Set if it is.
 *
 * Return: false if it must be a name.
 */
bool target_is_handle(const char *text, uint64_t *handle)
{
	int err = text_parse_number(text, handle);

	if (err == -ERANGE)
		tool_die(EXIT_USAGE, "%s: no handle is that large", text);
	return !err;
}

/**
 * target_handle() - The handle that is meant
 * @peer: Any peer.
 * @text: As typed: NAME or HANDLE.
 *
 * Return: the handle, dead or alive; dies if the name stands for none.
 */
uint64_t target_handle(struct upcall_peer *peer, const char *text)
{
	uint64_t handle;
	int err;

	if (target_is_handle(text, &handle))
		return handle;
	err = upcall_lookup(peer, text, &handle);
	if (err)
		tool_die(EXIT_NO, "%s: %s (%s)", text_escape(text, SIZE_MAX).s,
			 upcall_errname(err), target_error(err));
	return handle;
}

/**
 * target_error() - What it means that a name was not found
 * @err: As upcall_lookup() gave it.
 *
 * Return: a constant text.
 */
const char *target_error(int err)
{
	switch (-err) {
	case EINVAL:
		return "no name: those are 1 to 64 of A-Z a-z 0-9 . _ - with no dot in front";
	case ENOENT:
		return "nothing is published under this name";
	case ESTALE:
		return "published before the module was loaded: its handle is dead";
	case EPROTO:
		return "the file of this name is not one of upcall's";
	case EACCES:
		return "it belongs to another user than the one required, or its name cannot be read";
	default:
		return upcall_strerror(err);
	}
}
