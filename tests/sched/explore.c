/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explore.c - which schedules: all of them, depth first.
 *
 * A schedule is the list of the options taken where there was more than one; 0 is to go on as
 * one is. The list is run, then its last number that can be raised is, and what follows is 0
 * again. What a failing one did is printed as its bound and its numbers that are not 0, by
 * position: "3.2:17=1,40=2".
 */
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine.h"
#include "seen.h"
#include "world.h"

enum { DEPTH_MAX = 4096 };

static struct {
	uint8_t taken[DEPTH_MAX];
	uint8_t count[DEPTH_MAX];
	int depth;
	int length;
	bool merge;
	bool replaying;
	struct seen states, ends;
	char *what;
	size_t what_size;
} search;

int explore_choose(const struct option *options, int count)
{
	int at = search.depth++;

	(void)options;
	if (at >= DEPTH_MAX)
		errx(2, "more than %d choices in an execution", DEPTH_MAX);
	if (at < search.length) {
		if (search.replaying ? search.taken[at] >= count : search.count[at] != count)
			errx(2, "choice %d: %d options, and not %d as before", at, count,
			     search.count[at]);
		if (engine.telling && search.taken[at] != 0)
			printf("# choice %d: %d of %d\n", at, search.taken[at], count);
		return search.taken[at];
	}
	if (search.replaying)
		return 0;
	if (search.merge &&
	    seen_before(&search.states, engine_state(), engine.preemptions, engine.kills))
		engine_end(OUTCOME_MERGED);
	search.taken[at] = 0;
	search.count[at] = (uint8_t)count;
	search.length = at + 1;
	return 0;
}

/* The next schedule. False: that was the last one. */
static bool advance(void)
{
	while (search.length > 0 &&
	       search.taken[search.length - 1] + 1 >= search.count[search.length - 1])
		search.length--;
	if (search.length == 0)
		return false;
	search.taken[search.length - 1]++;
	return true;
}

static void print_schedule(char *text, size_t size)
{
	size_t used = (size_t)snprintf(text, size, "%d.%d:", engine.bound.preemptions,
				       engine.bound.kills);
	const char *comma = "";

	for (int i = 0; i < search.length && used + 12 < size; i++) {
		if (search.taken[i] == 0)
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%d=%d", comma, i,
					 search.taken[i]);
		comma = ",";
	}
}

static bool read_schedule(const char *text, struct sched_bound *ret_bound)
{
	int used = 0, at, option;

	memset(search.taken, 0, sizeof(search.taken));
	search.length = 0;
	if (sscanf(text, "%d.%d:%n", &ret_bound->preemptions, &ret_bound->kills, &used) != 2 ||
	    used == 0)
		return false;
	for (text += used; *text != '\0'; text += used + (text[used] == ',')) {
		if (sscanf(text, "%d=%d%n", &at, &option, &used) != 2 || at < 0 ||
		    at >= DEPTH_MAX || option < 0 || option > 255)
			return false;
		search.taken[at] = (uint8_t)option;
		search.length = at + 1;
	}
	return true;
}

void sched_fail(const char *format, ...)
{
	va_list args;

	engine.running = false;
	va_start(args, format);
	vsnprintf(search.what, search.what_size, format, args);
	va_end(args);
	engine_end(OUTCOME_FAILED);
}

/* --- an execution -------------------------------------------------------------------------- */

/* Nobody runs any more: is what they left as it should be? The same end is looked at once. */
static enum outcome judge(struct sched_result *result)
{
	world_flush();
	engine.current = -1;
	if (seen_before(&search.ends, engine_state(), 0, 0)) {
		if (search.merge)
			return OUTCOME_DONE;
	} else {
		result->ends++;
	}
	for (int i = 0; i < engine.count; i++)
		if (engine.procs[i].state == PROC_DEAD)
			engine.procs[i].locked = false;
	engine.current = SCHED_PROCS;
	engine_tls_load(engine.procs[SCHED_PROCS].tls_at_start);
	engine.verifying = true;
	return engine_outside(engine.scenario->verify);
}

static enum outcome execute(struct sched_result *result)
{
	enum outcome outcome;

	search.depth = 0;
	world_restore();
	outcome = engine_run();
	result->executions++;
	result->kills += (uint64_t)engine.kills;
	if (outcome == OUTCOME_DONE)
		outcome = judge(result);
	engine.verifying = false;
	result->merged += outcome == OUTCOME_MERGED;
	if (outcome == OUTCOME_FAILED) {
		result->violated = true;
		print_schedule(result->schedule, sizeof(result->schedule));
	}
	return outcome;
}

static int64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void begin(const struct sched_scenario *scenario, const struct sched_how *how,
		  struct sched_result *ret)
{
	static unsigned char fresh[TLS_MAX];
	static bool made;

	memset(ret, 0, sizeof(*ret));
	if (!made) {
		engine.scenario = scenario;
		engine_make();
		engine_tls_save(fresh);
		made = true;
	}
	search.merge = how->merge;
	search.what = ret->what;
	search.what_size = sizeof(ret->what);
	search.replaying = false;
	search.length = 0;
	engine.scenario = scenario;
	engine.bound = how->bound;
	engine.count = scenario->procs;
	engine.points = engine.sleeps = 0;
	engine.current = SCHED_PROCS;
	for (int i = 0; i <= SCHED_PROCS; i++)
		memcpy(engine.procs[i].tls, fresh, TLS_MAX);
	engine_tls_load(fresh);
	world_open(scenario->procs, scenario->size);
	scenario->setup();
	sched_as(SCHED_PROCS);
	for (int i = 0; i <= SCHED_PROCS; i++) {
		memcpy(engine.procs[i].tls_at_start, engine.procs[i].tls, TLS_MAX);
		if (world.region[i] != NULL)
			engine.procs[i].slot = tarn__id_slot(world.region[i]->id);
	}
	world_ready();
}

static void end(const struct sched_scenario *scenario, struct sched_result *ret)
{
	ret->states = search.states.count;
	ret->points = engine.points;
	ret->sleeps = engine.sleeps;
	seen_free(&search.states);
	seen_free(&search.ends);
	world_restore();
	for (int i = 0; i <= SCHED_PROCS; i++)
		memcpy(engine.procs[i].tls, engine.procs[i].tls_at_start, TLS_MAX);
	engine.current = SCHED_PROCS;
	engine_tls_load(engine.procs[SCHED_PROCS].tls);
	scenario->cleanup();
	world_close();
}

void sched_explore(const struct sched_scenario *scenario, const struct sched_how *how,
		   struct sched_result *ret)
{
	int64_t begun = clock_now();

	begin(scenario, how, ret);
	do {
		if (execute(ret) == OUTCOME_FAILED)
			break;
		ret->cut = how->limit != 0 && ret->executions >= how->limit;
	} while (!ret->cut && advance());
	end(scenario, ret);
	ret->ns = clock_now() - begun;
}

void sched_replay(const struct sched_scenario *scenario, const struct sched_how *how,
		  const char *schedule, struct sched_result *ret)
{
	begin(scenario, how, ret);
	search.merge = false;
	search.replaying = true;
	if (!read_schedule(schedule, &engine.bound))
		errx(2, "not a schedule: %s", schedule);
	engine.telling = true;
	(void)execute(ret);
	engine.telling = false;
	end(scenario, ret);
}
