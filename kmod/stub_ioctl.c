// SPDX-License-Identifier: GPL-2.0-only
/* The commands of a stub fd. As in ioctl.c: no locks here. */
#include <linux/upcall.h>
#include "args.h"
#include "call.h"
#include "callback.h"
#include "peer.h"
#include "stub.h"
#include "submit.h"

static long stub_stat(struct upcall_callback *cb, void __user *user)
{
	size_t out = offsetof(struct upcall_stat, state);
	struct upcall_stat args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (err)
		return err;
	if (args.flags || args.handle)
		return -EINVAL;
	memset((char *)&args + out, 0, sizeof(args) - out);
	upcall_callback_stat_stub(cb, &args);
	return upcall_args_write(user, usize, &args, sizeof(args));
}

static int stub_invoke_check(const struct upcall_invoke *args)
{
	if (args->flags & UPCALL_INVOKE_STUB_FD)
		return -EINVAL;
	/* No reply with descriptors is kept here: that stub might be one of them. */
	if (!args->call_id && args->reply_fd_room && args->reply_max != args->reply_room)
		return -EINVAL;
	return args->target && !args->call_id ? -EINVAL : 0;
}

static long stub_invoke(struct upcall_peer *peer, struct upcall_callback *cb, void __user *user)
{
	size_t out = offsetof(struct upcall_invoke, stage);
	struct upcall_submit submit = { .stub = cb };
	struct upcall_invoke *args = &submit.args;
	u32 usize;
	int err;

	err = upcall_args_read(args, sizeof(*args), user, &usize);
	if (err)
		return err;
	err = stub_invoke_check(args) ?: upcall_submit_check(args);
	args->target = cb->handle;
	memset((char *)args + out, 0, sizeof(*args) - out);
	return err ? upcall_invoke_refuse(peer, args, user, usize, err)
		   : upcall_invoke(peer, &submit, user, usize);
}

/**
 * upcall_stub_ioctl() - ioctl(2) on a stub fd
 * @peer: The caller's side of calls that are made on it.
 * @cb: What it may call.
 * @cmd: UPCALL_IOC_*.
 * @arg: User address of the command's struct.
 *
 * Context: Process context, may sleep.
 * Return: 0 or an error of the command.
 */
long upcall_stub_ioctl(struct upcall_peer *peer, struct upcall_callback *cb, unsigned int cmd,
		       unsigned long arg)
{
	void __user *user = (void __user *)arg;

	switch (cmd) {
	case UPCALL_IOC_INFO:
		return upcall_ioctl_info(user);
	case UPCALL_IOC_STAT:
		return stub_stat(cb, user);
	case UPCALL_IOC_INVOKE:
		return stub_invoke(peer, cb, user);
	default:
		return -ENOTTY;
	}
}
