/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tracee.h - a child stopped at every instruction between two marks.
 *
 * The child runs prepare() at full speed, then op() between two int3 instructions. Between
 * them the tracer moves it one instruction at a time, or one system call at a time, and may
 * kill it anywhere. x86-64 only: elsewhere there is no single step to rely on.
 */
#ifndef TESTS_KILL_TRACEE_H
#define TESTS_KILL_TRACEE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "harness.h"
#include "world.h"

#if defined(__x86_64__) && !defined(__ILP32__)
#define KILL_CAN_STEP 1
#else
#define KILL_CAN_STEP 0
#endif

typedef int kill_fn(struct kill_world *world, struct harness_report *report);

enum tracee_event {
	TRACEE_STEPPED,
	TRACEE_ENDED,  /* at the second mark */
	TRACEE_ASLEEP, /* inside the kernel, waiting for a futex */
	TRACEE_DIED,   /* by itself: report->text says how */
};

struct tracee {
	pid_t pid;
	uintptr_t ip;
	uint64_t step;  /* instructions done since the first mark */
	uint32_t calls; /* system calls among them */
	uint64_t rest;  /* instructions since the last of those */
	uint32_t waits; /* calls that wait for a futex, whether they came to sleep or not */
	bool was_call;  /* the last instruction was a system call */
	bool asleep;
	int signal;                    /* to be delivered when it goes on */
	struct harness_report *report; /* code: what op() returned, once ended */
	void (*on_sleep)(void *arg);   /* called while it sleeps, the first time; may be NULL */
	void *on_sleep_arg;
};

/* Fork, run @prepare (may be NULL), stop at the first mark. 0, or -1 with report->text. */
int tracee_start(struct tracee *t, struct kill_world *world, kill_fn *prepare, kill_fn *op,
		 struct harness_report *report);
enum tracee_event tracee_step(struct tracee *t);
/* Run until @calls system calls are done. STEPPED, or ENDED if there were fewer. */
enum tracee_event tracee_run_calls(struct tracee *t, uint32_t calls);
/* Run into the next system call, a futex wait, and leave it asleep there. */
enum tracee_event tracee_enter_sleep(struct tracee *t);
/* Let it run freely to the second mark, at most @ms. ENDED; or DIED, and the report says how. */
enum tracee_event tracee_finish(struct tracee *t, int64_t ms);
/* SIGKILL, and wait until the kernel has let go of all it held. */
void tracee_kill(struct tracee *t);

#endif /* TESTS_KILL_TRACEE_H */
