/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rwlock_ops.h - what is done to an rwlock, a spin lock, a once and a sequence lock; rwlock.c has
 * the survivors and the table.
 */
#ifndef TESTS_KILL_RWLOCK_OPS_H
#define TESTS_KILL_RWLOCK_OPS_H

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <tarn/lock.h>
#include <tarn/once.h>
#include <tarn/rwlock.h>
#include <tarn/seqlock.h>
#include <tarn/spin.h>

#include "survivor.h"

struct pair {
	_Atomic uint64_t a, b;
};

struct pool {
	struct pair under_rwlock, under_spin, by_once, by_seqlock;
};

/* In the page that all processes of a sweep share. */
struct state {
	_Atomic int32_t peer;      /* its process id */
	_Atomic uint32_t finished; /* it has done its work */
	_Atomic uint32_t ready;    /* it may fall asleep */
	struct survivor_holder holder;
};

extern struct tarn_region *region; /* of this process */
extern struct tarn_rwlock *rwlock;
extern struct tarn_spin *spin;
extern struct tarn_once *once;
extern struct tarn_seqlock *seqlock;
extern struct pool *pool;

static inline struct state *state_of(const struct kill_world *world)
{
	return world->shared;
}

static inline void change(struct pair *pair, uint64_t to)
{
	atomic_store(&pair->a, to);
	atomic_store(&pair->b, to);
}

static inline bool whole(const struct pair *pair)
{
	return atomic_load(&pair->a) == atomic_load(&pair->b);
}

/* Open all four, new or not. */
int rwlock_make_all(void);

/* worlds before, what is prepared, operations, wakers and peers */
kill_fn without, with_all, left_read, left_written, left_spun, left_begun, left_torn, join, ready,
	prepared, reads, seated, writes, spins, does, reads_beside, writes_beside, does_beside,
	beside_reader, beside_writer, beside_runner, beside_failing, beside_storer, beside_spinner,
	let_holder_go, make_rwlock, read_unlock, read_twice, read_told, write_unlock,
	write_and_mend, write_on_unlock, write_on_read_on, unlock_rwlock, close_rwlock, spin_unlock,
	spin_and_mend, recover_spin, close_spin, run_once, run_again, do_and_say, run_and_fail,
	fail_and_say, store_unlock, store_and_mend, unlock_unmended, write_value, read_value,
	sleeping_reader, sleeping_writer, sleeping_runner;

#endif /* TESTS_KILL_RWLOCK_OPS_H */
