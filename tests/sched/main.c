/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - explore the scenarios, or replay one schedule.
 *
 *   sched                    every scenario within its quick bound
 *   sched --full             ... its full bounds
 *   sched --only=TEXT        those whose name has TEXT in it; =NAME: that one alone
 *   sched --bound=P.K        at most P preemptions and K kills, whatever the scenario says
 *   sched --no-merge         go through states that were seen before again
 *   sched --first            stop at the first violation
 *   sched --limit=N          no more than N executions a scenario
 *   sched --list
 *   sched --replay=NAME:SCHEDULE
 *
 * A violation is looked for again with as little of the bound as it takes, and printed with the
 * command that replays it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scenarios.h"

static struct {
	const char *program;
	const char *only;
	const char *replay;
	bool full, list, first, bounded;
	struct sched_how how;
} o;

/* Scenario @number of all tables; NULL: there are not so many. */
static const struct sched_scenario *scenario_at(int number)
{
	static const struct sched_scenario *const tables[] = {
		sched_sections, sched_rings,   sched_listeners, sched_prims,
		sched_spins,    sched_rwlocks, sched_seqlocks,  sched_conds,
		sched_arenas,   sched_latests, sched_atomics,   sched_topics,
		sched_waiters,  sched_aparts,  sched_counters,  sched_calls
	};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct sched_scenario *s = tables[i]; s->name != NULL; s++)
			if (number-- == 0)
				return s;
	return NULL;
}

static bool is_asked_for(const struct sched_scenario *scenario)
{
	if (o.only == NULL)
		return true;
	return o.only[0] == '=' ? strcmp(scenario->name, o.only + 1) == 0
				: strstr(scenario->name, o.only) != NULL;
}

static bool parse(int argc, char **argv)
{
	o.program = argv[0];
	o.how.merge = true;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--full") == 0)
			o.full = true;
		else if (strcmp(argv[i], "--list") == 0)
			o.list = true;
		else if (strcmp(argv[i], "--first") == 0)
			o.first = true;
		else if (strcmp(argv[i], "--no-merge") == 0)
			o.how.merge = false;
		else if (strncmp(argv[i], "--only=", 7) == 0)
			o.only = argv[i] + 7;
		else if (strncmp(argv[i], "--replay=", 9) == 0)
			o.replay = argv[i] + 9;
		else if (sscanf(argv[i], "--limit=%" SCNu64, &o.how.limit) == 1)
			continue;
		else if (sscanf(argv[i], "--bound=%d.%d", &o.how.bound.preemptions,
				&o.how.bound.kills) == 2)
			o.bounded = true;
		else
			return false;
	}
	return o.how.bound.preemptions <= 4 && o.how.bound.kills <= 2;
}

static int replay(void)
{
	const char *colon = strchr(o.replay, ':');
	const struct sched_scenario *scenario;
	struct sched_result result;

	for (int i = 0; colon != NULL && (scenario = scenario_at(i)) != NULL; i++) {
		if (strlen(scenario->name) != (size_t)(colon - o.replay) ||
		    strncmp(scenario->name, o.replay, strlen(scenario->name)) != 0)
			continue;
		sched_replay(scenario, &o.how, colon + 1, &result);
		printf("%s\n", result.violated ? result.what : "no violation");
		return result.violated;
	}
	fprintf(stderr, "%s: no such scenario: %s\n", o.program, o.replay);
	return 2;
}

/* Find it again with the smallest bound that shows it. */
static void tell_violation(const struct sched_scenario *scenario, const struct sched_how *how,
			   const struct sched_result *found)
{
	struct sched_result small = *found;

	for (int sum = 0; sum < how->bound.preemptions + how->bound.kills; sum++) {
		for (int kills = 0; kills <= how->bound.kills; kills++) {
			struct sched_how less = *how;
			struct sched_result result;

			less.bound.kills = kills;
			less.bound.preemptions = sum - kills;
			if (less.bound.preemptions < 0 ||
			    less.bound.preemptions > how->bound.preemptions)
				continue;
			sched_explore(scenario, &less, &result);
			if (!result.violated)
				continue;
			small = result;
			sum = INT32_MAX - 1;
			break;
		}
	}
	printf("# violation: %s: %s\n", scenario->name, small.what);
	printf("# replay: %s --replay=%s:%s\n", o.program, scenario->name, small.schedule);
}

static void add(struct sched_result *sum, const struct sched_result *result)
{
	sum->executions += result->executions;
	sum->merged += result->merged;
	sum->states += result->states;
	sum->ends += result->ends;
	sum->points += result->points;
	sum->kills += result->kills;
	sum->ns += result->ns;
}

static double rate(const struct sched_result *result)
{
	return (double)result->executions / ((double)(result->ns + 1) * 1e-9);
}

/* Explore one within @bound; true if it broke a rule. */
static bool run(const struct sched_scenario *scenario, struct sched_bound bound,
		struct sched_result *sum)
{
	struct sched_result result;
	struct sched_how how = o.how;

	how.bound = bound;
	sched_explore(scenario, &how, &result);
	printf("# %-12s %d processes, %d preemptions, %d kills: %" PRIu64 " executions (%" PRIu64
	       " merged), %" PRIu64 " states, %" PRIu64 " ends, %.1f s, %.0f/s%s\n",
	       scenario->name, scenario->procs, how.bound.preemptions, how.bound.kills,
	       result.executions, result.merged, result.states, result.ends,
	       (double)result.ns * 1e-9, rate(&result), result.cut ? ", cut short" : "");
	add(sum, &result);
	if (result.violated)
		tell_violation(scenario, &how, &result);
	return result.violated;
}

static bool run_all(const struct sched_scenario *scenario, struct sched_result *sum)
{
	bool violated = false;

	if (o.bounded)
		return run(scenario, o.how.bound, sum);
	if (!o.full)
		return run(scenario, scenario->quick, sum);
	for (int i = 0; i < SCHED_BOUNDS && !violated; i++)
		if (scenario->full[i].preemptions + scenario->full[i].kills != 0)
			violated = run(scenario, scenario->full[i], sum);
	return violated;
}

int main(int argc, char **argv)
{
	const struct sched_scenario *scenario;
	struct sched_result sum = { 0 };
	int scenarios = 0, violations = 0;

	if (!parse(argc, argv)) {
		fprintf(stderr,
			"usage: %s [--full] [--only=TEXT] [--bound=P.K] [--no-merge] [--limit=N] "
			"[--first] "
			"[--list] [--replay=NAME:SCHEDULE]\n",
			argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (o.replay != NULL)
		return replay();
	for (int i = 0; (scenario = scenario_at(i)) != NULL; i++) {
		if (!is_asked_for(scenario))
			continue;
		if (o.list) {
			printf("%-12s %s\n", scenario->name, scenario->text);
			continue;
		}
		violations += run_all(scenario, &sum);
		scenarios++;
		if (violations != 0 && o.first)
			break;
	}
	if (o.list)
		return 0;
	printf("sched: %d scenarios, %" PRIu64 " executions, %" PRIu64 " kills, %" PRIu64
	       " states, %" PRIu64 " points, %.0f executions a second, %d violations\n",
	       scenarios, sum.executions, sum.kills, sum.states, sum.points, rate(&sum),
	       violations);
	return violations != 0 || scenarios == 0;
}
