/* SPDX-License-Identifier: GPL-2.0-only */
/* The owner's end comes: peer.c, owner.c, orphan.c, adopt.c and main.c. */

bit o_mm_gone;		/* @owner->dead */
bit o_dying;		/* peer_death_work() is queued or runs */
bit o_armed;		/* @orphan_work is queued */
bit o_late;		/* it is later than @orphan_until */
byte o_adopting;	/* threads in ADOPT: they keep the file open */
byte deaths = 1;

/* Ends a callback that accepts no more; @how: CLOSE, ABORT or DEATH: upcall_callback_retire() */
inline retire(how)
{
	do	/* upcall_callback_retire_calls() */
	:: d_step {	/* callback_retire_some(), callback_first_locked(), callback_retire_call_locked() */
			k = NONE;
			over = 0;
			if
			:: len(cb_queued) > 0 -> cb_queued?<k>
			:: len(cb_queued) == 0 && how != CLOSE && len(cb_running) > 0 ->
				cb_running?<k>;
				if
				:: how == ABORT && call[k].answered -> k = NONE
				:: else
				fi
			:: else
			fi;
			if
			:: k == NONE -> cb_end()
			:: k != NONE && call[k].state == QUEUED ->
				call_unqueue(k, (call[k].ran -> EOWNERDEAD : ESTALE))
			:: k != NONE && call[k].state != QUEUED && how == DEATH ->
				call_answer(k, EOWNERDEAD, MAYBE_RUN);
				call_end(k)
			:: else ->
				call_answer(k, ECANCELED, MAYBE_RUN);
				call_cancel(k)
			fi;
			more = k;
			if
			:: k != NONE && call[k].state == ENDED -> over = 1
			:: else
			fi;
			put_if(over, k)
		};
		if
		:: more == NONE -> break
		:: else
		fi
	od;
	k = 0;
	more = 0
}

/* RELEASED was read, or nobody will: upcall_callback_gone() */
inline cb_gone()
{
	d_step {	/* upcall_callback_gone() */
		first = cb_state != GONE;
		if
		:: first ->
			if
			:: cb_released == WAITS -> cb_released = IDLE; o_events??eval(EV_RELEASED)
			:: else
			fi;
			cb_state = GONE
		:: else
		fi
	};
	if
	:: first -> d_step { cb_put(); first = 0 }	/* upcall_registry_remove(), upcall_callback_put() */
	:: else
	fi
}

inline disarm()
{
	d_step {	/* upcall_orphan_disarm() */
		if
		:: o_armed -> o_armed = 0; o_refs--
		:: else
		fi
	}
}

/* upcall_peer_kill(); its caller has @first, @k, @more, @over */
inline o_kill()
{
	d_step {	/* upcall_peer_kill(), upcall_peer_wake_all() */
		first = !o_dead;
		if
		:: first ->
			o_dead = 1;
			wake_all_owner()
		:: else
		fi
	};
	if
	:: first ->
		disarm();
		/* peer_first_callback(), then upcall_callback_retire(), until there is none */
		d_step {	/* peer_first_callback() */
			first = cb_state != GONE;
			if
			:: first -> cb_refs++
			:: else
			fi
		};
		if
		:: first ->
			d_step {	/* callback_close(), upcall_callback_close_locked() */
				if
				:: cb_state == LIVE -> cb_state = CLOSING
				:: else
				fi
			};
			retire(DEATH);
			cb_gone();
			d_step { cb_put() }	/* upcall_callback_put() */
		:: else
		fi;
		first = 0
	:: else
	fi
}

/* SHUTDOWN by a thread of the owner, whatever else goes on */
proctype Shutdown()
{
	byte k, more;
	bit over, first;

end:	atomic { o_alive && !o_closed && !o_dead -> o_inside++ };
	o_kill();	/* upcall_peer_shutdown() */
	o_inside--
}

/* The last close of the file, by whoever holds it: no thread is in an ioctl on it */
proctype LastClose()
{
	byte k, more;
	bit over, first;

end:	atomic { o_inside == 0 && o_adopting == 0 && !o_closed -> o_closed = 1 };
	o_kill();	/* fop_release() */
	d_step { o_refs-- }	/* upcall_peer_close(), upcall_peer_put() */
}

inline arm()	/* upcall_orphan_arm_locked() */
{
	if
	:: !o_armed -> o_armed = 1; o_refs++
	:: else
	fi
}

/* May a successor run it again? orphan_may_requeue() */
#define may_requeue(c)	((call[c].keeps_arg || FAULT(REQUEUE_ANY)) && cb_state == LIVE && \
			 (!call[c].answered || call[c].oneway))

/*
 * From DELIVERED to QUEUED, in front, but behind what is older: orphan_requeue_locked(),
 * orphan_place_locked(), orphan_ready_locked()
 */
inline requeue(c)
{
	o_nrunning--;
	o_nqueued++;
	call[c].state = QUEUED;
	call[c].ran = 1;
	cb_running??eval(c);
	h_s = NONE;
	if
	:: len(cb_queued) > 0 -> cb_queued?<h_s>
	:: else
	fi;
	if
	:: h_s != NONE && call[h_s].seq < call[c].seq -> cb_queued!c	/* N is 2: the other one */
	:: else -> list_add(cb_queued, c)
	fi;
	if
	:: SERIAL ->
		cb_queued?<h_s>;
		if
		:: len(cb_running) == 0 && call[h_s].node != WAITS -> call_ready(h_s, 1)
		:: else
		fi
	:: !SERIAL && h_s != NONE && call[h_s].seq < call[c].seq -> call_ready(c, 0)
	:: else -> call_ready(c, 1)
	fi
}

/* The newest of those that were delivered: orphan_newest_locked() */
inline newest(k)
{
	cb_running?<k>;
	if
	:: len(cb_running) == 2 ->
		h_s = (k == 0 -> 1 : 0);
		if
		:: !may_requeue(h_s) || call[h_s].seq > call[k].seq -> k = h_s
		:: else
		fi
	:: else
	fi
}

/* The owner's process is killed, exits or execs; then a successor's, if it has one */
proctype Dies()
{
	byte k, more, slot;
	bit over, first, orphan;

end:
	atomic { o_alive && !o_closed && deaths > 0 -> o_alive = 0; deaths-- };
	o_inside == 0;
	if
	:: o_refs == 0 -> goto end	/* nothing of it is left */
	:: else
	fi;
	d_step {	/* owner_release() */
		o_mm_gone = 1;
		o_dying = 1;
		o_refs++;
		call[0].had = 0;
		call[N - 1].had = 0
	};
	d_step {	/* peer_death_work(), orphan_begin() */
		orphan = !o_dead && ADOPTABLE;
		if
		:: orphan -> o_custody = ORPHANING
		:: else
		fi
	};
	if
	:: orphan ->
		slot = 0;
		do
		:: d_step {	/* orphan_some(), orphan_newest_locked(), orphan_call_locked() */
				over = 0;
				k = NONE;
				do
				:: slot < N && !o_dead && call[slot].state != DELIVERED -> slot++
				:: else -> break
				od;
				if
				:: slot < N && !o_dead ->
					newest(k);
					if
					:: may_requeue(k) -> requeue(k)
					:: else ->
						call_answer(k, EOWNERDEAD, MAYBE_RUN);
						call_end(k);
						over = 1
					fi
				:: else
				fi;
				more = k;
				put_if(over, k)
			};
			if
			:: more == NONE -> break
			:: else
			fi
		od;
		true;
		d_step {	/* orphan_end() */
			if
			:: !o_dead ->
				o_custody = ORPHANED;
				o_late = 0;
				arm()
			:: else
			fi
		};
		k = 0;
		more = 0;
		slot = 0
	:: else -> o_kill()	/* upcall_peer_kill() */
	fi;
	orphan = 0;
	d_step { o_dying = 0; o_refs-- };	/* upcall_peer_put() */
	goto end
}

/* Time passes; the work that ends an orphan runs when it is due */
proctype Due()
{
	byte k, more;
	bit over, first, due;

end:
	atomic { o_armed -> o_armed = 0; o_late = 1 };	/* its reference is ours */
	d_step {	/* orphan_work() */
		due = !o_dead && o_custody == ORPHANED && o_late;
		if
		:: due -> o_custody = (FAULT(ABANDONED) -> ORPHANED : ABANDONED)
		:: !due && !o_dead && o_custody == ORPHANED -> arm()
		:: else
		fi
	};
	if
	:: due ->
		assert(!o_alive);	/* time does not end the peer of one who lives */
		o_kill()	/* orphan_work() */
	:: else
	fi;
	due = 0;
	d_step { o_refs-- };	/* upcall_peer_put() */
	goto end
}

/* A process that wants to be the successor */
proctype Adopter()
{
	byte err;

end:
	atomic { !o_alive && o_mm_gone && !o_closed -> o_adopting++ };
	d_step { err = (o_dead -> ESHUTDOWN : OK) };	/* adopt_check() */
	if
	:: err == OK ->
		!o_dying;	/* upcall_adopt() waits for peer_death_work() */
		d_step {	/* adopt_begin() */
			if
			:: o_dead || o_custody == ABANDONED -> err = ESHUTDOWN
			:: !o_dead && o_custody != ABANDONED && o_custody != ORPHANED -> err = ESTALE	/* EBUSY */
			:: else -> o_custody = ADOPTING
			fi
		}
	:: else
	fi;
	if
	:: err == OK ->
		disarm();
		if
		:: d_step {	/* upcall_owner_replace() */
				if
				:: o_dead -> err = ESHUTDOWN
				:: else ->	/* it is bound: other threads of that process may use it */
					assert(!o_alive && o_custody == ADOPTING);
					o_mm_gone = 0;
					o_alive = 1;
					o_inside++
				fi
			}
		:: SIGNALS -> err = EINTR	/* upcall_owner_replace() got no memory, or a signal */
		fi;
		if
		:: err != OK ->
			d_step {	/* adopt_undo() */
				if
				:: !o_dead -> o_custody = ORPHANED; arm()
				:: else
				fi
			}
		:: else ->
			d_step {	/* adopt_end() */
				o_custody = OWNED;
				o_inside--
			}
		fi
	:: else
	fi;
	o_adopting--
}
