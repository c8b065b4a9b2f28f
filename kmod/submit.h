/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_SUBMIT_H
#define _UPCALL_SUBMIT_H

#include <linux/types.h>
#include <linux/upcall.h>

struct upcall_call;
struct upcall_death;
struct upcall_peer;

/**
 * struct upcall_submit - A call as its caller wants it
 * @args: As of INVOKE; a command's are brought into that shape. What is [out] there is said
 *	there, also with an error.
 * @async: Answered by a RESULT.
 * @waited: Asynchronous, and its thread will wait for it at once.
 * @nests: That thread takes calls of its chain meanwhile.
 * @user_data: With @async.
 * @stub: What the stub fd that it is made through may call, referenced while it is submitted;
 *	NULL: it is made by handle.
 * @parent: What it is nested in, its memory referenced; set while it is submitted.
 */
struct upcall_submit {
	struct upcall_invoke args;
	bool async;
	bool waited;
	bool nests;
	u64 user_data;
	struct upcall_callback *stub;
	struct upcall_call *parent;
};

int upcall_submit_check(const struct upcall_invoke *args);
struct upcall_call *upcall_submit(struct upcall_peer *peer, struct upcall_submit *submit);
bool upcall_submit_unlink_locked(struct upcall_peer *peer, struct upcall_call *call);
void upcall_submit_unlink(struct upcall_peer *peer, struct upcall_call *call);
void upcall_submit_say_answer(struct upcall_invoke *args, struct upcall_call *call);

#endif /* _UPCALL_SUBMIT_H */
