/* SPDX-License-Identifier: BSD-2-Clause */
/* scenarios.h - what the files of scenarios share. */
#ifndef TESTS_SCHED_SCENARIOS_H
#define TESTS_SCHED_SCENARIOS_H

#include <err.h>
#include <string.h>

#include <tarn/tarn.h>

#include "schedule.h"

/* Tables of scenarios, one a file, the last without a name. */
extern const struct sched_scenario sched_sections[], sched_rings[], sched_listeners[],
	sched_prims[], sched_rwlocks[], sched_seqlocks[], sched_conds[], sched_arenas[];

static inline void must(int r)
{
	if (r < 0)
		errx(2, "setting up: %s", strerror(-r));
}

#endif /* TESTS_SCHED_SCENARIOS_H */
