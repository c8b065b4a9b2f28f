// SPDX-License-Identifier: GPL-2.0-only
/*
 * A POST over a unix socket that stays open: libcurl calls, libmicrohttpd serves.
 */
#include <curl/curl.h>
#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "../bench.h"

#define SOCKET	"/tmp/upcall-bench-rest"

static int listener;
static CURL *curl;
static char body[MAX_ARG];
static size_t body_size;
static uint64_t result;

static void setup(struct run *run)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = SOCKET };

	(void)run;
	unlink(SOCKET);
	must(listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	must(bind(listener, (struct sockaddr *)&address, sizeof(address)));
	must(listen(listener, 8));
}

/* Called once at the head of a request, then with each piece of its body, then to answer. */
static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *size, void **request)
{
	struct MHD_Response *response;
	enum MHD_Result ret;
	uint64_t answered;

	(void)user, (void)url, (void)method, (void)version;
	if (!*request) {
		*request = body;
		body_size = 0;
		return MHD_YES;
	}
	if (*size) {
		if (*size > sizeof(body) - body_size)
			return MHD_NO;
		memcpy(body + body_size, data, *size);
		body_size += *size;
		*size = 0;
		return MHD_YES;
	}
	answered = answer(body, body_size);
	response = MHD_create_response_from_buffer(sizeof(answered), &answered, MHD_RESPMEM_MUST_COPY);
	ret = MHD_queue_response(connection, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return ret;
}

static void serve(struct run *run)
{
	struct MHD_Daemon *daemon;

	daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, NULL,
				  MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_END);
	if (!daemon)
		fail("MHD_start_daemon");
	serving(run);
	for (;;) {
		if (MHD_run_wait(daemon, -1) != MHD_YES)
			fail("MHD_run_wait");
	}
}

static size_t take(char *data, size_t one, size_t count, void *user)
{
	(void)one, (void)user;
	memcpy(&result, data, count < sizeof(result) ? count : sizeof(result));
	return count;
}

static void connect_caller(struct run *run)
{
	struct curl_slist *headers = NULL;

	curl = curl_easy_init();
	if (!curl)
		fail("curl_easy_init");
	headers = curl_slist_append(headers, "Expect:");	/* no '100 Continue' to wait for */
	headers = curl_slist_append(headers, "Content-Type: application/octet-stream");
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, SOCKET);
	curl_easy_setopt(curl, CURLOPT_URL, "http://localhost/call");
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, run->arg);
	curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)run->size);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
}

static uint64_t call(struct run *run)
{
	(void)run;
	if (curl_easy_perform(curl) != CURLE_OK)
		fail("curl_easy_perform");
	return result;
}

static void close_socket(struct run *run)
{
	(void)run;
	unlink(SOCKET);
}

const struct way way_rest = {
	.name = "rest", .max = MAX_ARG, .setup = setup, .serve = serve,
	.connect = connect_caller, .call = call, .close = close_socket,
};
