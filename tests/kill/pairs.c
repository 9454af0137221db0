/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.c - the sweep of one pair of operations. See pairs.h.
 *
 * Nothing can be put back while A stands: its private memory is part of its state. So each pair is
 * two runs from the beginning, which lead to the same states, but for what they read off the
 * clock; where they do not, B is killed somewhere else, which is no harm.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pairs.h"
#include "run.h"

enum {
	CHECK_SECONDS = 20,
	END_MS = 10000, /* who is let go and needs longer hangs */
	ASLEEP_MS = 5000,
	SLEEPS_ENOUGH = 2, /* who has slept so often waits for the one who stands */
};

struct duo {
	struct tracee a, b;
	pid_t peer;
};

struct pairs {
	const struct kill_pair *pair;
	struct kill_world *world;
	const struct kill_effort *effort;
	struct kill_image *initial;
	struct harness_report *survivor, *report_a, *report_b, *report_peer;
	const struct kill_point *at_a; /* where they are, for the words of a violation */
	const struct kill_point *at_b;
	struct kill_total total;
};

/* --- violations ---------------------------------------------------------------------------- */

static bool enough(const struct pairs *s)
{
	return s->total.violations >= (uint64_t)s->effort->violation_max;
}

static void print_point(const char *who, const struct kill_point *at)
{
	if (at != NULL)
		printf(", %s at instruction %llu (%u calls + %llu%s, ip %p)", who,
		       (unsigned long long)at->step, at->calls, (unsigned long long)at->rest,
		       at->asleep ? ", asleep" : "", (void *)at->ip);
}

static void violation(struct pairs *s, const char *how, const char *why)
{
	s->total.violations++;
	if (s->effort->quiet)
		return;
	printf("# violation: %s, %s", s->pair->name, how);
	print_point("a stopped", s->at_a);
	print_point("b", s->at_b);
	printf(": %s\n", why);
	fflush(stdout);
}

/* --- both ---------------------------------------------------------------------------------- */

static bool start_peer(struct pairs *s, struct duo *duo)
{
	duo->peer = -1;
	if (s->pair->peer == NULL)
		return true;
	s->report_peer->code = -1;
	s->report_peer->text[0] = '\0';
	fflush(stdout);
	duo->peer = fork();
	if (duo->peer == 0) {
		s->report_peer->code = s->pair->peer(s->world, s->report_peer);
		_exit(0);
	}
	if (harness_await_futex(duo->peer, ASLEEP_MS))
		return true;
	violation(s, "peer", "it never went to sleep");
	return false;
}

static void end_peer(struct pairs *s, struct duo *duo)
{
	int status = 0;

	if (duo->peer <= 0)
		return;
	if (harness_reap(duo->peer, END_MS, &status) < 0) {
		kill(duo->peer, SIGKILL);
		waitpid(duo->peer, &status, 0);
		violation(s, "peer", "it hangs");
	} else if (!WIFEXITED(status) || s->report_peer->code != 0) {
		violation(s, "peer", WIFEXITED(status) ? s->report_peer->text : "it crashed");
	}
	duo->peer = -1;
}

static void kill_both(struct duo *duo)
{
	int status;

	tracee_kill(&duo->b);
	tracee_kill(&duo->a);
	if (duo->peer > 0) {
		kill(duo->peer, SIGKILL);
		waitpid(duo->peer, &status, 0);
	}
	duo->peer = -1;
}

/* Both stand at their first marks, the world as it was. */
static bool start_both(struct pairs *s, struct duo *duo)
{
	const struct kill_pair *pair = s->pair;

	memset(duo, 0, sizeof(*duo));
	duo->a.pid = duo->b.pid = duo->peer = -1;
	kill_world_put(s->world, s->initial);
	memset(s->world->shared, 0, 4096);
	if (tracee_start(&duo->b, s->world, pair->prepare_b, pair->b, s->report_b) < 0) {
		violation(s, "preparing b", s->report_b->text);
	} else if (!start_peer(s, duo)) {
		;
	} else if (tracee_start(&duo->a, s->world, pair->prepare_a, pair->a, s->report_a) < 0) {
		violation(s, "preparing a", s->report_a->text);
	} else {
		return true;
	}
	kill_both(duo);
	return false;
}

static bool start_at(struct pairs *s, struct duo *duo)
{
	if (!start_both(s, duo))
		return false;
	if (kill_run_to(&duo->a, s->at_a))
		return true;
	violation(s, "running a", s->report_a->text);
	kill_both(duo);
	return false;
}

static bool allowed(const struct harness_report *report, const int *refused)
{
	bool good = report->code == 0;

	for (int i = 0; i < KILL_REFUSALS; i++)
		good = good || (refused[i] != 0 && report->code == refused[i]);
	return good;
}

static void check_result(struct pairs *s, const char *who, struct harness_report *report,
			 const int *refused)
{
	char why[96];

	if (allowed(report, refused))
		return;
	snprintf(why, sizeof(why), "%s returned %d (%s)", who, report->code,
		 report->code < 0 ? strerror(-report->code) : "?");
	violation(s, "result", report->text[0] != '\0' ? report->text : why);
}

/* A is let go. Then both are gone, and a survivor judges. @fate_b: what became of B. */
static void conclude(struct pairs *s, struct duo *duo, int fate_b, const char *how)
{
	uint64_t before = s->total.violations;

	s->world->fate_b = fate_b;
	if (duo->a.pid <= 0) {
		s->world->fate_a = KILL_KILLED;
	} else if (tracee_finish(&duo->a, END_MS) != TRACEE_ENDED) {
		violation(s, how, s->report_a->text);
	} else {
		s->world->fate_a = s->report_a->code;
		check_result(s, "a", s->report_a, s->pair->refused_a);
	}
	tracee_kill(&duo->a);
	end_peer(s, duo); /* b may stand at its end, alive: its death wakes nobody here */
	tracee_kill(&duo->b);
	s->total.pairs++;
	if (s->total.violations != before)
		return;
	if (kill_call(s->pair->check, s->world, CHECK_SECONDS, s->survivor) != 0) {
		if (s->survivor->text[0] == '\0')
			harness_say(s->survivor, 0, "the checker returned %d", s->survivor->code);
		violation(s, how, s->survivor->text);
	}
}

/* --- the states of B, where A stands --------------------------------------------------------- */

/* Step B through, A standing. Then A is let go beside it. */
static void step_b(struct pairs *s, struct kill_run *run)
{
	enum tracee_event e;
	struct duo duo;

	memset(run, 0, sizeof(*run));
	run->by_store = !s->effort->by_steps;
	if (!start_at(s, &duo))
		return;
	e = kill_run_through(run, &duo.b, s->world, SLEEPS_ENOUGH);
	if (e == TRACEE_DIED) {
		violation(s, "stepping b", s->report_b->text);
		kill_both(&duo);
		return;
	}
	if (e == TRACEE_ENDED)
		check_result(s, "b", s->report_b, s->pair->refused_b);
	else
		tracee_kill(&duo.b); /* what it has meanwhile A may need */
	conclude(s, &duo, e == TRACEE_ENDED ? s->report_b->code : KILL_KILLED, "ended");
}

static void kill_b(struct pairs *s)
{
	struct duo duo;

	if (!start_at(s, &duo))
		return;
	if (!kill_run_to(&duo.b, s->at_b)) {
		violation(s, "running b", s->report_b->text);
		kill_both(&duo);
		return;
	}
	tracee_kill(&duo.b);
	conclude(s, &duo, KILL_KILLED, "killed");
}

static void kill_a(struct pairs *s)
{
	struct duo duo;

	if (!start_at(s, &duo))
		return;
	if (tracee_finish(&duo.b, END_MS) != TRACEE_ENDED) {
		violation(s, "b beside a that stands", s->report_b->text);
		kill_both(&duo);
		return;
	}
	check_result(s, "b", s->report_b, s->pair->refused_b);
	tracee_kill(&duo.a);
	conclude(s, &duo, s->report_b->code, "converse");
}

static int common_divisor(int a, int b)
{
	return b == 0 ? a : common_divisor(b, a % b);
}

/* The @i-th point: each once, and the first few far from each other; which ones, start says. */
static const struct kill_point *point_at(const struct pairs *s, const struct kill_run *run, int i)
{
	int count = run->point_count, step = (int)((int64_t)count * 618 / 1000) + 1;

	while (common_divisor(step, count) != 1)
		step++;
	return &run->points[((int64_t)s->effort->start + (int64_t)i * step) % count];
}

static void sweep_point(struct pairs *s)
{
	struct kill_run run;
	int want;

	step_b(s, &run);
	s->total.stops += run.steps + 1;
	s->total.states += (uint64_t)run.image_count;
	want = kill_bounded(run.point_count, s->effort->killed_max);
	for (int i = 0; i < want && !enough(s); i++) {
		s->at_b = point_at(s, &run, i);
		kill_b(s);
	}
	s->at_b = NULL;
	if (!enough(s))
		kill_a(s);
	kill_run_free(&run);
}

/* --- the sweep ------------------------------------------------------------------------------- */

/* Step A through while B stands at its beginning. */
static bool collect(struct pairs *s, struct kill_run *run)
{
	bool waits = (s->pair->flags & PAIR_A_WAITS) != 0;
	enum tracee_event e;
	struct duo duo;

	memset(run, 0, sizeof(*run));
	run->by_store = !s->effort->by_steps;
	if (!start_both(s, &duo))
		return false;
	e = kill_run_through(run, &duo.a, s->world, waits ? SLEEPS_ENOUGH : 0);
	kill_both(&duo);
	if (e == (waits ? TRACEE_ASLEEP : TRACEE_ENDED)) {
		if (!waits && s->report_a->code != 0)
			check_result(s, "a alone", s->report_a, s->pair->refused_a);
		return !enough(s);
	}
	violation(s, "stepping a", e == TRACEE_DIED ? s->report_a->text : "it does not wait for b");
	return false;
}

static void sweep_states(struct pairs *s)
{
	struct kill_run run;
	int want;

	if (collect(s, &run)) {
		s->total.stops += run.steps + 1;
		s->total.states += (uint64_t)run.image_count;
		want = kill_bounded(run.point_count, s->effort->stopped_max);
		for (int i = 0; i < want && !enough(s); i++) {
			s->at_a = point_at(s, &run, i);
			sweep_point(s);
		}
	}
	kill_run_free(&run);
}

uint64_t kill_pair_sweep(const struct kill_pair *pair, struct kill_world *world,
			 const struct kill_effort *effort, struct kill_total *total)
{
	static struct harness_report *reports;
	struct pairs s = { .pair = pair, .world = world, .effort = effort };

	if (reports == NULL)
		reports = harness_shared(4 * sizeof(*reports));
	if (world->shared == NULL)
		world->shared = harness_shared(4096);
	memset(world->shared, 0, 4096);
	s.survivor = &reports[0];
	s.report_a = &reports[1];
	s.report_b = &reports[2];
	s.report_peer = &reports[3];
	s.total.operations = 1;
	kill_world_clear(world);
	if (kill_call(pair->setup, world, CHECK_SECONDS, s.survivor) != 0) {
		violation(&s, "setup", s.survivor->text);
	} else {
		s.initial = kill_world_take(world);
		sweep_states(&s);
		kill_image_free(s.initial);
	}
	kill_world_clear(world);
	kill_total_add(total, &s.total);
	return s.total.violations;
}
