/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lock.c - the region lock: who may change the directory and the region's size.
 *
 * The word is a member id, bit 0 says that somebody waits; 0 is free. Handles of one process are
 * members of their own, and region->mutex keeps the threads of one handle apart.
 *
 * Ordering:
 *   L1 -> L2  unlock() gives the word back        lock() takes it: sees all changes
 *
 * After a crash: the word names a dead member. Whoever wants the lock asks the kernel whether the
 * owner lives (member.c), and replaces the dead owner's id with its own. There is nothing to
 * roll back, since under this lock everything takes effect with one store, and what was written
 * before that store lies where nobody looks (directory.c D1, region.c).
 *
 * Trust: a peer that scribbles a live member's id into the word, or a member that is stopped while
 * it holds the lock, is waited for at most PATIENCE_NS.
 */
#include <errno.h>

#include "region/trace.h"

#define PATIENCE_NS INT64_C(2000000000)
enum { SPINS = 200 };

static bool take(_Atomic uint32_t *lock, uint32_t expected, uint32_t id)
{
	/* L2 <- L1 in unlock(): the changes of the last owner are visible. */
	return atomic_compare_exchange_strong_explicit(lock, &expected, id, memory_order_acquire,
						       memory_order_relaxed);
}

/* One look at the word: true once it is ours. @mine is our id, with the flag if we ever slept. */
static bool try_take(struct tarn_region *region, uint32_t seen, uint32_t mine)
{
	uint32_t owner = seen & ~TARN__ID_FLAG;

	if (owner != 0 && owner != region->id && tarn__member_alive(region, owner))
		return false;
	/* Free; or left behind by a thread of ours that was ended inside; or by the dead. */
	if (!take(&region->super->lock, seen, mine | (seen & TARN__ID_FLAG)))
		return false;
	if (owner != 0)
		tarn__trace(region, TARN_TRACE_OWNER_DEAD, NULL, owner, 0);
	return true;
}

int tarn__region_lock(struct tarn_region *region)
{
	_Atomic uint32_t *lock = &region->super->lock;
	uint32_t mine = region->id;

	for (int i = 0; i < SPINS; i++) {
		if (take(lock, 0, mine))
			return 0;
		tarn__plat_pause();
	}

	int64_t deadline = tarn__plat_now() + PATIENCE_NS;

	for (;;) {
		/* relaxed: decided by the exchange in take() */
		uint32_t seen = atomic_load_explicit(lock, memory_order_relaxed);

		if (try_take(region, seen, mine))
			return 0;
		/* The next lines go round without sleeping if the word changes under them; a peer
		 * that does nothing but change it must not keep us here. */
		if (tarn__plat_now() >= deadline)
			return -ETIMEDOUT;
		if ((seen & ~TARN__ID_FLAG) == 0)
			continue;                  /* freed or taken in between */
		mine = region->id | TARN__ID_FLAG; /* others may sleep behind us */
		if ((seen & TARN__ID_FLAG) == 0 &&
		    !atomic_compare_exchange_strong_explicit(lock, &seen, seen | TARN__ID_FLAG,
							     memory_order_relaxed,
							     memory_order_relaxed))
			continue;

		int r = tarn__region_sleep(region, lock, seen | TARN__ID_FLAG,
					   seen & ~TARN__ID_FLAG, deadline);

		if (r < 0)
			return r;
	}
}

void tarn__region_unlock(struct tarn_region *region)
{
	/* L1 -> L2 in lock(): all changes are made. */
	uint32_t old = atomic_exchange_explicit(&region->super->lock, 0, memory_order_release);

	if ((old & TARN__ID_FLAG) != 0)
		(void)tarn__plat_futex_wake(&region->super->lock, 1);
}

void tarn__region_unlock_left(struct tarn_region *region, uint32_t id)
{
	_Atomic uint32_t *lock = &region->super->lock;
	/* relaxed: decided by the exchange */
	uint32_t seen = atomic_load_explicit(lock, memory_order_relaxed);

	/* Whoever waited may have seen that the owner is gone, and has the lock already. */
	while ((seen & ~TARN__ID_FLAG) == id) {
		/* L1 -> L2 in lock(): all changes are made. */
		if (!atomic_compare_exchange_weak_explicit(lock, &seen, 0, memory_order_release,
							   memory_order_relaxed))
			continue;
		if ((seen & TARN__ID_FLAG) != 0)
			(void)tarn__plat_futex_wake(lock, 1);
		return;
	}
}
