/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn call REGION/SERVICE [REQUEST...] - ask a service, and print what it answers. Requests are
 * texts, hexadecimal digits, a file, or the lines of standard input; one is asked behind the other.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tarn/call.h>

#include "cli.h"
#include "cmds.h"
#include "look.h"
#include "out.h"
#include "payload.h"
#include "stream.h"

#define NAP_NS   20000000             /* from one look for the service to the next */
#define SLOW_NS  INT64_C(1000000000)  /* then it is said what it waits for */
#define BESIDE   (UINT64_C(64) << 10) /* what rings have beside their messages */
#define TOOK_MAX ((size_t)1 << 20)    /* calls whose times are kept: the last so many */

static const struct cli_opt call_opts[] = {
	{ 'r', "rate", "HZ", "so many calls a second; else each as soon as the last is answered" },
	{ 'c', "count", "N", "ask the REQUESTs N times, 0 = until a signal; 1 if not given" },
	{ 't', "timeout", "SECONDS",
	  "give up with exit code 5 when a call takes so long, or with --wait its server" },
	{ 'w', "wait", NULL, "wait for region, service and server where there is none" },
	{ 'k', "keep-going", NULL, "go on behind a call that failed" },
	{ 'T', "time", NULL, "tell at the end how long calls took" },
	{ 0, "file", "FILE", "the bytes of FILE are the request; - is standard input" },
	{ 'X', "from-hex", NULL, "REQUESTs and lines are pairs of hexadecimal digits" },
	{ 'x', "hex", NULL, "print answers in hexadecimal" },
	{ 0, "raw", NULL, "print the bytes alone, and nothing between answers" },
	{ 'J', "json", NULL, "one JSON object a line, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col line_cols[] = {
	{ "schema", NULL, OUT_TEXT, "of this line", false },
	{ "name", NULL, OUT_TEXT, "REGION/SERVICE", false },
	{ "call", NULL, OUT_COUNT, "which of the calls of this run, counted from 1", false },
	{ "kind", NULL, OUT_TEXT, "last, more (others of this call follow) or error", false },
	{ "code", NULL, OUT_SIGNED, "of an error, as the server chose it", false },
	{ "server", NULL, OUT_COUNT, "its place", false },
	{ "pid", NULL, OUT_SIGNED,
	  "its process, in its own PID namespace; not known of one that had died meanwhile",
	  false },
	{ "took_ns", NULL, OUT_COUNT, "since it was asked", false },
	{ "size_bytes", NULL, OUT_SIZE, "of the answer", false },
	{ "text", NULL, OUT_TEXT, "the answer, where it is printable", false },
	{ "hex", NULL, OUT_TEXT, "the answer, where it is not", false },
	{ 0 },
};
static const struct out_list line_list = { "each line", line_cols };
static const struct out_list *const call_lists[] = { &line_list, NULL };

struct asking {
	struct cli *cli;
	const char *name;
	struct look_name where;
	struct tarn_region_opts region_opts;
	struct tarn_region *region;
	struct tarn_client *client;
	int64_t timeout_ns; /* -1: none */
	struct pace pace;
	uint64_t count;
	struct payload *requests; /* what is asked again and again */
	size_t request_count;
	bool told; /* what it waits for */
	/* of the call at hand */
	uint64_t call, asked;
	int64_t began_ns, deadline;
	struct tarn_call_peer server; /* pid 0: it is not known */
	char comm[sizeof(((struct tarn_member_stat *)NULL)->comm)];
	/* what calls took that were answered */
	int64_t *took;
	size_t took_count;
	uint64_t answered;
};

static int64_t deadline_of(const struct asking *a, int64_t began)
{
	return a->timeout_ns < 0 ? TARN_FOREVER : began + a->timeout_ns;
}

static int64_t slice_until(int64_t deadline)
{
	int64_t slice = tarn_deadline_after(STREAM_SLICE_NS);

	return slice < deadline ? slice : deadline;
}

/* --- who answers --------------------------------------------------------------------------- */

struct member {
	uint32_t slot;
	int32_t pid;
	bool found, alive;
	char comm[sizeof(((struct tarn_member_stat *)NULL)->comm)];
};

static int see_member(const struct tarn_member_stat *stat, void *arg)
{
	struct member *member = arg;

	if (stat->pid != member->pid)
		return 0;
	member->found = true;
	member->alive |= stat->alive;
	memcpy(member->comm, stat->comm, sizeof(member->comm));
	return 0;
}

static struct member member_of(const struct asking *a)
{
	struct member member = { .pid = a->server.pid };

	if (member.pid != 0)
		(void)!tarn_region_members(a->region, see_member, &member);
	return member;
}

struct seat {
	uint32_t place;
	int32_t pid;
};

static int see_dead(const struct tarn_call_user *user, void *arg)
{
	struct seat *seat = arg;

	if (user->role != TARN_CALL_SERVES || user->place != seat->place)
		return 0;
	seat->pid = user->alive ? 0 : user->pid;
	return 1;
}

/* It was gone before it could be asked who it is: its place says so, until the next one comes. */
static void find_dead(struct asking *a, uint32_t place)
{
	struct seat seat = { .place = place };

	if (a->server.pid == 0 &&
	    tarn_service_users(a->region, a->where.object, see_dead, &seat) == 1)
		a->server.pid = seat.pid;
}

/* "process 17 (sums)", or "its server" */
static const char *server_text(struct asking *a, char buf[64])
{
	struct member member = member_of(a);

	if (member.comm[0] != '\0' && a->comm[0] == '\0')
		memcpy(a->comm, member.comm, sizeof(a->comm));
	if (a->server.pid == 0)
		snprintf(buf, 64, "its server");
	else
		snprintf(buf, 64,
			 a->comm[0] != '\0' ? "process %" PRId32 " (%s)" : "process %" PRId32,
			 a->server.pid, a->comm);
	return buf;
}

/* --- what goes wrong ----------------------------------------------------------------------- */

static int fail_lost(struct asking *a)
{
	struct member member = member_of(a);
	char who[64];

	cli_error(a->cli, "%s: %s %s before it had answered, and may have done it or not", a->name,
		  server_text(a, who),
		  member.found && !member.alive ? "has died"
		  : member.found                ? "has left"
						: "is gone");
	cli_hint("what may be done twice is asked again: with --keep-going, of another server");
	return CLI_FAILURE;
}

static int fail_timeout(struct asking *a)
{
	char who[64];

	if (a->call == 0)
		cli_error(a->cli, "%s: there was no server, or none with room, in the time allowed",
			  a->name);
	else
		cli_error(a->cli, "%s: %s has not answered in the time allowed", a->name,
			  server_text(a, who));
	return CLI_TIMEOUT;
}

static int fail_absent(struct asking *a)
{
	cli_error(a->cli, "%s: there is no server", a->name);
	cli_hint("--wait waits for one; tarn info %s shows who is there", a->name);
	return CLI_ABSENT;
}

static int fail_size(struct asking *a, size_t size)
{
	struct tarn_client_stat stat;

	tarn_client_stat(a->client, &stat);
	cli_error(a->cli, "%s: a request of %zu bytes; the largest has %" PRIu32, a->name, size,
		  stat.request_max);
	cli_hint("how large they may be says who makes the service: "
		 "tarn_call_opts.request_capacity");
	return CLI_FAILURE;
}

static int fail(struct asking *a, int error, size_t size)
{
	return error == -EPIPE       ? fail_lost(a)
	       : error == -ETIMEDOUT ? fail_timeout(a)
	       : error == -ENOTCONN  ? fail_absent(a)
	       : error == -EMSGSIZE  ? fail_size(a, size)
				     : cli_fail(a->cli, a->name, error);
}

static int fail_code(struct asking *a, const struct tarn_response *response)
{
	char who[64];

	cli_error(a->cli, "%s: %s says that it failed, code %" PRId32 "%s%.*s", a->name,
		  server_text(a, who), response->code, response->size != 0 ? ": " : "",
		  response->size < 800 ? (int)response->size : 800, (const char *)response->data);
	return CLI_FAILURE;
}

/* --- printing ------------------------------------------------------------------------------ */

static void put_json(struct asking *a, const struct tarn_response *response, int64_t took)
{
	const unsigned char *bytes = response->data;
	bool printable = payload_printable(bytes, response->size);
	char *text = printable ? strndup(response->data, response->size) : NULL;
	char *hex = printable ? NULL : payload_hex(bytes, response->size);
	struct json json = out_line_begin(stdout, "tarn.call/1");

	json_text(&json, "name", a->name);
	json_u64(&json, "call", a->asked);
	json_text(&json, "kind",
		  response->kind == TARN_RESPONSE_MORE    ? "more"
		  : response->kind == TARN_RESPONSE_ERROR ? "error"
							  : "last");
	if (response->kind == TARN_RESPONSE_ERROR)
		json_i64(&json, "code", response->code);
	else
		json_null(&json, "code");
	json_u64(&json, "server", response->server);
	if (a->server.pid != 0)
		json_i64(&json, "pid", a->server.pid);
	else
		json_null(&json, "pid");
	json_i64(&json, "took_ns", took);
	json_u64(&json, "size_bytes", response->size);
	json_text(&json, "text", text);
	json_text(&json, "hex", hex);
	out_line_end(&json);
	free(text);
	free(hex);
}

static void put_response(struct asking *a, const struct tarn_response *response, int64_t took)
{
	const unsigned char *bytes = response->data;
	const struct cli *cli = a->cli;

	if (cli_given(cli, "json")) {
		put_json(a, response, took);
		return;
	}
	if (response->kind == TARN_RESPONSE_ERROR)
		return; /* said on standard error */
	if (cli_given(cli, "raw")) {
		fwrite(bytes, 1, response->size, stdout);
		return;
	}
	if (cli_given(cli, "hex"))
		payload_put_hex(bytes, response->size);
	else
		payload_put_text(bytes, response->size);
	putchar('\n');
}

static void note_took(struct asking *a, int64_t took)
{
	size_t at = (size_t)(a->answered++ % TOOK_MAX);

	if (!cli_given(a->cli, "time"))
		return;
	if (a->took == NULL)
		a->took = malloc(TOOK_MAX * sizeof(*a->took));
	if (a->took == NULL)
		return;
	a->took[at] = took;
	if (a->took_count < at + 1)
		a->took_count = at + 1;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void tell_took(struct asking *a)
{
	char min[24], median[24], max[24];
	size_t count = a->took_count;

	if (count == 0)
		return;
	qsort(a->took, count, sizeof(*a->took), compare);
	cli_note(a->cli, "%s: %" PRIu64 " answered: min %s, median %s, max %s", a->name,
		 a->answered, text_duration(a->took[0], min),
		 text_duration(a->took[(count - 1) / 2], median),
		 text_duration(a->took[count - 1], max));
}

/* --- one call ------------------------------------------------------------------------------ */

/* The region may have been made for less than the rings that this client is the first to need. */
static int make_room(struct asking *a)
{
	struct tarn_region_stat region;
	struct tarn_client_stat stat;
	int r = tarn_region_stat(a->region, &region);

	if (r < 0)
		return r;
	tarn_client_stat(a->client, &stat);
	return tarn_region_grow(
		a->region,
		region.size + BESIDE + 8 * ((uint64_t)stat.request_max + stat.response_max), NULL);
}

/* There is no server, or none that has room: wait for a slice. 0: try again. */
static int wait_to_ask(struct asking *a, int why, int64_t since)
{
	void *room;
	int r = why;

	if (why == -ENOTCONN && cli_given(a->cli, "wait"))
		r = tarn_client_wait_server(a->client, slice_until(a->deadline));
	else if (why == -ENOSPC && make_room(a) == 0)
		r = 0;
	else if (why == -EAGAIN)
		r = tarn_client_reserve_wait(a->client, 1, slice_until(a->deadline), &room);
	if (r == -ETIMEDOUT && tarn_now() < a->deadline)
		r = 0;
	if (r == 0 && !a->told && tarn_now() - since > SLOW_NS) {
		a->told = true;
		cli_note(a->cli, "%s: waiting: %s", a->name,
			 why == -ENOTCONN ? "there is no server" : "no server has room");
	}
	return r;
}

static int begin(struct asking *a, const struct payload *request)
{
	int64_t since = tarn_now();
	int r = 0;

	a->deadline = deadline_of(a, since);
	a->call = 0;
	a->server.pid = 0;
	a->comm[0] = '\0';
	while (r == 0 && a->call == 0 && stream_signal() == 0) {
		a->began_ns = tarn_now();
		r = tarn_client_begin(a->client, request->bytes, request->size, a->deadline,
				      &a->call);
		if (r < 0)
			r = wait_to_ask(a, r, since);
	}
	if (a->call == 0)
		return r;
	a->asked++;
	/* Whose death is to be told: afterwards nobody knows. */
	(void)!tarn_client_peer(a->client, a->call, &a->server);
	return 0;
}

/* The answers to the call at hand. -1: all came; else the exit code. */
static int take_all(struct asking *a)
{
	struct tarn_response response;
	int64_t took;
	int r;

	for (;;) {
		r = tarn_client_take_wait(a->client, a->call, slice_until(a->deadline), &response);
		took = tarn_now() - a->began_ns;
		if (r == -ETIMEDOUT && stream_signal() == 0 && tarn_now() < a->deadline)
			continue;
		if (r == -ETIMEDOUT)
			(void)tarn_client_cancel(a->client, a->call);
		if (r == -ETIMEDOUT && stream_signal() != 0)
			return CLI_SIGNAL + stream_signal();
		if (r == -EPIPE)
			find_dead(a, response.server);
		if (r < 0)
			return fail(a, r, 0);
		put_response(a, &response, took);
		if (!cli_flush())
			return CLI_OK;
		if (response.kind == TARN_RESPONSE_MORE)
			continue;
		note_took(a, took);
		return response.kind == TARN_RESPONSE_ERROR ? fail_code(a, &response) : -1;
	}
}

/* -1: go on; else the exit code. */
static int ask(struct asking *a, const struct payload *request, int *worst)
{
	int r, code;

	pace_keep(&a->pace);
	if (stream_signal() != 0)
		return CLI_SIGNAL + stream_signal();
	r = begin(a, request);
	if (stream_signal() != 0 && a->call == 0)
		return CLI_SIGNAL + stream_signal();
	code = r == 0 ? take_all(a) : fail(a, r, request->size);
	if (code <= 0 || code >= CLI_SIGNAL || !cli_given(a->cli, "keep-going"))
		return code;
	*worst = cli_worse(*worst, code);
	/* who is not there is not asked again at once */
	if (r < 0 && a->pace.step_ns == 0)
		nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
	return -1;
}

/* --- requests ------------------------------------------------------------------------------ */

/* What @text says. CLI_OK, or an exit code with a message. */
static int read_request(struct asking *a, const char *text, size_t size,
			struct payload *ret_request)
{
	unsigned char *bytes = malloc(size + 1);

	if (bytes == NULL)
		return cli_fail(a->cli, a->name, -ENOMEM);
	if (!cli_given(a->cli, "from-hex")) {
		memcpy(bytes, text, size);
	} else if (!payload_from_hex(text, size, bytes, &size)) {
		free(bytes);
		return cli_usage(a->cli, "'%.*s' is no request: pairs of hexadecimal digits",
				 size < 60 ? (int)size : 60, text);
	}
	*ret_request = (struct payload){ bytes, size };
	return CLI_OK;
}

static int read_requests(struct asking *a)
{
	const char *file = cli_value(a->cli, "file");
	size_t texts = (size_t)a->cli->argc - 1;
	int code = CLI_OK;

	a->requests = calloc(texts + 1, sizeof(*a->requests));
	if (a->requests == NULL)
		return cli_fail(a->cli, a->name, -ENOMEM);
	if (file != NULL) {
		code = payload_read(a->cli, file, &a->requests[0]);
		a->request_count = code == CLI_OK;
		return code;
	}
	for (size_t i = 0; i < texts && code == CLI_OK; i++) {
		const char *text = a->cli->argv[i + 1];

		code = read_request(a, text, strlen(text), &a->requests[i]);
		a->request_count += code == CLI_OK;
	}
	return code;
}

static int ask_requests(struct asking *a, int *worst)
{
	int code = -1;

	for (uint64_t i = 0; (a->count == 0 || i < a->count) && code < 0; i++)
		for (size_t k = 0; k < a->request_count && code < 0; k++)
			code = ask(a, &a->requests[k], worst);
	return code;
}

static int ask_lines(struct asking *a, int *worst)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t got;
	int code = -1;

	while (code < 0 && (got = getline(&line, &room, stdin)) >= 0) {
		size_t size = (size_t)got - (got > 0 && line[got - 1] == '\n' ? 1 : 0);
		struct payload request;

		code = read_request(a, line, size, &request);
		if (code != CLI_OK)
			break;
		code = ask(a, &request, worst);
		free(request.bytes);
	}
	free(line);
	if (code < 0 && stream_signal() != 0)
		return CLI_SIGNAL + stream_signal();
	if (code < 0 && ferror(stdin))
		return cli_fail(a->cli, "standard input", -EIO);
	return code;
}

/* --- opening ------------------------------------------------------------------------------- */

static int try_open(struct asking *a)
{
	const struct tarn_call_opts opts = { .flags = TARN_CALL_EXISTING, .diag = &a->cli->diag };
	int r = 0;

	if (a->region == NULL)
		r = tarn_region_open(a->where.region, &a->region_opts, &a->region);
	return r < 0 ? r : tarn_client_open(a->region, a->where.object, &opts, &a->client);
}

/* A region in which the service is not made yet may be removed meanwhile, and made anew. */
static void leave_region(struct asking *a)
{
	tarn_region_close(a->region);
	a->region = NULL;
}

/* -1: go on; else the exit code. */
static int open_client(struct asking *a)
{
	int64_t began = tarn_now(), deadline = deadline_of(a, began);
	int r;

	while ((r = try_open(a)) == -ENOENT || r == -EAGAIN) {
		if (!cli_given(a->cli, "wait"))
			break;
		if (stream_signal() != 0)
			return CLI_SIGNAL + stream_signal();
		a->cli->diag = (struct tarn_diag){ 0 };
		if (tarn_now() >= deadline) {
			cli_error(a->cli, "%s: there was no such service in the time allowed",
				  a->name);
			return CLI_TIMEOUT;
		}
		if (!a->told && tarn_now() - began > SLOW_NS) {
			a->told = true;
			cli_note(a->cli, "%s: waiting: there is no such service yet", a->name);
		}
		leave_region(a);
		nanosleep(&(struct timespec){ .tv_nsec = NAP_NS }, NULL);
	}
	if (r == -ENOENT && a->region == NULL)
		return look_fail(a->cli, a->where.region, r);
	if (r == -ENOENT) {
		cli_error(a->cli, "%s: there is no such service", a->name);
		cli_hint("tarn info %s lists what there is; --wait waits for it", a->where.region);
		return CLI_ABSENT;
	}
	return r < 0 ? cli_fail(a->cli, a->name, r) : -1;
}

/* --- the verb ------------------------------------------------------------------------------ */

static int take_options(struct asking *a)
{
	struct cli *cli = a->cli;

	if (!cli_seconds(cli, "timeout", &a->timeout_ns) || !pace_take(cli, &a->pace) ||
	    !cli_number(cli, "count", 0, UINT64_MAX, &a->count) ||
	    !cli_open_opts(cli, &a->region_opts))
		return CLI_USAGE;
	if (cli_given(cli, "json") + cli_given(cli, "hex") + cli_given(cli, "raw") > 1)
		return cli_usage(cli, "--json, --hex and --raw: one of these");
	if (cli_given(cli, "file") && (cli->argc > 1 || cli_given(cli, "from-hex")))
		return cli_usage(cli,
				 "requests are REQUESTs, of which --from-hex says how they are "
				 "written, or a --file: one of these");
	if (!look_name(cli->argv[0], &a->where) || a->where.object == NULL) {
		cli_usage(cli, "%s: a service is named REGION/SERVICE", cli->argv[0]);
		cli_hint("tarn info %s lists those of a region", cli->argv[0]);
		return CLI_USAGE;
	}
	return CLI_OK;
}

static int call_run(struct cli *cli)
{
	struct asking a = { .cli = cli, .name = cli->argv[0], .timeout_ns = -1, .count = 1 };
	int code = take_options(&a), worst = CLI_OK;

	if (code != CLI_OK)
		return code;
	stream_signals_watch();
	code = read_requests(&a);
	if (code == CLI_OK)
		code = open_client(&a);
	pace_begin(&a.pace);
	if (code < 0)
		code = a.request_count > 0 ? ask_requests(&a, &worst) : ask_lines(&a, &worst);
	tell_took(&a);
	tarn_client_close(a.client);
	tarn_region_close(a.region);
	for (size_t i = 0; i < a.request_count; i++)
		free(a.requests[i].bytes);
	free(a.requests);
	free(a.took);
	return code < 0 ? worst : cli_worse(code, worst);
}

static const struct cli_example call_examples[] = {
	{ "tarn call house/sums '1 2 3'", "one request, and its answer" },
	{ "tarn call --wait -t 5 house/sums '1 2 3'", "of a server that may be just starting" },
	{ "tarn call -c 10000 --time house/sums x >/dev/null", "how long does it take?" },
	{ "tarn call -k -r 10 -c 0 house/sums x", "ten a second, whoever dies meanwhile" },
	{ "tarn call -J house/sums <requests.txt | jq .text", "each line is one; as JSON" },
	{ "tarn call -X -x house/sums 00ff", "bytes, there and back" },
	{ "tarn call --raw --file picture.png house/thumbnails >small.png", "a file is one" },
	{ 0 },
};

static const struct cli_exit_note call_exits[] = {
	{ 1, "a server died or left before it had answered, or says that it failed; a request is "
	     "too large" },
	{ 2, "a request is not hexadecimal, and --from-hex was given" },
	{ 3, "there is no such region or service, or no server" },
	{ 4, "permission denied" },
	{ 5, "a call, or with --wait its server, took longer than --timeout" },
	{ 6, "damaged, or it is no service" },
	{ 0 },
};

const struct cli_cmd cmd_call = {
	.name = "call",
	.args = "REGION/SERVICE [REQUEST...]",
	.summary = "ask a service, and print what it answers",
	.about =
		"Asks one REQUEST after the other, and prints the answers to each: as text, a line "
		"each, with what is not printable as \\xNN. Without a REQUEST each line of "
		"standard "
		"input is one; with --file all that a file has. Where a service answers by several "
		"responses each is printed as it comes.\n\n"
		"A call is asked once, of one server; where there are several they take turns. If "
		"its server dies or leaves before it has answered, that is told at once: it may "
		"have done it or not. So is an error that the server answers, with its code. "
		"Either ends the verb, but for --keep-going, by which the exit code is that of the "
		"gravest. --timeout is told to the server; what nobody waits for any more is "
		"cancelled.\n\n"
		"Services are made by their servers, and have no types: what a request is to be, "
		"and what an answer means, they say. tarn info REGION/SERVICE shows who serves and "
		"who calls.",
	.operand = "region",
	.opts = call_opts,
	.schema = "tarn.call/1",
	.lists = call_lists,
	.examples = call_examples,
	.exits = call_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = -1,
	.run = call_run,
};
