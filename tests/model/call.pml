/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of one callback and of two calls to it, for spin: every interleaving of their callers,
 * their owner and of whatever befalls either, to the end.
 *
 * What is modelled: the states of a call and of its callback, its two ends, all references to call,
 * callback and peers, who pays, the queue, CANCEL, RELEASED and RESULT events, batches that
 * fault, sleeping and waking, SERIAL, REBIND, RELEASE, SHUTDOWN, the last close, the death of
 * the process, orphans and ADOPT. One transition is what the code does under one hold of a lock, or
 * with no lock and unseen by others; its comment names the function, which 'make check' looks up in
 * the module's sources. What is done to a call under a lock is in state.pml; who calls,
 * in caller.pml; who answers, in owner.pml; how the owner's peer ends, in death.pml.
 *
 * What is abstracted: payloads, descriptors, ids (a call is its number; only those of an INVOKE
 * are there or not), who may call, WAIT_ROOM and refusals for want of room, nesting and its
 * wake-ups, LATEST, stubs, a peer that calls itself. Charges are one bit for each side. A lock
 * section that the code repeats in batches treats one call here, which allows more
 * interleavings. A reference that is to be put behind a lock section is put at its end: too
 * early rather than too late for everybody else. Memory is sequentially consistent: the
 * barriers of invoke_sleep() and upcall_async_answered() are not looked at.
 *
 * What is claimed in every configuration of run.sh, by assertions, by the absence of deadlocks, and of
 * cycles: every run ends. In brackets where it is asserted:
 *	each caller is answered, and told, once				(tell, quiet, nothing_left)
 *	the owner's end comes once					(call_end, nothing_left)
 *	NOT_DELIVERED: it did not run, and does not run later		(call_answer, tell, Worker)
 *	REPLIED: it ran							(tell)
 *	it runs once, unless IDEMPOTENT and adopted			(Worker)
 *	who uses a call has a reference; it is freed with the last one, and then stands in no
 *	list								(hold, call_put)
 *	when both peers are closed nothing is left, nor charged		(nothing_left, init)
 *	what can be received does not wait while a receiver sleeps	(init)
 *	RELEASED comes once, with nothing running, and nothing follows	(commit, quiet)
 *	deliveries that begin after a REBIND have the new cookie		(commit)
 *	SERIAL: one runs at a time					(take)
 *	a peer has one process, which its orphan's deadline does not end	(Adopter, Due)
 * Each of the faults that run.sh lists, FAULT() in the model, breaks one of these.
 */
#define N 2

/* A configuration is in the environment, so that all of them are one program */
c_decl {
	extern char *getenv(const char *);
	extern int strcmp(const char *, const char *);
	extern char *strstr(const char *, const char *);
	static int option(const char *name)
	{
		static const char *all;

		if (!all)
			all = getenv("MODEL");
		return all && strstr(all, name);
	}
};

hidden byte SERIAL;
hidden byte IDEMPOTENT;
hidden byte ADOPTABLE;
hidden byte AUTOEND;
hidden byte KEEPS;
hidden byte EXPIRES;
hidden byte SIGNALS;
hidden byte KILLED;
hidden byte REFUSES;
hidden byte FAULTS;
hidden byte RESULTS;
hidden byte MANY;
hidden byte fault_ABANDONED;
hidden byte fault_CANCEL_REF;
hidden byte fault_COOKIE;
hidden byte fault_DETACH_DEAD;
hidden byte fault_HEIR;
hidden byte fault_NO_WAKE;
hidden byte fault_REFUSE_STAGE;
hidden byte fault_RELEASED_EARLY;
hidden byte fault_REPLY_BLIND;
hidden byte fault_REQUEUE_ANY;
hidden byte fault_SERIAL_STOPS;
hidden byte fault_STALE_CANCEL;
hidden byte fault_UNSORTED;
hidden byte fault_UNWAIT;
hidden byte fault_WITHDRAW_TAKEN;
hidden byte with_Invoke0;
hidden byte with_Invoke1;
hidden byte with_Notify0;
hidden byte with_Notify1;
hidden byte with_Async0;
hidden byte with_Results0;
hidden byte with_Cancel0;
hidden byte with_Deadline0;
hidden byte with_CallerEnds;
hidden byte with_Receiver0;
hidden byte with_Receiver1;
hidden byte with_Worker0;
hidden byte with_Worker1;
hidden byte with_Twice0;
hidden byte with_ReleaseCLOSE;
hidden byte with_ReleaseABORT;
hidden byte with_Rebind;
hidden byte with_Shutdown;
hidden byte with_LastClose;
hidden byte with_Dies;
hidden byte with_Due;
hidden byte with_Adopter;

#define FAULT(name)	(fault_##name)

#include "state.pml"
#include "caller.pml"
#include "death.pml"
#include "owner.pml"

inline quiet(c)
{
	assert(!call[c].made || call[c].state == ENDED || call[c].state == NEW || o_dead || !o_alive ||
	       !with_Worker0);
	assert(!call[c].answered || call[c].oneway || call[c].told || call[c].away || p_dead ||
	       (call[c].async && !RESULTS))
}

inline nothing_left(c)
{
	assert(!call[c].made || call[c].freed);
	assert(!call[c].payer && !call[c].heir && !call[c].linked);
	assert(!call[c].accepted || (call[c].ended && call[c].answered));
	assert(!call[c].accepted || call[c].async || call[c].told || call[c].away)
}

#define IF(name, process)	if :: name -> run process :: else fi

inline configure()
{
	c_code {
		SERIAL = option(" SERIAL ");
		IDEMPOTENT = option(" IDEMPOTENT ");
		ADOPTABLE = option(" ADOPTABLE ");
		AUTOEND = option(" AUTOEND ");
		KEEPS = option(" KEEPS ");
		EXPIRES = option(" EXPIRES ");
		SIGNALS = option(" SIGNALS ");
		KILLED = option(" KILLED ");
		REFUSES = option(" REFUSES ");
		FAULTS = option(" FAULTS ");
		RESULTS = option(" RESULTS ");
		MANY = option(" MANY ");
		fault_ABANDONED = option(" FAULT_ABANDONED ");
		fault_CANCEL_REF = option(" FAULT_CANCEL_REF ");
		fault_COOKIE = option(" FAULT_COOKIE ");
		fault_DETACH_DEAD = option(" FAULT_DETACH_DEAD ");
		fault_HEIR = option(" FAULT_HEIR ");
		fault_NO_WAKE = option(" FAULT_NO_WAKE ");
		fault_REFUSE_STAGE = option(" FAULT_REFUSE_STAGE ");
		fault_RELEASED_EARLY = option(" FAULT_RELEASED_EARLY ");
		fault_REPLY_BLIND = option(" FAULT_REPLY_BLIND ");
		fault_REQUEUE_ANY = option(" FAULT_REQUEUE_ANY ");
		fault_SERIAL_STOPS = option(" FAULT_SERIAL_STOPS ");
		fault_STALE_CANCEL = option(" FAULT_STALE_CANCEL ");
		fault_UNSORTED = option(" FAULT_UNSORTED ");
		fault_UNWAIT = option(" FAULT_UNWAIT ");
		fault_WITHDRAW_TAKEN = option(" FAULT_WITHDRAW_TAKEN ");
		with_Invoke0 = option(" Invoke(0) ");
		with_Invoke1 = option(" Invoke(1) ");
		with_Notify0 = option(" Notify(0) ");
		with_Notify1 = option(" Notify(1) ");
		with_Async0 = option(" Async(0) ");
		with_Results0 = option(" Results(0) ");
		with_Cancel0 = option(" Cancel(0) ");
		with_Deadline0 = option(" Deadline(0) ");
		with_CallerEnds = option(" CallerEnds() ");
		with_Receiver0 = option(" Receiver(0) ");
		with_Receiver1 = option(" Receiver(1) ");
		with_Worker0 = option(" Worker(0) ");
		with_Worker1 = option(" Worker(1) ");
		with_Twice0 = option(" Twice(0) ");
		with_ReleaseCLOSE = option(" Release(CLOSE) ");
		with_ReleaseABORT = option(" Release(ABORT) ");
		with_Rebind = option(" Rebind() ");
		with_Shutdown = option(" Shutdown() ");
		with_LastClose = option(" LastClose() ");
		with_Dies = option(" Dies() ");
		with_Due = option(" Due() ");
		with_Adopter = option(" Adopter() ");
	};
	IF(with_Invoke0, Invoke(0));
	IF(with_Invoke1, Invoke(1));
	IF(with_Notify0, Notify(0));
	IF(with_Notify1, Notify(1));
	IF(with_Async0, Async(0));
	IF(with_Results0, Results(0));
	IF(with_Cancel0, Cancel(0));
	IF(with_Deadline0, Deadline(0));
	IF(with_CallerEnds, CallerEnds());
	IF(with_Receiver0, Receiver(0));
	IF(with_Receiver1, Receiver(1));
	IF(with_Worker0, Worker(0));
	IF(with_Worker1, Worker(1));
	IF(with_Twice0, Twice(0));
	IF(with_ReleaseCLOSE, Release(CLOSE));
	IF(with_ReleaseABORT, Release(ABORT));
	IF(with_Rebind, Rebind());
	IF(with_Shutdown, Shutdown());
	IF(with_LastClose, LastClose());
	IF(with_Dies, Dies());
	IF(with_Due, Due());
	IF(with_Adopter, Adopter())
}

init {
	byte c, k, more;
	bit put, over, first;

	atomic { configure() };

	/* Nobody can go on: then nobody needs to */
	timeout;
	d_step {
		quiet(0);
		quiet(1);
		assert(!o_alive || o_dead ||
		       (len(o_queue) == 0 && len(o_events) == 0 && len(cb_queued) == 0));
		assert(!o_alive || o_dead || cb_state == LIVE || cb_state == GONE || !with_Worker0);
		assert(!o_mm_gone || o_dead || ADOPTABLE)
	};

	/* Both peers end and are closed: then nothing is left */
	d_step {	/* upcall_peer_kill() of both; with what goes on meanwhile: Shutdown, CallerEnds */
		o_kill();
		p_kill()
	};
	timeout;
	d_step {	/* upcall_peer_close() of both */
		assert(o_inside == 0 && !o_armed && !o_dying);
		if
		:: !o_closed -> o_closed = 1; o_refs--
		:: else
		fi;
		p_refs--;
		nothing_left(0);
		nothing_left(1);
		assert(o_nqueued == 0 && o_nrunning == 0);
		assert(cb_state == GONE && cb_refs == 0 && cb_cancelling == 0);
		assert(o_refs == 0 && p_refs == 0)
	}
}
