// SPDX-License-Identifier: GPL-2.0-only
/* Descriptors with calls and replies: how they arrive, what is refused, and in which order. */
#include "abi_fds.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open		434
#endif
#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup	425
#endif

/* --- with calls ----------------------------------------------------------------- */

TEST_F(fds, arrive_behind_the_payload_as_new_descriptors_with_o_cloexec)
{
	static const uint32_t lens[] = { 0, 1, 8, 13, 128 };
	int sent[3] = { self->reader, self->writer, self->owner };
	struct upcall_invoke args;
	union any_event event;
	const int *got;
	char arg[128];
	size_t i;

	sent[2] = eventfd(0, 0);	/* not O_CLOEXEC here */
	fill(arg, sizeof(arg), 1);
	for (i = 0; i < LENGTH(lens); i++) {
		args = SEND_ARGS(self->handle, sent, 3, .arg = ptr64(arg), .arg_len = lens[i]);
		args.flags |= UPCALL_INVOKE_ONEWAY;
		ASSERT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
		EXPECT_EQ(3, event.call.fd_count);
		EXPECT_EQ(sizeof(event.call) + (lens[i] + 7) / 8 * 8, event.call.fds_offset);
		EXPECT_EQ(event.call.fds_offset + 16, event.event.size);
		EXPECT_EQ(0, event.call.flags & UPCALL_CALL_FDS_LOST);
		EXPECT_TRUE(filled(event.bytes + event.call.payload_offset, lens[i], 1));
		got = fds_of(&event);
		EXPECT_TRUE(same_file(self->reader, got[0]));
		EXPECT_TRUE(same_file(self->writer, got[1]));
		EXPECT_EQ(1, write(got[1], "x", 1));
		EXPECT_EQ(1, read(got[0], arg + 127, 1));
		EXPECT_EQ(8, write(got[2], &(uint64_t){ 1 }, 8));
		EXPECT_EQ(8, read(sent[2], &(uint64_t){ 0 }, 8));
		EXPECT_EQ(FD_CLOEXEC, fcntl(got[2], F_GETFD));
		EXPECT_EQ(self->open + 1 + 3, open_fds());
		close(got[0]);
		close(got[1]);
		close(got[2]);
		fill(arg, sizeof(arg), 1);
		ASSERT_EQ(0, reply(self->owner, event.call.call, 0, NULL, 0));
	}
}

TEST_F(fds, as_many_as_64_both_ways)
{
	int sent[MAX], back[MAX + 1];
	union any_event event;
	struct async async;
	uint32_t i;

	fill_with(sent, MAX, self->writer);
	back[MAX] = 4711;
	ASSERT_EQ(0, async_start(&async, self->caller, SEND_ARGS(self->handle, sent, MAX,
		.reply_fds = ptr64(back), .reply_fd_room = MAX)));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(MAX, event.call.fd_count);
	EXPECT_EQ(MAX, event.call.reply_fd_max);
	ASSERT_EQ(0, reply_fds(self->owner, event.call.call, fds_of(&event), MAX, NULL));
	ASSERT_EQ(0, async_join(&async));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
	EXPECT_EQ(MAX, async.args.reply_fd_count);
	for (i = 0; i < MAX; i++) {
		EXPECT_TRUE(same_file(self->writer, back[i]));
		EXPECT_EQ(FD_CLOEXEC, fcntl(back[i], F_GETFD));
		close(back[i]);
		close(fds_of(&event)[i]);
	}
	EXPECT_EQ(4711, back[MAX]);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_F(fds, more_than_64_are_einval)
{
	struct upcall_invoke args[] = {
		SEND_ARGS(self->handle, &self->writer, MAX + 1),
		SEND_ARGS(self->handle, &self->writer, ~0U),
		INVOKE_ARGS(self->handle, .reply_fd_room = MAX + 1),
		INVOKE_ARGS(self->handle, .reply_fd_room = ~0U),
	};
	size_t i;

	for (i = 0; i < LENGTH(args); i++) {
		poison_out(&args[i]);
		EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args[i]));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args[i].stage);
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
}

TEST_F(fds, reply_members_with_a_notification_are_einval)
{
	struct upcall_invoke args[] = {
		INVOKE_ARGS(self->handle, .reply_fds = 8),
		INVOKE_ARGS(self->handle, .reply_fd_room = 1),
	};
	size_t i;

	for (i = 0; i < LENGTH(args); i++) {
		args[i].flags |= UPCALL_INVOKE_ONEWAY;
		EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args[i]));
	}
}

TEST_F(fds, none_are_none_whatever_the_pointer)
{
	union any_event event;

	ASSERT_EQ(0, send_fds(self->caller, self->handle, (int *)8, 0));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(sizeof(event.call), event.event.size);
	EXPECT_EQ(0, event.call.fd_count);
	EXPECT_EQ(0, usage(self->caller).fds);
}

/* --- errors, in their order ---------------------------------------------------------- */

TEST_F(fds, callback_that_takes_none_is_emfile)
{
	struct upcall_register reg = REGISTER_ARGS();
	struct upcall_invoke args;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	args = SEND_ARGS(reg.handle, &self->writer, 1);
	poison_out(&args);
	EXPECT_EQ(-EMFILE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	EXPECT_EQ(0, args.needed);
	EXPECT_EQ(0, stat_of(self->owner, reg.handle).calls);
}

TEST_F(fds, callback_that_takes_none_is_emfile_between_emsgsize_and_etimedout)
{
	struct upcall_register reg = REGISTER_ARGS(.max_arg = 0);
	struct upcall_invoke args;
	int closed = 1000;

	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	args = SEND_ARGS(reg.handle, &closed, 1, .arg_len = 1);
	args.flags = 0;		/* its deadline has passed */
	EXPECT_EQ(-EMSGSIZE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.arg_len = 0;
	EXPECT_EQ(-EMFILE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.fd_count = 0;
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
}

/* One that breaks all rules at once; they are mended one by one. */
TEST_F(fds, efault_before_ebadf_before_einval_before_emfile_before_eagain)
{
	struct upcall_register reg = REGISTER_FDS_ARGS(.max_queued_calls = 1);
	char *pages = pages_alloc(2);
	int *fds = (int *)(pages + PAGE) - 2;	/* of three, the last one cannot be read */
	struct upcall_invoke args;
	union any_event event;

	MODULE_ONLY("no EFAULT");
	ASSERT_EQ(0, page_allow(pages + PAGE, PROT_NONE));
	ASSERT_EQ(0, verb(self->owner, UPCALL_IOC_REGISTER, &reg));
	ASSERT_EQ(0, notify(self->caller, reg.handle, NULL, 0));
	fds[0] = self->owner;	/* may not ride */
	fds[1] = -1;		/* is not open */
	args = SEND_ARGS(reg.handle, fds, 3, .deadline_ns = 1);
	args.flags = UPCALL_INVOKE_ONEWAY;
	EXPECT_EQ(-ETIMEDOUT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.flags |= UPCALL_INVOKE_NO_DEADLINE;
	args.deadline_ns = 0;
	EXPECT_EQ(-EFAULT, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	args.fd_count = 2;
	EXPECT_EQ(-EBADF, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	fds[1] = self->writer;
	ASSERT_EQ(0, bound_nofile(1));
	EXPECT_EQ(-EINVAL, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	fds[0] = self->writer;
	EXPECT_EQ(-EMFILE, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	ASSERT_EQ(0, bound_nofile(1024));
	EXPECT_EQ(-EAGAIN, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &args));
	EXPECT_EQ(2, usage(self->caller).fds);
}

TEST_F(fds, one_that_is_not_open_is_ebadf_and_none_is_taken)
{
	static const int bad[] = { -1, 1000, 1 << 20, 0x7fffffff, -0x7fffffff - 1 };
	struct upcall_invoke args;
	int sent[3];
	size_t i;

	for (i = 0; i < LENGTH(bad); i++) {
		fill_with(sent, 3, self->writer);
		sent[i % 3] = bad[i];
		args = SEND_ARGS(self->handle, sent, 3);
		poison_out(&args);
		EXPECT_EQ(-EBADF, verb(self->caller, UPCALL_IOC_INVOKE, &args));
		EXPECT_EQ(UPCALL_STAGE_NOT_DELIVERED, args.stage);
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
	EXPECT_EQ(0, usage(self->caller).fds);
	EXPECT_EQ(0, usage(self->caller).queued_calls);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_F(fds, peers_and_unix_sockets_are_einval_and_none_is_taken)
{
	int refused[4] = { self->owner, self->caller, -1, -1 }, sent[2];
	size_t i;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, refused + 2));
	close(refused[3]);
	refused[3] = peer_open();	/* not bound yet */
	for (i = 0; i < LENGTH(refused); i++) {
		sent[0] = self->writer;
		sent[1] = refused[i];
		EXPECT_EQ(-EINVAL, send_fds(self->caller, self->handle, sent, 2));
	}
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
	EXPECT_EQ(0, usage(self->caller).fds);
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_F(fds, io_uring_instances_are_einval)
{
	char params[120] = { 0 };
	int ring = syscall(SYS_io_uring_setup, 1, params);

	if (ring < 0)
		SKIP(return, "no io_uring here: %s", strerror(errno));
	EXPECT_EQ(-EINVAL, send_fds(self->caller, self->handle, &ring, 1));
	EXPECT_EQ(0, stat_of(self->owner, self->handle).calls);
}

TEST_F(fds, all_other_kinds_may_ride)
{
	int sent[] = {
		syscall(SYS_memfd_create, "test", 1), eventfd(0, 0), epoll_create1(0),
		syscall(SYS_pidfd_open, getpid(), 0), open("/", O_PATH), open("/", O_RDONLY),
		open("/dev/upcall", O_PATH), open("/dev/null", O_RDWR), self->reader, self->writer,
	};
	union any_event event;
	size_t i;

	MODULE_ONLY("opens the device");
	for (i = 0; i < LENGTH(sent); i++)
		ASSERT_LE(0, sent[i]) TH_LOG("kind %zu", i);
	/* Watching a peer is not holding it. */
	ASSERT_EQ(0, epoll_ctl(sent[2], EPOLL_CTL_ADD, self->owner, &(struct epoll_event){ 0 }));
	ASSERT_EQ(0, send_fds(self->caller, self->handle, sent, LENGTH(sent)));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	ASSERT_EQ(LENGTH(sent), event.call.fd_count);
	for (i = 0; i < LENGTH(sent); i++)
		EXPECT_TRUE(same_file(sent[i], fds_of(&event)[i])) TH_LOG("kind %zu", i);
}

/* --- with replies ------------------------------------------------------------------- */

TEST_F(fds, replys_errors_leave_the_call_to_be_answered)
{
	int unix_pair[2], bad = 1000, back[3] = { 77, 77, 77 }, sent[3];
	union any_event event;
	struct async async;
	uint32_t needed;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, unix_pair));
	fill_with(sent, 3, self->writer);
	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply_fds = ptr64(back), .reply_fd_room = 2)));
	ASSERT_EQ(UPCALL_EVENT_CALL, one_event(self->owner, &event));
	EXPECT_EQ(2, event.call.reply_fd_max);
	EXPECT_EQ(-EMFILE, reply_fds(self->owner, event.call.call, sent, 3, &needed));
	EXPECT_EQ(2, needed);
	EXPECT_EQ(-EFAULT, reply_fds(self->owner, event.call.call, (int *)8, 2, &needed));
	EXPECT_EQ(0, needed);
	EXPECT_EQ(-EBADF, reply_fds(self->owner, event.call.call, &bad, 1, NULL));
	EXPECT_EQ(-EINVAL, reply_fds(self->owner, event.call.call, &self->owner, 1, NULL));
	EXPECT_EQ(-EINVAL, reply_fds(self->owner, event.call.call, unix_pair, 1, NULL));
	EXPECT_EQ(-EINVAL, reply_fds(self->owner, event.call.call, sent, MAX + 1, NULL));
	EXPECT_FALSE(async_done(&async));
	EXPECT_EQ(0, usage(self->caller).fds);
	EXPECT_EQ(0, reply_fds(self->owner, event.call.call, sent, 2, &needed));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(2, async.args.reply_fd_count);
	EXPECT_TRUE(same_file(self->writer, back[1]));
	EXPECT_EQ(77, back[2]);
	EXPECT_EQ(0, usage(self->caller).fds);
}

TEST_F(fds, reply_with_some_to_who_takes_none_is_emfile)
{
	struct upcall_event_call call;
	struct async async;
	uint32_t needed = 99;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(0, call.reply_fd_max);
	EXPECT_EQ(-EMFILE, reply_fds(self->owner, call.call, &self->writer, 1, &needed));
	EXPECT_EQ(0, needed);
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
	EXPECT_EQ(0, async_join(&async));
	EXPECT_EQ(0, async.args.reply_fd_count);
}

TEST_F(fds, reply_with_some_to_a_notification_is_einval)
{
	struct upcall_event_call call;

	ASSERT_EQ(0, notify(self->caller, self->handle, NULL, 0));
	ASSERT_EQ(0, one_call(self->owner, &call));
	EXPECT_EQ(-EINVAL, reply_fds(self->owner, call.call, &self->writer, 1, NULL));
	EXPECT_EQ(0, reply(self->owner, call.call, 0, NULL, 0));
}

TEST_F(fds, reply_that_nobody_wants_is_enoent_and_closes_none_of_its_own)
{
	struct upcall_event_call call = { 0 };
	struct async async;

	ASSERT_EQ(0, late_call(&async, self->caller, self->owner,
			       INVOKE_ARGS(self->handle, .reply_fd_room = 1), &call));
	EXPECT_EQ(-ENOENT, reply_fds(self->owner, call.call, &self->writer, 1, NULL));
	EXPECT_FALSE(writer_is_closed(self->reader));
	close(self->writer);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

TEST_F(fds, kept_reply_keeps_them_until_it_is_fetched)
{
	struct upcall_event_call call;
	struct upcall_command cmd;
	struct async async;
	char back[16];
	int fd = -1;

	ASSERT_EQ(0, async_start(&async, self->caller, INVOKE_ARGS(self->handle,
		.reply = ptr64(back), .reply_room = 1, .reply_max = 16,
		.reply_fds = ptr64(&fd), .reply_fd_room = 1)));
	ASSERT_EQ(0, one_call(self->owner, &call));
	cmd = COMMAND(REPLY, call.call, .data = ptr64("0123456789abcdef"), .data_len = 16,
		      .fds = ptr64(&self->writer), .fd_count = 1);
	ASSERT_EQ(0, command(self->owner, &cmd));
	close(self->writer);
	EXPECT_EQ(-EMSGSIZE, async_join(&async));
	EXPECT_EQ(0, async.args.reply_fd_count);
	EXPECT_EQ(-1, fd);
	EXPECT_EQ(1, usage(self->caller).fds);
	EXPECT_FALSE(writer_is_closed(self->reader));
	async.args.reply_room = 16;
	EXPECT_EQ(0, verb(self->caller, UPCALL_IOC_INVOKE, &async.args));
	EXPECT_EQ(1, async.args.reply_fd_count);
	EXPECT_EQ(0, memcmp(back, "0123456789abcdef", 16));
	EXPECT_TRUE(same_file(self->reader, fd));
	EXPECT_EQ(0, usage(self->caller).fds);
	close(fd);
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
}

/* A reply of 8 bytes and a descriptor that is kept for want of room. */
static int kept_reply(FIXTURE_DATA(fds) *self, struct async *async, char *back)
{
	struct upcall_event_call call = { 0 };
	struct upcall_command cmd;
	int err;

	err = async_start(async, self->caller, INVOKE_ARGS(self->handle,
			  .reply = ptr64(back), .reply_max = 8, .reply_fd_room = 1));
	if (!err)
		err = one_call(self->owner, &call);
	cmd = COMMAND(REPLY, call.call, .data = ptr64("12345678"), .data_len = 8,
		      .fds = ptr64(&self->writer), .fd_count = 1);
	if (!err)
		err = command(self->owner, &cmd);
	close(self->writer);
	return err ? err : async_join(async);
}

TEST_F(fds, kept_reply_that_is_cancelled_closes_them)
{
	struct async async;
	char back[8];

	ASSERT_EQ(-EMSGSIZE, kept_reply(self, &async, back));
	EXPECT_FALSE(writer_is_closed(self->reader));
	EXPECT_EQ(0, cancel(self->caller, async.args.call_id));
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
	EXPECT_EQ(0, usage(self->caller).fds);
}

TEST_F(fds, kept_reply_fetched_without_room_for_them_is_emfile_with_its_bytes)
{
	struct async async;
	char back[8];

	ASSERT_EQ(-EMSGSIZE, kept_reply(self, &async, back));
	async.args.reply_room = 8;
	async.args.reply_fd_room = 0;
	EXPECT_EQ(-EMFILE, verb(self->caller, UPCALL_IOC_INVOKE, &async.args));
	EXPECT_EQ(UPCALL_STAGE_REPLIED, async.args.stage);
	EXPECT_EQ(8, async.args.reply_len);
	EXPECT_EQ(0, async.args.reply_fd_count);
	EXPECT_EQ(0, memcmp(back, "12345678", 8));
	EXPECT_TRUE(eventually(writer_is_closed(self->reader)));
	EXPECT_EQ(0, usage(self->caller).fds);
}

TEST_HARNESS_MAIN
