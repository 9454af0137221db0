/* SPDX-License-Identifier: BSD-2-Clause */
/* region.h - the region that the cases of a program work in: made before each, checked after it. */
#ifndef TESTS_FAULT_REGION_H
#define TESTS_FAULT_REGION_H

#include <stdio.h>
#include <string.h>

#include <tarn/region.h>

#include "fault.h"

static struct tarn_region *region;
static char addr[80];

static inline int make_region(const char *name, uint64_t size, uint64_t max_size,
			      struct harness_report *report)
{
	const struct tarn_region_opts opts = {
		.size = size, .max_size = max_size, .member_max = 4, .object_max = 32
	};
	int r;

	snprintf(addr, sizeof(addr), "%s%s", harness_prefix(), name);
	r = tarn_region_create(addr, &opts, &region);
	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

static inline int sound(struct harness_report *report)
{
	if (tarn_region_gc(region, NULL) < 0 || tarn_region_check(region, NULL, NULL) < 0)
		return harness_say(report, FAULT_BROKEN, "afterwards its check fails");
	return 0;
}

#endif /* TESTS_FAULT_REGION_H */
