/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spin.c - the lock word of prim.h alone. seq, tid and token stay as they are: to write them would
 * cost as much again as the lock. So an owner is known by its member only, and one that died is
 * counted in recovered by whoever takes its place. state is 0, and bit 0 of lock is never set.
 * Who has spun for as long as others sleep, 10 ms, is one of the waiters (section.h).
 *
 * After a crash: lock names a dead member. Whoever takes it over and dies before it has counted
 * leaves the same.
 */
#include <errno.h>
#include <inttypes.h>

#include <tarn/spin.h>

#include "region/trace.h"
#include "sync/prim.h"

enum {
	PAUSES_MAX = 1024, /* between two looks: some 20 microseconds */
};

struct tarn_spin {
	struct prim prim;
};

int tarn_spin_open(struct tarn_region *region, const char *name, const struct tarn_spin_opts *opts,
		   struct tarn_spin **ret_spin)
{
	struct prim_want want = { .kind = TARN_OBJECT_SPIN, .handle = sizeof(**ret_spin) };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if (opts->reserved[0] != 0 || opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL,
					  "spin lock %s: reserved options are zero", name);
		want.make = true;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_spin = (struct tarn_spin *)prim;
	return r;
}

void tarn_spin_close(struct tarn_spin *spin)
{
	tarn__prim_close(spin != NULL ? &spin->prim : NULL);
}

/* --- lock ---------------------------------------------------------------------------------- */

static int words(struct prim *prim, int r, struct tarn_diag *diag)
{
	/* relaxed: for the eye */
	uint32_t seen = atomic_load_explicit(&prim->sec.shm->lock, memory_order_relaxed);

	switch (r) {
	case -ETIMEDOUT:
	case -EAGAIN:
		return tarn__prim_say_who(prim, r, seen & ~TARN__ID_FLAG, 0, "has it", diag);
	case -EUCLEAN:
	case -ENOTRECOVERABLE:
		tarn__diag(diag, r, "spin lock %s: its lock word %s", prim->sec.name,
			   r == -EUCLEAN ? "names nobody" : "is set aside");
		tarn__diag_hint(diag, "tarn_section_recover(), or tarn recover");
		return r;
	default:
		return tarn__diag(diag, r, "spin lock %s: %s", prim->sec.name, strerror(-r));
	}
}

/* The lock is ours, and this thread has it. */
static inline int begin(struct prim *prim, struct tarn_diag *diag)
{
	return TARN__LIKELY(tarn__prim_verdict(prim) == 0) ? 0 : tarn__prim_say_died(prim, diag);
}

static inline int give_back(struct prim *prim)
{
	/* S1 -> S2 in take(): nobody sleeps there */
	atomic_store_explicit(&prim->sec.shm->lock, 0, memory_order_release);
	return 0;
}

/* One look. 1: it is ours; 0: not now; else the error. */
static int look(struct prim *prim, bool probe)
{
	struct tarn_section *sec = &prim->sec;
	/* relaxed: decided by the exchange in take() */
	uint32_t seen = atomic_load_explicit(&sec->shm->lock, memory_order_relaxed);
	uint32_t owner = seen & ~TARN__ID_FLAG;

	if (owner == 0)
		return take(sec->shm, seen, id_of(sec));
	if (owner == LOCK_ASIDE)
		return -ENOTRECOVERABLE;
	if (tarn__id_slot(owner) >= sec->region->member_max)
		return -EUCLEAN; /* I2 */
	if ((!probe && tarn__section_seems_alive(sec, owner)) || tarn__section_owned(sec, seen) ||
	    !take(sec->shm, seen, id_of(sec)))
		return 0;
	tarn__count_recovered(sec->shm);
	tarn__trace(sec->region, TARN_TRACE_OWNER_DEAD, &sec->object, owner, 0);
	return 1;
}

/* 1: it is ours. */
static int spin_on(struct prim *prim, int64_t deadline, struct wait *w)
{
	int64_t ask = 0; /* when to ask the kernel; 0: nobody knows yet */

	for (int pauses = 1;; pauses = pauses < PAUSES_MAX ? 2 * pauses : PAUSES_MAX) {
		int64_t now = pauses == PAUSES_MAX ? tarn__plat_now() : 0;
		bool late = deadline == INT64_MIN || (now != 0 && now >= deadline);
		bool probe = late || (ask != 0 && now >= ask);
		int r = look(prim, probe);

		if (r != 0)
			return r;
		if (TARN__UNLIKELY(tarn_segment_damaged(prim->sec.region->seg)))
			return -EIO;
		if (late)
			return -ETIMEDOUT;
		if (probe) {
			if (!w->slept) /* relaxed: for the eye */
				tarn__wait_begins(w, atomic_load_explicit(&prim->sec.shm->lock,
									  memory_order_relaxed) &
							     ~TARN__ID_FLAG);
			tarn__wait_write_down(w, !w->slept);
			w->slept = true;
		}
		if (now != 0 && (probe || ask == 0))
			ask = now + tarn__section_net_ns;
		if (now != 0) /* the owner may wait for this processor */
			tarn__plat_yield();
		for (int i = 0; i < pauses; i++)
			tarn__plat_pause();
	}
}

static int spin(struct prim *prim, int64_t deadline)
{
	struct wait w = { .section = &prim->sec };
	int r = spin_on(prim, deadline, &w);

	tarn__wait_cross_out(&w, r);
	return r;
}

__attribute__((noinline)) static int lock_slowly(struct prim *prim, int64_t deadline, bool wait,
						 struct tarn_diag *diag)
{
	int r = tarn__prim_ready(prim, diag);

	if (r < 0)
		return r;
	if (tarn__prim_held(prim))
		return tarn__diag(diag, -EDEADLK, "this thread has spin lock %s already",
				  prim->sec.name);
	r = spin(prim, wait ? deadline : INT64_MIN);
	if (r == -ETIMEDOUT && !wait)
		r = -EAGAIN;
	if (r < 0)
		return words(prim, r, diag);
	(void)tarn__prim_hold(prim, &tarn__self); /* it is ready */
	return begin(prim, diag);
}

/* The first call of a thread has got the lock before that was seen. */
__attribute__((noinline)) static int lock_anew(struct prim *prim, int64_t deadline, bool wait,
					       struct tarn_diag *diag)
{
	give_back(prim);
	return lock_slowly(prim, deadline, wait, diag);
}

static inline int lock_it(struct prim *prim, int64_t deadline, bool wait, struct tarn_diag *diag)
{
	uint32_t id = id_of(&prim->sec);

	if (TARN__UNLIKELY(id == 0) || TARN__UNLIKELY(!take(prim->sec.shm, 0, id)))
		return lock_slowly(prim, deadline, wait, diag);
	if (TARN__UNLIKELY(!tarn__prim_hold(prim, &tarn__self)))
		return lock_anew(prim, deadline, wait, diag);
	return begin(prim, diag);
}

int tarn_spin_lock(struct tarn_spin *spin, int64_t deadline, struct tarn_diag *diag)
{
	return lock_it(&spin->prim, deadline, true, diag);
}

int tarn_spin_try(struct tarn_spin *spin, struct tarn_diag *diag)
{
	return lock_it(&spin->prim, INT64_MIN, false, diag);
}

/* Not the one locked last. */
__attribute__((noinline)) static int unlock_slowly(struct prim *prim)
{
	if (!tarn__prim_mine(prim))
		return -EPERM;
	tarn__prim_forget(prim);
	return give_back(prim);
}

int tarn_spin_unlock(struct tarn_spin *spin)
{
	struct prim *prim = &spin->prim;

	if (TARN__UNLIKELY(tarn__self.held != prim))
		return unlock_slowly(prim);
	tarn__self.held = prim->next_held;
	return give_back(prim);
}

int tarn_spin_consistent(struct tarn_spin *spin)
{
	if (!tarn__prim_mine(&spin->prim))
		return -EPERM;
	tarn__prim_answer(&spin->prim);
	return 0;
}
