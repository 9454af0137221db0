/* SPDX-License-Identifier: BSD-2-Clause */
/* dirty.c - the dirty map of a region: make, bind every section to it, take marks. See listen.h. */
#include <errno.h>
#include <stdlib.h>

#include "sync/listen.h"

uint32_t tarn__dirty_header_check(const struct dirty_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct dirty_shm, check), TARN__FNV32_BASIS);
}

uint32_t tarn__dirty_pages(const struct tarn_region *region)
{
	return (uint32_t)((region->max_size + TARN__PAGE - 1) / TARN__PAGE);
}

const char *tarn__dirty_fault(const struct tarn_region *region, const struct dirty_shm *shm,
			      uint64_t size)
{
	if (size < sizeof(*shm))
		return "size";
	if (shm->magic != DIRTY_MAGIC)
		return "magic";
	if (shm->check != tarn__dirty_header_check(shm))
		return "check";
	if (shm->version != DIRTY_VERSION)
		return "version";
	if (shm->pages != tarn__dirty_pages(region) ||
	    tarn__dirty_pages(region) > size - sizeof(*shm))
		return "pages"; /* C4 */
	return NULL;
}

uint32_t tarn__dirty_place(const struct tarn_region *region)
{
	struct entry entry;

	for (uint32_t i = 0; i < region->object_max; i++)
		if ((tarn__entry_read(region, i, &entry) & 3u) == TARN__ENTRY_LIVE &&
		    entry.kind == TARN_OBJECT_DIRTY && tarn__entry_fault(region, i, &entry) == NULL)
			return (uint32_t)(entry.off / TARN__CACHE_LINE);
	return 0;
}

/* --- make and open -------------------------------------------------------------------------- */

static void init_map(unsigned char *base, uint64_t size, void *arg)
{
	struct dirty_shm *shm = (struct dirty_shm *)(void *)base;

	(void)size;
	shm->magic = DIRTY_MAGIC;
	shm->version = DIRTY_VERSION;
	shm->pages = tarn__dirty_pages(arg);
	shm->check = tarn__dirty_header_check(shm);
}

static int find_or_make(struct tarn_region *region, struct tarn__object *ret_object,
			struct tarn_diag *diag)
{
	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_DIRTY,
		.size = sizeof(struct dirty_shm) + tarn__dirty_pages(region),
		.zeroed = true,
		.init = init_map,
		.arg = region,
	};

	return tarn__object_find_or_make(region, TARN_DIRTY_NAME, &want, true, ret_object, diag);
}

static int open_entered(struct tarn_region *region, struct tarn_dirty **ret_dirty,
			struct tarn_diag *diag)
{
	struct tarn__object object;
	struct tarn_dirty *dirty;
	const char *fault;
	int r = find_or_make(region, &object, diag);

	if (r < 0)
		return r;
	fault = tarn__dirty_fault(region, (const void *)object.base, object.size);
	dirty = calloc(1, sizeof(*dirty));
	if (fault != NULL)
		r = tarn__diag(diag, strcmp(fault, "version") == 0 ? -EPROTO : -EUCLEAN,
			       "dirty map: its header is damaged or of another version (%s)",
			       fault);
	else if (dirty == NULL)
		r = -ENOMEM;
	if (r < 0) {
		tarn__object_drop(region, &object);
		free(dirty);
		return r;
	}
	dirty->shm = (struct dirty_shm *)(void *)object.base;
	dirty->region = region;
	dirty->map.place = (uint32_t)(object.off / TARN__CACHE_LINE);
	dirty->map.size = tarn__dirty_pages(region);
	dirty->map.object = object;
	*ret_dirty = dirty;
	return 0;
}

/* --- bind ----------------------------------------------------------------------------------- */

/* The section at or after entry @*index, held. 1, 0 (no more), or an error. */
static int next_section(struct tarn_region *region, uint32_t *index, struct tarn_section *ret)
{
	struct tarn__object object;
	struct entry entry;
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return r;
	for (; r == 0 && tarn__section_next(region, index, &object, &entry); ++*index) {
		if (!tarn__object_hold(region, &object))
			continue; /* gone meanwhile */
		if (tarn__section_handle(region, &object, entry.name, ret, NULL) == 0) {
			r = 1;
			break;
		}
		tarn__object_drop(region, &object); /* damaged: nobody enters it */
	}
	tarn__region_leave(region);
	return r;
}

/* Nobody is inside then: what begins later is marked. */
static int bind(const struct tarn_dirty *dirty, struct tarn_section *section, int64_t deadline,
		struct tarn_diag *diag)
{
	struct tarn_tx *tx;
	int r = tarn_section_enter(section, deadline, &tx, diag);

	if (r < 0)
		return r;
	/* release: of what it names; and it is published when this pass ends */
	atomic_store_explicit(&section->shm->dirty, dirty->map.place, memory_order_release);
	return tarn_section_leave(section);
}

static int bind_all(const struct tarn_dirty *dirty, int64_t deadline, struct tarn_diag *diag)
{
	struct tarn_region *region = dirty->region;
	struct tarn_section section;
	int r = 1;

	for (uint32_t i = 0; r == 1; i++) {
		r = next_section(region, &i, &section);
		if (r != 1)
			break;

		int bound = bind(dirty, &section, deadline, diag);

		tarn__listen_drop(&section);
		tarn__region_enter_to_leave(region);
		tarn__object_drop(region, &section.object);
		tarn__region_leave(region);
		if (bound < 0)
			r = bound;
	}
	return r;
}

static int open_map(struct tarn_region *region, int64_t deadline, struct tarn_dirty **ret_dirty,
		    struct tarn_diag *diag)
{
	struct tarn_dirty *dirty;
	int r;

	if (tarn__tx_under_way(region))
		return tarn__diag(diag, -EDEADLK, "this thread is inside a section of the region");
	r = tarn__region_enter_member(region);
	if (r < 0)
		return r == -EPERM ? tarn__diag(diag, r, "the region was opened to look on") : r;
	r = open_entered(region, &dirty, diag);
	tarn__region_leave(region);
	if (r < 0)
		return r;
	/* the region's mutex is not held: it waits for who is inside */
	r = bind_all(dirty, deadline, diag);
	if (r < 0) {
		tarn_dirty_close(dirty);
		return r;
	}
	*ret_dirty = dirty;
	return 0;
}

int tarn_dirty_open(struct tarn_region *region, int64_t deadline, struct tarn_dirty **ret_dirty,
		    struct tarn_diag *diag)
{
	struct tarn_diag words = { .what = "" };

	return tarn__diag_pass(diag, &words, open_map(region, deadline, ret_dirty, &words));
}

void tarn_dirty_close(struct tarn_dirty *dirty)
{
	if (dirty == NULL)
		return;
	tarn__listener_drop(dirty->region, &dirty->map);
	free(dirty);
}

/* --- take ----------------------------------------------------------------------------------- */

static int look_around(const struct tarn_dirty *dirty)
{
	const struct tarn__object *object = &dirty->map.object;

	if (tarn_segment_damaged(dirty->region->seg))
		return -EIO;
	/* relaxed: one look */
	return atomic_load_explicit(&dirty->region->directory[object->index].state,
				    memory_order_relaxed) == object->state
		       ? 0
		       : -ENODATA;
}

/* Those that are there, of those that may ever be. */
static uint64_t pages_now(const struct tarn_dirty *dirty)
{
	uint64_t pages = tarn__region_size(dirty->region) / TARN__PAGE;

	return pages < dirty->map.size ? pages : dirty->map.size;
}

static bool marked(const struct tarn_dirty *dirty, uint64_t page)
{
	/* relaxed: what counts is what take_mark() finds */
	return atomic_load_explicit(&dirty->shm->marks[page], memory_order_relaxed) != 0;
}

static void take_mark(const struct tarn_dirty *dirty, uint64_t page)
{
	/* M2 <- M1 in mark(): the page has what was stored before; acquire and release: reads of
	 * the page stay behind it */
	(void)atomic_exchange_explicit(&dirty->shm->marks[page], 0, memory_order_acq_rel);
}

int tarn_dirty_take(struct tarn_dirty *dirty, uint64_t from, uint64_t to, uint64_t *ret_off,
		    uint64_t *ret_size)
{
	uint64_t page = from / TARN__PAGE, end = pages_now(dirty), first;
	int r = look_around(dirty);

	if (r < 0)
		return r;
	if (to / TARN__PAGE < end)
		end = to / TARN__PAGE + (to % TARN__PAGE != 0);
	while (page < end && !marked(dirty, page))
		page++;
	if (page >= end)
		return -EAGAIN;
	for (first = page; page < end && marked(dirty, page); page++)
		take_mark(dirty, page);
	*ret_off = first * TARN__PAGE;
	*ret_size = (page - first) * TARN__PAGE;
	return 0;
}

int tarn_dirty_count(struct tarn_dirty *dirty, uint64_t *ret_pages)
{
	uint64_t count = 0;
	int r = look_around(dirty);

	if (r < 0)
		return r;
	for (uint64_t page = 0, end = pages_now(dirty); page < end; page++)
		count += marked(dirty, page);
	*ret_pages = count;
	return 0;
}
