/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * survivor.h - what every survivor of a death inside a region looks at, whatever was being done:
 * the region opens, its checker is content, every slot, entry and byte can be had again.
 */
#ifndef TESTS_KILL_SURVIVOR_H
#define TESTS_KILL_SURVIVOR_H

#include <tarn/region.h>
#include <tarn/ring.h>

#include "engine.h"

enum {
	SURVIVOR_HEAP = 8192,
	SURVIVOR_MAX = 32768,
	SURVIVOR_MEMBERS = 4,
	SURVIVOR_OBJECTS = 32,
	SURVIVOR_KEEP = 256, /* bytes of object "keep" */
};

/* The small region that all sweeps work on. */
int survivor_create(struct kill_world *world, uint32_t flags, struct tarn_region **ret_region,
		    struct harness_report *report);
/* Open it; violations go to @report. 0, -ENOENT (nothing said), or KILL_VIOLATION. */
int survivor_open(struct kill_world *world, struct tarn_region **ret_region,
		  struct harness_report *report);

/* tarn_region_check() finds nothing. 0 or KILL_VIOLATION. */
int survivor_check(struct tarn_region *region, struct harness_report *report);

/* Object "keep", filled: must be there, unharmed, at every later time. */
int survivor_keep(struct tarn_region *region, struct harness_report *report);
int survivor_kept(struct tarn_region *region, struct harness_report *report);

/*
 * The region, cleared by gc: its checker finds nothing; this is the only member; @objects are in
 * the directory; every slot, entry and byte that these do not need can be had. 0 or KILL_VIOLATION.
 */
int survivor_whole(struct kill_world *world, struct tarn_region *region, uint32_t objects,
		   struct harness_report *report);

/* Remove the region; then no name is left, and it can be made anew. 0 or KILL_VIOLATION. */
int survivor_restart(struct kill_world *world, struct harness_report *report);
int survivor_nothing_left(struct kill_world *world, struct harness_report *report);

/* Another process that has what the operation waits for. In the page that all share. */
struct survivor_holder {
	_Atomic int32_t pid;     /* until a survivor has awaited its end; 0: none */
	_Atomic uint32_t held;   /* it has it */
	_Atomic uint32_t go;     /* it is to let go of it */
	_Atomic int32_t sleeper; /* who waits for it */
};

/*
 * In prepare(), before the region is open: a process of its own does @acquire, and @release once it
 * is let go, both 0 if content. It dies with this one. A sleep of this one is over when it is
 * woken, not before: who is stepped through takes longer to fall asleep than it lasts otherwise.
 */
int survivor_beside(struct kill_world *world, struct survivor_holder *holder, kill_fn *acquire,
		    kill_fn *release, struct harness_report *report);
/* In wake(). Who sleeps has to come out of it now, and not by a net. 0 or KILL_VIOLATION. */
int survivor_let_go(struct survivor_holder *holder, struct harness_report *report);
int survivor_woken(int32_t sleeper, struct harness_report *report);
/* A little later than who has started it. */
void survivor_await_end(struct survivor_holder *holder);

/* The world of an op: its address by the kind in the op's name (posix, file, sysv). */
void survivor_world(struct kill_world *world, const struct kill_op *op);
void survivor_world_named(struct kill_world *world, const char *name);

/* Recover as any next opener would: open, gc, close. For kill_op.recover. */
int survivor_recover(struct kill_world *world, struct harness_report *report);
/* The same where the next one creates what is absent. */
int survivor_recover_create(struct kill_world *world, struct harness_report *report);

int survivor_say(struct harness_report *report, const char *what, int error,
		 const struct tarn_diag *diag);

#endif /* TESTS_KILL_SURVIVOR_H */
