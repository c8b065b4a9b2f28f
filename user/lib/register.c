// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Registration: options, and the pull shape's register, rebind, release.
 */
#include <stdlib.h>
#include <string.h>
#include "internal.h"

static const struct upcall_register register_defaults = {
	.size = sizeof(struct upcall_register),
	.access = UPCALL_ACCESS_SAME_USER,
	.max_arg = UPCALL_DEFAULT_MAX_ARG,
	.max_queued_calls = UPCALL_DEFAULT_QUEUED_CALLS,
	.max_queued_bytes = UPCALL_DEFAULT_QUEUED_BYTES,
};

int upcall_options_new(struct upcall_options **result)
{
	struct upcall_options *options = malloc(sizeof(*options));

	if (!options)
		return -ENOMEM;
	options->reg = register_defaults;
	*result = options;
	return 0;
}

void upcall_options_free(struct upcall_options *options)
{
	free(options);
}

int upcall_options_set_label(struct upcall_options *options, const char *label)
{
	size_t len = strlen(label);

	if (len > sizeof(options->reg.label))
		return -EINVAL;
	memset(options->reg.label, 0, sizeof(options->reg.label));
	memcpy(options->reg.label, label, len);
	return 0;
}

void upcall_options_set_access(struct upcall_options *options, uint32_t access, uint32_t id)
{
	options->reg.access = access;
	options->reg.access_id = id;
}

void upcall_options_set_signature(struct upcall_options *options, uint64_t signature)
{
	options->reg.flags |= UPCALL_REGISTER_SIGNATURE;
	options->reg.signature = signature;
}

static void options_set_flag(struct upcall_options *options, uint32_t flag, int on)
{
	options->reg.flags = on ? options->reg.flags | flag : options->reg.flags & ~flag;
}

void upcall_options_set_serial(struct upcall_options *options, int on)
{
	options_set_flag(options, UPCALL_REGISTER_SERIAL, on);
}

void upcall_options_set_autoend(struct upcall_options *options, int on)
{
	options_set_flag(options, UPCALL_REGISTER_AUTOEND, on);
}

void upcall_options_set_fds(struct upcall_options *options, int on)
{
	options_set_flag(options, UPCALL_REGISTER_FDS, on);
}

void upcall_options_set_unreferenced(struct upcall_options *options, int on)
{
	options_set_flag(options, UPCALL_REGISTER_UNREFERENCED, on);
}

void upcall_options_set_auto_release(struct upcall_options *options, int on)
{
	options_set_flag(options, UPCALL_REGISTER_AUTO_RELEASE, on);
}

void upcall_options_set_idempotent(struct upcall_options *options, int on)
{
	options_set_flag(options, UPCALL_REGISTER_IDEMPOTENT, on);
}

void upcall_options_set_word(struct upcall_options *options, uint64_t word)
{
	options->reg.word = word;
}

void upcall_options_set_limits(struct upcall_options *options, uint32_t max_arg,
			       uint32_t queued_calls, uint64_t queued_bytes)
{
	options->reg.max_arg = max_arg;
	options->reg.max_queued_calls = queued_calls;
	options->reg.max_queued_bytes = queued_bytes;
}

/* NULL: the defaults. */
void upcall_options_fill(const struct upcall_options *options, struct upcall_register *reg)
{
	*reg = options ? options->reg : register_defaults;
}

uint64_t upcall_signature(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++) {
		hash ^= (unsigned char)*text;
		hash *= 0x100000001b3u;
	}
	return hash ? hash : 1;
}

int upcall_register(struct upcall_peer *peer, const struct upcall_options *options,
		    uint64_t cookie, uint64_t *handle)
{
	struct upcall_register reg;
	int err;

	upcall_options_fill(options, &reg);
	reg.cookie = cookie;
	err = upcall_peer_control(peer, UPCALL_IOC_REGISTER, &reg);
	if (!err)
		*handle = reg.handle;
	return err;
}

int upcall_rebind(struct upcall_peer *peer, uint64_t handle, uint64_t cookie)
{
	struct upcall_rebind rebind = {
		.size = sizeof(rebind),
		.handle = handle,
		.cookie = cookie,
	};

	return upcall_peer_control(peer, UPCALL_IOC_REBIND, &rebind);
}

int upcall_release(struct upcall_peer *peer, uint64_t handle, uint32_t flags)
{
	struct upcall_release release = {
		.size = sizeof(release),
		.flags = flags,
		.handle = handle,
	};

	if (flags & ~UPCALL_RELEASE_ABORT)
		return -EINVAL;
	return upcall_peer_control(peer, UPCALL_IOC_RELEASE, &release);
}
