/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen.c - tell who listens what a tx has changed: the side of who ends it. The bytes, the order
 * of things and what becomes of them after a death are drawn in listen.h.
 *
 * A section's handle keeps the listeners that it has found, held, so that what it writes to is
 * nobody else's memory, and looks at the directory before each use whether they still have a
 * name. Nothing here fails a tx: what cannot be logged is logged as lost, and where the journal
 * is found damaged all pages are marked.
 */
#include <errno.h>
#include <stddef.h>

#include "sync/listen.h"

/* --- find ------------------------------------------------------------------------------------ */

static bool named(const struct tarn_region *region, const struct listener *listener)
{
	/* acquire: with what the entry says */
	return atomic_load_explicit(&region->directory[listener->object.index].state,
				    memory_order_acquire) == listener->object.state;
}

void tarn__listener_drop(struct tarn_region *region, struct listener *listener)
{
	if (listener->place == 0)
		return;
	tarn__region_enter_to_leave(region);
	tarn__object_drop(region, &listener->object);
	tarn__region_leave(region);
	memset(listener, 0, sizeof(*listener));
}

static bool fits(const struct tarn_region *region, uint32_t kind, struct listener *listener)
{
	const struct changes_shm *log = log_of(listener);
	const struct dirty_shm *map = (const void *)listener->object.base;

	if (kind == TARN_OBJECT_CHANGES) {
		if (tarn__changes_fault(log, listener->object.size) != NULL)
			return false;
		listener->size = log->size; /* read twice: checked again below */
		return tarn__is_pow2(listener->size) && listener->size >= CHANGES_MIN &&
		       listener->size <= listener->object.size - sizeof(*log);
	}
	listener->size = tarn__dirty_pages(region);
	return tarn__dirty_fault(region, map, listener->object.size) == NULL;
}

static int find_entered(struct tarn_region *region, uint32_t place, uint32_t kind,
			struct listener *found)
{
	struct entry entry;

	for (uint32_t i = 0; i < region->object_max; i++) {
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & 3u) != TARN__ENTRY_LIVE || entry.kind != kind ||
		    entry.off != (uint64_t)place * TARN__CACHE_LINE ||
		    tarn__entry_fault(region, i, &entry) != NULL ||
		    tarn__object_find(region, entry.name, kind, &found->object, NULL) < 0)
			continue;
		found->place = place;
		if (found->object.off == entry.off && fits(region, kind, found))
			return 0;
		tarn__listener_drop(region, found);
	}
	return -ENOENT;
}

int tarn__listener_find(struct tarn_region *region, uint32_t place, uint32_t kind,
			struct listener *ret_listener)
{
	struct listener found = { 0 };
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return r;
	r = find_entered(region, place, kind, &found);
	tarn__region_leave(region);
	if (r == 0)
		*ret_listener = found;
	return r;
}

/* What @word names; kept in @listener. NULL: nothing. Where that is gone, and the word is @ours to
 * write, it is 0 then. */
static struct listener *listener_at(struct tarn_section *section, _Atomic uint32_t *word, bool ours,
				    uint32_t kind, struct listener *listener)
{
	struct tarn_region *region = section->region;
	/* relaxed: written under the lock, which is ours, or its owner's who waits for us */
	uint32_t place = atomic_load_explicit(word, memory_order_relaxed);
	int r = 0;

	if (listener->place != 0 && (listener->place != place || !named(region, listener)))
		tarn__listener_drop(region, listener);
	if (place == 0)
		return NULL;
	if (listener->place == 0)
		r = tarn__listener_find(region, place, kind, listener);
	if (r == 0 && kind == TARN_OBJECT_CHANGES &&
	    log_of(listener)->section != place_of(section)) {
		tarn__listener_drop(region, listener);
		r = -ENOENT;
	}
	if (r == -ENOENT && ours)
		atomic_store_explicit(word, 0, memory_order_relaxed); /* relaxed: as above */
	return r == 0 ? listener : NULL;
}

struct listener *tarn__listen_log(struct tarn_section *section)
{
	return listener_at(section, &section->shm->log, true, TARN_OBJECT_CHANGES, &section->log);
}

static struct listener *map_of(struct tarn_section *section)
{
	return listener_at(section, &section->shm->dirty, true, TARN_OBJECT_DIRTY, &section->map);
}

void tarn__listen_drop(struct tarn_section *section)
{
	tarn__listener_drop(section->region, &section->log);
	tarn__listener_drop(section->region, &section->map);
}

/* --- dirty map ------------------------------------------------------------------------------ */

static void mark(const struct listener *map, uint64_t off, uint64_t size)
{
	struct dirty_shm *shm = (struct dirty_shm *)(void *)map->object.base;
	uint64_t page = off / TARN__PAGE, end = (off + size + TARN__PAGE - 1) / TARN__PAGE;

	for (; page < end && page < map->size; page++)
		/* M1 -> M2 in tarn_dirty_take(): what was stored before comes with it */
		(void)atomic_exchange_explicit(&shm->marks[page], 1, memory_order_release);
}

/* Mark what the journal names; all pages where it cannot be read. False: it could not. */
static bool mark_journal(struct tarn_section *leader, uint32_t count, uint32_t seq)
{
	const struct listener *map = map_of(leader);
	uint64_t heap = tarn__heap_size(leader->region), page = UINT64_MAX;
	struct tarn__step step;
	uint32_t at = count <= leader->units ? count : 0;

	if (map == NULL)
		return true;
	for (; at > 0; at = step.data) {
		if (tarn__journal_step(leader, heap, at, seq, &step) != NULL)
			break;
		/* most often the same page as the entry before */
		if (step.size == 0 || (step.off / TARN__PAGE == page &&
				       step.off % TARN__PAGE + step.size <= TARN__PAGE))
			continue;
		page = step.off / TARN__PAGE;
		mark(map, step.off, step.size);
	}
	if (at == 0 && count <= leader->units)
		return true;
	mark(map, 0, tarn__region_size(leader->region));
	return false;
}

/* --- log ------------------------------------------------------------------------------------ */

static void place_store(struct place_shm *place, uint64_t value)
{
	/* release, both: P1 -> P2, P3 -> P4; the high word first */
	atomic_store_explicit(&place->hi, (uint32_t)(value >> 32), memory_order_release);
	atomic_store_explicit(&place->lo, (uint32_t)value, memory_order_release);
}

/* Where the next tx goes. What lies a ring's length before @size bytes from there is given up. */
static uint64_t reserve(const struct listener *log, uint64_t size)
{
	struct changes_shm *shm = log_of(log);
	uint64_t head = place_load(&shm->head), end = place_load(&shm->reserve);

	if (end - head > log->size)
		end = head + log->size; /* C2 does not hold: nothing old is to be trusted */
	if (end - head < size)
		end = head + size;
	/* P3 -> P4 in get(): before the first byte, since bytes are release stores */
	place_store(&shm->reserve, end);
	return head;
}

static void put(const struct listener *log, uint64_t pos, const void *from, size_t size)
{
	size_t at = (size_t)(pos & (log->size - 1)), first = log->size - at;

	if (first > size)
		first = size;
	tarn__store_bytes(log_of(log)->ring + at, from, first);
	tarn__store_bytes(log_of(log)->ring, (const unsigned char *)from + first, size - first);
}

static uint64_t padded(uint64_t size)
{
	return (size + 7) & ~UINT64_C(7);
}

/* Bytes that the changes of the journal take in @log; more than it has: too many, or damaged. */
static uint64_t measure(const struct listener *log, const struct tarn_section *leader,
			uint32_t count, uint32_t seq)
{
	uint64_t heap = tarn__heap_size(leader->region), sum = sizeof(struct change_tx_shm);
	struct tarn__step step;

	for (uint32_t at = count; at > 0 && sum <= log->size; at = step.data) {
		if (tarn__journal_step(leader, heap, at, seq, &step) != NULL ||
		    step.size > log->size)
			return UINT64_MAX;
		sum += sizeof(struct change_shm) + padded(step.size);
	}
	return sum;
}

/* Write the changes from @pos on, up to @end. Their number, or -EUCLEAN: the journal is not what it
 * was. */
static int64_t put_changes(const struct listener *log, const struct tarn_section *leader,
			   uint32_t count, uint32_t seq, uint64_t pos, uint64_t end)
{
	uint64_t heap = tarn__heap_size(leader->region);
	struct tarn__step step;
	int64_t n = 0;

	for (uint32_t at = count; at > 0; at = step.data, n++) {
		struct change_shm change = { 0 };

		if (tarn__journal_step(leader, heap, at, seq, &step) != NULL ||
		    step.size > end - pos || sizeof(change) + padded(step.size) > end - pos)
			return -EUCLEAN;
		change.off = step.off;
		change.size = (uint32_t)step.size;
		put(log, pos, &change, sizeof(change));
		put(log, pos + sizeof(change), leader->region->base + step.off, (size_t)step.size);
		pos += sizeof(change) + padded(step.size);
	}
	return pos == end ? n : -EUCLEAN;
}

static void put_header(const struct listener *log, uint64_t pos, uint64_t size, uint32_t version,
		       int64_t count)
{
	const struct change_tx_shm header = {
		.at = pos,
		.size = (uint32_t)size,
		.version = version,
		.count = count < 0 ? 0 : (uint32_t)count,
		.flags = count < 0 ? CHANGE_LOST : 0,
	};

	put(log, pos, &header, sizeof(header));
}

static void count_up(_Atomic uint32_t *word)
{
	/* relaxed: for the eye */
	atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

/* Its end becomes head when the section's seq becomes @version. */
static void make_pending(const struct listener *log, uint64_t end, uint32_t version)
{
	struct changes_shm *shm = log_of(log);

	place_store(&shm->pending, end);
	/* release: pending is whole, and the ring up to it */
	atomic_store_explicit(&shm->pending_seq, version, memory_order_release);
}

/* Log the tx whose journal is @leader's as one of @section. */
static void log_tx(struct tarn_section *section, const struct listener *log,
		   const struct tarn_section *leader, uint32_t count, uint32_t seq)
{
	/* relaxed: written under the lock, which is ours */
	uint32_t version = atomic_load_explicit(&section->shm->seq, memory_order_relaxed) + 1;
	uint64_t size = count <= leader->units ? measure(log, leader, count, seq) : UINT64_MAX;
	uint64_t pos;
	int64_t n = -EUCLEAN;

	if (size <= log->size) {
		pos = reserve(log, size);
		n = put_changes(log, leader, count, seq, pos + sizeof(struct change_tx_shm),
				pos + size);
	}
	if (n < 0) {
		tarn__listen_lost(log, version);
		return;
	}
	put_header(log, pos, size, version, n);
	count_up(&log_of(log)->txs);
	make_pending(log, pos + size, version);
}

void tarn__listen_lost(const struct listener *log, uint32_t version)
{
	uint64_t pos = reserve(log, sizeof(struct change_tx_shm));

	put_header(log, pos, sizeof(struct change_tx_shm), version, -EOVERFLOW);
	count_up(&log_of(log)->lost);
	make_pending(log, pos + sizeof(struct change_tx_shm), version);
}

/* --- the end of a tx ------------------------------------------------------------------------ */

void tarn__listen_commit(struct tarn_section *leader, struct tarn_section *followers)
{
	struct section_shm *shm = leader->shm;
	/* relaxed, both: written under the lock, which is ours */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_relaxed);
	uint32_t count = atomic_load_explicit(&shm->count, memory_order_relaxed);
	const struct listener *log;

	if (count == 0)
		return;
	(void)mark_journal(leader, count, seq);
	log = tarn__listen_log(leader);
	if (log != NULL)
		log_tx(leader, log, leader, count, seq);
	for (; followers != NULL; followers = followers->next_follower) {
		log = tarn__listen_log(followers);
		if (log == NULL)
			continue;
		/* release: before any follower's pending_seq. Who rolls back looks for those. */
		atomic_store_explicit(&shm->followed, seq, memory_order_release);
		log_tx(followers, log, leader, count, seq);
	}
}

void tarn__listen_show(const struct listener *log)
{
	struct changes_shm *shm = log_of(log);
	uint64_t head = place_load(&shm->head), pending = place_load(&shm->pending);

	/* Not how far ahead it is: who died between the two stores below has left neither. */
	if (pending == head)
		return;
	/* P1 -> P2 in tarn_changes_next(): the tx is in the ring, whole; P5 <> P6 */
	atomic_store_explicit(&shm->head.hi, (uint32_t)(pending >> 32), memory_order_release);
	(void)atomic_exchange_explicit(&shm->head.lo, (uint32_t)pending, memory_order_seq_cst);
	if (atomic_load_explicit(&shm->asleep, memory_order_seq_cst) == 0)
		return;
	/* relaxed: a reader that comes now has seen the new head */
	atomic_store_explicit(&shm->asleep, 0, memory_order_relaxed);
	(void)tarn__plat_futex_wake(&shm->head.lo, INT32_MAX);
}

void tarn__listen_publish(struct tarn_section *section)
{
	const struct listener *log = tarn__listen_log(section);

	/* relaxed, both: under the lock, which is ours */
	if (log != NULL && atomic_load_explicit(&log_of(log)->pending_seq, memory_order_relaxed) ==
				   atomic_load_explicit(&section->shm->seq, memory_order_relaxed))
		tarn__listen_show(log);
}

static void forget_pending(const struct listener *log)
{
	/* release: before seq says that the tx has ended */
	atomic_store_explicit(&log_of(log)->pending_seq, PENDING_NONE, memory_order_release);
}

/* The logs of those that followed in the tx that @leader was undone of. */
static void forget_followers(struct tarn_section *leader, uint32_t seq)
{
	struct tarn_section other;
	struct tarn__object object;
	struct listener log = { 0 };
	struct entry entry;

	for (uint32_t i = 0; tarn__section_next(leader->region, &i, &object, &entry); i++) {
		struct section_shm *shm = (struct section_shm *)(void *)object.base;
		/* acquire: leader and its seq were stored before */
		uint32_t own = atomic_load_explicit(&shm->seq, memory_order_acquire);

		/* relaxed, all: their owner is dead, or us; who wants its lock waits for us */
		if ((own & 1) == 0 ||
		    atomic_load_explicit(&shm->leader, memory_order_relaxed) != place_of(leader) ||
		    atomic_load_explicit(&shm->leader_seq, memory_order_relaxed) != seq ||
		    tarn__section_handle(leader->region, &object, entry.name, &other, NULL) < 0)
			continue;
		if (listener_at(&other, &shm->log, false, TARN_OBJECT_CHANGES, &log) != NULL)
			forget_pending(&log);
		tarn__listener_drop(leader->region, &log);
	}
}

void tarn__listen_unknown(struct tarn_section *section)
{
	const struct listener *log = tarn__listen_log(section);

	/* relaxed: written under the lock, which is ours */
	if (log != NULL)
		tarn__listen_lost(
			log, atomic_load_explicit(&section->shm->seq, memory_order_relaxed) + 1);
}

void tarn__listen_undone(struct tarn_section *leader, uint32_t count, uint32_t seq, bool whole)
{
	const struct listener *log;

	if (!mark_journal(leader, count, seq))
		whole = false;
	log = tarn__listen_log(leader);
	if (log != NULL && whole)
		forget_pending(log);
	else if (log != NULL)
		tarn__listen_lost(log, seq + 1);
	/* relaxed: take() has acquired it */
	if (atomic_load_explicit(&leader->shm->followed, memory_order_relaxed) == seq)
		forget_followers(leader, seq);
}
