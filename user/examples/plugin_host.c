// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The host of a plugin that it does not trust: plugin_host PLUGIN runs that program and gives it
 * each line of standard input.
 *
 * The plugin inherits two descriptors, and can shut itself off from all else: a peer that nobody
 * has used yet, on which it owns callbacks, and a stub of the one callback here. It subscribes by
 * sending a stub of its own. Through that one the host calls it, and hears when and why it died.
 *
 *	printf 'to be or not to be\nopen the window\n' | plugin_host plugin
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <upcall.h>
#include "plugin.h"

struct host {
	int subscriber;		/* the stub that the plugin sent, or -1 */
	bool left_alone;	/* nobody holds a stub of us any more */
};

/* It may not write to our terminal whatever it likes */
static void print_text(const unsigned char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		putchar(isprint(text[i]) ? text[i] : '?');
	putchar('\n');
}

static void subscribe(struct host *host, struct upcall_incoming *call)
{
	int fd = upcall_incoming_take_fd(call, 0);

	/* It could have sent any file */
	if (host->subscriber < 0 && upcall_is_stub(fd) == 1) {
		host->subscriber = fd;
		return;
	}
	if (fd >= 0)
		close(fd);
	upcall_refuse(call, EINVAL);
}

/* All that a plugin can ask for. Who asks is the kernel's word. */
static int serve_plugin(struct upcall_incoming *call, void *user)
{
	switch (upcall_incoming_op(call)) {
	case HOST_SUBSCRIBE:
		subscribe(user, call);
		break;
	case HOST_SAY:
		printf("process %u of user %u says: ", upcall_incoming_pid(call),
		       upcall_incoming_uid(call));
		print_text(upcall_incoming_data(call), upcall_incoming_len(call));
		break;
	default:
		upcall_refuse(call, ENOSYS);
	}
	return 0;
}

/* The last stub of our callback was closed: the plugin had the only one. */
static void left_alone(struct upcall_callback *callback, void *user)
{
	struct host *host = user;

	(void)callback;
	host->left_alone = true;
}

static struct upcall_callback *new_callback(struct upcall_peer *peer, struct host *host)
{
	struct upcall_callback *callback;
	struct upcall_options *options;
	int ret;

	ret = upcall_options_new(&options);
	if (ret < 0)
		errx(1, "%s", upcall_strerror(ret));
	upcall_options_set_label(options, "plugin_host");
	upcall_options_set_access(options, UPCALL_ACCESS_STUB_ONLY, 0);
	upcall_options_set_fds(options, 1);
	upcall_options_set_unreferenced(options, 1);
	ret = upcall_callback_new(peer, options, serve_plugin, host, NULL, &callback);
	if (ret < 0)
		errx(1, "register: %s", upcall_strerror(ret));
	upcall_callback_set_unreferenced(callback, left_alone);
	upcall_options_free(options);
	return callback;
}

/* Everything else here is close-on-exec: the plugin gets these two, and what it is told of them. */
static pid_t start_plugin(const char *program, struct upcall_callback *callback)
{
	char peer_number[12], stub_number[12];
	struct upcall_peer *peer;
	int ret, stub = -1;
	pid_t pid;

	ret = upcall_open(NULL, &peer);
	if (ret >= 0)
		ret = upcall_callback_export(callback, &stub);
	if (ret < 0)
		errx(1, "a peer and a stub for the plugin: %s", upcall_strerror(ret));
	snprintf(peer_number, sizeof(peer_number), "%d", upcall_fd(peer));
	snprintf(stub_number, sizeof(stub_number), "%d", stub);
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		fcntl(upcall_fd(peer), F_SETFD, 0);
		fcntl(stub, F_SETFD, 0);
		execlp(program, program, peer_number, stub_number, NULL);
		err(127, "%s", program);
	}
	close(stub);
	upcall_close(peer);	/* not used by us: it is the plugin's */
	return pid;
}

/* While we wait for the answer, what the plugin calls here runs on this very thread. */
static void give_line(struct upcall_call *call, const char *line, size_t len)
{
	int ret = upcall_call_invoke(call, 0, PLUGIN_LINE, line, len,
				     upcall_deadline_in(PLUGIN_PATIENCE));

	if (ret < 0)
		printf("%.*s: %s\n", (int)len, line, upcall_strerror(ret));
}

/* A stub tells what became of its callback even when that is dead. */
static void tell_death(int stub)
{
	struct upcall_peer *peer;
	struct upcall_stat stat;
	char text[64];
	int ret;

	ret = upcall_open_stub(stub, &peer);
	if (ret < 0)
		errx(1, "%s", upcall_strerror(ret));
	ret = upcall_stat(peer, 0, &stat, sizeof(stat));
	if (ret < 0)
		errx(1, "stat: %s", upcall_strerror(ret));
	printf("the plugin is gone: %s\n",
	       upcall_death_text(stat.reason, stat.exit_status, text, sizeof(text)));
	upcall_close(peer);
}

/* Until the user has no more lines (true), or the plugin is gone. */
static bool give_lines(struct upcall_peer *peer, int subscriber)
{
	struct pollfd fds[] = {
		{ .fd = subscriber },	/* HUP needs not be asked for */
		{ .fd = upcall_fd(peer), .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};
	struct upcall_call *call;
	char *line = NULL;
	size_t room = 0;
	ssize_t len = 1;

	if (upcall_call_new(peer, &call) < 0)
		errx(1, "no memory");
	upcall_call_set_stub(call, subscriber);
	upcall_call_set_nested(call, 1);
	while (len > 0 && poll(fds, 3, -1) >= 0 && !fds[0].revents) {
		while (upcall_dispatch(peer, UPCALL_NO_WAIT) > 0)
			;
		if (!fds[2].revents)
			continue;
		len = getline(&line, &room, stdin);
		if (len > 0)
			give_line(call, line, (size_t)len - (line[len - 1] == '\n'));
	}
	upcall_call_free(call);
	free(line);
	return len <= 0;
}

int main(int argc, char **argv)
{
	struct host host = { .subscriber = -1 };
	struct upcall_callback *callback;
	struct upcall_peer *peer;
	int ret, status;
	pid_t pid;

	if (argc != 2)
		errx(2, "usage: plugin_host PLUGIN");
	setvbuf(stdin, NULL, _IONBF, 0);	/* poll() sees all that was not read */
	setvbuf(stdout, NULL, _IOLBF, 0);
	ret = upcall_open(NULL, &peer);
	if (ret < 0)
		errx(1, "open: %s", upcall_strerror(ret));
	callback = new_callback(peer, &host);
	pid = start_plugin(argv[1], callback);

	while (host.subscriber < 0 && !host.left_alone && ret >= 0)
		ret = upcall_dispatch(peer, UPCALL_NO_DEADLINE);
	if (host.subscriber < 0)
		printf("the plugin went without having subscribed\n");
	else if (give_lines(peer, host.subscriber))
		close(host.subscriber);		/* tells it to end */
	else
		tell_death(host.subscriber);

	upcall_callback_unref(callback);
	upcall_close(peer);
	return waitpid(pid, &status, 0) != pid || status != 0 || host.subscriber < 0;
}
