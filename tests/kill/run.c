/* SPDX-License-Identifier: BSD-2-Clause */
/* run.c - one stepped run: its points and its images. See run.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run.h"

enum {
	STEPS_MAX = 1000000, /* an operation that takes more does not end */
	IMAGES_MAX = 4096,
	SLEEPS_MAX = 3, /* points recorded inside a sleep, a run */
};

static void *must(void *p)
{
	if (p == NULL) {
		perror("kill");
		exit(2);
	}
	return p;
}

void kill_run_free(struct kill_run *run)
{
	for (int i = 0; i < run->image_count; i++)
		kill_image_free(run->images[i]);
	free(run->images);
	free(run->outcomes);
	free(run->points);
	free(run->call_steps);
	free(run->ips);
	memset(run, 0, sizeof(*run));
}

/* The index of @image among those of the run; takes it over. */
static int intern(struct kill_run *run, struct kill_image *image)
{
	for (int i = 0; i < run->image_count; i++) {
		if (kill_image_equal(run->images[i], image)) {
			kill_image_free(image);
			return i;
		}
	}
	if (run->image_count == IMAGES_MAX) {
		kill_image_free(image);
		return IMAGES_MAX - 1;
	}
	if (run->images == NULL) {
		run->images = must(calloc(IMAGES_MAX, sizeof(struct kill_image *)));
		run->outcomes = must(calloc(IMAGES_MAX, sizeof(int)));
	}
	run->images[run->image_count] = image;
	return run->image_count++;
}

struct kill_point kill_point_of(const struct kill_run *run, uint64_t step, uint32_t calls,
				uint64_t rest)
{
	struct kill_point at = { .step = step, .calls = calls, .rest = rest };

	at.by_store = run->by_store;
	if (run->by_store)
		return at;
	at.ip = run->ips[step];
	for (uint64_t i = step - rest + 1; i <= step; i++)
		at.hits += run->ips[i] == at.ip;
	return at;
}

static void add_ip(struct kill_run *run, const struct tracee *t)
{
	if (run->by_store)
		return;
	if (t->step >= run->ip_room) {
		run->ip_room = 2 * t->step + 1024;
		run->ips = must(realloc(run->ips, run->ip_room * sizeof(*run->ips)));
	}
	run->ips[t->step] = t->ip;
}

static void add_point(struct kill_run *run, const struct tracee *t, int image)
{
	if (run->point_count == run->point_room) {
		run->point_room = run->point_room != 0 ? 2 * run->point_room : 64;
		run->points =
			must(realloc(run->points, (size_t)run->point_room * sizeof(*run->points)));
	}

	struct kill_point *at = &run->points[run->point_count++];

	*at = kill_point_of(run, t->step, t->calls, t->rest);
	at->asleep = t->asleep;
	at->image = image;
	at->ip = t->ip;
}

static void add_call(struct kill_run *run, const struct tracee *t)
{
	if ((run->call_count & 63) == 0)
		run->call_steps =
			must(realloc(run->call_steps, (run->call_count + 64) * sizeof(uint64_t)));
	run->call_steps[run->call_count++] = t->step;
}

/* What the stepping loop remembers from one instruction to the next. */
struct watcher {
	struct kill_run *run;
	struct tracee *t;
	struct kill_view *view;
	struct kill_image *last; /* the raw bytes when last copied */
	int image;               /* what `last` became, futex words marked */
	int sleeps;
};

static void observe(struct watcher *w)
{
	bool changed;

	if (w->t->was_call || w->last == NULL)
		kill_view_rescan(w->view);
	changed = !kill_view_matches(w->view, w->last);
	/* a call may have changed the robust list, which lies outside the world */
	if (changed || w->t->was_call || w->t->asleep) {
		struct kill_image *marked = kill_view_copy(w->view);

		if (changed) {
			kill_image_free(w->last);
			w->last = kill_view_copy(w->view);
		}
		kill_image_robust(marked, w->view, w->t->pid);
		w->image = intern(w->run, marked);
		add_point(w->run, w->t, w->image);
	}
}

static enum tracee_event step_through(struct watcher *w, int sleeps_max)
{
	enum tracee_event e = TRACEE_STEPPED;

	add_ip(w->run, w->t);
	observe(w);
	while (w->t->step < STEPS_MAX) {
		e = w->run->by_store ? tracee_store(w->t) : tracee_step(w->t);
		if (e == TRACEE_DIED)
			return e;
		add_ip(w->run, w->t);
		if (e == TRACEE_ASLEEP && ++w->sleeps > SLEEPS_MAX)
			continue;
		if (w->t->was_call && e != TRACEE_ASLEEP)
			add_call(w->run, w->t);
		observe(w);
		w->t->was_call = false;
		if (e == TRACEE_ENDED || (e == TRACEE_ASLEEP && w->sleeps == sleeps_max))
			return e;
		/* on a busy machine a step takes so long that no sleep is left to it */
		if (sleeps_max != 0 && w->t->waits >= 3 * (unsigned)sleeps_max)
			return TRACEE_ASLEEP;
	}
	harness_say(w->t->report, -1, "not done after %d instructions", STEPS_MAX);
	return TRACEE_DIED;
}

enum tracee_event kill_run_through(struct kill_run *run, struct tracee *t,
				   const struct kill_world *world, int sleeps_max)
{
	struct watcher w = { .run = run, .t = t, .view = kill_view_open(world) };
	enum tracee_event e = step_through(&w, sleeps_max);

	run->steps = t->step;
	if (e == TRACEE_ENDED && !t->was_call)
		add_point(run, t, w.image); /* the end itself */
	kill_view_close(w.view);
	kill_image_free(w.last);
	return e;
}

/* Run to @at. False if the child is dead already. */
bool kill_run_to(struct tracee *t, const struct kill_point *at)
{
	enum tracee_event e = tracee_run_calls(t, at->calls);

	if (e == TRACEE_STEPPED && at->asleep)
		e = tracee_enter_sleep(t);
	else if (e == TRACEE_STEPPED && 2 * at->hits < at->rest && at->hits != 0 &&
		 tracee_run_to(t, at->ip, at->hits))
		return t->pid > 0;
	else
		for (uint64_t i = 0; i < at->rest && e == TRACEE_STEPPED; i++)
			e = at->by_store ? tracee_store(t) : tracee_step(t);
	return e != TRACEE_DIED;
}

struct closure {
	kill_fn *fn;
	struct kill_world *world;
};

static int call_closure(void *arg, struct harness_report *report)
{
	struct closure *c = arg;

	return c->fn(c->world, report);
}

int kill_call(kill_fn *fn, struct kill_world *world, unsigned seconds,
	      struct harness_report *report)
{
	struct closure c = { .fn = fn, .world = world };

	if (harness_run(call_closure, &c, seconds, report) < 0)
		return KILL_VIOLATION;
	return report->code;
}

int kill_spread(int i, int want, int count, unsigned start)
{
	int64_t at = want <= 1 ? count - 1 : (int64_t)i * (count - 1) / (want - 1);

	return (int)((at + start) % count);
}

int kill_bounded(int count, int max)
{
	return max != 0 && max < count ? max : count;
}
