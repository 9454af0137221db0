/* SPDX-License-Identifier: BSD-2-Clause */
/* prims.h - what the scenarios of primitives share: handles, and what a lock guards. */
#ifndef TESTS_SCHED_PRIMS_H
#define TESTS_SCHED_PRIMS_H

#include <errno.h>
#include <string.h>

#include "scenarios.h"
#include "sync/prim.h"

/* Two words for each process, by its own mapping, that are equal whenever nobody is in the middle
 * of changing them. */
struct pair {
	uint64_t word[2];
};

extern struct pair *pair_of[SCHED_PROCS + 1];

/* Make it, for processes 0 to @procs - 1 and the one that verifies; in the end close it. */
void open_pair(int procs);
void close_pair(void);

static inline bool is_whole(int me)
{
	return pair_of[me]->word[0] == pair_of[me]->word[1];
}

/* Which process the @i-th of @procs handles is for: the last one is for who verifies. */
static inline int nth(int i, int procs)
{
	return i == procs ? SCHED_PROCS : i;
}

/* A handle is made by the process that acts: it looks once before it sleeps, and is put back. */
void keep(void *handle);
/* The words and seats of a primitive are written while processes run. */
void show(void *handle);

#endif /* TESTS_SCHED_PRIMS_H */
