/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads.h - for libraries that start threads of their own: let them be on any processor.
 *
 * A side is on one processor, and a thread begins where the one is that starts it. Bound to the
 * side's processor the library's threads would only ever run while the side does not.
 */
#ifndef BENCH_PEERS_THREADS_H
#define BENCH_PEERS_THREADS_H

#include <sched.h>

#include "peers.h"

struct threads {
	cpu_set_t anywhere, own;
};

/* In open(): where the team may be. */
static inline void threads_look(struct bench *b, struct threads *threads)
{
	if (sched_getaffinity(0, sizeof(threads->anywhere), &threads->anywhere) != 0)
		bench_fail(b, "sched_getaffinity", errno);
}

/* In attach(): what is started from here on until threads_end() may be there, too. */
static inline void threads_begin(struct bench *b, struct threads *threads)
{
	if (sched_getaffinity(0, sizeof(threads->own), &threads->own) != 0 ||
	    sched_setaffinity(0, sizeof(threads->anywhere), &threads->anywhere) != 0)
		bench_fail(b, "sched_setaffinity", errno);
}

static inline void threads_end(struct bench *b, struct threads *threads)
{
	if (sched_setaffinity(0, sizeof(threads->own), &threads->own) != 0)
		bench_fail(b, "sched_setaffinity", errno);
}

#endif /* BENCH_PEERS_THREADS_H */
