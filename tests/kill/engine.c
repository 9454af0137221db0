/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - the sweep of one operation. See engine.h.
 *
 * A run of the stepped child leaves a list of points (where it was when something could have
 * become different for the others) and a list of distinct images; each point names the image
 * that held there. Everything after that - judging, the recoverer's own runs, the real kills -
 * works from these two lists.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "run.h"

enum {
	CHECK_SECONDS = 20, /* a survivor that needs longer hangs */
	PEER_MS = 5000,
	UNJUDGED = -1000,   /* the outcome of an image that was left out */
	SLOW_FIRST_MAX = 8, /* double kills of a KILL_SLOW operation in the full sweep */
};

const struct kill_effort kill_sample = { .image_max = 12,
					 .real_max = 6,
					 .first_max = 1,
					 .second_max = 3,
					 .stopped_max = 2,
					 .killed_max = 2,
					 .violation_max = 5 };
const struct kill_effort kill_quick = { .real_max = 12,
					.every_max = 0,
					.first_max = 2,
					.second_max = 5,
					.stopped_max = 3,
					.killed_max = 2,
					.violation_max = 5 };
const struct kill_effort kill_full = { .every_max = 1200, .violation_max = 5 };

struct sweep {
	const struct kill_op *op;
	struct kill_world *world;
	const struct kill_effort *effort;
	struct kill_image *initial;
	struct harness_report *report; /* of survivors and closures */
	struct harness_report *child;  /* of the stepped child */
	struct kill_total total;
	int after;
	bool unlike; /* a segment's creator could not be given its process id: real kills only */
};

/* --- violations ---------------------------------------------------------------------------- */

static bool enough(const struct sweep *s)
{
	return s->total.violations >= (uint64_t)s->effort->violation_max;
}

static void violation(struct sweep *s, const char *how, const struct kill_point *at,
		      const char *why)
{
	s->total.violations++;
	if (s->effort->quiet)
		return;
	printf("# violation: %s, %s", s->op->name, how);
	if (at != NULL)
		printf(", at instruction %llu (%u calls + %llu%s, ip %p)",
		       (unsigned long long)at->step, at->calls, (unsigned long long)at->rest,
		       at->asleep ? ", asleep" : "", (void *)at->ip);
	printf(": %s\n", why);
	fflush(stdout);
}

/* --- runs of closures ---------------------------------------------------------------------- */

static int run_closure(struct sweep *s, kill_fn *fn)
{
	return kill_call(fn, s->world, CHECK_SECONDS, s->report);
}

/* A survivor's verdict on the world as it is. */
static int judge_by(struct sweep *s, kill_fn *check)
{
	int outcome = run_closure(s, check);

	if (check == s->op->check && outcome > s->after) {
		harness_say(s->report, 0, "outcome %d, legal are 0 to %d", outcome, s->after);
		outcome = KILL_VIOLATION;
	}
	if (outcome < 0 && s->report->text[0] == '\0')
		harness_say(s->report, 0, "the checker returned %d", outcome);
	return outcome;
}

/* Each survivor's verdict on @image; false if the world cannot be made like it. */
static bool judge_image(struct sweep *s, const struct kill_image *image, int *ret_outcome)
{
	if (!kill_world_put(s->world, image)) {
		s->unlike = true;
		return false;
	}
	*ret_outcome = judge_by(s, s->op->check);
	if (*ret_outcome >= 0 && s->op->check2 != NULL) {
		kill_world_put(s->world, image);
		if (judge_by(s, s->op->check2) < 0)
			*ret_outcome = KILL_VIOLATION;
	}
	return true;
}

static void wake_sleeper(void *arg)
{
	struct sweep *s = arg;

	if (run_closure(s, s->op->wake) != 0)
		violation(s, "waking it", NULL, s->report->text);
}

/* --- one stepped run ----------------------------------------------------------------------- */

struct peer {
	pid_t pid;
	struct harness_report *report;
};

static void peer_start(struct sweep *s, struct peer *peer)
{
	peer->pid = -1;
	if (s->op->peer == NULL)
		return;
	peer->report = s->child + 1;
	peer->report->code = -1;
	peer->report->text[0] = '\0';
	fflush(stdout);
	peer->pid = fork();
	if (peer->pid == 0) {
		peer->report->code = s->op->peer(s->world, peer->report);
		_exit(0);
	}
	if (!harness_await_futex(peer->pid, PEER_MS))
		violation(s, "peer", NULL, "it never went to sleep");
}

static void peer_end(struct sweep *s, struct peer *peer, const struct kill_point *at)
{
	int limit = s->effort->peer_ms != 0 ? s->effort->peer_ms : PEER_MS;
	int status = 0;

	if (peer->pid <= 0)
		return;
	if (harness_reap(peer->pid, limit, &status) < 0) {
		kill(peer->pid, SIGKILL);
		waitpid(peer->pid, &status, 0);
		s->total.by_real++;
		violation(s, "peer", at, "it hangs");
	} else if (!WIFEXITED(status) || peer->report->code != 0) {
		violation(s, "peer", at, WIFEXITED(status) ? peer->report->text : "it crashed");
	}
}

/* Step @fn through from @from; @first: it is the operation, not a recoverer. 0, or -1 with a
 * violation written down. */
static int collect(struct sweep *s, const struct kill_image *from, kill_fn *prepare, kill_fn *fn,
		   bool first, struct kill_run *run)
{
	struct tracee t = { 0 };
	enum tracee_event e = TRACEE_DIED;
	struct peer peer = { .pid = -1 };

	memset(run, 0, sizeof(*run));
	run->by_store = !first && !s->effort->by_steps;
	if (!kill_world_put(s->world, from))
		s->unlike = true; /* what is seen of this run says nothing */
	if (first)
		peer_start(s, &peer);
	if (first && s->op->wake != NULL) {
		t.on_sleep = wake_sleeper;
		t.on_sleep_arg = s;
	}
	if (tracee_start(&t, s->world, prepare, fn, s->child) == 0) {
		e = kill_run_through(run, &t, s->world, 0);
		tracee_kill(&t);
	}
	peer_end(s, &peer, NULL);
	if (e == TRACEE_ENDED)
		return 0;
	violation(s, "stepping", NULL, s->child->text);
	return -1;
}

/* --- images -------------------------------------------------------------------------------- */

/* Outcomes must not go back while the operation proceeds, start at 0 and end at `after`. */
static void check_order(struct sweep *s, const struct kill_run *run)
{
	int highest = 0;
	char why[96];

	if ((s->op->flags & KILL_UNORDERED) != 0 || run->point_count == 0)
		return;
	for (int i = 0; i < run->point_count && !enough(s); i++) {
		const struct kill_point *p = &run->points[i];
		int outcome = run->outcomes[p->image];

		if (outcome == UNJUDGED)
			continue;
		if (outcome < 0)
			return; /* told already */
		if (outcome < highest || (i == 0 && outcome != 0)) {
			snprintf(why, sizeof(why), "outcome %d after %d", outcome, highest);
			violation(s, "order", p, why);
		}
		highest = outcome > highest ? outcome : highest;
	}
	if (highest != ((s->op->flags & KILL_UNCHANGED) != 0 ? 0 : s->after)) {
		snprintf(why, sizeof(why), "done, and the outcome is %d, not %d", highest,
			 s->after);
		violation(s, "order", NULL, why);
	}
}

static bool sampled(const struct sweep *s, int i, int count)
{
	int max = s->effort->image_max;
	int stride = max == 0 ? 1 : (count + max - 1) / max;

	return i == 0 || i == count - 1 || (i + (int)(s->effort->start % 1000)) % stride == 0;
}

static void judge_images(struct sweep *s, struct kill_run *run)
{
	for (int i = 0; i < run->image_count && !enough(s); i++) {
		const struct kill_point *at = run->points;

		run->outcomes[i] = UNJUDGED;
		if (!sampled(s, i, run->image_count))
			continue;
		if (!judge_image(s, run->images[i], &run->outcomes[i]))
			return;
		s->total.states++;
		if (run->outcomes[i] >= 0)
			continue;
		while (at->image != i)
			at++;
		s->total.by_image++;
		violation(s, "image", at, s->report->text);
	}
	if (!enough(s))
		check_order(s, run);
}

static void judge_second(struct sweep *s, const struct kill_run *second,
			 const struct kill_point *first)
{
	int want = kill_bounded(second->image_count, s->effort->second_max);

	for (int i = 0; i < want && !enough(s); i++) {
		int index = kill_spread(i, want, second->image_count, s->effort->start);
		const struct kill_point *at = second->points;
		char how[80];
		int outcome = 0;

		judge_image(s, second->images[index], &outcome);
		s->total.doubles++;
		if (outcome >= 0)
			continue;
		while (at->image != index)
			at++;
		snprintf(how, sizeof(how), "recoverer of instruction %llu killed too",
			 (unsigned long long)first->step);
		s->total.by_double++;
		violation(s, how, at, s->report->text);
	}
}

static void double_kills(struct sweep *s, const struct kill_run *run)
{
	bool slow = (s->op->flags & KILL_SLOW) != 0 && s->effort->first_max == 0;
	int want = kill_bounded(run->image_count, slow ? SLOW_FIRST_MAX : s->effort->first_max);

	for (int i = 0; i < want && !enough(s) && !s->unlike; i++) {
		int index = kill_spread(i, want, run->image_count, s->effort->start);
		const struct kill_point *at = run->points;
		struct kill_run second;

		while (at->image != index)
			at++;
		if (collect(s, run->images[index], s->op->ready, s->op->recover, false, &second) ==
			    0 &&
		    !s->unlike) {
			s->total.stops += second.steps + 1;
			judge_second(s, &second, at);
		}
		kill_run_free(&second);
	}
}

/* --- real kills ---------------------------------------------------------------------------- */

static void real_kill(struct sweep *s, const struct kill_point *at)
{
	struct tracee t = { 0 };
	struct peer peer;

	kill_world_put(s->world, s->initial);
	peer_start(s, &peer);
	if (s->op->wake != NULL) {
		t.on_sleep = wake_sleeper;
		t.on_sleep_arg = s;
	}
	if (tracee_start(&t, s->world, s->op->prepare, s->op->op, s->child) < 0 ||
	    !kill_run_to(&t, at)) {
		violation(s, "running to a kill", at, s->child->text);
		tracee_kill(&t);
	} else {
		tracee_kill(&t);
		s->total.reals++;
		peer_end(s, &peer, at);
		peer.pid = -1;
		/* the one survivor or the other, in turn */
		bool second = s->op->check2 != NULL && (s->total.reals & 1) != 0;

		if (judge_by(s, second ? s->op->check2 : s->op->check) < 0) {
			s->total.by_real++;
			violation(s, "real kill", at, s->report->text);
		}
	}
	peer_end(s, &peer, at);
}

/* Every instruction of a short run, as points. */
static void kill_everywhere(struct sweep *s, const struct kill_run *run)
{
	uint32_t calls = 0;

	for (uint64_t step = 0; step <= run->steps && !enough(s); step++) {
		while (calls < run->call_count && run->call_steps[calls] <= step)
			calls++;

		uint64_t rest = calls != 0 ? step - run->call_steps[calls - 1] : step;
		struct kill_point at = kill_point_of(run, step, calls, rest);

		real_kill(s, &at);
	}
}

static void real_kills(struct sweep *s, const struct kill_run *run)
{
	int max = s->effort->real_max;

	if ((s->op->flags & KILL_SLOW) != 0 && max != 0)
		max = (max + 1) / 2;

	int want = kill_bounded(run->point_count, max);

	for (int i = 0; i < want && !enough(s); i++)
		real_kill(s,
			  &run->points[kill_spread(i, want, run->point_count, s->effort->start)]);
	if (run->steps <= (uint64_t)s->effort->every_max && (s->op->flags & KILL_SLOW) == 0)
		kill_everywhere(s, run);
}

/* --- the sweep ----------------------------------------------------------------------------- */

void kill_total_add(struct kill_total *to, const struct kill_total *from)
{
	to->operations += from->operations;
	to->boundaries += from->boundaries;
	to->stops += from->stops;
	to->states += from->states;
	to->doubles += from->doubles;
	to->reals += from->reals;
	to->pairs += from->pairs;
	to->violations += from->violations;
	to->by_image += from->by_image;
	to->by_double += from->by_double;
	to->by_real += from->by_real;
}

static void sweep_run(struct sweep *s)
{
	struct kill_run run;
	char why[96];

	if (collect(s, s->initial, s->op->prepare, s->op->op, true, &run) == 0) {
		s->total.boundaries += run.steps + 1;
		if (s->child->code != s->op->result) {
			snprintf(why, sizeof(why), "undisturbed, it returned %d, not %d",
				 s->child->code, s->op->result);
			violation(s, "result", NULL, why);
		}
		if ((s->op->flags & KILL_NO_IMAGES) == 0) {
			judge_images(s, &run);
			if (s->op->recover != NULL && !enough(s) && !s->unlike)
				double_kills(s, &run);
		}
		if (s->unlike)
			printf("# %s: real kills only: this user cannot choose process ids\n",
			       s->op->name);
		if (!enough(s))
			real_kills(s, &run);
	}
	kill_run_free(&run);
}

uint64_t kill_sweep(const struct kill_op *op, struct kill_world *world,
		    const struct kill_effort *effort, struct kill_total *total)
{
	/* shared once and kept: a sweep program runs many */
	static struct harness_report *reports;
	struct sweep s = { .op = op, .world = world, .effort = effort };

	if (reports == NULL)
		reports = harness_shared(3 * sizeof(*reports));
	if (world->shared == NULL)
		world->shared = harness_shared(4096);
	memset(world->shared, 0, 4096);
	s.report = &reports[0];
	s.child = &reports[1];
	s.after = op->after != 0 ? op->after : 1;
	s.total.operations = 1;
	kill_world_clear(world);
	if (run_closure(&s, op->setup) != 0) {
		violation(&s, "setup", NULL, s.report->text);
	} else {
		s.initial = kill_world_take(world);
		sweep_run(&s);
		kill_image_free(s.initial);
	}
	kill_world_clear(world);
	kill_total_add(total, &s.total);
	return s.total.violations;
}
