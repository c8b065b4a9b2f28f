// SPDX-License-Identifier: GPL-2.0-only
/* Who may call a callback. */
#include <linux/cred.h>
#include <linux/user_namespace.h>
#include "access.h"
#include "callback.h"
#include "main.h"
#include "owner.h"

/**
 * upcall_access_is_valid() - Whether the members of a REGISTER that say who may call make sense
 * @args: As copied in.
 *
 * Context: Process context of its owner.
 * Return: True if so.
 */
bool upcall_access_is_valid(const struct upcall_register *args)
{
	if (args->access > UPCALL_ACCESS_STUB_ONLY)
		return false;
	switch (args->access) {
	case UPCALL_ACCESS_UID:
		return uid_valid(make_kuid(current_user_ns(), args->access_id));
	case UPCALL_ACCESS_GID:
		return gid_valid(make_kgid(current_user_ns(), args->access_id));
	default:
		return !args->access_id;
	}
}

/**
 * upcall_access_set() - Who may call a new callback
 * @cb: Not published yet.
 * @args: As of REGISTER, upcall_access_is_valid().
 *
 * Context: Process context of its owner.
 */
void upcall_access_set(struct upcall_callback *cb, const struct upcall_register *args)
{
	cb->access = args->access;
	if (args->access == UPCALL_ACCESS_UID)
		cb->access_uid = make_kuid(current_user_ns(), args->access_id);
	else if (args->access == UPCALL_ACCESS_GID)
		cb->access_gid = make_kgid(current_user_ns(), args->access_id);
}

/**
 * upcall_access_id() - The uid or gid that may call, as the calling process sees it
 * @cb: Any.
 *
 * Context: Process context.
 * Return: The id, -1 if it has none here, 0 if the access mode knows none.
 */
u32 upcall_access_id(const struct upcall_callback *cb)
{
	switch (cb->access) {
	case UPCALL_ACCESS_UID:
		return from_kuid(current_user_ns(), cb->access_uid);
	case UPCALL_ACCESS_GID:
		return from_kgid(current_user_ns(), cb->access_gid);
	default:
		return 0;
	}
}

/**
 * upcall_access_check() - Whether a process may call
 * @cb: Which.
 * @from: Who. It is the calling process: supplementary groups are read from there.
 *
 * Context: Process context.
 * Return: 0 or -EACCES.
 */
int upcall_access_check(const struct upcall_callback *cb, const struct upcall_ident *from)
{
	bool may = false;

	switch (cb->access) {
	case UPCALL_ACCESS_SAME_USER:
		may = upcall_ident_same_user(cb->ident, from);
		break;
	case UPCALL_ACCESS_UID:
		may = uid_eq(cb->access_uid, from->cred->euid);
		break;
	case UPCALL_ACCESS_GID:
		may = in_egroup_p(cb->access_gid);
		break;
	case UPCALL_ACCESS_ANYONE:
		may = true;
		break;
	case UPCALL_ACCESS_STUB_ONLY:
		break;
	}
	return may ? 0 : -EACCES;
}
