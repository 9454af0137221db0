/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dpdk.c - DPDK's rte_ring, in memory of our own: rte_ring_init() needs neither EAL nor huge pages.
 *
 * Busy and batches: the message is the ring's element (rte_ring_elem.h), copied in and out. In
 * place, zero copy: the elements are pointers to slots beside the ring.
 */
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "slots.h"

enum { DPDK_BURST = 64 };

static struct rte_ring *rings[PEERS_CHANNELS];
static struct slots slots[PEERS_CHANNELS];

static void make_rings(struct bench *b, unsigned flags)
{
	enum bench_mode mode = b->cell->variant->mode;
	bool elements = mode == BENCH_BUSY || mode == BENCH_BATCH;
	unsigned depth = bench_depth(b->cell->size);
	ssize_t room = rte_ring_get_memsize_elem(elements ? (unsigned)b->cell->size : 8, depth);

	if (room < 0)
		bench_fail(b, "rte_ring_get_memsize_elem", (int)room);
	for (unsigned k = 0; k < bench_channels(b); k++) {
		rings[k] = bench_memory(b, (size_t)room);
		int r = rte_ring_init(rings[k], "tarn-bench", depth, flags);

		if (r < 0)
			bench_fail(b, "rte_ring_init", r);
		if (!elements)
			slots_make(b, &slots[k], depth);
	}
}

static void spsc_open(struct bench *b)
{
	make_rings(b, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static void mpmc_open(struct bench *b)
{
	make_rings(b, 0);
}

/* The functions of each, by those of one element and of many. */
#define DPDK_KIND(kind, put_one, take_one, put_many, take_many)                                    \
	BENCH_INLINE void kind##_send(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		void *message = bench_message(b, size, number);                                    \
                                                                                                   \
		while (put_one(rings[channel], message, (unsigned)size) != 0)                      \
			bench_pause(b);                                                            \
	}                                                                                          \
	BENCH_INLINE void kind##_recv(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		void *to = bench_sink(b, size, number);                                            \
                                                                                                   \
		while (take_one(rings[channel], to, (unsigned)size) != 0)                          \
			bench_pause(b);                                                            \
		bench_check(b, to, size, number);                                                  \
	}                                                                                          \
	BENCH_INLINE void kind##_put(struct bench *b, unsigned channel, void *slot)                \
	{                                                                                          \
		while (put_one(rings[channel], &slot, sizeof(slot)) != 0)                          \
			bench_pause(b);                                                            \
	}                                                                                          \
	BENCH_INLINE void *kind##_take(struct bench *b, unsigned channel)                          \
	{                                                                                          \
		void *slot;                                                                        \
                                                                                                   \
		while (take_one(rings[channel], &slot, sizeof(slot)) != 0)                         \
			bench_pause(b);                                                            \
		return slot;                                                                       \
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
	BENCH_INLINE uint64_t kind##_send_many(struct bench *b, unsigned channel, size_t size,     \
					       uint64_t number, uint64_t count)                    \
	{                                                                                          \
		static unsigned char made[DPDK_BURST * 64] BENCH_LINE;                             \
		unsigned want = count < DPDK_BURST ? (unsigned)count : DPDK_BURST, done;           \
                                                                                                   \
		for (unsigned i = 0; i < want; i++)                                                \
			memcpy(made + i * size, bench_message_of_batch(b, size, number + i),       \
			       size);                                                              \
		while ((done = put_many(rings[channel], made, (unsigned)size, want, NULL)) == 0)   \
			bench_pause(b);                                                            \
		return done;                                                                       \
	}                                                                                          \
	BENCH_INLINE uint64_t kind##_recv_many(struct bench *b, unsigned channel, size_t size,     \
					       uint64_t number, uint64_t count)                    \
	{                                                                                          \
		static unsigned char taken[DPDK_BURST * 64] BENCH_LINE;                            \
		unsigned want = count < DPDK_BURST ? (unsigned)count : DPDK_BURST, done;           \
                                                                                                   \
		while ((done = take_many(rings[channel], taken, (unsigned)size, want, NULL)) == 0) \
			bench_pause(b);                                                            \
		for (unsigned i = 0; i < done; i++)                                                \
			bench_check(b, taken + i * size, size, number + i);                        \
		return done;                                                                       \
	}                                                                                          \
	PEERS_LOOPS_SMALL(kind##_run, kind##_send, kind##_recv)                                    \
	PEERS_LOOPS_LARGE(kind##_slot_run, kind##_slot_send, kind##_slot_recv)                     \
	PEERS_LOOP_ROUND_TRIP(kind##_mark_run, kind##_mark_send, kind##_mark_recv)                 \
	BENCH_BATCH_LOOPS(kind##_batch_run, kind##_send_many, kind##_recv_many)                    \
	static const struct bench_variant kind##_variants[] = {                                    \
		{ BENCH_BUSY, PEERS_POLLED, 8, 8, kind##_run },                                    \
		{ BENCH_BUSY, PEERS_POLLED, 64, 64, kind##_run },                                  \
		{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 8, 8, kind##_batch_run },                     \
		{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 64, 64, kind##_batch_run },                   \
		{ BENCH_IN_PLACE, PEERS_POLLED, 8, PEERS_SIZE_MAX, kind##_slot_run },              \
		{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, PEERS_SIZE_MAX,                \
		  kind##_mark_run },                                                               \
		{ 0 },                                                                             \
	};

DPDK_KIND(spsc, rte_ring_sp_enqueue_elem, rte_ring_sc_dequeue_elem, rte_ring_sp_enqueue_burst_elem,
	  rte_ring_sc_dequeue_burst_elem)
DPDK_KIND(mpmc, rte_ring_mp_enqueue_elem, rte_ring_mc_dequeue_elem, rte_ring_mp_enqueue_burst_elem,
	  rte_ring_mc_dequeue_burst_elem)

#define DPDK_PAGES (BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M))

const struct bench_contestant bench_dpdk_spsc = {
	"DPDK ring",   BENCH_PEER, "DPDK, rte_ring, one sender and one receiver",
	spsc_variants, spsc_open,  NULL,
	NULL,          NULL,       NULL,
	DPDK_PAGES,    0,
};
const struct bench_contestant bench_dpdk_mpmc = {
	"DPDK ring mpmc",
	BENCH_PEER,
	"DPDK, rte_ring, any number of both",
	mpmc_variants,
	mpmc_open,
	NULL,
	NULL,
	NULL,
	NULL,
	DPDK_PAGES,
	0,
};
