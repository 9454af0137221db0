/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hand_queue.c - a queue written by hand for one purpose, as a yardstick: slots of one size, one
 * producer, one consumer, no check of anything, no death, no wake-up, no variable size.
 *
 * A slot begins with a word that tells which message it holds, so a small message travels with its
 * flag in one cache line. The consumer's count is published every quarter of the ring.
 */
#include "contestant.h"

enum { SMALL = 16 << 10, USUAL = 4 << 20, LEAST = 4, BURST = 2 };

struct hand_shm {
	BENCH_LINE uint64_t head;
	BENCH_LINE unsigned char slots[];
};

static struct hand_shm *queues[BENCH_SIDES_MAX];
static uint64_t slot_mask;
/* This process's own counts, one of each channel. */
static struct {
	BENCH_LINE uint64_t head_seen;
} own[BENCH_SIDES_MAX];

/* Slots of messages larger than a line begin on one, so that copies are of whole lines. */
BENCH_INLINE size_t slot_size(size_t size)
{
	return size <= 64 ? (size + 15) & ~(size_t)7 : (size + 8 + 63) & ~(size_t)63;
}

static void hand_open(struct bench *b)
{
	size_t slot = slot_size(b->cell->size);
	size_t room = b->cell->measure == BENCH_ROUND_TRIP ? SMALL : USUAL;

	for (slot_mask = LEAST - 1; (slot_mask + 1) * 2 * slot <= room;)
		slot_mask = slot_mask * 2 + 1;
	for (unsigned i = 0; i < bench_channels(b); i++)
		queues[i] = (struct hand_shm *)bench_memory(b, sizeof(struct hand_shm) +
								       (slot_mask + 1) * slot);
}

static void hand_attach(struct bench *b)
{
	for (unsigned i = 0; i < bench_channels(b); i++)
		bench_touch(queues[i], (slot_mask + 1) * slot_size(b->cell->size));
}

BENCH_INLINE unsigned char *slot_at(struct hand_shm *shm, size_t size, uint64_t number)
{
	return shm->slots + (number & slot_mask) * slot_size(size);
}

BENCH_INLINE unsigned char *make_room(struct bench *b, unsigned channel, size_t size,
				      uint64_t number)
{
	struct hand_shm *shm = queues[channel];

	while (number - own[channel].head_seen > slot_mask) {
		own[channel].head_seen = bench_load(&shm->head);
		bench_pause(b);
	}
	return slot_at(shm, size, number);
}

BENCH_INLINE void hand_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	unsigned char *slot = make_room(b, channel, size, number);

	bench_fill(b, slot + 8, size, number);
	bench_store((uint64_t *)(void *)slot, number + 1);
}

BENCH_INLINE unsigned char *await(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	unsigned char *slot = slot_at(queues[channel], size, number);

	while (bench_load((uint64_t *)(void *)slot) != number + 1)
		bench_pause(b);
	return slot;
}

BENCH_INLINE void give_back(unsigned channel, uint64_t number)
{
	if (((number + 1) & (slot_mask / 4)) == 0)
		bench_store(&queues[channel]->head, number + 1);
}

BENCH_INLINE void hand_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	void *to = bench_sink(b, size, number);

	memcpy(to, await(b, channel, size, number) + 8, size);
	bench_check(b, to, size, number);
	give_back(channel, number);
}

BENCH_LOOPS(hand_run, hand_send, hand_recv)

BENCH_INLINE void place_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check(b, await(b, channel, size, number) + 8, size, number);
	give_back(channel, number);
}

BENCH_LOOPS(place_run, hand_send, place_recv)

BENCH_INLINE void mark_send(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	unsigned char *slot = make_room(b, channel, size, number);

	bench_mark(slot + 8, size, number);
	bench_store((uint64_t *)(void *)slot, number + 1);
}

BENCH_INLINE void look_recv(struct bench *b, unsigned channel, size_t size, uint64_t number)
{
	bench_check_mark(b, await(b, channel, size, number) + 8, size, number);
	give_back(channel, number);
}

BENCH_LOOPS(mark_run, mark_send, look_recv)

#define POLLED (BENCH_ALL_OF_MESSAGES & ~BENCH_BIT(BENCH_WAKE_UP))
#define STILL                                                                                      \
	(BENCH_BIT(BENCH_ROUND_TRIP) | BENCH_BIT(BENCH_ONE_WAY) | BENCH_BIT(BENCH_FAN_OUT) |       \
	 BENCH_BIT(BENCH_WRITE))

static const struct bench_variant hand_variants[] = {
	{ BENCH_BUSY, POLLED, 0, BENCH_SIZE_MAX, hand_run },
	{ BENCH_IN_PLACE, STILL, 0, BENCH_SIZE_MAX, place_run },
	{ BENCH_ZERO_COPY, BENCH_BIT(BENCH_ROUND_TRIP), 16, BENCH_SIZE_MAX, mark_run },
	{ 0 },
};

const struct bench_contestant bench_hand = {
	.name = "by-hand",
	.group = BENCH_HAND,
	.what = "slots of one size with a flag each, and nothing else: no check, no death, no "
		"wake-up",
	.variants = hand_variants,
	.open = hand_open,
	.attach = hand_attach,
	.pages = BENCH_BIT(BENCH_4K) | BENCH_BIT(BENCH_THP) | BENCH_BIT(BENCH_2M),
	.burst = BURST,
};
