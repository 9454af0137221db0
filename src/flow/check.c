/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c - tarn_region_check(): the region itself, then each object by its kind's checker. */
#include <errno.h>
#include <stdio.h>

#include "arena/arena.h"
#include "flow/call.h"
#include "flow/counters.h"
#include "flow/latest.h"
#include "flow/ring.h"
#include "flow/topic.h"
#include "region/trace.h"
#include "region/type.h"
#include "sync/listen.h"
#include "sync/prim.h"

static int check_arena(struct tarn_region *region, const struct entry *entry,
		       const struct tarn__object *object, tarn_report_fn *fn, void *arg)
{
	int r = tarn__arena_check(region, object, entry->name, fn, arg);

	if (r > 0)
		r = tarn__arena_check_inside(region, object, entry->name, fn, arg);
	if (r > 0)
		tarn__arena_tell_unseen(region, object, entry->name, fn, arg);
	return r;
}

/* 0, a negative error, or 1: it could not be looked at. */
static int check_object(struct tarn_region *region, const struct entry *entry,
			const struct tarn__object *object, tarn_report_fn *fn, void *arg)
{
	const char *noun;
	char where[96];

	switch (entry->kind) {
	case TARN_OBJECT_RING:
		snprintf(where, sizeof(where), "ring %s", entry->name);
		return tarn__ring_check(region, object, where, fn, arg);
	case TARN_OBJECT_SECTION:
		snprintf(where, sizeof(where), "section %s", entry->name);
		return tarn__section_check(region, object, where, fn, arg);
	case TARN_OBJECT_CHANGES:
		snprintf(where, sizeof(where), "change log %s", entry->name);
		return tarn__changes_check(region, object, where, fn, arg);
	case TARN_OBJECT_DIRTY:
		snprintf(where, sizeof(where), "dirty map %s", entry->name);
		return tarn__dirty_check(region, object, where, fn, arg);
	case TARN_OBJECT_ARENA:
		return check_arena(region, entry, object, fn, arg);
	case TARN_OBJECT_EXTENT:
		return tarn__extent_check_owner(region, object, entry->name, fn, arg);
	case TARN_OBJECT_LATEST:
		snprintf(where, sizeof(where), "latest value %s", entry->name);
		return tarn__latest_check(region, object, where, fn, arg);
	case TARN_OBJECT_TOPIC:
		snprintf(where, sizeof(where), "topic %s", entry->name);
		return tarn__topic_check(region, object, where, fn, arg);
	case TARN_OBJECT_LANE:
		snprintf(where, sizeof(where), "lane %s", entry->name);
		return tarn__lane_check(object, where, fn, arg);
	case TARN_OBJECT_COUNTERS:
		snprintf(where, sizeof(where), "counters %s", entry->name);
		return tarn__counters_check(region, object, where, fn, arg);
	case TARN_OBJECT_SERVICE:
		snprintf(where, sizeof(where), "service %s", entry->name);
		return tarn__service_check(region, object, where, fn, arg);
	case TARN_OBJECT_BUNDLE:
		snprintf(where, sizeof(where), "rings %s", entry->name);
		return tarn__bundle_check(object, where, fn, arg);
	case TARN_OBJECT_TRACE:
		snprintf(where, sizeof(where), "trace %s", entry->name);
		return tarn__trace_check(region, object, where, fn, arg);
	case TARN_OBJECT_STRUCT:
		snprintf(where, sizeof(where), "struct %s", entry->name);
		return tarn__struct_check(region, object, where, fn, arg);
	default:
		noun = tarn__prim_noun(entry->kind);
		if (noun == NULL)
			return 0;
		snprintf(where, sizeof(where), "%s %s", noun, entry->name);
		return tarn__prim_check(region, object, entry->kind, where, fn, arg);
	}
}

int tarn_region_check(struct tarn_region *region, tarn_report_fn *fn, void *arg)
{
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	r = tarn__region_check_self(region, fn, arg);
	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry entry;
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & 3u) != TARN__ENTRY_LIVE ||
		    tarn__entry_fault(region, i, &entry) != NULL)
			continue;

		const struct tarn__object object = { .index = i,
						     .state = state,
						     .off = entry.off,
						     .size = entry.size,
						     .base = region->base + entry.off };

		int one = check_object(region, &entry, &object, fn, arg);

		if (one < 0)
			r = -EUCLEAN;
		else if (one > 0 && r == 0)
			r = 1;
	}
	tarn__region_leave(region);
	return r;
}
