/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slots.h - memory for messages that a ring of pointers or indices leads to.
 *
 * The sender takes the slots of a channel one after the other. A ring holds at most @ring_size of
 * them, the receiver looks at one more and the sender fills another: with two above the ring's size
 * none is written that somebody may still read, and no list of free ones is needed.
 */
#ifndef BENCH_PEERS_SLOTS_H
#define BENCH_PEERS_SLOTS_H

#include "peers.h"

struct slots {
	unsigned char *memory;
	size_t stride;
	uint32_t count, next; /* next: the sender's */
};

static inline void slots_make(struct bench *b, struct slots *slots, uint32_t ring_size)
{
	slots->stride = (b->cell->size + 63) / 64 * 64;
	if (slots->stride == 0)
		slots->stride = 64;
	slots->count = ring_size + 2;
	slots->memory = (unsigned char *)bench_memory(b, slots->stride * slots->count);
}

BENCH_INLINE unsigned char *slots_at(const struct slots *slots, uint32_t index)
{
	return slots->memory + slots->stride * index;
}

/* The index of the next one to fill. */
BENCH_INLINE uint32_t slots_take(struct slots *slots)
{
	uint32_t index = slots->next;

	slots->next = index + 1 == slots->count ? 0 : index + 1;
	return index;
}

/* slot_run, which fills slots and reads them where they lie, and mark_run, which touches their
 * first and last words alone. @slots: of each channel; @put: hands a slot to the ring; @take: gets
 * one. */
#define SLOTS_LOOPS(slots, put, take)                                                              \
	BENCH_INLINE void slot_send(struct bench *b, unsigned channel, size_t size,                \
				    uint64_t number)                                               \
	{                                                                                          \
		void *slot = slots_at(&(slots)[channel], slots_take(&(slots)[channel]));           \
                                                                                                   \
		bench_fill(b, slot, size, number);                                                 \
		put(b, channel, slot);                                                             \
	}                                                                                          \
	BENCH_INLINE void slot_recv(struct bench *b, unsigned channel, size_t size,                \
				    uint64_t number)                                               \
	{                                                                                          \
		bench_check(b, take(b, channel), size, number);                                    \
	}                                                                                          \
	BENCH_INLINE void mark_send(struct bench *b, unsigned channel, size_t size,                \
				    uint64_t number)                                               \
	{                                                                                          \
		void *slot = slots_at(&(slots)[channel], slots_take(&(slots)[channel]));           \
                                                                                                   \
		bench_mark(slot, size, number);                                                    \
		put(b, channel, slot);                                                             \
	}                                                                                          \
	BENCH_INLINE void mark_recv(struct bench *b, unsigned channel, size_t size,                \
				    uint64_t number)                                               \
	{                                                                                          \
		bench_check_mark(b, take(b, channel), size, number);                               \
	}                                                                                          \
	PEERS_LOOPS_LARGE(slot_run, slot_send, slot_recv)                                          \
	PEERS_LOOP_ROUND_TRIP(mark_run, mark_send, mark_recv)

#endif /* BENCH_PEERS_SLOTS_H */
