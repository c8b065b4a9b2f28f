// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The peer of an environment: opened, watched by libuv, closed, by the program or because the
 * environment ends.
 */
#include <stdlib.h>
#include "addon.h"

#define RETRY_MS	20

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct peer *peer = poll->data;

	(void)status;	/* what is wrong, receiving says */
	(void)events;
	if (!uv_is_active((uv_handle_t *)&peer->more))
		peer_drain(peer);
}

static void on_more(uv_idle_t *more)
{
	peer_drain(more->data);
}

static void on_retry(uv_timer_t *retry)
{
	struct peer *peer = retry->data;

	uv_poll_start(&peer->poll, UV_READABLE, on_poll);
	peer_drain(peer);
}

/* After receiving, which ended with @ret: whether and when to look again. */
void peer_watch(struct peer *peer, int ret)
{
	uv_idle_stop(&peer->more);
	if (ret >= 0)
		uv_idle_start(&peer->more, on_more);
	else if (ret != -EAGAIN)
		uv_poll_stop(&peer->poll);
	if (ret < 0 && ret != -EAGAIN && ret != -ESHUTDOWN)
		uv_timer_start(&peer->retry, on_retry, RETRY_MS, 0);
}

static void peer_free(struct peer *peer)
{
	if (peer->context)
		napi_async_destroy(peer->env, peer->context);
	if (peer->dispatch)
		napi_delete_reference(peer->env, peer->dispatch);
	if (peer->hook)
		napi_remove_async_cleanup_hook(peer->hook);
	free(peer);
}

static void on_closed(uv_handle_t *handle)
{
	struct peer *peer = handle->data;

	if (--peer->open_handles == 0)
		peer_free(peer);
}

/* The descriptor is watched no more before it is closed. Ends in peer_free(). */
static void peer_end(struct peer *peer)
{
	struct upcall_peer *upcall = peer->upcall;

	if (!upcall)
		return;
	peer->upcall = NULL;
	uv_close((uv_handle_t *)&peer->poll, on_closed);
	uv_close((uv_handle_t *)&peer->more, on_closed);
	uv_close((uv_handle_t *)&peer->retry, on_closed);
	upcall_call_free(peer->notify);
	upcall_commands_free(peer->releases);
	upcall_close(upcall);
}

void peer_close(struct addon *addon)
{
	struct peer *peer = addon->peer;

	addon->peer = NULL;
	if (peer)
		peer_end(peer);
}

/* Also of a peer that is being closed already: its hook is removed when that is done. */
static void on_environment_end(napi_async_cleanup_hook_handle hook, void *data)
{
	struct peer *peer = data;
	void *addon = NULL;

	(void)hook;
	napi_get_instance_data(peer->env, &addon);
	if (addon && ((struct addon *)addon)->peer == peer)
		((struct addon *)addon)->peer = NULL;
	peer_end(peer);
}

static void handle_init(struct peer *peer, uv_handle_t *handle)
{
	handle->data = peer;
	uv_unref(handle);
	peer->open_handles++;
}

static int handles_init(struct peer *peer)
{
	uv_loop_t *loop;
	int err;

	if (napi_get_uv_event_loop(peer->env, &loop) != napi_ok)
		return -EINVAL;
	err = uv_poll_init(loop, &peer->poll, upcall_fd(peer->upcall));
	if (err)
		return err;
	handle_init(peer, (uv_handle_t *)&peer->poll);
	uv_idle_init(loop, &peer->more);
	handle_init(peer, (uv_handle_t *)&peer->more);
	uv_timer_init(loop, &peer->retry);
	handle_init(peer, (uv_handle_t *)&peer->retry);
	return uv_poll_start(&peer->poll, UV_READABLE, on_poll);
}

static int peer_set_up(struct peer *peer, napi_value dispatch)
{
	napi_value name = value_text(peer->env, "upcall");
	int err;

	err = upcall_call_new(peer->upcall, &peer->notify);
	if (!err)
		err = upcall_commands_new(peer->upcall, &peer->releases);
	if (err)
		return err;
	if (napi_create_reference(peer->env, dispatch, 1, &peer->dispatch) != napi_ok ||
	    napi_async_init(peer->env, NULL, name, &peer->context) != napi_ok ||
	    napi_add_async_cleanup_hook(peer->env, on_environment_end, peer, &peer->hook) != napi_ok)
		return -ENOMEM;
	return handles_init(peer);
}

static int peer_open(struct args *args, const char *where)
{
	struct peer *peer;
	int err;

	peer = calloc(1, sizeof(*peer));
	if (!peer)
		return -ENOMEM;
	peer->env = args->env;
	err = upcall_open(where, &peer->upcall);
	if (err) {
		free(peer);
		return err;
	}
	err = peer_set_up(peer, args->v[1]);
	if (!err) {
		upcall_set_batch(peer->upcall, UPCALL_MAX_EVENTS / 4);
		args->addon->peer = peer;
		return 0;
	}
	if (peer->open_handles) {
		peer_end(peer);
		return err;
	}
	upcall_call_free(peer->notify);
	upcall_commands_free(peer->releases);
	upcall_close(peer->upcall);
	peer_free(peer);
	return err;
}

/* open(where or undefined, dispatch): 0 or -errno */
static napi_value js_open(napi_env env, napi_callback_info info)
{
	struct args args;
	char where[4096];

	if (!args_get(env, info, &args) || args.count < 2)
		return NULL;
	if (args.addon->peer)
		return value_int(env, -EBUSY);
	return value_int(env, peer_open(&args, arg_text(&args, 0, where, sizeof(where))));
}

/* close(): calls that are under way get no answer any more */
static napi_value js_close(napi_env env, napi_callback_info info)
{
	struct args args;

	if (args_get(env, info, &args))
		peer_close(args.addon);
	return NULL;
}

/* hold(on): whether the loop is to go on for the peer's sake */
static napi_value js_hold(napi_env env, napi_callback_info info)
{
	struct args args;
	struct peer *peer;
	bool on = false;

	if (!args_get(env, info, &args) || !args.addon->peer || args.count < 1)
		return NULL;
	peer = args.addon->peer;
	napi_get_value_bool(env, args.v[0], &on);
	if (on) {
		uv_ref((uv_handle_t *)&peer->poll);
		uv_ref((uv_handle_t *)&peer->retry);
	} else {
		uv_unref((uv_handle_t *)&peer->poll);
		uv_unref((uv_handle_t *)&peer->retry);
	}
	return NULL;
}

/* Runs JavaScript, which may close the peer: not to be touched after this. */
void peer_dispatch(struct peer *peer, napi_value events, int err)
{
	napi_env env = peer->env;
	napi_value dispatch, receiver, error, argv[2] = { events, value_int(env, err) };
	bool pending = false;

	if (napi_get_reference_value(env, peer->dispatch, &dispatch) != napi_ok ||
	    napi_get_global(env, &receiver) != napi_ok)
		return;
	napi_make_callback(env, peer->context, receiver, dispatch, 2, argv, NULL);
	napi_is_exception_pending(env, &pending);
	if (pending && napi_get_and_clear_last_exception(env, &error) == napi_ok)
		napi_fatal_exception(env, error);
}

void peer_export(napi_env env, napi_value exports)
{
	static const napi_property_descriptor functions[] = {
		FUNCTION(open), FUNCTION(close), FUNCTION(hold),
	};

	export_functions(env, exports, functions, sizeof(functions) / sizeof(functions[0]));
}
