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

/* The four functions of each, by how many may send and receive at once. */
#define CK_KIND(kind)                                                                              \
	BENCH_INLINE void kind##_put(struct bench *b, unsigned channel, void *value)               \
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
	BENCH_INLINE void kind##_send(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		void *value = bench_message(b, size, number);                                      \
                                                                                                   \
		if (size == 64) {                                                                  \
			while (!ck_ring_enqueue_##kind##_line(rings[channel], entries[channel],    \
							      value))                              \
				bench_pause(b);                                                    \
			return;                                                                    \
		}                                                                                  \
		memcpy(&value, value, sizeof(value));                                              \
		kind##_put(b, channel, value);                                                     \
	}                                                                                          \
	BENCH_INLINE void kind##_recv(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		if (size == 64) {                                                                  \
			struct ck_line *line = bench_sink(b, size, number);                        \
                                                                                                   \
			while (!ck_ring_dequeue_##kind##_line(rings[channel], entries[channel],    \
							      line))                               \
				bench_pause(b);                                                    \
			bench_check(b, line, size, number);                                        \
			return;                                                                    \
		}                                                                                  \
		void *value = kind##_take(b, channel);                                             \
                                                                                                   \
		bench_check(b, &value, 8, number);                                                 \
	}                                                                                          \
	BENCH_INLINE void kind##_slot_send(struct bench *b, unsigned channel, size_t size,         \
					   uint64_t number)                                        \
	{                                                                                          \
		void *slot = slots_at(&slots[channel], slots_take(&slots[channel]));               \
                                                                                                   \
		bench_fill(b, slot, size, number);                                                 \
		kind##_put(b, channel, slot);                                                      \
	}                                                                                          \
	BENCH_INLINE void kind##_slot_recv(struct bench *b, unsigned channel, size_t size,         \
					   uint64_t number)                                        \
	{                                                                                          \
		bench_check(b, kind##_take(b, channel), size, number);                             \
	}                                                                                          \
	BENCH_INLINE void kind##_mark_send(struct bench *b, unsigned channel, size_t size,         \
					   uint64_t number)                                        \
	{                                                                                          \
		void *slot = slots_at(&slots[channel], slots_take(&slots[channel]));               \
                                                                                                   \
		bench_mark(slot, size, number);                                                    \
		kind##_put(b, channel, slot);                                                      \
	}                                                                                          \
	BENCH_INLINE void kind##_mark_recv(struct bench *b, unsigned channel, size_t size,         \
					   uint64_t number)                                        \
	{                                                                                          \
		bench_check_mark(b, kind##_take(b, channel), size, number);                        \
	}                                                                                          \
	PEERS_LOOPS_SMALL(kind##_run, kind##_send, kind##_recv)                                    \
	PEERS_LOOPS_LARGE(kind##_slot_run, kind##_slot_send, kind##_slot_recv)                     \
	PEERS_LOOP_ROUND_TRIP(kind##_mark_run, kind##_mark_send, kind##_mark_recv)                 \
	static const struct bench_variant kind##_variants[] = {                                    \
		{ BENCH_BUSY, PEERS_POLLED, 8, 8, kind##_run },                                    \
		{ BENCH_BUSY, PEERS_POLLED, 64, 64, kind##_run },                                  \
		{ BENCH_IN_PLACE, PEERS_POLLED, 8, PEERS_SIZE_MAX, kind##_slot_run },              \
		{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, PEERS_SIZE_MAX,                \
		  kind##_mark_run },                                                               \
		{ 0 },                                                                             \
	};

CK_KIND(spsc)
CK_KIND(mpmc)

#define CK_PAGES (BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M))

const struct bench_contestant bench_ck_spsc = {
	"CK ring",     BENCH_PEER, "Concurrency Kit, ck_ring, one sender and one receiver",
	spsc_variants, ck_open,    NULL,
	NULL,          NULL,       NULL,
	CK_PAGES,      0,
};
const struct bench_contestant bench_ck_mpmc = {
	"CK ring mpmc", BENCH_PEER, "Concurrency Kit, ck_ring, any number of both",
	mpmc_variants,  ck_open,    NULL,
	NULL,           NULL,       NULL,
	CK_PAGES,       0,
};
