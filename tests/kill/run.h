/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.h - what a stepped run leaves: points, where something could have become different for the
 * others, and distinct images; each point names the image that held there. For engine.c and
 * pairs.c.
 */
#ifndef TESTS_KILL_RUN_H
#define TESTS_KILL_RUN_H

#include "engine.h"

/* Where the child was: so many system calls done, and so many instructions since. */
struct kill_point {
	uint64_t step;
	uint64_t rest;
	uint32_t calls;
	bool asleep;
	int image;
	uintptr_t ip;
};

struct kill_run {
	struct kill_point *points;
	int point_count;
	int point_room;
	uint64_t *call_steps; /* the step after each system call */
	uint32_t call_count;
	struct kill_image **images;
	int *outcomes; /* of each image, once judged */
	int image_count;
	uint64_t steps;
};

/*
 * Step @t, which stands at its first mark, to the second one, and fill in @run. After @sleeps_max
 * sleeps, if that is not 0, or three times as many attempts, it is left there. ENDED, ASLEEP; or
 * DIED, and t->report says how.
 */
enum tracee_event kill_run_through(struct kill_run *run, struct tracee *t,
				   const struct kill_world *world, int sleeps_max);
void kill_run_free(struct kill_run *run);

/* Run @t to @at without looking. False if it is dead already. */
bool kill_run_to(struct tracee *t, const struct kill_point *at);

/* Call @fn in a process of its own. What it returned; or KILL_VIOLATION, and @report says why. */
int kill_call(kill_fn *fn, struct kill_world *world, unsigned seconds,
	      struct harness_report *report);

/* The @i-th of @want indices spread evenly over @count, moved on by @start. */
int kill_spread(int i, int want, int count, unsigned start);
/* At most @max of @count; 0: all. */
int kill_bounded(int count, int max);

#endif /* TESTS_KILL_RUN_H */
