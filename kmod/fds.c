// SPDX-License-Identifier: GPL-2.0-only
/*
 * File descriptors from one process to the other: taken at the submit, installed at the
 * delivery, closed by a worker if there is none.
 *
 * Whoever drops a file here must not be held up by it: the last reference to one of a file
 * system in user space, say, waits for that. So neither callers nor owners drop any, but a
 * worker, one for each uid that sends some.
 */
#include <linux/err.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/llist.h>
#include <linux/magic.h>
#include <linux/net.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/upcall.h>
#include "compat.h"
#include "fds.h"
#include "hook.h"
#include "main.h"
#include "quota.h"

static struct workqueue_struct *close_wq;

/**
 * upcall_fds_init() - Make what closes files
 *
 * Return: 0 or -ENOMEM.
 */
int upcall_fds_init(void)
{
	close_wq = alloc_workqueue("upcall_close", WQ_UNBOUND, WQ_MAX_ACTIVE);
	return close_wq ? 0 : -ENOMEM;
}

/**
 * upcall_fds_exit() - Wait until the last file is closed
 *
 * Context: Module exit: nothing rides any more.
 */
void upcall_fds_exit(void)
{
	destroy_workqueue(close_wq);
}

/* At once: what fput() leaves to the kernel's worker all of the system waits for. */
static void fds_close(struct upcall_fds *fds)
{
	u32 i;

	for (i = 0; i < fds->count; i++)
		__fput_sync(fds->fd[i].file);
	kfree(fds);
}

static void closer_work(struct work_struct *work)
{
	struct upcall_closer *closer = container_of(work, struct upcall_closer, work);
	struct llist_node *first = llist_reverse_order(llist_del_all(&closer->fds));
	struct upcall_fds *fds, *next;

	llist_for_each_entry_safe(fds, next, first, closing) {
		fds_close(fds);
		cond_resched();
	}
	upcall_account_put(container_of(closer, struct upcall_account, closer));
}

/**
 * upcall_closer_init() - Make the closer of a new account
 * @closer: All zeros.
 */
void upcall_closer_init(struct upcall_closer *closer)
{
	init_llist_head(&closer->fds);
	INIT_WORK(&closer->work, closer_work);
}

static bool file_is_unix_socket(struct file *file)
{
	struct socket *sock = IS_ENABLED(CONFIG_NET) ? sock_from_file(file) : NULL;

	return sock && sock->ops && sock->ops->family == PF_UNIX;
}

/*
 * What tells an io_uring instance is not there for modules. Its name is: user space gives
 * no names to anonymous inodes.
 */
static bool file_is_io_uring(struct file *file)
{
	struct dentry *dentry = file->f_path.dentry;

	return dentry->d_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strcmp(dentry->d_name.name, "[io_uring]");
}

/* These can hold other files: a ring of them would hold itself for ever. */
static bool file_may_ride(struct file *file)
{
	return file->f_op->unlocked_ioctl != upcall_ioctl &&	/* a peer */
	       !file_is_unix_socket(file) && !file_is_io_uring(file);
}

static int fds_read(struct upcall_fds *fds, u32 count, const u32 __user *from)
{
	u32 i, number;

	for (i = 0; i < count; i++) {
		if (get_user(number, from + i))
			return -EFAULT;
		fds->fd[i].number = number;
	}
	return 0;
}

static int fds_get(struct upcall_fds *fds, u32 count)
{
	struct upcall_fd *fd;

	while (fds->count < count) {
		fd = &fds->fd[fds->count];
		fd->file = fget_raw(fd->number);
		if (!fd->file)
			return -EBADF;
		fd->number = -1;
		fds->count++;
	}
	return 0;
}

static int fds_check(const struct upcall_fds *fds)
{
	u32 i;

	for (i = 0; i < fds->count; i++) {
		if (!file_may_ride(fds->fd[i].file))
			return -EINVAL;
	}
	return 0;
}

static int fds_charge(struct upcall_fds *fds, struct upcall_account *payer, unsigned long limit)
{
	if (upcall_charge_within(payer, UPCALL_FDS, fds->count, limit))
		return -EMFILE;
	fds->payer = upcall_account_ref(payer);
	return 0;
}

/**
 * upcall_fds_take() - Take descriptors of the calling process, all or none
 * @from: User address of their numbers, as it stands in an ioctl's struct.
 * @count: How many, at most UPCALL_MAX_FDS.
 * @sender: The account of that process.
 * @payer: Who is charged for them as long as they ride.
 * @limit: How many @payer may have on their way.
 *
 * Context: Process context, may sleep and fault.
 * Return:
 * * files		- drop them with upcall_fds_free()
 * * NULL		- @count is 0
 * * ERR_PTR(-ENOMEM)	- out of memory
 * * ERR_PTR(-EFAULT)	- the numbers cannot be read
 * * ERR_PTR(-EBADF)	- one of them is not open
 * * ERR_PTR(-EINVAL)	- one of them may not ride
 * * ERR_PTR(-EMFILE)	- too many on their way
 */
struct upcall_fds *upcall_fds_take(u64 from, u32 count, struct upcall_account *sender,
				   struct upcall_account *payer, unsigned long limit)
{
	struct upcall_fds *fds;
	int err;

	if (!count)
		return NULL;
	fds = kmalloc(struct_size(fds, fd, count), GFP_KERNEL_ACCOUNT);
	if (!fds)
		return ERR_PTR(-ENOMEM);
	while (sender->parent)
		sender = sender->parent;
	fds->sender = upcall_account_ref(sender);
	fds->payer = NULL;
	fds->count = 0;
	err = fds_read(fds, count, u64_to_user_ptr(from));
	if (!err)
		err = fds_get(fds, count);
	if (!err)
		err = fds_check(fds);
	if (!err)
		err = fds_charge(fds, payer, limit);
	if (!err)
		return fds;
	upcall_fds_free(fds);
	return ERR_PTR(err);
}

static void fds_uncharge(struct upcall_fds *fds)
{
	if (!fds->payer)
		return;
	upcall_uncharge(fds->payer, UPCALL_FDS, fds->count);
	upcall_account_put(fds->payer);
}

/**
 * upcall_fds_move() - Charge another one for them
 * @fds: Or NULL.
 * @payer: Who cannot refuse.
 *
 * Context: Under the lock that protects @fds->payer.
 */
void upcall_fds_move(struct upcall_fds *fds, struct upcall_account *payer)
{
	if (!fds)
		return;
	upcall_charge_force(payer, UPCALL_FDS, fds->count);
	fds_uncharge(fds);
	fds->payer = upcall_account_ref(payer);
}

/**
 * upcall_fds_free() - They were delivered, or will not be
 * @fds: Or NULL. Not used by the caller any more.
 *
 * They do not count as on their way any more, so that whoever takes a call back can make it
 * again at once. They are closed a moment later.
 *
 * Context: Any context but hard interrupts; locks may be held.
 */
void upcall_fds_free(struct upcall_fds *fds)
{
	struct upcall_account *sender;

	if (!fds)
		return;
	fds_uncharge(fds);
	sender = fds->sender;
	/* The first one queues the work, which has our reference then. */
	if (llist_add(&fds->closing, &sender->closer.fds))
		queue_work(close_wq, &sender->closer.work);
	else
		upcall_account_put(sender);
}

/**
 * upcall_fds_drop() - upcall_fds_free(), and none are left
 * @fds: Where they hang; set to NULL.
 *
 * Context: As upcall_fds_free().
 */
void upcall_fds_drop(struct upcall_fds **fds)
{
	upcall_fds_free(*fds);
	*fds = NULL;
}

/**
 * upcall_fds_clear() - Write zeros where the numbers will go
 * @fds: Or NULL.
 * @to: As of upcall_fds_deliver().
 *
 * Most faults show here, before there is anything to undo.
 *
 * Context: Process context, may fault.
 * Return: 0 or -EFAULT.
 */
int upcall_fds_clear(const struct upcall_fds *fds, void __user *to)
{
	return clear_user(to, upcall_fds_count(fds) * sizeof(u32)) ? -EFAULT : 0;
}

/*
 * Whether the table has room for all of them, now. Who finds out file by file has to close
 * some again, in the calling process: that may block, and drops its locks on these files.
 */
static int fds_find_room(const struct upcall_fds *fds)
{
	int numbers[UPCALL_MAX_FDS], err = 0;
	u32 n;

	for (n = 0; n < fds->count; n++) {
		numbers[n] = get_unused_fd_flags(O_CLOEXEC);
		if (numbers[n] < 0) {
			err = -EMFILE;
			break;
		}
	}
	while (n--)
		put_unused_fd(numbers[n]);
	return err;
}

static int fds_install(struct upcall_fds *fds)
{
	u32 i;

	for (i = 0; i < fds->count; i++) {
		fds->fd[i].number = receive_fd(fds->fd[i].file, O_CLOEXEC);
		if (fds->fd[i].number < 0)
			return -EMFILE;
	}
	return 0;
}

static int fds_write(const struct upcall_fds *fds, u32 __user *to)
{
	u32 i;

	for (i = 0; i < fds->count; i++) {
		if (put_user(fds->fd[i].number, to + i))
			return -EFAULT;
	}
	return 0;
}

/**
 * upcall_fds_deliver() - Install them in the calling process, and write their numbers
 * @fds: Or NULL. In failure they are as before, and may be delivered again.
 * @to: User address; a multiple of 4 bytes is not asked for.
 *
 * Until they are freed upcall_fds_undeliver() takes them back.
 *
 * Context: Process context, may sleep and fault.
 * Return: 0, -EFAULT, or -EMFILE: the table is full, or a security module objects.
 */
int upcall_fds_deliver(struct upcall_fds *fds, void __user *to)
{
	int err;

	if (!fds)
		return 0;
	might_sleep();
	err = fds_find_room(fds);
	if (!err)
		err = fds_install(fds);
	UPCALL_HOOK(fds_installed);
	if (!err)
		err = fds_write(fds, to);
	if (err)
		upcall_fds_undeliver(fds);
	return err;
}

/* Another thread may have closed the number, and even have opened something else there. */
static void fd_close(const struct upcall_fd *fd)
{
	struct file *file = fget_raw(fd->number);

	if (file == fd->file)
		close_fd(fd->number);
	if (file)
		fput(file);
}

/**
 * upcall_fds_undeliver() - The delivery failed behind them: close what it installed
 * @fds: Or NULL. Delivered to the calling process, in part, or not at all.
 *
 * Context: Process context, may sleep.
 */
void upcall_fds_undeliver(struct upcall_fds *fds)
{
	u32 i;

	for (i = 0; i < upcall_fds_count(fds); i++) {
		if (fds->fd[i].number < 0)
			continue;
		fd_close(&fds->fd[i]);
		fds->fd[i].number = -1;
	}
}
