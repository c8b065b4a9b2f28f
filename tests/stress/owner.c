// SPDX-License-Identifier: GPL-2.0-only
/*
 * An owner: two threads receive, run, refuse, answer late, call others in the middle of it;
 * callbacks are released and made anew; and in the end it leaves, one way or another.
 */
#include <pthread.h>
#include "stress.h"

#define LATE	8	/* calls that one thread answers later */

/* The slot of a callback says what it is; its cookie is the slot. */
static const uint32_t slot_flags[SLOTS] = {
	0, UPCALL_REGISTER_SERIAL, UPCALL_REGISTER_AUTOEND, 0,
};

static int owner_fd;
static int running[SLOTS];	/* calls of a SERIAL callback */
static bool leaving;

struct late {
	struct upcall_event_call calls[LATE];
	uint64_t numbers[LATE];
	int count;
};

static void owner_register(struct self *self, uint32_t slot)
{
	struct upcall_register args = REGISTER_ARGS(.cookie = slot, .flags = slot_flags[slot],
						    .access = UPCALL_ACCESS_ANYONE,
						    .max_queued_calls = 32);
	int err = verb(self->fd, UPCALL_IOC_REGISTER, &args);

	if (!err)
		__atomic_store_n(&shared->handles[self->owner][slot], args.handle,
				 __ATOMIC_RELEASE);
	else if (err != -ESHUTDOWN)
		complain("register: errno %d", -err);
}

/* The owner's end, by REPLY with what the caller sent, or REFUSE. */
static void owner_end(struct self *self, const struct upcall_event_call *call, uint64_t number,
		      uint32_t refusal)
{
	bool oneway = call->flags & UPCALL_CALL_ONEWAY;
	int err;

	if (call->flags & UPCALL_CALL_ENDED)
		return;
	if (slot_flags[call->event.cookie] & UPCALL_REGISTER_SERIAL)
		__atomic_sub_fetch(&running[call->event.cookie], 1, __ATOMIC_ACQ_REL);
	if (refusal)
		err = refuse(self->fd, call->call, refusal);
	else
		err = reply(self->fd, call->call, 0, oneway ? NULL : &number,
			    oneway ? 0 : sizeof(number));
	if (err && err != -ENOENT && err != -ESHUTDOWN)
		complain("reply or refusal: errno %d", -err);
}

static uint64_t any_handle(struct self *self)
{
	return __atomic_load_n(&shared->handles[draw(self) % OWNERS][draw(self) % SLOTS],
			       __ATOMIC_ACQUIRE);
}

/* What this thread took: in the order made, as nothing is put back here by a fault. */
static __thread struct order_of_pair taken[ORDER_SLOTS];

static void owner_call(struct self *self, const struct upcall_event_call *call, struct late *late)
{
	uint64_t number;

	memcpy(&number, (const char *)call + call->payload_offset, sizeof(number));
	if (number < MAX_CALLS && !book_in_order(taken, number, number + 1))
		complain("call %llu was overtaken", (unsigned long long)number);
	if (slot_flags[call->event.cookie] & UPCALL_REGISTER_SERIAL &&
	    __atomic_fetch_add(&running[call->event.cookie], 1, __ATOMIC_ACQ_REL))
		complain("two calls of a serial callback run");
	if (chance(self, 10) && !(call->flags & UPCALL_CALL_ENDED)) {
		owner_end(self, call, number, EIO);
		return;
	}
	if (!book_run(number, call->event.handle, call->seq))
		return;
	if (chance(self, 5) && !(call->flags & (UPCALL_CALL_ENDED | UPCALL_CALL_ONEWAY)) &&
	    call->depth < 4)
		call_and_wait(self, any_handle(self), call->call);
	if (chance(self, 10) && late->count < LATE) {
		late->numbers[late->count] = number;
		late->calls[late->count++] = *call;
		return;
	}
	owner_end(self, call, number, 0);
}

static void owner_events(struct self *self, const char *buf, uint32_t used, struct late *late)
{
	const struct upcall_event *event;
	uint32_t at;

	for (at = 0; at < used; at += event->size) {
		event = (const void *)(buf + at);
		if (event->type == UPCALL_EVENT_CALL)
			owner_call(self, (const void *)event, late);
		else if (event->type == UPCALL_EVENT_RELEASED)
			owner_register(self, event->cookie);
	}
}

/* RELEASE of one kind or the other, or REBIND to the same. */
static void owner_change(struct self *self)
{
	uint32_t slot = draw(self) % SLOTS;
	struct upcall_rebind rebind = {
		.size = sizeof(rebind), .handle = shared->handles[self->owner][slot],
		.cookie = slot,
	};
	int err;

	if (chance(self, 50))
		err = release(self->fd, rebind.handle, chance(self, 50) ? UPCALL_RELEASE_ABORT : 0);
	else
		err = verb(self->fd, UPCALL_IOC_REBIND, &rebind);
	if (err && err != -ESTALE && err != -ESHUTDOWN)
		complain("release or rebind: errno %d", -err);
}

static bool owner_goes(struct self *self)
{
	switch (__atomic_load_n(&shared->order[self->owner], __ATOMIC_ACQUIRE)) {
	case SHUT_DOWN:
		shut_down(self->fd);
		__atomic_store_n(&leaving, true, __ATOMIC_RELEASE);
		break;
	case LEAVE:	/* in the middle of whatever the other thread does */
		memset(&shared->cut_short[self->life - self->life % OWNER_THREADS], true,
		       OWNER_THREADS);
		_exit(0);
	}
	return stopped(&leaving) || stopped(&shared->stop_owners);
}

static void *owner_thread(void *arg)
{
	static __thread char buf[65536] __attribute__((aligned(8)));
	struct self self = *(struct self *)arg;
	struct late late = { .count = 0 };
	struct upcall_exchange args;
	int err = 0;

	while (!owner_goes(&self) && err != -ESHUTDOWN) {
		args = (struct upcall_exchange){
			.size = sizeof(args), .deadline_ns = in_ms(5), .events = ptr64(buf),
			.events_len = sizeof(buf), .max_calls = 1 + draw(&self) % 8,
		};
		err = verb(self.fd, UPCALL_IOC_EXCHANGE, &args);
		if (!err)
			owner_events(&self, buf, args.events_used, &late);
		else if (err != -ETIMEDOUT && err != -ESHUTDOWN && err != -EINTR)
			complain("receive: errno %d", -err);
		if (late.count && (err || chance(&self, 50))) {
			late.count--;
			owner_end(&self, &late.calls[late.count], late.numbers[late.count], 0);
		}
		if (chance(&self, 1))
			owner_change(&self);
	}
	__atomic_store_n(&leaving, true, __ATOMIC_RELEASE);
	return NULL;
}

int owner_run(void *arg)
{
	struct life *life = arg;
	struct self selves[OWNER_THREADS];
	pthread_t threads[OWNER_THREADS];
	int i;

	owner_fd = peer_open();
	for (i = 0; i < OWNER_THREADS; i++) {
		selves[i] = self_make(life->id + i, life->number);
		selves[i].fd = owner_fd;
	}
	for (i = 0; i < SLOTS; i++)
		owner_register(&selves[0], i);
	for (i = 0; i < OWNER_THREADS; i++) {
		if (pthread_create(&threads[i], NULL, owner_thread, &selves[i]))
			return 1;
	}
	for (i = 0; i < OWNER_THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
