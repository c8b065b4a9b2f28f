/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _UPCALL_SUBMIT_H
#define _UPCALL_SUBMIT_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/upcall.h>

struct upcall_account;
struct upcall_call;
struct upcall_callback;
struct upcall_ident;
struct upcall_peer;

/**
 * struct upcall_reserve - What calls that are about to be made will need, and pay
 * @owner: Of the callback that is called; NULL: nothing is reserved.
 * @calls: Memory, by @cb_link.
 * @payer: Who has paid; kept by the one who reserves.
 * @paid: For so many calls.
 * @paid_bytes: And so many bytes.
 */
struct upcall_reserve {
	struct upcall_peer *owner;
	struct list_head calls;
	struct upcall_account *payer;
	u32 paid;
	u64 paid_bytes;
};

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
 * @reserve: Memory and payment to be used, if it has some for this call; or NULL.
 */
struct upcall_submit {
	struct upcall_invoke args;
	bool async;
	bool waited;
	bool nests;
	u64 user_data;
	struct upcall_callback *stub;
	struct upcall_call *parent;
	struct upcall_reserve *reserve;
};

int upcall_submit_check(const struct upcall_invoke *args);
int upcall_submit_may(struct upcall_callback *cb, struct upcall_ident *from,
		      struct upcall_submit *submit);
int upcall_submit_link_locked(struct upcall_peer *peer, struct upcall_call *call, bool with_id);
struct upcall_call *upcall_submit(struct upcall_peer *peer, struct upcall_submit *submit);
bool upcall_submit_unlink_locked(struct upcall_peer *peer, struct upcall_call *call);
void upcall_submit_unlink(struct upcall_peer *peer, struct upcall_call *call);
void upcall_submit_say_answer(struct upcall_invoke *args, struct upcall_call *call);

/* spare.c */
void upcall_reserve_fill(struct upcall_reserve *reserve, struct upcall_peer *owner,
			 struct upcall_account *payer, u32 calls, u64 bytes);
struct upcall_call *upcall_reserve_take(struct upcall_reserve *reserve,
					struct upcall_peer *owner);
bool upcall_reserve_pays(struct upcall_reserve *reserve, struct upcall_account *payer, u32 bytes);
void upcall_reserve_drop(struct upcall_reserve *reserve);

#endif /* _UPCALL_SUBMIT_H */
