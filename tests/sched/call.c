/* SPDX-License-Identifier: BSD-2-Clause */
/* call.c - calls under the scheduler: each is answered once, by what it was asked, or its server is
 * dead; who waits for an answer, a request, room, or a death is woken by it. */
#include <errno.h>
#include <stdlib.h>

#include "flow/call_client.h"
#include "flow/call_service.h"
#include "scenarios.h"

enum {
	ROOM = 65536,
	PIECE = 400,         /* two of them fill a ring */
	LONG_NS = 145000000, /* several nets of a sleeper */
	CALLS = 2,
	PIECES = 4,
};

static struct tarn_client *client; /* of P0 */
static struct tarn_service *services[SCHED_PROCS];
static int servers; /* P1, and perhaps P2 */

static struct {
	uint32_t begun, answered, lost; /* of P0 */
	uint32_t served[SCHED_PROCS], asked[SCHED_PROCS];
	uint32_t cancelled;
} ghost;

/* --- one asks, one answers ----------------------------------------------------------------- */

static uint64_t ask(uint64_t value)
{
	uint64_t number = 0;
	int r = tarn_client_begin(client, &value, sizeof(value), TARN_FOREVER, &number);

	if (r == -ENOTCONN && anybody_dead())
		return 0;
	SCHED_CHECK(r == 0, "begin: %s", strerror(-r));
	ghost.begun++;
	ghost.asked[call_of(client, number)->link + 1]++;
	return number;
}

static void check_answer(const struct tarn_response *response, uint64_t number)
{
	uint64_t got;

	SCHED_CHECK(response->call == number && response->size == sizeof(got),
		    "the answer to %d, of %d bytes", (int)response->call, (int)response->size);
	memcpy(&got, response->data, sizeof(got));
	SCHED_CHECK(got == 100 + number, "call %d was answered with %d", (int)number, (int)got);
	ghost.answered++;
}

static void call_all(void)
{
	for (int i = 0; i < CALLS; i++) {
		struct tarn_response response;
		uint64_t number = ask(client->number + 1);
		int r;

		if (number == 0)
			return;
		r = tarn_client_take_wait(client, number, TARN_FOREVER, &response);
		SCHED_CHECK(r == 0 || (r == -EPIPE && sched_dead(1)), "take: %s", strerror(-r));
		if (r < 0) {
			ghost.lost++;
			return;
		}
		check_answer(&response, number);
	}
}

static bool serve_one(int me, bool sure)
{
	int64_t until = sched_now() + LONG_NS;
	struct tarn_request request;
	uint64_t value;
	int r;

	sched_deadline(until);
	r = tarn_service_take_wait(services[me], until, &request);
	sched_deadline(INT64_MAX);
	if (r == -ETIMEDOUT && (!sure || anybody_dead()))
		return false;
	SCHED_CHECK(r == 0, "P%d: take: %s", me, strerror(-r));
	memcpy(&value, request.data, sizeof(value));
	SCHED_CHECK(value == request.number, "P%d: request %d says %d", me, (int)request.number,
		    (int)value);
	value += 100;
	r = tarn_service_respond(services[me], &request, &value, sizeof(value));
	SCHED_CHECK(r == 0 || (r == -EPIPE && sched_dead(0)), "P%d: respond: %s", me, strerror(-r));
	ghost.served[me]++;
	return true;
}

static void call_and_serve(int me)
{
	if (me == 0) {
		call_all();
		return;
	}
	for (int i = 0; i < CALLS && serve_one(me, true); i++)
		;
}

/* --- two servers --------------------------------------------------------------------------- */

/* Both are asked, and whichever answers is taken. */
static void call_both(void)
{
	uint64_t number;

	(void)ask(client->number + 1);
	number = ask(client->number + 1);
	if (ghost.asked[1] == 2 || ghost.asked[2] == 2) { /* the other one is dead */
		(void)tarn_client_cancel(client, number);
		ghost.begun--;
	}
	while (ghost.answered + ghost.lost < ghost.begun) {
		struct tarn_response response;
		int r = tarn_client_take_wait(client, 0, TARN_FOREVER, &response);

		SCHED_CHECK(r == 0 || (r == -EPIPE && anybody_dead()), "take: %s", strerror(-r));
		if (r == 0)
			check_answer(&response, response.call);
		ghost.lost += r < 0;
	}
}

static void call_and_serve_both(int me)
{
	if (me == 0)
		call_both();
	else
		(void)serve_one(me, true);
}

/* --- several answers ----------------------------------------------------------------------- */

static void stream(int me)
{
	int64_t until = sched_now() + LONG_NS;
	struct tarn_request request;
	int r;

	sched_deadline(until);
	r = tarn_service_take_wait(services[me], until, &request);
	SCHED_CHECK(r == 0 || (r == -ETIMEDOUT && anybody_dead()) ||
			    (r == -ETIMEDOUT && ghost.cancelled != 0),
		    "take: %s", strerror(-r));
	for (uint32_t i = 0; i < PIECES && r == 0; i++) {
		void *data;

		r = tarn_service_reserve_wait(services[me], &request, PIECE, TARN_FOREVER, &data);
		if (r < 0)
			break;
		memset(data, (int)i, PIECE);
		r = tarn_service_commit(services[me], &request, PIECE,
					i + 1 < PIECES ? TARN_RESPONSE_MORE : TARN_RESPONSE_LAST,
					0);
		ghost.served[me]++;
	}
	sched_deadline(INT64_MAX);
	SCHED_CHECK(r == 0 || (r == -ETIMEDOUT && ghost.served[me] == 0) ||
			    (r == -EPIPE && sched_dead(0)) ||
			    (r == -ECANCELED && ghost.cancelled != 0),
		    "stream: %s after %d", strerror(-r), (int)ghost.served[me]);
}

/* False: no more come. */
static bool take_piece(uint64_t number)
{
	struct tarn_response response;
	const unsigned char *bytes;
	int r = tarn_client_take_wait(client, number, TARN_FOREVER, &response);

	SCHED_CHECK(r == 0 || (r == -EPIPE && sched_dead(1)), "take: %s", strerror(-r));
	if (r < 0) {
		ghost.lost++;
		return false;
	}
	SCHED_CHECK(response.size == PIECE, "a piece of %d bytes", (int)response.size);
	bytes = response.data;
	for (size_t i = 0; i < PIECE; i += 57)
		SCHED_CHECK(bytes[i] == ghost.answered, "piece %d is torn, or another",
			    (int)ghost.answered);
	ghost.answered++;
	SCHED_CHECK((response.kind == TARN_RESPONSE_LAST) == (ghost.answered == PIECES),
		    "piece %d is the last", (int)ghost.answered);
	return response.kind == TARN_RESPONSE_MORE;
}

static void take_stream(int me)
{
	uint64_t number;

	if (me != 0) {
		stream(me);
		return;
	}
	number = ask(client->number + 1);
	while (number != 0 && take_piece(number))
		;
}

/* Its server waits for room, or is about to. */
static void cancel_stream(int me)
{
	uint64_t number;
	int r;

	if (me != 0) {
		stream(me);
		return;
	}
	number = ask(client->number + 1);
	if (number == 0 || !take_piece(number))
		return;
	ghost.cancelled = 1;
	r = tarn_client_cancel(client, number);
	SCHED_CHECK(r == 0, "cancel: %s", strerror(-r));
}

/* --- set up and judge ---------------------------------------------------------------------- */

static const struct tarn_call_opts small = { .request_capacity = 1024,
					     .response_capacity = 1024,
					     .clients = 2,
					     .flags = TARN_CALL_NO_SPIN };

/* All know each other. */
static void warm_up(int p)
{
	struct tarn_request request;
	struct tarn_response response;
	uint64_t number;

	sched_as(0);
	must(tarn_client_begin(client, NULL, 0, TARN_FOREVER, &number));
	sched_as(p);
	must(tarn_service_take(services[p], &request));
	must(tarn_service_respond(services[p], &request, NULL, 0));
	sched_as(0);
	must(tarn_client_take(client, number, &response));
	tarn_client_release(client);
}

static void keep_service(int p)
{
	struct tarn_service *service = services[p];

	sched_private(service, sizeof(*service));
	sched_private(service->conns[0], sizeof(*service->conns[0]));
	sched_private((void *)service->words, 2 * sizeof(*service->words));
}

static void keep_client(void)
{
	client->words = calloc(1, sizeof(*client->words));
	sched_private(client, sizeof(*client));
	for (int i = 0; i < servers; i++)
		sched_private(client->links[i], sizeof(*client->links[i]));
	sched_private(client->words, sizeof(*client->words));
}

static void show_all(void)
{
	const struct party *party = &client->party;

	sched_hot("servings", &party->shm->comings, 64);
	sched_hot("client.owner", party->me, sizeof(*party->me));
	sched_name("client.waiting", &party->me->side.waiting);
	for (int i = 0; i < servers; i++) {
		struct pair_shm *pair = client->links[i]->wires.pair;

		sched_hot("server.owner", server_place(party, (uint32_t)i),
			  sizeof(struct party_shm));
		sched_name("server.waiting", &server_place(party, (uint32_t)i)->side.waiting);
		sched_hot("pair", pair, sizeof(*pair));
		sched_hot("requests", pair->records, 1024);
		sched_hot("responses", pair->records + 1024, 1024);
	}
	sched_ghost(&ghost, sizeof(ghost));
}

static void open_all(int count)
{
	memset(&ghost, 0, sizeof(ghost));
	servers = count;
	sched_as(0);
	must(tarn_client_open(sched_region(0), "sums", &small, &client));
	for (int p = 1; p <= count; p++) {
		sched_as(p);
		must(tarn_service_open(sched_region(p), "sums", &small, &services[p]));
		warm_up(p);
	}
	keep_client();
	for (int p = 1; p <= count; p++)
		keep_service(p);
	sched_as(SCHED_PROCS);
	show_all();
}

static void open_one(void)
{
	open_all(1);
}

static void open_two(void)
{
	open_all(2);
}

static void close_all(void)
{
	sched_as(0);
	tarn_client_close(client);
	for (int p = 1; p <= servers; p++) {
		sched_as(p);
		tarn_service_close(services[p]);
	}
}

static bool watched(int me)
{
	return me != 0; /* P0 sleeps on their beacons */
}

static void verify(void)
{
	check_region();
	SCHED_CHECK(sched_dead(0) || ghost.cancelled != 0 ||
			    (ghost.lost == 0) == (ghost.answered >= ghost.begun) || anybody_dead(),
		    "%d of %d calls were answered, %d lost", (int)ghost.answered, (int)ghost.begun,
		    (int)ghost.lost);
	if (!anybody_dead())
		SCHED_CHECK(ghost.lost == 0, "%d calls were lost to nobody's death",
			    (int)ghost.lost);
}

#define JUDGED .size = ROOM, .verify = verify, .cleanup = close_all

const struct sched_scenario sched_calls[] = {
	{ "call", "one calls twice, one answers", .procs = 2, .setup = open_one,
	  .body = call_and_serve, .holds = watched, .quick = { 1, 1 },
	  .full = { { 3, 0 }, { 2, 1 }, { 1, 2 } }, JUDGED },
	{ "call-slow", "the same; deaths take a while", .procs = 2, .slow = true, .setup = open_one,
	  .body = call_and_serve, .quick = { 1, 1 }, .full = { { 2, 1 } }, JUDGED },
	{ "call-two", "one calls two, and takes what comes first", .procs = 3, .setup = open_two,
	  .body = call_and_serve_both, .holds = watched, .quick = { 1, 1 }, .full = { { 2, 1 } },
	  JUDGED },
	{ "call-stream", "four responses through room for two", .procs = 2, .setup = open_one,
	  .body = take_stream, .holds = watched, .quick = { 1, 1 }, .full = { { 2, 1 } }, JUDGED },
	{ "call-cancel", "it is cancelled behind the first", .procs = 2, .setup = open_one,
	  .body = cancel_stream, .holds = watched, .quick = { 1, 1 }, .full = { { 2, 1 } },
	  JUDGED },
	{ 0 },
};
