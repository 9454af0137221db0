/* SPDX-License-Identifier: BSD-2-Clause */
/* counters_fold.c - what those have added who are gone goes to the departed, and their slots are
 * free: the five steps of counters.h. */
#include <errno.h>

#include "flow/counters.h"

#define PATIENCE_NS INT64_C(100000000)

static uint64_t flip_of(const struct counters *c)
{
	/* relaxed: written under the lock, which is ours */
	return atomic_load_explicit(&c->shm->flip, memory_order_relaxed);
}

/* One flip later: @which departed counts, and @named is 1 + the slot that is in it, or 0. */
static void flip_to(struct counters *c, uint64_t which, uint32_t named)
{
	uint64_t count = (flip_of(c) >> FLIP_COUNT) + 1;

	/* K3 -> K4 */
	atomic_store_explicit(&c->shm->flip,
			      count << FLIP_COUNT | (uint64_t)named << FLIP_SLOT | which,
			      memory_order_release);
}

/* Steps 3 to 5, where flip names a slot. 0, -EUCLEAN. */
static int finish(struct counters *c)
{
	uint64_t flip = flip_of(c);
	uint32_t named = named_by(flip);
	_Atomic uint64_t *slot;

	if (named == 0)
		return 0;
	if (named > c->prim.seat_count)
		return -EUCLEAN; /* I2 */
	slot = slot_at(c, named - 1);
	for (uint32_t i = 0; i < c->of.cells; i++) /* K1 -> K2 */
		atomic_store_explicit(&slot[i], 0, memory_order_release);
	flip_to(c, flip & 1, 0);
	/* K5 -> K6: seq_cst, as all that changes a seat */
	atomic_store_explicit(&c->prim.seats[named - 1].id, 0, memory_order_seq_cst);
	return 0;
}

/* Slot @at is that of nobody who adds. */
static int fold(struct counters *c, uint32_t at)
{
	uint64_t which = flip_of(c) & 1;
	const _Atomic uint64_t *from = departed_at(c, which), *slot = slot_at(c, at);
	_Atomic uint64_t *to = departed_at(c, which ^ 1);

	for (uint32_t i = 0; i < c->of.cells; i++) {
		/* relaxed, both: of those who are gone, and of the last who had the lock */
		uint64_t sum = atomic_load_explicit(&from[i], memory_order_relaxed);

		if (!is_gauge(&c->of, i))
			sum += atomic_load_explicit(&slot[i], memory_order_relaxed);
		/* K1 -> K2 */
		atomic_store_explicit(&to[i], sum, memory_order_release);
	}
	flip_to(c, which ^ 1, at + 1);
	return finish(c);
}

/* The lock is ours. */
static int fold_each(struct counters *c)
{
	struct prim *prim = &c->prim;
	int r = finish(c), count = 0;

	for (uint32_t at = 0; at < prim->seat_count && r == 0; at++) {
		/* K8 <- K7: acquire */
		uint32_t id = atomic_load_explicit(&prim->seats[at].id, memory_order_acquire);

		if (id == 0 || (!has_left(id) && !tarn__seat_dead(prim, id, true)))
			continue;
		r = fold(c, at);
		count++;
	}
	return r < 0 ? r : count;
}

int tarn__counters_fold_all(struct counters *c, bool wait, struct tarn_diag *diag)
{
	struct prim *prim = &c->prim;
	int r = tarn__prim_lock(prim, tarn_deadline_after(PATIENCE_NS), wait, diag);

	if (r == -EOWNERDEAD) { /* what it began is finished first */
		tarn__prim_answer(prim);
		r = 0;
	}
	if (r < 0)
		return r;
	r = fold_each(c);
	tarn__prim_unlock(prim);
	if (r == -EUCLEAN)
		return tarn__diag(diag, r, "counters %s: their words name a slot that is none",
				  prim->sec.name);
	return r;
}

int tarn_counters_fold(struct tarn_counters *counters, uint32_t *ret_count, struct tarn_diag *diag)
{
	struct counters *c = counters_of(counters);
	int r;

	if (c->own)
		return tarn__diag(diag, -EPERM, "%s is no counters", c->prim.sec.name);
	r = c->prim.sec.region->observer
		    ? tarn__diag(diag, -EPERM, "counters %s: the region was opened to look on",
				 c->prim.sec.name)
		    : tarn__counters_fold_all(c, true, diag);

	if (r < 0)
		return r;
	if (ret_count != NULL)
		*ret_count = (uint32_t)r;
	return 0;
}
