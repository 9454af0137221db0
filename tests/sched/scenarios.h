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
	sched_prims[], sched_spins[], sched_rwlocks[], sched_seqlocks[], sched_conds[],
	sched_arenas[], sched_latests[], sched_atomics[], sched_topics[], sched_waiters[],
	sched_aparts[], sched_counters[], sched_calls[];

static inline void must(int r)
{
	if (r < 0 && (sched_running() || sched_verifying()))
		sched_fail("%s", strerror(-r));
	if (r < 0)
		errx(2, "setting up: %s", strerror(-r));
}

static inline void fail_by_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	sched_fail("%s: %s %s", finding->where, finding->field, finding->rule);
}

/* The checker finds nothing wrong. */
static inline void check_region(void)
{
	(void)!tarn_region_check(sched_region(SCHED_PROCS), fail_by_finding, NULL);
}

static inline bool anybody_dead(void)
{
	for (int p = 0; p < SCHED_PROCS; p++)
		if (sched_dead(p))
			return true;
	return false;
}

/* Those of the set @who, a bit each, that are not dead. */
static inline uint32_t living(uint32_t who)
{
	for (int p = 0; p < SCHED_PROCS; p++)
		if (sched_dead(p))
			who &= ~(1u << p);
	return who;
}

#endif /* TESTS_SCHED_SCENARIOS_H */
