/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tracee.h - a child stopped at every instruction between two marks.
 *
 * The child runs prepare() at full speed, then op() between two int3 instructions. Between
 * them the tracer moves it one instruction at a time, one store at a time, or one system call at a
 * time, and may kill it anywhere. x86-64 only: elsewhere there is no single step to rely on.
 *
 * Store by store: all that it has mapped shared and writable is made read-only from outside, so
 * that it stops at the instruction that stores; that one is stepped with the memory writable again.
 * What it runs through between two stops changes nothing that anybody else can see. On a virtual
 * machine a single step costs some 40 us, and there are fifty to a hundred between two stores.
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

struct tracee_range {
	uintptr_t at;
	size_t size;
};

enum { TRACEE_RANGES = 32 };

struct tracee {
	pid_t pid;
	uintptr_t ip;
	uint64_t step;  /* instructions done since the first mark; or stops, store by store */
	uint32_t calls; /* system calls among them */
	uint64_t rest;  /* instructions since the last of those */
	uint32_t waits; /* calls that wait for a futex, whether they came to sleep or not */
	bool was_call;  /* the last instruction was a system call */
	bool asleep;
	struct tracee_range
		ranges[TRACEE_RANGES]; /* mapped shared and writable, when last looked */
	int range_count;
	bool looked, guarded;          /* ranges are known; they are read-only */
	int signal;                    /* to be delivered when it goes on */
	struct harness_report *report; /* code: what op() returned, once ended */
	void (*on_sleep)(void *arg);   /* called while it sleeps, the first time; may be NULL */
	void *on_sleep_arg;
};

/* Fork, run @prepare (may be NULL), stop at the first mark. 0, or -1 with report->text. */
int tracee_start(struct tracee *t, struct kill_world *world, kill_fn *prepare, kill_fn *op,
		 struct harness_report *report);
enum tracee_event tracee_step(struct tracee *t);
/* Go on until the next store to shared memory, or the next system call, is done. */
enum tracee_event tracee_store(struct tracee *t);
/* Run until @ip is reached for the @hits-th time from here on; no further than to a system call.
 * False: no breakpoint can be set there, and nothing was done. */
bool tracee_run_to(struct tracee *t, uintptr_t ip, uint64_t hits);
/* Run until @calls system calls are done. STEPPED, or ENDED if there were fewer. */
enum tracee_event tracee_run_calls(struct tracee *t, uint32_t calls);
/* Run into the next system call, a futex wait, and leave it asleep there. */
enum tracee_event tracee_enter_sleep(struct tracee *t);
/* Let it run freely to the second mark, at most @ms. ENDED; or DIED, and the report says how. */
enum tracee_event tracee_finish(struct tracee *t, int64_t ms);
/* SIGKILL, and wait until the kernel has let go of all it held. */
void tracee_kill(struct tracee *t);

#endif /* TESTS_KILL_TRACEE_H */
