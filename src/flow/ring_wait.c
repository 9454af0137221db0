/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_wait.c - how either side of a ring waits for the other.
 *
 * First it spins, unless it was opened not to (TARN_RING_NO_SPIN), for as long as that lately paid
 * off: a wake through the kernel takes tens of microseconds, a record that is on its way less than
 * one. Then it says in its own wait line that it sleeps, looks once more, and sleeps on that word
 * and on the other side's beacon. The other side, after each store that could matter, looks at the
 * word; if it says asleep, it clears it and wakes. So there is one system call a sleep on each
 * side, and none while both are awake.
 *
 * A side that was opened to stream (TARN_RING_STREAM) and has caught up rests before it looks
 * again. Right behind the producer, a consumer reads lines that the other processor has just
 * written: each is fetched out of its cache, and taken back later. Some hundred KiB apart, both
 * work in the cache that they share.
 *
 * After a crash: a sleeper that dies leaves its word set; the other side clears it at its next
 * call, at the price of one wake in vain. A waker that dies between clearing and waking is
 * noticed by the beacon, or when the slice ends.
 */
#include <errno.h>

#include "flow/ring.h"

#define SPIN_MIN_NS 1000
#define SPIN_MAX_NS 50000 /* about what a sleep and a wake cost */

enum {
	PAUSES = 16,      /* between two looks at the clock */
	RESTS_A_LAP = 64, /* at most: a single record after a stream is seen at once, mostly */
};

void tarn__ring_rest(struct tarn_ring *ring)
{
	if (TARN__LIKELY(ring->rest_ns == 0) ||
	    ring->pos - ring->rested_at <= ring->capacity / RESTS_A_LAP)
		return;
	ring->rested_at = ring->pos;
	ring->rest_until = tarn__plat_now() + ring->rest_ns;
	make_special(ring, SPECIAL_REST);
}

bool tarn__ring_rests_still(struct tarn_ring *ring)
{
	if (tarn__plat_now() < ring->rest_until)
		return true;
	make_plain(ring, SPECIAL_REST);
	return false;
}

void tarn__ring_wake(struct ring_side_shm *side)
{
	/* seq_cst: the state stored before is seen by whoever sets the bit after */
	uint32_t old = atomic_fetch_and_explicit(&side->waiting, ~(uint32_t)WAIT_ASLEEP,
						 memory_order_seq_cst);

	if ((old & WAIT_ASLEEP) != 0) /* its thread, and that of a waiter's descriptor */
		(void)tarn__plat_futex_wake(&side->waiting, INT32_MAX);
}

void tarn__ring_notify(struct tarn_ring *ring, uint32_t waiting)
{
	if ((waiting & WAIT_FENCE) != 0)
		make_special(
			ring,
			SPECIAL_FENCE); /* from now on: the sleeper cannot run barriers for us */
	if ((waiting & WAIT_ASLEEP) == 0)
		return;
	if (ring->role == TARN_RING_CONSUMER) {
		/* relaxed: a value from nowhere makes us wake it early or late, by one slice */
		uint32_t wake_at =
			atomic_load_explicit(&ring->theirs->wake_at, memory_order_relaxed);

		if ((int32_t)(ring->pos - wake_at) < 0)
			return;
	}
	tarn__ring_wake(ring->theirs);
}

/* True as soon as @ready; false when spinning has not helped. */
static bool spin(struct tarn_ring *ring, tarn__ring_ready_fn *ready, int64_t deadline)
{
	int64_t end = tarn__plat_now() + ring->spin_ns;

	if (end > deadline)
		end = deadline;
	do {
		for (int i = 0; i < PAUSES; i++) {
			if (ready(ring)) {
				if (ring->spin_ns < SPIN_MAX_NS)
					ring->spin_ns *= 2;
				return true;
			}
			tarn__plat_pause();
		}
	} while (tarn__plat_now() < end);
	if (ring->spin_ns > SPIN_MIN_NS)
		ring->spin_ns /= 2;
	return false;
}

/* The rest, or what the deadline leaves of it. */
static void sit_out(struct tarn_ring *ring, int64_t deadline)
{
	if (ring->rest_until > deadline)
		make_plain(ring, SPECIAL_REST);
	while (rests(ring))
		tarn__plat_pause();
}

void tarn__side_sleeps(struct ring_side_shm *side, uint32_t wake_at)
{
	tarn__count_one(&side->waits);
	/* relaxed: published by the next store */
	atomic_store_explicit(&side->wake_at, wake_at, memory_order_relaxed);
	/* W4 <> R4 in notify() */
	atomic_store_explicit(&side->waiting, WAIT_ASLEEP, memory_order_seq_cst);
}

static _Atomic uint32_t *says_asleep(struct tarn_ring *ring, uint32_t wake_at)
{
	tarn__side_sleeps(ring->mine, wake_at);
	return &ring->mine->waiting;
}

uint32_t tarn__side_fence(struct ring_side_shm *side)
{
	const uint32_t value = WAIT_ASLEEP | WAIT_FENCE;

	/* seq_cst: as in tarn__side_sleeps() */
	atomic_store_explicit(&side->waiting, value, memory_order_seq_cst);
	return value;
}

uint32_t tarn__ring_fence(struct tarn_ring *ring)
{
	return tarn__side_fence(ring->mine);
}

void tarn__side_awake(struct ring_side_shm *side)
{
	/* relaxed: nobody is owed a wake any more; FENCE stays for the other side to find */
	uint32_t value = atomic_load_explicit(&side->waiting, memory_order_relaxed);

	atomic_store_explicit(&side->waiting, value & WAIT_FENCE, memory_order_relaxed);
}

void tarn__ring_awake(struct tarn_ring *ring)
{
	tarn__side_awake(ring->mine);
}

int tarn__ring_wait(struct tarn_ring *ring, tarn__ring_ready_fn *ready, uint32_t wake_at,
		    int64_t deadline)
{
	uint32_t peer, value = WAIT_ASLEEP;
	_Atomic uint32_t *word;
	int r = 0;

	if (TARN__UNLIKELY((ring->special & SPECIAL_REST) != 0)) {
		sit_out(ring, deadline);
		return 0; /* nobody has looked yet */
	}
	if (ring->spin_ns != 0 && spin(ring, ready, deadline))
		return 0;
	peer = atomic_load_explicit(&ring->theirs->owner, memory_order_relaxed);
	word = says_asleep(ring, wake_at);
	if (tarn__plat_membarrier_sync() < 0)
		value = tarn__ring_fence(ring);
	if (!ready(ring)) {
		if (tarn__ring_idle(ring, true) == -EAGAIN)
			r = tarn__region_sleep(ring->region, word, value, peer, deadline);
		else
			ring->empty_count = 0; /* the caller is to ask the kernel, too */
	}
	tarn__ring_awake(ring);
	return r;
}

/* --- among other things -------------------------------------------------------------------- */

/* The head at which a quarter is free, and what there was no room for last has some, if that is
 * not of a lap ago. */
static uint32_t wanted_head(const struct tarn_ring *ring)
{
	uint32_t quarter = ring->pos - ring->capacity + ring->capacity / 4;

	return ring->pos - ring->need < ring->pos - quarter ? ring->need : quarter;
}

static bool record_there(struct tarn_ring *ring)
{
	/* relaxed: whoever takes it loads it again, with acquire */
	return ring->role == TARN_RING_CONSUMER &&
	       atomic_load_explicit(&record_at(ring, ring->pos)->word, memory_order_relaxed) != 0;
}

static bool room_there(struct tarn_ring *ring)
{
	/* relaxed: whoever reserves loads it again, with acquire */
	return ring->role == TARN_RING_PRODUCER &&
	       (int32_t)(atomic_load_explicit(&ring->their_pos->pos, memory_order_relaxed) -
			 wanted_head(ring)) >= 0;
}

bool tarn__ring_there(struct tarn_ring *ring, bool probe)
{
	if (is_stale(ring) || record_there(ring) || room_there(ring))
		return true;
	if (tarn__ring_idle(ring, probe) == -EAGAIN)
		return false;
	ring->empty_count = 0; /* the caller is to ask the kernel, too */
	return true;
}

_Atomic uint32_t *tarn__ring_sleeps(struct tarn_ring *ring, uint32_t *ret_value, uint32_t *ret_peer)
{
	*ret_value = WAIT_ASLEEP;
	*ret_peer = atomic_load_explicit(&ring->theirs->owner, memory_order_relaxed);
	return says_asleep(ring, ring->role == TARN_RING_CONSUMER ? 0 : wanted_head(ring));
}

/* --- the peer ------------------------------------------------------------------------------ */

static bool peer_there(struct tarn_ring *ring)
{
	return tarn__ring_peer(ring, true) == TARN_PEER_ALIVE;
}

int tarn_ring_wait_peer(struct tarn_ring *ring, int64_t deadline)
{
	_Atomic uint32_t *word = &ring->mine->waiting;
	int r = 0;

	assert(ring->role != TARN_RING_OBSERVER);
	if (is_stale(ring))
		r = tarn__ring_reclaim(ring);
	while (r == 0) {
		bool finished = tarn__ring_idle(ring, true) == -ENODATA;

		if (record_there(ring) || peer_there(ring))
			return 0;
		if (finished)
			return -ENODATA;
		if (tarn_segment_damaged(ring->region->seg))
			return -EIO;
		/* relaxed: for the other side's rule when to wake, which is "always" here */
		atomic_store_explicit(&ring->mine->wake_at, ring->pos, memory_order_relaxed);
		/* W4 <> R4: seq_cst on both sides, since set_state() exchanges the word */
		(void)atomic_fetch_or_explicit(word, WAIT_ASLEEP, memory_order_seq_cst);
		if (!peer_there(ring) && !record_there(ring)) {
			/* relaxed: the kernel looks again. If it was cleared, for the deadline. */
			uint32_t value = atomic_load_explicit(word, memory_order_relaxed);

			r = tarn__region_sleep(ring->region, word, value | WAIT_ASLEEP, 0,
					       deadline);
		}
		(void)atomic_fetch_and_explicit(word, ~(uint32_t)WAIT_ASLEEP, memory_order_relaxed);
	}
	return r;
}
