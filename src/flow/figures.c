/* SPDX-License-Identifier: BSD-2-Clause */
/* figures.c - the handle of what an object keeps of itself: see figures.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "flow/figures.h"

/* --- open ---------------------------------------------------------------------------------- */

/* The object of that name, of whatever kind; held, unless the handle is an observer's. */
static int find(struct figures *f, struct tarn_region *region, const char *name, uint32_t *ret_kind,
		struct tarn_diag *diag)
{
	int r = tarn__object_name_check(name, diag);
	struct entry entry;

	for (uint32_t i = 0; r == 0 && i < region->object_max; i++) {
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & 3u) != TARN__ENTRY_LIVE ||
		    strncmp(entry.name, name, TARN__NAME_SIZE) != 0)
			continue;
		if (tarn__entry_fault(region, i, &entry) != NULL)
			return tarn__diag(diag, -EUCLEAN,
					  "object %s: its entry in the directory is damaged (%s)",
					  name, tarn__entry_fault(region, i, &entry));
		f->object = (struct tarn__object){ .index = i,
						   .state = state,
						   .off = entry.off,
						   .size = entry.size,
						   .base = region->base + entry.off };
		f->held = !region->observer && tarn__object_hold(region, &f->object);
		*ret_kind = entry.kind;
		return f->held || region->observer ? 0 : -ENOENT;
	}
	return r < 0 ? r : tarn__diag(diag, -ENOENT, "no object %s in the region", name);
}

/* The metrics of the handle: those of all objects, and those of its kind. */
static int describe(struct figures *f)
{
	struct tarn_metric list[TARN_FIGURES_MAX];
	uint32_t first = f->object.base != NULL ? FIGURES_COMMON : 0;
	uint32_t count = first + f->kind->count;

	for (uint32_t i = 0; i < count; i++) {
		const struct figure *figure =
			i < first ? &tarn__figures_common[i] : &f->kind->list[i - first];

		list[i] = figure->metric;
		f->bits[i] = figure->bits;
	}
	return tarn__metrics_of(list, count, &f->c.of);
}

static int say_unknown(const char *name, struct tarn_diag *diag)
{
	tarn__diag(diag, -EPROTO, "object %s is of a kind that this version does not know", name);
	tarn__diag_hint(diag, "a later version of the library has made it: use that one");
	return -EPROTO;
}

static int open_entered(struct figures *f, struct tarn_region *region, const char *name,
			struct tarn_diag *diag)
{
	uint32_t kind = 0;
	int r = name != NULL ? find(f, region, name, &kind, diag) : 0;

	if (r < 0)
		return r;
	f->c.prim.sec.region = region;
	f->c.prim.kind = kind;
	memcpy(f->c.prim.sec.name, name != NULL ? name : "",
	       name != NULL ? strnlen(name, TARN_OBJECT_NAME_MAX) : 0);
	f->kind = name != NULL ? tarn__figures_kind(kind) : &tarn__figures_region;
	if (f->kind == NULL)
		return say_unknown(name, diag);
	r = f->kind->open != NULL ? f->kind->open(f, diag) : 0;
	if (r == 0)
		r = describe(f);
	f->c.own = true;
	f->c.looks = true;
	return r;
}

/* Is it counters? They have their own. */
static bool is_counters(struct tarn_region *region, const char *name)
{
	struct entry entry;

	for (uint32_t i = 0; name != NULL && i < region->object_max; i++) {
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & 3u) == TARN__ENTRY_LIVE &&
		    strncmp(entry.name, name, TARN__NAME_SIZE) == 0)
			return entry.kind == TARN_OBJECT_COUNTERS;
	}
	return false;
}

int tarn_figures_open(struct tarn_region *region, const char *name, struct tarn_diag *diag,
		      struct tarn_counters **ret_counters)
{
	const struct tarn_counters_opts reads = { .flags = TARN_COUNTERS_READ, .diag = diag };
	struct figures *f;
	int r;

	if (is_counters(region, name))
		return tarn_counters_open(region, name, &reads, ret_counters);
	f = calloc(1, sizeof(*f));
	if (f == NULL)
		return tarn__diag(diag, -ENOMEM, "figures: out of memory");
	r = tarn__region_enter(region);
	if (r < 0) {
		free(f);
		return tarn__diag(diag, r, "the region cannot be used");
	}
	r = open_entered(f, region, name, diag);
	if (r < 0 && f->held)
		tarn__object_drop(region, &f->object);
	tarn__region_leave(region);
	if (r < 0) {
		tarn__metrics_free(&f->c.of);
		free(f);
		return r;
	}
	*ret_counters = &f->c.pub;
	return 0;
}

void tarn__figures_close(struct counters *c)
{
	struct figures *f = figures_of(c);
	struct tarn_region *region = c->prim.sec.region;

	tarn__region_enter_to_leave(region);
	if (f->held)
		tarn__object_drop(region, &f->object);
	tarn__region_leave(region);
	tarn__metrics_free(&c->of);
	free(f);
}

/* --- read ---------------------------------------------------------------------------------- */

/* Is the object that was opened still there? If not, what was read is another's. */
static bool is_there(const struct figures *f)
{
	struct tarn_region *region = f->c.prim.sec.region;

	/* acquire: what was read was loaded before the state is looked at again */
	atomic_thread_fence(memory_order_acquire); /* style: the loads are many, some plain */
	return f->object.base == NULL ||
	       /* relaxed: ordered by the fence */
	       atomic_load_explicit(&region->directory[f->object.index].state,
				    memory_order_relaxed) == f->object.state;
}

/* The word of a figure, as it goes on from what was told. */
static uint64_t go_on(struct figures *f, uint32_t at, uint64_t word)
{
	uint64_t mask = f->bits[at] < 64 ? (UINT64_C(1) << f->bits[at]) - 1 : UINT64_MAX;

	if (f->c.of.list[at].kind != TARN_METRIC_COUNTER)
		return word;
	f->told[at] += (word - f->word[at]) & mask;
	f->word[at] = word;
	return f->told[at];
}

int tarn__figures_read(const struct counters *c, uint64_t *values, uint32_t count)
{
	struct figures *f = figures_of(c);
	uint32_t first = f->object.base != NULL ? FIGURES_COMMON : 0;
	uint64_t words[TARN_FIGURES_MAX] = { 0 };
	struct tarn_region *region = c->prim.sec.region;
	int r = tarn_segment_damaged(region->seg) ? -EIO : 0;

	if (r < 0)
		return r;
	if (first != 0) {
		words[0] = f->object.size;
		words[1] = tarn__object_holders(region, f->object.index);
	}
	r = f->kind->read != NULL ? f->kind->read(f, words + first) : 0;
	if (!is_there(f))
		return -ENOENT;
	if (tarn_segment_damaged(region->seg))
		return -EIO;
	if (r < 0)
		return r;
	memset(values, 0, count * sizeof(*values));
	for (uint32_t i = 0; i < c->of.count; i++) {
		uint64_t value = go_on(f, i, words[i]);

		if (i < count)
			values[i] = value;
	}
	return 0;
}
