/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.h - storms of one kind: processes, mostly of two threads each, change things in one region,
 * are killed at random and succeeded, and have exact books kept about them.
 *
 * A program says what is made, joined, changed and settled; crowd_main() does the rest, and is its
 * main. Each thread has a number, and under it a ledger outside of the region: it says there what
 * it is about to make final, before leaving, and that it is final once leave has returned. The
 * region counts the same change in the tx itself. So a death leaves a doubt of one change: what
 * the region counts is at least what was final, and at most what was begun.
 */
#ifndef TESTS_STORM_CROWD_H
#define TESTS_STORM_CROWD_H

#include <tarn/section.h>

#include "storm.h"

enum { PROCESSES = 4, THREADS = 2, BOOKS = PROCESSES * THREADS, PROCESSES_MAX = 12 };

struct crowd_ledger {
	_Atomic uint64_t begun;
	_Atomic uint64_t final;
};

/* What all processes share, outside of the region. */
struct crowd {
	char addr[96];
	int mutant; /* an index in the plan's mutants */
	_Atomic uint32_t stop;
	_Atomic uint64_t counted; /* whatever else the plan counts */
	struct crowd_ledger ledgers[PROCESSES_MAX > BOOKS ? PROCESSES_MAX : BOOKS];
	_Atomic uint32_t log_count;
	char log[LOG_LINES][200];
};

extern struct crowd *crowd;

struct crowd_plan {
	const char *name;                   /* of the program, and in the region's address */
	const char *const *mutants;         /* --mutant=NAME; the first is none; ends with NULL */
	int processes;                      /* of one thread each; 0: PROCESSES of THREADS */
	int64_t pause_us;                   /* between two kills at most; 0: 3000 */
	const char *counts;                 /* what crowd->counted counts: "reads" */
	void (*make)(void);                 /* the region and what is in it; closed again */
	void (*join)(void);                 /* open all of it, in a process that has just begun */
	void (*act)(int n, uint64_t *seed); /* thread @n does something, again and again */
	void (*leave)(int n);     /* the last thing that thread @n does, if it lives; may be NULL */
	uint64_t (*settle)(void); /* in the end: the account; changes counted */
};

int crowd_main(int argc, char **argv, const struct crowd_plan *plan);

/* Write a violation down. */
void crowd_violation(const char *what, int64_t one, int64_t other);
/* Or end here: nothing that follows would mean anything. */
void crowd_must(const char *what, int r);
/* Enter, with all patience. */
struct tarn_tx *crowd_enter(struct tarn_section *section);
/* Thread @n is about to leave; it has left. */
void crowd_begun(int n);
void crowd_final(int n);
/* What the region counts of thread @n's changes: less than its ledger, or more, is a violation. */
void crowd_book(int n, uint64_t changes);
/* Everything the checker of @region finds is a violation. */
void crowd_check(struct tarn_region *region);

#endif /* TESTS_STORM_CROWD_H */
