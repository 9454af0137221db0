/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.h - what a stepped run leaves: points, where something could have become different for the
 * others, and distinct images; each point names the image that held there. For engine.c and
 * pairs.c.
 */
#ifndef TESTS_KILL_RUN_H
#define TESTS_KILL_RUN_H

#include "engine.h"

/* Where the child was: so many system calls done, and so many instructions, or stores, since. */
struct kill_point {
	uint64_t step;
	uint64_t rest;
	uint64_t hits; /* how often ip was reached since the last call; 0: not counted */
	bool by_store;
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
	bool by_store;
	uintptr_t *ips; /* after each step, of an instruction each; NULL where by_store */
	uint64_t ip_room;
	struct kill_image **images;
	int *outcomes; /* of each image, once judged */
	int image_count;
	uint64_t steps;
};

/* Where it is after @step of @run, @rest instructions behind the last call. */
struct kill_point kill_point_of(const struct kill_run *run, uint64_t step, uint32_t calls,
				uint64_t rest);

/*
 * Step @t, which stands at its first mark, to the second one, and fill in @run, whose by_store says
 * whether by instructions or by stores; the rest of it is empty. After @sleeps_max
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
