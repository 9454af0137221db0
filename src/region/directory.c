/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * directory.c - names, and the memory behind them.
 *
 * Each entry owns the bytes [off, off + size) of the heap for as long as it is not free. What is
 * free is what no entry owns: there is no second record of it that could disagree, so a death
 * between two stores cannot leak or lose a byte.
 *
 *     free --make()--> live --remove()--> removed --reap()--> free, next generation
 *
 * Each arrow is one store of entry_shm.state, under the region lock. An entry that is removed
 * keeps its memory while any live member has it open: each member says so in hold bits of its
 * own slot, and its death takes them away. There are no reference counts. It keeps it, too,
 * while a section is still to be rolled back into it: what a dead one changed there would else be
 * undone in the next object's bytes.
 *
 * Who writes what: entries, the holder of the region lock; hold bits, their member.
 *
 * Ordering:
 *   D1 -> D2  make() stores state last                  readers copy a complete entry
 *   D3 -> D4  free() stores state before new words      readers notice that the copy is torn
 *   D5 <> D6  find() sets its hold bit, then looks at the state again; reap() looks at the
 *             bits after the state said removed. Both seq_cst: one of them sees the other.
 *
 * Invariants of a live or removed entry (tarn__entry_fault()):
 *   E1  check is the checksum of its words
 *   E2  the name is 1 to 63 bytes, printable, without '/', NUL-padded, and no other live
 *       entry has it
 *   E3  off is a multiple of 64; [off, off + size) lies in the heap and in no other entry's
 *
 * After a crash: an entry whose state was not yet stored is free, whatever its words say.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/trace.h"

#define STATE_MASK 3u

static uint32_t check_of(const struct entry *entry)
{
	return tarn__fnv32(entry, sizeof(*entry), TARN__FNV32_BASIS);
}

int tarn__object_name_check(const char *name, struct tarn_diag *diag)
{
	size_t size = name == NULL ? 0 : strnlen(name, TARN__NAME_SIZE);

	if (size == 0)
		return tarn__diag(diag, -EINVAL, "an object's name has 1 to %d bytes; this one 0",
				  TARN_OBJECT_NAME_MAX);
	if (size > TARN_OBJECT_NAME_MAX)
		return tarn__diag(diag, -EINVAL,
				  "an object's name has 1 to %d bytes; this one more",
				  TARN_OBJECT_NAME_MAX);
	for (size_t i = 0; i < size; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c <= ' ' || c == 0x7f || c == '/')
			return tarn__diag(
				diag, -EINVAL,
				"byte %zu of the object's name is 0x%02x: blanks, control "
				"characters and '/' are not possible",
				i, c);
	}
	return 0;
}

uint64_t tarn__region_size(const struct tarn_region *region)
{
	/* acquire: pages counted here were allocated before */
	uint32_t pages = atomic_load_explicit(&region->super->size_pages, memory_order_acquire);
	_Atomic uint32_t *there = (_Atomic uint32_t *)&region->there; /* a cache, no more */
	/* relaxed: it only grows, and whoever finds it too small asks again */
	uint32_t known = atomic_load_explicit(there, memory_order_relaxed);
	uint64_t size;

	/* It has grown, or somebody says so: where no file is must not be touched. (A kernel that
	 * cannot tell is nobody's attack.) */
	if (TARN__UNLIKELY(pages > known) && tarn__size_now(region->seg, &size) == 0) {
		if (size > region->seg->map_size)
			size = region->seg->map_size;
		known = (uint32_t)(size / TARN__PAGE);
		atomic_store_explicit(there, known, memory_order_relaxed);
		pages = pages < known ? pages : known;
	}
	size = (uint64_t)pages * TARN__PAGE;
	return size < region->max_size ? size : region->max_size;
}

uint32_t tarn__entry_read(const struct tarn_region *region, uint32_t index, struct entry *ret_entry)
{
	struct entry_shm *shm = &region->directory[index];
	uint32_t words[TARN__ENTRY_WORDS];

	/* D2 <- D1 in publish(): the words are complete. */
	uint32_t state = atomic_load_explicit(&shm->state, memory_order_acquire);

	if ((state & STATE_MASK) == TARN__ENTRY_FREE)
		return TARN__ENTRY_FREE;
	for (uint32_t i = 0; i < TARN__ENTRY_WORDS; i++)
		/* D4 <- D3 in write_words(): a word of the next user's shows that state changed. */
		words[i] = atomic_load_explicit(&shm->words[i], memory_order_acquire);
	memcpy(ret_entry, words, sizeof(*ret_entry));
	/* relaxed: ordered behind the acquire loads above */
	uint32_t check = atomic_load_explicit(&shm->check, memory_order_acquire);
	uint32_t again = atomic_load_explicit(&shm->state, memory_order_relaxed);

	if ((again & ~STATE_MASK) != (state & ~STATE_MASK) ||
	    (again & STATE_MASK) == TARN__ENTRY_FREE)
		return TARN__ENTRY_FREE;
	if (check != check_of(ret_entry))
		ret_entry->zero[0] = 1; /* E1, told by tarn__entry_fault() */
	return again;
}

const char *tarn__entry_fault(const struct tarn_region *region, uint32_t index,
			      const struct entry *entry)
{
	(void)index;
	if (entry->zero[0] != 0)
		return "check"; /* E1 */
	if (memchr(entry->name, '\0', TARN__NAME_SIZE) == NULL ||
	    tarn__object_name_check(entry->name, NULL) < 0)
		return "name"; /* E2 */
	if (entry->off % TARN__CACHE_LINE != 0 || entry->off < region->heap_off)
		return "off"; /* E3 */
	if (!tarn__inside(entry->off, entry->size, tarn__region_size(region)))
		return "size";
	return NULL;
}

/* --- holds --------------------------------------------------------------------------------- */

static void hold_bit(struct tarn_region *region, uint32_t index, bool on)
{
	_Atomic uint32_t *word = &region->me->holds[index / 32];
	uint32_t bit = 1u << (index % 32);

	/* D5 <> D6 */
	if (on)
		atomic_fetch_or_explicit(word, bit, memory_order_seq_cst);
	else
		atomic_fetch_and_explicit(word, ~bit, memory_order_seq_cst);
}

static void hold(struct tarn_region *region, uint32_t index, uint32_t state)
{
	if (region->hold_count[index]++ == 0) {
		region->hold_state[index] = state;
		hold_bit(region, index, true);
	}
}

bool tarn__object_hold(struct tarn_region *region, const struct tarn__object *object)
{
	hold(region, object->index, object->state);
	/* D5 <> D6, as in tarn__object_find(): reaped before the bit was set means another's */
	uint32_t state =
		atomic_load_explicit(&region->directory[object->index].state, memory_order_seq_cst);

	if ((state & ~STATE_MASK) == (object->state & ~STATE_MASK) &&
	    (state & STATE_MASK) != TARN__ENTRY_FREE)
		return true;
	tarn__object_drop(region, object);
	return false;
}

/* In a child of fork() the entry may have become another's, and be held for that. */
void tarn__object_drop(struct tarn_region *region, const struct tarn__object *object)
{
	uint32_t index = object->index;

	if (region->observer || region->hold_count[index] == 0 ||
	    ((region->hold_state[index] ^ object->state) & ~STATE_MASK) != 0)
		return;
	if (--region->hold_count[index] == 0 && region->me != NULL) {
		hold_bit(region, index, false);
		tarn__trace(region, TARN_TRACE_CLOSE, object, 0, 0);
	}
}

void tarn__object_rehold(struct tarn_region *region)
{
	for (uint32_t i = 0; i < region->object_max; i++) {
		if (region->hold_count[i] == 0)
			continue;
		hold_bit(region, i, true);
		/* D5 <> D6, as in tarn__object_find(). Until now only the parent held it: it may be
		 * gone, and the entry another object's. */
		uint32_t state =
			atomic_load_explicit(&region->directory[i].state, memory_order_seq_cst);

		if ((state & ~STATE_MASK) != (region->hold_state[i] & ~STATE_MASK)) {
			hold_bit(region, i, false);
			region->hold_count[i] = 0;
		}
	}
}

uint32_t tarn__object_holders(struct tarn_region *region, uint32_t index)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < region->member_max; slot++) {
		struct member_shm *member = tarn__member_at(region, slot);
		/* D6 <> D5: read after the entry's state */
		uint32_t bits =
			atomic_load_explicit(&member->holds[index / 32], memory_order_seq_cst);
		uint32_t id = atomic_load_explicit(&member->state, memory_order_acquire);

		if ((bits & 1u << (index % 32)) != 0 && (id & TARN__ID_FLAG) != 0 &&
		    tarn__member_alive(region, id))
			count++;
	}
	return count;
}

/* --- memory -------------------------------------------------------------------------------- */

struct extent {
	uint64_t off;
	uint64_t end;
};

static int extent_order(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->off < y->off ? -1 : x->off > y->off;
}

/* What entries own, in order of offset; a damaged one still keeps what it claims. */
static uint32_t collect(struct tarn_region *region, uint64_t size, struct extent *extents)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry entry;

		if (tarn__entry_read(region, i, &entry) == TARN__ENTRY_FREE)
			continue;
		if (entry.size == 0 || entry.off < region->heap_off ||
		    !tarn__inside(entry.off, entry.size, size))
			continue;
		extents[count].off = entry.off;
		extents[count].end = entry.off + entry.size;
		count++;
	}
	qsort(extents, count, sizeof(*extents), extent_order);
	return count;
}

/* The smallest hole that takes @size bytes; 0 if none does, and the largest in @ret_largest. */
static uint64_t find_hole(struct tarn_region *region, uint64_t size, uint64_t *ret_largest)
{
	struct extent *extents = malloc((size_t)region->object_max * sizeof(*extents));
	uint64_t limit = tarn__region_size(region);
	uint64_t at = region->heap_off, best = 0, best_size = UINT64_MAX;

	*ret_largest = 0;
	if (extents == NULL)
		return 0;

	uint32_t count = collect(region, limit, extents);

	for (uint32_t i = 0; i <= count; i++) {
		uint64_t end = i < count ? extents[i].off : limit;
		uint64_t hole = end > at ? end - at : 0;

		if (hole > *ret_largest)
			*ret_largest = hole;
		if (hole >= size && hole < best_size) {
			best = at;
			best_size = hole;
		}
		if (i < count && extents[i].end > at)
			(void)tarn__round_up(extents[i].end, TARN__CACHE_LINE, &at);
	}
	free(extents);
	return best;
}

/* Make [off, off + size) zero, and remember how far memory was ever used. */
static void prepare_memory(struct tarn_region *region, uint64_t off, uint64_t size, bool zeroed)
{
	_Atomic uint32_t *used_pages = &region->super->used_pages;
	/* relaxed: written under the region lock only */
	uint64_t used =
		(uint64_t)atomic_load_explicit(used_pages, memory_order_relaxed) * TARN__PAGE;
	uint64_t end = off + size;

	if (zeroed && off < used)
		memset(region->base + off, 0, (size_t)((end < used ? end : used) - off));
	/* rule 3: before the first byte is written; release: it is seen before they are */
	if (end > used)
		atomic_store_explicit(used_pages, (uint32_t)((end + TARN__PAGE - 1) / TARN__PAGE),
				      memory_order_release);
}

/* --- make, find, remove -------------------------------------------------------------------- */

/* The entry that is live under @name. 0, -ENOENT, or -EUCLEAN if it is damaged. */
static int lookup(struct tarn_region *region, const char *name, uint32_t *ret_index,
		  uint32_t *ret_state, struct entry *ret_entry)
{
	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry entry;
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & STATE_MASK) != TARN__ENTRY_LIVE ||
		    strncmp(entry.name, name, TARN__NAME_SIZE) != 0)
			continue;
		*ret_index = i;
		*ret_state = state;
		*ret_entry = entry;
		return tarn__entry_fault(region, i, &entry) != NULL ? -EUCLEAN : 0;
	}
	return -ENOENT;
}

/* Asked after the holders: who changed it and dies had it open until then. */
static bool owed(struct tarn_region *region, uint32_t index)
{
	struct entry entry;

	return tarn__entry_read(region, index, &entry) != TARN__ENTRY_FREE &&
	       tarn__entry_fault(region, index, &entry) == NULL &&
	       tarn__object_owed(region, entry.off, entry.size);
}

uint32_t tarn__object_reap(struct tarn_region *region)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry_shm *shm = &region->directory[i];
		/* seq_cst: D6 <> D5 */
		uint32_t state = atomic_load_explicit(&shm->state, memory_order_seq_cst);

		if ((state & STATE_MASK) == TARN__ENTRY_FREE ||
		    (state & STATE_MASK) == TARN__ENTRY_LIVE ||
		    tarn__object_holders(region, i) != 0 || owed(region, i))
			continue;
		/* D3 -> D4 in tarn__entry_read(): state first, then other words */
		atomic_store_explicit(&shm->state, (state & ~STATE_MASK) + STATE_MASK + 1,
				      memory_order_release);
		count++;
	}
	return count;
}

static int free_entry(struct tarn_region *region, uint32_t *ret_index)
{
	for (uint32_t i = 0; i < region->object_max; i++) {
		/* relaxed: written under the region lock, which is ours */
		uint32_t state =
			atomic_load_explicit(&region->directory[i].state, memory_order_relaxed);

		if ((state & STATE_MASK) == TARN__ENTRY_FREE) {
			*ret_index = i;
			return 0;
		}
	}
	return -ENFILE;
}

static void write_words(struct entry_shm *shm, const struct entry *entry)
{
	uint32_t words[TARN__ENTRY_WORDS];

	memcpy(words, entry, sizeof(words));
	for (uint32_t i = 0; i < TARN__ENTRY_WORDS; i++)
		/* D3 -> D4: release keeps them behind the store that freed the entry */
		atomic_store_explicit(&shm->words[i], words[i], memory_order_release);
	atomic_store_explicit(&shm->check, check_of(entry), memory_order_release);
}

/* Find room for @want, or say how much there is. */
static int place(struct tarn_region *region, const struct tarn__object_want *want,
		 uint32_t *ret_index, uint64_t *ret_off, struct tarn_diag *diag)
{
	uint64_t largest = 0;
	char a[24], b[24];

	if (free_entry(region, ret_index) < 0 &&
	    (tarn__object_reap(region) == 0 || free_entry(region, ret_index) < 0)) {
		tarn__diag(diag, -ENFILE,
			   "the directory has room for %" PRIu32 " objects, all taken",
			   region->object_max);
		tarn__diag_hint(diag, "create the region with a larger object_max");
		return -ENFILE;
	}
	*ret_off = find_hole(region, want->size, &largest);
	if (*ret_off == 0 && tarn__object_reap(region) != 0)
		*ret_off = find_hole(region, want->size, &largest);
	if (*ret_off == 0) {
		tarn__diag(diag, -ENOSPC, "%s wanted, the largest hole in the region has %s",
			   tarn__size_text(want->size, a), tarn__size_text(largest, b));
		tarn__diag_hint(diag, "grow the region, or remove objects");
		return -ENOSPC;
	}
	return 0;
}

static int make_locked(struct tarn_region *region, const char *name,
		       const struct tarn__object_want *want, struct tarn__object *ret_object,
		       struct tarn_diag *diag)
{
	struct entry entry = { .size = want->size, .kind = want->kind };
	struct entry old;
	uint32_t index, state;
	int r = lookup(region, name, &index, &state, &old);

	if (r != -ENOENT)
		return tarn__diag(diag, -EEXIST, "object %s exists", name);
	r = place(region, want, &index, &entry.off, diag);
	if (r < 0)
		return r;
	entry.created_ns = tarn__plat_realtime();
	memcpy(entry.name, name, strlen(name));
	prepare_memory(region, entry.off, entry.size, want->zeroed);
	if (want->init != NULL)
		want->init(region->base + entry.off, entry.size, want->arg);

	struct entry_shm *shm = &region->directory[index];

	write_words(shm, &entry);
	/* relaxed: ours, under the lock */
	state = atomic_load_explicit(&shm->state, memory_order_relaxed) | TARN__ENTRY_LIVE;
	hold(region, index, state);
	/* D1 -> D2 in tarn__entry_read(): the object is there, whole, with this one store. */
	atomic_store_explicit(&shm->state, state, memory_order_release);
	*ret_object = (struct tarn__object){ .index = index,
					     .state = state,
					     .off = entry.off,
					     .size = entry.size,
					     .base = region->base + entry.off };
	if (tarn__trace_is_on(region))
		tarn__trace_log(region, TARN_TRACE_CREATE, ret_object, entry.size, entry.kind,
				entry.name);
	return 0;
}

int tarn__object_make(struct tarn_region *region, const char *name,
		      const struct tarn__object_want *want, struct tarn__object *ret_object,
		      struct tarn_diag *diag)
{
	int r = tarn__object_name_check(name, diag);

	if (r < 0)
		return r;
	if (want->size == 0)
		return tarn__diag(diag, -EINVAL, "object %s: size 0; at least 1 byte is needed",
				  name);
	r = tarn__region_lock(region);
	if (r < 0)
		return tarn__diag(diag, r,
				  "the region's lock is held by a member that is alive "
				  "and does not let go");
	r = make_locked(region, name, want, ret_object, diag);
	tarn__region_unlock(region);
	return r;
}

const char *tarn__kind_words(uint32_t kind)
{
	static const char *const words[] = {
		[TARN_OBJECT_BYTES] = "plain bytes",
		[TARN_OBJECT_RING] = "a ring",
		[TARN_OBJECT_SECTION] = "a section",
		[TARN_OBJECT_ARENA] = "an arena",
		[TARN_OBJECT_EXTENT] = "memory that an arena grew by",
		[TARN_OBJECT_CHANGES] = "a change log",
		[TARN_OBJECT_DIRTY] = "a dirty map",
		[TARN_OBJECT_STRUCT] = "a struct with a description",
		[TARN_OBJECT_MUTEX] = "a mutex",
		[TARN_OBJECT_RWLOCK] = "an rwlock",
		[TARN_OBJECT_SEM] = "a semaphore",
		[TARN_OBJECT_COND] = "a condition variable",
		[TARN_OBJECT_BARRIER] = "a barrier",
		[TARN_OBJECT_EVENT] = "an event",
		[TARN_OBJECT_ONCE] = "a once",
		[TARN_OBJECT_SPIN] = "a spin lock",
		[TARN_OBJECT_SEQLOCK] = "a sequence lock",
		[TARN_OBJECT_LATEST] = "a latest value",
		[TARN_OBJECT_TOPIC] = "a topic",
		[TARN_OBJECT_LANE] = "a lane of a topic",
		[TARN_OBJECT_COUNTERS] = "counters",
		[TARN_OBJECT_SERVICE] = "a service",
		[TARN_OBJECT_BUNDLE] = "rings of a service",
		[TARN_OBJECT_TRACE] = "a trace",
	};

	return kind < sizeof(words) / sizeof(words[0]) && words[kind] != NULL
		       ? words[kind]
		       : "of a kind that this version does not know";
}

int tarn__object_find(struct tarn_region *region, const char *name, uint32_t kind,
		      struct tarn__object *ret_object, struct tarn_diag *diag)
{
	struct tarn__object object;
	struct entry entry;
	uint32_t index, state;
	int r = tarn__object_name_check(name, diag);

	while (r == 0) {
		r = lookup(region, name, &index, &state, &entry);
		if (r == -ENOENT)
			return tarn__diag(diag, r, "no object %s in the region", name);
		if (r < 0 && tarn__trace_is_on(region))
			tarn__trace_log(region, TARN_TRACE_DAMAGED, NULL, 0, 0,
					tarn__entry_fault(region, index, &entry));
		if (r < 0)
			return tarn__diag(diag, r,
					  "object %s: its entry in the directory is "
					  "damaged (%s)",
					  name, tarn__entry_fault(region, index, &entry));
		if (entry.kind != kind)
			return tarn__diag(diag, -EPROTO, "object %s is %s; wanted was %s", name,
					  tarn__kind_words(entry.kind), tarn__kind_words(kind));
		object = (struct tarn__object){ .index = index,
						.state = state,
						.off = entry.off,
						.size = entry.size,
						.base = region->base + entry.off };
		if (region->observer)
			break;
		hold(region, index, state);
		/* D5 <> D6: after the bit is set; removed by now means gone */
		if (atomic_load_explicit(&region->directory[index].state, memory_order_seq_cst) ==
		    state) {
			tarn__trace(region, TARN_TRACE_OPEN, &object, 0, 0);
			break;
		}
		tarn__object_drop(region, &object);
	}
	if (r == 0)
		*ret_object = object;
	return r;
}

int tarn__object_find_or_make(struct tarn_region *region, const char *name,
			      const struct tarn__object_want *want, bool make,
			      struct tarn__object *ret_object, struct tarn_diag *diag)
{
	enum { TRIES = 100 };
	int r = -ENOENT;

	for (int i = 0; i < TRIES; i++) {
		r = tarn__object_find(region, name, want->kind, ret_object, diag);
		if (r != -ENOENT || !make || region->observer)
			return r;
		r = tarn__object_make(region, name, want, ret_object, diag);
		if (r != -EEXIST)
			return r; /* else somebody was faster: open theirs */
	}
	return r;
}

/* --- public -------------------------------------------------------------------------------- */

int tarn_object_create(struct tarn_region *region, const char *name, uint64_t size, void **ret_data,
		       struct tarn_diag *diag)
{
	const struct tarn__object_want want = { .kind = TARN_OBJECT_BYTES,
						.size = size,
						.zeroed = true };
	struct tarn__object object;
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EPERM ? "the region was opened to look on"
					      : "the region cannot be used");
	r = tarn__object_make(region, name, &want, &object, diag);
	tarn__region_leave(region);
	if (r == 0)
		*ret_data = object.base;
	return r;
}

int tarn_object_open(struct tarn_region *region, const char *name, void **ret_data,
		     uint64_t *ret_size)
{
	struct tarn__object object;
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	r = tarn__object_find(region, name, TARN_OBJECT_BYTES, &object, NULL);
	tarn__region_leave(region);
	if (r < 0)
		return r;
	*ret_data = object.base;
	if (ret_size != NULL)
		*ret_size = object.size;
	return 0;
}

void tarn_object_close(struct tarn_region *region, void *data)
{
	if (region->observer)
		return;
	tarn__region_enter_to_leave(region);

	uint64_t off = (uint64_t)((unsigned char *)data - region->base);

	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry entry;

		if (region->hold_count[i] != 0 &&
		    tarn__entry_read(region, i, &entry) != TARN__ENTRY_FREE && entry.off == off) {
			const struct tarn__object object = { .index = i,
							     .state = region->hold_state[i] };

			tarn__object_drop(region, &object);
			break;
		}
	}
	tarn__region_leave(region);
}

static void say_removed(struct tarn_region *region, uint32_t index, uint32_t state)
{
	const struct tarn__object object = { .index = index, .state = state };
	struct entry entry = { .name = "" };

	(void)tarn__entry_read(region, index, &entry);
	tarn__trace_log(region, TARN_TRACE_REMOVE, &object, 0, 0, entry.name);
}

/* The lock is held. */
static void unname(struct tarn_region *region, uint32_t index, uint32_t state)
{
	if (tarn__trace_is_on(region))
		say_removed(region, index, state);
	tarn__trace_unname(region, index);
	/* seq_cst: D6 <> D5 */
	atomic_store_explicit(&region->directory[index].state,
			      (state & ~STATE_MASK) | TARN__ENTRY_REMOVED, memory_order_seq_cst);
	(void)tarn__object_reap(region);
}

/* What kind of objects those are that go with one of @kind, and are named after it; 0: none. */
static uint32_t kind_of_parts(uint32_t kind)
{
	return kind == TARN_OBJECT_TOPIC     ? TARN_OBJECT_LANE
	       : kind == TARN_OBJECT_SERVICE ? TARN_OBJECT_BUNDLE
					     : 0;
}

/* Objects of @kind that are named NAME:NUMBER: lanes of a topic, rings of a service. The lock is
 * held. */
static void unname_parts(struct tarn_region *region, const char *name, uint32_t kind)
{
	size_t size = strnlen(name, TARN_OBJECT_NAME_MAX);

	for (uint32_t i = 0; i < region->object_max; i++) {
		struct entry entry;
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & STATE_MASK) == TARN__ENTRY_LIVE && entry.kind == kind &&
		    memcmp(entry.name, name, size) == 0 && entry.name[size] == ':')
			unname(region, i, state);
	}
}

/* Is it a lane, and its topic there; or rings, and their service? Then it goes with that alone. The
 * lock is held. */
static bool goes_with_whole(struct tarn_region *region, const struct entry *part)
{
	char name[TARN__NAME_SIZE];
	uint32_t index, state;
	struct entry entry;
	char *end;

	memcpy(name, part->name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	end = strrchr(name, ':');
	if (end == NULL)
		return false;
	*end = '\0';
	return lookup(region, name, &index, &state, &entry) == 0 &&
	       kind_of_parts(entry.kind) == part->kind;
}

int tarn_object_remove(struct tarn_region *region, const char *name)
{
	struct entry entry;
	uint32_t index, state;
	int r = tarn__object_name_check(name, NULL);

	if (r == 0)
		r = tarn__region_enter_member(region);
	if (r < 0)
		return r;
	r = tarn__region_lock(region);
	if (r == 0) {
		r = lookup(region, name, &index, &state, &entry);
		if (r == 0 && goes_with_whole(region, &entry)) {
			r = -EBUSY;
		} else if (r == 0 || r == -EUCLEAN) { /* a damaged one may go too */
			if (r == 0 && kind_of_parts(entry.kind) != 0)
				unname_parts(region, name, kind_of_parts(entry.kind));
			unname(region, index, state);
			r = 0;
		}
		tarn__region_unlock(region);
	}
	tarn__region_leave(region);
	return r;
}

int tarn__object_remove_exact(struct tarn_region *region, uint32_t index, uint32_t state)
{
	int r = tarn__region_enter_member(region);

	if (r < 0)
		return r;
	r = tarn__region_lock(region);
	if (r == 0) {
		/* relaxed: written under the region lock, which is ours */
		uint32_t now =
			atomic_load_explicit(&region->directory[index].state, memory_order_relaxed);

		if (now == ((state & ~STATE_MASK) | TARN__ENTRY_LIVE))
			unname(region, index, now);
		else
			r = -ENOENT;
		tarn__region_unlock(region);
	}
	tarn__region_leave(region);
	return r;
}

int tarn_region_objects(struct tarn_region *region,
			int (*fn)(const struct tarn_object_stat *stat, void *arg), void *arg)
{
	int back, r = tarn__region_enter(region);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < region->object_max && r == 0; i++) {
		struct tarn_object_stat stat = { 0 };
		struct entry entry;
		uint32_t state = tarn__entry_read(region, i, &entry);

		if (state == TARN__ENTRY_FREE)
			continue;
		memcpy(stat.name, entry.name, TARN_OBJECT_NAME_MAX);
		stat.kind = entry.kind;
		stat.off = entry.off;
		stat.size = entry.size;
		stat.created_ns = entry.created_ns;
		stat.removed = (state & STATE_MASK) == TARN__ENTRY_REMOVED;
		stat.holder_count = tarn__object_holders(region, i);
		tarn__region_leave(region);
		r = fn(&stat, arg);
		back = tarn__region_enter(region);
		if (back < 0)
			return r != 0 ? r : back;
	}
	tarn__region_leave(region);
	return r;
}
