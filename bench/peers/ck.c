/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ck.c - Concurrency Kit's ck_ring: one sender and one receiver, or many of both.
 *
 * Busy: messages of 8 bytes stand where the pointer would, and such of 64 bytes are the elements of
 * a ring of that type (CK_RING_PROTOTYPE), copied in and out. In place, zero copy: the ring leads
 * to slots beside it.
 */
#include <ck_ring.h>

#include "slots.h"

struct ck_line {
	unsigned char bytes[64];
};

CK_RING_PROTOTYPE(line, ck_line)

static ck_ring_t *rings[PEERS_CHANNELS];
static void *entries[PEERS_CHANNELS];
static struct slots slots[PEERS_CHANNELS];

static bool in_slots(const struct bench *b)
{
	return b->cell->variant->mode != BENCH_BUSY;
}

static void ck_open(struct bench *b)
{
	unsigned depth = bench_depth(b->cell->size);
	size_t entry = !in_slots(b) && b->cell->size == 64 ? sizeof(struct ck_line)
							   : sizeof(ck_ring_buffer_t);

	for (unsigned k = 0; k < bench_channels(b); k++) {
		rings[k] = bench_memory(b, sizeof(ck_ring_t));
		entries[k] = bench_memory(b, entry * depth);
		ck_ring_init(rings[k], depth);
		if (in_slots(b))
			slots_make(b, &slots[k], depth);
	}
}

/* Values and lines, by how many may send and receive at once. */
#define CK_KIND(kind)                                                                              \
	BENCH_INLINE void kind##_put(struct bench *b, unsigned channel, const void *value)         \
	{                                                                                          \
		while (!ck_ring_enqueue_##kind(rings[channel], entries[channel], value))           \
			bench_pause(b);                                                            \
	}                                                                                          \
	BENCH_INLINE void *kind##_take(struct bench *b, unsigned channel)                          \
	{                                                                                          \
		void *value;                                                                       \
                                                                                                   \
		while (!ck_ring_dequeue_##kind(rings[channel], entries[channel], &value))          \
			bench_pause(b);                                                            \
		return value;                                                                      \
	}                                                                                          \
	BENCH_INLINE void kind##_put_line(struct bench *b, unsigned channel, struct ck_line *line) \
	{                                                                                          \
		while (!ck_ring_enqueue_##kind##_line(rings[channel], entries[channel], line))     \
			bench_pause(b);                                                            \
	}                                                                                          \
	BENCH_INLINE void kind##_take_line(struct bench *b, unsigned channel,                      \
					   struct ck_line *line)                                   \
	{                                                                                          \
		while (!ck_ring_dequeue_##kind##_line(rings[channel], entries[channel], line))     \
			bench_pause(b);                                                            \
	}                                                                                          \
	BENCH_INLINE void kind##_send(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		void *message = bench_message(b, size, number), *value;                            \
                                                                                                   \
		if (size == 64) {                                                                  \
			kind##_put_line(b, channel, message);                                      \
			return;                                                                    \
		}                                                                                  \
		memcpy(&value, message, sizeof(value));                                            \
		kind##_put(b, channel, value);                                                     \
	}                                                                                          \
	BENCH_INLINE void kind##_recv(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		void *to = bench_sink(b, size, number), *value;                                    \
                                                                                                   \
		if (size == 64) {                                                                  \
			kind##_take_line(b, channel, to);                                          \
			bench_check(b, to, 64, number);                                            \
			return;                                                                    \
		}                                                                                  \
		value = kind##_take(b, channel);                                                   \
		bench_check(b, &value, 8, number);                                                 \
	}                                                                                          \
	PEERS_LOOPS_SMALL(kind##_run, kind##_send, kind##_recv)

CK_KIND(spsc)
CK_KIND(mpmc)

/* --- slots, with one sender and one receiver ------------------------------------------------- */

SLOTS_LOOPS(slots, spsc_put, spsc_take)

static const struct bench_variant spsc_variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 8, 8, spsc_run },
	{ BENCH_BUSY, PEERS_POLLED, 64, 64, spsc_run },
	{ BENCH_IN_PLACE, PEERS_POLLED, 8, PEERS_SIZE_MAX, slot_run },
	{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, PEERS_SIZE_MAX, mark_run },
	{ 0 },
};

static const struct bench_variant mpmc_variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 8, 8, mpmc_run },
	{ BENCH_BUSY, PEERS_POLLED, 64, 64, mpmc_run },
	{ 0 },
};

#define CK_PAGES (BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M))

const struct bench_contestant bench_ck_spsc = {
	.name = "CK ring",
	.group = BENCH_PEER,
	.what = "Concurrency Kit, ck_ring, one sender and one receiver",
	.variants = spsc_variants,
	.open = ck_open,
	.pages = CK_PAGES,
};

const struct bench_contestant bench_ck_mpmc = {
	.name = "CK ring mpmc",
	.group = BENCH_PEER,
	.what = "Concurrency Kit, ck_ring, any number of both",
	.variants = mpmc_variants,
	.open = ck_open,
	.pages = CK_PAGES,
};
