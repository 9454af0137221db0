/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c - tarn_region_check(): the region itself, then each object by its kind's checker. */
#include <errno.h>
#include <stdio.h>

#include "flow/ring.h"

int tarn_region_check(struct tarn_region *region, tarn_report_fn *fn, void *arg)
{
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	r = tarn__region_check_self(region, fn, arg);
	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry entry;
		uint32_t state = tarn__entry_read(region, i, &entry);
		char where[96];

		if ((state & 3u) != TARN__ENTRY_LIVE || entry.kind != TARN_OBJECT_RING ||
		    tarn__entry_fault(region, i, &entry) != NULL)
			continue;

		const struct tarn__object object = { .index = i,
						     .state = state,
						     .off = entry.off,
						     .size = entry.size,
						     .base = region->base + entry.off };

		snprintf(where, sizeof(where), "ring %s", entry.name);
		if (tarn__ring_check(region, &object, where, fn, arg) < 0)
			r = -EUCLEAN;
	}
	tarn__region_leave(region);
	return r;
}
