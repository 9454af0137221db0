/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn_ring.c - rings, by their public calls alone: one a channel. Small where messages go there
 * and back, so that what they touch stays near both processors; of the usual size where they
 * stream; with room for four messages, as the queue by hand has, or for one where these are huge.
 */
#include <stdio.h>

#include "contestants.h"
#include "tarn_region.h"

enum { SMALL = 16 << 10, USUAL = 4 << 20, BURST = 32, LEAST = 4, HUGE = 16 << 20 };

static struct tarn_ring *rings[BENCH_SIDES_MAX]; /* by channel: this side's end of it */

static uint64_t capacity_of(const struct bench *b)
{
	uint64_t capacity = b->cell->measure == BENCH_ROUND_TRIP ? SMALL : USUAL;

	uint64_t least = b->cell->size <= HUGE ? LEAST : 2;

	while (capacity < least * ((uint64_t)b->cell->size + 64))
		capacity *= 2;
	return capacity;
}

static void ring_open(struct bench *b)
{
	tarn_region_make(b, bench_channels(b) * (capacity_of(b) + 4096));
}

static void ring_attach(struct bench *b)
{
	const struct bench_contestant *me = b->cell->contestant;
	const struct tarn_ring_opts opts = { .capacity = capacity_of(b),
					     .flags = me == &bench_tarn_ring_asleep
							      ? TARN_RING_NO_SPIN
						      : me == &bench_tarn_ring_stream
							      ? TARN_RING_STREAM
							      : 0 };
	struct tarn_region *region = tarn_region_join(b);

	for (unsigned i = 0; i < bench_channels(b); i++) {
		enum tarn_ring_role role =
			bench_sends(b, i) ? TARN_RING_PRODUCER : TARN_RING_CONSUMER;
		char name[16];

		if (!bench_sends(b, i) && !bench_receives(b, i))
			continue;
		snprintf(name, sizeof(name), "ring%u", i);
		tarn_must(b, "tarn_ring_open",
			  tarn_ring_open(region, name, role, &opts, &rings[i]));
	}
}

static void ring_detach(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++)
		tarn_ring_close(rings[i]);
	tarn_region_leave();
}

/* --- copying ---------------------------------------------------------------------------------- */

BENCH_INLINE void push(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	const void *message = bench_message(b, size, number);
	int r;

	while ((r = tarn_ring_push(rings[channel], message, size)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_ring_push", r);
}

BENCH_INLINE void take(struct bench *b, void *to, size_t size, size_t got, uint64_t number)
{
	if (__builtin_expect(got != size, 0))
		bench_fail(b, "a record of another size", EBADMSG);
	bench_check(b, to, size, number);
}

BENCH_INLINE void pop(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);
	size_t got;
	int r;

	while ((r = tarn_ring_pop(rings[channel], to, size, &got)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_ring_pop", r);
	take(b, to, size, got, number);
}

BENCH_LOOPS(busy_run, push, pop)

BENCH_INLINE void push_wait(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	tarn_must(b, "tarn_ring_push_wait",
		  tarn_ring_push_wait(rings[channel], bench_message(b, size, number), size,
				      TARN_FOREVER));
}

BENCH_INLINE void pop_wait(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);
	size_t got;

	tarn_must(b, "tarn_ring_pop_wait",
		  tarn_ring_pop_wait(rings[channel], to, size, TARN_FOREVER, &got));
	take(b, to, size, got, number);
}

BENCH_LOOPS(blocking_run, push_wait, pop_wait)

/* --- in place --------------------------------------------------------------------------------- */

BENCH_INLINE void *reserve(struct bench *b, unsigned channel, size_t size)
{
	void *data;
	int r;

	while ((r = tarn_ring_reserve(rings[channel], size, &data)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_ring_reserve", r);
	return data;
}

BENCH_INLINE const void *peek(struct bench *b, unsigned channel, size_t size)
{
	const void *data;
	size_t got;
	int r;

	while ((r = tarn_ring_peek(rings[channel], &data, &got)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_ring_peek", r);
	if (__builtin_expect(got != size, 0))
		bench_fail(b, "a record of another size", EBADMSG);
	return data;
}

BENCH_INLINE void fill_commit(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_fill(b, reserve(b, channel, size), size, number);
	tarn_must(b, "tarn_ring_commit", tarn_ring_commit(rings[channel], size));
}

BENCH_INLINE void check_release(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check(b, peek(b, channel, size), size, number);
	tarn_must(b, "tarn_ring_release", tarn_ring_release(rings[channel], 1));
}

BENCH_LOOPS(in_place_run, fill_commit, check_release)

BENCH_INLINE void mark_commit(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_mark(reserve(b, channel, size), size, number);
	tarn_must(b, "tarn_ring_commit", tarn_ring_commit(rings[channel], size));
}

BENCH_INLINE void look_release(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check_mark(b, peek(b, channel, size), size, number);
	tarn_must(b, "tarn_ring_release", tarn_ring_release(rings[channel], 1));
}

BENCH_LOOPS(zero_copy_run, mark_commit, look_release)

/* --- batches ---------------------------------------------------------------------------------- */

BENCH_INLINE uint64_t push_many(struct bench *b, unsigned channel, size_t size, uint64_t number,
				uint64_t count)
{
	struct tarn_buf bufs[BENCH_MANY];
	size_t want = count < BENCH_MANY ? count : BENCH_MANY, done;
	int r;

	for (size_t k = 0; k < want; k++)
		bufs[k] = (struct tarn_buf){ bench_message_of_batch(b, size, number + k), size };
	while ((r = tarn_ring_push_batch(rings[channel], bufs, want, &done)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_ring_push_batch", r);
	return done;
}

BENCH_INLINE uint64_t pop_many(struct bench *b, unsigned channel, size_t size, uint64_t number,
			       uint64_t count)
{
	struct tarn_buf bufs[BENCH_MANY];
	size_t want = count < BENCH_MANY ? count : BENCH_MANY, done;
	int r;

	while ((r = tarn_ring_peek_batch(rings[channel], bufs, want, &done)) == -EAGAIN)
		bench_pause(b);
	tarn_must(b, "tarn_ring_peek_batch", r);
	for (size_t k = 0; k < done; k++)
		take(b, bufs[k].data, size, bufs[k].size, number + k);
	tarn_must(b, "tarn_ring_release", tarn_ring_release(rings[channel], done));
	return done;
}

BENCH_BATCH_LOOPS(batch_run, push_many, pop_many)

#define STILL                                                                                      \
	(BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_ONE_WAY) | BENCH_BIT(BENCH_FAN_OUT) |       \
	 BENCH_BIT(BENCH_WRITE))

static const struct bench_variant ring_variants[] = {
	{ BENCH_BUSY, BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP), 0, BENCH_SIZE_MAX,
	  busy_run },
	{ BENCH_BLOCKING, BENCH_ALL_OF_MESSAGES, 0, BENCH_SIZE_MAX, blocking_run },
	{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 0, 65536, batch_run },
	{ BENCH_IN_PLACE, STILL, 0, BENCH_SIZE_MAX, in_place_run },
	{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, BENCH_SIZE_MAX, zero_copy_run },
	{ 0 },
};

static const struct bench_variant asleep_variants[] = {
	{ BENCH_BLOCKING, BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_WAKE_UP), 0, BENCH_SIZE_MAX,
	  blocking_run },
	{ 0 },
};

static const struct bench_variant stream_variants[] = {
	{ BENCH_BUSY, BENCH_BIT(BENCH_ONE_WAY), 0, BENCH_SIZE_MAX, busy_run },
	{ BENCH_BLOCKING, BENCH_BIT(BENCH_ONE_WAY), 0, BENCH_SIZE_MAX, blocking_run },
	{ BENCH_BATCH, BENCH_BIT(BENCH_ONE_WAY), 0, 65536, batch_run },
	{ BENCH_IN_PLACE, BENCH_BIT(BENCH_ONE_WAY), 0, BENCH_SIZE_MAX, in_place_run },
	{ 0 },
};

const struct bench_contestant bench_tarn_ring_stream = {
	.name = "ring-stream",
	.group = BENCH_TARN,
	.what = "a ring whose sides let each other get ahead (TARN_RING_STREAM)",
	.variants = stream_variants,
	.open = ring_open,
	.attach = ring_attach,
	.detach = ring_detach,
	.pages = TARN_REGION_PAGES,
};

const struct bench_contestant bench_tarn_ring_asleep = {
	.name = "ring-asleep",
	.group = BENCH_TARN,
	.what = "a ring whose sides sleep at once, and never spin (TARN_RING_NO_SPIN)",
	.variants = asleep_variants,
	.open = ring_open,
	.attach = ring_attach,
	.detach = ring_detach,
	.pages = TARN_REGION_PAGES,
	.burst = BURST,
};

const struct bench_contestant bench_tarn_ring = {
	.name = "ring",
	.group = BENCH_TARN,
	.what = "a ring: copying, in place, in batches, polled or slept for (tarn/ring.h)",
	.variants = ring_variants,
	.open = ring_open,
	.attach = ring_attach,
	.detach = ring_detach,
	.pages = TARN_REGION_PAGES,
	.burst = BURST,
};
