/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section_check.c - test the invariants of a section (section.h), changing nothing. What a live
 * owner may be in the middle of is not looked at; what a dead one left is whole, and is tested.
 */
#include <errno.h>

#include "sync/section.h"

uint32_t tarn__section_header_check(const struct section_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct section_shm, check), TARN__FNV32_BASIS);
}

const char *tarn__section_fault(const struct section_shm *shm, uint64_t size)
{
	if (size < sizeof(*shm))
		return "size";
	if (shm->magic != SECTION_MAGIC)
		return "magic";
	if (shm->check != tarn__section_header_check(shm))
		return "check";
	if (shm->version != SECTION_VERSION || shm->flags != 0)
		return "version";
	if (shm->units == 0 || shm->units > (size - sizeof(*shm)) / SECTION_UNIT)
		return "units"; /* I1 */
	return NULL;
}

static uint32_t load(const _Atomic uint32_t *word)
{
	/* acquire: loads stay in the order written, so a word that did not move proves the rest */
	return atomic_load_explicit(word, memory_order_acquire);
}

/* Of one whose owner is dead or that is set aside: I4, I5. False: what is wrong was said. */
static bool check_tx(struct tarn__audit *a, struct tarn_section *section, uint32_t lock)
{
	struct section_shm *shm = section->shm;
	uint32_t seq = load(&shm->seq), count = load(&shm->count), leader = load(&shm->leader);
	struct tarn_section other;
	uint32_t unit = 0;
	const char *fault = NULL;

	if ((seq & 1) == 0)
		return true;
	if (leader == place_of(section))
		fault = tarn__journal_fault(section, count, seq, &unit);
	else if (tarn__section_at(section->region, (uint64_t)leader * TARN__CACHE_LINE, &other) < 0)
		fault = "is the offset of a section"; /* I5 */
	/* Whoever has recovered it meanwhile goes on to change it. */
	if (load(&shm->lock) != lock || load(&shm->seq) != seq || fault == NULL)
		return true;
	if (leader != place_of(section))
		tarn__audit_report(a, "leader", fault, leader, place_of(section));
	else if (count > section->units)
		tarn__audit_report(a, "count", "is at most the journal's units", count,
				   section->units);
	else
		tarn__audit_report(a, "journal", fault, unit, count);
	return false;
}

static void check_lock(struct tarn__audit *a, struct tarn_section *section)
{
	struct section_shm *shm = section->shm;
	uint32_t lock = load(&shm->lock), owner = lock & ~TARN__ID_FLAG;
	uint32_t seq = load(&shm->seq), count = load(&shm->count), leader = load(&shm->leader);

	if (owner == LOCK_ASIDE) {
		(check_tx(a, section, lock) ? tarn__audit_mendable : tarn__audit_report)(
			a, "lock", "is not set aside (tarn_section_recover)", lock, 0);
		return;
	}
	if (owner != 0 && tarn__id_slot(owner) >= section->region->member_max) { /* I2 */
		(check_tx(a, section, lock) ? tarn__audit_mendable : tarn__audit_report)(
			a, "lock", "names a member slot", tarn__id_slot(owner),
			section->region->member_max - 1);
		return;
	}
	if (owner == 0) { /* I3 */
		/* between two looks it may have been entered, and left again */
		if (load(&shm->lock) != lock || load(&shm->seq) != seq)
			return;
		if ((seq & 1) != 0)
			tarn__audit_report(a, "seq", "is even while nobody is inside", seq,
					   seq + 1);
		if (count != 0)
			tarn__audit_report(a, "count", "is 0 while nobody is inside", count, 0);
		if (leader != place_of(section))
			tarn__audit_report(a, "leader", "is itself while nobody is inside", leader,
					   place_of(section));
		return;
	}
	if (!tarn__section_owned(section, lock))
		(void)check_tx(a, section, lock);
}

int tarn__section_check(struct tarn_region *region, const struct tarn__object *object,
			const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct section_shm *shm = (struct section_shm *)(void *)object->base;
	const char *fault = tarn__section_fault(shm, object->size);
	struct tarn_section section;

	if (fault == NULL && tarn__section_handle(region, object, "", &section, NULL) < 0)
		fault = "units";
	if (fault != NULL)
		tarn__audit_report(&audit, fault, "is as the creator wrote it", 1, 0);
	else
		check_lock(&audit, &section);
	return audit.r;
}
