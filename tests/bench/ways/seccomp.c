// SPDX-License-Identifier: GPL-2.0-only
/*
 * A system call that a seccomp filter hands to another process. Its arguments are the data.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "../bench.h"

/* Of no use to anybody else here. */
#define HANDED_OVER	SYS_sysfs

/* What both sides see. */
struct pair {
	pid_t caller;
	int listener;
};

static void setup(struct run *run)
{
	((struct pair *)run->shared)->caller = getpid();
}

static int listener_of(const struct pair *pair)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pair->caller, 0);

	must(pidfd);
	while (!__atomic_load_n(&pair->listener, __ATOMIC_ACQUIRE))
		usleep(1000);
	return (int)syscall(SYS_pidfd_getfd, pidfd, pair->listener, 0);
}

static void serve(struct run *run)
{
	struct seccomp_notif request;
	struct seccomp_notif_resp response = { 0 };
	int fd;

	serving(run);
	must(fd = listener_of((struct pair *)run->shared));
	for (;;) {
		memset(&request, 0, sizeof(request));
		must(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request));
		response.id = request.id;
		response.val = (int64_t)(2 * request.data.args[0]);
		must(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &response));
	}
}

static void connect_caller(struct run *run)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, HANDED_OVER, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };
	struct pair *pair = (struct pair *)run->shared;
	int fd;

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	must(fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
			       SECCOMP_FILTER_FLAG_NEW_LISTENER, &program));
	__atomic_store_n(&pair->listener, fd, __ATOMIC_RELEASE);
}

static uint64_t call(struct run *run)
{
	uint64_t word;

	memcpy(&word, run->arg, sizeof(word));
	return (uint64_t)syscall(HANDED_OVER, word, 0, 0);
}

const struct way way_seccomp = {
	.name = "seccomp", .max = 8,
	.setup = setup, .serve = serve, .connect = connect_caller, .call = call,
};
