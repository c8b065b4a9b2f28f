// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * The test double's front door: registries by name, and the table of the verbs.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "double.h"

#define STRUCT_MAX	4096U	/* bytes, of any struct */

static pthread_mutex_t registries_lock = PTHREAD_MUTEX_INITIALIZER;
static struct double_registry *registries;
static uint64_t registries_number;
static pthread_once_t registries_once = PTHREAD_ONCE_INIT;

uint64_t upcall_double_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void upcall_double_cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/* 0, also for nothing, or -ETIMEDOUT. */
int upcall_double_wait(struct double_registry *registry, pthread_cond_t *cond, bool forever,
		       uint64_t deadline_ns)
{
	struct timespec until;

	if (forever || deadline_ns / 1000000000u > INT32_MAX)
		return -pthread_cond_wait(cond, &registry->lock);
	until.tv_sec = (time_t)(deadline_ns / 1000000000u);
	until.tv_nsec = (long)(deadline_ns % 1000000000u);
	return -pthread_cond_timedwait(cond, &registry->lock, &until);
}

/* --- registries ------------------------------------------------------------------- */

static void registries_lock_all(void)
{
	pthread_mutex_lock(&registries_lock);
}

static void registries_unlock_all(void)
{
	pthread_mutex_unlock(&registries_lock);
}

/* A child begins with none: in the parent's, a lock may be held for ever. */
static void registries_forget(void)
{
	registries = NULL;
	registries_number += 1000;
	pthread_mutex_unlock(&registries_lock);
}

static uint64_t random64(void)
{
	uint64_t value;

	if (getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value))
		value = upcall_double_now() * 0x9e3779b97f4a7c15u + (uint64_t)getpid();
	return value;
}

/* Field 22 of /proc/self/stat. */
static uint64_t start_time(void)
{
	unsigned long long value = 0;
	char text[1024], *at;
	FILE *file = fopen("/proc/self/stat", "re");
	size_t len;

	if (!file)
		return 0;
	len = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[len] = 0;
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d"
			  " %*d %*d %*d %*d %llu", &value) != 1)
		return 0;
	return value;
}

static void registries_init(void)
{
	registries_number = random64() % (1u << 20);
	pthread_atfork(registries_lock_all, registries_unlock_all, registries_forget);
}

static struct double_registry *registry_new(const char *name)
{
	struct double_registry *registry = calloc(1, sizeof(*registry));

	if (!registry)
		return NULL;
	registry->name = strdup(name);
	if (!registry->name) {
		free(registry);
		return NULL;
	}
	pthread_mutex_init(&registry->lock, NULL);
	upcall_double_cond_init(&registry->room);
	upcall_double_cond_init(&registry->timer_wake);
	/* 21 bits, above 32 for the callbacks: below UPCALL_MAX_HANDLE, and never used twice */
	registry->number = ++registries_number % (1u << 21);
	registry->instance = random64();
	registry->start_time = start_time();
	double_list_init(&registry->peers);
	double_list_init(&registry->calls);
	registry->next = registries;
	registries = registry;
	return registry;
}

static struct double_registry *registry_get(const char *name)
{
	struct double_registry *registry;

	pthread_once(&registries_once, registries_init);
	pthread_mutex_lock(&registries_lock);
	for (registry = registries; registry; registry = registry->next) {
		if (!strcmp(registry->name, name))
			break;
	}
	if (!registry)
		registry = registry_new(name);
	if (registry)
		registry->peers_open++;
	pthread_mutex_unlock(&registries_lock);
	return registry;
}

static void registry_free(struct double_registry *registry)
{
	uint32_t i;

	upcall_double_timer_end(registry);
	for (i = 0; i < registry->callback_count; i++)
		free(registry->callbacks[i]);
	free(registry->callbacks);
	pthread_cond_destroy(&registry->timer_wake);
	pthread_cond_destroy(&registry->room);
	pthread_mutex_destroy(&registry->lock);
	free(registry->name);
	free(registry);
}

static void registry_put(struct double_registry *registry)
{
	struct double_registry **at;
	bool last;

	pthread_mutex_lock(&registries_lock);
	last = --registry->peers_open == 0;
	if (last) {
		for (at = &registries; *at != registry; at = &(*at)->next)
			;
		*at = registry->next;
	}
	pthread_mutex_unlock(&registries_lock);
	if (last)
		registry_free(registry);
}

/* --- verbs ------------------------------------------------------------------------ */

union any_struct {
	uint32_t head[2];
	struct upcall_info info;
	struct upcall_register reg;
	struct upcall_rebind rebind;
	struct upcall_release release;
	struct upcall_stat stat;
	struct upcall_list list;
	struct upcall_invoke invoke;
	struct upcall_exchange exchange;
	struct upcall_shutdown shutdown;
	struct upcall_config config;
};

static int info(struct double_peer *peer, union any_struct *args)
{
	args->info = (struct upcall_info){
		.size = args->info.size,
		.abi_version = UPCALL_ABI_VERSION,
		.features = DOUBLE_FEATURES,
		.instance = peer->registry->instance,
		.max_callbacks = 4 * DOUBLE_MAX_CALLBACKS,
		.max_callbacks_user = DOUBLE_MAX_CALLBACKS,
		.max_payload = UPCALL_MAX_PAYLOAD,
		.max_queued_calls = UPCALL_MAX_QUEUED_CALLS,
		.max_queued_calls_user = DOUBLE_MAX_CALLS,
		.max_commands = UPCALL_MAX_COMMANDS,
		.max_queued_bytes_user = DOUBLE_MAX_BYTES,
		.max_fds = UPCALL_MAX_FDS,
		.max_nesting = UPCALL_MAX_NESTING,
	};
	return 0;
}

static int info_check(union any_struct *args)
{
	return args->info.flags || args->info.reserved ? -EINVAL : 0;
}

static int stat_check(union any_struct *args)
{
	return args->stat.flags ? -EINVAL : 0;
}

static int shutdown_run(struct double_peer *peer, union any_struct *args)
{
	const bool word = args->shutdown.flags & UPCALL_SHUTDOWN_WORD;
	uint64_t value = args->shutdown.word;

	upcall_double_peer_end(peer, UPCALL_REASON_SHUTDOWN, word ? &value : NULL);
	return 0;
}

static int shutdown_check(union any_struct *args)
{
	if (args->shutdown.flags & ~UPCALL_SHUTDOWN_WORD)
		return -EINVAL;
	return !args->shutdown.flags && args->shutdown.word ? -EINVAL : 0;
}

static int config_run(struct double_peer *peer, union any_struct *args)
{
	peer->one_thread = args->config.flags & UPCALL_CONFIG_ONE_THREAD;
	return 0;
}

static int config_check(union any_struct *args)
{
	if (args->config.flags & ~UPCALL_CONFIG_ONE_THREAD)
		return -EINVAL;
	return args->config.orphan_ns || args->config.events ? -EINVAL : 0;
}

#define FORWARD(name, member)							\
static int name##_run(struct double_peer *peer, union any_struct *args)	\
{										\
	return upcall_double_##name(peer, &args->member);			\
}
#define FORWARD_CHECK(name, member)						\
static int name##_check(union any_struct *args)				\
{										\
	return upcall_double_##name##_check(&args->member);			\
}
FORWARD(register, reg) FORWARD_CHECK(register, reg)
FORWARD(rebind, rebind) FORWARD_CHECK(rebind, rebind)
FORWARD(release, release) FORWARD_CHECK(release, release)
FORWARD(list, list) FORWARD_CHECK(list, list)
FORWARD(invoke, invoke) FORWARD_CHECK(invoke, invoke)
FORWARD(exchange, exchange) FORWARD_CHECK(exchange, exchange)
FORWARD(stat, stat)

/* check: what is wrong with the struct alone, whoever asks. run: under the lock, of a live peer. */
static const struct verb {
	unsigned long request;
	size_t size;
	int (*check)(union any_struct *args);
	int (*run)(struct double_peer *peer, union any_struct *args);
} verbs[] = {
	{ UPCALL_IOC_INFO, sizeof(struct upcall_info), info_check, info },
	{ UPCALL_IOC_REGISTER, sizeof(struct upcall_register), register_check, register_run },
	{ UPCALL_IOC_REBIND, sizeof(struct upcall_rebind), rebind_check, rebind_run },
	{ UPCALL_IOC_RELEASE, sizeof(struct upcall_release), release_check, release_run },
	{ UPCALL_IOC_STAT, sizeof(struct upcall_stat), stat_check, stat_run },
	{ UPCALL_IOC_LIST, sizeof(struct upcall_list), list_check, list_run },
	{ UPCALL_IOC_INVOKE, sizeof(struct upcall_invoke), invoke_check, invoke_run },
	{ UPCALL_IOC_EXCHANGE, sizeof(struct upcall_exchange), exchange_check, exchange_run },
	{ UPCALL_IOC_SHUTDOWN, sizeof(struct upcall_shutdown), shutdown_check, shutdown_run },
	{ UPCALL_IOC_CONFIG, sizeof(struct upcall_config), config_check, config_run },
};

static const struct verb *verb_find(unsigned long request)
{
	size_t i;

	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (verbs[i].request == request)
			return &verbs[i];
	}
	return NULL;
}

static int struct_read(const struct verb *verb, const unsigned char *arg, union any_struct *args)
{
	uint32_t size;
	size_t i;

	if (double_bad((uintptr_t)arg, 1))
		return -EFAULT;
	memcpy(&size, arg, sizeof(size));
	if (size > STRUCT_MAX)
		return -E2BIG;
	if (size < verb->size)
		return -EINVAL;
	for (i = verb->size; i < size; i++) {
		if (arg[i])
			return -E2BIG;
	}
	memset(args, 0, sizeof(*args));
	memcpy(args, arg, verb->size);
	return 0;
}

/* Of those that fail, INVOKE writes but what says nothing about its call_id; EXCHANGE, what it needs. */
static bool struct_is_written(const struct verb *verb, uint64_t call_id, int err)
{
	if (verb->request == UPCALL_IOC_INVOKE && err)
		return !call_id || err == -EMSGSIZE || err == -EMFILE || err == -EFAULT ||
		       err == -ETIMEDOUT;
	if (verb->request == UPCALL_IOC_EXCHANGE && err)
		return err == -EMSGSIZE;
	return !err;
}

static int verb_run(const struct verb *verb, struct double_peer *peer, union any_struct *args)
{
	struct double_registry *registry = peer->registry;
	int err = verb->check(args);

	if (err)
		return err;
	if (verb->request == UPCALL_IOC_INFO)
		return verb->run(peer, args);
	if (peer->pid != getpid())
		return -EPERM;
	pthread_mutex_lock(&registry->lock);
	peer->bound = true;
	err = peer->ended ? -ESHUTDOWN : verb->run(peer, args);
	pthread_mutex_unlock(&registry->lock);
	return err;
}

static int double_control(struct upcall_transport *transport, unsigned long request, void *arg)
{
	struct double_peer *peer = (struct double_peer *)transport;
	const struct verb *verb = verb_find(request);
	union any_struct args;
	uint64_t call_id;
	int saved = errno;
	int err;

	if (!verb)
		return -ENOTTY;
	err = struct_read(verb, arg, &args);
	if (err)
		return err;
	call_id = verb->request == UPCALL_IOC_INVOKE ? args.invoke.call_id : 0;
	err = verb_run(verb, peer, &args);
	if (struct_is_written(verb, call_id, err))
		memcpy(arg, &args, verb->size);
	errno = saved;
	return err;
}

static int double_fd(const struct upcall_transport *transport)
{
	return ((const struct double_peer *)transport)->fd;
}

static void double_close(struct upcall_transport *transport)
{
	struct double_peer *peer = (struct double_peer *)transport;
	struct double_registry *registry = peer->registry;
	int saved = errno;

	if (peer->pid == getpid()) {
		pthread_mutex_lock(&registry->lock);
		upcall_double_peer_end(peer, UPCALL_REASON_CLOSED, NULL);
		double_list_remove(&peer->link);
		pthread_mutex_unlock(&registry->lock);
		registry_put(registry);
	} else if (peer->far >= 0) {
		close(peer->far);
	}
	close(peer->fd);
	free(peer);
	errno = saved;
}

int upcall_double_open(const char *name, struct upcall_transport **transport)
{
	struct double_registry *registry = registry_get(name);
	struct double_peer *peer;
	int err;

	if (!registry)
		return -ENOMEM;
	peer = calloc(1, sizeof(*peer));
	err = peer ? upcall_double_peer_init(peer) : -ENOMEM;
	if (err) {
		free(peer);
		registry_put(registry);
		return err;
	}
	peer->transport = (struct upcall_transport){ double_control, double_fd, double_close };
	peer->registry = registry;
	pthread_mutex_lock(&registry->lock);
	peer->number = ++registry->last_peer;
	double_list_add(&peer->link, &registry->peers);
	pthread_mutex_unlock(&registry->lock);
	*transport = &peer->transport;
	return 0;
}
