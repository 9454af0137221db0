/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * relay.h - what bench-peers and the ranks of an MPI share: a relay.
 *
 * Two MPIs cannot live in one process, and ranks are started by their mpirun alone. So the sides of
 * such a cell are stand-ins: they take the limits, and sleep while ranks, one for each side and on
 * that side's processor, run the loop of the measure in the relay's copy of struct bench_shm. Side
 * 0 starts them in attach(), and takes their results over.
 *
 *     state          who, when
 *     0              side 0 has mpirun start the ranks
 *     RELAY_READY    rank 0, when all are there
 *     RELAY_GO       side 0, in run()
 *     RELAY_DONE     rank 0, when the loop is through
 *     RELAY_LEAVE    side 0, in detach(): the ranks end
 *
 * The relay is a memfd, which the ranks open by its name in /proc; it ends with all of them.
 */
#ifndef BENCH_PEERS_RELAY_H
#define BENCH_PEERS_RELAY_H

#include <sched.h>

#include "../contestant.h"

enum relay_state { RELAY_READY = 1, RELAY_GO = 2, RELAY_DONE = 3, RELAY_LEAVE = 4 };

struct relay {
	BENCH_LINE uint32_t state; /* enum relay_state; a futex word */
	struct bench_cell cell;    /* its pointers are of no use to the ranks */
	unsigned sides;
	bool yield;
	uint64_t count, warm;
	cpu_set_t where[BENCH_SIDES_MAX]; /* each side's */
	struct bench_shm shm;
};

/* Sleep until the state is @state or later, or for @ns; true: it is. */
bool relay_await(struct relay *relay, uint32_t state, long ns);
void relay_advance(struct relay *relay, uint32_t state);

#endif /* BENCH_PEERS_RELAY_H */
