/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_ops.h - rings as they stand before a sweep, and what is done to them; ring.c has the
 * survivors and the table.
 *
 * Record n holds the number n and a filling that follows from it, so a survivor can tell a whole
 * record from a torn one, and a gap from an absent one.
 */
#ifndef TESTS_KILL_RING_OPS_H
#define TESTS_KILL_RING_OPS_H

#include "survivor.h"

enum {
	CAPACITY = 256, /* bytes: 32 units, the smallest there is, so that sweeps wrap */
	HELD = 3,       /* records in the ring before most ops */
	SIZE_MAX_ = 48,
	LARGE_CAPACITY = 8192, /* of rings of large records, which begin at */
	LARGE_SIZE = 1024,
	LARGE_MAX = LARGE_SIZE + SIZE_MAX_,
};

extern const char name[];
extern const struct tarn_ring_opts small;
extern struct tarn_region *region; /* of this process */
extern struct tarn_ring *ring;

struct record {
	uint64_t n;
	unsigned char filling[LARGE_MAX - 8];
};

/* Where the world stands before the op: `first` is the next to be read, `next` to be written. Kept
 * in the shared page, so that setup, op and survivors agree. */
struct state {
	uint64_t first;
	uint64_t next;
	uint64_t peer_saw; /* by a living peer: records read, or written */
	bool large;        /* records, and the ring */
};

bool record_is(const void *data, size_t size, uint64_t n);
int push(uint64_t n);
struct state *state_of(const struct kill_world *world);

/* worlds before, what is prepared, operations, wakers and peers */
kill_fn no_ring, empty, some, at_wrap, at_skip, full, orphaned, large, large_at_wrap, large_at_skip,
	join, produce, consume, produce_again, produce_reserved, open_producer, open_consumer,
	close_ring, push_one, push_batch, reserve_commit, reserve_abort, finish, pop_one,
	peek_release, peek_batch_release, pop_wait, peek_wait, push_wait, reserve_wait, wait_peer,
	wait_short, wake_with_record, wake_with_room, sleeping_consumer, woken_consumer,
	sleeping_producer, woken_producer;

#endif /* TESTS_KILL_RING_OPS_H */
