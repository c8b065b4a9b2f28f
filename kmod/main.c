// SPDX-License-Identifier: GPL-2.0-only
/* upcall - callbacks across processes, by handle: module, device, parameters. */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mmu_notifier.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/random.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>
#include "call.h"
#include "callback.h"
#include "fds.h"
#include "hook.h"
#include "limits.h"
#include "main.h"
#include "owner.h"
#include "peer.h"
#include "registry.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

struct workqueue_struct *upcall_wq;
u64 upcall_instance;

unsigned int upcall_max_callbacks = UPCALL_CAP_CALLBACKS;
unsigned int upcall_max_callbacks_user = UPCALL_CAP_CALLBACKS_USER;
unsigned int upcall_max_calls_user = UPCALL_CAP_CALLS_USER;
unsigned int upcall_max_bytes_user = UPCALL_CAP_BYTES_USER;
unsigned int upcall_max_payload = UPCALL_MAX_PAYLOAD;
unsigned int upcall_spin_us = UPCALL_SPIN_US;

/**
 * struct limit - A parameter that an administrator may set
 * @value: In force.
 * @cap: The most that it may be.
 * @least: The least.
 */
struct limit {
	unsigned int *value;
	unsigned int cap;
	unsigned int least;
};

static int limit_set(const char *text, const struct kernel_param *kp)
{
	const struct limit *limit = kp->arg;
	struct kernel_param value = { .arg = limit->value };

	return param_set_uint_minmax(text, &value, limit->least, limit->cap);
}

static int limit_get(char *text, const struct kernel_param *kp)
{
	const struct limit *limit = kp->arg;

	return sysfs_emit(text, "%u\n", READ_ONCE(*limit->value));
}

static const struct kernel_param_ops limit_ops = {
	.set = limit_set,
	.get = limit_get,
};

static struct limit callbacks = { &upcall_max_callbacks, UPCALL_CAP_CALLBACKS, 1 };
module_param_cb(max_callbacks, &limit_ops, &callbacks, 0644);
MODULE_PARM_DESC(max_callbacks, "Callbacks in all, 1 to 4194304");

static struct limit callbacks_user = { &upcall_max_callbacks_user, UPCALL_CAP_CALLBACKS_USER, 1 };
module_param_cb(max_callbacks_user, &limit_ops, &callbacks_user, 0644);
MODULE_PARM_DESC(max_callbacks_user, "Callbacks of one uid, 1 to 1048576");

static struct limit calls_user = { &upcall_max_calls_user, UPCALL_CAP_CALLS_USER, 1 };
module_param_cb(max_queued_calls_user, &limit_ops, &calls_user, 0644);
MODULE_PARM_DESC(max_queued_calls_user, "Calls under way by one uid, 1 to 65536");

static struct limit bytes_user = { &upcall_max_bytes_user, UPCALL_CAP_BYTES_USER, 1 };
module_param_cb(max_queued_bytes_user, &limit_ops, &bytes_user, 0644);
MODULE_PARM_DESC(max_queued_bytes_user,
		 "Bytes of arguments and reply room of those calls, 1 to 67108864");

static struct limit payload = { &upcall_max_payload, UPCALL_MAX_PAYLOAD, 1 };
module_param_cb(max_payload, &limit_ops, &payload, 0644);
MODULE_PARM_DESC(max_payload, "Bytes of one argument or reply, 1 to 1048576");

static struct limit spin = { &upcall_spin_us, UPCALL_CAP_SPIN_US, 0 };
module_param_cb(spin_us, &limit_ops, &spin, 0644);
MODULE_PARM_DESC(spin_us, "Microseconds to spin before sleeping, 0 (never) to 1000");

static int fop_open(struct inode *inode, struct file *file)
{
	file->private_data = upcall_peer_new();
	return file->private_data ? nonseekable_open(inode, file) : -ENOMEM;
}

static int fop_release(struct inode *inode, struct file *file)
{
	struct upcall_peer *peer = file->private_data;
	struct upcall_death death;

	upcall_owner_death(peer, UPCALL_REASON_CLOSED, &death);
	UPCALL_HOOK(closed);
	upcall_peer_kill(peer, &death);
	upcall_peer_close(peer);
	return 0;
}

static __poll_t fop_poll(struct file *file, poll_table *wait)
{
	return upcall_peer_poll(file->private_data, file, wait);
}

static void fop_show_fdinfo(struct seq_file *m, struct file *file)
{
	upcall_peer_show(file->private_data, m);
}

static const struct file_operations upcall_fops = {
	.owner = THIS_MODULE,
	.open = fop_open,
	.release = fop_release,
	.unlocked_ioctl = upcall_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = fop_poll,
	.show_fdinfo = fop_show_fdinfo,
};

static struct miscdevice upcall_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "upcall",
	.fops = &upcall_fops,
	.mode = 0666,	/* as FUSE's: opening it grants nothing */
};

static int __init upcall_init(void)
{
	int err;

	upcall_instance = get_random_u64();
	err = upcall_registry_init();
	if (err)
		return err;
	err = upcall_callback_init();
	if (err)
		goto out_registry;
	err = upcall_spare_init();
	if (err)
		goto out_callback;
	upcall_wq = alloc_workqueue("upcall", WQ_UNBOUND, 0);
	if (!upcall_wq) {
		err = -ENOMEM;
		goto out_call;
	}
	err = upcall_fds_init();
	if (err)
		goto out_wq;
	err = misc_register(&upcall_device);
	if (err)
		goto out_fds;
	return 0;

out_fds:
	upcall_fds_exit();
out_wq:
	destroy_workqueue(upcall_wq);
out_call:
	upcall_spare_exit();
out_callback:
	upcall_callback_exit();
out_registry:
	upcall_registry_exit();
	return err;
}

/* No file is open: what is left runs by itself, and is waited for in the order it needs. */
static void __exit upcall_exit(void)
{
	misc_deregister(&upcall_device);
	UPCALL_HOOK(exit);
	mmu_notifier_synchronize();	/* a release that still queues death work */
	destroy_workqueue(upcall_wq);	/* that work; puts peers, and so owners */
	upcall_fds_exit();		/* puts accounts */
	upcall_owner_exit();		/* free_notifier of those */
	rcu_barrier();			/* callbacks that wait to be freed */
	upcall_spare_exit();
	upcall_callback_exit();
	upcall_peer_exit();
	upcall_registry_exit();
}

module_init(upcall_init);
module_exit(upcall_exit);
MODULE_DESCRIPTION("Callbacks across processes, by handle");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1");
