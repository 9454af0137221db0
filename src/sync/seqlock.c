/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * seqlock.c - the lock of prim.h for writers, its seq for readers: odd while somebody writes. state
 * is 0. What is guarded lies anywhere else.
 *
 * A reader takes seq, sees that nothing is inconsistent, copies, and looks at seq again. While seq
 * is one even number, inconsistent stays as it is: who takes over from the dead sets it before it
 * makes seq even, and it is cleared while seq is odd.
 *
 * Ordering, besides that of section.h for seq and for the bytes:
 *   A1 -> A2  inconsistent is cleared after seq was odd  who reads that reads the odd seq later on
 *
 * After a crash: seq is odd, and lock names the dead. Readers see that by the kernel; once a writer
 * has taken over, by inconsistent.
 */
#include <errno.h>

#include <tarn/seqlock.h>

#include "sync/prim.h"

enum {
	TRIES = 64,  /* in a row */
	YIELDS = 16, /* and then so many more */
};
#define NAP_NS INT64_C(1000000)

struct tarn_seqlock {
	struct prim prim;
};

int tarn_seqlock_open(struct tarn_region *region, const char *name,
		      const struct tarn_seqlock_opts *opts, struct tarn_seqlock **ret_lock)
{
	struct prim_want want = { .kind = TARN_OBJECT_SEQLOCK, .handle = sizeof(**ret_lock) };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if (opts->reserved[0] != 0 || opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL,
					  "sequence lock %s: reserved options are zero", name);
		want.make = true;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_lock = (struct tarn_seqlock *)prim;
	return r;
}

void tarn_seqlock_close(struct tarn_seqlock *lock)
{
	tarn__prim_close(lock != NULL ? &lock->prim : NULL);
}

/* --- read ---------------------------------------------------------------------------------- */

static inline uint32_t seq_of(const struct prim *prim)
{
	/* V2 <- V1 in settle(): an even one comes with all that was written before it */
	return atomic_load_explicit(&prim->sec.shm->seq, memory_order_acquire);
}

/* Why seq is @seq, which is odd. */
static int why_odd(struct prim *prim, uint32_t seq)
{
	struct tarn_section *sec = &prim->sec;
	/* acquire: seq is looked at again after it */
	uint32_t seen = atomic_load_explicit(&sec->shm->lock, memory_order_acquire);
	uint32_t owner = seen & ~TARN__ID_FLAG;

	if (owner == LOCK_ASIDE)
		return -ENOTRECOVERABLE;
	if (owner == 0) /* it was odd and free at the same time (I3), or it has changed */
		return seq_of(prim) == seq ? -EUCLEAN : -EAGAIN;
	if (tarn__id_slot(owner) >= sec->region->member_max)
		return -EUCLEAN; /* I2 */
	if (tarn__section_seems_alive(sec, owner) || tarn__section_owned(sec, seen))
		return -EAGAIN;
	return seq_of(prim) == seq ? -EOWNERDEAD : -EAGAIN;
}

static inline int begin(struct prim *prim, uint32_t *ret_seq)
{
	uint32_t seq = seq_of(prim);

	if (TARN__UNLIKELY((seq & 1) != 0))
		return why_odd(prim, seq);
	/* A2 <- A1 in tarn__prim_answer() */
	if (TARN__UNLIKELY(
		    atomic_load_explicit(&prim->sec.shm->inconsistent, memory_order_acquire) != 0))
		return seq_of(prim) == seq ? -EOWNERDEAD : -EAGAIN;
	*ret_seq = seq;
	return 0;
}

static inline bool is_still(const struct prim *prim, uint32_t seq)
{
	/* relaxed: ordered behind the acquire loads of tarn__load_bytes() */
	return atomic_load_explicit(&prim->sec.shm->seq, memory_order_relaxed) == seq;
}

int tarn_seqlock_begin(struct tarn_seqlock *lock, uint32_t *ret_version)
{
	return begin(&lock->prim, ret_version);
}

void tarn_seqlock_load(struct tarn_seqlock *lock, void *ret_to, const void *from, size_t size)
{
	(void)lock;
	tarn__load_bytes(ret_to, from, size);
}

bool tarn_seqlock_valid(struct tarn_seqlock *lock, uint32_t version)
{
	return is_still(&lock->prim, version);
}

static inline int read_once(struct prim *prim, void *ret_to, const void *from, size_t size)
{
	uint32_t seq = 0;
	int r = begin(prim, &seq);

	if (TARN__UNLIKELY(r < 0))
		return r;
	tarn__load_bytes(ret_to, from, size);
	return TARN__LIKELY(is_still(prim, seq)) ? 0 : -EAGAIN;
}

/* On a word of one's own: on the lock an observer could only catch a wake that is meant for a
 * member. */
static void nap(int64_t until)
{
	_Atomic uint32_t word = 0;

	(void)tarn__plat_futex_wait(&word, 0, until);
}

/* A seqlock's owner that seems to live: what does the kernel say? */
static int probe(struct prim *prim)
{
	/* relaxed: one look */
	uint32_t seq = seq_of(prim),
		 seen = atomic_load_explicit(&prim->sec.shm->lock, memory_order_relaxed);

	if ((seq & 1) == 0 || seen == 0 || tarn__section_owned(&prim->sec, seen))
		return -EAGAIN;
	return seq_of(prim) == seq ? -EOWNERDEAD : -EAGAIN;
}

__attribute__((noinline)) static int read_again(struct prim *prim, void *ret_to, const void *from,
						size_t size, int64_t deadline)
{
	int r = -EAGAIN;

	for (int looks = 0; r == -EAGAIN; looks = looks < TRIES + YIELDS ? looks + 1 : looks) {
		int64_t now = looks < TRIES ? 0 : tarn__plat_now();

		if (looks < TRIES)
			tarn__plat_pause();
		else if (looks < TRIES + YIELDS)
			tarn__plat_yield();
		else if (now < deadline)
			nap(now + NAP_NS < deadline ? now + NAP_NS : deadline);
		r = read_once(prim, ret_to, from, size);
		if (TARN__UNLIKELY(tarn_segment_damaged(prim->sec.region->seg)))
			return -EIO;
		if (r == -EAGAIN && looks >= TRIES + YIELDS)
			r = probe(prim);
		if (r == -EAGAIN && looks >= TRIES && now >= deadline)
			return -ETIMEDOUT;
	}
	return r;
}

int tarn_seqlock_read(struct tarn_seqlock *lock, void *ret_to, const void *from, size_t size,
		      int64_t deadline)
{
	int r = read_once(&lock->prim, ret_to, from, size);

	if (TARN__UNLIKELY(r == -EAGAIN))
		return read_again(&lock->prim, ret_to, from, size, deadline);
	return r;
}

/* --- write --------------------------------------------------------------------------------- */

int tarn_seqlock_lock(struct tarn_seqlock *lock, int64_t deadline, struct tarn_diag *diag)
{
	return tarn__prim_lock(&lock->prim, deadline, true, diag);
}

int tarn_seqlock_try(struct tarn_seqlock *lock, struct tarn_diag *diag)
{
	return tarn__prim_lock(&lock->prim, INT64_MIN, false, diag);
}

int tarn_seqlock_store(struct tarn_seqlock *lock, void *to, const void *from, size_t size)
{
	if (!tarn__prim_mine(&lock->prim))
		return -EPERM;
	tarn__store_bytes(to, from, size);
	return 0;
}

int tarn_seqlock_unlock(struct tarn_seqlock *lock)
{
	if (!tarn__prim_mine(&lock->prim))
		return -EPERM;
	tarn__prim_unlock(&lock->prim);
	return 0;
}

int tarn_seqlock_consistent(struct tarn_seqlock *lock)
{
	if (!tarn__prim_mine(&lock->prim))
		return -EPERM;
	tarn__prim_answer(&lock->prim);
	return 0;
}

__attribute__((noinline)) static int write_slowly(struct tarn_seqlock *lock, void *to,
						  const void *from, size_t size, int64_t deadline,
						  struct tarn_diag *diag)
{
	struct tarn_diag words = { .what = "" };
	int r = tarn__prim_lock(&lock->prim, deadline, true, &words);

	if (r < 0 && r != -EOWNERDEAD)
		return tarn__diag_pass(diag, &words, r);
	tarn__store_bytes(to, from, size);
	if (r == -EOWNERDEAD)
		(void)tarn_seqlock_consistent(lock);
	tarn__prim_unlock(&lock->prim);
	return 0;
}

int tarn_seqlock_write(struct tarn_seqlock *lock, void *to, const void *from, size_t size,
		       int64_t deadline, struct tarn_diag *diag)
{
	enum prim_fast fast = tarn__prim_lock_fast(&lock->prim);

	if (TARN__UNLIKELY(fast != FAST_MINE)) {
		if (fast == FAST_BACK)
			unlock(lock->prim.sec.shm, 0);
		return write_slowly(lock, to, from, size, deadline, diag);
	}
	tarn__store_bytes(to, from, size);
	tarn__prim_unlock(&lock->prim);
	return 0;
}
