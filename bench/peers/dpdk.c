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

/* Elements, by the functions for so many senders and receivers. */
#define DPDK_KIND(kind, put_one, take_one)                                                         \
	BENCH_INLINE void kind##_put(struct bench *b, unsigned channel, void *element,             \
				     unsigned size)                                                \
	{                                                                                          \
		while (put_one(rings[channel], element, size) != 0)                                \
			bench_pause(b);                                                            \
	}                                                                                          \
	BENCH_INLINE void kind##_take(struct bench *b, unsigned channel, void *element,            \
				      unsigned size)                                               \
	{                                                                                          \
		while (take_one(rings[channel], element, size) != 0)                               \
			bench_pause(b);                                                            \
	}                                                                                          \
	BENCH_INLINE void kind##_send(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		kind##_put(b, channel, bench_message(b, size, number), (unsigned)size);            \
	}                                                                                          \
	BENCH_INLINE void kind##_recv(struct bench *b, unsigned channel, size_t size,              \
				      uint64_t number)                                             \
	{                                                                                          \
		void *to = bench_sink(b, size, number);                                            \
                                                                                                   \
		kind##_take(b, channel, to, (unsigned)size);                                       \
		bench_check(b, to, size, number);                                                  \
	}                                                                                          \
	PEERS_LOOPS_SMALL(kind##_run, kind##_send, kind##_recv)

DPDK_KIND(spsc, rte_ring_sp_enqueue_elem, rte_ring_sc_dequeue_elem)
DPDK_KIND(mpmc, rte_ring_mp_enqueue_elem, rte_ring_mc_dequeue_elem)

/* --- many with one call, with one sender and one receiver ------------------------------------ */

BENCH_INLINE uint64_t send_many(struct bench *b, unsigned channel, size_t size, uint64_t number,
				uint64_t count)
{
	static unsigned char made[DPDK_BURST * 64] BENCH_LINE;
	unsigned want = count < DPDK_BURST ? (unsigned)count : DPDK_BURST, done;

	for (unsigned i = 0; i < want; i++)
		memcpy(made + i * size, bench_message_of_batch(b, size, number + i), size);
	while ((done = rte_ring_sp_enqueue_burst_elem(rings[channel], made, (unsigned)size, want,
						      NULL)) == 0)
		bench_pause(b);
	return done;
}

BENCH_INLINE uint64_t recv_many(struct bench *b, unsigned channel, size_t size, uint64_t number,
				uint64_t count)
{
	static unsigned char taken[DPDK_BURST * 64] BENCH_LINE;
	unsigned want = count < DPDK_BURST ? (unsigned)count : DPDK_BURST, done;

	while ((done = rte_ring_sc_dequeue_burst_elem(rings[channel], taken, (unsigned)size, want,
						      NULL)) == 0)
		bench_pause(b);
	for (unsigned i = 0; i < done; i++)
		bench_check(b, taken + i * size, size, number + i);
	return done;
}

BENCH_BATCH_LOOPS(batch_run, send_many, recv_many)

/* --- slots, with one sender and one receiver ------------------------------------------------- */

BENCH_INLINE void put_slot(struct bench *b, unsigned channel, void *slot)
{
	spsc_put(b, channel, &slot, sizeof(slot));
}

BENCH_INLINE void *take_slot(struct bench *b, unsigned channel)
{
	void *slot;

	spsc_take(b, channel, &slot, sizeof(slot));
	return slot;
}

SLOTS_LOOPS(slots, put_slot, take_slot)

static const struct bench_variant spsc_variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 8, 8, spsc_run },
	{ BENCH_BUSY, PEERS_POLLED, 64, 64, spsc_run },
	{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 8, 8, batch_run },
	{ BENCH_BATCH, BENCH_ALL_OF_BATCHES, 64, 64, batch_run },
	{ BENCH_IN_PLACE, PEERS_POLLED, 8, PEERS_SIZE_MAX, slot_run },
	{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, PEERS_SIZE_MAX, mark_run },
	{ 0 },
};

static const struct bench_variant mpmc_variants[] = {
	{ BENCH_BUSY, PEERS_POLLED, 8, 8, mpmc_run },
	{ BENCH_BUSY, PEERS_POLLED, 64, 64, mpmc_run },
	{ 0 },
};

#define DPDK_PAGES (BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M))

const struct bench_contestant bench_dpdk_spsc = {
	.name = "DPDK ring",
	.group = BENCH_PEER,
	.what = "DPDK, rte_ring, one sender and one receiver",
	.variants = spsc_variants,
	.open = spsc_open,
	.pages = DPDK_PAGES,
};

const struct bench_contestant bench_dpdk_mpmc = {
	.name = "DPDK ring mpmc",
	.group = BENCH_PEER,
	.what = "DPDK, rte_ring, any number of both",
	.variants = mpmc_variants,
	.open = mpmc_open,
	.pages = DPDK_PAGES,
};
