/* SPDX-License-Identifier: BSD-2-Clause */
/* latest_check.c - test the invariants of a latest value (latest.c), changing nothing. */
#include "flow/latest.h"

static uint32_t load(const _Atomic uint32_t *word)
{
	/* acquire: loads stay in the order written, so a state that did not move proves the rest */
	return atomic_load_explicit(word, memory_order_acquire);
}

static uint64_t number_at(const struct tarn_latest *latest, uint32_t index)
{
	/* acquire: as in load() */
	return atomic_load_explicit(&buffer_at(latest, index)->number, memory_order_acquire);
}

/* I4 */
static void check_type(struct tarn__audit *a, struct tarn_latest *latest)
{
	struct tarn_type *type = NULL;
	int r = latest->type_size == 0 ? -ENOENT : tarn_latest_describe(latest, &type);

	if (r == -EUCLEAN)
		tarn__audit_report(a, "description", "is as the creator wrote it", 1, 0);
	tarn_type_free(type);
}

static void check_buffers(struct tarn__audit *a, struct tarn_latest *latest)
{
	const _Atomic uint32_t *word = &latest->prim.sec.shm->state;
	uint32_t state = load(word), index = state & INDEX_MASK;
	uint64_t newest;

	if (index >= latest->count) { /* I2 */
		tarn__audit_report(a, "state", "names a buffer", index, latest->count - 1);
		return;
	}
	newest = number_at(latest, index);
	if (load(word) != state)
		return;
	if (state != 0 &&
	    (uint32_t)(newest << INDEX_BITS) != (state & ~(uint32_t)INDEX_MASK)) /* I2 */
		tarn__audit_report(a, "state", "has the number of its buffer", state >> INDEX_BITS,
				   newest);
	for (uint32_t i = 0; i < latest->count && newest != 0; i++) {
		uint64_t number = number_at(latest, i);
		uint32_t size = load(&buffer_at(latest, i)->size);

		if (load(word) != state)
			return;          /* another is the newest by now */
		if (number > newest + 1) /* I3; one is written, and not yet named */
			tarn__audit_report(a, "number", "is none behind the newest", number,
					   newest);
		if (number != 0 && size > latest->size) /* I3 */
			tarn__audit_report(a, "size", "fits a buffer", size, latest->size);
	}
}

int tarn__latest_check(struct tarn_region *region, const struct tarn__object *object,
		       const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct tarn_latest latest = { 0 };
	int r = tarn__prim_check(region, object, TARN_OBJECT_LATEST, where, fn, arg);

	if (tarn__prim_handle(region, object, TARN_OBJECT_LATEST, "", &latest.prim, NULL) < 0)
		return r;
	if (tarn__latest_geometry(&latest, NULL, NULL) < 0) /* I1 */
		tarn__audit_report(&audit, "size", "is as the creator wrote it", latest.size,
				   TARN_LATEST_SIZE_MAX);
	else
		check_buffers(&audit, &latest);
	if (audit.r == 0)
		check_type(&audit, &latest);
	return r < 0 ? r : audit.r;
}
