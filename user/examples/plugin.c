// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * A plugin in a sandbox, run by plugin_host.c: plugin PEER STUB. Before it looks at anything it
 * gives up all files, all privileges and nearly all system calls; the two descriptors that it
 * inherited are enough to be called, to call, and to hand out stubs of its own.
 *
 * It counts the words of each line. One that begins with "open" has it try to open a file.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <upcall.h>
#include "plugin.h"

#if defined(__x86_64__)
#define ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH	AUDIT_ARCH_AARCH64
#else
#define ARCH	0	/* none: say here what yours is called, and the filter lets you in */
#endif

#define NOBODY	65534

#define LOAD(member) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define ALLOW(name) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##name, 0, 1), \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define DENY \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

/* No way to get a descriptor but from the host; ioctl() only of the kind that peers and stubs have. */
static void filter_calls(void)
{
	static struct sock_filter filter[] = {
		LOAD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCH, 1, 0),
		DENY,
		LOAD(nr),
		ALLOW(read), ALLOW(write), ALLOW(close), ALLOW(exit), ALLOW(exit_group),
		ALLOW(futex), ALLOW(clock_gettime), ALLOW(rt_sigreturn), ALLOW(restart_syscall),
		ALLOW(mmap), ALLOW(munmap), ALLOW(mremap), ALLOW(brk), ALLOW(madvise),
		ALLOW(getrandom),	/* malloc() */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 1, 0),
		DENY,
		LOAD(args[1]),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, ~0xffU),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UPCALL_IOC_MAGIC << 8, 1, 0),
		DENY,
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		err(1, "seccomp");
}

/* Only root may chroot: others are that in a user namespace of their own, and nothing outside. */
static void enter_sandbox(void)
{
	char folder[] = "/tmp/plugin.XXXXXX";
	bool root = geteuid() == 0;

	/* One that is removed already stays empty for ever */
	if (!mkdtemp(folder) || chdir(folder) || rmdir(folder))
		err(1, "%s", folder);
	if (!root && unshare(CLONE_NEWUSER))
		err(1, "user namespace");
	if (chroot("."))
		err(1, "chroot");
	if (root && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
		     setresuid(NOBODY, NOBODY, NOBODY)))
		err(1, "another user");
	filter_calls();
}

struct plugin {
	struct upcall_peer *peer;	/* inherited, ours by its first use */
	struct upcall_call *host;	/* calls through the stub that was inherited */
};

static int count_words(struct upcall_incoming *call, void *user)
{
	const char *text = upcall_incoming_data(call);
	size_t len = upcall_incoming_len(call), words = 0;
	struct plugin *plugin = user;
	char answer[32];
	int ret;

	if (upcall_incoming_op(call) != PLUGIN_LINE) {
		upcall_refuse(call, ENOSYS);
		return 0;
	}
	if (len >= 4 && !memcmp(text, "open", 4) && open("/etc/passwd", O_RDONLY) < 0)
		return 1;	/* not reached: the filter kills */
	for (size_t i = 0; i < len; i++)
		words += text[i] != ' ' && (i == 0 || text[i - 1] == ' ');
	snprintf(answer, sizeof(answer), "%zu words", words);
	ret = upcall_call_invoke(plugin->host, 0, HOST_SAY, answer, strlen(answer),
				 UPCALL_NO_DEADLINE);	/* but that of the call we run for */
	return ret < 0;
}

/* The host has closed its stub, or is dead: nobody can call us any more. */
static void end(struct upcall_callback *callback, void *user)
{
	struct plugin *plugin = user;

	(void)callback;
	upcall_stop(plugin->peer);
}

static void subscribe(struct plugin *plugin, struct upcall_callback *callback)
{
	int ret, stub = -1;

	ret = upcall_callback_export(callback, &stub);
	if (ret < 0)
		errx(1, "export: %s", upcall_strerror(ret));
	upcall_call_set_fds(plugin->host, &stub, 1);
	ret = upcall_call_invoke(plugin->host, 0, HOST_SUBSCRIBE, NULL, 0,
				 upcall_deadline_in(PLUGIN_PATIENCE));
	if (ret < 0)
		errx(1, "subscribe: %s", upcall_strerror(ret));
	close(stub);	/* the host has its own now */
}

int main(int argc, char **argv)
{
	struct upcall_callback *callback;
	struct upcall_options *options;
	struct plugin plugin;
	int ret;

	if (argc != 3)
		errx(2, "usage: plugin PEER STUB, which plugin_host does");
	enter_sandbox();
	ret = upcall_open_fd(atoi(argv[1]), &plugin.peer);
	if (ret >= 0)
		ret = upcall_call_new(plugin.peer, &plugin.host);
	if (ret >= 0)
		ret = upcall_options_new(&options);
	if (ret < 0)
		errx(1, "%s", upcall_strerror(ret));
	upcall_call_set_stub(plugin.host, atoi(argv[2]));

	upcall_options_set_label(options, "plugin");
	upcall_options_set_access(options, UPCALL_ACCESS_STUB_ONLY, 0);
	upcall_options_set_unreferenced(options, 1);
	ret = upcall_callback_new(plugin.peer, options, count_words, &plugin, NULL, &callback);
	if (ret < 0)
		errx(1, "register: %s", upcall_strerror(ret));
	upcall_callback_set_unreferenced(callback, end);
	upcall_options_free(options);
	subscribe(&plugin, callback);
	ret = upcall_run(plugin.peer, 1);

	upcall_callback_unref(callback);
	upcall_call_free(plugin.host);
	upcall_close(plugin.peer);
	return ret < 0;
}
