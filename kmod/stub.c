// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stub fds: a file that may call one callback, and nothing else.
 *
 * Who holds one may call, whoever that is: what counts is the file. A stub names its
 * callback, never the owner's file: so it can ride in a call, and keeps no peer open. The
 * calls that are made on it stand in a peer of its own, which is bound to no process and
 * owns nothing: it is the caller's side of a call, as any other.
 *
 * How many stubs of a callback are open is counted under the lock of the owner's peer:
 *
 *	EXPORT		count++, and an UNREFERENCED that waits is taken back
 *	last close	count--; at 0, as the callback was registered, UNREFERENCED is queued,
 *			or the callback retired in the same step
 *
 * An UNREFERENCED that is being copied out belongs to its receiver. If the last of new stubs is
 * closed meanwhile, @again has it queued once more behind.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include "callback.h"
#include "call.h"
#include "hook.h"
#include "main.h"
#include "peer.h"
#include "room.h"
#include "stub.h"

/**
 * struct stub - One stub fd
 * @cb: What it may call, referenced. Constant.
 * @peer: The caller's side of calls that are made on it. Constant.
 * @counted: In the number of open ones. Set before anybody can have the file.
 */
struct stub {
	struct upcall_callback *cb;
	struct upcall_peer *peer;
	bool counted;
};

static const struct file_operations stub_fops;

/* Makes what all stubs of a callback share, once. */
static int stubs_make(struct upcall_callback *cb)
{
	struct upcall_stubs *stubs;

	if (upcall_traffic_need(cb))
		return -ENOMEM;
	if (READ_ONCE(cb->traffic->stubs))
		return 0;
	stubs = kzalloc(sizeof(*stubs), GFP_KERNEL_ACCOUNT);
	if (!stubs)
		return -ENOMEM;
	stubs->cb = cb;
	upcall_event_node_init(&stubs->unreferenced, UPCALL_EVENT_UNREFERENCED);
	init_waitqueue_head(&stubs->wait);
	spin_lock(&cb->peer->lock);
	if (!cb->traffic->stubs) {
		/* Pairs with upcall_stub_wake(), which has no lock. */
		smp_store_release(&cb->traffic->stubs, stubs);
		stubs = NULL;
	}
	spin_unlock(&cb->peer->lock);
	kfree(stubs);
	return 0;
}

static struct stub *stub_new(struct upcall_callback *cb)
{
	struct stub *stub;

	if (stubs_make(cb))
		return NULL;
	stub = kzalloc(sizeof(*stub), GFP_KERNEL_ACCOUNT);
	if (!stub)
		return NULL;
	stub->peer = upcall_peer_new();
	if (!stub->peer) {
		kfree(stub);
		return NULL;
	}
	stub->peer->stub = true;
	refcount_inc(&cb->refs);
	stub->cb = cb;
	return stub;
}

/* Counts a stub whose file nobody has yet. */
static int stub_open(struct stub *stub)
{
	struct upcall_callback *cb = stub->cb;
	int err = 0;

	spin_lock(&cb->peer->lock);
	if (cb->state != UPCALL_CB_LIVE) {
		err = -ESTALE;
	} else {
		cb->traffic->stubs->count++;
		cb->traffic->stubs->again = false;
		upcall_event_node_drop(&cb->traffic->stubs->unreferenced);
		stub->counted = true;
	}
	spin_unlock(&cb->peer->lock);
	return err;
}

/* The last stub was closed: its owner wants to know. */
static void stubs_unreferenced_locked(struct upcall_callback *cb)
{
	struct upcall_event_node *node = &cb->traffic->stubs->unreferenced;

	if (node->taken) {
		cb->traffic->stubs->again = true;
	} else {
		upcall_event_node_queue(node, &cb->peer->events);
		upcall_peer_wake_locked(cb->peer, node->type);
	}
}

static void stub_close(struct stub *stub)
{
	const struct upcall_death death = {
		.reason = UPCALL_REASON_RELEASED,
		.when = ktime_get(),
	};
	struct upcall_callback *cb = stub->cb;
	bool retire = false;

	spin_lock(&cb->peer->lock);
	if (!--cb->traffic->stubs->count && cb->state == UPCALL_CB_LIVE) {
		if (cb->flags & UPCALL_REGISTER_UNREFERENCED)
			stubs_unreferenced_locked(cb);
		retire = cb->flags & UPCALL_REGISTER_AUTO_RELEASE;
		if (retire)
			upcall_callback_close_locked(cb, &death);
	}
	spin_unlock(&cb->peer->lock);
	if (retire)
		upcall_callback_retire_calls(cb, UPCALL_RETIRE_CLOSE);
}

static void stub_free(struct stub *stub)
{
	const struct upcall_death death = { .reason = UPCALL_REASON_CLOSED };

	if (stub->counted)
		stub_close(stub);
	upcall_peer_kill(stub->peer, &death);
	upcall_peer_put(stub->peer);
	upcall_callback_put(stub->cb);
	kfree(stub);
}

static int stub_fop_release(struct inode *inode, struct file *file)
{
	stub_free(file->private_data);
	return 0;
}

/*
 * A process that goes leaves no call behind on a stub that others go on using: what it was
 * interrupted in, and did not come back to.
 */
static int stub_fop_flush(struct file *file, fl_owner_t id)
{
	struct stub *stub = file->private_data;

	if (current->flags & PF_EXITING || current->in_execve)
		upcall_invoke_forget(stub->peer);
	return 0;
}

static __poll_t stub_fop_poll(struct file *file, poll_table *wait)
{
	struct stub *stub = file->private_data;
	struct upcall_ident *ident;
	__poll_t mask = 0;

	poll_wait(file, &stub->cb->traffic->stubs->wait, wait);
	poll_wait(file, &stub->peer->poll_wait, wait);
	if (READ_ONCE(stub->cb->state) != UPCALL_CB_LIVE)
		return EPOLLHUP | EPOLLERR;
	ident = upcall_peer_ident(stub->peer);
	/* Without memory to find out: a call tells. */
	if (!ident || upcall_refusal_ask(stub->peer, stub->cb, ident->account))
		mask = EPOLLOUT | EPOLLWRNORM;
	upcall_ident_put(ident);
	return mask;
}

static long stub_fop_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct stub *stub = file->private_data;

	return upcall_stub_ioctl(stub->peer, stub->cb, cmd, arg);
}

static void stub_fop_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct stub *stub = file->private_data;

	seq_printf(m, "upcall-stub:\t%llu\n", stub->cb->handle);
	seq_printf(m, "upcall-state:\t%s\n",
		   READ_ONCE(stub->cb->state) == UPCALL_CB_LIVE ? "live" : "dead");
}

static const struct file_operations stub_fops = {
	.owner = THIS_MODULE,
	.release = stub_fop_release,
	.flush = stub_fop_flush,
	.unlocked_ioctl = stub_fop_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = stub_fop_poll,
	.show_fdinfo = stub_fop_show_fdinfo,
};

/*
 * Reserve a number, tell it, make the file, count it, install it: what is installed cannot be
 * taken back, so nothing fails behind that.
 */
static int stub_install(struct upcall_callback *cb, u32 __user *user)
{
	struct stub *stub = stub_new(cb);
	struct file *file;
	int number, err;

	if (!stub)
		return -ENOMEM;
	number = get_unused_fd_flags(O_CLOEXEC);
	if (number < 0) {
		err = number;
		goto out_stub;
	}
	err = put_user(number, user);
	if (err)
		goto out_number;
	UPCALL_HOOK(exporting);
	file = anon_inode_getfile("[upcall-stub]", &stub_fops, stub, O_RDWR);
	if (IS_ERR(file)) {
		err = PTR_ERR(file);
		goto out_number;
	}
	err = stub_open(stub);
	if (err) {
		put_unused_fd(number);
		fput(file);	/* frees the stub */
		return err;
	}
	fd_install(number, file);
	return 0;

out_number:
	put_unused_fd(number);
out_stub:
	stub_free(stub);
	return err;
}

/**
 * upcall_stub_export() - EXPORT: a stub fd in the calling process
 * @peer: The owner's.
 * @handle: As given by a process.
 * @number: Where the number of the descriptor is to be written. May have been in failure, too.
 *
 * Context: Process context, may sleep.
 * Return: 0, or an error of EXPORT.
 */
int upcall_stub_export(struct upcall_peer *peer, u64 handle, u32 __user *number)
{
	struct upcall_callback *cb = upcall_callback_get_own(peer, handle);
	int err;

	if (IS_ERR(cb))
		return PTR_ERR(cb);
	/* A first look, for the order of errors. */
	err = READ_ONCE(cb->state) == UPCALL_CB_LIVE ? stub_install(cb, number) : -ESTALE;
	upcall_callback_put(cb);
	return err;
}

/**
 * upcall_stub_callback_get() - What the stub behind a descriptor of the calling process may call
 * @number: As given by a process.
 *
 * Context: Process context.
 * Return: The callback, live or not, referenced. ERR_PTR(-EBADF): not open; ERR_PTR(-EINVAL): no
 *	stub.
 */
struct upcall_callback *upcall_stub_callback_get(u64 number)
{
	struct upcall_callback *cb = ERR_PTR(-EINVAL);
	struct file *file;

	if (number > INT_MAX)
		return ERR_PTR(-EBADF);
	file = fget(number);
	if (!file)
		return ERR_PTR(-EBADF);
	if (file->f_op == &stub_fops) {
		cb = ((struct stub *)file->private_data)->cb;
		refcount_inc(&cb->refs);
	}
	fput(file);
	return cb;
}

/**
 * upcall_stub_closing_locked() - A callback ceases to be live: no UNREFERENCED any more
 * @cb: Any. upcall_stub_wake() is to follow, without the lock.
 *
 * Context: Under the lock of its peer.
 */
void upcall_stub_closing_locked(struct upcall_callback *cb)
{
	lockdep_assert_held(&cb->peer->lock);
	if (!cb->traffic || !cb->traffic->stubs)
		return;
	cb->traffic->stubs->again = false;
	upcall_event_node_drop(&cb->traffic->stubs->unreferenced);
}

/**
 * upcall_stub_wake() - A callback is not live any more: tell who polls its stubs
 * @cb: Referenced by the caller.
 *
 * Context: Process context.
 */
void upcall_stub_wake(struct upcall_callback *cb)
{
	/* Set before it was last live, if ever: EXPORT makes it under the lock, then looks. */
	struct upcall_traffic *traffic = READ_ONCE(cb->traffic);
	struct upcall_stubs *stubs = traffic ? READ_ONCE(traffic->stubs) : NULL;

	if (stubs)
		wake_up_interruptible_poll(&stubs->wait, EPOLLHUP | EPOLLERR);
}

/**
 * upcall_stub_count_locked() - How many stubs of a callback are open
 * @cb: Any.
 *
 * Context: Under the lock of its peer.
 * Return: That.
 */
u32 upcall_stub_count_locked(const struct upcall_callback *cb)
{
	lockdep_assert_held(&cb->peer->lock);
	return cb->traffic && cb->traffic->stubs ? cb->traffic->stubs->count : 0;
}

/**
 * upcall_stub_returned_locked() - An UNREFERENCED could not be copied out
 * @cb: Whose. The event is in no list, and not taken any more.
 *
 * Context: Under the lock of its peer.
 * Return: True if it is to wait again: it is still so, or is so again.
 */
bool upcall_stub_returned_locked(struct upcall_callback *cb)
{
	lockdep_assert_held(&cb->peer->lock);
	cb->traffic->stubs->again = false;
	return cb->state == UPCALL_CB_LIVE && !cb->traffic->stubs->count;
}

/**
 * upcall_stub_told() - An UNREFERENCED was received
 * @cb: Whose. The event is in no list. RELEASED may come from now on.
 *
 * Context: Process context.
 */
void upcall_stub_told(struct upcall_callback *cb)
{
	struct upcall_stubs *stubs = cb->traffic->stubs;

	spin_lock(&cb->peer->lock);
	stubs->unreferenced.taken = false;
	if (stubs->again && !stubs->count)
		stubs_unreferenced_locked(cb);
	stubs->again = false;
	upcall_callback_cancelled_locked(cb);
	spin_unlock(&cb->peer->lock);
}
