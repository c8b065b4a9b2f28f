// SPDX-License-Identifier: GPL-2.0-only
/*
 * D-Bus method calls by sd-bus: over a socket from caller to server, and through dbus-daemon.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-bus.h>
#include <unistd.h>
#include "../bench.h"

#define NAME	"net.upcall.Bench"
#define PLACE	"/tmp/upcall-bench-bus"
#define SOCKET	PLACE "/socket"
#define CONFIG	PLACE "/config"

static sd_bus *bus;
static int pair[2];

static void check(int ret, const char *what)
{
	if (ret >= 0)
		return;
	errno = -ret;
	fail(what);
}

static int answer_call(sd_bus_message *message, void *user, sd_bus_error *error)
{
	const void *data;
	size_t size;
	int ret;

	(void)user;
	(void)error;
	ret = sd_bus_message_read_array(message, 'y', &data, &size);
	if (ret < 0)
		return ret;
	return sd_bus_reply_method_return(message, "t", answer(data, size));
}

static const sd_bus_vtable methods[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("Call", "ay", "t", answer_call, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static void serve_bus(struct run *run)
{
	check(sd_bus_add_object_vtable(bus, NULL, "/bench", NAME, methods, NULL), "vtable");
	check(sd_bus_start(bus), "sd_bus_start");
	if (run->shared[0])
		check(sd_bus_request_name(bus, NAME, 0), "sd_bus_request_name");
	serving(run);
	for (;;) {
		int ret = sd_bus_process(bus, NULL);

		check(ret, "sd_bus_process");
		if (ret == 0)
			check(sd_bus_wait(bus, UINT64_MAX), "sd_bus_wait");
	}
}

static uint64_t call(struct run *run)
{
	const char *to = run->shared[0] ? NAME : NULL;
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *message, *reply;
	uint64_t result;

	check(sd_bus_message_new_method_call(bus, &message, to, "/bench", NAME, "Call"), "message");
	check(sd_bus_message_append_array(message, 'y', run->arg, run->size), "append");
	check(sd_bus_call(bus, message, 0, &error, &reply), "sd_bus_call");
	check(sd_bus_message_read(reply, "t", &result), "read");
	sd_bus_message_unref(message);
	sd_bus_message_unref(reply);
	return result;
}

static void setup_direct(struct run *run)
{
	(void)run;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair));
}

static void serve_direct(struct run *run)
{
	sd_id128_t id;

	check(sd_id128_randomize(&id), "sd_id128_randomize");
	check(sd_bus_new(&bus), "sd_bus_new");
	check(sd_bus_set_fd(bus, pair[1], pair[1]), "sd_bus_set_fd");
	check(sd_bus_set_server(bus, 1, id), "sd_bus_set_server");
	serve_bus(run);
}

static void connect_direct(struct run *run)
{
	(void)run;
	check(sd_bus_new(&bus), "sd_bus_new");
	check(sd_bus_set_fd(bus, pair[0], pair[0]), "sd_bus_set_fd");
	check(sd_bus_start(bus), "sd_bus_start");
}

static void connect_daemon(struct run *run)
{
	(void)run;
	check(sd_bus_new(&bus), "sd_bus_new");
	check(sd_bus_set_address(bus, "unix:path=" SOCKET), "sd_bus_set_address");
	check(sd_bus_set_bus_client(bus, 1), "sd_bus_set_bus_client");
}

static void connect_caller(struct run *run)
{
	connect_daemon(run);
	check(sd_bus_start(bus), "sd_bus_start");
}

static void serve_daemon(struct run *run)
{
	connect_daemon(run);
	serve_bus(run);
}

/* A bus that lets everybody do everything. */
static void setup_daemon(struct run *run)
{
	static const char config[] =
		"<busconfig><type>session</type><listen>unix:path=" SOCKET "</listen>"
		"<policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>"
		"<allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>\n";
	FILE *file;

	if (access("/usr/bin/dbus-daemon", X_OK) < 0)
		skip("there is no dbus-daemon");
	run->shared[0] = 1;
	mkdir(PLACE, 0700);
	unlink(SOCKET);
	file = fopen(CONFIG, "we");
	if (!file || fputs(config, file) < 0 || fclose(file) < 0)
		fail(CONFIG);
	if (fork() == 0) {
		execl("/usr/bin/dbus-daemon", "dbus-daemon", "--nofork", "--nopidfile",
		      "--config-file=" CONFIG, NULL);
		_exit(1);
	}
	for (int tries = 0; access(SOCKET, F_OK) < 0; tries++) {
		if (tries == 1000)
			fail("dbus-daemon");
		usleep(10000);
	}
}

static void close_daemon(struct run *run)
{
	(void)run;
	unlink(SOCKET);
	unlink(CONFIG);
	rmdir(PLACE);
}

const struct way way_sd_bus = {
	.name = "sd-bus", .max = MAX_ARG,
	.setup = setup_direct, .serve = serve_direct, .connect = connect_direct, .call = call,
};

const struct way way_dbus_daemon = {
	.name = "dbus-daemon", .max = MAX_ARG, .setup = setup_daemon, .serve = serve_daemon,
	.connect = connect_caller, .call = call, .close = close_daemon,
};
