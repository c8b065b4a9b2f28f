/* SPDX-License-Identifier: GPL-2.0-only */
/* The owner's end: receive.c, batch.c, reply.c, and callback.c with REBIND and RELEASE. */

/* Wakes others for what is still there: receive_pass_on_locked() */
inline pass_on()
{
	if
	:: len(o_events) > 0 || len(o_queue) > 0 -> wake_owner()
	:: else
	fi
}

/* Events, then calls, as far as there is room: upcall_batch_take_locked() */
inline take()
{
	do
	:: len(batch) < room && len(o_events) > 0 ->
		o_events?h_e;
		batch!h_e;
		if
		:: h_e == EV_RELEASED -> cb_released = BATCH; cb_refs++
		:: else ->
			assert(call[h_e].state == DELIVERED);	/* its owner still owes its end */
			call[h_e].cancel = BATCH;
			cb_cancelling++
		fi
	:: len(batch) < room && len(o_events) == 0 && len(o_queue) > 0 ->
		o_queue?h_e;
		hold(h_e);
		assert(call[h_e].state == QUEUED);
		call[h_e].node = BATCH;
		call[h_e].refs++;
		call[h_e].state = TAKEN;
		call[h_e].keeps_arg = IDEMPOTENT;
		call[h_e].cookie = (FAULT(COOKIE) -> call[h_e].cookie : cb_cookie);
		cb_queued??eval(h_e);
		if
		:: call[h_e].answered -> cb_running!h_e
		:: else -> list_add(cb_running, h_e)
		fi;
		assert(!SERIAL || len(cb_running) == 1);
		batch!EV_CALL(h_e)
	:: else -> break
	od
}

/* One event of a batch whose copy faulted; sets @over for the owner's reference of a call */
inline give_back(ev)
{
	if
	:: ev == EV_RELEASED ->
		cb_released = IDLE;
		if
		:: cb_state == RELEASED ->
			cb_released = WAITS;
			list_add(o_events, EV_RELEASED);
			wake_owner()
		:: else
		fi;
		cb_put()
	:: ev < EV_RELEASED ->	/* batch_return_cancel_locked() */
		call[ev].cancel = IDLE;
		cb_cancelling--;
		cb_end();
		if
		:: call[ev].state == DELIVERED ->
			call[ev].cancel = WAITS;
			list_add(o_events, ev);
			wake_owner()	/* it takes its reference along */
		:: else -> call_put(ev)
		fi
	:: else ->		/* batch_return_call_locked() */
		ev = ev - EV_CALL(0);
		hold(ev);
		call[ev].node = IDLE;
		if
		:: call[ev].state != TAKEN
		:: call[ev].state == TAKEN && call[ev].answered && !call[ev].oneway ->
			call_end(ev); over = 1
		:: call[ev].state == TAKEN && (!call[ev].answered || call[ev].oneway) && cb_state != LIVE ->
			if
			:: call[ev].ran -> call_answer(ev, EOWNERDEAD, MAYBE_RUN)
			:: else -> call_answer(ev, ESTALE, NOT_DELIVERED)
			fi;
			call_end(ev); over = 1
		:: else ->
			call[ev].state = QUEUED;
			cb_running??eval(ev);
			list_add(cb_queued, ev);
			call_ready(ev, 1)
		fi;
		put_if(over, ev);
		call_put(ev)
	fi
}

/* One event of a batch that its receiver has; sets @over for the owner's reference of a call */
inline commit(ev)
{
	assert(releases == 0);	/* after RELEASED nothing follows */
	if
	:: ev == EV_RELEASED ->
		releases++;
		assert(o_nrunning == 0 && o_nqueued == 0);
		gone = 1
	:: ev < EV_RELEASED -> cb_cancelling--; cb_end(); call_put(ev)
	:: else ->
		ev = ev - EV_CALL(0);
		hold(ev);
		assert(!after_rebind || call[ev].cookie == 1);
		if
		:: call[ev].oneway && AUTOEND -> call[ev].runs++
		:: else -> call[ev].had = 1
		fi;
		if
		:: call[ev].state == TAKEN -> call_delivered(ev, over)
		:: else
		fi;
		put_if(over, ev);
		call_put(ev)
	fi
}

/* A thread of the owner that receives, again and again, until the peer has ended */
proctype Receiver(byte r)
{
	chan batch = [2 * N + 1] of { byte };
	byte e, room;
	bit leave, over, gone, first, after_rebind, faults = FAULTS, signals = SIGNALS;
	byte more, k;

user:
end_user:
	atomic {
		o_alive && !o_closed && !o_dead ->
		o_inside++;
		after_rebind = rebound;
		if
		:: room = 2 * N + 1
		:: MANY -> room = 1
		fi
	};
try:	true;
	d_step {	/* receive_try_locked(), receive_idle_locked() */
		if
		:: o_dead -> leave = 1
		:: else ->
			take();
			if
			:: len(batch) > 0 -> pass_on()
			:: len(batch) == 0 && leave -> pass_on()
			:: else -> list_add(o_idle, r)
			fi
		fi
	};
	if
	:: len(batch) > 0 -> leave = 0
	:: len(batch) == 0 && leave -> goto leaves
	:: else ->
		if	/* receive_sleep() */
		:: signals && !o_woken[r] -> signals = 0; leave = 1
		:: !o_alive -> leave = 1
end_sleep:	:: o_woken[r]
		fi;
		d_step {	/* receive_sleep(), its last lock section */
			o_woken[r] = 0;
			if
			:: has(o_idle, r) -> o_idle??eval(r)
			:: else
			fi
		};
		goto try
	fi;

	if	/* receive_copy() */
	:: true ->
		d_step {	/* upcall_batch_commit(), batch_commit_one_locked(); then node_put() */
			do
			:: len(batch) > 0 ->
				batch?e;
				commit(e)
			:: else -> break
			od
		};
		if
		:: gone ->
			gone = 0;
			cb_gone();	/* upcall_batch_commit() */
			d_step { cb_put() }	/* upcall_callback_put() */
		:: else
		fi
	:: faults ->
		faults = 0;
		do
		:: len(batch) > 0 ->
			d_step {	/* batch_return_locked() */
				h_n = len(batch) - 1;	/* the last one first */
				do
				:: h_n > 0 -> batch?h_t; batch!h_t; h_n--
				:: else -> break
				od;
				batch?e;
				give_back(e)
			}
		:: else -> break
		od
	fi;
	e = 0;

leaves:
	leave = 0;
	room = 0;
	after_rebind = 0;
	if
	:: !o_alive && !ADOPTABLE -> o_kill()	/* receive_killed() */
	:: else
	fi;
	o_inside--;
	goto user
}

/* Whether a call can be answered; sets @over if this was its owner's end: call_open_locked() */
inline open(c)
{
	hold(c);
	err = OK;
	if
	:: call[c].state != DELIVERED -> err = ESTALE	/* ENOENT */
	:: call[c].state == DELIVERED && call[c].answered && !call[c].oneway ->
		call_end(c);
		over = 1;
		err = ESTALE
	:: else
	fi
}

/* REPLY; a thread knows the id and no more, so it looks the call up first */
inline reply(c)
{
	d_step {	/* call_reply_begin(), call_find_locked() */
		if
		:: call[c].refs > 0 && call[c].state == DELIVERED ->
			open(c);
			if
			:: err == OK -> call[c].refs++
			:: else -> put_if(over, c)
			fi
		:: else -> err = ESTALE
		fi
	};
	if
	:: err == OK ->
		/* reply_take(): reads memory, which may fault and end it here */
		d_step {	/* upcall_call_reply(), call_reply_locked() */
			if
			:: !FAULT(REPLY_BLIND) -> open(c)
			:: else
			fi;
			if
			:: err == OK ->
				if
				:: !call[c].oneway -> call_answer(c, OK, REPLIED)
				:: else
				fi;
				call_end(c);
				over = 1
			:: else
			fi;
			put_if(over, c)
		};
		d_step { call_put(c) }	/* upcall_call_put() */
	:: else
	fi
}

inline refuse(c)
{
	d_step {	/* upcall_call_refuse() */
		if
		:: call[c].refs > 0 && call[c].state == DELIVERED ->
			open(c);
			if
			:: err == OK ->
				call_answer(c, EREFUSED, (call[c].ran && !FAULT(REFUSE_STAGE) -> MAYBE_RUN : NOT_DELIVERED));
				call_end(c);
				over = 1
			:: else
			fi
		:: else -> err = ESTALE
		fi;
		put_if(over, c)
	}
}

/* The owner's code behind a callback: runs what was received, or does not; then says so */
proctype Worker(byte c)
{
	byte err;
	bit over, ran;

again:
	ran = 0;
	err = 0;
end_user:
	if
	:: atomic { call[c].had && o_alive ->	/* runs it */
			call[c].had = 0;
			call[c].runs++;
			assert(!(call[c].answered && call[c].stage == NOT_DELIVERED) || call[c].oneway);
			assert(call[c].runs == 1 || (IDEMPOTENT && ADOPTABLE));
			ran = 1
		}
	:: atomic { REFUSES && call[c].had && o_alive -> call[c].had = 0 }
	fi;
	if
	:: atomic { o_alive && !o_closed && !o_dead -> o_inside++ };
		if
		:: ran -> reply(c)
		:: else -> refuse(c)
		fi;
		o_inside--
	:: !o_alive || o_dead	/* it is too late: the process is gone, or ESHUTDOWN */
	fi;
	goto again
}

/* Another thread answers the same call, at any time after it ran */
proctype Twice(byte c)
{
	byte err;
	bit over;

end_user:
	atomic { call[c].runs > 0 && o_alive && !o_closed && !o_dead -> o_inside++ };
	reply(c);
	o_inside--
}

/* REBIND, once */
proctype Rebind()
{
end:	atomic { o_alive && !o_closed && !o_dead -> o_inside++ };
	d_step {	/* upcall_callback_rebind() */
		if
		:: cb_state == LIVE -> cb_cookie = 1
		:: else
		fi
	};
	rebound = cb_cookie;
	o_inside--
}

/* RELEASE, to close or to abort, by a thread of the owner; abort also after a close */
proctype Release(byte how)
{
	byte k, more;
	bit over, ok;

end:	atomic { o_alive && !o_closed && !o_dead -> o_inside++ };
	d_step {	/* upcall_registry_get(), upcall_callback_get_own() */
		if
		:: cb_state != GONE -> cb_refs++; ok = 1
		:: else
		fi
	};
	if
	:: ok ->
		d_step {	/* callback_close(), upcall_callback_close_locked() */
			if
			:: cb_state == LIVE -> cb_state = CLOSING
			:: cb_state != LIVE && (how == CLOSE || cb_state != CLOSING) -> ok = 0
			:: else
			fi
		};
		if
		:: ok ->
			retire(how);
			/* Whoever waited has an answer, whatever the owner does */
			assert(how == CLOSE || call[0].answered || call[0].state == NEW);
			assert(how == CLOSE || call[1].answered || call[1].state == NEW)
		:: else
		fi;
		d_step { cb_put() }	/* upcall_callback_put() */
	:: else
	fi;
	o_inside--
}
