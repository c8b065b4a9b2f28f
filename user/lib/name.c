// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Names: publish, withdraw, look up, and the object that resolves again.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "internal.h"

#define BACKOFF_FIRST_NS	1000000u	/* 1 ms, doubled up to the last */
#define BACKOFF_LAST_NS		50000000u	/* 50 ms */

/**
 * struct upcall_name - See upcall_name_new()
 * @peer: Referenced.
 * @handle: As resolved last; 0: to be resolved.
 * @tried: The handle that proved dead.
 * @patience_ms: See upcall_name_set_patience().
 * @uid: With @check_uid.
 */
struct upcall_name {
	struct upcall_peer *peer;
	uint64_t handle;
	uint64_t tried;
	int64_t patience_ms;
	uint32_t uid;
	bool check_uid;
	char name[UPCALL_NAME_MAX + 1];
};

static int instance_now(struct upcall_peer *peer, uint64_t *instance)
{
	struct upcall_info info;
	int err;

	err = upcall_info(peer, &info, sizeof(info));
	if (!err)
		*instance = info.instance;
	return err;
}

static int name_publish(struct upcall_peer *peer, const char *name, uint64_t handle)
{
	struct upcall_name_record record = { .handle = handle };
	struct upcall_stat stat;
	int err;

	err = upcall_stat(peer, handle, &stat, sizeof(stat));
	if (err)
		return err;
	if (stat.state != UPCALL_STATE_LIVE)
		return -ESTALE;
	if (!stat.owned)
		return -EPERM;
	err = instance_now(peer, &record.instance);
	if (err)
		return err;
	record.signature = stat.signature;
	record.uid = stat.uid;
	record.pid = stat.pid;
	memcpy(record.label, stat.label, sizeof(stat.label));
	return upcall_name_write(name, &record);
}

int upcall_publish(struct upcall_peer *peer, const char *name, uint64_t handle)
{
	int saved = errno;
	int err = -EINVAL;

	if (upcall_name_valid(name))
		err = name_publish(peer, name, handle);
	errno = saved;
	return err;
}

int upcall_withdraw(struct upcall_peer *peer, const char *name, uint64_t handle)
{
	uint64_t instance;
	int saved = errno;
	int err;

	if (!upcall_name_valid(name))
		return -EINVAL;
	err = instance_now(peer, &instance);
	if (!err)
		err = upcall_name_remove(name, handle, instance);
	errno = saved;
	return err;
}

static int name_find(struct upcall_peer *peer, const char *name, struct upcall_name_record *record)
{
	uint64_t instance;
	int saved = errno;
	int err;

	err = instance_now(peer, &instance);
	if (!err)
		err = upcall_name_read(name, record);
	if (!err && record->instance != instance)
		err = -ESTALE;
	errno = saved;
	return err;
}

int upcall_lookup(struct upcall_peer *peer, const char *name, uint64_t *handle)
{
	struct upcall_name_record record;
	int err;

	if (!upcall_name_valid(name))
		return -EINVAL;
	err = name_find(peer, name, &record);
	if (!err)
		*handle = record.handle;
	return err;
}

int upcall_name_new(struct upcall_peer *peer, const char *name, struct upcall_name **result)
{
	struct upcall_name *object;

	if (!upcall_name_valid(name))
		return -EINVAL;
	object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	object->peer = upcall_peer_get(peer);
	object->patience_ms = -1;
	strcpy(object->name, name);
	*result = object;
	return 0;
}

void upcall_name_free(struct upcall_name *object)
{
	if (!object)
		return;
	upcall_peer_put(object->peer);
	free(object);
}

void upcall_name_require_uid(struct upcall_name *object, uint32_t uid)
{
	object->check_uid = true;
	object->uid = uid;
	object->handle = 0;
}

void upcall_name_set_patience(struct upcall_name *object, int64_t ms)
{
	object->patience_ms = ms;
}

/* The file's owner wrote the number, the kernel knows whose it is: both must be the one. */
static int name_check_uid(struct upcall_name *object, const struct upcall_name_record *record)
{
	struct upcall_stat stat;
	int err;

	if (record->file_uid != object->uid)
		return -EACCES;
	err = upcall_stat(object->peer, record->handle, &stat, sizeof(stat));
	if (err)
		return err;
	if (stat.state == UPCALL_STATE_DEAD)
		return -ESTALE;
	return stat.uid == object->uid ? 0 : -EACCES;
}

int upcall_name_resolve(struct upcall_name *object, uint64_t *handle)
{
	struct upcall_name_record record;
	int err;

	object->handle = 0;
	err = name_find(object->peer, object->name, &record);
	if (!err && object->check_uid)
		err = name_check_uid(object, &record);
	if (err)
		return err;
	object->handle = record.handle;
	*handle = record.handle;
	return 0;
}

/* Return: as upcall_call_invoke(); -ESTALE, -ENOENT: a new owner may still come. */
static int name_try(struct upcall_name *object, struct upcall_call *call, uint32_t op,
		    const void *arg, size_t len, uint64_t deadline)
{
	uint64_t handle = object->handle;
	int ret;

	if (!handle) {
		ret = upcall_name_resolve(object, &handle);
		if (ret)
			return upcall_call_fail_early(call, ret);
		if (handle == object->tried) {
			object->handle = 0;
			return upcall_call_fail_early(call, -ESTALE);
		}
	}
	ret = upcall_call_invoke(call, handle, op, arg, len, deadline);
	if (ret == -ESTALE && upcall_call_stage(call) == UPCALL_STAGE_NOT_DELIVERED) {
		object->handle = 0;
		object->tried = handle;
	}
	return ret;
}

/* Return: false if @until would pass meanwhile. */
static bool backoff_sleep(uint64_t *ns, uint64_t until)
{
	struct timespec rest = { .tv_nsec = (long)*ns };
	int saved = errno;

	if (until != UPCALL_NO_DEADLINE && upcall_deadline_in(0) + *ns > until)
		return false;
	nanosleep(&rest, NULL);
	errno = saved;
	*ns = *ns * 2 < BACKOFF_LAST_NS ? *ns * 2 : BACKOFF_LAST_NS;
	return true;
}

int upcall_name_invoke(struct upcall_name *object, struct upcall_call *call, uint32_t op,
		       const void *arg, size_t len, uint64_t deadline)
{
	uint64_t until = upcall_deadline_in(object->patience_ms);
	uint64_t backoff = BACKOFF_FIRST_NS;
	bool remembered = object->handle != 0;
	int ret;

	upcall_call_reset(call);
	if (until > deadline)
		until = deadline;
	for (;;) {
		ret = name_try(object, call, op, arg, len, deadline);
		if (ret != -ESTALE && ret != -ENOENT)
			return ret;
		if (upcall_call_stage(call) != UPCALL_STAGE_NOT_DELIVERED)
			return ret;
		if (!remembered && !backoff_sleep(&backoff, until))
			return ret;
		remembered = false;
	}
}
