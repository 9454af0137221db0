/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen_check.c - test the invariants of change logs and dirty maps (listen.h), changing nothing.
 * What a live writer may be in the middle of is not looked at.
 */
#include <errno.h>

#include "sync/listen.h"

static int report(const char *where, const char *field, const char *rule, uint64_t found,
		  uint64_t expected, tarn_report_fn *fn, void *arg)
{
	const struct tarn_finding finding = {
		.where = where,
		.field = field,
		.rule = rule,
		.found = found,
		.expected = expected,
	};

	if (fn != NULL)
		fn(&finding, arg);
	return -EUCLEAN;
}

/* The lock and seq of the section at @place; false: there is none. */
static bool section_state(struct tarn_region *region, uint32_t place, uint32_t *ret_lock,
			  uint32_t *ret_seq)
{
	struct tarn__object object;
	struct entry entry;

	for (uint32_t i = 0; tarn__section_next(region, &i, &object, &entry); i++) {
		const struct section_shm *shm = (const void *)object.base;

		if (object.off != (uint64_t)place * TARN__CACHE_LINE)
			continue;
		/* acquire, both: loads stay in this order, so what did not move proves the rest */
		*ret_lock = atomic_load_explicit(&shm->lock, memory_order_acquire);
		*ret_seq = atomic_load_explicit(&shm->seq, memory_order_acquire);
		return true;
	}
	return false;
}

int tarn__changes_check(struct tarn_region *region, const struct tarn__object *object,
			const char *where, tarn_report_fn *fn, void *arg)
{
	const struct changes_shm *shm = (const void *)object->base;
	const char *fault = tarn__changes_fault(shm, object->size);
	uint32_t lock = 0, seq = 1, lock2 = 0, seq2 = 1, pending_seq;
	uint64_t head, end, pending;
	bool there;

	if (fault != NULL)
		return report(where, fault, "is as the creator wrote it", 1, 0, fn, arg);
	there = section_state(region, shm->section, &lock, &seq);
	head = place_load(&shm->head);
	end = place_load(&shm->reserve);
	pending = place_load(&shm->pending);
	/* acquire: before the second look at the section */
	pending_seq = atomic_load_explicit(&shm->pending_seq, memory_order_acquire);
	if (there != section_state(region, shm->section, &lock2, &seq2) || lock != lock2 ||
	    seq != seq2 || lock != 0)
		return 0;           /* somebody is at it, or has to be rolled back */
	if (end - head > shm->size) /* C2 */
		return report(where, "reserve", "lies at most a ring's length behind head", end,
			      head + shm->size, fn, arg);
	if (pending_seq == seq && pending != head) /* C3 */
		return report(where, "head", "is where the last commit has put it", head, pending,
			      fn, arg);
	return 0;
}

int tarn__dirty_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *where, tarn_report_fn *fn, void *arg)
{
	const struct dirty_shm *shm = (const void *)object->base;
	const char *fault = tarn__dirty_fault(region, shm, object->size);

	if (fault != NULL)
		return report(where, fault, "is as the creator wrote it", 1, 0, fn, arg);
	for (uint32_t page = 0; page < tarn__dirty_pages(region); page++) {
		/* relaxed: each by itself */
		uint8_t mark = atomic_load_explicit(&shm->marks[page], memory_order_relaxed);

		if (mark > 1) /* C4 */
			return report(where, "marks", "are 0 or 1", mark, 1, fn, arg);
	}
	return 0;
}
