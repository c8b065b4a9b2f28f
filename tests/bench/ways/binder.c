// SPDX-License-Identifier: GPL-2.0-only
/*
 * Binder, spoken without libbinder: a transaction to the context manager and its reply.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/android/binder.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "../bench.h"
#include "oneway.h"

#define MAPPED	(1 << 20)

/* A command and its operand, as the kernel reads them. */
struct __attribute__((packed)) transact {
	uint32_t free_command;
	binder_uintptr_t freed;
	uint32_t command;
	struct binder_transaction_data data;
};

struct __attribute__((packed)) release {
	uint32_t command;
	binder_uintptr_t freed;
};

static struct transact transact;
static uint64_t result;
static int fd;

static void binder_open(void)
{
	fd = open("/dev/binder", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		skip(errno == ENOENT ? "binder_linux is not loaded" : strerror(errno));
	if (mmap(NULL, MAPPED, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED)
		fail("mmap");
}

static void binder_talk(const void *out, size_t out_len, void *in, size_t in_room, size_t *in_len)
{
	struct binder_write_read both = {
		.write_buffer = (uintptr_t)out, .write_size = out_len,
		.read_buffer = (uintptr_t)in, .read_size = in_room,
	};

	must(ioctl(fd, BINDER_WRITE_READ, &both));
	*in_len = both.read_consumed;
}

/* The transaction or reply among what was read, or false. */
static bool binder_find(const char *in, size_t len, uint32_t wanted,
			struct binder_transaction_data *found)
{
	uint32_t command;

	for (size_t at = 0; at < len; at += sizeof(command) + _IOC_SIZE(command)) {
		memcpy(&command, in + at, sizeof(command));
		if (command == wanted) {
			memcpy(found, in + at + sizeof(command), sizeof(*found));
			return true;
		}
		if (command == BR_FAILED_REPLY || command == BR_DEAD_REPLY) {
			errno = EIO;
			fail("transaction");
		}
	}
	return false;
}

/* Waits for @wanted, after sending what is at @out. */
static void binder_until(const void *out, size_t out_len, uint32_t wanted,
			 struct binder_transaction_data *found)
{
	char in[256];
	size_t len;

	do {
		binder_talk(out, out_len, in, sizeof(in), &len);
		out_len = 0;
	} while (!binder_find(in, len, wanted, found));
}

static void setup(struct run *run)
{
	(void)run;
	binder_open();
	close(fd);
}

/* The one before us may not be quite gone. */
static void become_manager(void)
{
	int zero = 0;

	for (int tries = 0; ioctl(fd, BINDER_SET_CONTEXT_MGR, &zero) < 0; tries++) {
		if (errno != EBUSY || tries == 1000)
			fail("BINDER_SET_CONTEXT_MGR");
		usleep(10000);
	}
}

static void serve(struct run *run)
{
	static const uint32_t enter = BC_ENTER_LOOPER;
	struct transact reply = { .free_command = BC_FREE_BUFFER, .command = BC_REPLY };
	struct binder_transaction_data request;
	size_t none;

	binder_open();
	become_manager();
	binder_talk(&enter, sizeof(enter), NULL, 0, &none);
	serving(run);
	binder_until(NULL, 0, BR_TRANSACTION, &request);
	for (;;) {
		result = answer((void *)request.data.ptr.buffer, request.data_size);
		reply.freed = request.data.ptr.buffer;
		reply.data.data_size = sizeof(result);
		reply.data.data.ptr.buffer = (uintptr_t)&result;
		binder_until(&reply, sizeof(reply), BR_TRANSACTION, &request);
	}
}

static void connect_caller(struct run *run)
{
	binder_open();
	transact.command = BC_TRANSACTION;
	transact.free_command = BC_FREE_BUFFER;
	transact.data.data_size = run->size;
	transact.data.data.ptr.buffer = (uintptr_t)run->arg;
}

/* The buffer of the last reply goes with the next transaction. */
static uint64_t call(struct run *run)
{
	size_t skipped = transact.freed ? 0 : sizeof(struct release);
	struct binder_transaction_data reply;

	(void)run;
	binder_until((char *)&transact + skipped, sizeof(transact) - skipped, BR_REPLY, &reply);
	memcpy(&result, (void *)reply.data.ptr.buffer, sizeof(result));
	transact.freed = reply.data.ptr.buffer;
	return result;
}

/* 32 to an ioctl; the next message is handed over when the buffer of the last one is free. */
static void serve_oneway(struct run *run)
{
	static const uint32_t enter = BC_ENTER_LOOPER;
	struct release release = { .command = BC_FREE_BUFFER };
	struct binder_transaction_data request;
	size_t none;

	binder_open();
	become_manager();
	binder_talk(&enter, sizeof(enter), NULL, 0, &none);
	serving(run);
	binder_until(NULL, 0, BR_TRANSACTION, &request);
	for (;;) {
		oneway_received(run, 1);
		release.freed = request.data.ptr.buffer;
		binder_until(&release, sizeof(release), BR_TRANSACTION, &request);
	}
}

static uint64_t call_oneway(struct run *run)
{
	static struct __attribute__((packed)) {
		uint32_t command;
		struct binder_transaction_data data;
	} batch[32];
	char in[256];
	size_t len;

	for (int i = 0; i < 32; i++) {
		batch[i].command = BC_TRANSACTION;
		batch[i].data.flags = TF_ONE_WAY;
		batch[i].data.data_size = 8;
		batch[i].data.data.ptr.buffer = (uintptr_t)run->arg;
	}
	for (int i = 0; i < ONEWAY_EACH / 32; i++) {
		binder_talk(batch, sizeof(batch), in, sizeof(in), &len);
		binder_find(in, len, BR_REPLY, NULL);
	}
	oneway_wait(run);
	return 0;
}

const struct way way_oneway_binder = {
	.name = "oneway/binder", .each = ONEWAY_EACH, .blind = true,
	.setup = setup, .serve = serve_oneway, .connect = connect_caller, .call = call_oneway,
};

const struct way way_binder = {
	.name = "binder", .max = MAX_ARG,
	.setup = setup, .serve = serve, .connect = connect_caller, .call = call,
};
