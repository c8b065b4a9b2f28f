/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is under the locks, and what is done to one call while a lock is held: state.c, withdraw.c,
 * and the parts of call.c, async.c and callback.c that these use. All inlines of this file
 * are parts of somebody's d_step: none of them is a transition by itself.
 */

/* enum upcall_call_state; enum upcall_cb_state; enum upcall_custody */
#define NEW		0
#define QUEUED		1
#define TAKEN		2
#define DELIVERED	3
#define ENDED		4

#define LIVE		0
#define CLOSING		1
#define RELEASED	2
#define GONE		3

#define OWNED		0
#define ORPHANING	1
#define ORPHANED	2
#define ADOPTING	3
#define ABANDONED	4

/* Stages and errors of an answer */
#define NOT_DELIVERED	1
#define MAYBE_RUN	2
#define REPLIED		3

#define OK		0
#define ESTALE		1
#define EOWNERDEAD	2
#define ECANCELED	3
#define ETIMEDOUT	4
#define ESHUTDOWN	5
#define EINTR		6
#define EREFUSED	7	/* whatever its owner said */

/* An event node: nowhere, in a list of its peer, or in a receiver's batch */
#define IDLE		0
#define WAITS		1
#define BATCH		2

/* Events in lists and batches, one byte each */
#define NONE		255
#define EV_CANCEL(c)	(c)
#define EV_RELEASED	N
#define EV_CALL(c)	(N + 1 + (c))
#define EV_RESULT(c)	(c)	/* in the lists of the caller's peer */

/* How a callback is retired */
#define CLOSE		0
#define ABORT		1
#define DEATH		2

typedef Call {
	byte refs;
	byte state;
	byte stage;
	byte node;	/* CALL, CANCEL and RESULT events */
	byte cancel;
	byte result;
	byte seq;
	bit made;
	bit async;
	bit oneway;
	bit answered;
	bit failed;	/* with an errno */
	bit left;
	bit ran;
	bit keeps_arg;
	bit payer;	/* charged to the caller; to the owner */
	bit heir;
	bit linked;	/* @out_link */
	bit has_id;	/* @caller_id */
	bit waited;
	bit landed;
	bit timed;	/* @deadline_node */
	bit cookie;
	bit freed;
	/* What the two processes know, for the properties */
	bit accepted;	/* its submit succeeded */
	bit away;	/* its caller was told the id, and never came back */
	bit had;	/* its owner received it, and has not dealt with it */
	byte runs;
	bit told;
	bit ended;
};

Call call[N];

/* The callback, under the lock of its peer */
byte cb_state = LIVE;
byte cb_refs = 1;	/* the registry's */
byte cb_cancelling;
byte cb_released = IDLE;
bit cb_cookie;
byte cb_seq;
chan cb_queued = [N] of { byte };
chan cb_running = [N] of { byte };

/* The owner's peer */
byte o_refs = 2;	/* its file, its callback */
bit o_dead;
byte o_custody = OWNED;
byte o_nqueued;
byte o_nrunning;
chan o_queue = [N] of { byte };
chan o_events = [N + 1] of { byte };
chan o_idle = [2] of { byte };
bit o_woken[2];

/* Its process, and its file */
bit o_alive = 1;	/* no fatal signal, and it is the one that the peer is bound to */
byte o_inside;		/* threads in an ioctl: neither the address space nor the file goes */
bit o_closed;

/* The caller's peer */
byte p_refs = 1;
bit p_dead;
chan p_outgoing = [N] of { byte };
chan p_answers = [N] of { byte };
chan p_results = [N] of { byte };
chan p_idle = [2] of { byte };
bit p_woken[2];
byte p_expiring;	/* deadline_work() runs */

/* What happened, for the properties */
bit rebound;
byte releases;		/* RELEASED that were received */

/* Only inside of a d_step: no part of the state */
hidden byte h_n;	/* of list_add */
hidden byte h_t;
hidden byte h_w;	/* of wake_owner, wake_caller */
hidden byte h_s;	/* of serial_next */
hidden byte h_e;	/* of whoever goes through a list */

#define has(list, x)	(list??[eval(x)])

inline list_add(list, x)
{
	h_n = len(list);
	list!x;
	do
	:: h_n > 0 -> list?h_t; list!h_t; h_n--
	:: else -> break
	od
}

inline list_move_tail(list, x)
{
	list??eval(x);
	list!x
}

/* Whoever touches a call has a reference, its own or that of a list under a lock that it holds */
#define hold(c)		assert(call[c].refs > 0 && !call[c].freed)

inline cb_put()		/* upcall_callback_put() */
{
	assert(cb_refs > 0);
	cb_refs--;
	if
	:: cb_refs == 0 ->
		assert(cb_state == GONE && cb_released != WAITS);
		assert(len(cb_queued) == 0 && len(cb_running) == 0);
		o_refs--
	:: else
	fi
}

inline call_put(c)	/* upcall_call_put() */
{
	hold(c);
	call[c].refs--;
	if
	:: call[c].refs == 0 ->
		assert(call[c].state == NEW || call[c].state == ENDED);
		assert(!call[c].heir && !call[c].linked && !call[c].landed && !call[c].has_id);
		assert(call[c].node != WAITS && call[c].cancel != WAITS && call[c].result != WAITS);
		assert(!has(cb_queued, c) && !has(cb_running, c));
		assert(!has(p_answers, c) && !has(p_outgoing, c) && !call[c].timed);
		if
		:: call[c].async -> p_refs--
		:: else
		fi;
		call[c].freed = 1;
		call[c].payer = 0;
		call[c].failed = 0;	/* what nobody looks at any more makes no other state */
		call[c].stage = 0;
		call[c].node = IDLE;
		call[c].cancel = IDLE;
		call[c].result = IDLE;
		call[c].seq = 0;
		call[c].left = 0;
		call[c].ran = 0;
		call[c].keeps_arg = 0;
		call[c].waited = 0;
		call[c].cookie = 0;
		cb_put()
	:: else
	fi
}

/* The first in @idle, where all take calls: upcall_peer_wake() */
inline wake_owner()
{
	if
	:: len(o_idle) > 0 -> o_idle?h_w; o_woken[h_w] = 1
	:: else
	fi
}

inline wake_caller()	/* upcall_peer_wake() */
{
	if
	:: len(p_idle) > 0 -> p_idle?h_w; p_woken[h_w] = 1
	:: else
	fi
}

inline wake_all_owner()	/* upcall_peer_wake_all() */
{
	do
	:: len(o_idle) > 0 -> o_idle?h_w; o_woken[h_w] = 1
	:: else -> break
	od
}

inline wake_all_caller()	/* upcall_peer_wake_all() */
{
	do
	:: len(p_idle) > 0 -> p_idle?h_w; p_woken[h_w] = 1
	:: else -> break
	od
}

inline call_ready(c, front)	/* upcall_call_ready_locked() */
{
	call[c].node = WAITS;
	if
	:: front -> list_add(o_queue, c)
	:: else -> o_queue!c
	fi;
	if
	:: !FAULT(NO_WAKE) -> wake_owner()
	:: else
	fi
}

inline serial_next()	/* call_serial_next_locked() */
{
	if
	:: SERIAL && cb_state == LIVE && len(cb_running) == 0 && len(cb_queued) > 0 ->
		cb_queued?<h_s>;
		if
		:: call[h_s].node != WAITS -> call_ready(h_s, 0)
		:: else
		fi
	:: else
	fi
}

/* The caller's end, once: upcall_call_answer_locked(), upcall_async_answered() */
inline call_answer(c, why, far)
{
	hold(c);
	if
	:: !call[c].answered ->
		call[c].failed = why != OK;
		call[c].stage = far;
		/* NOT_DELIVERED: it has not run, and as it leaves the queue it will not */
		assert(far != NOT_DELIVERED || call[c].runs == 0);
		if
		:: !FAULT(UNSORTED) && far != REPLIED && (call[c].state == TAKEN || call[c].state == DELIVERED) ->
			list_move_tail(cb_running, c)
		:: else
		fi;
		call[c].answered = 1;
		if
		:: call[c].async && call[c].state != NEW ->
			call[c].refs++;
			p_answers!c;
			if
			:: !call[c].waited -> wake_caller()
			:: else
			fi
		:: else
		fi
	:: else
	fi
}

inline call_leave(c)	/* call_leave_locked() */
{
	if
	:: !call[c].left && call[c].state != ENDED ->
		call[c].left = 1;
		call[c].heir = 1;
		if
		:: !call[c].async -> call[c].payer = 0
		:: else
		fi
	:: else
	fi
}

/* Has it had its last owner's end? upcall_callback_end_locked() */
inline cb_end()
{
	if
	:: cb_state == CLOSING && len(cb_queued) == 0 &&
	   (len(cb_running) == 0 || FAULT(RELEASED_EARLY)) && cb_cancelling == 0 && !o_dead ->
		cb_state = RELEASED;
		cb_released = WAITS;
		o_events!EV_RELEASED;
		wake_owner()
	:: else
	fi
}

/* The owner's end, once; its reference goes to the caller of this: upcall_call_end_locked() */
inline call_end(c)
{
	hold(c);
	assert(!call[c].ended);
	call[c].ended = 1;
	if
	:: call[c].state == DELIVERED -> o_nrunning--; cb_running??eval(c)
	:: call[c].state == TAKEN -> o_nqueued--; cb_running??eval(c)
	:: else -> o_nqueued--; cb_queued??eval(c)
	fi;
	call[c].state = ENDED;
	call[c].heir = call[c].heir && FAULT(HEIR);
	if
	:: call[c].cancel == WAITS && !FAULT(STALE_CANCEL) ->
		call[c].cancel = IDLE;
		o_events??eval(c);
		call[c].refs--
	:: else
	fi;
	if
	:: !FAULT(SERIAL_STOPS) -> serial_next()
	:: else
	fi;
	cb_end()
}

/*
 * A reference that a lock section left to us goes right behind it: nobody looks at the count but
 * upcall_async_done(), which has its own step
 */
inline put_if(over, c)
{
	if
	:: over -> over = 0; call_put(c)
	:: else
	fi
}

#define stage_of(c)	(call[c].state >= TAKEN || call[c].ran -> MAYBE_RUN : NOT_DELIVERED)

inline call_unqueue(c, why)	/* upcall_call_unqueue_locked() */
{
	if
	:: call[c].node == WAITS -> call[c].node = IDLE; o_queue??eval(c)
	:: else
	fi;
	call_answer(c, why, (call[c].ran -> MAYBE_RUN : NOT_DELIVERED));
	call_end(c)
}

inline call_cancel(c)	/* upcall_call_cancel_locked() */
{
	call_leave(c);
	if
	:: call[c].state == DELIVERED && !o_dead ->
		call[c].refs = call[c].refs + !FAULT(CANCEL_REF);
		call[c].cancel = WAITS;
		o_events!EV_CANCEL(c);
		wake_owner()
	:: else
	fi
}

/* From TAKEN; sets @over if that was its owner's end as well: upcall_call_delivered_locked() */
inline call_delivered(c, over)
{
	o_nqueued--;
	call[c].state = DELIVERED;
	o_nrunning++;
	if
	:: call[c].oneway && AUTOEND -> call_end(c); over = 1
	:: call[c].oneway && !AUTOEND -> call_leave(c)
	:: !call[c].oneway && call[c].answered -> call_cancel(c)
	:: else
	fi
}

/*
 * Takes a call back if it is in the queue, else tells its owner; sets @back if the owner's
 * reference is the caller's: upcall_call_abandon(), call_take_back_locked()
 */
inline call_abandon(c, why, back)
{
	hold(c);
	if
	:: call[c].state == QUEUED && !call[c].oneway -> call_unqueue(c, why); back = 1
	:: else ->
		if
		:: !call[c].answered ->
			call_answer(c, why, stage_of(c));
			if
			:: call[c].state != NEW -> call_cancel(c)
			:: else
			fi
		:: else
		fi
	fi
}
