/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * schedule.h - run the library's own code under every schedule, with deaths, up to a bound.
 *
 * The sources of the library are compiled with -fsanitize=thread and linked with hooks of our own
 * instead of the sanitizer's runtime (hooks.c), and with a kernel of our own in place of futexes,
 * liveness locks and the clock (kernel.c). So each access to the region comes by here before it is
 * made, and the scheduler (engine.c) decides there who goes on, and who dies.
 *
 * A "process" is a coroutine with a member's handle of its own, and a mapping of its own, of one
 * region; what has no region shares memory beside it, and its threads are real ones, which sleep
 * while processes run (apart.c). Only one runs at a time, so what is explored is every interleaving
 * in which each access takes effect at once: orders that a weak processor adds are the models'
 * business (tests/model).
 *
 * What may happen instead of going on, at each access to shared memory and each call of the kernel:
 *   switch   another process that could run runs: costs one preemption
 *   timer    a sleeper's time limit passes now rather than when nothing else can happen: the same
 *   kill     a process runs no further; the kernel marks its beacon, wakes one who waits on it,
 *            and drops its liveness lock. Costs one kill
 *   slow     the same, but the lock is dropped only when all others wait: the kernel works in that
 *            order, and others may look in between
 * Where the running process sleeps, ends or dies, who goes on is open too, and costs nothing.
 *
 * Left out is what cannot make a difference: accesses to memory that nobody writes (a store
 * there is a failure), a death before a load (it is one before the next store), the death of a
 * process that is not running, but where somebody looks or all wait, and looking once more at a
 * word that nobody has stored to since. A state that was reached before, with as many preemptions
 * and kills left, is not gone through again ("merged"): the state is the bytes of shared memory,
 * and for each process all that it ever saw of them and of the kernel, since that decides what it
 * does next.
 *
 * Time stands still while anybody can run. Who yields lets others go first until one of them has
 * stored; where all who could run have yielded in vain, a moment passes. When all wait, somebody's
 * time limit must pass; but where no death excuses it, that is a failure: nobody may need the limit
 * to be woken.
 */
#ifndef TESTS_SCHED_H
#define TESTS_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plat/plat.h"

struct tarn_region;

enum { SCHED_PROCS = 3, SCHED_BOUNDS = 3 };

/* How far to go. */
struct sched_bound {
	int preemptions;
	int kills;
};

enum sched_access {
	SCHED_LOAD,
	SCHED_STORE,
	SCHED_CHANGE,  /* load and store in one */
	SCHED_ATTEMPT, /* a load, unless others run first: then perhaps a store */
};

struct sched_scenario {
	const char *name;
	const char *text;
	int procs;
	size_t size; /* of the region, bytes; 0 = 16 KiB */
	bool timers; /* time limits may pass at any time */
	bool slow;   /* deaths that take a while */
	struct sched_bound quick;
	struct sched_bound full[SCHED_BOUNDS]; /* one after the other; 0.0 is none */
	void (*setup)(void); /* objects and handles; sched_region(), sched_hot(), sched_private() */
	void (*body)(int me);
	void (*verify)(void); /* as an observer, when nobody runs any more */
	/* Did @me hold what others wait for? Then its death must wake them without a time limit.
	 * NULL: any death excuses one. */
	bool (*holds)(int me);
	void (*cleanup)(void); /* handles */
	/* A peer that keeps no rule, and is always there just before the access. May be NULL. */
	void (*rival)(const void *at, enum sched_access kind);
};

/* --- for scenarios ------------------------------------------------------------------------- */

/* The handle of process @p; SCHED_PROCS: of the one that sets up and verifies. */
struct tarn_region *sched_region(int p);
/* Act as process @p while setting up: whose thread this is. */
void sched_as(int p);
/* Memory beside the region that processes share: where each of them has its @size bytes, a multiple
 * of 8, NULL if it does not, and where they can be written. */
void sched_area(size_t size, void *const at[SCHED_PROCS + 1]);
/* These bytes of the region, or beside it, are written while processes run. @name: for traces. */
void sched_hot(const char *name, const void *at, size_t size);
/* Name a word of what is hot, for traces. */
void sched_name(const char *name, const void *at);
/* Handles and the like: put back before each execution. */
void sched_private(void *at, size_t size);
/* The same for what a scenario writes down about its processes, and judges by. */
void sched_ghost(void *at, size_t size);
/* This execution breaks a rule. Does not return. */
void sched_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
bool sched_dead(int p);
/* The running process has a deadline of its own: it is right to be woken by that. */
void sched_deadline(int64_t deadline);
int64_t sched_now(void);

#define SCHED_CHECK(condition, ...)                                                                \
	do {                                                                                       \
		if (!(condition))                                                                  \
			sched_fail(__VA_ARGS__);                                                   \
	} while (0)

/* --- between the files of the scheduler ---------------------------------------------------- */

/* A process is about to make this access. */
void sched_access(const void *at, size_t size, enum sched_access kind);

/* Is it a process that runs? Else setting up, or verifying; or it is a thread that a handle has,
 * which is to be asleep by then. */
bool sched_running(void);
bool sched_verifying(void);
/* A call of the kernel that others may notice. */
void sched_call(const char *name);
/* Is the lock of member slot @slot held? */
int sched_locked(uint32_t slot);
/* Sleep on @count words until woken or @until; 0 or -ETIMEDOUT. */
int sched_sleep(const struct tarn__futex *words, int count, int64_t until);
int sched_wake(const void *word, int count);
void sched_yield_now(void);
uint32_t sched_tid(void);
/* The robust list of the process: its head, as the kernel would say. */
void **sched_robust_list(void);

/* --- for main.c ---------------------------------------------------------------------------- */

struct sched_result {
	uint64_t executions; /* begun */
	uint64_t merged;     /* of them, ended in a state that was seen before */
	uint64_t states;     /* in which there was a choice */
	uint64_t ends;       /* different states in which all had ended */
	uint64_t points;
	uint64_t kills;
	uint64_t sleeps;
	int64_t ns;
	bool cut; /* by the limit of executions */
	bool violated;
	char what[256]; /* the violation */
	char schedule[512];
};

struct sched_how {
	struct sched_bound bound;
	bool merge;
	uint64_t limit; /* of executions; 0 none */
};

void sched_explore(const struct sched_scenario *scenario, const struct sched_how *how,
		   struct sched_result *ret);
/* One execution, that of @schedule, told step by step. */
void sched_replay(const struct sched_scenario *scenario, const struct sched_how *how,
		  const char *schedule, struct sched_result *ret);

#endif /* TESTS_SCHED_H */
