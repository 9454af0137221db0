/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * region.h - the handle of a region, and what the files of this folder and the layers above share.
 *
 * The handle holds the checked copy of the geometry: nothing below reads it from the region again.
 * region->mutex is taken by every public call (rule 1), the region lock inside it (rule 2).
 */
#ifndef TARN_REGION_INTERNAL_H
#define TARN_REGION_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <tarn/region.h>

#include "plat/plat.h"
#include "region/format.h"
#include "segment/segment.h"

/* A link of a robust list; every other beacon lies at 4 modulo 8, and its node with it. */
typedef void *tarn__link __attribute__((aligned(4)));

/* A mapping of the member's page with a private page behind it, see beacon.c. */
struct beacon {
	unsigned char *pair; /* NULL: not armed */
	uint64_t thread;     /* on whose list the node is: a number that never comes again */
	void **head;         /* that list */
	tarn__link *node;
};

/* One open object, as the layers above see it. */
struct tarn__object {
	uint32_t index;
	uint32_t state; /* of its entry when it was opened: generation and TARN__ENTRY_LIVE */
	uint64_t off;
	uint64_t size;
	unsigned char *base;
};

struct tarn_region {
	struct tarn_segment *seg;
	unsigned char *base;
	struct super_shm *super;
	struct entry_shm *directory;
	struct member_page_shm *members;

	/* geometry, checked */
	uint32_t member_max;
	uint32_t object_max;
	uint64_t heap_off;
	uint64_t max_size;
	_Atomic uint32_t there; /* of the segment, in pages: so much is known to exist */
	bool ephemeral;
	bool observer;

	/* membership */
	int lock_fd; /* System V: the control file; else -1, and the segment's is used. No lock */
	int live_fd; /* carries this member's lock; -1: not a member */
	uint32_t id; /* 0: none */
	struct member_shm *me;
	struct beacon beacon;
	bool forked;        /* inherited over fork(): joins anew at its next call */
	char *control_path; /* System V: the control file; else NULL */

	pthread_mutex_t mutex;
	uint32_t *hold_count; /* [object_max]: opens of each object through this handle */
	uint32_t *hold_state; /* [object_max]: the entry's state when it was first opened */

	/* where events go; of each trace that there was one, until the handle is closed: trace.c */
	_Atomic(struct trace_at *) trace;
	uint32_t trace_count;

	/* handles of the layers above that must hear of a fork: fork.c */
	struct tarn__forkable *forkables;
	struct tarn_region *next; /* in the process's list */
};

/* --- super.c ------------------------------------------------------------------------------- */

struct geometry {
	uint32_t member_max;
	uint32_t object_max;
	uint64_t directory_off;
	uint64_t member_off;
	uint64_t heap_off;
	uint64_t size; /* of the whole segment */
	uint64_t max_size;
};

/* Where everything lies for @opts. -EINVAL with @diag. */
int tarn__super_plan(const struct tarn_region_opts *opts, uint64_t page_size,
		     struct geometry *ret_geo, struct tarn_diag *diag);
/* Write the superblock of a new, zero segment; all but state, which is stored last.
 * @uuid: NULL draws one */
int tarn__super_init(struct super_shm *super, const struct geometry *geo,
		     const struct tarn_segment *seg, uint32_t flags, const uint8_t uuid[16]);
uint32_t tarn__super_checksum(const struct super_shm *super);
uint32_t tarn__layout_hash(void);
/* Test a copy of a superblock; @size is that of the segment. -EUCLEAN or -EPROTO with @diag;
 * findings go to @fn too, if given. */
int tarn__super_check(const struct super_shm *super, uint64_t size, struct tarn_diag *diag,
		      tarn_report_fn *fn, void *arg);
/* Read the superblock of @seg without risking a signal. 0, -EUCLEAN with @diag. */
int tarn__super_read(struct tarn_segment *seg, struct super_shm *ret_super, struct tarn_diag *diag);

/* Figures for the eye: nobody decides by them, so the scheduler of the tests takes them for no
 * step, and keeps no two states apart by them. */
#ifndef __clang__
#define TARN__UNSEEN __attribute__((no_sanitize("thread")))
#elif __has_feature(thread_sanitizer)
#define TARN__UNSEEN __attribute__((noinline, disable_sanitizer_instrumentation))
#else
#define TARN__UNSEEN
#endif
/* One more, in a word that nobody else writes meanwhile. A death here loses one. */
TARN__UNSEEN static inline void tarn__count_one(_Atomic uint32_t *word)
{
	/* relaxed, both: it publishes nothing */
	uint32_t count = atomic_load_explicit(word, memory_order_relaxed);

	atomic_store_explicit(word, count + 1, memory_order_relaxed);
}

/* The same of a word that anybody writes. */
TARN__UNSEEN static inline void tarn__count_also(_Atomic uint32_t *word)
{
	/* relaxed: it publishes nothing */
	atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
}

/* --- member.c ------------------------------------------------------------------------------ */

/* Become a member; region->live_fd is open. 0, -EUSERS. */
int tarn__member_join(struct tarn_region *region, struct tarn_diag *diag);
/* Give the slot back; the lock goes with live_fd. */
void tarn__member_leave(struct tarn_region *region);
/* Does the member that had @id live? The kernel's word. */
bool tarn__member_alive(struct tarn_region *region, uint32_t id);
/* Does any member but this handle live? */
bool tarn__member_others(struct tarn_region *region);
/* The same, waiting a moment for those that are just coming or going; the lock is held. */
bool tarn__member_staying(struct tarn_region *region);
/* Free the slots of the dead; their number. */
uint32_t tarn__member_reap(struct tarn_region *region);
struct member_shm *tarn__member_at(const struct tarn_region *region, uint32_t slot);
_Atomic uint32_t *tarn__member_beacon(const struct tarn_region *region, uint32_t slot);
void tarn__member_read(const struct tarn_region *region, uint32_t slot,
		       struct tarn_member_stat *ret_stat);
/* Every public call begins here: takes the mutex, joins anew after a fork. */
int tarn__region_enter(struct tarn_region *region);
void tarn__region_leave(struct tarn_region *region);
/* For what closes handles: takes the mutex and nothing else; region->me may be NULL then. */
void tarn__region_enter_to_leave(struct tarn_region *region);
/* Enter, and refuse observers with -EPERM. */
int tarn__region_enter_member(struct tarn_region *region);

/* --- beacon.c ------------------------------------------------------------------------------ */

void tarn__beacon_arm(struct tarn_region *region);
void tarn__beacon_disarm(struct tarn_region *region);
/* Forget a beacon that a parent armed. */
void tarn__beacon_forget(struct tarn_region *region);
/* The beacon of @peer, made to wake who sleeps on it, and the value to sleep on; NULL: there is
 * none, or it has fired. Who is woken by one that has fired wakes the next (beacon.c). */
_Atomic uint32_t *tarn__beacon_watch(struct tarn_region *region, uint32_t peer,
				     uint32_t *ret_value);
/* Has the thread ended that armed @peer's? A hint. */
bool tarn__beacon_fired(struct tarn_region *region, uint32_t peer);
/* For how long to sleep where there is none: short while a beacon has fired, and the kernel has not
 * said yet that @peer is dead; ever longer, by *@slice, which is 0 at first. */
int64_t tarn__beacon_slice(struct tarn_region *region, uint32_t peer, int64_t *slice);
/*
 * Sleep while *@word is @value and member @peer (0: nobody) has not died, at most a slice or until
 * @deadline. 0: look again; -ETIMEDOUT: @deadline has passed; -EIO: the file was truncated.
 */
int tarn__region_sleep(struct tarn_region *region, _Atomic uint32_t *word, uint32_t value,
		       uint32_t peer, int64_t deadline);

/* --- lock.c -------------------------------------------------------------------------------- */

/* 0, or -ETIMEDOUT when a live member has not let go for LOCK_PATIENCE_NS. */
int tarn__region_lock(struct tarn_region *region);
void tarn__region_unlock(struct tarn_region *region);
/* The same for member @id, which left while it held the lock. */
void tarn__region_unlock_left(struct tarn_region *region, uint32_t id);

/* --- directory.c --------------------------------------------------------------------------- */

/* Fill a new object; its memory is zero if @zeroed was asked for. Called under the region lock. */
typedef void tarn__object_init_fn(unsigned char *base, uint64_t size, void *arg);

struct tarn__object_want {
	uint32_t kind;
	uint64_t size;
	bool zeroed;                /* false: only what @init writes is defined */
	tarn__object_init_fn *init; /* may be NULL */
	void *arg;
};

/* "a mutex"; of a kind that is not known, "of a kind that this version does not know". */
const char *tarn__kind_words(uint32_t kind);
int tarn__object_name_check(const char *name, struct tarn_diag *diag);
/* 0, -EEXIST, -ENOSPC, -ENFILE, -EUCLEAN, -ETIMEDOUT. Held until tarn__object_drop(). */
int tarn__object_make(struct tarn_region *region, const char *name,
		      const struct tarn__object_want *want, struct tarn__object *ret_object,
		      struct tarn_diag *diag);
/* 0, -ENOENT, -EPROTO (another kind), -EUCLEAN. Held, unless the handle is an observer's. */
int tarn__object_find(struct tarn_region *region, const char *name, uint32_t kind,
		      struct tarn__object *ret_object, struct tarn_diag *diag);
/* Hold an object that was come upon, a removed one too. False: it is gone. */
bool tarn__object_hold(struct tarn_region *region, const struct tarn__object *object);
/* Find it, or where it is absent and @make says so, and the handle is no observer's, make it. */
int tarn__object_find_or_make(struct tarn_region *region, const char *name,
			      const struct tarn__object_want *want, bool make,
			      struct tarn__object *ret_object, struct tarn_diag *diag);
void tarn__object_drop(struct tarn_region *region, const struct tarn__object *object);
/* Remove the name of what stood in entry @index with @state, and of nothing that came after it. As
 * tarn_object_remove(): takes the handle's mutex. 0, -ENOENT, ... */
int tarn__object_remove_exact(struct tarn_region *region, uint32_t index, uint32_t state);
/* After a fork: hold again what the parent's handle held. */
void tarn__object_rehold(struct tarn_region *region);
/* Free removed objects that nobody alive holds; the lock is held. Their number. */
uint32_t tarn__object_reap(struct tarn_region *region);
/* May a section yet be rolled back into the object at @off, or need the journal that is there?
 * sync/recover.c: the one thing that this layer asks of one above. Under the region lock. */
bool tarn__object_owed(struct tarn_region *region, uint64_t off, uint64_t size);
/* Copy entry @index; its state, or TARN__ENTRY_FREE when it changes under our eyes. */
uint32_t tarn__entry_read(const struct tarn_region *region, uint32_t index,
			  struct entry *ret_entry);
/* NULL if @entry keeps every rule, else the field that does not. */
const char *tarn__entry_fault(const struct tarn_region *region, uint32_t index,
			      const struct entry *entry);
uint32_t tarn__object_holders(struct tarn_region *region, uint32_t index);
/* Bytes of the whole segment now, never beyond what is mapped. */
uint64_t tarn__region_size(const struct tarn_region *region);

/* --- control.c: what System V segments need beside themselves ------------------------------ */

int tarn__control_create(const struct tarn__addr *addr, const struct tarn_region_opts *opts,
			 struct tarn_region **ret_region);
/* The descriptor on which liveness locks of the System V segment @seg are taken. */
int tarn__control_open(struct tarn_segment *seg, const struct super_shm *super, bool read_only,
		       char **ret_path, struct tarn_diag *diag);
/* Remove the System V segment of @region, and its control file. Under the region lock. */
int tarn__control_unname(struct tarn_region *region);
/* What a System V segment without a sound superblock is: -EAGAIN just being made, -ENOENT left by
 * a creator that died, else @error. */
int tarn__control_verdict(struct tarn_segment *seg, int error);
#define TARN__CONTROL_PREFIX "tarn.sysv."
/* Which System V segment is the control file @fd for? -EUCLEAN if it is none. */
int tarn__control_target(int fd, int32_t *ret_id);
/* Is the control file @fd, named @path, of use to anybody alive? If not, 0 and @leftover says what
 * it is; -EBUSY if it is. With @remove it goes, and a half-made segment with it. */
int tarn__control_reclaim(int fd, const char *path, bool remove, struct tarn_leftover *leftover);

/* --- leftover.c ---------------------------------------------------------------------------- */

#define TARN__PASSING_PREFIX ".tarn-gc."
/* Is @path that of a file on its way out? */
bool tarn__passing(const char *path);
/* A passing name for what is at @path, in the same folder; free() it. 0, -ENOMEM, or the error of
 * drawing a number. */
int tarn__passing_path(const char *path, char **ret_path);
/* Is the file with the passing name @path what a dead process was removing, and of use to nobody?
 * If so, 0 and @leftover says what it is, and with @remove it goes. -EBUSY if not: with @remove it
 * has its old name again, if it is of use and nobody is removing it. */
int tarn__passing_reclaim(const char *path, bool remove, struct tarn_leftover *leftover);

/* --- region.c ------------------------------------------------------------------------------ */

/* Build a handle on @seg, whose superblock is @super; takes @seg over on success. */
int tarn__region_attach(struct tarn_segment *seg, const struct super_shm *super,
			const struct tarn_region_opts *opts, struct tarn_region **ret_region);
void tarn__region_free(struct tarn_region *region);
int tarn__region_init_mutex(struct tarn_region *region);
/* Open a description for the lock, take a slot. */
int tarn__region_become_member(struct tarn_region *region, struct tarn_diag *diag);

/* --- check.c ------------------------------------------------------------------------------- */

/* A check of one thing under way, here and in the layers above. */
struct tarn__audit {
	const char *where;
	tarn_report_fn *fn; /* may be NULL */
	void *arg;
	int r; /* -EUCLEAN once something was found */
};

/* @field of what is checked breaks @rule. */
void tarn__audit_report(struct tarn__audit *audit, const char *field, const char *rule,
			uint64_t found, uint64_t expected);
/* The same of what tarn_section_recover() puts right without force. */
void tarn__audit_mendable(struct tarn__audit *audit, const char *field, const char *rule,
			  uint64_t found, uint64_t expected);

/* Test superblock, members and directory; objects are the business of the layers above. */
int tarn__region_check_self(struct tarn_region *region, tarn_report_fn *fn, void *arg);

/* --- fork.c -------------------------------------------------------------------------------- */

/* Call @fn for each region that this process has open; it opens and closes none. */
void tarn__regions_each(void (*fn)(struct tarn_region *region, void *arg), void *arg);

struct tarn__forkable {
	void (*forked)(struct tarn__forkable *self); /* in the child; async-signal-safe */
	struct tarn__forkable *next;
};

int tarn__fork_watch(struct tarn_region *region);
void tarn__fork_unwatch(struct tarn_region *region);
void tarn__fork_add(struct tarn_region *region, struct tarn__forkable *item);
void tarn__fork_remove(struct tarn_region *region, struct tarn__forkable *item);
/* The same of what belongs to no region. 0, -ENOMEM. */
int tarn__fork_add_other(struct tarn__forkable *item);
void tarn__fork_remove_other(struct tarn__forkable *item);

#endif /* TARN_REGION_INTERNAL_H */
