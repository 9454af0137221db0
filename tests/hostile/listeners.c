/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listeners.c - victims that follow the change log of a section and take marks from the dirty map,
 * in a region that a peer is spoiling. Those who change what is listened to are victim_changer().
 *
 * As one who replicates would, they read every byte of a change, and every byte of a dirty page.
 */
#include <time.h>

#include "victims.h"

enum {
	LOG_SIZE = 1024,
	REGION_MAX = 1 << 20,
	LISTEN_CALLS = ROUND_CALLS / 8, /* who is sent to a wrong place begins anew soon */
};

static const int changes_open_errors[] = { ENOENT,          EEXIST,  EPROTO, ENOSPC,    ENFILE,
					   EUCLEAN,         EIO,     EAGAIN, ETIMEDOUT, EUSERS,
					   ENOTRECOVERABLE, EDEADLK, 0 };
static const int changes_errors[] = { EAGAIN, EOVERFLOW, ENODATA, EUCLEAN, ETIMEDOUT, EIO, 0 };
static const int dirty_open_errors[] = { EEXIST, EPROTO,    ENOSPC, ENFILE,          EUCLEAN, EIO,
					 EAGAIN, ETIMEDOUT, ENOENT, ENOTRECOVERABLE, EDEADLK, 0 };
static const int dirty_errors[] = { EAGAIN, ENODATA, EIO, 0 };

void victims_make_listeners(struct tarn_region *region)
{
	struct tarn_changes_opts opts = { .size = LOG_SIZE };
	struct tarn_changes *changes;
	struct tarn_dirty *dirty;

	must("section", tarn_section_open(region, "left", NULL, &opts.section));
	must("changes", tarn_changes_open(region, "log", &opts, &changes));
	must("dirty", tarn_dirty_open(region, TARN_FOREVER, &dirty, NULL));
	tarn_dirty_close(dirty);
	tarn_changes_close(changes);
	tarn_section_close(opts.section);
}

/* --- one who follows ------------------------------------------------------------------------- */

struct follower {
	struct tarn_changes *changes;
	struct tarn_section *left; /* NULL: it only looks on */
	uint64_t *cells;
	uint64_t count;
};

static void read_tx(struct victim *v, struct tarn_changes *changes)
{
	struct tarn_changes_tx tx;
	struct tarn_change change;
	uint32_t count = 0;

	if (CALL(v, tarn_changes_next(changes, &tx), changes_errors) < 0)
		return;
	while (tarn_changes_each(changes, &change)) {
		if (change.size > REGION_MAX || change.off > REGION_MAX)
			hostile_lie(v->arena, "tarn_changes_each", "a change from nowhere",
				    (int64_t)change.off);
		read_all(v, change.data, change.size);
		count++;
	}
	if (count > tx.count)
		hostile_lie(v->arena, "tarn_changes_each", "more than were told of", count);
}

/* Something to read: this one alone leaves often enough. */
static void commit_some(struct victim *v, struct follower *f)
{
	struct tarn_tx *tx;

	if (f->left == NULL || f->count == 0 ||
	    CALL(v, tarn_section_enter(f->left, tarn_deadline_after(SLICE_NS), &tx, NULL),
		 section_errors) < 0)
		return;
	for (uint64_t i = 0, n = hostile_random(&v->random) % 6; i < n; i++)
		(void)CALL(v, tarn_tx_set64(tx, &f->cells[i % f->count], i), section_errors);
	(void)CALL(v, tarn_section_leave(f->left), section_errors);
}

static void follow_some(struct victim *v, struct follower *f)
{
	uint64_t r = hostile_random(&v->random);
	struct tarn_changes_stat stat;

	switch (r % 16) {
	case 0:
		if (CALL(v, tarn_changes_stat(f->changes, &stat), changes_errors) == 0 &&
		    memchr(stat.section, 0, sizeof(stat.section)) == NULL)
			hostile_lie(v->arena, "tarn_changes_stat", "the name does not end", 0);
		break;
	case 1:
		(void)CALL(v, tarn_changes_wait(f->changes, tarn_deadline_after(SLICE_NS)),
			   changes_errors);
		break;
	case 2: /* let some come together, and be spoilt */
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
		break;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
	case 8:
	case 9:
		commit_some(v, f);
		break;
	default:
		read_tx(v, f->changes);
		break;
	}
}

static bool open_changes(struct victim *v, bool make, struct follower *f)
{
	struct tarn_diag diag = { 0 };
	struct tarn_changes_opts opts = { .size = LOG_SIZE,
					  .deadline = tarn_deadline_after(SLICE_NS),
					  .diag = &diag };
	uint64_t size = 0;
	void *data;
	int r;

	memset(f, 0, sizeof(*f));
	if (make &&
	    CALL(v, tarn_section_open(v->region, "left", NULL, &f->left), section_open_errors) < 0)
		return false;
	if (make &&
	    CALL(v, tarn_object_open(v->region, "cells", &data, &size), object_errors) == 0) {
		f->cells = data;
		f->count = size / 8;
	}
	opts.section = f->left;
	r = CALL(v, tarn_changes_open(v->region, "log", &opts, &f->changes), changes_open_errors);
	if (r < 0 && diag.what[0] == '\0')
		hostile_lie(v->arena, "tarn_changes_open", "refused without a word", r);
	/* as a user would: what is damaged is removed and made anew */
	if (make && (r == -EUCLEAN || r == -EPROTO))
		(void)CALL(v, tarn_object_remove(v->region, "log"), object_errors);
	return r == 0;
}

static void close_changes(struct victim *v, struct follower *f)
{
	hostile_enter(v->arena, v->index, "tarn_changes_close");
	tarn_changes_close(f->changes);
	hostile_enter(v->arena, v->index, "tarn_section_close");
	tarn_section_close(f->left);
	if (f->cells != NULL)
		tarn_object_close(v->region, f->cells);
}

void victim_follower(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };
	bool observe = index % 2 == 0;
	struct follower f;

	v.random = arena->seed * 53 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, observe ? TARN_REGION_OBSERVE : 0) < 0)
			continue;
		if (open_changes(&v, !observe, &f)) {
			v.last = 0;
			for (int i = 0; i < LISTEN_CALLS && v.last != -ENODATA; i++)
				follow_some(&v, &f);
		}
		close_changes(&v, &f);
		leave_region(&v);
	}
}

/* --- one who copies dirty pages -------------------------------------------------------------- */

static void copy_some(struct victim *v, struct tarn_dirty *dirty, const unsigned char *base)
{
	uint64_t r = hostile_random(&v->random), off = 0, size = 0;

	if (r % 4 == 0) {
		(void)CALL(v, tarn_dirty_count(dirty, &size), dirty_errors);
		return;
	}
	if (CALL(v,
		 tarn_dirty_take(dirty, (r >> 8) % REGION_MAX, r % 8 == 1 ? off : UINT64_MAX, &off,
				 &size),
		 dirty_errors) < 0)
		return;
	if (off > REGION_MAX || size > REGION_MAX)
		hostile_lie(v->arena, "tarn_dirty_take", "a page from nowhere", (int64_t)off);
	if (off + size <= v->arena->size) /* beyond, what the peer says is there may not be */
		read_all(v, base + off, size);
}

void victim_copier(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };
	struct tarn_dirty *dirty;

	v.random = arena->seed * 59 + index + 1;
	while (!hostile_over(arena)) {
		struct tarn_diag diag = { 0 };
		int r;

		if (enter_region(&v, 0) < 0)
			continue;
		r = CALL(&v,
			 tarn_dirty_open(v.region, tarn_deadline_after(SLICE_NS), &dirty, &diag),
			 dirty_open_errors);
		if (r < 0 && diag.what[0] == '\0')
			hostile_lie(arena, "tarn_dirty_open", "refused without a word", r);
		if (r == -EUCLEAN || r == -EPROTO)
			(void)CALL(&v, tarn_object_remove(v.region, TARN_DIRTY_NAME),
				   object_errors);
		if (r == 0) {
			v.last = 0;
			for (int i = 0; i < LISTEN_CALLS && v.last != -ENODATA; i++)
				copy_some(&v, dirty,
					  tarn_segment_data(tarn_region_segment(v.region)));
			hostile_enter(arena, index, "tarn_dirty_close");
			tarn_dirty_close(dirty);
		}
		leave_region(&v);
	}
}

BEHIND_GUARD(follower)
BEHIND_GUARD(copier)
