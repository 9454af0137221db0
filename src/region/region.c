/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * region.c - create, open, close, remove, grow. The bytes are drawn in format.h.
 *
 * Creation: an unnamed segment is reserved, its superblock written, its creator made a member;
 * only then it gets its name. A death before that leaves nothing, after it a whole region with
 * a dead member. System V gives the name first: control.c.
 *
 * Growth: the file is extended, then size_pages is stored, under the region lock. A death between
 * the two leaves a longer file, which the next growth uses.
 *
 * Leaving an ephemeral region: under the region lock, a member that finds no other lock held sets
 * state to CLOSED and removes the name, if it still leads to this very file. It gives its slot back
 * before the lock, so that of two that leave at once the second is alone. A joiner takes its
 * slot first and looks at state under the same lock: either it is seen and the region stays, or
 * it sees CLOSED, finishes the removal and looks for the name anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/trace.h"

#define HELD "the region's lock is held by a member that is alive and does not let go"

#define SEGMENT_FLAGS 0xffffu
#define PATIENCE_NS   INT64_C(5000000000) /* with others who make or remove the same name */

static const struct tarn_region_opts no_opts;

static struct tarn_segment_opts segment_opts(const struct tarn_region_opts *opts)
{
	return (struct tarn_segment_opts){
		.flags = opts->flags & SEGMENT_FLAGS,
		.mode = opts->mode,
		.owner = opts->owner,
		.pages = opts->pages,
		.numa = opts->numa,
		.numa_nodes = opts->numa_nodes,
		.diag = opts->diag,
	};
}

static int check_opts(const struct tarn_region_opts *opts)
{
	const uint32_t known =
		SEGMENT_FLAGS | TARN_REGION_CREATE | TARN_REGION_EPHEMERAL | TARN_REGION_OBSERVE;

	if ((opts->flags & ~known) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "flags 0x%" PRIx32 ": 0x%" PRIx32 " are not known", opts->flags,
				  opts->flags & ~known);
	if ((opts->flags & TARN_SEGMENT_LAZY) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "a region's memory is always reserved; a segment's need not be");
	if ((opts->flags & TARN_SEGMENT_PRIVATE) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "a region cannot be mapped copy-on-write; a segment can");
	for (size_t i = 0; i < sizeof(opts->reserved) / sizeof(opts->reserved[0]); i++)
		if (opts->reserved[i] != 0)
			return tarn__diag(opts->diag, -EINVAL, "reserved options are not zero");
	return 0;
}

/* --- handles ------------------------------------------------------------------------------- */

void tarn__region_free(struct tarn_region *region)
{
	if (region == NULL)
		return;
	tarn__fork_unwatch(region);
	tarn__plat_close(region->live_fd);
	tarn__plat_close(region->lock_fd);
	tarn_segment_close(region->seg);
	pthread_mutex_destroy(&region->mutex);
	tarn__trace_free(region);
	free(region->control_path);
	free(region->hold_count);
	free(region->hold_state);
	free(region);
}

int tarn__region_init_mutex(struct tarn_region *region)
{
	pthread_mutexattr_t attr;
	int err = pthread_mutexattr_init(&attr);

	if (err != 0)
		return -err;
	/* Recursive: a callback of tarn_region_objects() may call on the region. */
	pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
	err = pthread_mutex_init(&region->mutex, &attr);
	pthread_mutexattr_destroy(&attr);
	return -err;
}

int tarn__region_attach(struct tarn_segment *seg, const struct super_shm *super,
			const struct tarn_region_opts *opts, struct tarn_region **ret_region)
{
	struct tarn_region *region = calloc(1, sizeof(*region));

	if (region == NULL)
		return -ENOMEM;
	if (tarn__region_init_mutex(region) < 0) {
		free(region);
		return -ENOMEM;
	}
	region->live_fd = region->lock_fd = -1;
	region->base = seg->base;
	region->super = (struct super_shm *)(void *)seg->base;
	region->directory = (struct entry_shm *)(void *)(seg->base + super->directory_off);
	region->members = (struct member_page_shm *)(void *)(seg->base + super->member_off);
	region->member_max = super->member_max;
	region->object_max = super->object_max;
	region->heap_off = super->heap_off;
	region->max_size = super->max_size < seg->map_size ? super->max_size : seg->map_size;
	/* a copy that was compared with the file; relaxed: nobody else has the handle yet */
	atomic_init(&region->there, atomic_load_explicit(&super->size_pages, memory_order_relaxed));
	region->ephemeral = (super->flags & TARN__EPHEMERAL) != 0;
	region->observer = (opts->flags & (TARN_REGION_OBSERVE | TARN_SEGMENT_READ_ONLY)) != 0;
	region->hold_count = calloc(region->object_max, sizeof(*region->hold_count));
	region->hold_state = calloc(region->object_max, sizeof(*region->hold_state));
	if (region->hold_count == NULL || region->hold_state == NULL) {
		tarn__region_free(region);
		return -ENOMEM;
	}
	region->seg = seg; /* last: on failure it stays the caller's */
	*ret_region = region;
	return 0;
}

static int join(struct tarn_region *region, struct tarn_diag *diag)
{
	int fd =
		tarn__plat_reopen(region->lock_fd >= 0 ? region->lock_fd : region->seg->fd, O_RDWR);
	int r;

	if (fd < 0) {
		tarn__diag(diag, fd, "opening the region a second time for its locks: %s",
			   strerror(-fd));
		if (fd == -ENOENT)
			tarn__diag_hint(diag, "mount /proc");
		return fd;
	}
	region->live_fd = fd;
	r = tarn__member_join(region, diag);
	if (r < 0) {
		tarn__plat_close(fd);
		region->live_fd = -1;
	}
	return r;
}

int tarn__region_become_member(struct tarn_region *region, struct tarn_diag *diag)
{
	int r;

	/* A fork in another thread waits until live_fd can be told from a descriptor of no use. */
	pthread_mutex_lock(&region->mutex);
	r = join(region, diag);
	pthread_mutex_unlock(&region->mutex);
	return r;
}

/* --- create -------------------------------------------------------------------------------- */

static int create_named(const char *addr, const struct tarn_region_opts *opts,
			struct tarn_region **ret_region)
{
	struct tarn_segment_opts seg_opts = segment_opts(opts);
	struct tarn_region *region = NULL;
	struct tarn_segment *seg;
	struct geometry geo;
	int r = tarn__super_plan(opts, TARN__PAGE, &geo, opts->diag);

	if (r < 0)
		return r;
	seg_opts.size = geo.size;
	seg_opts.max_size = geo.max_size;
	r = tarn__segment_prepare(addr, &seg_opts, &seg);
	if (r < 0)
		return r;
	/* Huge pages may have rounded up what was asked. */
	geo.size = seg->size & ~(uint64_t)(TARN__PAGE - 1);
	geo.max_size = seg->map_size > geo.max_size ? seg->map_size : geo.max_size;
	geo.max_size &= ~(uint64_t)(TARN__PAGE - 1);

	struct super_shm *super = (struct super_shm *)(void *)seg->base;

	r = tarn__super_init(super, &geo, seg,
			     (opts->flags & TARN_REGION_EPHEMERAL) != 0 ? TARN__EPHEMERAL : 0,
			     NULL);
	if (r == 0)
		r = tarn__region_attach(seg, super, opts, &region);
	if (r < 0) {
		tarn_segment_close(seg);
		return tarn__diag(opts->diag, r, "making the superblock: %s", strerror(-r));
	}
	r = tarn__fork_watch(region);
	if (r == 0)
		r = tarn__region_become_member(region, opts->diag);
	if (r == 0) {
		/* release: an opener finds the name, then reads state with acquire */
		atomic_store_explicit(&super->state, TARN__OPEN, memory_order_release);
		r = tarn__segment_publish(seg, opts->diag);
	}
	if (r < 0) {
		tarn__member_leave(region);
		tarn__region_free(region);
		return r;
	}
	*ret_region = region;
	return 0;
}

/* What a call is to do with @opts, the words for a failure going to @words until it is known to be
 * one: what fails on the way is not yet. */
static struct tarn_region_opts opts_with(const struct tarn_region_opts *opts,
					 struct tarn_diag *words)
{
	struct tarn_region_opts with = opts != NULL ? *opts : no_opts;

	with.diag = words;
	return with;
}

static int create_any(const char *addr, const struct tarn_region_opts *opts,
		      struct tarn_region **ret_region)
{
	struct tarn__addr *parsed;
	int r = check_opts(opts);

	if (r < 0)
		return r;
	if ((opts->flags & (TARN_REGION_OBSERVE | TARN_SEGMENT_READ_ONLY)) != 0)
		return tarn__diag(opts->diag, -EINVAL, "a region cannot be created to look on");
	parsed = malloc(sizeof(*parsed));
	if (parsed == NULL)
		return tarn__diag(opts->diag, -ENOMEM, "no memory for the address");
	r = tarn__addr_parse(addr, parsed, opts->diag);
	if (r == 0 && parsed->kind == TARN_SEGMENT_SYSV)
		r = tarn__control_create(parsed, opts, ret_region);
	else if (r == 0)
		r = create_named(addr, opts, ret_region);
	free(parsed);
	return r;
}

int tarn_region_create(const char *addr, const struct tarn_region_opts *opts,
		       struct tarn_region **ret_region)
{
	struct tarn_diag words = { .what = "" };
	const struct tarn_region_opts with = opts_with(opts, &words);
	int r = create_any(addr, &with, ret_region);

	return tarn__diag_pass(opts != NULL ? opts->diag : NULL, &words, r);
}

/* --- open ---------------------------------------------------------------------------------- */

/* The lock is held: a second remover finds that the name leads elsewhere, and leaves it. */
static int unname(struct tarn_region *region)
{
	if (region->control_path != NULL)
		return tarn__control_unname(region);
	return tarn__segment_unname(region->seg);
}

/* Under the region lock: is this region still to be joined? */
static int settle(struct tarn_region *region, struct tarn_diag *diag)
{
	int r = tarn__region_lock(region);

	if (r < 0)
		return tarn__diag(diag, r, HELD);
	/* relaxed: written under the lock */
	if (atomic_load_explicit(&region->super->state, memory_order_relaxed) == TARN__CLOSED) {
		(void)unname(region); /* who closed it may have died there */
		r = tarn__diag(diag, -ENOENT, "the region was closed by its last member");
	}
	tarn__region_unlock(region);
	return r;
}

/* What a segment without an open superblock is: damage, or somebody still at work. */
static int check_state(const struct super_shm *super, struct tarn_diag *diag)
{
	uint32_t state = atomic_load_explicit(&super->state, memory_order_relaxed); /* a copy */

	if (state == TARN__OPEN || state == TARN__CLOSED)
		return 0;
	if (state == TARN__MAKING && super->kind == TARN_SEGMENT_SYSV)
		return tarn__diag(diag, -EAGAIN, "the region is still being made");
	return tarn__diag(diag, -EUCLEAN, "superblock: state is 0x%" PRIx32 ", expected 0x%x",
			  state, TARN__OPEN);
}

static int check_room(const struct super_shm *super, const struct tarn_region_opts *opts)
{
	uint64_t pages = atomic_load_explicit(&super->size_pages, memory_order_relaxed);
	uint64_t size = pages * TARN__PAGE - super->heap_off;
	char a[24], b[24];

	if (opts->size <= size)
		return 0;
	tarn__diag(opts->diag, -EMSGSIZE,
		   "the region has room for %s (%" PRIu64 " bytes), %s (%" PRIu64 " bytes) asked",
		   tarn__size_text(size, a), size, tarn__size_text(opts->size, b), opts->size);
	if (opts->size <= super->max_size - super->heap_off)
		tarn__diag_hint(opts->diag, "open it as it is and grow it");
	else
		tarn__diag_hint(opts->diag, "remove it and create it anew with that size");
	return -EMSGSIZE;
}

/* More than once, since the region may grow while it is read; by then it may be longer than what is
 * mapped, too. */
static int read_super(struct tarn_segment *seg, struct super_shm *ret_super, struct tarn_diag *diag)
{
	uint64_t size = 0;
	int r = -EUCLEAN;

	for (int i = 0; i < 3 && r == -EUCLEAN; i++) {
		r = tarn__super_read(seg, ret_super, diag);
		if (r == 0)
			r = tarn__size_now(seg, &size);
		if (r == 0)
			r = tarn__super_check(ret_super, size, diag, NULL, NULL);
	}
	return r;
}

/* Everything after the segment is mapped; takes @seg over, also on failure. */
static int open_segment(struct tarn_segment *seg, const struct tarn_region_opts *opts,
			struct tarn_region **ret_region)
{
	struct super_shm super;
	struct tarn_region *region = NULL;
	int r = read_super(seg, &super, opts->diag);

	if (r == 0)
		r = check_state(&super, opts->diag);
	if (r == 0)
		r = check_room(&super, opts);
	if (r == 0 && seg->map_size < super.max_size)
		r = tarn__segment_remap(seg, super.max_size, opts->diag);
	if (r == 0)
		r = tarn__region_attach(seg, &super, opts, &region);
	if (r < 0) {
		if (seg->fd < 0 && (r == -EUCLEAN || r == -EAGAIN))
			r = tarn__control_verdict(seg, r);
		tarn_segment_close(seg);
		return r;
	}
	if (seg->fd < 0)
		r = region->lock_fd = tarn__control_open(seg, &super, region->observer,
							 &region->control_path, opts->diag);
	if (r >= 0)
		r = tarn__fork_watch(region);
	if (r == 0 && !region->observer) {
		r = tarn__region_become_member(region, opts->diag);
		if (r == 0)
			r = settle(region, opts->diag);
	}
	if (r < 0) {
		tarn__member_leave(region);
		tarn__region_free(region);
		return r;
	}
	*ret_region = region;
	return 0;
}

/* An empty file, which is no matter of the size that was asked, is no region. */
static int map_region(const char *addr, const struct tarn_segment_opts *seg_opts,
		      struct tarn_segment **ret_seg)
{
	int r = tarn_segment_open(addr, seg_opts, ret_seg);

	return r == -EMSGSIZE ? -EUCLEAN : r;
}

static struct tarn_segment_opts open_opts(const struct tarn_region_opts *opts)
{
	struct tarn_segment_opts seg_opts = segment_opts(opts);

	if ((opts->flags & TARN_REGION_OBSERVE) != 0)
		seg_opts.flags |= TARN_SEGMENT_READ_ONLY;
	seg_opts.pages = TARN_PAGES_DEFAULT; /* they are what they are */
	return seg_opts;
}

/* Others need time to finish: yield first, then sleep a millisecond at a time. */
static void wait_a_moment(int round)
{
	_Atomic uint32_t nothing = 0;

	if (round < 100)
		tarn__plat_yield();
	else
		(void)tarn__plat_futex_wait(&nothing, 0, tarn__plat_now() + 1000000);
}

static int open_or_create(const char *addr, const struct tarn_region_opts *opts,
			  struct tarn_region **ret_region)
{
	int64_t patience = tarn__plat_now() + PATIENCE_NS;
	int r = check_opts(opts);

	if (r < 0)
		return r;

	bool create = (opts->flags & TARN_REGION_CREATE) != 0;
	bool sysv = addr != NULL && strncmp(addr, "sysv:", 5) == 0;
	struct tarn_segment_opts seg_opts = open_opts(opts);

	if (create && (opts->flags & (TARN_REGION_OBSERVE | TARN_SEGMENT_READ_ONLY)) != 0)
		return tarn__diag(opts->diag, -EINVAL, "a region cannot be created to look on");
	for (int i = 0;; i++) {
		struct tarn_segment *seg;

		r = map_region(addr, &seg_opts, &seg);
		if (r == 0)
			r = open_segment(seg, opts, ret_region);
		if (create && r == -ENOENT)
			r = create_any(addr, opts, ret_region);
		/* Somebody is at it, or was faster. That creating says -ENOENT is no such
		 * case: the directory is missing, and will be. */
		bool again = (sysv && r == -EAGAIN) || (create && r == -EEXIST);

		if (!again || tarn__plat_now() > patience)
			return r;
		wait_a_moment(i);
	}
}

int tarn_region_open(const char *addr, const struct tarn_region_opts *opts,
		     struct tarn_region **ret_region)
{
	struct tarn_diag words = { .what = "" };
	const struct tarn_region_opts with = opts_with(opts, &words);
	int r = open_or_create(addr, &with, ret_region);

	return tarn__diag_pass(opts != NULL ? opts->diag : NULL, &words, r);
}

int tarn_region_open_fd(int fd, const struct tarn_region_opts *opts,
			struct tarn_region **ret_region)
{
	struct tarn_diag words = { .what = "" };
	const struct tarn_region_opts with = opts_with(opts, &words);
	struct tarn_segment_opts seg_opts = open_opts(&with);
	struct tarn_segment *seg;
	int r = check_opts(&with);

	if (r == 0)
		r = tarn_segment_open_fd(fd, &seg_opts, &seg);
	if (r == 0)
		r = open_segment(seg, &with, ret_region);
	return tarn__diag_pass(opts != NULL ? opts->diag : NULL, &words, r);
}

/* --- close and remove ---------------------------------------------------------------------- */

/* Nobody may join any more, and no name leads here. The lock is held. */
static int dismantle(struct tarn_region *region)
{
	int r;

	/* relaxed, as below: read under the lock */
	atomic_store_explicit(&region->super->state, TARN__CLOSED, memory_order_relaxed);
	r = unname(region);
	/* Where only the owner may remove the name, it must not lead to a closed region. */
	if (r < 0 && r != -ENOENT)
		atomic_store_explicit(&region->super->state, TARN__OPEN, memory_order_relaxed);
	return r;
}

void tarn_region_close(struct tarn_region *region)
{
	if (region == NULL)
		return;
	tarn__region_enter_to_leave(region);
	if (region->forked)
		tarn__beacon_forget(region);
	if (region->ephemeral && region->id != 0 && !tarn_segment_damaged(region->seg) &&
	    tarn__region_lock(region) == 0) {
		uint32_t id = region->id;

		if (!tarn__member_staying(region))
			(void)dismantle(region);
		/* Still under the lock: two that leave at once must not each see the other. */
		tarn__member_leave(region);
		tarn__region_unlock_left(region, id);
	}
	tarn__member_leave(region);
	tarn__region_leave(region);
	tarn__region_free(region);
}

/* A region whose superblock does not pass is known by its magic alone. */
static int remove_damaged(const char *addr, const struct tarn_region_opts *opts)
{
	struct tarn_segment_opts seg_opts = segment_opts(opts);
	struct tarn_segment *seg;
	struct super_shm super;

	seg_opts.flags |= TARN_SEGMENT_READ_ONLY;

	int r = map_region(addr, &seg_opts, &seg);

	if (r < 0)
		return r;
	r = tarn__super_read(seg, &super, opts->diag);
	if (r == 0 && memcmp(super.magic, TARN__MAGIC, sizeof(super.magic)) != 0) {
		tarn__diag(opts->diag, -EUCLEAN, "%s is no Tarn region", addr);
		tarn__diag_hint(opts->diag, "remove it by the means of the program that made it");
		r = -EUCLEAN;
	}
	if (r == 0)
		r = tarn__segment_unname(seg);
	tarn_segment_close(seg);
	return r;
}

int tarn_region_check_super(const char *addr, const struct tarn_region_opts *opts,
			    tarn_report_fn *fn, void *arg)
{
	struct tarn_segment_opts seg_opts = segment_opts(opts != NULL ? opts : &no_opts);
	struct tarn_segment *seg;
	struct super_shm super;

	seg_opts.flags |= TARN_SEGMENT_READ_ONLY;

	int r = map_region(addr, &seg_opts, &seg);

	if (r < 0)
		return r;
	r = tarn__super_read(seg, &super, seg_opts.diag);
	if (r == 0)
		r = tarn__super_check(&super, seg->size, seg_opts.diag, fn, arg);
	tarn_segment_close(seg);
	return r;
}

static int remove_name(struct tarn_region *region, const char *addr, bool if_idle,
		       struct tarn_diag *diag)
{
	int locked = tarn__region_lock(region);
	int r;

	/* The lock keeps two removers apart: the second's unlink would meet a new region. One that
	 * is stopped with it must not make the region immortal. */
	if (!if_idle)
		r = unname(region);
	else if (locked < 0)
		r = tarn__diag(diag, locked, HELD);
	else if (tarn__member_others(region))
		r = tarn__diag(diag, -EBUSY, "%s has members that are alive", addr);
	else
		r = dismantle(region);
	if (locked == 0)
		tarn__region_unlock(region);
	return r;
}

int tarn_region_remove(const char *addr, const struct tarn_region_opts *opts)
{
	struct tarn_diag words = { .what = "" };
	struct tarn_region_opts local = opts_with(opts, &words);
	struct tarn_region *region;
	bool if_idle = (local.flags & TARN_REGION_EPHEMERAL) != 0;

	local.flags &= TARN_SEGMENT_OWNER | TARN_SEGMENT_ANY_MODE;

	int r = tarn_region_open(addr, &local, &region);

	if (r == 0) {
		r = remove_name(region, addr, if_idle, local.diag);
		region->ephemeral = false; /* the name is dealt with */
		tarn_region_close(region);
	} else if (r == -EUSERS && if_idle) {
		r = -EBUSY;
	} else if (r == -EUCLEAN || r == -EPROTO || r == -EUSERS) {
		r = remove_damaged(addr, &local);
	}
	return tarn__diag_pass(opts != NULL ? opts->diag : NULL, &words, r);
}

/* --- grow, stat, gc ------------------------------------------------------------------------ */

static int grow_locked(struct tarn_region *region, uint64_t total, struct tarn_diag *diag)
{
	int r = tarn_segment_grow(region->seg, total, diag);

	if (r < 0)
		return r;
	/* release: who sees the new size finds the memory there; acquire in tarn__region_size() */
	atomic_store_explicit(&region->super->size_pages, (uint32_t)(total / TARN__PAGE),
			      memory_order_release);
	tarn__trace(region, TARN_TRACE_GROW, NULL, total, 0);
	return 0;
}

static int cannot_grow(struct tarn_region *region, uint64_t size, struct tarn_diag *diag)
{
	bool fixed = region->seg->fd < 0;
	int r = fixed ? -EOPNOTSUPP : -ENOMEM;
	char a[24], b[24];

	tarn__diag(diag, r, "%s asked, the region %s %s", tarn__size_text(size, a),
		   fixed ? "is in a System V segment, which cannot grow, of"
			 : "was created for at most",
		   tarn__size_text(region->max_size - region->heap_off, b));
	tarn__diag_hint(diag, fixed ? "create it anew with that size"
				    : "create it with a larger max_size");
	return r;
}

int tarn_region_grow(struct tarn_region *region, uint64_t size, struct tarn_diag *diag)
{
	uint64_t total,
		unit = region->seg->page_size > TARN__PAGE ? region->seg->page_size : TARN__PAGE;
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EPERM ? "the region was opened to look on"
					      : "the region cannot be used");
	if (__builtin_add_overflow(region->heap_off, size, &total) ||
	    !tarn__round_up(total, unit, &total) || total > region->max_size)
		r = cannot_grow(region, size, diag);
	else
		r = tarn__region_lock(region);
	if (r == -ETIMEDOUT)
		tarn__diag(diag, r, HELD);
	if (r == 0) {
		if (total > tarn__region_size(region))
			r = grow_locked(region, total, diag);
		tarn__region_unlock(region);
	}
	tarn__region_leave(region);
	return r;
}

struct tarn_segment *tarn_region_segment(const struct tarn_region *region)
{
	return region->seg;
}

static void count_inside(struct tarn_region *region, struct tarn_region_stat *stat)
{
	for (uint32_t slot = 0; slot < region->member_max; slot++) {
		/* relaxed: tarn__member_alive() looks again */
		uint32_t state = atomic_load_explicit(&tarn__member_at(region, slot)->state,
						      memory_order_relaxed);

		if ((state & TARN__ID_FLAG) != 0 && tarn__member_alive(region, state))
			stat->member_count++;
	}
	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry entry;

		if (tarn__entry_read(region, i, &entry) == TARN__ENTRY_FREE)
			continue;
		stat->object_count++;
		stat->used += entry.size;
	}
}

int tarn_region_stat(struct tarn_region *region, struct tarn_region_stat *ret_stat)
{
	struct tarn_region_stat stat = { 0 };
	struct tarn_segment_stat seg_stat;
	const struct super_shm *super = region->super;
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	memcpy(stat.uuid, super->uuid, sizeof(stat.uuid));
	memcpy(stat.boot_id, super->boot_id, sizeof(stat.boot_id));
	stat.created_ns = super->created_ns;
	stat.total_size = tarn__region_size(region);
	stat.size = stat.total_size - region->heap_off;
	stat.max_size = region->max_size - region->heap_off;
	stat.version = super->version;
	stat.layout = super->layout;
	stat.creator_pid = (int32_t)super->creator_pid;
	stat.creator_uid = super->creator_uid;
	stat.member_max = region->member_max;
	stat.object_max = region->object_max;
	stat.ephemeral = region->ephemeral;
	stat.observer = region->observer;
	count_inside(region, &stat);
	r = tarn_segment_stat(region->seg, &seg_stat);
	stat.removed = (r == 0 && seg_stat.removed) ||
		       atomic_load_explicit(&super->state, memory_order_relaxed) != TARN__OPEN;
	tarn__region_leave(region);
	if (r == 0)
		*ret_stat = stat;
	return r;
}

int tarn_region_gc(struct tarn_region *region, uint32_t *ret_count)
{
	uint32_t count = 0;
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return r;
	r = tarn__region_lock(region);
	if (r == 0) {
		count = tarn__member_reap(region);
		count += tarn__object_reap(region);
		tarn__region_unlock(region);
	}
	tarn__region_leave(region);
	if (r == 0 && ret_count != NULL)
		*ret_count = count;
	return r;
}
