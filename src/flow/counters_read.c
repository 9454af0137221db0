/* SPDX-License-Identifier: BSD-2-Clause */
/* counters_read.c - sums over departed and slots, beside who adds and who folds: see counters.h. */
#include <errno.h>

#include "base/bits.h"
#include "flow/counters.h"
#include "flow/figures.h"

enum { TRIES = 1000 };

/* One pass over the slots. */
struct pass {
	const struct counters *c;
	uint64_t flip;
};

static inline uint64_t load(const _Atomic uint64_t *cell)
{
	/* K2 <- K1: what a fold has stored here shows in flip */
	return atomic_load_explicit(cell, memory_order_acquire);
}

static int begin(const struct counters *c, struct pass *pass)
{
	pass->c = c;
	/* K4 <- K3 */
	pass->flip = atomic_load_explicit(&c->shm->flip, memory_order_acquire);
	return named_by(pass->flip) > c->prim.seat_count ? -EUCLEAN : 0; /* I2 */
}

/* Has nothing been folded since? */
static bool holds(const struct pass *pass)
{
	/* relaxed: ordered behind the acquire loads before it */
	return atomic_load_explicit(&pass->c->shm->flip, memory_order_relaxed) == pass->flip;
}

/* The next slot from @*at on that counts beside the departed; *@at is the one behind it.
 * *@ret_gone: its owner is, so that its gauges do not count. NULL: no more. */
static const _Atomic uint64_t *next_slot(const struct pass *pass, uint32_t *at, bool *ret_gone)
{
	const struct counters *c = pass->c;
	struct prim *prim = (struct prim *)(uintptr_t)&c->prim;

	while (*at < prim->seat_count) {
		uint32_t slot = (*at)++;
		/* K6 <- K5 */
		uint32_t id = atomic_load_explicit(&prim->seats[slot].id, memory_order_acquire);

		if (id == 0 || slot + 1 == named_by(pass->flip))
			continue;
		*ret_gone = c->of.gauges != 0 && (has_left(id) || tarn__seat_dead(prim, id, false));
		return slot_at(c, slot);
	}
	return NULL;
}

/* The sums of @count cells from @first on. */
static void add_up(const struct pass *pass, uint32_t first, uint32_t count, uint64_t *sums)
{
	const struct counters *c = pass->c;
	const _Atomic uint64_t *from = departed_at(c, pass->flip & 1) + first;
	uint32_t at = 0;
	bool gone = false;

	for (uint32_t i = 0; i < count; i++)
		sums[i] = load(&from[i]);
	for (from = next_slot(pass, &at, &gone); from != NULL; from = next_slot(pass, &at, &gone)) {
		from += first;
		for (uint32_t i = 0; i < count && !gone; i++)
			sums[i] += load(&from[i]);
		for (uint32_t i = 0; i < count && gone; i++)
			sums[i] += is_gauge(&c->of, first + i) ? 0 : load(&from[i]);
	}
}

/* How many values the histograms of the first @count metrics have. */
static void count_values(const struct pass *pass, uint64_t *values, uint32_t count)
{
	const struct counters *c = pass->c;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t cell = c->of.places[i].cell, buckets = c->of.buckets[i], at = 0;
		const _Atomic uint64_t *from = departed_at(c, pass->flip & 1) + cell;
		bool gone = false;

		if (buckets == 0)
			continue;
		values[i] = 0;
		while (from != NULL) {
			for (uint32_t b = 0; b < buckets; b++)
				values[i] += load(&from[b]);
			from = next_slot(pass, &at, &gone);
			from = from != NULL ? from + cell : NULL;
		}
	}
}

int tarn_counters_read(const struct tarn_counters *counters, uint64_t *values, uint32_t count)
{
	const struct counters *c = counters_of(counters);
	uint32_t known = count < c->of.count ? count : c->of.count;
	struct pass pass;

	if (c->own)
		return tarn__figures_read(c, values, count);
	memset(values + known, 0, (count - known) * sizeof(*values));
	for (int tries = 0; tries < TRIES; tries++) {
		if (TARN__UNLIKELY(tarn_segment_damaged(c->prim.sec.region->seg)))
			return -EIO;
		if (begin(c, &pass) < 0)
			return -EUCLEAN;
		add_up(&pass, 0, known, values);
		if (c->of.cells != c->of.count)
			count_values(&pass, values, known);
		if (holds(&pass))
			return 0;
	}
	return -EAGAIN;
}

int tarn__counters_read_all(const struct counters *c, uint64_t *cells)
{
	struct pass pass;

	if (c->own)
		return tarn__figures_read(c, cells, c->of.count);
	for (int tries = 0; tries < TRIES; tries++) {
		if (TARN__UNLIKELY(tarn_segment_damaged(c->prim.sec.region->seg)))
			return -EIO;
		if (begin(c, &pass) < 0)
			return -EUCLEAN;
		add_up(&pass, 0, c->of.cells, cells);
		if (holds(&pass))
			return 0;
	}
	return -EAGAIN;
}
