/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.c - make, open, close and remove an arena; keep a handle's copy of what it consists of. The
 * bytes, their owners and the invariants are drawn in arena.h.
 *
 * A handle holds the arena and each extent that it knows, so what it points to is not given to
 * others while it does. It looks at the epoch in each call, and brings its copy up to date when
 * another one stands there.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "arena/arena.h"

#define SIZE_DEFAULT UINT64_C(65536)

enum { TRIES = 100 };

uint32_t tarn__arena_header_check(const struct arena_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct arena_shm, check), TARN__FNV32_BASIS);
}

/* --- make ------------------------------------------------------------------------------------ */

struct new_arena {
	struct tarn_region *region;
	uint32_t pages;
	uint32_t max_pages;
	uint32_t flags;
	uint64_t id;
	uint64_t section;
};

static int check_opts(struct tarn_region *region, const struct tarn_arena_opts *opts,
		      struct new_arena *ret)
{
	uint64_t size = opts->size != 0 ? opts->size : SIZE_DEFAULT;
	uint64_t max_size = opts->max_size != 0 ? opts->max_size : size;

	if (max_size > (uint64_t)PAGES_MAX * PAGE || size > max_size)
		return tarn__diag(opts->diag, -EINVAL,
				  "size %" PRIu64 " and max_size %" PRIu64 ": up to %" PRIu64
				  " is possible, and max_size not below size",
				  size, max_size, (uint64_t)PAGES_MAX * PAGE);
	if ((opts->flags & ~TARN_ARENA_POISON) != 0 || opts->pad != 0 || opts->reserved[0] != 0 ||
	    opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL, "flags and reserved options are not zero");
	if (opts->section != NULL && opts->section->region != region)
		return tarn__diag(opts->diag, -EINVAL, "the section is of another region");
	ret->region = region;
	ret->pages = (uint32_t)((size + PAGE - 1) >> PAGE_SHIFT);
	ret->max_pages = (uint32_t)((max_size + PAGE - 1) >> PAGE_SHIFT);
	ret->flags = opts->flags;
	ret->section = opts->section != NULL ? opts->section->object.off : 0;
	return tarn__plat_random(&ret->id, sizeof(ret->id));
}

static void init_arena(unsigned char *base, uint64_t size, void *arg)
{
	struct arena_shm *shm = (struct arena_shm *)(void *)base;
	const struct new_arena *want = arg;

	(void)size;
	memset(shm, 0, sizeof(*shm));
	shm->magic = ARENA_MAGIC;
	shm->version = ARENA_VERSION;
	shm->flags = want->flags;
	shm->id = want->id;
	shm->section = want->section;
	shm->max_pages = want->max_pages;
	shm->check = tarn__arena_header_check(shm);
	shm->pages = want->pages;
	shm->extents[0] = (uint64_t)(base - want->region->base);
	tarn__extent_init(want->region, &shm->first, 0, want->id, want->pages);

	struct meta_shm *meta =
		(struct meta_shm *)(void *)(base + sizeof(*shm) + (want->pages + 511) / 512 * 64);

	meta->link = link_of(shm->first.first, shm->first.first);
	shm->bins[tarn__bin_of(want->pages)] = shm->first.first;
}

static int check_name(const char *name, struct tarn_diag *diag)
{
	int r = tarn__object_name_check(name, diag);

	if (r == 0 && strlen(name) > TARN_ARENA_NAME_MAX)
		r = tarn__diag(diag, -EINVAL, "an arena's name has 1 to %d bytes; this one more",
			       TARN_ARENA_NAME_MAX);
	return r;
}

static int find_or_make(struct tarn_region *region, const char *name,
			const struct tarn_arena_opts *opts, struct new_arena *new,
			struct tarn__object *ret_object)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_ARENA,
		.size = offsetof(struct arena_shm, first) + tarn__extent_size(new->pages),
		.init = init_arena,
		.arg = new,
	};
	bool make = opts != NULL && opts->section != NULL;
	int r = tarn__object_find_or_make(region, name, &want, make, ret_object, diag);

	if (r == -ENOENT && opts != NULL && !make && !region->observer)
		return tarn__diag(diag, -EINVAL, "arena %s is to be made: under which section?",
				  name);
	return r;
}

/* --- spans ----------------------------------------------------------------------------------- */

static void drop_span(struct tarn_arena *arena, struct span *span)
{
	static const struct span none;

	if (span->held)
		tarn__object_drop(arena->region, &span->object);
	tarn__arena_span_put(span, &none);
}

/* The extent of @slot, whose object the table says lies at @off. */
static int find_span(struct tarn_arena *arena, uint32_t slot, uint64_t off, struct span *ret_span)
{
	struct tarn__object object = arena->object;
	char name[EXTENT_NAME_SIZE];
	uint64_t at = off;

	if (slot == 0) {
		at += offsetof(struct arena_shm, first);
	} else {
		tarn__extent_name(arena->name, slot, name);
		if (tarn__object_find(arena->region, name, TARN_OBJECT_EXTENT, &object, NULL) < 0)
			return -EUCLEAN; /* A2 */
		ret_span->object = object;
		ret_span->held = !arena->region->observer;
	}
	ret_span->off = off;
	if (object.off == off && tarn__extent_span(arena->region, at, off + object.size, arena->id,
						   slot, ret_span) == NULL)
		return 0;
	if (ret_span->held)
		tarn__object_drop(arena->region, &object);
	return -EUCLEAN;
}

static uint64_t load_extent(const uint64_t *word)
{
#if UINTPTR_MAX > 0xffffffffu
	/* acquire: whoever of our threads took it out is done with the span */
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
#else
	return load64(word);
#endif
}

/* Copy the table. The number of slots, or -EUCLEAN. */
static int read_table(struct tarn_arena *arena)
{
	int count = 0;

	for (uint32_t slot = 0; slot < EXTENTS_MAX; slot++) {
		uint64_t off = load_extent(&arena->shm->extents[slot]);
		struct span *span = &arena->spans[slot], found = { 0 };
		int r;

		if (off != span->off || span_pages(span) == 0) {
			drop_span(arena, span);
			if (off == 0)
				continue;
			r = find_span(arena, slot, off, &found);
			if (r < 0)
				return r;
			tarn__arena_span_put(span, &found);
		}
		count = (int)slot + 1;
	}
	return span_pages(&arena->spans[0]) != 0 ? count : -EUCLEAN;
}

/* The region's mutex is held. Rule 4: a table that is not final comes with an epoch of its own, and
 * who is inside stores the epoch first; so the copy is of the epoch that stands there before and
 * after. */
static int sync_entered(struct tarn_arena *arena)
{
	for (int i = 0; i < TRIES; i++) {
		uint32_t epoch = load32(&arena->shm->epoch);
		int count;

		if (epoch == EPOCH_REMOVED)
			return -ENOENT;
		/* acquire, both: the table is read between the two looks at the epoch */
		atomic_thread_fence(memory_order_acquire); /* style: the table has many words */
		count = read_table(arena);
		atomic_thread_fence(memory_order_acquire); /* style: as above */
		if (load32(&arena->shm->epoch) != epoch)
			continue;
		if (count < 0)
			return count;
		/* relaxed: ordered by the next store */
		atomic_store_explicit(&arena->span_count, (uint32_t)count, memory_order_relaxed);
		/* P3 -> P4 in is_fresh() */
		atomic_store_explicit(&arena->epoch, epoch, memory_order_release);
		return 0;
	}
	return -EUCLEAN;
}

static int sync_stale(struct tarn_arena *arena)
{
	/* The parent may have removed it, and its memory be another's by now.
	 * seq_cst: read after the hold that joining anew has set, as D5 in directory.c */
	uint32_t state = atomic_load_explicit(&arena->region->directory[arena->object.index].state,
					      memory_order_seq_cst);

	if ((state & ~3u) != (arena->object.state & ~3u))
		return -EUCLEAN;
	for (uint32_t slot = 0; slot < EXTENTS_MAX; slot++)
		drop_span(arena, &arena->spans[slot]);
	atomic_store_explicit(&arena->stale, false, memory_order_relaxed); /* relaxed: our own */
	return 0;
}

int tarn__arena_sync(struct tarn_arena *arena)
{
	int r = tarn__region_enter(arena->region);

	if (r < 0)
		return r;
	/* relaxed: set in the child of a fork() before anything else runs there */
	if (atomic_load_explicit(&arena->stale, memory_order_relaxed))
		r = sync_stale(arena);
	if (r == 0)
		r = sync_entered(arena);
	tarn__region_leave(arena->region);
	return r;
}

int tarn__arena_glance(struct tarn_arena *arena, struct tarn_arena *ret_copy)
{
	int r = tarn__arena_fresh(arena);

	if (r == 0)
		r = tarn__region_enter(arena->region);
	if (r < 0)
		return r;
	memcpy(ret_copy, arena, sizeof(*ret_copy));
	tarn__region_leave(arena->region);
	return 0;
}

/* --- is a tx the right one? ------------------------------------------------------------------ */

static bool has_section(const struct tx *tx, const struct section_shm *section)
{
	const struct tarn_section *follower = tx->followers;

	while (follower != NULL && follower->shm != section)
		follower = follower->next_follower;
	return follower != NULL || tx->leader->shm == section;
}

bool tarn__arena_inside(const struct tarn_arena *arena)
{
	const struct tx *tx = tarn__self.open;

	while (tx != NULL && !has_section(tx, arena->section))
		tx = tx->next_open;
	return tx != NULL;
}

int tarn__arena_begin_slowly(struct tarn_arena *arena, struct tarn_tx *tx)
{
	const struct tx *open = tarn__self.open;

	while (open != NULL && &open->pub != tx)
		open = open->next_open;
	if (open == NULL || !has_section(open, arena->section))
		return -EPERM;
	return open->error < 0 ? open->error : tarn__arena_fresh(arena);
}

/* --- open ------------------------------------------------------------------------------------ */

static const char *header_fault(const struct arena_shm *copy)
{
	if (copy->magic != ARENA_MAGIC)
		return "magic";
	if (copy->check != tarn__arena_header_check(copy))
		return "check";
	if (copy->version != ARENA_VERSION)
		return "version";
	if ((copy->flags & ~TARN_ARENA_POISON) != 0)
		return "flags";
	if (copy->max_pages == 0 || copy->max_pages > PAGES_MAX)
		return "max_pages";
	return NULL;
}

const char *tarn__arena_handle(struct tarn_region *region, const struct tarn__object *object,
			       struct tarn_arena *ret_arena)
{
	struct arena_shm *shm = (struct arena_shm *)(void *)object->base;
	struct arena_shm copy;
	struct tarn_section section;
	const char *fault;

	if (object->size < sizeof(copy))
		return "size";
	memcpy(&copy, shm, offsetof(struct arena_shm, pad0)); /* what is constant */
	fault = header_fault(&copy);
	if (fault != NULL)
		return fault;
	if (tarn__section_at(region, copy.section, &section) < 0)
		return "section";
	memset(ret_arena, 0, sizeof(*ret_arena));
	ret_arena->shm = shm;
	ret_arena->base = region->base;
	ret_arena->section = section.shm;
	ret_arena->region = region;
	ret_arena->object = *object;
	ret_arena->flags = copy.flags;
	ret_arena->max_pages = copy.max_pages;
	if ((copy.flags & TARN_ARENA_POISON) == 0)
		ret_arena->easy_max = copy.max_pages > 1 ? SMALL_MAX : PAGE;
	ret_arena->id = copy.id;
	memcpy(ret_arena->name, section.name, sizeof(section.name)); /* for now: see open */
	return NULL;
}

static void arena_forked(struct tarn__forkable *self)
{
	struct tarn_arena *arena =
		(struct tarn_arena *)(void *)((char *)self - offsetof(struct tarn_arena, forkable));

	atomic_store_explicit(&arena->stale, true, memory_order_relaxed); /* relaxed: one thread */
}

static int check_wanted(const struct tarn_arena *arena, const char *name,
			const struct tarn_arena_opts *opts, const struct new_arena *want)
{
	if (opts == NULL)
		return 0;
	if (opts->section != NULL && opts->section->shm != arena->section)
		return tarn__diag(opts->diag, -EEXIST, "arena %s is under section %s, not %s", name,
				  arena->name, opts->section->name);
	if (opts->max_size != 0 && want->max_pages != arena->max_pages)
		return tarn__diag(opts->diag, -EEXIST,
				  "arena %s has max_size %" PRIu64 "; asked was %" PRIu64, name,
				  (uint64_t)arena->max_pages * PAGE, opts->max_size);
	if (opts->flags != arena->flags)
		return tarn__diag(opts->diag, -EEXIST,
				  "arena %s was made with%s TARN_ARENA_POISON; asked was one "
				  "with%s it",
				  name, (arena->flags & TARN_ARENA_POISON) != 0 ? "" : "out",
				  (opts->flags & TARN_ARENA_POISON) != 0 ? "" : "out");
	return 0;
}

static int open_entered(struct tarn_region *region, const char *name,
			const struct tarn_arena_opts *opts, struct new_arena *want,
			struct tarn_arena *arena)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn__object object;
	const char *fault;
	int r = find_or_make(region, name, opts, want, &object);

	if (r < 0)
		return r;
	fault = tarn__arena_handle(region, &object, arena);
	if (fault != NULL)
		r = tarn__diag(diag, strcmp(fault, "version") == 0 ? -EPROTO : -EUCLEAN,
			       strcmp(fault, "section") == 0
				       ? "arena %s: its section is gone (%s)"
				       : "arena %s: its header is damaged (%s)",
			       name, fault);
	if (r == 0)
		r = check_wanted(arena, name, opts, want);
	if (r < 0) {
		tarn__object_drop(region, &object);
		return r;
	}
	arena->forkable.forked = arena_forked;
	tarn__fork_add(region, &arena->forkable);
	return 0;
}

/* The section by a handle of our own, and the spans. */
static int finish_open(struct tarn_arena *arena, const char *name, struct tarn_diag *diag)
{
	int r = tarn_section_open(arena->region, arena->name, NULL, &arena->own);

	if (r == 0 && arena->own->shm != arena->section)
		r = -EUCLEAN;
	memset(arena->name, 0, sizeof(arena->name));
	memcpy(arena->name, name, strlen(name));
	if (r < 0)
		return tarn__diag(diag, -EUCLEAN, "arena %s: its section is gone", name);
	r = tarn__arena_sync(arena);
	if (r == -EUCLEAN)
		tarn__diag(diag, r, "arena %s: its table of extents is damaged", name);
	return r;
}

/* -ENOENT from here, with a handle: it is being removed, and whoever did so has died. */
static int open_once(struct tarn_region *region, const char *name,
		     const struct tarn_arena_opts *opts, struct new_arena *want,
		     struct tarn_arena **ret_arena)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn_arena *arena = calloc(1, sizeof(*arena));
	int r;

	if (arena == NULL)
		return -ENOMEM;
	r = tarn__region_enter(region);
	if (r == 0) {
		r = open_entered(region, name, opts, want, arena);
		tarn__region_leave(region);
	}
	if (r < 0) {
		free(arena);
		return r;
	}
	r = finish_open(arena, name, diag);
	if (r < 0 && r != -ENOENT) {
		tarn_arena_close(arena);
		return r;
	}
	*ret_arena = arena;
	return r;
}

/* Remove the names of what @arena was, and the handle. */
static int finish_removal(struct tarn_arena *arena)
{
	struct tarn_region *region = arena->region;
	struct tarn__object object = arena->object;
	uint64_t id = arena->id;
	int r;

	tarn_arena_close(arena);
	if (region->observer)
		return -ENOENT;
	(void)tarn__extents_remove(region, id, NULL);
	/* not by name: others may have finished this, and made a new one */
	r = tarn__object_remove_exact(region, object.index, object.state);
	return r == -ENOENT ? 0 : r;
}

static int open_arena(struct tarn_region *region, const char *name,
		      const struct tarn_arena_opts *opts, struct tarn_arena **ret_arena)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct new_arena want = { .pages = 1 };
	struct tarn_arena *arena = NULL;
	int r = check_name(name, diag);

	if (r == 0 && opts != NULL)
		r = check_opts(region, opts, &want);
	if (r < 0)
		return r;
	for (int i = 0; i < TRIES; i++) {
		arena = NULL;
		r = open_once(region, name, opts, &want, &arena);
		if (r != -ENOENT || arena == NULL)
			break;
		r = finish_removal(arena);
		if (r < 0)
			return r;
		r = -ENOENT;
	}
	if (r == 0)
		*ret_arena = arena;
	return r;
}

int tarn_arena_open(struct tarn_region *region, const char *name,
		    const struct tarn_arena_opts *opts, struct tarn_arena **ret_arena)
{
	struct tarn_diag words = { .what = "" }; /* not finding it, for one, may yet end well */
	struct tarn_arena_opts with;

	if (opts == NULL)
		return open_arena(region, name, NULL, ret_arena);
	with = *opts;
	with.diag = &words;
	return tarn__diag_pass(opts->diag, &words, open_arena(region, name, &with, ret_arena));
}

void tarn_arena_close(struct tarn_arena *arena)
{
	if (arena == NULL)
		return;

	struct tarn_region *region = arena->region;

	tarn__region_enter_to_leave(region);
	tarn__fork_remove(region, &arena->forkable);
	for (uint32_t slot = 0; slot < EXTENTS_MAX; slot++)
		drop_span(arena, &arena->spans[slot]);
	tarn__object_drop(region, &arena->object);
	tarn__region_leave(region);
	tarn_section_close(arena->own);
	free(arena);
}

/* --- remove ---------------------------------------------------------------------------------- */

/* From now on nobody changes it: final before any name goes. */
static int condemn(struct tarn_arena *arena, int64_t deadline, struct tarn_diag *diag)
{
	struct tarn_tx *tx;
	int r, left;

	if (tarn__arena_inside(arena))
		return tarn__diag(diag, -EDEADLK, "arena %s: this thread is inside of its section",
				  arena->name);
	r = tarn_section_enter(arena->own, deadline, &tx, diag);
	if (r < 0)
		return r;
	r = tarn_tx_set32(tx, &arena->shm->epoch, EPOCH_REMOVED);
	left = tarn_section_leave(arena->own);
	return r < 0 ? r : left;
}

/* It cannot be opened: its section is gone, or its header is spoilt. Nobody can change it, then. */
static int remove_damaged(struct tarn_region *region, const char *name)
{
	struct tarn__object object;
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return r;
	r = tarn__object_find(region, name, TARN_OBJECT_ARENA, &object, NULL);
	if (r == 0)
		tarn__object_drop(region, &object);
	tarn__region_leave(region);
	if (r < 0)
		return r;
	tarn__extents_remove_named(region, name); /* its id may be another's */
	return tarn__object_remove_exact(region, object.index, object.state);
}

int tarn_arena_remove(struct tarn_region *region, const char *name, int64_t deadline,
		      struct tarn_diag *diag)
{
	struct tarn_diag words = { .what = "" };
	struct new_arena want = { .pages = 1 };
	struct tarn_arena *arena = NULL;
	int r = check_name(name, &words);

	if (r == 0 && region->observer)
		r = tarn__diag(&words, -EPERM, "the region was opened to look on");
	if (r == 0)
		r = open_once(region, name, NULL, &want, &arena);
	if (r == -EUCLEAN)
		return tarn__diag_pass(diag, &words, remove_damaged(region, name));
	if (r == 0) {
		r = condemn(arena, deadline, &words);
		if (r < 0)
			tarn_arena_close(arena);
		else
			r = finish_removal(arena);
	} else if (r == -ENOENT && arena != NULL) {
		r = finish_removal(arena);
	}
	return tarn__diag_pass(diag, &words, r);
}
