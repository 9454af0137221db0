/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - the bytes of an arena, its handle, and what its files share.
 *
 * An arena is an object of its region, and up to 63 more that it grew by, called extents:
 *
 *   arena    0 +-------------------------------------+
 *              | magic version flags id section      |  set by the creator, then constant
 *              | max_pages check                     |
 *           64 +-------------------------------------+
 *              | epoch ticket pages                  |
 *          128 +-------------------------------------+
 *              | extents: 64 offsets of objects      |  [0] is the arena itself
 *          640 +-------------------------------------+
 *              | bins: 64 lists of free runs         |
 *          896 +-------------------------------------+
 *              | classes: 64 lists of slabs          |
 *         1152 +-------------------------------------+
 *              | the first extent                    |
 *              +-------------------------------------+
 *
 *   extent   0 +-------------------------------------+
 *              | magic slot id first pages check     |  set by who makes it, then constant
 *           64 +-------------------------------------+
 *              | heads: a bit a page                 |
 *              +-------------------------------------+  a multiple of 64
 *              | metas: 64 bytes a page              |
 *              +-------------------------------------+
 *  first * 4096| pages                               |  offset in the region
 *              +-------------------------------------+
 *
 * The pages of an extent are divided into runs. A run begins where heads has a bit; the meta of
 * its first page says what it is. Metas of other pages mean nothing, and are never looked at.
 *
 *   free    in the list bins[bin_of(len)]. Two free runs never lie side by side
 *   large   one block
 *   slab    blocks of one size class, with a bit each in free: 1 where the block is free. In
 *           the list classes[class] if and only if it has a free block; a slab that is empty is
 *           the last of its list, so there is one at most
 *
 * So what is allocated is said once, by bits; there is no count that could disagree. Figures are
 * counted when they are asked for.
 *
 *   meta     0  info   len << 32 | tag << 16 | class << 8 | kind
 *            8  link   next << 32 | prev: page numbers (offset in the region / 4096); lists are
 *                      rings, and their word names the first
 *           16  mark   the tx that last freed something in this run: see below
 *           24  free   classes 0..9: 4 words, and the tags stand in the slab's last bytes.
 *                      Others: 1 word, and behind it, at 32, the tags, a byte a block
 *
 * mark is stored without a log. A block whose run bears the mark of the tx under way may hold
 * what an abort needs again, so its contents are logged when it is allocated. A mark that is
 * equal by chance, tags of tx being few, costs that and nothing else.
 *
 * Who writes what: all but the constant words is written by the thread that is inside of the
 * section, through its tx; epoch, extents and pages with the rest. Not undone are: ticket, from
 * which epochs are drawn, so that none is used twice; mark; and the making of an extent, which
 * is one store in the directory. An extent that exists and is in no table is a spare: the next
 * who needs one in that slot takes it, by its name and id, so no memory is lost.
 *
 * Ordering: the section's lock orders those inside; what observers read they check, and the
 * section's version tells them whether it was whole. Threads that share a handle bring its spans up
 * to date under the region's mutex:
 *   P3 -> P4  sync_entered() has copied the table            is_fresh() sees of which epoch it is
 *
 * Invariants (tarn__arena_check() tests them):
 *   A1  the constant words are as the check words say
 *   A2  each entry of extents is 0 or an extent with the arena's id and that slot; pages is the
 *       sum of theirs
 *   A3  the runs of an extent follow one another from its first page to its last, and no other
 *       bit of heads is set
 *   A4  no two free runs are neighbours
 *   A5  each free run is once in the list of its bin, each slab with a free block once in that of
 *       its class, and nothing else is in a list
 *   A6  free has bits for blocks alone; an empty slab is the last of its list
 *
 * After a crash: the journal of the section undoes the stores of a tx that did not end. There
 * is nothing else to do.
 */
#ifndef TARN_ARENA_ARENA_H
#define TARN_ARENA_ARENA_H

#include <errno.h>
#include <string.h>

#include <tarn/arena.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/region.h"
#include "sync/section.h"

#define ARENA_MAGIC   0x6e657241u /* "Aren" */
#define EXTENT_MAGIC  0x6e747845u /* "Extn" */
#define ARENA_VERSION 1u

enum {
	PAGE = 4096,
	PAGE_SHIFT = 12,
	EXTENTS_MAX = 64,
	BINS = 64,
	CLASSES = TARN_ARENA_CLASSES,
	IN_SLAB_CLASSES = 10, /* the first ones: four words of bits, tags in the slab */
	POISON_BYTE = 0xdb,
	POISON_SIZE = 256,
	POISON_TAG = 255, /* of a free block: it was filled */
};

#define EPOCH_REMOVED UINT32_MAX
#define PAGES_MAX     (UINT32_C(1) << 28) /* 1 TiB */

/* kinds of runs: numbers that scribbling seldom makes */
enum { KIND_FREE = 0xf3, KIND_SLAB = 0x5b, KIND_LARGE = 0x1d };

struct meta_shm {
	uint64_t info;
	uint64_t link;
	uint32_t mark;
	uint32_t zero;
	uint64_t free[1];
	unsigned char tags[32]; /* classes 0..9: free[1] to free[3] */
};

struct extent_shm {
	uint32_t magic;
	uint32_t slot;
	uint64_t id;    /* the arena's */
	uint32_t first; /* page */
	uint32_t pages;
	uint32_t check; /* FNV-1a of the bytes before it */
	uint8_t pad[36];
	/* heads, metas, pages */
};

struct arena_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t flags;
	uint32_t zero;
	uint64_t id;      /* drawn at creation */
	uint64_t section; /* offset of the object */
	uint32_t max_pages;
	uint32_t check; /* FNV-1a of the bytes before it */
	uint8_t pad0[24];

	uint32_t epoch; /* another one whenever extents changes; EPOCH_REMOVED */
	uint32_t ticket;
	uint32_t pages;
	uint8_t pad1[52];

	uint64_t extents[EXTENTS_MAX]; /* offsets; 0: none */
	uint32_t bins[BINS];           /* pages; 0: empty */
	uint32_t classes[64];
	struct extent_shm first;
};

static_assert(offsetof(struct meta_shm, link) == 8, "layout");
static_assert(offsetof(struct meta_shm, mark) == 16, "layout");
static_assert(offsetof(struct meta_shm, free) == 24, "layout");
static_assert(offsetof(struct meta_shm, tags) == 32, "layout");
static_assert(sizeof(struct meta_shm) == 64, "layout");
static_assert(offsetof(struct extent_shm, slot) == 4, "layout");
static_assert(offsetof(struct extent_shm, id) == 8, "layout");
static_assert(offsetof(struct extent_shm, first) == 16, "layout");
static_assert(offsetof(struct extent_shm, pages) == 20, "layout");
static_assert(offsetof(struct extent_shm, check) == 24, "layout");
static_assert(sizeof(struct extent_shm) == 64, "layout");
static_assert(offsetof(struct arena_shm, version) == 4, "layout");
static_assert(offsetof(struct arena_shm, flags) == 8, "layout");
static_assert(offsetof(struct arena_shm, id) == 16, "layout");
static_assert(offsetof(struct arena_shm, section) == 24, "layout");
static_assert(offsetof(struct arena_shm, max_pages) == 32, "layout");
static_assert(offsetof(struct arena_shm, check) == 36, "layout");
static_assert(offsetof(struct arena_shm, epoch) == 64, "layout");
static_assert(offsetof(struct arena_shm, ticket) == 68, "layout");
static_assert(offsetof(struct arena_shm, pages) == 72, "layout");
static_assert(offsetof(struct arena_shm, extents) == 128, "layout");
static_assert(offsetof(struct arena_shm, bins) == 640, "layout");
static_assert(offsetof(struct arena_shm, classes) == 896, "layout");
static_assert(offsetof(struct arena_shm, first) == 1152, "layout");
static_assert(sizeof(struct arena_shm) == 1216, "layout");

/* An extent as this process knows it, checked. tarn_arena_at() reads it beside who changes it. */
struct span {
	_Atomic uint32_t pages; /* 0: none */
	_Atomic uint32_t first;
	uint64_t *heads; /* both tables, where they are mapped here */
	struct meta_shm *metas;
	uint64_t off; /* of the object */
	struct tarn__object object;
	bool held;
};

struct tarn_arena {
	struct arena_shm *shm;
	unsigned char *base;         /* the region's */
	struct section_shm *section; /* its own, whoever has it open */
	_Atomic uint32_t span_count;
	_Atomic uint32_t epoch; /* of which spans is the copy */
	_Atomic bool stale;     /* inherited over fork() */
	uint32_t flags;
	uint32_t max_pages;
	uint32_t easy_max; /* bytes of a block that may be had the short way: see blocks.c */
	uint64_t id;
	struct span spans[EXTENTS_MAX];
	struct tarn_section *own; /* for those who are not inside: stat, check */
	struct tarn_region *region;
	struct tarn__object object;
	struct tarn__forkable forkable;
	char name[TARN_OBJECT_NAME_MAX + 1];
};

/* --- words of the region: each loaded once --------------------------------------------------- */

static inline uint8_t load8(const uint8_t *byte)
{
	return __atomic_load_n(byte, __ATOMIC_RELAXED); /* relaxed: as load32() */
}

static inline uint32_t load32(const uint32_t *word)
{
	/* relaxed: under the section's lock; or by an observer, who checks */
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline uint64_t load64(const uint64_t *word)
{
#if UINTPTR_MAX > 0xffffffffu
	/* relaxed: as load32() */
	return __atomic_load_n(word, __ATOMIC_RELAXED);
#else
	const uint32_t *half = (const uint32_t *)(const void *)word;
	uint32_t pair[2] = { load32(&half[0]), load32(&half[1]) };
	uint64_t value;

	memcpy(&value, pair, sizeof(value));
	return value;
#endif
}

/* --- info and link --------------------------------------------------------------------------- */

static inline uint64_t info_of(uint32_t kind, uint32_t class, uint32_t tag, uint32_t len)
{
	return (uint64_t)len << 32 | tag << 16 | class << 8 | kind;
}

static inline uint32_t info_kind(uint64_t info)
{
	return info & 0xff;
}

static inline uint32_t info_class(uint64_t info)
{
	return (uint32_t)(info >> 8) & 0xff;
}

static inline uint32_t info_tag(uint64_t info)
{
	return info >> 16 & 0xff;
}

static inline uint32_t info_len(uint64_t info)
{
	return (uint32_t)(info >> 32);
}

static inline uint64_t link_of(uint32_t next, uint32_t prev)
{
	return (uint64_t)next << 32 | prev;
}

static inline uint32_t link_next(uint64_t link)
{
	return (uint32_t)(link >> 32);
}

static inline uint32_t link_prev(uint64_t link)
{
	return (uint32_t)link;
}

/* --- tx -------------------------------------------------------------------------------------- */

static inline struct tx *inner(struct tarn_tx *tx)
{
	return (struct tx *)tx;
}

/* The tx is bound to be undone, as after a store that was refused. */
static inline int tx_fail(struct tarn_tx *tx, int error)
{
	if (inner(tx)->error == 0)
		inner(tx)->error = error;
	inner(tx)->simple = false;
	tx->limit = 0;
	return inner(tx)->error;
}

/* What the stores of an operation came to: they need not be looked at one by one. */
static inline int tx_result(struct tarn_tx *tx)
{
	return TARN__LIKELY(tx->limit != 0) ? 0 : inner(tx)->error < 0 ? inner(tx)->error : -EPERM;
}

static inline uint32_t tx_room(struct tarn_tx *tx)
{
	uint32_t used = load32(tx->count);

	return used < tx->limit ? tx->limit - used : 0;
}

/* What runs bear in which this tx has freed something. */
static inline uint32_t mark_of(const struct tarn_tx *tx)
{
	return (uint32_t)(tx->mark & TAG_MASK) | 1;
}

/* --- pages ----------------------------------------------------------------------------------- */

static inline uint32_t span_pages(const struct span *span)
{
	/* relaxed: changed by a thread inside, which is us; others check again: at.c */
	return atomic_load_explicit(&span->pages, memory_order_relaxed);
}

static inline uint32_t span_first(const struct span *span)
{
	return atomic_load_explicit(&span->first, memory_order_relaxed); /* relaxed: as above */
}

static inline uint32_t span_count(const struct tarn_arena *arena)
{
	/* relaxed: those behind it have no pages, whoever sees it late */
	return atomic_load_explicit(&arena->span_count, memory_order_relaxed);
}

/* The span that has @page, from number @i on; NULL: none. */
static inline struct span *span_from(struct tarn_arena *arena, uint32_t i, uint32_t page)
{
	for (; i < span_count(arena); i++)
		if (page - span_first(&arena->spans[i]) < span_pages(&arena->spans[i]))
			return &arena->spans[i];
	return NULL;
}

/* The span that has @page; NULL: none. Most often there is but one. */
static inline struct span *span_at(struct tarn_arena *arena, uint32_t page)
{
	struct span *span = &arena->spans[0];

	if (TARN__LIKELY(page - span_first(span) < span_pages(span)))
		return span;
	return span_from(arena, 1, page);
}

/* Does a run begin at page number @at of @span? */
static inline bool is_head(const struct span *span, uint32_t at)
{
	return (load64(&span->heads[at / 64]) >> (at % 64) & 1) != 0;
}

/* A run, as its head said when it was looked at, checked: it ends in its extent. */
struct run {
	struct span *span;
	struct meta_shm *meta;
	uint32_t page;
	uint64_t info;
};

/* The run that begins at @page. False: there is none, or its info is nonsense. */
static inline bool run_at(struct tarn_arena *arena, uint32_t page, struct run *ret_run)
{
	struct span *span = span_at(arena, page);
	uint32_t at, len;

	if (TARN__UNLIKELY(span == NULL))
		return false;
	at = page - span_first(span);
	if (TARN__UNLIKELY(!is_head(span, at)))
		return false;
	ret_run->span = span;
	ret_run->page = page;
	ret_run->meta = &span->metas[at];
	ret_run->info = load64(&ret_run->meta->info);
	len = info_len(ret_run->info);
	return len != 0 && len <= span_pages(span) - at;
}

static inline uint32_t run_len(const struct run *run)
{
	return info_len(run->info);
}

static inline unsigned char *page_data(const struct tarn_arena *arena, uint32_t page)
{
	return arena->base + ((uint64_t)page << PAGE_SHIFT);
}

/* --- classes.c ------------------------------------------------------------------------------- */

struct size_class {
	uint16_t size;
	uint8_t pages;    /* of a slab */
	uint8_t slots;    /* in a slab */
	uint32_t inverse; /* 2^32 / size, rounded up: divides what is inside of a slab exactly */
	uint64_t info;    /* of each slab of the class */
	uint64_t full[4]; /* the bits of a slab all of whose blocks are free */
	uint64_t tags;    /* where they begin: bytes from the page, or from the meta */
	uint64_t pad;
};

extern const struct size_class tarn__classes[CLASSES];
#define SMALL_MAX 7168
/* The class of (size + 15) / 16, at multiples of 16; CLASSES: whole pages. */
extern const uint8_t tarn__class_index[SMALL_MAX / 16 + 1];
/* The class for @size bytes, not 0, at multiples of @align; CLASSES: whole pages. */
uint32_t tarn__class_of(uint64_t size, uint32_t align);

/* The words of bits of a slab: three of them lie where others have tags. */
static inline uint64_t *free_word(struct meta_shm *meta, uint64_t word)
{
	return (uint64_t *)(void *)((char *)meta + offsetof(struct meta_shm, free)) + word;
}

/* Those that the class has. */
static inline uint32_t words_of(uint32_t class)
{
	return class < IN_SLAB_CLASSES ? 4 : 1;
}

/* Those with bits for blocks; the others are 0. */
static inline uint32_t used_words(uint32_t class)
{
	return (tarn__classes[class].slots + 63u) / 64;
}

static inline uint64_t full_word(uint32_t class, uint32_t word)
{
	return tarn__classes[class].full[word];
}

/* The tag of block number @slot of a slab. */
static inline unsigned char *slab_tag(const struct tarn_arena *arena, struct meta_shm *meta,
				      uint32_t page, uint32_t class, uint64_t slot)
{
	unsigned char *from = (unsigned char *)meta;

	if (class < IN_SLAB_CLASSES)
		from = page_data(arena, page);
	return from + tarn__classes[class].tags + slot;
}

/* Where the tags of a slab begin. */
static inline unsigned char *slab_tags(const struct tarn_arena *arena, const struct run *slab,
				       uint32_t class)
{
	return slab_tag(arena, slab->meta, slab->page, class, 0);
}

/* --- runs.c: free runs, and lists of runs ---------------------------------------------------- */

uint32_t tarn__bin_of(uint32_t len);
/* Put @page in front of, or take it out of, the list whose word is @list and whose runs are of
 * @kind. Damage makes the tx fail. */
void tarn__list_add(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t *list, uint32_t kind,
		    uint32_t page);
void tarn__list_del(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t *list, uint32_t kind,
		    uint32_t page);
/* The last of a list; 0: it is empty, or damaged. */
uint32_t tarn__list_last(struct tarn_arena *arena, const uint32_t *list, uint32_t kind);
/* There is no room, and none could be made; -ETIMEDOUT: since another has the region's lock. */
static inline bool is_full(int r)
{
	return r == -ENOMEM || r == -ETIMEDOUT;
}

/* Find and take @len pages, growing the arena if need be; the caller says by info what they are.
 * @fresh: not from a run that this tx has freed something in, if that can be helped; if it
 * cannot, their contents are logged. 0; is_full(); or the tx has failed. */
int tarn__run_take(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t len, bool fresh,
		   uint32_t *ret_page);
/* Give the run back, which is in no list. */
void tarn__run_release(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *run);
/* The run that has @page in it. False: none. */
bool tarn__run_around(struct tarn_arena *arena, uint32_t page, struct run *ret_run);
void tarn__head_set(struct tarn_tx *tx, const struct span *span, uint32_t page, bool on);
/* Is there a free run of @len pages? 1, 0, -EUCLEAN. */
int tarn__run_look(struct tarn_arena *arena, uint32_t len);

/* --- blocks.c -------------------------------------------------------------------------------- */

/* What tarn_arena_alloc() and tarn_arena_free() do where it does not go easily. */
int tarn__arena_alloc(struct tarn_arena *arena, struct tarn_tx *tx, uint64_t size, uint32_t align,
		      uint32_t tag, tarn_ref *ret_ref);
int tarn__arena_free(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref);
/* Give back the empty slab of some class. 1, 0 (there is none), or the tx has failed. */
int tarn__slab_drop_empty(struct tarn_arena *arena, struct tarn_tx *tx);
bool tarn__slab_empty(const struct run *slab, uint32_t class);

/* --- arena.c --------------------------------------------------------------------------------- */

/* What stands in the way of using @tx here. */
int tarn__arena_begin_slowly(struct tarn_arena *arena, struct tarn_tx *tx);
/* Bring the spans up to date. 0, -ENOENT (removed), -EUCLEAN, or what joining anew returns. */
int tarn__arena_sync(struct tarn_arena *arena);
/* Fill @ret_arena for looking on, without holding anything: its geometry, and no spans. NULL, or
 * the field that is damaged. */
const char *tarn__arena_handle(struct tarn_region *region, const struct tarn__object *object,
			       struct tarn_arena *ret_arena);
uint32_t tarn__arena_header_check(const struct arena_shm *shm);
uint32_t tarn__extent_check(const struct extent_shm *shm);
/* Is this thread inside of the arena's section, by whatever handle? */
bool tarn__arena_inside(const struct tarn_arena *arena);

/* Are the spans up to date? */
static inline bool is_fresh(const struct tarn_arena *arena)
{
	/* P4 <- P3: the spans are as whoever of our threads copied them */
	return load32(&arena->shm->epoch) ==
		       atomic_load_explicit(&arena->epoch, memory_order_acquire) &&
	       /* relaxed: set in the child of a fork() before anything else runs there */
	       !atomic_load_explicit(&arena->stale, memory_order_relaxed);
}

/* If they are not, bring them there. */
static inline int tarn__arena_fresh(struct tarn_arena *arena)
{
	return TARN__LIKELY(is_fresh(arena)) ? 0 : tarn__arena_sync(arena);
}

/* Is @tx led by the arena's section? It has that one's journal, then, and no other has. */
static inline bool is_led(const struct tarn_arena *arena, const struct tarn_tx *tx)
{
	return tx != NULL && tx->journal == arena->section->journal;
}

static inline int arena_begin(struct tarn_arena *arena, struct tarn_tx *tx)
{
	if (TARN__LIKELY(is_led(arena, tx) && tx->limit != 0))
		return tarn__arena_fresh(arena);
	return tarn__arena_begin_slowly(arena, tx);
}

/* A copy of the handle for one who is not inside of the section, while others of its threads may be
 * and change the spans. It holds nothing; the section's version says whether it was of use. */
int tarn__arena_glance(struct tarn_arena *arena, struct tarn_arena *ret_copy);

/* --- at.c ------------------------------------------------------------------------------------ */

void tarn__arena_span_put(struct span *span, const struct span *from);

/* --- extents.c ------------------------------------------------------------------------------- */

#define EXTENT_NAME_SIZE (TARN_OBJECT_NAME_MAX + 1)

/* Bytes of an extent of @pages, wherever it comes to lie. */
uint64_t tarn__extent_size(uint64_t pages);
/* Write an extent of @pages, all free, at @at, which has tarn__extent_size() bytes. */
void tarn__extent_init(struct tarn_region *region, struct extent_shm *at, uint32_t slot,
		       uint64_t id, uint32_t pages);
/* The span of the extent whose header is at @off and which ends before @end. NULL, or the field
 * that is damaged. */
const char *tarn__extent_span(const struct tarn_region *region, uint64_t off, uint64_t end,
			      uint64_t id, uint32_t slot, struct span *ret_span);
void tarn__extent_name(const char *arena, uint32_t slot, char ret_name[EXTENT_NAME_SIZE]);
/* Grow by at least @pages. 0; is_full(); or the tx has failed. */
int tarn__arena_grow(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t pages);
/* Remove the extents of arena @id that are not in @table; NULL: all. Bytes that they had. */
/* All that have the names of what arena @name would grow by. */
void tarn__extents_remove_named(struct tarn_region *region, const char *name);
uint64_t tarn__extents_remove(struct tarn_region *region, uint64_t id,
			      const struct arena_shm *table);

/* --- walk.c ---------------------------------------------------------------------------------- */

/* Look at all of the arena while it is at rest: call @fn until it was. */
int tarn__arena_at_rest(struct tarn_arena *arena, int (*fn)(struct tarn_arena *arena, void *arg),
			void *arg);

/* --- arena_check.c --------------------------------------------------------------------------- */

/* All of these: the region's mutex is held. 0, -EUCLEAN, or 1: it is not at rest, so nothing is
 * known. */
int tarn__arena_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *name, tarn_report_fn *fn, void *arg);
/* After 1: the same from inside of its section, and 1 if that cannot be entered soon. Lets go of
 * the mutex meanwhile. */
int tarn__arena_check_inside(struct tarn_region *region, const struct tarn__object *object,
			     const char *name, tarn_report_fn *fn, void *arg);
/* After 1: report that, and what is with its section. */
void tarn__arena_tell_unseen(struct tarn_region *region, const struct tarn__object *object,
			     const char *name, tarn_report_fn *fn, void *arg);
/* Of an extent object: whose is it? */
int tarn__extent_check_owner(struct tarn_region *region, const struct tarn__object *object,
			     const char *name, tarn_report_fn *fn, void *arg);

#endif /* TARN_ARENA_ARENA_H */
