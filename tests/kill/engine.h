/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - death at every instruction of an operation, and what the others find then.
 *
 * An operation is swept in three ways:
 *
 *   images   One stepped run. Wherever the world (world.h) differs from the step before, it is
 *            copied. Each distinct copy is put back as new files and judged by a survivor, a
 *            process of its own with an alarm: it opens, recovers, checks, finishes the work,
 *            and says which of the legal outcomes it saw.
 *   double   For each distinct image the recoverer is moved in turn, from store to store and
 *            call to call (tracee.h), and each distinct image of that is judged by a third
 *            process.
 *   real     The operation is run again and killed with SIGKILL, at each point where the
 *            world changed, a system call returned, or it slept; for short ones at every
 *            instruction. The kernel drops locks and marks futexes itself. This cross-checks
 *            the images, and is the only way to have a living peer beside the dead.
 *
 * Between two changes of shared memory or system calls all points of death are the same to a
 * survivor; hence the images suffice, and so do stores where instructions are many; the real
 * kills say that they were true.
 */
#ifndef TESTS_KILL_ENGINE_H
#define TESTS_KILL_ENGINE_H

#include "tracee.h"
#include "world.h"

/* Legal outcomes are 0, as if the operation had not begun, up to op->after, as if it had ended. */
enum { KILL_VIOLATION = -1 };

/* Flags of struct kill_op. */
#define KILL_UNORDERED (1u << 0) /* the outcome may go back while the operation proceeds */
#define KILL_NO_IMAGES (1u << 1) /* real kills only: the checker needs a living peer */
#define KILL_UNCHANGED (1u << 3) /* others see no difference: the outcome stays 0 */
#define KILL_SLOW      (1u << 2) /* fewer real and double kills, in the full sweep too */

#define KILL_LONG (1u << 4) /* in the full sweep alone: what it shows, a quick one shows too */

struct kill_op {
	const char *name;
	kill_fn *setup;   /* in a process of its own: make the world before; 0 */
	kill_fn *prepare; /* in the process that will die, before the first mark; may be NULL */
	kill_fn *op;      /* what is swept; returns 0, or whatever op->result says */
	kill_fn *ready;   /* in the recoverer, before the first mark; may be NULL */
	kill_fn *recover; /* what a survivor does first; swept in turn; NULL: no double kills */
	kill_fn *check;   /* in the survivor: the outcome, or KILL_VIOLATION with the reason */
	kill_fn *check2;  /* another survivor, of the same states: less than 0 is a violation */
	kill_fn *peer;    /* real kills: lives beside it, blocked in a futex; 0 if content */
	kill_fn *wake;    /* run once, in a process of its own, while the operation sleeps */
	int after;        /* the last legal outcome; 0 means 1 */
	int result;       /* what op() is to return */
	unsigned flags;
};

struct kill_effort {
	int image_max;     /* images judged, first and last among them; 0 = all */
	int real_max;      /* real kills an operation, spread evenly; 0 = no bound */
	int every_max;     /* operations of up to so many instructions die at each of them */
	int first_max;     /* double kills: first images, spread evenly; 0 = all */
	int second_max;    /* second images of each; 0 = all */
	int violation_max; /* stop an operation after so many */
	int stopped_max;   /* pairs: states in which one is stopped, spread evenly; 0 = all */
	int killed_max;    /* pairs: states in which the other dies, of each; 0 = all */
	int peer_ms;       /* a peer that needs longer hangs; 0 = 5000 */
	unsigned start;    /* which of them, where it is not all */
	bool quiet;        /* do not print violations: they are expected */
	bool by_steps;     /* recoverers, too, by single instructions: the same, and much slower */
};

extern const struct kill_effort kill_sample; /* a few, elsewhere each time */
extern const struct kill_effort kill_quick;  /* every image, and a few of the others */
extern const struct kill_effort kill_full;

struct kill_total {
	uint64_t operations;
	uint64_t boundaries; /* instruction boundaries of the operations */
	uint64_t stops;      /* at stores and system calls: of recoverers, and in pairs */
	uint64_t states;     /* distinct images judged */
	uint64_t doubles;
	uint64_t reals;
	uint64_t pairs; /* of a state in which one was stopped, and one in which the other died */
	uint64_t violations;
	uint64_t by_image; /* of the violations, those seen in images */
	uint64_t by_double;
	uint64_t by_real;
};

void kill_total_add(struct kill_total *to, const struct kill_total *from);

/* Fill in the world of operation @op: a directory to scan, a key. */
void kill_world_init(struct kill_world *world, const char *dir, uint32_t n);

/* Sweep one operation; adds to @total and returns its violations. */
uint64_t kill_sweep(const struct kill_op *op, struct kill_world *world,
		    const struct kill_effort *effort, struct kill_total *total);

/*
 * The main of a sweep program: --quick, --full (kill_sample otherwise), --by-steps, --first,
 * --list, --only=TEXT (=NAME: that one alone), --start=N. Prints a line for each operation and
 * `kill: N operations, ...` at the end. Exit status 0, 1 with violations, 77 where the architecture
 * cannot step.
 */
int kill_main(int argc, char **argv, const struct kill_op *ops, int count,
	      void (*world_of)(struct kill_world *world, const struct kill_op *op));

#endif /* TESTS_KILL_ENGINE_H */
