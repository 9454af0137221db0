/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * victims.h - what every victim does: come, count its calls, read what it is given, go.
 */
#ifndef HOSTILE_VICTIMS_H
#define HOSTILE_VICTIMS_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

#include "harness.h"

enum {
	SLICE_NS = 300000, /* of a wait; short, so that there are many */
	ROUND_CALLS = 300,
};

/* --- what the headers name ------------------------------------------------------------------- */

/* What opening a region may say. -ETIMEDOUT: the region lock names a live member, for ever. */
static const int open_errors[] = { EUCLEAN,   EPROTO, EUSERS, EMSGSIZE, EAGAIN,
				   ETIMEDOUT, EIO,    ENOENT, EINVAL,   0 };
static const int ring_open_errors[] = { ENOENT,  EEXIST, EBUSY,     EPROTO, ENOSPC, ENFILE,
					EUCLEAN, EIO,    ETIMEDOUT, EUSERS, 0 };
static const int ring_errors[] = { EAGAIN,   EPIPE,  ENODATA, EUCLEAN, ETIMEDOUT, ENOBUFS,
				   EMSGSIZE, EINVAL, EIO,     EBUSY,   0 };
static const int object_errors[] = { EEXIST,  ENOENT, ENOSPC,    ENFILE, EPROTO,
				     EUCLEAN, EIO,    ETIMEDOUT, EINVAL, 0 };
static const int section_open_errors[] = { ENOENT,  EEXIST, EPROTO,    ENOSPC, ENFILE,
					   EUCLEAN, EIO,    ETIMEDOUT, EUSERS, 0 };
static const int struct_errors[] = { ENOENT, EINVAL, EPROTO, EUCLEAN, ENOMEM, EIO, 0 };
static const int section_errors[] = { ETIMEDOUT, EAGAIN, EDEADLK,    EUCLEAN,         EIO, EINVAL,
				      ENOSPC,    EPERM,  EOWNERDEAD, ENOTRECOVERABLE, 0 };
static const int mend_errors[] = { ENOENT,  EPROTO, EBUSY,     ENOTRECOVERABLE,
				   EUCLEAN, EIO,    ETIMEDOUT, 0 };
static const int look_errors[] = { EUCLEAN, EIO, ETIMEDOUT, ENOSPC, ENOMEM, 0 };

/* --- one victim ------------------------------------------------------------------------------ */

struct victim {
	struct hostile_arena *arena;
	unsigned index;
	uint64_t random;
	struct tarn_region *region;
	struct tarn_ring *ring;
	uint64_t sink; /* what was read ends here */
	int last;      /* what the last call said */
};

/* Count, call, judge; the value is that of the call. */
#define CALL(victim, call, allowed)                                                                \
	(hostile_enter((victim)->arena, (victim)->index, #call),                                   \
	 (victim)->last = hostile_leave((victim)->arena, (victim)->index, (call), allowed))

static inline void must(const char *what, int r)
{
	if (r < 0) {
		fprintf(stderr, "hostile: %s: %s\n", what, strerror(-r));
		abort();
	}
}

static inline void read_all(struct victim *v, const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		v->sink += bytes[i];
}

static inline void see_finding(const struct tarn_finding *finding, void *arg)
{
	read_all(arg, finding->where, strlen(finding->where));
	read_all(arg, finding->field, strlen(finding->field));
	read_all(arg, finding->rule, strlen(finding->rule));
}

/* victim_WHO with tarn_segment_guard() on. */
#define BEHIND_GUARD(who)                                                                          \
	void guarded_##who(struct hostile_arena *arena, unsigned index)                            \
	{                                                                                          \
		must("tarn_segment_guard", tarn_segment_guard());                                  \
		victim_##who(arena, index);                                                        \
	}

static inline int enter_region(struct victim *v, uint32_t flags)
{
	struct tarn_diag diag = { 0 };
	const struct tarn_region_opts opts = { .flags = flags, .diag = &diag };
	int r;

	v->region = NULL;
	r = CALL(v, tarn_region_open_fd(v->arena->fd, &opts, &v->region), open_errors);
	if (r < 0 && diag.what[0] == '\0')
		hostile_lie(v->arena, "tarn_region_open_fd", "refused without a word", r);
	return r;
}

static inline void leave_region(struct victim *v)
{
	hostile_enter(v->arena, v->index, "tarn_region_close");
	tarn_region_close(v->region);
	v->region = NULL;
}

/* --- arenas.c: the arena that is in the region ----------------------------------------------- */

/* Make it, with a section of its own, blocks in it, and a tx that its owner died in. */
void victims_make_arena(struct tarn_region *region);

/* --- prims.c: primitives of each kind --------------------------------------------------------- */

void victims_make_prims(struct tarn_region *region);

/* --- topics.c: a topic, and a lane with messages ---------------------------------------------- */

void victims_make_topics(struct tarn_region *region);

/* --- words.c: single words -------------------------------------------------------------------- */

void victims_make_words(struct tarn_region *region);

/* --- listeners.c: a change log of "left", and the dirty map --------------------------------- */

void victims_make_listeners(struct tarn_region *region);

#endif /* HOSTILE_VICTIMS_H */
