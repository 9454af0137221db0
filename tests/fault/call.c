/* SPDX-License-Identifier: BSD-2-Clause */
/* call.c - every call on services and clients, with each call of plat failing in turn. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/call.h>
#include <tarn/waiter.h>

#include "region.h"

enum { HEAP = 1 << 17, SLICE_NS = 3000000 };

static struct tarn_service *service;
static struct tarn_client *client;
static struct tarn_waiter *waiter;
static struct tarn_service *const no_service = (struct tarn_service *)(uintptr_t)16;
static struct tarn_client *const no_client = (struct tarn_client *)(uintptr_t)16;

/* --- before and after ---------------------------------------------------------------------- */

static int made(struct harness_report *report)
{
	service = NULL;
	client = NULL;
	return make_region("call", HEAP, 0, report);
}

static int open_service(struct tarn_service **ret_service, struct tarn_diag *diag)
{
	const struct tarn_call_opts opts = {
		.request_capacity = 1024, .response_capacity = 1024, .clients = 4, .diag = diag
	};

	return tarn_service_open(region, "sums", &opts, ret_service);
}

static int served(struct harness_report *report)
{
	if (made(report) < 0 || open_service(&service, NULL) < 0)
		return harness_say(report, -1, "setup: no service");
	return 0;
}

static int called(struct harness_report *report)
{
	if (served(report) < 0 || tarn_client_open(region, "sums", NULL, &client) < 0)
		return harness_say(report, -1, "setup: no client");
	return 0;
}

/* Both have rings with each other, and nothing is left in them. */
static int acquainted(struct harness_report *report)
{
	struct tarn_response response;
	struct tarn_request request;
	uint64_t call;

	if (called(report) < 0 || tarn_client_begin(client, "before", 6, TARN_FOREVER, &call) < 0 ||
	    tarn_service_take(service, &request) < 0 ||
	    tarn_service_respond(service, &request, "after", 5) < 0 ||
	    tarn_client_take(client, call, &response) < 0)
		return harness_say(report, -1, "setup: no answer");
	tarn_client_release(client);
	return 0;
}

/* A call that nobody answers. */
static uint64_t waiting_for;

static int asked(struct harness_report *report)
{
	if (acquainted(report) < 0 ||
	    tarn_client_begin(client, "again", 5, TARN_FOREVER, &waiting_for) < 0)
		return harness_say(report, -1, "setup: no call");
	return 0;
}

/* A request in use, whose caller takes none of the answers that fill the ring. */
static struct tarn_request in_use;

static int answered_too_much(struct harness_report *report)
{
	if (asked(report) < 0 || tarn_service_take(service, &in_use) < 0)
		return harness_say(report, -1, "setup: no request");
	while (tarn_service_more(service, &in_use, "more", 4) == 0)
		;
	return 0;
}

static void close_service(void)
{
	tarn_service_close(service);
	service = NULL;
}

static void close_client(void)
{
	tarn_client_close(client);
	client = NULL;
}

static void remove_service(void)
{
	close_service();
	if (tarn_object_remove(region, "sums") < 0 || tarn_region_gc(region, NULL) < 0)
		abort();
}

/* --- coming and leaving -------------------------------------------------------------------- */

static int service_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	struct tarn_service *opened = no_service;
	int r = open_service(&opened, &diag);

	if (r == 0)
		service = opened;
	return fault_told(r, opened != no_service, &diag, report);
}

static int client_open(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_call_opts opts = { .flags = TARN_CALL_EXISTING, .diag = &diag };
	struct tarn_client *opened = no_client;
	int r = tarn_client_open(region, "sums", &opts, &opened);

	if (r == 0)
		client = opened;
	return fault_told(r, opened != no_client, &diag, report);
}

/* Whatever fails on the way out, both places are free. */
static int leave(struct harness_report *report)
{
	struct tarn_service *other;
	int r;

	close_client();
	close_service();
	tarn__plat_fault = NULL;
	r = open_service(&other, NULL);
	if (r < 0)
		return harness_say(report, FAULT_BROKEN, "another cannot come: %d", r);
	tarn_service_close(other);
	return 0;
}

/* --- one call ------------------------------------------------------------------------------ */

/* The first one makes the rings. What fails leaves a client and a server that can try again. */
static int first_call(struct harness_report *report)
{
	struct tarn_response response = { .size = 0 };
	struct tarn_request request;
	uint64_t call = 77;
	int r = tarn_client_begin(client, "0123456789", 10, TARN_FOREVER, &call);

	if (r < 0)
		return call != 77 ? harness_say(report, FAULT_BROKEN, "the output was touched") : r;
	r = tarn_service_take(service, &request);
	if (r == 0 && (request.size != 10 || memcmp(request.data, "0123456789", 10) != 0))
		return harness_say(report, FAULT_BROKEN, "another request came");
	if (r == 0)
		r = tarn_service_respond(service, &request, "abc", 3);
	if (r == 0)
		r = tarn_client_take(client, call, &response);
	if (r == 0 && (response.size != 3 || memcmp(response.data, "abc", 3) != 0))
		return harness_say(report, FAULT_BROKEN, "another answer came");
	return r;
}

static int nth_call(struct harness_report *report)
{
	int r = first_call(report);

	return r < 0 ? harness_say(report, FAULT_BROKEN, "no answer: %d", r) : r;
}

static int sound_still(struct harness_report *report)
{
	int r = first_call(report);

	if (r != 0)
		return r == FAULT_BROKEN ? r
					 : harness_say(report, FAULT_BROKEN,
						       "it does not go on afterwards: %d", r);
	tarn_client_release(client);
	return sound(report);
}

/* A timeout, or why not; the call is over, and its server told so. */
static int call_in_vain(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	struct tarn_client_stat stat;
	struct tarn_request request;
	size_t size = 77;
	char buf[8];
	int r = tarn_client_call(client, "x", 1, buf, sizeof(buf), deadline, &size);

	if (size != 77)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	tarn_client_stat(client, &stat);
	if (stat.calls != 0)
		return harness_say(report, FAULT_BROKEN, "the call is not over");
	if (tarn_service_take(service, &request) != -EAGAIN)
		return harness_say(report, FAULT_BROKEN, "it is to be answered all the same");
	return fault_timed(r, deadline, report);
}

/* --- waiting ------------------------------------------------------------------------------- */

static int take_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	struct tarn_response response = { .call = 77 };
	int r = tarn_client_take_wait(client, waiting_for, deadline, &response);

	if (response.call != 77)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return fault_timed(r, deadline, report);
}

static int service_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	struct tarn_request request = { .number = 77 };
	int r = tarn_service_take_wait(service, deadline, &request);

	if (request.number != 77)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return fault_timed(r, deadline, report);
}

static int respond_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	int r = tarn_service_respond_wait(service, &in_use, "last", 4, deadline);

	return fault_timed(r, deadline, report);
}

static int wait_server(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);

	close_service();
	return fault_timed(tarn_client_wait_server(client, deadline), deadline, report);
}

static int waiter_wait(struct harness_report *report)
{
	int64_t deadline = tarn_deadline_after(SLICE_NS);
	size_t count;
	void *tag;
	int r = tarn_waiter_open(NULL, &waiter);

	if (r < 0)
		return r;
	r = tarn_waiter_add_client(waiter, client, NULL);
	if (r == 0)
		r = fault_timed(tarn_waiter_wait(waiter, deadline, &tag, 1, &count), deadline,
				report);
	tarn_waiter_close(waiter);
	return r;
}

/* --- from outside -------------------------------------------------------------------------- */

static int count_user(const struct tarn_call_user *user, void *arg)
{
	*(uint64_t *)arg += user->requests + 100;
	return 0;
}

static int users(struct harness_report *report)
{
	uint64_t sum = 0;
	int r = tarn_service_users(region, "sums", count_user, &sum);

	return r == 0 && sum != 202 ? harness_say(report, FAULT_BROKEN, "so many: %d", (int)sum)
				    : r;
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "service_open_creating", .setup = made, .run = service_open,
	  .undo = remove_service, .sound = sound },
	{ .name = "service_open_another", .setup = served, .run = service_open,
	  .undo = close_service, .sound = sound },
	{ .name = "client_open", .setup = served, .run = client_open,
	  .undo = close_client, .sound = sound, .no_calls = true },
	{ .name = "leave", .setup = asked, .run = leave, .sound = sound },
	{ .name = "first_call", .setup = called, .run = first_call, .sound = sound_still },
	{ .name = "nth_call", .setup = acquainted, .run = nth_call, .sound = sound_still,
	  .no_calls = true },
	{ .name = "call_in_vain", .setup = acquainted, .run = call_in_vain,
	  .sound = sound_still },
	{ .name = "client_take_wait", .setup = asked, .run = take_wait, .sound = sound },
	{ .name = "service_take_wait", .setup = acquainted, .run = service_wait,
	  .sound = sound_still },
	{ .name = "service_respond_wait", .setup = answered_too_much, .run = respond_wait,
	  .sound = sound },
	{ .name = "client_wait_server", .setup = acquainted, .run = wait_server,
	  .sound = sound },
	{ .name = "waiter_of_a_client", .setup = asked, .run = waiter_wait, .sound = sound },
	{ .name = "service_users", .setup = asked, .run = users, .sound = sound,
	  .no_calls = true },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
