/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service in a storm: four processes serve, eight call; any of them is killed at random, and each
 * call is answered once, by what it was asked, or fails because a server died.
 *
 *   client   0 to 3 by tarn_client_call(); 4, 5 several at a time, any answer first, some
 *            cancelled; 6 streams; 7 in place, by a waiter
 *   server   copies, in place, with several requests of different clients at hand, later and in
 *            another order; now and then in error
 *
 * What is asked says who asks, in which life, and which call it is; the answer says the same, and
 * which piece it is. So an answer to another call, of another life, or for the second time is
 * found by who takes it. A server writes down each call that it takes; at the end none was taken
 * twice, since no call is repeated by itself.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tarn/call.h>
#include <tarn/waiter.h>

#include "crowd.h"

enum {
	SERVERS = 4,
	CLIENTS = 8,
	CAPACITY = 4096,
	AT_ONCE = 6,
	PIECES_MAX = 40,
	FILLING = 600,
	TAKEN_MAX = 1 << 22, /* calls of which it is known who has taken them */
	PATIENCE_S = 30,
};

enum mutant { NO_MUTANT, TWICE, OTHERS, TORN };
static const char *const mutant_names[] = { "none", "twice", "others", "torn", NULL };

struct question {
	uint64_t id; /* of all calls that there were */
	uint32_t pieces;
	uint32_t size; /* of each answer's filling */
};

struct answer {
	uint64_t id;
	uint32_t piece;
	uint32_t size;
	unsigned char filling[FILLING];
};

/* Outside of the region. */
static struct board {
	_Atomic uint64_t calls;
	_Atomic uint64_t lost, cancelled, failed;
	_Atomic uint8_t taken[TAKEN_MAX];
} * board;

static struct tarn_region *region;
static struct tarn_service *service;
static struct tarn_client *client;
static struct tarn_waiter *waiter;

static struct asked {
	uint64_t call, id;
	uint32_t pieces, next;
} asked[AT_ONCE];
static int asked_count;

static int64_t patience(void)
{
	return tarn_deadline_after(PATIENCE_S * INT64_C(1000000000));
}

static void make(void)
{
	const struct tarn_region_opts opts = { .size = 4 << 20, .max_size = 16 << 20 };
	const struct tarn_call_opts call_opts = { .request_capacity = CAPACITY,
						  .response_capacity = CAPACITY,
						  .clients = 32 };

	board = harness_shared(sizeof(*board));
	crowd_must("create", tarn_region_create(crowd->addr, &opts, &region));
	crowd_must("service", tarn_service_open(region, "sums", &call_opts, &service));
	tarn_service_close(service);
	tarn_region_close(region);
	service = NULL;
}

static void join(void)
{
	crowd_must("open", tarn_region_open(crowd->addr, NULL, &region));
}

/* --- servers --------------------------------------------------------------------------------- */

static size_t make_answer(struct answer *answer, const struct question *question, uint32_t piece)
{
	answer->id = question->id;
	answer->piece = piece;
	answer->size = question->size;
	for (uint32_t i = 0; i < question->size; i++)
		answer->filling[i] = (unsigned char)(question->id + piece + i);
	return offsetof(struct answer, filling) + question->size;
}

/* 0; what became of the caller. */
static int send_piece(const struct tarn_request *request, const struct question *question,
		      uint32_t piece, bool in_place)
{
	bool last = piece + 1 == question->pieces;
	static struct answer answer;
	size_t size = make_answer(&answer, question, piece);
	void *data;
	int r;

	if (last && !in_place)
		return tarn_service_respond_wait(service, request, &answer, size, patience());
	r = tarn_service_reserve_wait(service, request, size, patience(), &data);
	if (r < 0)
		return r;
	memcpy(data, &answer, crowd->mutant == TORN ? size - 1 : size);
	return tarn_service_commit(service, request, size,
				   last ? TARN_RESPONSE_LAST : TARN_RESPONSE_MORE, 0);
}

static void answer_it(const struct tarn_request *request, const struct question *question,
		      uint64_t *seed)
{
	int r = 0;

	if (storm_random(seed) % 64 == 0) {
		r = tarn_service_fail(service, request, (int32_t)(question->id % 1000) + 1, NULL,
				      0);
		if (r == -EAGAIN)
			r = send_piece(request, question, question->pieces - 1, true);
	} else {
		for (uint32_t i = 0; i < question->pieces && r == 0; i++)
			r = send_piece(request, question, i, storm_random(seed) % 2 == 0);
	}
	if (r == -EPIPE || r == -ECANCELED)
		r = 0;
	crowd_must("answer", r);
}

static void note(const struct question *question)
{
	if (question->id < TAKEN_MAX && atomic_fetch_add(&board->taken[question->id], 1) != 0)
		crowd_violation("a call was taken twice", (int64_t)question->id, 0);
}

/* Up to three at hand, answered in another order. */
static void serve(uint64_t *seed)
{
	struct tarn_request requests[3];
	struct question questions[3];
	uint64_t want = 1 + storm_random(seed) % 3;
	int count = 0;

	if (service == NULL)
		crowd_must("service", tarn_service_open(region, "sums", NULL, &service));
	while (count < (int)want) {
		struct tarn_request *request = &requests[count];
		int r = count == 0 ? tarn_service_take_wait(service, tarn_deadline_after(5000000),
							    request)
				   : tarn_service_take(service, request);

		if (r == -EAGAIN || r == -ETIMEDOUT)
			break;
		crowd_must("take", r);
		if (request->size != sizeof(struct question))
			crowd_violation("a request of another size", (int64_t)request->size, 0);
		memcpy(&questions[count], request->data, sizeof(questions[count]));
		if (crowd->mutant == OTHERS && storm_random(seed) % 1000 == 0)
			questions[count].id--;
		note(&questions[count]);
		if (storm_random(seed) % 2 == 0)
			tarn_service_release(service, request);
		count++;
	}
	while (count > 0) {
		int i = (int)(storm_random(seed) % (uint64_t)count);

		answer_it(&requests[i], &questions[i], seed);
		if (crowd->mutant == TWICE && storm_random(seed) % 100 == 0)
			note(&questions[i]);
		requests[i] = requests[--count];
		questions[i] = questions[count];
	}
}

/* --- clients --------------------------------------------------------------------------------- */

static struct question new_question(uint32_t pieces, uint64_t *seed)
{
	return (struct question){ .id = atomic_fetch_add(&board->calls, 1) + 1,
				  .pieces = pieces,
				  .size = (uint32_t)(storm_random(seed) % FILLING) };
}

static void check_answer(const void *data, size_t size, uint64_t id, uint32_t piece)
{
	const struct answer *answer = data;

	atomic_fetch_add(&crowd->counted, 1);
	if (size < offsetof(struct answer, filling) || answer->id != id || answer->piece != piece) {
		crowd_violation("an answer to another call", (int64_t)answer->id, (int64_t)id);
		return;
	}
	for (uint32_t i = 0; i < answer->size; i++)
		if (answer->filling[i] != (unsigned char)(id + piece + i)) {
			crowd_violation("a torn answer", (int64_t)id, i);
			return;
		}
}

/* Servers come again soon. */
static bool may_fail(int r)
{
	if (r == -EPIPE)
		atomic_fetch_add(&board->lost, 1);
	else if (r == -ENOTCONN)
		crowd_must("server", tarn_client_wait_server(client, patience()));
	else
		return false;
	return true;
}

static void call_simply(int n, uint64_t *seed)
{
	struct question question = new_question(1, seed);
	static struct answer answer;
	size_t size = 0;
	int r;

	crowd_begun(n);
	r = tarn_client_call(client, &question, sizeof(question), &answer, sizeof(answer),
			     patience(), &size);
	if (r == 0)
		check_answer(&answer, size, question.id, 0);
	else if (r == -EREMOTEIO && tarn_client_code(client) != (int32_t)(question.id % 1000) + 1)
		crowd_violation("the code of another call", tarn_client_code(client),
				(int64_t)question.id);
	else if (r != -EREMOTEIO && !may_fail(r))
		crowd_must("call", r);
	if (r == 0 || r == -EREMOTEIO)
		crowd_final(n);
}

static int ask(uint32_t pieces, bool in_place, uint64_t *seed)
{
	struct question question = new_question(pieces, seed);
	struct asked *a = &asked[asked_count];
	void *data;
	int r;

	if (in_place) {
		r = tarn_client_reserve(client, sizeof(question), &data);
		if (r == 0) {
			memcpy(data, &question, sizeof(question));
			r = tarn_client_commit(client, sizeof(question), TARN_FOREVER, &a->call);
		}
	} else {
		r = tarn_client_begin(client, &question, sizeof(question), TARN_FOREVER, &a->call);
	}
	if (r == 0) {
		a->id = question.id;
		a->pieces = pieces;
		a->next = 0;
		asked_count++;
	}
	return r;
}

static void over(int n, int i)
{
	asked[i] = asked[--asked_count];
	crowd_final(n);
}

static int index_of(uint64_t call)
{
	for (int i = 0; i < asked_count; i++)
		if (asked[i].call == call)
			return i;
	crowd_violation("an answer to no call of this life", (int64_t)call, asked_count);
	_exit(1);
}

static void take_answer(int n, uint64_t which)
{
	struct tarn_response response = { .call = 0 };
	int r = tarn_client_take_wait(client, which, patience(), &response), i;

	if (r == -ENOBUFS)
		r = tarn_client_take_wait(client, 0, patience(), &response);
	if (r != 0 && r != -EPIPE)
		crowd_must("take", r);
	i = index_of(response.call);
	if (r == -EPIPE || response.kind == TARN_RESPONSE_ERROR) {
		atomic_fetch_add(r == -EPIPE ? &board->lost : &board->failed, 1);
		over(n, i);
		return;
	}
	if ((response.kind == TARN_RESPONSE_LAST) != (asked[i].next + 1 == asked[i].pieces) &&
	    response.kind != TARN_RESPONSE_LAST)
		crowd_violation("a piece too many", (int64_t)asked[i].id, asked[i].next);
	/* of one that failed for want of room only the last piece comes */
	if (response.kind == TARN_RESPONSE_LAST)
		asked[i].next = asked[i].pieces - 1;
	check_answer(response.data, response.size, asked[i].id, asked[i].next++);
	if (response.kind == TARN_RESPONSE_LAST)
		over(n, i);
}

static void call_several(int n, uint32_t pieces, uint64_t *seed)
{
	while (asked_count < (pieces > 1 ? 2 : AT_ONCE)) {
		int r;

		crowd_begun(n);
		r = ask(1 + (uint32_t)(storm_random(seed) % pieces), n % 2 == 1, seed);
		if (r == -EAGAIN || may_fail(r))
			break;
		crowd_must("ask", r);
	}
	if (asked_count == 0)
		return;
	if (storm_random(seed) % 32 == 0) {
		crowd_must("cancel", tarn_client_cancel(client, asked[0].call));
		atomic_fetch_add(&board->cancelled, 1);
		over(n, 0);
		return;
	}
	if (waiter != NULL) {
		size_t count;
		void *tag;

		crowd_must("wait", tarn_waiter_wait(waiter, patience(), &tag, 1, &count));
	}
	take_answer(n, storm_random(seed) % 2 == 0 || waiter != NULL
			       ? 0
			       : asked[storm_random(seed) % (uint64_t)asked_count].call);
}

static void act(int n, uint64_t *seed)
{
	if (n < SERVERS) {
		serve(seed);
		return;
	}
	if (client == NULL) {
		crowd_must("client", tarn_client_open(region, "sums", NULL, &client));
		if (n == SERVERS + CLIENTS - 1) {
			crowd_must("waiter", tarn_waiter_open(NULL, &waiter));
			crowd_must("add", tarn_waiter_add_client(waiter, client, NULL));
		}
	}
	if (n - SERVERS < 4)
		call_simply(n, seed);
	else
		call_several(n, n - SERVERS == 6 ? PIECES_MAX : 1, seed);
}

/* Servers stay until nobody calls. */
static void leave(int n)
{
	int64_t deadline = tarn_deadline_after(INT64_C(2000000000));
	uint64_t seed = (uint64_t)n;

	while (n < SERVERS && tarn_now() < deadline)
		serve(&seed);
	while (n >= SERVERS && asked_count > 0)
		take_answer(n, 0);
	tarn_waiter_close(waiter);
	tarn_client_close(client);
	tarn_service_close(service);
}

/* --- account --------------------------------------------------------------------------------- */

static uint64_t settle(void)
{
	join();
	printf("# %llu calls; %llu lost to a server's death, %llu cancelled, %llu failed\n",
	       (unsigned long long)board->calls, (unsigned long long)board->lost,
	       (unsigned long long)board->cancelled, (unsigned long long)board->failed);
	if (crowd->counted == 0)
		crowd_violation("nobody was answered", 0, 0);
	crowd_check(region);
	tarn_region_close(region);
	return board->calls;
}

static const struct crowd_plan the_plan = {
	.name = "calls",
	.mutants = mutant_names,
	.processes = SERVERS + CLIENTS,
	.counts = "answers",
	.make = make,
	.join = join,
	.act = act,
	.leave = leave,
	.settle = settle,
};

int main(int argc, char **argv)
{
	return crowd_main(argc, argv, &the_plan);
}
