/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * event.c - a flag that others wait for. state is the whole of it: bit 0 says whether it is set,
 * the bits above count how often it was, modulo 2^31. Whoever has begun to wait goes by that count:
 * if it is another one, it was set meanwhile. There are no seats.
 */
#include <errno.h>
#include <inttypes.h>

#include <tarn/event.h>

#include "sync/prim.h"

enum { IS_SET = 1, ONCE_MORE = 2 };

struct tarn_event {
	struct prim prim;
};

int tarn_event_open(struct tarn_region *region, const char *name,
		    const struct tarn_event_opts *opts, struct tarn_event **ret_event)
{
	struct prim_want want = { .kind = TARN_OBJECT_EVENT, .handle = sizeof(**ret_event) };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if ((opts->flags & ~(uint32_t)TARN_EVENT_AUTO) != 0 || opts->set > 1 ||
		    opts->reserved[0] != 0 || opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL,
					  "event %s: flags 0x%" PRIx32 ", set %" PRIu32
					  ": TARN_EVENT_AUTO (1) is the only flag, set is 0 or 1, "
					  "and reserved options are zero",
					  name, opts->flags, opts->set);
		want.make = true;
		want.flags = opts->flags;
		want.state = opts->set;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_event = (struct tarn_event *)prim;
	return r;
}

void tarn_event_close(struct tarn_event *event)
{
	tarn__prim_close(event != NULL ? &event->prim : NULL);
}

/* --- wait ---------------------------------------------------------------------------------- */

static bool is_auto(const struct prim *prim)
{
	return (prim->flags & TARN_EVENT_AUTO) != 0;
}

/* An auto event: 1, it let us through. */
static int take_it(struct prim *prim)
{
	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* seq_cst: B4 <- B3 */
	uint32_t seen = atomic_load_explicit(state, memory_order_seq_cst);

	for (int tries = 0; (seen & IS_SET) != 0 && tries < PRIM_TRIES; tries++) {
		/* acquire: T2 <- T1, what was done before the set is visible */
		if (atomic_compare_exchange_weak_explicit(state, &seen, seen & ~(uint32_t)IS_SET,
							  memory_order_acquire,
							  memory_order_relaxed))
			return 1;
	}
	return 0;
}

static int try_event(struct prim *prim, struct await *w, void *arg)
{
	const uint32_t *begun = arg;
	uint32_t seen;

	(void)w;
	if (is_auto(prim))
		return take_it(prim);
	/* seq_cst: B4 <- B3, and T2 <- T1 */
	seen = atomic_load_explicit(&prim->sec.shm->state, memory_order_seq_cst);
	return (seen & IS_SET) != 0 || (seen & ~(uint32_t)IS_SET) != (*begun & ~(uint32_t)IS_SET);
}

/* @begun: state when the wait began. */
__attribute__((noinline)) static int wait_slowly(struct prim *prim, uint32_t begun,
						 int64_t deadline, struct tarn_diag *diag)
{
	int r = tarn__prim_ready(prim, diag);

	if (r < 0)
		return r;
	r = tarn__prim_await(prim, deadline, try_event, &begun);
	if (r == -ETIMEDOUT)
		return tarn__diag(diag, r, "event %s: not set until the deadline", prim->sec.name);
	return r < 0 ? tarn__diag(diag, r, "event %s: %s", prim->sec.name, strerror(-r)) : 0;
}

int tarn_event_wait(struct tarn_event *event, int64_t deadline, struct tarn_diag *diag)
{
	struct prim *prim = &event->prim;
	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* acquire: T2 <- T1, what was done before the set is visible */
	uint32_t begun = atomic_load_explicit(state, memory_order_acquire), seen = begun;

	if (TARN__UNLIKELY(id_of(&prim->sec) == 0) || TARN__UNLIKELY((begun & IS_SET) == 0) ||
	    (TARN__LIKELY(is_auto(prim)) && /* acquire: as above */
	     TARN__UNLIKELY(!atomic_compare_exchange_strong_explicit(
		     state, &seen, begun & ~(uint32_t)IS_SET, memory_order_acquire,
		     memory_order_relaxed))))
		return wait_slowly(prim, begun, deadline, diag);
	return 0;
}

int tarn_event_try(struct tarn_event *event)
{
	struct prim *prim = &event->prim;
	int r = TARN__LIKELY(tarn__prim_is_ready(prim)) ? 0 : tarn__prim_ready(prim, NULL);

	if (r < 0)
		return r;
	if (is_auto(prim))
		return take_it(prim) == 1 ? 0 : -EAGAIN;
	return tarn_event_is_set(event) ? 0 : -EAGAIN;
}

bool tarn_event_is_set(const struct tarn_event *event)
{
	/* acquire: T2 <- T1 */
	return (atomic_load_explicit(&event->prim.sec.shm->state, memory_order_acquire) & IS_SET) !=
	       0;
}

bool tarn__event_there(const struct tarn_event *event)
{
	/* seq_cst: B4 <- B3 */
	return (atomic_load_explicit(&event->prim.sec.shm->state, memory_order_seq_cst) & IS_SET) !=
	       0;
}

/* --- set ----------------------------------------------------------------------------------- */

__attribute__((noinline)) static int set_slowly(struct prim *prim)
{
	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* relaxed: decided by the exchange */
	uint32_t seen = atomic_load_explicit(state, memory_order_relaxed);
	int r = tarn__prim_ready(prim, NULL);

	if (r < 0)
		return r;
	/* Where it is set already it is stored again, unchanged: what was done before this is seen
	 * by whom it lets through. */
	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		uint32_t set = (seen & IS_SET) != 0 ? seen : (seen + ONCE_MORE) | IS_SET;

		/* seq_cst: T1 -> T2, and B1 -> B2 */
		if (!atomic_compare_exchange_weak_explicit(state, &seen, set, memory_order_seq_cst,
							   memory_order_relaxed))
			continue;
		if ((seen & IS_SET) == 0)
			tarn__prim_ring(prim, is_auto(prim) ? 1 : INT32_MAX);
		return 0;
	}
	/* seq_cst: as above, uncounted, for whom a peer that changes it for ever lets no other */
	atomic_fetch_or_explicit(state, IS_SET, memory_order_seq_cst);
	tarn__prim_ring(prim, INT32_MAX);
	return 0;
}

int tarn_event_set(struct tarn_event *event)
{
	struct prim *prim = &event->prim;
	_Atomic uint32_t *state = &prim->sec.shm->state;
	/* relaxed: decided by the exchange */
	uint32_t seen = atomic_load_explicit(state, memory_order_relaxed);
	/* as in set_slowly() */
	uint32_t set = (seen & IS_SET) != 0 ? seen : (seen + ONCE_MORE) | IS_SET;

	/* seq_cst: T1 -> T2, and B1 -> B2 */
	if (TARN__UNLIKELY(id_of(&prim->sec) == 0) ||
	    TARN__UNLIKELY(!atomic_compare_exchange_strong_explicit(
		    state, &seen, set, memory_order_seq_cst, memory_order_relaxed)))
		return set_slowly(prim);
	if ((seen & IS_SET) != 0)
		return 0;
	return tarn__prim_ring(prim, is_auto(prim) ? 1 : INT32_MAX);
}

int tarn_event_reset(struct tarn_event *event)
{
	struct prim *prim = &event->prim;
	int r = TARN__LIKELY(id_of(&prim->sec) != 0) ? 0 : tarn__prim_ready(prim, NULL);

	if (r == 0)
		/* acq_rel: T2 <- T1, and what was done before is done before it can be set again */
		atomic_fetch_and_explicit(&prim->sec.shm->state, ~(uint32_t)IS_SET,
					  memory_order_acq_rel);
	return r;
}
