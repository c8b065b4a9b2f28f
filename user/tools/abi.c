// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the library has no words for yet: flags of REGISTER and of INVOKE, on the
 * descriptor of its peer.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "tool.h"

/**
 * abi_register() - upcall_register(), with flags
 * @peer: Its owner.
 * @reg: Filled, but for the size; the handle is set on success.
 *
 * Return: 0 or -errno, as of UPCALL_IOC_REGISTER.
 */
int abi_register(struct upcall_peer *peer, struct upcall_register *reg)
{
	reg->size = sizeof(*reg);
	return ioctl(upcall_fd(peer), UPCALL_IOC_REGISTER, reg) ? -errno : 0;
}

/**
 * abi_notify() - upcall_call_notify(), with flags
 * @load: Whom, and with what; its @latest and @wait_room are the flags.
 * @deadline: As the library takes it.
 *
 * Return: 0 it is queued; or -errno, as of UPCALL_IOC_INVOKE: it was not.
 */
int abi_notify(const struct load *load, uint64_t deadline)
{
	bool has_deadline = deadline != UPCALL_NO_DEADLINE;
	struct upcall_invoke args = {
		.size = sizeof(args),
		.flags = UPCALL_INVOKE_ONEWAY |
			 (has_deadline ? 0 : UPCALL_INVOKE_NO_DEADLINE) |
			 (load->has_signature ? UPCALL_INVOKE_SIGNATURE : 0) |
			 (load->latest ? UPCALL_INVOKE_LATEST : 0) |
			 (load->wait_room ? UPCALL_INVOKE_WAIT_ROOM : 0),
		.target = load->handle,
		.deadline_ns = has_deadline ? deadline : 0,
		.arg = (uintptr_t)load->arg,
		.arg_len = load->len,
		.op = load->op,
		.signature = load->has_signature ? load->signature : 0,
	};

	return ioctl(upcall_fd(load->peer), UPCALL_IOC_INVOKE, &args) ? -errno : 0;
}
