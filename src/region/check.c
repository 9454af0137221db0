/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - test every invariant of superblock, members and directory; changes nothing.
 *
 * On a region in use only that is reported which no live member can be in the middle of: a slot is
 * judged by rules that hold at every instruction, an entry by a copy that did not change while
 * it was made.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "region/trace.h"

static void report(struct tarn__audit *a, const char *field, const char *rule, uint64_t found,
		   uint64_t expected, bool repairable)
{
	const struct tarn_finding finding = {
		.where = a->where,
		.field = field,
		.rule = rule,
		.found = found,
		.expected = expected,
		.repairable = repairable,
	};

	a->r = -EUCLEAN;
	if (a->fn != NULL)
		a->fn(&finding, a->arg);
}

void tarn__audit_report(struct tarn__audit *audit, const char *field, const char *rule,
			uint64_t found, uint64_t expected)
{
	report(audit, field, rule, found, expected, false);
}

void tarn__audit_mendable(struct tarn__audit *audit, const char *field, const char *rule,
			  uint64_t found, uint64_t expected)
{
	report(audit, field, rule, found, expected, true);
}

static void check_super(struct tarn__audit *a, struct tarn_region *region)
{
	struct super_shm copy;
	uint32_t lock, state;

	memcpy(&copy, region->super, TARN__SUPER_STATIC);
	/* relaxed: single words, each judged by itself */
	lock = atomic_load_explicit(&region->super->lock, memory_order_relaxed);
	state = atomic_load_explicit(&region->super->state, memory_order_relaxed);
	/* acquire: used before size, as it never gets ahead of a size that is read later */
	atomic_init(&copy.used_pages,
		    atomic_load_explicit(&region->super->used_pages, memory_order_acquire));
	atomic_init(&copy.size_pages,
		    atomic_load_explicit(&region->super->size_pages, memory_order_relaxed));
	if (tarn__super_check(&copy, tarn_segment_size(region->seg), NULL, a->fn, a->arg) < 0)
		a->r = -EUCLEAN;
	if (state != TARN__OPEN && state != TARN__CLOSED)
		report(a, "state", "is open or closed", state, TARN__OPEN, false);
	if ((lock & ~TARN__ID_FLAG) != 0 && tarn__id_slot(lock) >= region->member_max)
		report(a, "lock", "names a member slot", tarn__id_slot(lock),
		       region->member_max - 1, true);
	tarn__trace_check_word(a, region);
}

static void check_member(struct tarn__audit *a, struct tarn_region *region, uint32_t slot)
{
	struct member_shm *member = tarn__member_at(region, slot);
	/* relaxed: single words, each judged by itself */
	uint32_t state = atomic_load_explicit(&member->state, memory_order_relaxed);
	char where[32];

	snprintf(where, sizeof(where), "member %u", slot);
	a->where = where;
	if ((state & ~TARN__ID_FLAG) != 0 && tarn__id_slot(state) != slot)
		report(a, "state", "names its own slot", tarn__id_slot(state), slot, true);
	for (uint32_t i = region->object_max / 32; i < TARN__OBJECTS_MAX / 32; i++) {
		uint32_t bits = atomic_load_explicit(&member->holds[i], memory_order_relaxed);

		if (bits != 0)
			report(a, "holds", "has no bits beyond object_max", bits, 0, true);
	}
}

static const char *entry_where(const struct entry *entry, uint32_t index, char buf[96])
{
	char name[TARN__NAME_SIZE];
	size_t i;

	for (i = 0; i + 1 < sizeof(name) && entry->name[i] != '\0'; i++)
		name[i] = entry->name[i] > ' ' && entry->name[i] < 0x7f ? entry->name[i] : '?';
	name[i] = '\0';
	snprintf(buf, 96, "object %s (entry %u)", name, index);
	return buf;
}

/* E2 and E3 between entries: no two live of one name, no two on the same bytes. */
static void check_pair(struct tarn__audit *a, const struct entry *x, const struct entry *y,
		       bool both_live)
{
	if (both_live && strncmp(x->name, y->name, TARN__NAME_SIZE) == 0)
		report(a, "name", "no other object has it", 1, 0, false);
	if (x->off < y->off + y->size && y->off < x->off + x->size)
		report(a, "off", "its bytes are no other object's", y->off, x->off + x->size,
		       false);
}

static void check_entry(struct tarn__audit *a, struct tarn_region *region, uint32_t index)
{
	struct entry entry, other;
	uint32_t state = tarn__entry_read(region, index, &entry);
	const char *fault;
	char where[96];

	if (state == TARN__ENTRY_FREE)
		return;
	a->where = entry_where(&entry, index, where);
	if ((state & 3u) == 3u)
		report(a, "state", "is free, live or removed", 3, TARN__ENTRY_LIVE, true);
	fault = tarn__entry_fault(region, index, &entry);
	if (fault != NULL && strcmp(fault, "off") == 0)
		report(a, fault, "is a multiple of 64 in the heap", entry.off, region->heap_off,
		       false);
	else if (fault != NULL && strcmp(fault, "size") == 0)
		report(a, fault, "ends inside the region", entry.off + entry.size,
		       tarn__region_size(region), false);
	else if (fault != NULL)
		report(a, fault, "is as it was written", 1, 0, false);
	if (fault != NULL)
		return;
	for (uint32_t i = 0; i < index; i++) {
		uint32_t other_state = tarn__entry_read(region, i, &other);

		/* By now the first may be gone and its memory the second's. */
		if (other_state != TARN__ENTRY_FREE &&
		    tarn__entry_fault(region, i, &other) == NULL &&
		    tarn__entry_read(region, index, &entry) == state)
			check_pair(a, &entry, &other,
				   (state & 3u) == TARN__ENTRY_LIVE &&
					   (other_state & 3u) == TARN__ENTRY_LIVE);
	}
}

int tarn__region_check_self(struct tarn_region *region, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = "superblock", .fn = fn, .arg = arg };

	check_super(&audit, region);
	for (uint32_t slot = 0; slot < region->member_max; slot++)
		check_member(&audit, region, slot);
	for (uint32_t i = 0; i < region->object_max; i++)
		check_entry(&audit, region, i);
	return audit.r;
}
