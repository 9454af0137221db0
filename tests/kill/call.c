/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call.c - every operation on services, killed at each instruction: servers and clients that come
 * and go, ask, take, answer once, often and in error, by copies and in place, cancel, and find out
 * who is dead; asleep in each wait.
 *
 * The dead asks of, and answers, what the survivors never do: none of it may reach them, though
 * they sit at its places, and count their calls as it did. They come, call and answer for more than
 * a lap of each ring, and remove the service.
 */
#include <errno.h>
#include <string.h>

#include <tarn/call.h>
#include <tarn/waiter.h>

#include "flow/call.h"
#include "survivor.h"

enum { RING = 1024, A_LAP = RING / 40, OF_THE_DEAD = 1 << 30 };

static struct tarn_region *region;
static struct tarn_service *service;
static struct tarn_client *client;
static struct tarn_request request;
static uint64_t number;

static const struct tarn_call_opts small = { .request_capacity = RING,
					     .response_capacity = RING,
					     .clients = 4,
					     .flags = TARN_CALL_NO_SPIN };

/* --- calls --------------------------------------------------------------------------------- */

static int ask(uint64_t value)
{
	return tarn_client_begin(client, &value, sizeof(value), TARN_FOREVER, &number);
}

static int taken(uint64_t value)
{
	uint64_t got;
	int r = tarn_service_take(service, &request);

	if (r < 0)
		return r;
	memcpy(&got, request.data, sizeof(got));
	return request.size != sizeof(got) || got != value;
}

static int answer(uint64_t value)
{
	return tarn_service_respond(service, &request, &value, sizeof(value));
}

static int answered(uint64_t value)
{
	struct tarn_response response;
	uint64_t got;
	int r = tarn_client_take(client, number, &response);

	if (r < 0)
		return r;
	memcpy(&got, response.data, sizeof(got));
	return response.size != sizeof(got) || got != value || response.call != number;
}

static int call(uint64_t value)
{
	int r = ask(value);

	/* What the dead left may fill the ring, until the server has looked. */
	if (r == -EAGAIN && tarn_service_take(service, &request) == -EAGAIN)
		r = ask(value);
	if (r == 0)
		r = taken(value);
	if (r == 0)
		r = answer(value + 1);
	return r == 0 ? answered(value + 1) : r;
}

/* --- worlds before ------------------------------------------------------------------------- */

#define OP(name) static int name(struct kill_world *world, struct harness_report *report)

OP(join)
{
	return region != NULL ? 0 : survivor_open(world, &region, report);
}

OP(bare)
{
	int r = survivor_create(world, 0, &region, report);

	return r == 0 ? survivor_keep(region, report) : r;
}

static int open_both(void)
{
	int r = service == NULL ? tarn_service_open(region, "sums", &small, &service) : 0;

	return r == 0 && client == NULL ? tarn_client_open(region, "sums", &small, &client) : r;
}

static void close_both(void)
{
	tarn_client_close(client);
	tarn_service_close(service);
	client = NULL;
	service = NULL;
}

OP(made)
{
	int r = bare(world, report);

	if (r == 0)
		r = open_both();
	for (uint64_t n = 0; n < A_LAP && r == 0; n++)
		r = call(n);
	close_both();
	return r == 0 ? 0 : survivor_say(report, "setup", r, NULL);
}

/* Both died in the middle of everything: requests and responses lie there, one of each in use, one
 * being written; one was cancelled. */
OP(left_at_work)
{
	void *data;
	int r = bare(world, report);

	if (r == 0)
		r = open_both();
	for (uint64_t n = 0; n < 5 && r == 0; n++)
		r = ask(OF_THE_DEAD + n);
	if (r == 0)
		r = tarn_client_cancel(client, number - 1);
	for (uint64_t n = 0; n < 2 && r == 0; n++) {
		r = taken(OF_THE_DEAD + n);
		if (r == 0)
			r = tarn_service_more(service, &request, &n, sizeof(n));
		if (r == 0)
			r = answer(OF_THE_DEAD);
	}
	if (r == 0)
		r = taken(OF_THE_DEAD + 2);
	if (r == 0)
		r = tarn_service_reserve(service, &request, 400, &data);
	if (r == 0) {
		memset(data, 0xff, 400);
		r = tarn_client_reserve(client, 400, &data);
	}
	if (r == 0)
		memset(data, 0xff, 400);
	return r == 0 ? 0 : survivor_say(report, "setup", r, NULL);
}

/* --- prepare ------------------------------------------------------------------------------- */

OP(serving)
{
	int r = join(world, report);

	return r == 0 ? tarn_service_open(region, "sums", &small, &service) : r;
}

OP(calling)
{
	int r = join(world, report);

	return r == 0 ? tarn_client_open(region, "sums", &small, &client) : r;
}

OP(both)
{
	int r = join(world, report);

	return r == 0 ? open_both() : r;
}

OP(connected)
{
	int r = both(world, report);

	return r == 0 ? call(OF_THE_DEAD) : r;
}

OP(asked)
{
	int r = connected(world, report);

	return r == 0 ? ask(OF_THE_DEAD) : r;
}

OP(at_work)
{
	int r = asked(world, report);

	return r == 0 ? taken(OF_THE_DEAD) : r;
}

OP(with_answer)
{
	int r = at_work(world, report);

	return r == 0 ? answer(OF_THE_DEAD) : r;
}

OP(with_two_answers)
{
	int r = with_answer(world, report);

	if (r == 0)
		r = ask(OF_THE_DEAD);
	if (r == 0)
		r = taken(OF_THE_DEAD);
	if (r == 0)
		r = answer(OF_THE_DEAD);
	return r;
}

OP(with_request_reserved)
{
	void *data;
	int r = connected(world, report);

	return r == 0 ? tarn_client_reserve(client, 100, &data) : r;
}

OP(with_response_reserved)
{
	void *data;
	int r = at_work(world, report);

	return r == 0 ? tarn_service_reserve(service, &request, 100, &data) : r;
}

OP(full_of_requests)
{
	int r = connected(world, report);

	while (r == 0)
		r = ask(OF_THE_DEAD);
	return r == -EAGAIN ? 0 : r;
}

OP(full_of_responses)
{
	int r = at_work(world, report);

	while (r == 0)
		r = tarn_service_more(service, &request, &number, sizeof(number));
	return r == -EAGAIN ? 0 : r;
}

/* Its server has left. */
OP(forsaken)
{
	int r = with_answer(world, report);

	if (r == 0)
		r = ask(OF_THE_DEAD);
	tarn_service_close(service);
	service = NULL;
	return r;
}

/* --- operations ---------------------------------------------------------------------------- */

OP(become_server)
{
	(void)world, (void)report;
	return tarn_service_open(region, "sums", &small, &service);
}

OP(become_client)
{
	(void)world, (void)report;
	return tarn_client_open(region, "sums", &small, &client);
}

OP(ask_one)
{
	(void)world, (void)report;
	return ask(OF_THE_DEAD);
}

OP(reserve_request)
{
	void *data;
	int r = tarn_client_reserve(client, 100, &data);

	(void)world, (void)report;
	if (r == 0)
		memset(data, 0xff, 100);
	return r;
}

OP(commit_request)
{
	(void)world, (void)report;
	return tarn_client_commit(client, 8, TARN_FOREVER, &number);
}

OP(abort_request)
{
	(void)world, (void)report;
	tarn_client_abort(client);
	return 0;
}

OP(take_request)
{
	(void)world, (void)report;
	return taken(OF_THE_DEAD);
}

OP(release_request)
{
	(void)world, (void)report;
	tarn_service_release(service, &request);
	return 0;
}

OP(answer_last)
{
	(void)world, (void)report;
	return answer(OF_THE_DEAD);
}

OP(answer_more)
{
	(void)world, (void)report;
	return tarn_service_more(service, &request, &number, sizeof(number));
}

OP(answer_error)
{
	(void)world, (void)report;
	return tarn_service_fail(service, &request, 7, NULL, 0);
}

OP(reserve_response)
{
	void *data;
	int r = tarn_service_reserve(service, &request, 100, &data);

	(void)world, (void)report;
	if (r == 0)
		memset(data, 0xff, 100);
	return r;
}

OP(commit_response)
{
	(void)world, (void)report;
	return tarn_service_commit(service, &request, 8, TARN_RESPONSE_LAST, 0);
}

OP(abort_response)
{
	(void)world, (void)report;
	tarn_service_abort(service, &request);
	return 0;
}

OP(take_answer)
{
	int r = answered(OF_THE_DEAD);

	(void)world, (void)report;
	tarn_client_release(client);
	return r;
}

/* The first is copied, and kept. */
OP(take_second_answer)
{
	int r = answered(OF_THE_DEAD);

	(void)world, (void)report;
	number--;
	return r == 0 ? answered(OF_THE_DEAD) : r;
}

OP(take_loss)
{
	struct tarn_response response;
	int r = tarn_client_take(client, 0, &response); /* what was answered before */

	(void)world, (void)report;
	return r == 0 ? tarn_client_take(client, 0, &response) : r;
}

OP(cancel)
{
	(void)world, (void)report;
	return tarn_client_cancel(client, number);
}

OP(look_at_both)
{
	struct tarn_service_stat service_stat;
	struct tarn_client_stat client_stat;
	struct tarn_call_peer peer;
	int r = tarn_service_peer(service, &request, &peer);

	(void)world, (void)report;
	if (r == 0)
		r = tarn_client_peer(client, number, &peer);
	tarn_service_stat(service, &service_stat);
	tarn_client_stat(client, &client_stat);
	return r == 0 ? tarn_service_cancelled(service, &request) : r;
}

OP(leave_calling)
{
	(void)world, (void)report;
	tarn_client_close(client);
	client = NULL;
	return 0;
}

OP(leave_serving)
{
	(void)world, (void)report;
	tarn_service_close(service);
	service = NULL;
	return 0;
}

OP(remove_service)
{
	(void)world, (void)report;
	return tarn_object_remove(region, "sums");
}

static int64_t soon(void)
{
	return tarn_deadline_after(3000000);
}

OP(call_in_vain)
{
	uint64_t value = OF_THE_DEAD;
	size_t size;

	(void)world, (void)report;
	return tarn_client_call(client, &value, 8, &value, 8, soon(), &size);
}

OP(await_answer)
{
	struct tarn_response response;

	(void)world, (void)report;
	return tarn_client_take_wait(client, number, soon(), &response);
}

OP(await_request)
{
	(void)world, (void)report;
	return tarn_service_take_wait(service, soon(), &request);
}

OP(await_request_room)
{
	void *data;

	(void)world, (void)report;
	return tarn_client_reserve_wait(client, 8, soon(), &data);
}

OP(await_response_room)
{
	void *data;

	(void)world, (void)report;
	return tarn_service_reserve_wait(service, &request, 8, soon(), &data);
}

OP(await_server)
{
	(void)world, (void)report;
	return tarn_client_wait_server(client, soon());
}

static struct tarn_waiter *waiter;

OP(with_waiter)
{
	static const struct tarn_waiter_opts asleep = { .flags = TARN_WAITER_NO_SPIN };
	int r = at_work(world, report);

	if (r == 0)
		r = tarn_waiter_open(&asleep, &waiter);
	if (r == 0)
		r = tarn_waiter_add_client(waiter, client, NULL);
	return r == 0 ? tarn_waiter_add_service(waiter, service, NULL) : r;
}

OP(wait_by_waiter)
{
	size_t count;
	void *tag;

	(void)world, (void)report;
	return tarn_waiter_wait(waiter, soon(), &tag, 1, &count);
}

/* --- survivors ----------------------------------------------------------------------------- */

static int one_call(uint64_t value, struct harness_report *report)
{
	int r = call(value);

	return r < 0   ? survivor_say(report, "call", r, NULL)
	       : r > 0 ? harness_say(report, KILL_VIOLATION,
				     "call %d is not what was asked, or said", (int)value)
		       : 0;
}

/* Two are asked of at the same time, and answered the other way round. */
static int two_calls(struct harness_report *report)
{
	struct tarn_request first;
	uint64_t number_of_first;
	int r = ask(1);

	number_of_first = number;
	if (r == 0)
		r = ask(2);
	if (r == 0)
		r = taken(1);
	first = request;
	tarn_service_release(service, &first);
	if (r == 0)
		r = taken(2);
	if (r == 0)
		r = answer(3);
	request = first;
	if (r == 0)
		r = answer(2);
	if (r == 0)
		r = answered(3);
	number = number_of_first;
	if (r == 0)
		r = answered(2);
	return r == 0 ? 0 : harness_say(report, KILL_VIOLATION, "two calls at a time: %d", r);
}

static int go_on(struct harness_report *report)
{
	struct tarn_response response;
	int r = tarn_service_take(service, &request);

	if (r != -EAGAIN)
		return harness_say(report, KILL_VIOLATION, "a request of the dead, or %d", r);
	for (uint64_t n = 0; n < 2 * A_LAP; n++) {
		r = one_call(n, report);
		if (r < 0)
			return r;
		if (tarn_client_take(client, 0, &response) != -ENOENT)
			return harness_say(report, KILL_VIOLATION, "an answer to nothing");
	}
	return two_calls(report);
}

static int wind_up(struct kill_world *world, struct harness_report *report)
{
	close_both();
	if (tarn_object_remove(region, "sums") < 0)
		return harness_say(report, KILL_VIOLATION, "the service cannot be removed");
	if (survivor_kept(region, report) < 0 || survivor_whole(world, region, 1, report) < 0)
		return KILL_VIOLATION;
	tarn_region_close(region);
	region = NULL;
	return 0;
}

static int arrive(struct kill_world *world, struct harness_report *report)
{
	region = NULL;
	service = NULL;
	client = NULL;
	return join(world, report) != 0 || survivor_check(region, report) < 0 ? KILL_VIOLATION : 0;
}

static int come(struct harness_report *report)
{
	int r = open_both();

	return r == 0 ? 0 : survivor_say(report, "open", r, NULL);
}

OP(check)
{
	if (arrive(world, report) < 0 || come(report) < 0 || go_on(report) < 0)
		return KILL_VIOLATION;
	if (survivor_check(region, report) < 0 || wind_up(world, report) < 0)
		return KILL_VIOLATION;
	return 0;
}

/* The service is there, or not; made, it works. */
static int judge_presence(struct kill_world *world, struct harness_report *report, bool there_is_1)
{
	int there;

	if (arrive(world, report) < 0)
		return KILL_VIOLATION;
	there = tarn_service_open(region, "sums", NULL, &service);
	if (there < 0 && there != -ENOENT)
		return survivor_say(report, "open", there, NULL);
	if (come(report) < 0 || go_on(report) < 0 || wind_up(world, report) < 0)
		return KILL_VIOLATION;
	return (there == 0) == there_is_1;
}

OP(check_made)
{
	return judge_presence(world, report, true);
}

OP(check_removed)
{
	return judge_presence(world, report, false);
}

/* What the next ones do. */
OP(recover)
{
	int r = both(world, report);

	return r == 0 ? call(OF_THE_DEAD) : r;
}

/* clang-format off */
#define NEW(nm, before, first, what, judge_) \
	{ .name = "call-" nm, .setup = before, .prepare = first, .op = what, .check = judge_, \
	  .ready = join }
#define SAME(nm, before, first, what) \
	{ .name = "call-" nm, .setup = before, .prepare = first, .op = what, .check = check, \
	  .ready = join, .flags = KILL_UNCHANGED }
#define TWICE(nm, before, first, what) \
	{ .name = "call-" nm, .setup = before, .prepare = first, .op = what, .check = check, \
	  .ready = join, .recover = recover, .flags = KILL_UNCHANGED }
#define LOST(nm, before, first, what, error) \
	{ .name = "call-" nm, .setup = before, .prepare = first, .op = what, .check = check, \
	  .ready = join, .result = -error, .flags = KILL_UNCHANGED }
#define IN_VAIN(nm, before, first, what, error) \
	{ .name = "call-" nm, .setup = before, .prepare = first, .op = what, .check = check, \
	  .result = -error, .flags = KILL_UNCHANGED | KILL_SLOW }

static const struct kill_op ops[] = {
	NEW("open-creating", bare, join, become_server, check_made),
	NEW("client-open-creating", bare, join, become_client, check_made),
	NEW("remove", made, join, remove_service, check_removed),
	NEW("remove-after-dead", left_at_work, join, remove_service, check_removed),
	SAME("service-open", made, join, become_server),
	TWICE("service-open-again", left_at_work, join, become_server),
	SAME("client-open", made, join, become_client),
	TWICE("client-open-again", left_at_work, join, become_client),
	SAME("begin-connecting", bare, both, ask_one),
	TWICE("begin-connecting-again", left_at_work, both, ask_one),
	SAME("begin", made, connected, ask_one),
	TWICE("begin-again", left_at_work, connected, ask_one),
	SAME("reserve", made, connected, reserve_request),
	SAME("commit", made, with_request_reserved, commit_request),
	SAME("abort", made, with_request_reserved, abort_request),
	SAME("take-request", made, asked, take_request),
	TWICE("take-request-again", left_at_work, asked, take_request),
	SAME("release-request", made, at_work, release_request),
	SAME("respond", made, at_work, answer_last),
	TWICE("respond-again", left_at_work, at_work, answer_last),
	SAME("more", made, at_work, answer_more),
	SAME("fail", made, at_work, answer_error),
	SAME("reserve-response", made, at_work, reserve_response),
	SAME("commit-response", made, with_response_reserved, commit_response),
	SAME("abort-response", made, with_response_reserved, abort_response),
	SAME("take", made, with_answer, take_answer),
	TWICE("take-again", left_at_work, with_answer, take_answer),
	SAME("take-keeping", made, with_two_answers, take_second_answer),
	LOST("take-lost", made, forsaken, take_loss, EPIPE),
	SAME("cancel", made, at_work, cancel),
	TWICE("cancel-again", made, at_work, cancel),
	SAME("stat", made, at_work, look_at_both),
	SAME("client-close", made, at_work, leave_calling),
	SAME("service-close", made, at_work, leave_serving),
	IN_VAIN("call-in-vain", made, connected, call_in_vain, ETIMEDOUT),
	IN_VAIN("take-wait-in-vain", made, at_work, await_answer, ETIMEDOUT),
	IN_VAIN("request-wait-in-vain", made, serving, await_request, ETIMEDOUT),
	IN_VAIN("reserve-wait-in-vain", made, full_of_requests, await_request_room, ETIMEDOUT),
	IN_VAIN("response-wait-in-vain", made, full_of_responses, await_response_room, ETIMEDOUT),
	IN_VAIN("server-wait-in-vain", made, calling, await_server, ETIMEDOUT),
	IN_VAIN("waiter-in-vain", made, with_waiter, wait_by_waiter, ETIMEDOUT),
};
/* clang-format on */

static void roomy(struct kill_world *world, const struct kill_op *op)
{
	survivor_world(world, op);
	world->heap = 65536;
	world->max = 131072;
}

int main(int argc, char **argv)
{
	return kill_main(argc, argv, ops, (int)(sizeof(ops) / sizeof(ops[0])), roomy);
}
