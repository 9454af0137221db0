/* SPDX-License-Identifier: BSD-2-Clause */
/* counters.c - counters are opened and closed, slots are taken and left: see counters.h. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/bits.h"
#include "flow/counters.h"
#include "flow/figures.h"

enum {
	SLOTS = 64,
	TRIES = 3, /* to find a slot where there is nothing to fold: others may be faster */
};

/* --- open ---------------------------------------------------------------------------------- */

/* What new ones are to be. */
struct fresh {
	const struct tarn_metric *metrics;
	uint32_t count, cells, slots;
};

static void init_counters(void *behind, uint64_t size, void *arg)
{
	const struct fresh *fresh = arg;
	struct counters_shm *shm = behind;

	memset(shm, 0, (size_t)size);
	shm->magic = COUNTERS_MAGIC;
	shm->version = COUNTERS_VERSION;
	shm->count = fresh->count;
	shm->cells = fresh->cells;
	tarn__metrics_write(shm->metrics, fresh->metrics, fresh->count);
	shm->check = tarn__counters_sum(fresh->count, fresh->cells, shm->metrics);
}

static int want_of(const char *name, const struct tarn_counters_opts *opts, struct fresh *fresh,
		   struct prim_want *want)
{
	int r = 0;

	if (opts->slots > TARN_COUNTERS_SLOTS_MAX ||
	    (opts->flags & ~(uint32_t)TARN_COUNTERS_READ) != 0 || opts->pad != 0 ||
	    opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "counters %s: %" PRIu32 " slots, flags 0x%" PRIx32
				  ": up to %u are possible, TARN_COUNTERS_READ (1) is the only "
				  "flag, and reserved options are zero",
				  name, opts->slots, opts->flags, TARN_COUNTERS_SLOTS_MAX);
	if (opts->metrics == NULL && opts->count != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "counters %s: %" PRIu32 " metrics, and none is said", name,
				  opts->count);
	fresh->metrics = opts->metrics;
	fresh->count = opts->count;
	if (opts->metrics != NULL)
		r = tarn__metrics_check(name, opts->metrics, opts->count, &fresh->cells,
					opts->diag);
	want->make = opts->metrics != NULL;
	want->any = opts->slots == 0;
	want->seats = fresh->slots = opts->slots != 0 ? opts->slots : SLOTS;
	want->diag = opts->diag;
	want->behind = tarn__counters_bytes(fresh->count, fresh->cells, fresh->slots);
	want->init_behind = init_counters;
	want->arg = fresh;
	return r;
}

static int damaged(const struct counters *c, const char *field, struct tarn_diag *diag)
{
	return tarn__diag(diag, -EUCLEAN, "counters %s: their header is damaged (%s)",
			  c->prim.sec.name, field);
}

int tarn__counters_geometry(struct counters *c, struct tarn_diag *diag)
{
	struct prim *prim = &c->prim;
	unsigned char *base = (unsigned char *)prim->sec.shm;
	uint64_t size = prim->sec.object.size;
	uint64_t off = (uint64_t)((unsigned char *)prim->seats - base) +
		       (uint64_t)prim->seat_count * SECTION_UNIT;
	const struct counters_shm *shm;
	uint32_t count, cells;

	off = (off + TARN__CACHE_LINE - 1) & ~(uint64_t)(TARN__CACHE_LINE - 1);
	if (prim->seat_count == 0 || off + sizeof(*shm) > size)
		return damaged(c, "units", diag);
	c->shm = (struct counters_shm *)(void *)(base + off);
	shm = c->shm;
	count = shm->count;
	cells = shm->cells;
	if (shm->magic != COUNTERS_MAGIC || count == 0 || count > TARN_METRICS_MAX ||
	    cells < count || cells > TARN_COUNTERS_CELLS_MAX ||
	    off + tarn__counters_bytes(count, cells, prim->seat_count) > size)
		return damaged(c, "size", diag);
	if (shm->version != COUNTERS_VERSION)
		return tarn__diag(diag, -EPROTO,
				  "counters %s: their version is %" PRIu32 ", not %u",
				  prim->sec.name, shm->version, COUNTERS_VERSION);
	c->of.count = count;
	c->of.cells = cells;
	c->departed = (unsigned char *)(c->shm->metrics + count);
	c->stride = ((uint64_t)cells * 8 + CELL_ALIGN - 1) & ~(uint64_t)(CELL_ALIGN - 1);
	return 0;
}

/* In a child: the slot is the parent's. */
static void counters_forked(struct tarn__forkable *self)
{
	struct counters *c =
		(struct counters *)(void *)((char *)self - offsetof(struct counters, forkable));

	c->pub.ready = 0;
	c->pub.cells = NULL;
	c->seated = false;
}

static int watch_forks(struct counters *c)
{
	struct tarn_region *region = c->prim.sec.region;
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	c->forkable.forked = counters_forked;
	tarn__fork_add(region, &c->forkable);
	tarn__region_leave(region);
	return 0;
}

static int fit(struct counters *c, const struct fresh *fresh, struct tarn_diag *diag)
{
	int r = tarn__counters_geometry(c, diag);

	if (r < 0)
		return r;
	r = tarn__metrics_read(c->shm, c->of.count, c->of.cells, &c->of);
	if (r == -EUCLEAN)
		return damaged(c, "metrics", diag);
	if (r < 0)
		return tarn__diag(diag, r, "counters %s: %s", c->prim.sec.name, strerror(-r));
	c->pub.places = c->of.places;
	if (fresh->metrics != NULL)
		r = tarn__metrics_compare(c->prim.sec.name, &c->of, fresh->metrics, fresh->count,
					  diag);
	return r;
}

int tarn_counters_open(struct tarn_region *region, const char *name,
		       const struct tarn_counters_opts *opts, struct tarn_counters **ret_counters)
{
	struct prim_want want = { .kind = TARN_OBJECT_COUNTERS, .handle = sizeof(struct counters) };
	struct fresh fresh = { .metrics = NULL };
	int r = opts != NULL ? want_of(name, opts, &fresh, &want) : 0;
	struct prim *prim;
	struct counters *c;

	if (r < 0)
		return r;
	r = tarn__prim_open(region, name, &want, &prim);
	if (r < 0)
		return r;
	c = (struct counters *)prim;
	r = fit(c, &fresh, want.diag);
	c->looks = region->observer || (opts != NULL && (opts->flags & TARN_COUNTERS_READ) != 0);
	if (r == 0)
		r = watch_forks(c);
	if (r < 0) {
		tarn__metrics_free(&c->of);
		tarn__prim_close(prim);
		return r;
	}
	if (!c->looks)
		r = tarn_counters_join(&c->pub, want.diag);
	if (r < 0) {
		tarn_counters_close(&c->pub);
		return r;
	}
	*ret_counters = &c->pub;
	return 0;
}

/* --- slots --------------------------------------------------------------------------------- */

/* Of seats without an owner the first one from that of this member's slot on. */
static bool take_free(struct counters *c)
{
	struct prim *prim = &c->prim;
	uint32_t at = tarn__id_slot(id_of(&prim->sec)) % prim->seat_count;

	for (uint32_t i = 0; i < prim->seat_count; i++) {
		if (tarn__seat_take(prim, at, 0)) {
			c->slot = at;
			return true;
		}
		at = at + 1 < prim->seat_count ? at + 1 : 0;
	}
	return false;
}

static int say_full(struct counters *c, struct tarn_diag *diag)
{
	struct prim *prim = &c->prim;
	struct tarn_section_who who;

	/* relaxed, both: for the eye */
	tarn__section_who(&prim->sec,
			  atomic_load_explicit(&prim->seats[0].id, memory_order_relaxed),
			  atomic_load_explicit(&prim->seats[0].tid, memory_order_relaxed), &who);
	tarn__diag(diag, -EUSERS,
		   "counters %s: all of their %" PRIu32 " slots are taken, one by process %" PRId32,
		   prim->sec.name, prim->seat_count, who.pid);
	tarn__diag_hint(diag, "create them with room for more (slots), or open them to read "
			      "(TARN_COUNTERS_READ)");
	return -EUSERS;
}

int tarn_counters_join(struct tarn_counters *counters, struct tarn_diag *diag)
{
	struct counters *c = counters_of(counters);
	int r;

	if (c->seated)
		return 0;
	if (c->looks)
		return tarn__diag(diag, -EPERM, "counters %s were opened to read",
				  c->prim.sec.name);
	r = tarn__prim_ready(&c->prim, diag);
	/* Where there was nothing to fold another may have done it: there are free ones by now. */
	for (int tries = 0, vain = 0; r >= 0 && !c->seated; tries++, vain += r == 0) {
		c->seated = take_free(c);
		if (!c->seated && (vain == TRIES || tries == PRIM_TRIES))
			return say_full(c, diag);
		if (!c->seated)
			r = tarn__counters_fold_all(c, true, diag);
	}
	if (r < 0)
		return r;
	c->pub.cells = (uint64_t *)(void *)slot_at(c, c->slot);
	c->pub.ready = c->of.count;
	return 0;
}

uint64_t *tarn_counters_slot(struct tarn_counters *counters, uint32_t metric)
{
	struct counters *c = counters_of(counters);

	assert(metric < c->of.count && !c->looks);
	if (tarn_counters_join(counters, NULL) == 0)
		return counters->cells;
	c->dropped++;
	return NULL;
}

void tarn__counters_leave(struct counters *c)
{
	_Atomic uint32_t *word = &c->prim.seats[c->slot].id;
	uint32_t id = id_of(&c->prim.sec);

	if (!c->seated)
		return;
	c->pub.ready = 0;
	c->pub.cells = NULL;
	c->seated = false;
	/* K7 -> K8: seq_cst, as all that changes a seat */
	if (id != 0)
		(void)atomic_compare_exchange_strong_explicit(
			word, &id, id | TARN__ID_FLAG, memory_order_seq_cst, memory_order_relaxed);
	(void)tarn__counters_fold_all(c, false, NULL);
}

void tarn_counters_close(struct tarn_counters *counters)
{
	struct counters *c;
	struct tarn_region *region;

	if (counters == NULL)
		return;
	c = counters_of(counters);
	if (c->own) {
		tarn__figures_close(c);
		return;
	}
	region = c->prim.sec.region;
	tarn__counters_leave(c);
	tarn__region_enter_to_leave(region);
	tarn__fork_remove(region, &c->forkable);
	tarn__region_leave(region);
	tarn__metrics_free(&c->of);
	tarn__prim_close(&c->prim);
}

/* --- facts --------------------------------------------------------------------------------- */

uint32_t tarn_counters_count(const struct tarn_counters *counters)
{
	return counters_of(counters)->of.count;
}

const struct tarn_metric *tarn_counters_describe(const struct tarn_counters *counters,
						 uint32_t metric)
{
	const struct metrics *of = &counters_of(counters)->of;

	return metric < of->count ? &of->list[metric] : NULL;
}

int tarn_counters_find(const struct tarn_counters *counters, const char *name)
{
	const struct metrics *of = &counters_of(counters)->of;

	for (uint32_t i = 0; i < of->count; i++)
		if (strcmp(of->list[i].name, name) == 0)
			return (int)i;
	return -ENOENT;
}

int tarn_counters_stat(const struct tarn_counters *counters, struct tarn_counters_stat *ret_stat)
{
	struct counters *c = counters_of(counters);
	struct tarn_counters_stat stat = { .metrics = c->of.count,
					   .cells = c->of.cells,
					   .dropped = c->dropped };
	uint64_t flip;

	if (c->own) {
		*ret_stat = stat;
		return 0;
	}
	/* relaxed, both: for the eye */
	flip = atomic_load_explicit(&c->shm->flip, memory_order_relaxed);
	stat.slots = c->prim.seat_count;
	stat.folds = flip >> (FLIP_COUNT + 1);
	if (named_by(flip) > c->prim.seat_count)
		return -EUCLEAN; /* I2 */
	for (uint32_t at = 0; at < c->prim.seat_count; at++) {
		uint32_t id = atomic_load_explicit(&c->prim.seats[at].id, memory_order_relaxed);

		if (id != 0 && (has_left(id) || tarn__seat_dead(&c->prim, id, true)))
			stat.left++;
		else if (id != 0)
			stat.used++;
	}
	*ret_stat = stat;
	return 0;
}
