/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring_check.c - test the invariants of a ring (ring.h), changing nothing. On a ring in use the
 * records are walked only as far as both sides leave them alone.
 */
#include <errno.h>

#include "flow/ring.h"

uint32_t tarn__ring_header_check(const struct ring_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct ring_shm, check), TARN__FNV32_BASIS);
}

const char *tarn__ring_fault(const struct ring_shm *shm, uint64_t size)
{
	if (shm->magic != RING_MAGIC)
		return "magic";
	if (shm->check != tarn__ring_header_check(shm))
		return "check";
	if (shm->version != RING_VERSION)
		return "version";
	if (!tarn__is_pow2(shm->capacity) || shm->capacity < 32 || size < sizeof(*shm) ||
	    (uint64_t)shm->capacity * RING_UNIT > size - sizeof(*shm))
		return "capacity"; /* I1 */
	if (shm->record_size > shm->record_max)
		return "record_size"; /* I5 */
	return NULL;
}

static uint32_t load(const _Atomic uint32_t *word)
{
	/* acquire: loads stay in the order written, so a head that did not move proves the rest */
	return atomic_load_explicit(word, memory_order_acquire);
}

/* Walk [head, tail): I3, I5. Stops where the consumer has moved on. */
static void check_records(struct tarn__audit *a, const struct ring_parts *parts, uint32_t head,
			  uint32_t tail)
{
	const struct tarn_ring ring = { .records = parts->records,
					.capacity = parts->capacity,
					.mask = parts->capacity - 1 };

	for (uint32_t pos = head; pos != tail;) {
		struct record_shm *record = record_at(&ring, pos);
		uint32_t word = load(&record->word);
		uint32_t mark = load(&record->mark);
		uint32_t left = ring.capacity - (pos & ring.mask);
		uint32_t units = units_at(pos, word);
		bool skip = (word & 3u) == RECORD_SKIP;

		if (load(&parts->head->pos) != head)
			return; /* units before the new head may be anything by now */
		if (!skip && (word & 3u) != RECORD_DATA) {
			tarn__audit_report(a, "word", "has the kind of a record", word & 3u,
					   RECORD_DATA);
			return;
		}
		if (mark != pos) {
			tarn__audit_report(a, "mark", "is the record's position", mark, pos);
			return;
		}
		if (units > left || (skip && units != left) || units > tail - pos) {
			tarn__audit_report(a, "word", "ends inside the ring and before tail", units,
					   left);
			return;
		}
		if (!skip && parts->record_size != 0 && word >> 2 != parts->record_size)
			tarn__audit_report(a, "word", "has the ring's record size", word >> 2,
					   parts->record_size);
		pos += units;
	}
}

void tarn__ring_check_parts(struct tarn__audit *audit, const struct ring_parts *parts)
{
	uint32_t capacity = parts->capacity;
	uint32_t head = load(&parts->head->pos);
	uint32_t tail = load(&parts->tail->pos);
	uint32_t head_again = load(&parts->head->pos);

	if (tail - head >= capacity && head_again == head) { /* I2 */
		/* A consumer may have passed a tail that its producer is just about to store. */
		if ((int32_t)(head - tail) <= 0 || head - tail >= capacity)
			tarn__audit_report(audit, "tail", "is less than a capacity ahead of head",
					   tail - head, capacity - 1);
		return;
	}
	if (head_again == head)
		check_records(audit, parts, head, tail);
}

int tarn__ring_check(struct tarn_region *region, const struct tarn__object *object,
		     const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct ring_shm *shm = (struct ring_shm *)(void *)object->base;
	const char *fault =
		object->size < sizeof(*shm) ? "size" : tarn__ring_fault(shm, object->size);
	uint32_t capacity = fault == NULL ? shm->capacity : 0;

	(void)region;
	if (fault != NULL || !tarn__is_pow2(capacity) ||
	    (uint64_t)capacity * RING_UNIT > object->size - sizeof(*shm)) {
		tarn__audit_report(&audit, fault != NULL ? fault : "capacity",
				   "is as the creator wrote it", 1, 0);
		return audit.r;
	}

	const struct ring_parts parts = { .records = shm->records,
					  .capacity = capacity,
					  .record_size = shm->record_size,
					  .tail = &shm->tail,
					  .head = &shm->head };

	tarn__ring_check_parts(&audit, &parts);
	return audit.r;
}
