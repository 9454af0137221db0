/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.h - one process is stopped inside an operation, and another one dies beside it.
 *
 * A is stepped through its operation and left standing, alive, where something has become different
 * for the others. B is stepped through an operation of its own on the same things, and is killed
 * where something has become different. Then A is let go: it has to come to its end as if it had
 * been alone with what B left, and a survivor judges what is there then. So for each state of A,
 * and for each of B's states that follows from it:
 *
 *   killed    A stands, B is killed, A goes on to its end
 *   ended     A stands, B comes to its end, or waits for A; A goes on
 *   converse  A stands, B comes to its end by itself; A is killed
 *
 * What B is refused, since A stands in the way, is part of the operation: nobody may take from A
 * what it has, however long it stands. B is ready before A begins, so it can be one who is inside
 * while A comes.
 */
#ifndef TESTS_KILL_PAIRS_H
#define TESTS_KILL_PAIRS_H

#include "engine.h"

/* world->fate_a, fate_b: what the operation returned, or that it did not. */
enum { KILL_KILLED = 1 };

enum { KILL_REFUSALS = 3 };

/* Flags of struct kill_pair; and KILL_LONG. */
#define PAIR_A_WAITS (1u << 0) /* alone with B that stands, A goes to sleep and stays there */

struct kill_pair {
	const char *name;
	kill_fn *setup;               /* in a process of its own: make the world before; 0 */
	kill_fn *prepare_a, *a;       /* is stopped */
	kill_fn *prepare_b, *b;       /* is killed */
	kill_fn *check;               /* in a survivor: 0, or KILL_VIOLATION with the reason */
	kill_fn *peer;                /* falls asleep between B's preparing and A's; 0 */
	int refused_a[KILL_REFUSALS]; /* what a may return besides 0 */
	int refused_b[KILL_REFUSALS];
	unsigned flags;
};

/* Sweep one pair; adds to @total and returns its violations. */
uint64_t kill_pair_sweep(const struct kill_pair *pair, struct kill_world *world,
			 const struct kill_effort *effort, struct kill_total *total);

/* The main of a program of pairs: as kill_main(). */
int kill_pair_main(int argc, char **argv, const struct kill_pair *pairs, int count,
		   void (*world_of)(struct kill_world *world, const char *name));

#endif /* TESTS_KILL_PAIRS_H */
