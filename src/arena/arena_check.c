/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena_check.c - test the invariants of an arena (arena.h), changing nothing.
 *
 * Findings are kept until the section's version has said that all was read at one moment. Where it
 * never does, a member enters the section, which undoes what a dead owner left. Where that cannot
 * be, what stands there is not judged, and that it was not is told.
 *
 * That a run is in its list once: first the runs are counted that belong into each, then each
 * list is followed for so many steps. Every run that is met belongs there and names the one before
 * it as its predecessor, so none is met twice; and if the ring closes after exactly so many, all
 * are in it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "arena/arena.h"

enum { FINDINGS = 16, LOOKS = 4, OBSERVER_LOOKS = 2000 };

/* For an arena: who has the region open, and comes to this one, may be waiting for us. */
#define PATIENCE_NS INT64_C(100000000)

struct audit {
	struct tarn_arena *arena;
	int count;
	struct tarn_finding findings[FINDINGS];
	uint64_t bins[BINS]; /* runs that belong there */
	uint64_t classes[CLASSES];
	uint64_t pages;
	tarn_report_fn *fn;
	void *arg;
};

static void note(struct audit *a, const char *field, const char *rule, uint64_t found,
		 uint64_t expected)
{
	if (a->count < FINDINGS)
		a->findings[a->count++] = (struct tarn_finding){
			.field = field,
			.rule = rule,
			.found = found,
			.expected = expected,
		};
}

/* --- runs ------------------------------------------------------------------------------------ */

static void check_slab(struct audit *a, const struct run *run)
{
	uint32_t class = info_class(run->info);
	uint64_t any = 0;

	if (class >= CLASSES || run->info != tarn__classes[class].info) {
		note(a, "info", "a slab has the length of its class, and no tag", run->info,
		     class < CLASSES ? tarn__classes[class].info : 0);
		return;
	}
	for (uint32_t w = 0; w < words_of(class); w++) {
		uint64_t bits = load64(free_word(run->meta, w));

		any |= bits;
		if ((bits & ~full_word(class, w)) != 0)
			note(a, "free", "has bits for blocks alone", bits, full_word(class, w));
	}
	a->classes[class] += any != 0;
	if (tarn__slab_empty(run, class) &&
	    tarn__list_last(a->arena, &a->arena->shm->classes[class], KIND_SLAB) != run->page)
		note(a, "classes", "an empty slab is the last of its list", run->page, 0);
}

/* No head inside of the run but its first. */
static void check_heads(struct audit *a, const struct run *run)
{
	uint32_t at = run->page - span_first(run->span) + 1, end = at + run_len(run) - 1;

	while (at < end) {
		uint64_t word = load64(&run->span->heads[at / 64]) >> (at % 64);
		uint32_t left = 64 - at % 64, here = end - at < left ? end - at : left;

		if (here < 64)
			word &= (UINT64_C(1) << here) - 1;
		if (word != 0) {
			note(a, "heads", "no run begins inside of another", run->page, 0);
			return;
		}
		at += here;
	}
}

static void check_run(struct audit *a, const struct run *run, bool *was_free)
{
	bool is_free = info_kind(run->info) == KIND_FREE;

	if (is_free)
		a->bins[tarn__bin_of(run_len(run))]++;
	else if (info_kind(run->info) == KIND_SLAB)
		check_slab(a, run);
	else if (info_kind(run->info) != KIND_LARGE)
		note(a, "info", "a run is free, a slab, or one block", info_kind(run->info), 0);
	if (is_free && *was_free)
		note(a, "info", "no two free runs are neighbours", run->page, 0);
	*was_free = is_free;
	check_heads(a, run);
}

static void check_span(struct audit *a, const struct span *span)
{
	uint32_t page = span_first(span), left = span_pages(span);
	bool was_free = false;

	a->pages += left;
	while (left > 0) {
		struct run run;

		if (!run_at(a->arena, page, &run) || run_len(&run) > left) {
			note(a, "heads", "each run begins where the one before it ends", page, 0);
			return;
		}
		check_run(a, &run, &was_free);
		page += run_len(&run);
		left -= run_len(&run);
	}
}

/* --- lists ----------------------------------------------------------------------------------- */

/* Is @run one of those that belong into list @n of @kind? */
static bool belongs(const struct run *run, uint32_t kind, uint32_t n)
{
	if (info_kind(run->info) != kind)
		return false;
	return kind == KIND_FREE ? tarn__bin_of(run_len(run)) == n : info_class(run->info) == n;
}

static void check_list(struct audit *a, const char *field, uint32_t head, uint32_t kind, uint32_t n,
		       uint64_t count)
{
	struct run run;
	uint32_t page = head, prev = 0;

	if ((head == 0) != (count == 0)) {
		note(a, field, "is empty exactly if nothing belongs there", head, count);
		return;
	}
	for (uint64_t i = 0; i < count; i++) {
		if (!run_at(a->arena, page, &run) || !belongs(&run, kind, n)) {
			note(a, field, "has what belongs there alone", page, n);
			return;
		}
		if (i > 0 && link_prev(load64(&run.meta->link)) != prev) {
			note(a, "link", "names the run before it", page, prev);
			return;
		}
		if (i > 0 && page == head) {
			note(a, field, "has each that belongs there", i, count);
			return;
		}
		prev = page;
		page = link_next(load64(&run.meta->link));
	}
	if (count > 0 && page != head)
		note(a, field, "is a ring of those that belong there", page, head);
	else if (count > 0 && run_at(a->arena, head, &run) &&
		 link_prev(load64(&run.meta->link)) != prev)
		note(a, "link", "of the first names the last", head, prev);
}

static void check_all(struct audit *a)
{
	struct arena_shm *shm = a->arena->shm;

	a->count = 0;
	a->pages = 0;
	memset(a->bins, 0, sizeof(a->bins));
	memset(a->classes, 0, sizeof(a->classes));
	for (uint32_t i = 0; i < span_count(a->arena); i++)
		if (span_pages(&a->arena->spans[i]) != 0)
			check_span(a, &a->arena->spans[i]);
	for (uint32_t n = 0; n < BINS; n++)
		check_list(a, "bins", load32(&shm->bins[n]), KIND_FREE, n, a->bins[n]);
	for (uint32_t n = 0; n < CLASSES; n++)
		check_list(a, "classes", load32(&shm->classes[n]), KIND_SLAB, n, a->classes[n]);
	for (uint32_t n = CLASSES; n < 64; n++)
		if (load32(&shm->classes[n]) != 0)
			note(a, "classes", "there are no more", n, CLASSES);
	if (load32(&shm->pages) != a->pages)
		note(a, "pages", "is the sum of the extents'", load32(&shm->pages), a->pages);
	if (a->pages > a->arena->max_pages)
		note(a, "pages", "is not above max_pages", a->pages, a->arena->max_pages);
}

static int tell(struct audit *a, const char *where)
{
	for (int i = 0; i < a->count; i++) {
		a->findings[i].where = where;
		if (a->fn != NULL)
			a->fn(&a->findings[i], a->arg);
	}
	return a->count > 0 ? -EUCLEAN : 0;
}

/* --- by a handle ----------------------------------------------------------------------------- */

static int check_handle(struct tarn_arena *arena, void *arg)
{
	struct audit *a = arg;

	a->arena = arena;
	check_all(a);
	return 0;
}

int tarn_arena_check(struct tarn_arena *arena, tarn_report_fn *fn, void *arg)
{
	struct audit *a = calloc(1, sizeof(*a));
	char where[96];
	int r;

	if (a == NULL)
		return -ENOMEM;
	a->fn = fn;
	a->arg = arg;
	snprintf(where, sizeof(where), "arena %s", arena->name);
	r = tarn__arena_at_rest(arena, check_handle, a);
	if (r == 0)
		r = tell(a, where);
	free(a);
	return r;
}

/* --- with the region ------------------------------------------------------------------------- */

/* The live object at @off. */
static bool object_at(struct tarn_region *region, uint64_t off, uint32_t kind,
		      struct tarn__object *ret_object, struct entry *ret_entry)
{
	for (uint32_t i = 0; i < region->object_max; i++) {
		uint32_t state = tarn__entry_read(region, i, ret_entry);

		if ((state & 3u) != TARN__ENTRY_LIVE || ret_entry->off != off ||
		    ret_entry->kind != kind || tarn__entry_fault(region, i, ret_entry) != NULL)
			continue;
		*ret_object = (struct tarn__object){ .index = i,
						     .state = state,
						     .off = ret_entry->off,
						     .size = ret_entry->size,
						     .base = region->base + ret_entry->off };
		return true;
	}
	return false;
}

/* The spans, without holding the extents. */
static void look_at_extents(struct audit *a)
{
	struct tarn_arena *arena = a->arena;

	arena->span_count = 0;
	for (uint32_t slot = 0; slot < EXTENTS_MAX; slot++) {
		uint64_t off = load64(&arena->shm->extents[slot]), at = off;
		struct tarn__object object = arena->object;
		struct span *span = &arena->spans[slot];
		struct entry entry;
		const char *fault = NULL;

		memset(span, 0, sizeof(*span));
		if (slot == 0)
			at += offsetof(struct arena_shm, first);
		if (off == 0 && slot != 0)
			continue;
		if (slot == 0 ? off != object.off
			      : !object_at(arena->region, off, TARN_OBJECT_EXTENT, &object, &entry))
			fault = "object";
		else
			fault = tarn__extent_span(arena->region, at, object.off + object.size,
						  arena->id, slot, span);
		if (fault != NULL)
			note(a, "extents", "names the arena's extents", slot, off);
		else
			arena->span_count = slot + 1;
	}
}

static void audit_now(struct audit *a)
{
	struct audit early = { .arena = a->arena };

	look_at_extents(&early);
	check_all(a);
	for (int n = 0; n < early.count && a->count < FINDINGS; n++)
		a->findings[a->count++] = early.findings[n];
}

/* Look until nobody was inside meanwhile. False: somebody always was. */
static bool audit_steady(struct audit *a)
{
	struct section_shm *section = a->arena->section;
	int looks = a->arena->region->observer ? OBSERVER_LOOKS : LOOKS;
	int64_t until = tarn_deadline_after(PATIENCE_NS);

	for (int i = 0; i < looks && (i < LOOKS || tarn__plat_now() < until); i++) {
		/* acquire: what is read is at least as new */
		uint32_t seq = atomic_load_explicit(&section->seq, memory_order_acquire);

		if ((seq & 1) != 0) {
			tarn__plat_yield();
			continue;
		}
		audit_now(a);
		/* acquire: all of that was loaded before the version is looked at again */
		atomic_thread_fence(memory_order_acquire); /* style: many plain words */
		/* relaxed: behind the fence */
		if (atomic_load_explicit(&section->seq, memory_order_relaxed) == seq)
			return true;
	}
	return false;
}

/* False: it is not at rest. */
static bool audit(struct audit *a)
{
	bool done = true;

	if (tarn__arena_inside(a->arena))
		audit_now(a);
	else
		done = audit_steady(a);
	/* one that is marked has lost its extents, or is just losing them: the next open goes on */
	if (load32(&a->arena->shm->epoch) == EPOCH_REMOVED) {
		a->count = 0;
		return true;
	}
	return done;
}

int tarn__arena_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *name, tarn_report_fn *fn, void *arg)
{
	struct tarn_arena *arena = calloc(1, sizeof(*arena));
	struct audit *a = calloc(1, sizeof(*a));
	const char *fault;
	char where[96];
	int r = 0;

	snprintf(where, sizeof(where), "arena %s", name);
	if (arena == NULL || a == NULL) {
		r = -ENOMEM;
		goto out;
	}
	a->arena = arena;
	a->fn = fn;
	a->arg = arg;
	fault = tarn__arena_handle(region, object, arena);
	if (fault != NULL)
		note(a, fault,
		     strcmp(fault, "section") == 0 ? "its section is there"
						   : "is as the creator wrote it",
		     1, 0);
	else if (!audit(a)) {
		r = 1;
		goto out;
	}
	r = tell(a, where);
out:
	free(arena);
	free(a);
	return r;
}

/* The section of the arena that a checker has found to have one. */
static int section_of(struct tarn_region *region, const struct tarn__object *object,
		      struct tarn_section *ret_section)
{
	const struct arena_shm *shm = (const struct arena_shm *)(const void *)object->base;

	return tarn__section_at(region, load64(&shm->section), ret_section);
}

static int open_and_enter(struct tarn_region *region, const struct tarn_section *at,
			  struct tarn_section **ret_section)
{
	struct tarn_section *section = NULL;
	struct tarn_tx *tx;
	int r = tarn_section_open(region, at->name, NULL, &section);

	if (r == 0 && section->shm != at->shm)
		r = -ENOENT;
	if (r == 0)
		r = tarn_section_enter(section, tarn_deadline_after(PATIENCE_NS), &tx, NULL);
	if (r == 0)
		*ret_section = section;
	else
		tarn_section_close(section);
	return r;
}

int tarn__arena_check_inside(struct tarn_region *region, const struct tarn__object *object,
			     const char *name, tarn_report_fn *fn, void *arg)
{
	struct tarn_section at, *section = NULL;
	struct entry entry;
	int r = 0, entered = -EPERM;

	/* entering one inside of another would last until that one is left */
	if (region->observer || tarn__tx_under_way(region) || section_of(region, object, &at) < 0)
		return 1;
	tarn__region_leave(region); /* who is inside may be waiting for it */
	entered = open_and_enter(region, &at, &section);
	tarn__region_enter_to_leave(region);
	if (tarn__entry_read(region, object->index, &entry) == object->state)
		r = tarn__arena_check(region, object, name, fn, arg);
	if (entered == 0) {
		(void)!tarn_section_leave(section);
		tarn_section_close(section);
	}
	return r;
}

void tarn__arena_tell_unseen(struct tarn_region *region, const struct tarn__object *object,
			     const char *name, tarn_report_fn *fn, void *arg)
{
	struct tarn_section_stat stat = { 0 };
	struct tarn_section at;
	char where[96];
	struct tarn_finding finding = { .where = where, .field = "section", .unseen = true };

	if (section_of(region, object, &at) == 0)
		tarn__section_read_stat(&at, &stat);
	finding.found = (uint32_t)stat.owner.pid;
	finding.repairable = stat.held && !stat.damaged && !stat.owner.alive;
	if (stat.set_aside || stat.damaged)
		finding.rule = "is not set aside, nor damaged (tarn_section_recover)";
	else if (finding.repairable)
		finding.rule = "is not as a dead owner left it (tarn_section_recover)";
	else if (stat.held)
		finding.rule = "is left by its owner";
	else
		finding.rule = "is at rest long enough to be looked at";
	snprintf(where, sizeof(where), "arena %s", name);
	if (fn != NULL)
		fn(&finding, arg);
}

/* Is there a live arena whose id is @id? */
static bool has_owner(struct tarn_region *region, uint64_t id)
{
	struct entry entry;
	struct arena_shm arena;

	for (uint32_t i = 0; i < region->object_max; i++) {
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & 3u) != TARN__ENTRY_LIVE || entry.kind != TARN_OBJECT_ARENA ||
		    entry.size < sizeof(arena) || tarn__entry_fault(region, i, &entry) != NULL)
			continue;
		memcpy(&arena, region->base + entry.off, sizeof(arena));
		if (arena.id == id)
			return true;
	}
	return false;
}

int tarn__extent_check_owner(struct tarn_region *region, const struct tarn__object *object,
			     const char *name, tarn_report_fn *fn, void *arg)
{
	struct audit *a = calloc(1, sizeof(*a));
	struct extent_shm copy = { 0 };
	struct span span = { 0 };
	struct entry entry;
	char where[96];
	int r;

	if (a == NULL)
		return -ENOMEM;
	a->fn = fn;
	a->arg = arg;
	if (object->size >= sizeof(copy))
		memcpy(&copy, object->base, sizeof(copy));
	if (tarn__extent_span(region, object->off, object->off + object->size, copy.id, copy.slot,
			      &span) != NULL)
		note(a, "header", "is as the creator wrote it", 1, 0);
	else if (!has_owner(region, copy.id) &&
		 /* an arena goes after its extents: it may just be going */
		 tarn__entry_read(region, object->index, &entry) == object->state)
		note(a, "id", "is that of an arena of the region", copy.id, 0);
	snprintf(where, sizeof(where), "extent %s", name);
	r = tell(a, where);
	free(a);
	return r;
}
