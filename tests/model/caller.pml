/* SPDX-License-Identifier: GPL-2.0-only */
/* The caller's end: submit.c, invoke.c, async.c, deadline.c, and the end of the caller's peer. */

/* What the calling process is told in the end, once */
inline tell(c, far)
{
	assert(!call[c].told);
	call[c].told = 1;
	assert(far != NOT_DELIVERED || call[c].runs == 0);
	assert(far != REPLIED || call[c].runs > 0)
}

/* Sets @put if the reference of the list is the caller's: upcall_submit_unlink_locked() */
inline call_unlink(c, put)
{
	hold(c);
	call[c].waited = 0;
	if
	:: call[c].linked ->
		call[c].linked = 0;
		call[c].has_id = 0;
		p_outgoing??eval(c);
		call[c].timed = 0;
		put = 1
	:: else
	fi
}

inline give_up(c, why)
{
	d_step {	/* upcall_call_abandon() */
		call_abandon(c, why, put);
		put_if(put, c)
	}
}

/* Under the lock of the caller's peer: upcall_async_land_locked() */
inline land()
{
	do
	:: len(p_answers) > 0 ->
		p_answers?h_e;
		if
		:: call[h_e].waited -> call[h_e].landed = 1
		:: else -> call[h_e].result = WAITS; p_results!h_e
		fi
	:: else -> break
	od
}

/* The copy faulted, and the peer lives: upcall_async_return_locked() */
inline result_back(c)
{
	if
	:: call[c].waited -> call[c].landed = 1
	:: else ->
		call[c].result = WAITS;
		list_add(p_results, c);
		wake_caller()
	fi
}

/* A RESULT's reference goes; who left the rest to its owner pays for nothing more */
inline result_done(c)
{
	d_step {	/* upcall_async_done() */
		hold(c);
		call[c].result = IDLE;
		if
		:: call[c].refs > 1 && call[c].left -> call[c].payer = 0
		:: else
		fi
	};
	d_step { call_put(c) }	/* upcall_call_put() */
}

/* The steps of a submit; @err says how it ended, and if not OK, nothing is left of it */
inline submit(c, waits)
{
	d_step {	/* upcall_registry_get(), upcall_call_new() */
		if
		:: cb_state == GONE -> err = ESTALE; tell(c, NOT_DELIVERED)
		:: else ->
			call[c].made = 1;
			call[c].refs = 1;
			call[c].payer = 1;
			cb_refs++;
			if
			:: call[c].async -> p_refs++
			:: else
			fi
		fi
	};
	if
	:: err == OK && !call[c].oneway ->
		d_step {	/* submit_link(), upcall_submit_link_locked() */
			call[c].waited = waits;
			if
			:: p_dead -> err = ESHUTDOWN; tell(c, NOT_DELIVERED); call_put(c)
			:: else ->
				call[c].refs++;
				call[c].linked = 1;
				p_outgoing!c;
				call[c].has_id = call[c].async || KEEPS;
				call[c].timed = call[c].async && EXPIRES
			fi
		}
	:: else
	fi;
	if
	:: err == OK ->
		d_step {	/* upcall_call_queue(), upcall_call_enqueue_locked() */
			hold(c);
			if
			:: call[c].answered -> err = ECANCELED
			:: !call[c].answered && cb_state != LIVE -> err = ESTALE
			:: else ->
				call[c].refs++;
				call[c].state = QUEUED;
				call[c].accepted = 1;
				call[c].answered = call[c].oneway;
				cb_seq++;
				call[c].seq = cb_seq;
				call[c].cookie = cb_cookie;
				cb_queued!c;
				o_nqueued++;
				if
				:: SERIAL -> serial_next()
				:: else -> call_ready(c, 0)
				fi
			fi
		};
		if
		:: err != OK ->
			d_step {	/* upcall_submit_unlink(), upcall_call_put() */
				call_unlink(c, put);
				tell(c, NOT_DELIVERED);
				put_if(put, c);
				call_put(c)
			}
		:: else
		fi
	:: else
	fi
}

/* The answer is constant: the thread takes it, and has done with the call */
inline collect(c)
{
	d_step {	/* invoke_collect(), upcall_submit_unlink(), upcall_call_put() */
		assert(call[c].answered);
		call_unlink(c, put);
		tell(c, call[c].stage);
		put_if(put, c);
		call_put(c)
	}
}

/*
 * INVOKE by a thread. It may be interrupted, time out or be killed wherever it sleeps. When it was
 * told the id it comes back, cancels, or never comes again; a reply may find no room at first.
 */
proctype Invoke(byte c)
{
	byte err;
	bit put, done, resumed, signals = SIGNALS, keep = KEEPS;

	submit(c, 1);
	if
	:: err != OK -> goto out
	:: else
	fi;
sleep:
	if	/* invoke_sleep(), TASK_INTERRUPTIBLE */
	:: call[c].answered -> err = OK
	:: !call[c].answered && signals -> signals = 0; err = EINTR
	:: !call[c].answered && KILLED -> err = ECANCELED
	:: !call[c].answered && EXPIRES -> err = ETIMEDOUT
	fi;
	if
	:: err == EINTR && !resumed ->
		d_step {	/* upcall_call_withdraw(), call_take_back_locked() */
			hold(c);
			if
			:: call[c].state == TAKEN && FAULT(WITHDRAW_TAKEN) -> call_answer(c, EINTR, NOT_DELIVERED)
			:: call[c].state == QUEUED && !call[c].ran -> call_unqueue(c, EINTR); put = 1
			:: else
			fi;
			done = call[c].answered;
			put_if(put, c)
		};
		if
		:: done -> err = OK
		:: else
		fi
	:: else
	fi;
	if
	:: err == EINTR ->
		d_step {	/* invoke_detach() */
			if
			:: p_dead && !FAULT(DETACH_DEAD) -> err = ESHUTDOWN
			:: else -> call[c].has_id = 1
			fi
		};
		if
		:: err == EINTR -> goto away
		:: true ->	/* the id could not be written */
			if	/* invoke_sleep(), TASK_KILLABLE */
			:: call[c].answered -> err = OK
			:: !call[c].answered && KILLED -> err = ECANCELED
			:: !call[c].answered && EXPIRES -> err = ETIMEDOUT
			fi
		fi
	:: else
	fi;
	if
	:: err != OK -> give_up(c, err)
	:: else
	fi;
	if
	:: keep && call[c].has_id && !call[c].failed -> keep = 0
	:: true -> collect(c); goto out
	fi;

away:	true;
	d_step {	/* invoke_unwait(), upcall_call_put() */
		call[c].waited = 0;
		call_put(c)
	};
	if
	:: d_step {	/* invoke_resume() */
			if
			:: call[c].linked ->
				hold(c);
				call[c].waited = 1;
				call[c].refs++;
				err = OK
			:: else -> call[c].away = 1; err = ESTALE	/* its peer has ended */
			fi
		};
		resumed = 1;
		if
		:: err != OK -> goto out
		:: err == OK -> goto sleep
		:: err == OK -> give_up(c, ECANCELED); collect(c)	/* upcall_invoke_cancel() */
		fi
	:: call[c].away = 1	/* never comes again */
	fi;
out:	err = 0
}

/* A notification: that it was queued is its caller's end */
proctype Notify(byte c)
{
	byte err;
	bit put;

	call[c].oneway = 1;
	submit(c, 0);
	if
	:: err == OK -> d_step { tell(c, MAYBE_RUN); call_put(c) }	/* upcall_run_add(), invoke_oneway() */
	:: else
	fi
}

/* CALL by a thread that then waits for that one RESULT, with WAIT_COMMAND; or does not */
proctype Async(byte c)
{
	byte err;
	bit put, mine, signals = SIGNALS;

	call[c].async = 1;
	if
	:: submit(c, 0);	/* upcall_run_add() */
		if
		:: err == OK -> d_step { call_put(c) }	/* upcall_call_put() */
		:: else
		fi;
		goto out
	:: submit(c, 1);	/* upcall_run_add() */
		if
		:: err != OK -> goto out
		:: else
		fi
	fi;
wait:	true;
	d_step {	/* receive_try_locked(), batch_take_chain_locked() */
		if
		:: p_dead -> err = ESHUTDOWN
		:: else ->
			land();
			mine = call[c].landed;
			call[c].landed = 0
		fi
	};
	if
	:: mine ->
		mine = 0;
		if
		:: true ->
			d_step {	/* batch_commit_one_locked() */
				call_unlink(c, put);
				tell(c, call[c].stage);
				put_if(put, c)
			};
			result_done(c)
		:: FAULTS ->
			d_step {	/* upcall_batch_return(), upcall_async_return_locked() */
				if
				:: p_dead -> mine = 1
				:: else -> result_back(c)
				fi
			};
			if
			:: mine -> mine = 0; result_done(c)
			:: else
			fi
		fi
	:: !mine && err == OK && (p_dead || call[c].landed || len(p_answers) > 0) -> goto wait
	:: else ->
		if	/* receive_sleep_chain(), receive_chain_ready(): looked, and sleeps */
		:: err != OK
		:: err == OK && call[c].answered -> goto wait
		:: err == OK && signals && !call[c].answered -> signals = 0
		:: err == OK && EXPIRES && !call[c].answered
		fi
	fi;
	d_step {	/* upcall_async_unwait() */
		call[c].waited = 0;
		if
		:: call[c].landed ->
			call[c].landed = 0;
			if
			:: p_dead -> mine = 1
			:: else -> call[c].result = WAITS; p_results!c
			fi
		:: else
		fi;
		if
		:: !p_dead && !FAULT(UNWAIT) ->
			land();
			if
			:: len(p_results) > 0 -> wake_caller()
			:: else
			fi
		:: else
		fi
	};
	if
	:: mine -> result_done(c)
	:: else
	fi;
	d_step { call_put(c) };	/* upcall_call_put() */
out:	err = 0
}

/* A thread that receives whatever RESULT comes to the caller's peer */
proctype Results(byte r)
{
	byte c;
	bit put, got, dead, faults = FAULTS;

try:	true;
	d_step {	/* receive_try_locked(), receive_idle_locked() */
		got = 0;
		dead = p_dead;
		if
		:: !p_dead ->
			land();
			if
			:: len(p_results) > 0 ->
				p_results?c;
				call[c].result = BATCH;
				got = 1;
				if
				:: len(p_results) > 0 -> wake_caller()
				:: else
				fi
			:: else -> list_add(p_idle, r)
			fi
		:: else
		fi
	};
	if
	:: dead -> goto out
	:: !dead && !got ->
		if	/* receive_sleep(): looks once, then sleeps */
		:: len(p_answers) > 0
		:: else ->
end_sleep:		p_woken[r]
		fi;
		d_step {	/* receive_sleep(), its lock section */
			p_woken[r] = 0;
			if
			:: has(p_idle, r) -> p_idle??eval(r)
			:: else
			fi
		};
		goto try
	:: got ->
		if
		:: true ->
			d_step {	/* upcall_batch_commit(), batch_commit_one_locked() */
				call_unlink(c, put);
				tell(c, call[c].stage);
				put_if(put, c)
			}
		:: faults ->
			d_step {	/* upcall_batch_return(), upcall_async_return_locked() */
				faults = 0;
				call[c].result = IDLE;
				if
				:: !p_dead -> result_back(c); got = 0
				:: else
				fi
			}
		fi
	fi;
	if
	:: got -> result_done(c)
	:: else
	fi;
	c = 0;
	got = 0;
	goto try;
out:	skip
}

/* CANCEL of a CALL */
proctype Cancel(byte c)
{
	bit put, found;

end:	call[c].async && call[c].has_id;
	d_step {	/* upcall_async_cancel() */
		if
		:: call[c].linked ->
			hold(c);
			call[c].refs++;
			found = 1
		:: else
		fi
	};
	if
	:: found ->
		give_up(c, ECANCELED);
		d_step { call_put(c) }	/* upcall_call_put() */
	:: else
	fi
}

/* The timer of the caller's peer went off */
proctype Deadline(byte c)
{
	bit put, due;

end:	atomic { call[c].timed && !p_dead -> p_expiring++ };
	d_step {	/* deadline_take() */
		if
		:: call[c].timed && !p_dead ->
			hold(c);
			call[c].timed = 0;
			call[c].refs++;
			due = 1
		:: else
		fi
	};
	if
	:: due ->
		give_up(c, ETIMEDOUT);	/* deadline_work() */
		d_step { call_put(c) }	/* upcall_call_put() */
	:: else
	fi;
	p_expiring--
}

/* The end of the caller's peer: its process is gone, or SHUTDOWN. Its caller has @c, @put, @first */
inline p_kill()
{
	d_step {	/* upcall_peer_kill(), upcall_peer_wake_all() */
		first = !p_dead;
		p_dead = 1;
		wake_all_caller()
	};
	if
	:: first ->
		do	/* upcall_peer_give_up_calls() */
		:: d_step {	/* peer_take_outgoing() */
				if
				:: len(p_outgoing) > 0 -> p_outgoing?<c>; call_unlink(c, put); put = 0
				:: else -> c = NONE
				fi
			};
			if
			:: c == NONE -> break
			:: else ->
				give_up(c, ESHUTDOWN);
				d_step { call_put(c) }	/* upcall_call_put() */
			fi
		od;
		p_expiring == 0;	/* upcall_deadline_stop() */
		do
		:: len(p_answers) > 0 ->
			d_step { p_answers?c };	/* upcall_async_stop() */
			result_done(c)
		:: len(p_results) > 0 ->
			d_step { p_results?c };	/* upcall_async_stop() */
			result_done(c)
		:: else -> break
		od;
		c = 0
	:: else
	fi
}

proctype CallerEnds()
{
	byte c;
	bit put, first;

	p_kill()
}
