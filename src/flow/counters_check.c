/* SPDX-License-Identifier: BSD-2-Clause */
/* counters_check.c - test the invariants of counters (counters.h), changing nothing. */
#include <errno.h>

#include "flow/counters.h"

static uint64_t load(const _Atomic uint64_t *cell)
{
	/* acquire: loads stay in the order written, so a flip that did not move proves the rest */
	return atomic_load_explicit(cell, memory_order_acquire);
}

/* Is the slot @at, that of nobody, all zero? What is not, and its place; else 0. */
static uint64_t first_left(const struct counters *c, uint32_t at, uint32_t *ret_cell)
{
	const _Atomic uint64_t *slot = slot_at(c, at);

	for (uint32_t i = 0; i < c->of.cells; i++) {
		uint64_t found = load(&slot[i]);

		*ret_cell = i;
		if (found != 0)
			return found;
	}
	return 0;
}

/* I3 */
static void check_slots(struct tarn__audit *a, const struct counters *c, uint64_t flip)
{
	for (uint32_t at = 0; at < c->prim.seat_count; at++) {
		const _Atomic uint32_t *word = &c->prim.seats[at].id;
		uint64_t found;
		uint32_t cell;

		/* acquire, both: as in load() */
		if (atomic_load_explicit(word, memory_order_acquire) != 0 ||
		    at + 1 == named_by(flip))
			continue;
		found = first_left(c, at, &cell);
		if (found != 0 && atomic_load_explicit(word, memory_order_acquire) == 0 &&
		    load(&c->shm->flip) == flip)
			tarn__audit_report(a, "slot", "is zero where it has no owner", found, 0);
	}
}

static void check_cells(struct tarn__audit *a, const struct counters *c)
{
	uint64_t flip = load(&c->shm->flip);

	if (named_by(flip) > c->prim.seat_count) { /* I2 */
		tarn__audit_report(a, "flip", "names a slot, or none", named_by(flip),
				   c->prim.seat_count);
		return;
	}
	for (uint32_t i = 0; i < c->of.count; i++) {
		uint64_t found = is_gauge(&c->of, i) ? load(&departed_at(c, flip & 1)[i]) : 0;

		if (found != 0 && load(&c->shm->flip) == flip) /* I4 */
			tarn__audit_report(a, "departed", "has nothing of a gauge", found, 0);
	}
	check_slots(a, c, flip);
}

int tarn__counters_check(struct tarn_region *region, const struct tarn__object *object,
			 const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct counters c = { .slot = 0 };
	int r = tarn__prim_check(region, object, TARN_OBJECT_COUNTERS, where, fn, arg), of;

	if (tarn__prim_handle(region, object, TARN_OBJECT_COUNTERS, "", &c.prim, NULL) < 0)
		return r;
	of = tarn__counters_geometry(&c, NULL);
	if (of == 0)
		of = tarn__metrics_read(c.shm, c.of.count, c.of.cells, &c.of);
	if (of == -EUCLEAN || of == -EPROTO) /* I1 */
		tarn__audit_report(&audit, "header", "is as the creator wrote it", 1, 0);
	else if (of == 0)
		check_cells(&audit, &c);
	tarn__metrics_free(&c.of);
	return r < 0 ? r : audit.r;
}
