/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_call.c - calls, by their public functions alone: side 0 asks, side 1 answers with a message
 * of the same size. Rings are small, so that what they touch stays near both processors.
 */
#include <errno.h>

#include <tarn/call.h>

#include "contestants.h"
#include "tarn_region.h"

enum { SMALL = 16 << 10, BESIDE = 256 << 10, LARGEST = 1 << 20 };

static struct tarn_client *client;
static struct tarn_service *service;
static struct tarn_request request; /* that side 1 is to answer */
static uint64_t call;               /* that side 0 awaits the answer to */

static uint64_t capacity_of(const struct bench *b)
{
	uint64_t capacity = SMALL;

	while (capacity < 4 * ((uint64_t)b->cell->size + 128))
		capacity *= 2;
	return capacity;
}

static void call_open(struct bench *b)
{
	tarn_region_make(b, 8 * capacity_of(b) + BESIDE);
}

static void call_attach(struct bench *b)
{
	const struct tarn_call_opts opts = {
		.request_capacity = capacity_of(b),
		.response_capacity = capacity_of(b),
		.flags = b->cell->contestant == &bench_tarn_call_asleep ? TARN_CALL_NO_SPIN : 0,
	};
	struct tarn_region *region = tarn_region_join(b);

	if (b->side == 1) {
		tarn_must(b, "tarn_service_open",
			  tarn_service_open(region, "sums", &opts, &service));
		return;
	}
	tarn_must(b, "tarn_client_open", tarn_client_open(region, "sums", &opts, &client));
	tarn_must(b, "tarn_client_wait_server", tarn_client_wait_server(client, TARN_FOREVER));
}

static void call_detach(struct bench *b)
{
	(void)b;
	tarn_client_close(client);
	tarn_service_close(service);
	tarn_region_leave();
}

/* --- copying ---------------------------------------------------------------------------------- */

BENCH_INLINE void ask(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const void *message = bench_message(b, size, number);

	if (channel == 0)
		tarn_must(b, "tarn_client_begin",
			  tarn_client_begin(client, message, size, TARN_FOREVER, &call));
	else
		tarn_must(b, "tarn_service_respond",
			  tarn_service_respond(service, &request, message, size));
}

BENCH_INLINE void receive(struct bench *b, const void *data, size_t got, size_t size,
			  uint64_t number)
{
	void *to = bench_sink(b, size, number);

	if (__builtin_expect(got != size, 0))
		bench_fail(b, "a message of another size", EBADMSG);
	memcpy(to, data, size);
	bench_check(b, to, size, number);
}

BENCH_INLINE void poll_request(struct bench *b)
{
	int r;

	while ((r = tarn_service_take(service, &request)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_service_take", r);
}

BENCH_INLINE void poll_response(struct bench *b, struct tarn_response *response)
{
	int r;

	while ((r = tarn_client_take(client, call, response)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_client_take", r);
}

BENCH_INLINE void poll_any(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_response response;

	if (channel == 0) {
		poll_request(b);
		receive(b, request.data, request.size, size, number);
	} else {
		poll_response(b, &response);
		receive(b, response.data, response.size, size, number);
	}
}

BENCH_LOOPS(busy_run, ask, poll_any)

BENCH_INLINE void await(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	struct tarn_response response;

	if (channel == 0) {
		tarn_must(b, "tarn_service_take_wait",
			  tarn_service_take_wait(service, TARN_FOREVER, &request));
		receive(b, request.data, request.size, size, number);
	} else {
		tarn_must(b, "tarn_client_take_wait",
			  tarn_client_take_wait(client, call, TARN_FOREVER, &response));
		receive(b, response.data, response.size, size, number);
	}
}

BENCH_LOOPS(blocking_run, ask, await)

/* --- in place --------------------------------------------------------------------------------- */

BENCH_INLINE void *reserve(struct bench *b, unsigned channel, size_t size)
{
	void *data = NULL;

	if (channel == 0)
		tarn_must(b, "tarn_client_reserve", tarn_client_reserve(client, size, &data));
	else
		tarn_must(b, "tarn_service_reserve",
			  tarn_service_reserve(service, &request, size, &data));
	return data;
}

BENCH_INLINE void commit(struct bench *b, unsigned channel, size_t size)
{
	if (channel == 0)
		tarn_must(b, "tarn_client_commit",
			  tarn_client_commit(client, size, TARN_FOREVER, &call));
	else
		tarn_must(b, "tarn_service_commit",
			  tarn_service_commit(service, &request, size, TARN_RESPONSE_LAST, 0));
}

BENCH_INLINE const void *peek(struct bench *b, unsigned channel, size_t size)
{
	struct tarn_response response;
	size_t got;

	if (channel == 0) {
		poll_request(b);
		got = request.size;
		response.data = request.data;
	} else {
		poll_response(b, &response);
		got = response.size;
	}
	if (__builtin_expect(got != size, 0))
		bench_fail(b, "a message of another size", EBADMSG);
	return response.data;
}

BENCH_INLINE void fill_commit(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_fill(b, reserve(b, channel, size), size, number);
	commit(b, channel, size);
}

BENCH_INLINE void check(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check(b, peek(b, channel, size), size, number);
}

BENCH_LOOPS(in_place_run, fill_commit, check)

BENCH_INLINE void mark_commit(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_mark(reserve(b, channel, size), size, number);
	commit(b, channel, size);
}

BENCH_INLINE void look(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check_mark(b, peek(b, channel, size), size, number);
}

BENCH_LOOPS(zero_copy_run, mark_commit, look)

#define THERE_AND_BACK BENCH_BIT(BENCH_ROUND_TRIP)

static const struct bench_variant call_variants[] = {
	{ BENCH_BUSY, THERE_AND_BACK, 0, LARGEST, busy_run },
	{ BENCH_BLOCKING, THERE_AND_BACK, 0, LARGEST, blocking_run },
	{ BENCH_IN_PLACE, THERE_AND_BACK, 0, LARGEST, in_place_run },
	{ BENCH_ZERO_COPY, THERE_AND_BACK, 0, LARGEST, zero_copy_run },
	{ 0 },
};

static const struct bench_variant asleep_variants[] = {
	{ BENCH_BLOCKING, THERE_AND_BACK, 0, LARGEST, blocking_run },
	{ 0 },
};

const struct bench_contestant bench_tarn_call_asleep = {
	.name = "call-asleep",
	.group = BENCH_TARN,
	.what = "the same, with handles that sleep at once (TARN_CALL_NO_SPIN)",
	.variants = asleep_variants,
	.open = call_open,
	.attach = call_attach,
	.detach = call_detach,
	.pages = TARN_REGION_PAGES,
};

const struct bench_contestant bench_tarn_call = {
	.name = "call",
	.group = BENCH_TARN,
	.what = "request and response (tarn/call.h)",
	.variants = call_variants,
	.open = call_open,
	.attach = call_attach,
	.detach = call_detach,
	.pages = TARN_REGION_PAGES,
};
