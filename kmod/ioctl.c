// SPDX-License-Identifier: GPL-2.0-only
/*
 * One function per command: size and flags, copy in, one call into the noun, copy out.
 * No locks here. The uapi header says which errors come in which order.
 */
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/uaccess.h>
#include <linux/upcall.h>
#include <linux/user_namespace.h>
#include "access.h"
#include "args.h"
#include "call.h"
#include "callback.h"
#include "exchange.h"
#include "limits.h"
#include "main.h"
#include "peer.h"
#include "stub.h"
#include "submit.h"
#include "trace.h"

/* What a version 1 struct of each kind measures; never changes. */
static_assert(sizeof(struct upcall_info) == 72);
static_assert(sizeof(struct upcall_register) == 80);
static_assert(sizeof(struct upcall_rebind) == 32);
static_assert(sizeof(struct upcall_release) == 24);
static_assert(sizeof(struct upcall_stat) == 208);
static_assert(sizeof(struct upcall_list) == 40);
static_assert(sizeof(struct upcall_list_callback) == 112);
static_assert(sizeof(struct upcall_list_peer) == 40);
static_assert(sizeof(struct upcall_list_call) == 96);
static_assert(sizeof(struct upcall_list_user) == 32);
static_assert(sizeof(struct upcall_export) == 24);
static_assert(sizeof(struct upcall_invoke) == 176);
static_assert(sizeof(struct upcall_exchange) == 80);
static_assert(sizeof(struct upcall_command) == 104);
static_assert(sizeof(struct upcall_event) == 24);
static_assert(sizeof(struct upcall_event_call) == 112);
static_assert(sizeof(struct upcall_event_result) == 112);
static_assert(sizeof(struct upcall_event_cancel) == 40);
static_assert(sizeof(struct upcall_shutdown) == 16);
static_assert(sizeof(struct upcall_adopt) == 24);
static_assert(sizeof(struct upcall_config) == 24);

/* What INFO announces; each bit is worked for by the tests of that feature. */
#define FEATURES	(UPCALL_FEATURE_SYNC | UPCALL_FEATURE_ONEWAY | UPCALL_FEATURE_CANCEL | \
			 UPCALL_FEATURE_ASYNC | UPCALL_FEATURE_NOTIFY | UPCALL_FEATURE_AUTOEND | \
			 UPCALL_FEATURE_SERIAL | UPCALL_FEATURE_NESTED | \
			 UPCALL_FEATURE_WAIT_ROOM | UPCALL_FEATURE_FDS | UPCALL_FEATURE_STUB | \
			 UPCALL_FEATURE_ADOPT)

/**
 * upcall_ioctl_info() - INFO, on a peer and on a stub fd
 * @user: User address of its struct.
 *
 * Context: Process context.
 * Return: 0 or an error of INFO.
 */
long upcall_ioctl_info(void __user *user)
{
	struct upcall_info args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (err)
		return err;
	if (args.flags || args.reserved)
		return -EINVAL;
	args.abi_version = UPCALL_ABI_VERSION;
	args.features = FEATURES;
	args.instance = upcall_instance;
	args.max_callbacks = READ_ONCE(upcall_max_callbacks);
	args.max_callbacks_user = READ_ONCE(upcall_max_callbacks_user);
	args.max_payload = READ_ONCE(upcall_max_payload);
	args.max_queued_calls = UPCALL_MAX_QUEUED_CALLS;
	args.max_queued_calls_user = READ_ONCE(upcall_max_calls_user);
	args.max_commands = UPCALL_MAX_COMMANDS;
	args.max_queued_bytes_user = READ_ONCE(upcall_max_bytes_user);
	args.max_fds = UPCALL_MAX_FDS;
	args.max_nesting = UPCALL_MAX_NESTING;
	return upcall_args_write(user, usize, &args, sizeof(args));
}

/* What this version builds: the others are EINVAL until they are in INFO's features. */
#define REGISTER_FLAGS	(UPCALL_REGISTER_SIGNATURE | UPCALL_REGISTER_AUTOEND | \
			 UPCALL_REGISTER_SERIAL | UPCALL_REGISTER_IDEMPOTENT | \
			 UPCALL_REGISTER_UNREFERENCED | UPCALL_REGISTER_AUTO_RELEASE | \
			 UPCALL_REGISTER_FDS)
#define REBIND_FLAGS	UPCALL_REBIND_WORD
#define RELEASE_FLAGS	(UPCALL_RELEASE_ABORT | UPCALL_RELEASE_WORD)

/* Each byte the same. */
#define BYTES(byte)	(0x0101010101010101ULL * (byte))

/* The lowest bit that is set stands in the first byte of @word that is zero. */
static u64 word_zeros(u64 word)
{
	return (word - BYTES(1)) & ~word & BYTES(0x80);
}

/* Behind the first zero there is nothing else. */
static bool word_is_padded(u64 word)
{
	u64 zeros = word_zeros(word);

	return !zeros || !(word >> (__ffs64(zeros) & ~7));
}

static bool label_is_padded(const char *label)
{
	const __le64 *words = (const __le64 *)label;
	u64 front = le64_to_cpu(words[0]), back = le64_to_cpu(words[1]);

	static_assert(UPCALL_MAX_LABEL == 16 && !(offsetof(struct upcall_register, label) % 8));
	return word_zeros(front) ? word_is_padded(front) && !back : word_is_padded(back);
}

static int register_check(const struct upcall_register *args)
{
	if (args->flags & ~REGISTER_FLAGS)
		return -EINVAL;
	if (args->signature && !(args->flags & UPCALL_REGISTER_SIGNATURE))
		return -EINVAL;
	if (args->flags & UPCALL_REGISTER_AUTOEND && args->flags & UPCALL_REGISTER_SERIAL)
		return -EINVAL;
	if (args->flags & UPCALL_REGISTER_UNREFERENCED &&
	    args->flags & UPCALL_REGISTER_AUTO_RELEASE)
		return -EINVAL;
	if (!upcall_access_is_valid(args))
		return -EINVAL;
	if (args->max_arg > READ_ONCE(upcall_max_payload) || !args->max_queued_calls ||
	    args->max_queued_calls > UPCALL_MAX_QUEUED_CALLS)
		return -EINVAL;
	if (args->max_queued_bytes < args->max_arg ||
	    args->max_queued_bytes > (u64)UPCALL_MAX_QUEUED_CALLS * UPCALL_MAX_PAYLOAD)
		return -EINVAL;
	return label_is_padded(args->label) ? 0 : -EINVAL;
}

/**
 * upcall_rebind_check() - Whether the members of a REBIND make sense
 * @args: As copied in.
 *
 * Context: Any context.
 * Return: 0 or -EINVAL.
 */
int upcall_rebind_check(const struct upcall_rebind *args)
{
	if (args->flags & ~REBIND_FLAGS)
		return -EINVAL;
	return args->word && !(args->flags & UPCALL_REBIND_WORD) ? -EINVAL : 0;
}

/**
 * upcall_release_check() - Whether the members of a RELEASE make sense
 * @args: As copied in.
 *
 * Context: Any context.
 * Return: 0 or -EINVAL.
 */
int upcall_release_check(const struct upcall_release *args)
{
	if (args->flags & ~RELEASE_FLAGS)
		return -EINVAL;
	return args->word && !(args->flags & UPCALL_RELEASE_WORD) ? -EINVAL : 0;
}

static long ioctl_register(struct upcall_peer *peer, void __user *user)
{
	size_t out = offsetof(struct upcall_register, handle);
	struct upcall_register args __uninitialized;
	u32 usize;
	int err;

	err = upcall_args_read_words(&args, sizeof(args), out, user, &usize);
	if (!err)
		err = register_check(&args);
	if (!err)
		err = upcall_peer_bind(peer);
	if (err)
		return err;
	return upcall_callback_register(peer, &args, user + out);
}

static long ioctl_rebind(struct upcall_peer *peer, void __user *user)
{
	struct upcall_rebind args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (!err)
		err = upcall_rebind_check(&args);
	if (!err)
		err = upcall_peer_bind(peer);
	if (err)
		return err;
	return upcall_callback_rebind(peer, args.handle, args.flags, args.cookie, args.word);
}

static long ioctl_release(struct upcall_peer *peer, void __user *user)
{
	struct upcall_release args __uninitialized;
	u32 usize;
	int err;

	err = upcall_args_read_words(&args, sizeof(args), sizeof(args), user, &usize);
	if (!err)
		err = upcall_release_check(&args);
	if (!err)
		err = upcall_peer_bind(peer);
	if (err)
		return err;
	return upcall_callback_release(peer, args.handle, args.flags, args.word);
}

static long ioctl_stat(struct upcall_peer *peer, void __user *user)
{
	size_t out = offsetof(struct upcall_stat, state);
	struct upcall_stat args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (!err && args.flags)
		err = -EINVAL;
	if (!err)
		err = upcall_peer_bind(peer);
	if (err)
		return err;
	memset((char *)&args + out, 0, sizeof(args) - out);
	err = upcall_callback_stat(peer, &args);
	return err ?: upcall_args_write(user, usize, &args, sizeof(args));
}

static long ioctl_list(struct upcall_peer *peer, void __user *user)
{
	struct upcall_list args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (!err)
		err = upcall_list_check(&args);
	if (!err)
		err = upcall_peer_bind(peer);
	if (err)
		return err;
	args.count = 0;
	err = upcall_list(&args);
	if (err && err != -ERESTARTSYS)	/* the cursor has moved: a restart goes on */
		return err;
	return upcall_args_write(user, usize, &args, sizeof(args)) ?: err;
}

static long ioctl_export(struct upcall_peer *peer, void __user *user)
{
	struct upcall_export args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (err)
		return err;
	if (args.flags || args.reserved)
		return -EINVAL;
	err = upcall_peer_bind(peer);
	if (err)
		return err;
	return upcall_stub_export(peer, args.handle, user + offsetof(struct upcall_export, fd));
}

static long ioctl_invoke(struct upcall_peer *peer, void __user *user)
{
	size_t out = offsetof(struct upcall_invoke, stage);
	struct upcall_submit submit __uninitialized;
	struct upcall_invoke *args = &submit.args;
	u32 usize;
	int err;

	memset((char *)&submit + sizeof(*args), 0, sizeof(submit) - sizeof(*args));
	err = upcall_args_read_words(args, sizeof(*args), out, user, &usize);
	if (err)
		return err;
	err = upcall_submit_check(args);
	if (!err)
		err = upcall_peer_bind(peer);
	if (err == -ERESTARTNOINTR)
		return err;	/* nothing has happened */
	memset((char *)args + out, 0, sizeof(*args) - out);
	return err ? upcall_invoke_refuse(peer, args, user, usize, err)
		   : upcall_invoke(peer, &submit, user, usize);
}

static long ioctl_exchange(struct upcall_peer *peer, void __user *user)
{
	size_t out = offsetof(struct upcall_exchange, commands_failed);
	struct upcall_exchange args __uninitialized;
	u32 usize;
	int err;

	err = upcall_args_read_words(&args, sizeof(args), sizeof(args), user, &usize);
	if (!err)
		err = upcall_exchange_check(&args);
	if (!err)
		err = upcall_peer_bind(peer);
	if (err)
		return err;
	memset((char *)&args + out, 0, sizeof(args) - out);
	return upcall_exchange(peer, &args, user, usize);
}

static long ioctl_shutdown(struct upcall_peer *peer, void __user *user)
{
	struct upcall_shutdown args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (err)
		return err;
	if (args.flags & ~UPCALL_SHUTDOWN_WORD ||
	    (args.word && !(args.flags & UPCALL_SHUTDOWN_WORD)))
		return -EINVAL;
	err = upcall_peer_bind(peer);
	return err ?: upcall_peer_shutdown(peer, args.flags, args.word);
}

static int config_check(const struct upcall_config *args)
{
	if (args->flags & ~(UPCALL_CONFIG_ONE_THREAD | UPCALL_CONFIG_ADOPTABLE) || args->events)
		return -EINVAL;
	if (!(args->flags & UPCALL_CONFIG_ADOPTABLE))
		return args->orphan_ns ? -EINVAL : 0;
	return !args->orphan_ns || args->orphan_ns > UPCALL_MAX_ORPHAN_NS ? -EINVAL : 0;
}

static long ioctl_config(struct upcall_peer *peer, void __user *user)
{
	struct upcall_config args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (!err)
		err = config_check(&args);
	if (!err)
		err = upcall_peer_bind(peer);
	if (!err)
		upcall_peer_config(peer, args.flags, args.orphan_ns);
	return err;
}

static long ioctl_adopt(struct upcall_peer *peer, void __user *user)
{
	struct upcall_adopt args;
	u32 usize;
	int err;

	err = upcall_args_read(&args, sizeof(args), user, &usize);
	if (err)
		return err;
	if (args.flags || args.reserved)
		return -EINVAL;
	err = upcall_adopt(peer, &args);
	return err ?: upcall_args_write(user, usize, &args, sizeof(args));
}

/**
 * upcall_ioctl() - ioctl(2) on a peer, of 64- and 32-bit processes alike
 * @file: Its file.
 * @cmd: UPCALL_IOC_*.
 * @arg: User address of the command's struct.
 *
 * Context: Process context, may sleep.
 * Return: 0 or an error of the command.
 */
long upcall_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct upcall_peer *peer = file->private_data;
	void __user *user = (void __user *)arg;

	if (likely(cmd == UPCALL_IOC_EXCHANGE))
		return ioctl_exchange(peer, user);
	switch (cmd) {
	case UPCALL_IOC_INFO:
		return upcall_ioctl_info(user);
	case UPCALL_IOC_REGISTER:
		return ioctl_register(peer, user);
	case UPCALL_IOC_REBIND:
		return ioctl_rebind(peer, user);
	case UPCALL_IOC_RELEASE:
		return ioctl_release(peer, user);
	case UPCALL_IOC_STAT:
		return ioctl_stat(peer, user);
	case UPCALL_IOC_LIST:
		return ioctl_list(peer, user);
	case UPCALL_IOC_EXPORT:
		return ioctl_export(peer, user);
	case UPCALL_IOC_INVOKE:
		return ioctl_invoke(peer, user);
	case UPCALL_IOC_SHUTDOWN:
		return ioctl_shutdown(peer, user);
	case UPCALL_IOC_ADOPT:
		return ioctl_adopt(peer, user);
	case UPCALL_IOC_CONFIG:
		return ioctl_config(peer, user);
	default:
		return -ENOTTY;
	}
}
