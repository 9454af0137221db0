/* SPDX-License-Identifier: BSD-2-Clause */
/* engine.h - what engine.c (who runs) and explore.c (which schedules) share. */
#ifndef TESTS_SCHED_ENGINE_H
#define TESTS_SCHED_ENGINE_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

#include "schedule.h"

enum { WORDS = 4, OPTIONS = 16, TLS_MAX = 8192 };

enum proc_state { PROC_NONE, PROC_READY, PROC_ASLEEP, PROC_ENDED, PROC_DEAD };

struct proc {
	enum proc_state state;
	bool started;
	bool locked;      /* its liveness lock */
	uint32_t slot;    /* of its member */
	uint64_t history; /* hash of all it has done and seen */
	int64_t deadline; /* its own */

	/* asleep */
	size_t words[WORDS]; /* offsets */
	int word_count;
	int64_t until;
	bool poll;      /* for a moment only */
	uint64_t since; /* the order in which they fell asleep */
	int result;     /* of the sleep, once it is over */

	/* it has yielded, having seen all that was stored until then */
	bool yielded;
	uint64_t yield_stores;

	/* the last load, to know one that is made again */
	size_t last_off;
	uint64_t last_stores;

	unsigned char tls[TLS_MAX], tls_at_start[TLS_MAX]; /* what the library keeps a thread */
	jmp_buf base, here;
	ucontext_t context;
	void *list[4]; /* as a robust list's head */
};

enum option_kind { OPTION_RUN, OPTION_TIMER, OPTION_KILL, OPTION_SLOW };

struct option {
	enum option_kind kind;
	int who;
};

struct engine {
	struct proc procs[SCHED_PROCS + 1];
	int count;
	int current;
	bool running, verifying, telling;
	int preemptions, kills;
	int64_t now;
	uint64_t naps;
	int idles, spins;
	bool excused; /* a death may have cost a wake-up */
	uint64_t points, sleeps;
	const struct sched_scenario *scenario;
	struct sched_bound bound;
};

extern struct engine engine;

/* How an execution ends. */
enum outcome { OUTCOME_NONE, OUTCOME_DONE, OUTCOME_MERGED, OUTCOME_FAILED };

/* --- engine.c ------------------------------------------------------------------------------ */

void engine_make(void);
/* Put the thread-local variables of process @p in force, or keep them. */
void engine_tls_load(const unsigned char *from);
void engine_tls_save(unsigned char *to);
/* One execution, from the world as it is. */
enum outcome engine_run(void);
/* Call @fn; a failure in it ends it. */
enum outcome engine_outside(void (*fn)(void));
void engine_end(enum outcome outcome) __attribute__((noreturn));
/* The state as a number: of all that decides what can happen from here on. */
uint64_t engine_state(void);
void engine_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, while a schedule is replayed. */
#define engine_tell(...) (engine.telling ? engine_print(__VA_ARGS__) : (void)0)

/* --- explore.c ----------------------------------------------------------------------------- */

/* Which of @count options? Ends the execution where that is known already. */
int explore_choose(const struct option *options, int count);

#endif /* TESTS_SCHED_ENGINE_H */
