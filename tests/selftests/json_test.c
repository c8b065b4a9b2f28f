// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * What the command prints with --json is JSON, to the letter of RFC 8259, also when a label tries to
 * break out of its string.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "kselftest_harness.h"

#define LIMIT	100	/* seconds; an emulated machine is slow */
#define LABEL	"\"},\\\n\x01\xff[{"

/* Each of these returns what follows the thing, NULL if it is none. */
static const char *json_value(const char *s);

static const char *space(const char *s)
{
	return s ? s + strspn(s, " \t\r\n") : NULL;
}

static const char *json_string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s != '"'; s++) {
		if ((unsigned char)*s < 0x20 || (unsigned char)*s > 0x7e)
			return NULL;
		if (*s != '\\')
			continue;
		s++;
		if (!*s || !strchr("\"\\/bfnrtu", *s))
			return NULL;
		if (*s == 'u' && strspn(s + 1, "0123456789abcdefABCDEF") < 4)
			return NULL;
	}
	return s + 1;
}

static const char *digits(const char *s)
{
	size_t n = strspn(s, "0123456789");

	return n ? s + n : NULL;
}

static const char *json_number(const char *s)
{
	s += *s == '-';
	if (s[0] == '0' && isdigit(s[1]))
		return NULL;
	s = digits(s);
	if (s && *s == '.')
		s = digits(s + 1);
	return s;
}

/* [...] or {...}: the same but for the keys */
static const char *json_many(const char *s, char end)
{
	s = space(s + 1);
	if (*s == end)
		return s + 1;
	for (;;) {
		if (end == '}') {
			s = space(json_string(s));
			if (!s || *s++ != ':')
				return NULL;
			s = space(s);
		}
		s = space(json_value(s));
		if (!s || (*s != ',' && *s != end))
			return NULL;
		if (*s == end)
			return s + 1;
		s = space(s + 1);
	}
}

static const char *json_value(const char *s)
{
	static const char *const words[] = { "null", "true", "false" };

	for (int i = 0; i < 3; i++)
		if (!strncmp(s, words[i], strlen(words[i])))
			return s + strlen(words[i]);
	if (*s == '{' || *s == '[')
		return json_many(s, *s == '{' ? '}' : ']');
	return *s == '"' ? json_string(s) : json_number(s);
}

/* How many values there are one behind the other, -1: something else is among them */
static int json_count(const char *s)
{
	int count = 0;

	for (s = space(s); *s; count++) {
		s = space(json_value(s));
		if (!s)
			return -1;
	}
	return count;
}

/* How many values a command prints, -1: it prints something else. @said is kept for the log. */
static int values_of(const char *command, char *said, size_t room)
{
	FILE *pipe = popen(command, "r");
	size_t len = fread(said, 1, room - 1, pipe);

	said[len] = 0;
	pclose(pipe);
	return json_count(said);
}

FIXTURE(json)
{
	pid_t server;
	char said[1 << 16];
};

FIXTURE_SETUP(json)
{
	self->server = fork();
	if (!self->server) {
		execlp("upcall", "upcall", "serve", "json", "--replace", "--label", LABEL, "--", "cat",
		       NULL);
		_exit(127);
	}
	/* Not beyond this fixture's time limit, if there is no such command */
	for (int tries = 0; system("upcall stat json >/dev/null 2>&1"); tries++) {
		ASSERT_GT(LIMIT * 10, tries);
		usleep(50000);
	}
}

FIXTURE_TEARDOWN(json)
{
	kill(self->server, SIGTERM);
	waitpid(self->server, NULL, 0);
}

#define EXPECT_VALUES(count, command)							\
	EXPECT_EQ(count, values_of(command, self->said, sizeof(self->said))) {		\
		TH_LOG("%s: %s", command, self->said);					\
	}

TEST(the_parser_knows_what_is_json)
{
	EXPECT_EQ(0, json_count(" \n"));
	EXPECT_EQ(2, json_count("{\"a\": [1, -2.5, null], \"b\": {}}\n[]"));
	EXPECT_EQ(1, json_count("\"a\\\\\\\"\\u0001\""));
	EXPECT_EQ(-1, json_count("{\"a\": 1,}"));
	EXPECT_EQ(-1, json_count("[1 2]"));
	EXPECT_EQ(-1, json_count("\"a\\x01\""));
	EXPECT_EQ(-1, json_count("\"a\nb\""));
	EXPECT_EQ(-1, json_count("{a: 1}"));
	EXPECT_EQ(-1, json_count("[01]"));
	EXPECT_EQ(-1, json_count("[1"));
	EXPECT_EQ(-1, json_count("nan"));
}

TEST_F_TIMEOUT(json, lists_and_records_are, LIMIT)
{
	EXPECT_VALUES(1, "upcall ls -J");
	EXPECT_NE(NULL, strstr(self->said, "},\\\\\\\\\\\\x0a\\\\x01\\\\xff[{"));
	EXPECT_VALUES(1, "upcall ls -cJ");
	EXPECT_VALUES(1, "upcall ls -pJ");
	EXPECT_VALUES(1, "upcall ls -uJ");
	EXPECT_VALUES(1, "upcall ls -nJ");
	EXPECT_VALUES(1, "upcall stat -J json");
	EXPECT_VALUES(1, "upcall info -J");
}

TEST_F_TIMEOUT(json, samples_are_a_value_for_each_row, LIMIT)
{
	EXPECT_VALUES(3, "upcall top -J -i 0.1 -n 3");
	EXPECT_NE(NULL, strstr(self->said, "},\\\\\\\\\\\\x0a\\\\x01\\\\xff[{"));
	EXPECT_VALUES(2, "upcall top -uJ -i 0.1 -n 2");
}

TEST_F_TIMEOUT(json, figures_of_many_calls_are, LIMIT)
{
	EXPECT_VALUES(1, "upcall call -J -n 3 json x");
	EXPECT_VALUES(1, "upcall call -J -n 3 -P 2 --async json x");
	EXPECT_VALUES(1, "upcall call -J -n 3 12345 x");
	EXPECT_VALUES(1, "upcall notify -J -n 2 json x 2>/dev/null");
}

TEST_F_TIMEOUT(json, traces_are_a_value_for_each_event, LIMIT)
{
	EXPECT_VALUES(5, "upcall trace -J -n 5 2>trace.err & trace=$!; "
			 "until grep -q tracing trace.err; do sleep 0.05; done; "
			 "upcall call 12345 x 2>/dev/null; upcall call json x >/dev/null; wait $trace; "
			 "rm trace.err");
	EXPECT_NE(NULL, strstr(self->said, "},\\\\\\\\\\\\x0a\\\\x01\\\\xff[{"));
}

TEST_HARNESS_MAIN
