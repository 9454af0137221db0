/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * section.c - make, open, close and remove a section; its facts. The bytes, their owners and the
 * ordering are drawn in section.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "sync/section.h"

#define JOURNAL_DEFAULT UINT64_C(4096)
#define JOURNAL_MIN     UINT64_C(64)
#define JOURNAL_MAX     (UINT64_C(1) << 30)

enum { SPINS_FIRST = 512 };

/* --- make and open ------------------------------------------------------------------------- */

static int check_opts(const struct tarn_section_opts *opts, uint64_t *ret_size)
{
	uint64_t size = opts->journal_size != 0 ? opts->journal_size : JOURNAL_DEFAULT;

	if (size < JOURNAL_MIN || size > JOURNAL_MAX)
		return tarn__diag(opts->diag, -EINVAL,
				  "journal_size %" PRIu64 ": %" PRIu64 " to %" PRIu64
				  " is possible",
				  size, JOURNAL_MIN, JOURNAL_MAX);
	if (opts->flags != 0 || opts->pad != 0 || opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL, "flags and reserved options are not zero");
	*ret_size = (size + SECTION_UNIT - 1) & ~(uint64_t)(SECTION_UNIT - 1);
	return 0;
}

static void init_section(unsigned char *base, uint64_t size, void *arg)
{
	struct section_shm *shm = (struct section_shm *)(void *)base;
	const struct tarn_region *region = arg;

	memset(shm, 0, sizeof(*shm)); /* the journal counts only while seq is odd */
	shm->magic = SECTION_MAGIC;
	shm->version = SECTION_VERSION;
	shm->units = (uint32_t)((size - sizeof(*shm)) / SECTION_UNIT);
	shm->check = tarn__section_header_check(shm);
	atomic_init(&shm->leader, (uint32_t)((uint64_t)(base - region->base) / TARN__CACHE_LINE));
	atomic_init(&shm->dirty, tarn__dirty_place(region));
}

static int find_or_make(struct tarn_region *region, const char *name,
			const struct tarn_section_opts *opts, struct tarn__object *ret_object)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	uint64_t journal_size = 0;
	int r = opts != NULL ? check_opts(opts, &journal_size) : 0;

	if (r < 0)
		return r;

	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_SECTION,
		.size = sizeof(struct section_shm) + journal_size,
		.init = init_section,
		.arg = region,
	};

	return tarn__object_find_or_make(region, name, &want, opts != NULL, ret_object, diag);
}

uint64_t tarn__heap_size(const struct tarn_region *region)
{
	uint64_t size = tarn__region_size(region), file = tarn_segment_size(region->seg);

	if (size > file)
		size = file;
	return size > region->heap_off ? size - region->heap_off : 0;
}

int tarn__section_handle(struct tarn_region *region, const struct tarn__object *object,
			 const char *name, struct tarn_section *ret_section, struct tarn_diag *diag)
{
	struct section_shm *shm = (struct section_shm *)(void *)object->base;
	const char *fault = tarn__section_fault(shm, object->size);
	struct tarn_section *section = ret_section;

	if (fault != NULL && strcmp(fault, "version") == 0)
		return tarn__diag(diag, -EPROTO, "section %s: its version is not %u", name,
				  SECTION_VERSION);
	if (fault != NULL)
		return tarn__diag(diag, -EUCLEAN, "section %s: its header is damaged (%s)", name,
				  fault);
	memset(section, 0, sizeof(*section));
	section->shm = shm;
	section->noun = "section";
	section->region = region;
	section->object = *object;
	atomic_init(&section->id, region->id);
	/* Read twice, by the check and here: not more than there is, whatever it says now. */
	section->units = shm->units;
	if (section->units > (object->size - sizeof(*shm)) / SECTION_UNIT)
		return tarn__diag(diag, -EUCLEAN, "section %s: its header is damaged (units)",
				  name);
	memcpy(section->name, name, strnlen(name, TARN_OBJECT_NAME_MAX));
	atomic_init(&section->spins, SPINS_FIRST);
	section->mark = region->heap_off << 16;
	section->tx.leader = section;
	section->tx.depth = 1;
	section->tx.simple = true;
	section->tx.pub.heap = region->base + region->heap_off;
	section->heap_size = tarn__heap_size(region);
	section->tx.pub.span = section->heap_size;
	section->tx.pub.journal = shm->journal;
	section->tx.pub.count = (uint32_t *)(void *)&shm->count;
	return 0;
}

bool tarn__section_next(struct tarn_region *region, uint32_t *index,
			struct tarn__object *ret_object, struct entry *ret_entry)
{
	for (; *index < region->object_max; ++*index) {
		uint32_t state = tarn__entry_read(region, *index, ret_entry);

		if (state == TARN__ENTRY_FREE || ret_entry->kind != TARN_OBJECT_SECTION ||
		    tarn__entry_fault(region, *index, ret_entry) != NULL ||
		    ret_entry->size < sizeof(struct section_shm))
			continue;
		*ret_object = (struct tarn__object){ .index = *index,
						     .state = state,
						     .off = ret_entry->off,
						     .size = ret_entry->size,
						     .base = region->base + ret_entry->off };
		return true;
	}
	return false;
}

int tarn__section_at(struct tarn_region *region, uint64_t off, struct tarn_section *ret_section)
{
	struct tarn__object object;
	struct entry entry;

	for (uint32_t i = 0; tarn__section_next(region, &i, &object, &entry); i++)
		if (object.off == off)
			return tarn__section_handle(region, &object, entry.name, ret_section, NULL);
	return -ENOENT;
}

static void section_forked(struct tarn__forkable *self)
{
	struct tarn_section *section =
		(struct tarn_section *)(void *)((char *)self -
						offsetof(struct tarn_section, forkable));

	atomic_init(&section->id, 0);
	section->in = NULL;
	section->left = false;
	section->tx.pub.limit = 0;
	section->tx.next_open = NULL;
	section->tx.followers = NULL;
	section->tx.depth = 1;
	section->tx.error = 0;
	section->tx.simple = true;
}

int tarn__section_rejoin(struct tarn_section *section, struct tarn_diag *diag)
{
	struct tarn_region *region = section->region;
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return tarn__diag(diag, r, "%s %s: %s", section->noun, section->name,
				  r == -EPERM ? "the region was opened to look on" : strerror(-r));
	/* The parent may have removed it, and its memory be another's by now.
	 * seq_cst: read after the hold that joining anew has set, as D5 in directory.c */
	uint32_t state = atomic_load_explicit(&region->directory[section->object.index].state,
					      memory_order_seq_cst);

	if ((state & ~3u) == (section->object.state & ~3u))
		/* relaxed: as id_of() */
		atomic_store_explicit(&section->id, region->id, memory_order_relaxed);
	else
		r = tarn__diag(diag, -EUCLEAN,
			       "%s %s was removed after this process was forked, and before it "
			       "first entered",
			       section->noun, section->name);
	tarn__listen_drop(section);
	tarn__region_leave(region);
	if (r < 0)
		tarn__diag_hint(diag, "close the handle, and open what has that name, if there is "
				      "one, again");
	return r;
}

static int open_entered(struct tarn_region *region, const char *name,
			const struct tarn_section_opts *opts, struct tarn_section **ret_section)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn_section *section = NULL;
	struct tarn__object object;
	int r = find_or_make(region, name, opts, &object);

	if (r < 0)
		return r;
	section = malloc(sizeof(*section));
	r = section == NULL ? -ENOMEM : tarn__section_handle(region, &object, name, section, diag);
	if (r == 0 && opts != NULL && opts->journal_size != 0 &&
	    (opts->journal_size + SECTION_UNIT - 1) / SECTION_UNIT != section->units)
		r = tarn__diag(diag, -EEXIST,
			       "section %s has a journal of %" PRIu64 " bytes; asked were %" PRIu64,
			       name, (uint64_t)section->units * SECTION_UNIT, opts->journal_size);
	if (r < 0) {
		free(section);
		tarn__object_drop(region, &object);
		return r;
	}
	section->forkable.forked = section_forked;
	tarn__fork_add(region, &section->forkable);
	*ret_section = section;
	return 0;
}

static int open_section(struct tarn_region *region, const char *name,
			const struct tarn_section_opts *opts, struct tarn_section **ret_section)
{
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	r = open_entered(region, name, opts, ret_section);
	tarn__region_leave(region);
	return r;
}

int tarn_section_open(struct tarn_region *region, const char *name,
		      const struct tarn_section_opts *opts, struct tarn_section **ret_section)
{
	struct tarn_diag words = { .what = "" }; /* not finding it, for one, may yet end well */
	struct tarn_section_opts with;

	if (name == NULL)
		name = TARN_SECTION_REGION;
	if (opts == NULL)
		return open_section(region, name, NULL, ret_section);
	with = *opts;
	with.diag = &words;
	return tarn__diag_pass(opts->diag, &words, open_section(region, name, &with, ret_section));
}

void tarn_section_close(struct tarn_section *section)
{
	if (section == NULL)
		return;

	struct tarn_region *region = section->region;

	if (tarn__tx_inside(section))
		(void)tarn_section_abort(section);
	tarn__listen_drop(section);
	tarn__region_enter_to_leave(region);
	tarn__fork_remove(region, &section->forkable);
	tarn__object_drop(region, &section->object);
	tarn__region_leave(region);
	free(section);
}

int tarn_section_remove(struct tarn_region *region, const char *name, struct tarn_diag *diag)
{
	int r = tarn_section_recover(region, name, 0, diag);

	if (r < 0 && r != -EBUSY)
		return r;
	/* Others may need its journal to be rolled back. */
	(void)!tarn_section_recover(region, NULL, 0, NULL);
	r = tarn_object_remove(region, name);
	return r < 0 ? tarn__diag(diag, r, "section %s: %s", name, strerror(-r)) : 0;
}

/* --- facts --------------------------------------------------------------------------------- */

static void read_waiters(struct tarn_section *section, struct tarn_section_stat *stat)
{
	for (int i = 0; i < TARN_SECTION_WAITERS; i++) {
		struct waiter_shm *waiter = &section->shm->waiters[i];
		/* relaxed: for the eye */
		uint32_t id = atomic_load_explicit(&waiter->id, memory_order_relaxed);
		uint32_t tid = atomic_load_explicit(&waiter->tid, memory_order_relaxed);
		uint32_t token = atomic_load_explicit(&waiter->token, memory_order_relaxed);
		struct tarn_section_who *who = &stat->waiters[stat->waiter_count];

		if (id == 0 || token == 0)
			continue;
		tarn__section_who(section, id, tid, who);
		stat->waiter_count += who->alive;
	}
}

void tarn__section_read_stat(struct tarn_section *section, struct tarn_section_stat *ret_stat)
{
	struct section_shm *shm = section->shm;
	struct tarn_section_stat *stat = ret_stat;
	/* relaxed, all: each by itself, for the eye */
	uint32_t lock = atomic_load_explicit(&shm->lock, memory_order_relaxed);
	uint32_t count = atomic_load_explicit(&shm->count, memory_order_relaxed);
	uint32_t hi = atomic_load_explicit(&shm->seen_hi, memory_order_relaxed);

	memset(stat, 0, sizeof(*stat));
	stat->off = section->object.off;
	stat->journal_size = (uint64_t)section->units * SECTION_UNIT;
	stat->version = atomic_load_explicit(&shm->seq, memory_order_relaxed);
	if ((stat->version & 1) != 0)
		stat->journal_used =
			(uint64_t)(count < section->units ? count : section->units) * SECTION_UNIT;
	stat->wait_count = atomic_load_explicit(&shm->waited, memory_order_relaxed);
	stat->abort_count = atomic_load_explicit(&shm->aborted, memory_order_relaxed);
	stat->recover_count = atomic_load_explicit(&shm->recovered, memory_order_relaxed);
	stat->set_aside = (lock & ~TARN__ID_FLAG) == LOCK_ASIDE;
	stat->held = (lock & ~TARN__ID_FLAG) != 0 && !stat->set_aside;
	stat->damaged = stat->held && tarn__id_slot(lock) >= section->region->member_max;
	if (!stat->held && !stat->set_aside && (stat->version & 1) != 0)
		/* relaxed: between the two looks it may have been entered */
		stat->damaged =
			atomic_load_explicit(&shm->lock, memory_order_relaxed) == lock &&
			atomic_load_explicit(&shm->seq, memory_order_relaxed) == stat->version;
	if (stat->held)
		tarn__section_who(section, lock & ~TARN__ID_FLAG,
				  atomic_load_explicit(&shm->tid, memory_order_relaxed),
				  &stat->owner);
	if (stat->held && hi != 0 &&
	    atomic_load_explicit(&shm->seen_seq, memory_order_relaxed) == stat->version)
		stat->since_ns =
			(int64_t)((uint64_t)(hi & ~(1u << 31)) << 32 |
				  atomic_load_explicit(&shm->seen_lo, memory_order_relaxed));
	read_waiters(section, stat);
}

int tarn_section_stat(struct tarn_section *section, struct tarn_section_stat *ret_stat)
{
	if (tarn_segment_damaged(section->region->seg))
		return -EIO;
	tarn__section_read_stat(section, ret_stat);
	return 0;
}
