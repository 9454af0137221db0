/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * changes.c - a change log: make, bind to its section, read. The bytes, their owners and the
 * ordering are drawn in listen.h.
 *
 * A reader copies a tx out of the ring into memory of its own, then looks whether reserve has not
 * come round to where it was; only then it uses a byte of it. All that it goes by, sizes and
 * counts, is checked in that copy.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "sync/listen.h"

#define SIZE_DEFAULT UINT64_C(65536)
#define NET_NS       INT64_C(10000000) /* a wake that the dead owed is made up for after this */

/* --- header --------------------------------------------------------------------------------- */

uint32_t tarn__changes_header_check(const struct changes_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct changes_shm, check), TARN__FNV32_BASIS);
}

const char *tarn__changes_fault(const struct changes_shm *shm, uint64_t size)
{
	if (size < sizeof(*shm))
		return "size";
	if (shm->magic != CHANGES_MAGIC)
		return "magic";
	if (shm->check != tarn__changes_header_check(shm))
		return "check";
	if (shm->version != CHANGES_VERSION)
		return "version";
	if (!tarn__is_pow2(shm->size) || shm->size < CHANGES_MIN || shm->size > CHANGES_MAX ||
	    shm->size > size - sizeof(*shm))
		return "size"; /* C1 */
	return NULL;
}

/* --- make ----------------------------------------------------------------------------------- */

struct new_log {
	uint32_t size;
	uint32_t section;
};

static void init_log(unsigned char *base, uint64_t size, void *arg)
{
	struct changes_shm *shm = (struct changes_shm *)(void *)base;
	const struct new_log *want = arg;

	(void)size;
	memset(shm, 0, sizeof(*shm)); /* the ring counts as far as head says */
	shm->magic = CHANGES_MAGIC;
	shm->version = CHANGES_VERSION;
	shm->size = want->size;
	shm->section = want->section;
	shm->check = tarn__changes_header_check(shm);
	atomic_init(&shm->pending_seq, PENDING_NONE);
}

static int check_opts(const struct tarn_region *region, const struct tarn_changes_opts *opts,
		      struct new_log *ret)
{
	uint64_t size = opts->size != 0 ? opts->size : SIZE_DEFAULT, power = CHANGES_MIN;

	if (size < CHANGES_MIN || size > CHANGES_MAX)
		return tarn__diag(opts->diag, -EINVAL,
				  "size %" PRIu64 ": %" PRIu64 " to %" PRIu64 " is possible", size,
				  CHANGES_MIN, CHANGES_MAX);
	if (opts->flags != 0 || opts->pad != 0 || opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL, "flags and reserved options are not zero");
	if (opts->section != NULL && opts->section->region != region)
		return tarn__diag(opts->diag, -EINVAL, "the section is of another region");
	while (power < size)
		power *= 2;
	ret->size = (uint32_t)power;
	ret->section = opts->section != NULL ? place_of(opts->section) : 0;
	return 0;
}

static int find_or_make(struct tarn_region *region, const char *name,
			const struct tarn_changes_opts *opts, struct tarn__object *ret_object)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct new_log new = { 0 };
	int r = opts != NULL ? check_opts(region, opts, &new) : 0;

	if (r < 0)
		return r;

	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_CHANGES,
		.size = sizeof(struct changes_shm) + new.size,
		.init = init_log,
		.arg = &new,
	};

	return tarn__object_find_or_make(region, name, &want, new.section != 0, ret_object, diag);
}

/* --- bind ----------------------------------------------------------------------------------- */

/* Inside of the section. What was committed without being logged so far is a gap. */
static int bind(struct tarn_changes *changes, struct tarn_section *section, const char *name,
		struct tarn_diag *diag)
{
	const struct listener *log = tarn__listen_log(section);
	/* relaxed: written under the lock, which is ours */
	uint32_t seq = atomic_load_explicit(&section->shm->seq, memory_order_relaxed);

	if (log != NULL && log->place != changes->log.place)
		return tarn__diag(diag, -EEXIST, "section %s has another change log than %s",
				  section->name, name);
	if (log != NULL)
		return 0;
	/* at once, not when this pass ends: whoever finds us dead takes the log for bound */
	tarn__listen_lost(&changes->log, seq + 1);
	tarn__listen_show(&changes->log);
	/* release: of what it names; and it is published when this pass ends */
	atomic_store_explicit(&section->shm->log, changes->log.place, memory_order_release);
	return 0;
}

static int bind_to(struct tarn_changes *changes, const char *name,
		   const struct tarn_changes_opts *opts)
{
	struct tarn_section *section = opts->section;
	int64_t deadline = opts->deadline != 0 ? opts->deadline : TARN_FOREVER;
	struct tarn_tx *tx;
	int r, left;

	if (changes->shm->section != place_of(section))
		return tarn__diag(opts->diag, -EEXIST, "change log %s is not that of section %s",
				  name, section->name);
	if (opts->size != 0 &&
	    (changes->log.size < opts->size || changes->log.size / 2 >= opts->size))
		return tarn__diag(opts->diag, -EEXIST,
				  "change log %s has %" PRIu32 " bytes; asked were %" PRIu64, name,
				  changes->log.size, opts->size);
	if (tarn__tx_under_way(section->region))
		return tarn__diag(opts->diag, -EDEADLK,
				  "this thread is inside a section of the region");
	r = tarn_section_enter(section, deadline, &tx, opts->diag);
	if (r < 0)
		return r;
	r = bind(changes, section, name, opts->diag);
	left = tarn_section_leave(section);
	return r < 0 ? r : left;
}

/* --- open, close ---------------------------------------------------------------------------- */

/* Whose log is it? The section itself, to see whether it still says so. */
static void find_section(struct tarn_changes *changes)
{
	struct tarn__object object;
	struct entry entry;

	for (uint32_t i = 0; tarn__section_next(changes->region, &i, &object, &entry); i++) {
		if (object.off != (uint64_t)changes->shm->section * TARN__CACHE_LINE)
			continue;
		changes->section = (const void *)object.base;
		changes->section_index = i;
		changes->section_state = object.state;
		return;
	}
}

static int make_handle(struct tarn_region *region, const struct tarn__object *object,
		       const char *name, struct tarn_diag *diag, struct tarn_changes **ret_changes)
{
	struct changes_shm *shm = (struct changes_shm *)(void *)object->base;
	const char *fault = tarn__changes_fault(shm, object->size);
	struct tarn_changes *changes;
	uint32_t size = fault == NULL ? shm->size : 0;

	if (fault != NULL && strcmp(fault, "version") == 0)
		return tarn__diag(diag, -EPROTO, "change log %s: its version is not %u", name,
				  CHANGES_VERSION);
	/* read twice, by the check and here */
	if (fault != NULL || !tarn__is_pow2(size) || size > object->size - sizeof(*shm))
		return tarn__diag(diag, -EUCLEAN, "change log %s: its header is damaged (%s)", name,
				  fault != NULL ? fault : "size");
	changes = calloc(1, sizeof(*changes));
	if (changes == NULL)
		return -ENOMEM;
	changes->shm = shm;
	changes->region = region;
	changes->observer = region->observer;
	changes->log.place = (uint32_t)(object->off / TARN__CACHE_LINE);
	changes->log.size = size;
	changes->log.object = *object;
	find_section(changes);
	*ret_changes = changes;
	return 0;
}

static int open_entered(struct tarn_region *region, const char *name,
			const struct tarn_changes_opts *opts, struct tarn_changes **ret_changes)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn__object object;
	int r = find_or_make(region, name, opts, &object);

	if (r < 0)
		return r;
	r = make_handle(region, &object, name, diag, ret_changes);
	if (r < 0)
		tarn__object_drop(region, &object);
	return r;
}

static int open_log(struct tarn_region *region, const char *name,
		    const struct tarn_changes_opts *opts, struct tarn_changes **ret_changes)
{
	bool binds = opts != NULL && opts->section != NULL;
	struct tarn_changes *changes = NULL;
	int r = binds ? tarn__region_enter_member(region) : tarn__region_enter(region);

	if (r < 0)
		return r;
	r = open_entered(region, name, opts, &changes);
	tarn__region_leave(region);
	if (r < 0)
		return r;
	/* the region's mutex is not held: it waits for who is inside */
	if (binds)
		r = bind_to(changes, name, opts);
	if (r < 0) {
		tarn_changes_close(changes);
		return r;
	}
	changes->pos = place_load(&changes->shm->head);
	*ret_changes = changes;
	return 0;
}

int tarn_changes_open(struct tarn_region *region, const char *name,
		      const struct tarn_changes_opts *opts, struct tarn_changes **ret_changes)
{
	struct tarn_diag words = { .what = "" };
	struct tarn_changes_opts with;

	if (opts == NULL)
		return open_log(region, name, NULL, ret_changes);
	with = *opts;
	with.diag = &words;
	return tarn__diag_pass(opts->diag, &words, open_log(region, name, &with, ret_changes));
}

void tarn_changes_close(struct tarn_changes *changes)
{
	if (changes == NULL)
		return;
	if (!changes->observer)
		tarn__listener_drop(changes->region, &changes->log);
	free(changes->tx);
	free(changes);
}

/* --- read ----------------------------------------------------------------------------------- */

static uint32_t state_of(const struct tarn_changes *changes, uint32_t index)
{
	/* acquire: behind what was read of the object */
	return atomic_load_explicit(&changes->region->directory[index].state, memory_order_acquire);
}

/* Is the log still there, and will what is committed come here? 0, -ENODATA, -EIO. */
static int look_around(const struct tarn_changes *changes)
{
	if (tarn_segment_damaged(changes->region->seg))
		return -EIO;
	/* relaxed: one look; the section may be gone, and the word anything */
	if (changes->section == NULL ||
	    atomic_load_explicit(&changes->section->log, memory_order_relaxed) !=
		    changes->log.place ||
	    ((state_of(changes, changes->section_index) ^ changes->section_state) & ~3u) != 0)
		return -ENODATA;
	return state_of(changes, changes->log.object.index) == changes->log.object.state ? 0
											 : -ENODATA;
}

static void get(const struct tarn_changes *changes, uint64_t pos, void *to, size_t size)
{
	size_t at = (size_t)(pos & (changes->log.size - 1)), first = changes->log.size - at;

	if (first > size)
		first = size;
	tarn__load_bytes(to, changes->shm->ring + at, first);
	tarn__load_bytes((unsigned char *)to + first, changes->shm->ring, size - first);
}

/* Was it still there when it was copied? */
static bool unspoilt(const struct tarn_changes *changes)
{
	/* P4 <- P3 in reserve(): behind the acquire loads of get() */
	return place_load(&changes->shm->reserve) - changes->pos <= changes->log.size;
}

static int skip_to_end(struct tarn_changes *changes, int error)
{
	changes->pos = place_load(&changes->shm->head);
	if (error == -EOVERFLOW)
		changes->overruns++;
	return error;
}

static bool make_tx_room(struct tarn_changes *changes, uint32_t size)
{
	unsigned char *tx;

	if (size <= changes->tx_room)
		return true;
	tx = realloc(changes->tx, size);
	if (tx == NULL)
		return false;
	changes->tx = tx;
	changes->tx_room = size;
	return true;
}

/* The change at @at of the tx's copy. False: it is none. */
static bool change_at(const struct tarn_changes *changes, uint32_t at, struct change_shm *ret)
{
	uint64_t left = changes->tx_size - at;

	if (left < sizeof(*ret))
		return false;
	memcpy(ret, changes->tx + at, sizeof(*ret));
	return ret->size <= left - sizeof(*ret) &&
	       tarn__inside(ret->off, ret->size, changes->region->max_size) &&
	       ret->off >= changes->region->heap_off;
}

static uint32_t change_end(const struct change_shm *change, uint32_t at)
{
	return at + (uint32_t)sizeof(*change) + ((change->size + 7u) & ~7u);
}

static bool changes_whole(const struct tarn_changes *changes, uint32_t count)
{
	struct change_shm change;
	uint32_t at = 0;

	while (count-- > 0) {
		if (!change_at(changes, at, &change) || change_end(&change, at) > changes->tx_size)
			return false;
		at = change_end(&change, at);
	}
	return at == changes->tx_size;
}

/* Copy the tx at our position, of which @there bytes are published. */
static int copy_tx(struct tarn_changes *changes, uint64_t there, struct change_tx_shm *header)
{
	uint32_t size;

	get(changes, changes->pos, header, sizeof(*header));
	if (!unspoilt(changes))
		return -EOVERFLOW;
	if (header->at != changes->pos || header->size < sizeof(*header) || header->size > there ||
	    header->size % 8 != 0)
		return -EUCLEAN;
	if ((header->flags & CHANGE_LOST) != 0)
		return -EOVERFLOW;
	size = header->size - (uint32_t)sizeof(*header);
	if (!make_tx_room(changes, size))
		return -ENOMEM;
	get(changes, changes->pos + sizeof(*header), changes->tx, size);
	if (!unspoilt(changes))
		return -EOVERFLOW;
	changes->tx_size = size;
	return changes_whole(changes, header->count) ? 0 : -EUCLEAN;
}

int tarn_changes_next(struct tarn_changes *changes, struct tarn_changes_tx *ret_tx)
{
	struct change_tx_shm header;
	/* P2 <- P1 in show(): what lies before is whole */
	uint64_t there = place_load(&changes->shm->head) - changes->pos;
	int gone = look_around(changes), r;

	changes->tx_size = changes->each = 0;
	if (there == 0 || gone == -EIO)
		return gone < 0 ? gone : -EAGAIN;
	r = there <= changes->log.size ? copy_tx(changes, there, &header) : -EOVERFLOW;
	/* an observer holds nothing: it may be another's memory by now */
	if (r != -ENOMEM &&
	    state_of(changes, changes->log.object.index) >> 2 != changes->log.object.state >> 2)
		r = -ENODATA;
	if (r < 0) {
		changes->tx_size = 0;
		return r == -ENOMEM || r == -ENODATA ? r : skip_to_end(changes, r);
	}
	changes->pos += header.size;
	ret_tx->version = header.version;
	ret_tx->count = header.count;
	return 0;
}

bool tarn_changes_each(struct tarn_changes *changes, struct tarn_change *ret_change)
{
	struct change_shm change;

	if (changes->each >= changes->tx_size || !change_at(changes, changes->each, &change))
		return false;
	ret_change->off = change.off;
	ret_change->size = change.size;
	ret_change->data = changes->tx + changes->each + sizeof(change);
	changes->each = change_end(&change, changes->each);
	return true;
}

/* --- wait ----------------------------------------------------------------------------------- */

int tarn_changes_wait(struct tarn_changes *changes, int64_t deadline)
{
	struct changes_shm *shm = changes->shm;
	int r = 0;

	while (r == 0) {
		uint32_t seen;
		int64_t slice;

		if (place_load(&shm->head) != changes->pos)
			return 0;
		r = look_around(changes);
		if (r < 0)
			return r;
		if (!changes->observer) /* P6 <> P5 in show() */
			atomic_store_explicit(&shm->asleep, 1, memory_order_seq_cst);
		/* P6 <> P5: seq_cst: it stands as before, or asleep was seen */
		seen = atomic_load_explicit(&shm->head.lo, memory_order_seq_cst);
		if (seen != (uint32_t)changes->pos)
			continue;
		slice = tarn__plat_now() + NET_NS;
		r = tarn__region_sleep(changes->region, &shm->head.lo, seen, 0,
				       slice < deadline ? slice : deadline);
		if (r == -ETIMEDOUT && tarn__plat_now() < deadline)
			r = 0;
	}
	return place_load(&shm->head) != changes->pos ? 0 : r;
}

/* --- facts ---------------------------------------------------------------------------------- */

int tarn_changes_stat(struct tarn_changes *changes, struct tarn_changes_stat *ret_stat)
{
	struct tarn_changes_stat stat = { .size = changes->log.size };
	struct changes_shm *shm = changes->shm;
	struct entry entry;

	if (tarn_segment_damaged(changes->region->seg))
		return -EIO;
	stat.attached = look_around(changes) == 0;
	if (changes->section != NULL &&
	    tarn__entry_read(changes->region, changes->section_index, &entry) >> 2 ==
		    changes->section_state >> 2)
		memcpy(stat.section, entry.name, TARN_OBJECT_NAME_MAX);
	stat.logged = place_load(&shm->head);
	stat.position = changes->pos;
	stat.overrun_count = changes->overruns;
	/* relaxed: for the eye */
	stat.tx_count = atomic_load_explicit(&shm->txs, memory_order_relaxed);
	stat.lost_count = atomic_load_explicit(&shm->lost, memory_order_relaxed);
	*ret_stat = stat;
	return 0;
}
