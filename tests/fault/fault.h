/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fault.h - each call of the platform layer fails, in each place, with each error it can have.
 *
 * A case is a few calls of the public interface. It is run once undisturbed, to learn which
 * calls of plat it makes; then once more for each of them and each plausible error, failing
 * that call once, and again failing it and all later ones of its kind. Every run is a
 * process of its own. Afterwards nothing may be left over: descriptors, shared mappings,
 * names, System V segments, locked memory, heap; and the same case, undisturbed, must succeed.
 */
#ifndef TESTS_FAULT_H
#define TESTS_FAULT_H

#include <tarn/base.h>

#include "harness.h"
#include "plat/plat.h"

enum { FAULT_BROKEN = 1 }; /* from run(): the promise is broken, report->text says which */

struct fault_case {
	const char *name;
	int (*setup)(struct harness_report *report); /* not disturbed; 0 */
	/*
	 * Disturbed. 0, a negative errno, or FAULT_BROKEN (an output touched on failure, say).
	 * Whatever it holds at its end it has let go of when undo() returns.
	 */
	int (*run)(struct harness_report *report);
	void (*undo)(void); /* not disturbed; after a run() that returned 0; may be NULL */
	/* Not disturbed, after each run: is the world still sound? 0; may be NULL */
	int (*sound)(struct harness_report *report);
	void (*teardown)(void); /* may be NULL */
	bool no_calls;          /* the case is that it makes no system call at all */
};

struct fault_total {
	uint64_t cases;
	uint64_t calls;    /* of plat, in undisturbed runs */
	uint64_t faults;   /* injected */
	uint64_t survived; /* of them, those after which run() returned 0 all the same */
	uint64_t violations;
};

/* A run that takes longer hangs; 20. */
extern unsigned fault_seconds;

/* Returns the violations of @c; @quiet: they are expected, stop at the first. */
uint64_t fault_sweep(const struct fault_case *c, bool quiet, struct fault_total *total);

/* main() of a fault program: prints TAP, one line a case, and a sum. */
int fault_main(int argc, char **argv, const struct fault_case *cases, int count);

/* What every fault program does first: a private host, an allocator that counts exactly. */
void fault_begin(char **argv);

/* What a wait for nothing that returned @r is to return: no earlier than its deadline, unless it
 * says why. 0, -errno, or FAULT_BROKEN. */
int fault_timed(int r, int64_t deadline, struct harness_report *report);

/* @r, if a call that opens something may return it: a failed one says why, and leaves the handle
 * alone (@touched). */
int fault_told(int r, bool touched, const struct tarn_diag *diag, struct harness_report *report);

/* Fork; the child goes on, with 0. The parent lives, with all it holds, as long as the child is
 * tried, and ends as it does. */
int fault_forked(struct harness_report *report);

/* The System V key that counts. */
int32_t fault_key(void);

#endif /* TESTS_FAULT_H */
