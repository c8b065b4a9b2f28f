/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of successors: an owner whose peer the test has open as well, so that it outlives
 * the owner, and a caller. The successor is the test itself, or another puppet.
 */
#ifndef ADOPT_H
#define ADOPT_H

#include "puppet.h"

#define COOKIE		0xc00c1ec00c1eULL
#define LONG_MS		(10 * SOON_MS)	/* orphans of tests that do not wait for their end */
#define MS		1000000ULL

static inline int adopt(int fd, struct upcall_adopt *out)
{
	struct upcall_adopt args = { .size = sizeof(args) };
	int err = verb(fd, UPCALL_IOC_ADOPT, &args);

	if (out)
		*out = args;
	return err;
}

static inline int configure(int fd, uint32_t flags, uint64_t orphan_ns)
{
	struct upcall_config args = {
		.size = sizeof(args), .flags = flags, .orphan_ns = orphan_ns,
	};

	return verb(fd, UPCALL_IOC_CONFIG, &args);
}

/* --- a peer that several have ------------------------------------------------------ */

union fd_message {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* The peer that is sent next is the puppet's from now on. */
static inline int do_take(struct puppet_mem *mem)
{
	union fd_message control;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	(void)mem;
	if (recvmsg(3, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EIO;
	close(my_peer);
	memcpy(&my_peer, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(my_peer));
	return 0;
}

static inline int puppet_give(struct puppet *puppet, int fd)
{
	union fd_message control = { 0 };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	puppet_start(puppet, do_take);
	if (sendmsg(puppet->sock, &msg, MSG_NOSIGNAL) != 1)
		return -errno;
	return puppet_wait(puppet);
}

/* --- orders ------------------------------------------------------------------------ */

/* @mem->value: for how many ms; 0: not adoptable. */
static inline int do_config(struct puppet_mem *mem)
{
	return configure(my_peer, mem->value ? UPCALL_CONFIG_ADOPTABLE : 0, mem->value * MS);
}

static inline int do_adopt(struct puppet_mem *mem)
{
	return adopt(my_peer, (struct upcall_adopt *)mem->buf);
}

/* @mem->event: a RESULT that it received. */
static inline int do_async(struct puppet_mem *mem)
{
	struct upcall_command cmd = {
		.type = UPCALL_COMMAND_CALL, .flags = UPCALL_INVOKE_NO_DEADLINE,
		.target = mem->inv.target, .parent = mem->inv.parent, .user_data = 7,
	};

	return command(my_peer, &cmd);
}

static inline int do_refuse(struct puppet_mem *mem)
{
	return refuse(my_peer, mem->event.call.call, mem->value);
}

/* --- the fixture ------------------------------------------------------------------- */

FIXTURE(adopt) {
	struct puppet owner, caller;
	int peer;		/* the owner's, which is bound to it */
	uint64_t handle;
};

static inline uint64_t register_flags(struct puppet *puppet, uint32_t flags)
{
	puppet->mem->reg = REGISTER_ARGS(.access = UPCALL_ACCESS_ANYONE, .cookie = COOKIE,
					 .flags = flags);
	puppet_do(puppet, do_register);
	return puppet->mem->handle;
}

static inline int adoptable(struct puppet *puppet, uint64_t ms)
{
	puppet->mem->value = ms;
	return puppet_do(puppet, do_config);
}

FIXTURE_SETUP(adopt)
{
	my_peer = peer_open();
	ASSERT_LE(0, my_peer);
	self->peer = peer_open();
	ASSERT_LE(0, self->peer);
	self->owner = puppet_new();
	self->caller = puppet_new();
	ASSERT_EQ(0, puppet_give(&self->owner, self->peer));
	ASSERT_EQ(0, adoptable(&self->owner, LONG_MS));
	self->handle = register_flags(&self->owner, 0);
	ASSERT_NE(0, self->handle);
}

FIXTURE_TEARDOWN(adopt)
{
	kill(self->owner.pid, SIGKILL);
	kill(self->caller.pid, SIGKILL);
	close(self->peer);
}

/* --- what the test does ------------------------------------------------------------ */

/*
 * And of its process's calls, and those to it, nothing is under way any more. What else is done then
 * may follow a moment later: ADOPT waits for that, and who looks at it otherwise has to.
 */
static inline bool is_orphaned(pid_t pid)
{
	struct upcall_list_peer peer = listed_peer(my_peer, pid);

	return peer.ended == 2 && !peer.running && !peer.waiting;
}

/* The owner is killed, and its peer an orphan. */
static inline bool orphan(FIXTURE_DATA(adopt) *self)
{
	return puppet_kill(&self->owner, SIGKILL) == SIGKILL &&
	       eventually(is_orphaned(self->owner.pid));
}

static inline uint32_t queued(uint64_t handle)
{
	return listed_callback(my_peer, handle).queued;
}

/* A call of the caller waits in the queue. */
static inline bool call_queues(FIXTURE_DATA(adopt) *self)
{
	uint32_t before = queued(self->handle);

	puppet_call_start(&self->caller, self->handle);
	return eventually(queued(self->handle) == before + 1);
}

/* The owner has a call of the caller. */
static inline bool call_is_delivered(FIXTURE_DATA(adopt) *self)
{
	puppet_call_start(&self->caller, self->handle);
	return puppet_do(&self->owner, do_receive) == UPCALL_EVENT_CALL;
}

/* Adopts, receives one call and answers it with @status. */
static inline int answer(int peer, uint32_t status, struct upcall_event_call *call)
{
	int err = next_call(peer, call);

	return err ? err : reply(peer, call->call, status, NULL, 0);
}

/* In place of one that has ended. */
static inline bool another_owner(FIXTURE_DATA(adopt) *self)
{
	close(self->peer);
	self->peer = peer_open();
	self->owner = puppet_new();
	if (puppet_give(&self->owner, self->peer))
		return false;
	self->handle = register_flags(&self->owner, 0);
	return self->handle;
}

/*
 * The owner is killed, and adopted by @heir, or else by the test, before its time is up. On a slow machine
 * that is too late for a short time, and another owner has a longer one. How many ms, or 0.
 */
static inline uint64_t adopted_in_time(FIXTURE_DATA(adopt) *self, struct puppet *heir)
{
	uint64_t ms, dies;
	int err;

	for (ms = 300; ms < SOON_MS; ms *= 4) {
		if (adoptable(&self->owner, ms))
			return 0;
		dies = now_ns();
		if (puppet_kill(&self->owner, SIGKILL) != SIGKILL)
			return 0;
		err = heir ? puppet_give(heir, self->peer) ?: puppet_do(heir, do_adopt)
			   : adopt(self->peer, NULL);
		if (!err)
			return ms;
		if (err != -ESHUTDOWN || now_ns() < dies + ms * MS || !another_owner(self))
			return 0;
	}
	return 0;
}

static inline bool nothing_to_receive(int peer)
{
	union any_event event;

	return receive(peer, &event, sizeof(event), 1, UPCALL_EXCHANGE_NONBLOCK, NULL) == -EAGAIN;
}

#endif /* ADOPT_H */
