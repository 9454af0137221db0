/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/arena.h - memory for shared structs: allocated and freed inside a tx, and undone with it.
 *
 * An arena is an object of a region, bound to one section. Whoever is inside of that section
 * allocates blocks, links them into structs with logged stores, and frees them. If the tx is
 * aborted, or its owner is killed at whatever instruction, what it allocated is free again and
 * what it freed is there again, to the byte. Several arenas, each under a section of its own,
 * do not get into each other's way.
 *
 *     r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);
 *     r = tarn_arena_alloc(arena, tx, sizeof(*node), 0, 0, &ref);
 *     node = tarn_arena_at(arena, ref, sizeof(*node));
 *     tarn_tx_set64(tx, &node->next, list->first);
 *     tarn_tx_set64(tx, &list->first, ref);
 *     r = tarn_section_leave(section);
 *
 * A block is named by its ref, an offset that is the same in every process; 0 is none. Pointers
 * never stand in shared memory. tarn_arena_at() makes one from a ref, and refuses a ref that
 * does not lie in the arena, so that a torn or forged one is an error and not an address.
 *
 * What is in a new block is undefined, and may be stored over without a log: the arena sees to
 * it that an abort needs nothing that was there. What is in a block that the tx found is changed
 * by logged stores.
 *
 * An arena grows, up to max_size, by memory that it asks of the region, which grows itself up to
 * its own max_size. What it grew by is not undone with the tx: it is the arena's, and is found
 * again by whoever needs it next. tarn_arena_trim() gives it back.
 *
 * Callers:   alloc, free, realloc and grow: the thread that is inside of the arena's section, with
 *            its tx. Everything else: any thread; also in a region opened to look on.
 * Progress:  a block of up to 7168 bytes costs one or two logged stores, now and then (a page is
 *            begun or given back) up to TARN_ARENA_UNITS. No system call, except to grow.
 * Crash:     killed anywhere, each block is allocated or free as the last tx that was made final
 *            left it, and no byte is lost.
 * Memory:    1216 bytes, and 64 bytes and a bit for each page of 4096. A block has no header; of up
 *            to 160 bytes it has a byte beside it in its page.
 * Trust:     members may spoil the arena. Damage found is -EUCLEAN and the tx is bound to be
 *            undone; no call reads or writes outside of the arena, or goes on for ever.
 */
#ifndef TARN_ARENA_H
#define TARN_ARENA_H

#include <stdbool.h>

#include <tarn/base.h>
#include <tarn/region.h>
#include <tarn/section.h>

TARN_BEGIN_DECLS

struct tarn_arena; /* this process's handle */

typedef uint64_t tarn_ref; /* bytes from the region's first one; 0 = none */

#define TARN_ARENA_NAME_MAX 60  /* bytes: what it grows by is named NAME.1 to NAME.63 */
#define TARN_ARENA_TAGS     255 /* owner tags are 0 .. 254 */
#define TARN_ARENA_CLASSES  48
/* Units of the journal: the most that one alloc, free or realloc takes. Not counted: contents that
 * the tx may need again, and what a full arena does to find room before it says there is none. */
#define TARN_ARENA_UNITS 48

/* Flags of struct tarn_arena_opts. */

/* create: free fills the first 256 bytes of a block with 0xdb, logged, and alloc looks whether they
 * still say so */
#define TARN_ARENA_POISON (1u << 0)

/* All zero means: the default of each. */
struct tarn_arena_opts {
	struct tarn_section
		*section;  /* create: whose tx changes the arena. Else NULL or that one */
	uint64_t size;     /* bytes for blocks, rounded up to 4096s; 0 = 64 KiB */
	uint64_t max_size; /* by growth; 0 = size */
	uint32_t flags;
	uint32_t pad; /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_arena_open - open arena @name of @region.
 * @opts:      the arena is created with it if it is absent. NULL: it must exist.
 * @ret_arena: handle on success, untouched on failure; tarn_arena_close() it
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such arena
 *   -EINVAL   name or @opts out of range; to create, a section of this region is needed
 *   -EEXIST   it exists under another section, or with another max_size or other flags
 *   -EPROTO   the object is no arena, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged, or its section is gone
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_open(struct tarn_region *region, const char *name,
					    const struct tarn_arena_opts *opts,
					    struct tarn_arena **ret_arena);

/** tarn_arena_close - give the handle up. Accepts NULL. The arena stays. Since: 0.1 */
TARN_API void tarn_arena_close(struct tarn_arena *arena);

/**
 * tarn_arena_remove - remove arena @name with all that it grew by, when nobody is inside of its
 * section; so the calling thread may not be. Those who have it open get -ENOENT from then on, and
 * its memory is reused when they have closed it. Killed on the way, the next open or remove under
 * this name goes on.
 * One that is damaged, or whose section is gone, is removed without entering.
 * Return: 0, -ENOENT, -EINVAL, -EPROTO (no arena), -EPERM (region opened to look on), -EDEADLK, or
 *   what entering the section returns.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_remove(struct tarn_region *region, const char *name,
					      int64_t deadline, struct tarn_diag *diag);

/**
 * tarn_arena_alloc - allocate a block of at least @size bytes.
 * @align: of its ref and of its address: a power of two up to 4096; 0 = 16
 * @tag:   0 .. 254, for tarn_arena_stat(): whose it is
 *
 * Return: 0, or
 *   -ENOMEM   the arena is full, and cannot grow; nothing was changed, the tx goes on
 *   -ETIMEDOUT  the arena is full, and could not grow, for a live member, stopped perhaps, has
 *             kept the region's directory for 2 s; nothing was changed, the tx goes on
 *   -EINVAL   @size is 0 or beyond max_size, @align or @tag out of range; nothing was changed
 *   -EPERM    @tx is over, or not inside of the arena's section; nothing was changed
 *   -ENOENT   the arena was removed
 *   -ENOSPC   the journal is full; -EUCLEAN the arena is damaged, or a poisoned block was written
 *             to: the tx is bound to be undone
 *   or the error of an earlier store of this tx
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_alloc(struct tarn_arena *arena, struct tarn_tx *tx,
					     uint64_t size, uint32_t align, uint32_t tag,
					     tarn_ref *ret_ref);

/**
 * tarn_arena_free - free the block at @ref; 0 is well, and nothing.
 *
 * Return: 0, or
 *   -EINVAL   no block that is allocated begins at @ref; nothing was changed, the tx goes on
 *   or as tarn_arena_alloc()
 * Since: 0.1
 */
TARN_API int tarn_arena_free(struct tarn_arena *arena, struct tarn_tx *tx, tarn_ref ref);

/**
 * tarn_arena_realloc - make the block at @ref one of at least @size bytes, in place or by a copy;
 * its tag stays. @ref 0 allocates, with tag 0.
 * @ret_ref: where it is now; may be the address of the variable that holds @ref
 * Return: as tarn_arena_alloc() and tarn_arena_free().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_realloc(struct tarn_arena *arena, struct tarn_tx *tx,
					       tarn_ref ref, uint64_t size, uint32_t align,
					       tarn_ref *ret_ref);

/**
 * tarn_arena_usable_size - the bytes of the block at @ref: what was asked for, or a little more.
 * Return: 0, -EINVAL (no block that is allocated begins there), -ENOENT, -EUCLEAN.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_usable_size(struct tarn_arena *arena, tarn_ref ref,
						   uint64_t *ret_size);

/**
 * tarn_arena_at - the address of @size bytes at @ref, in this process.
 * Return: NULL where they do not lie in one piece of the arena's memory; 0 does not. Whether they
 *   are allocated is not asked: that is for whoever keeps refs. Readers that did not enter go on
 *   with tarn_section_load().
 * Since: 0.1
 */
TARN_API void *tarn_arena_at(struct tarn_arena *arena, tarn_ref ref, size_t size);

/** tarn_arena_ref - the ref of an address in the arena; 0 for any other. Since: 0.1 */
TARN_API tarn_ref tarn_arena_ref(struct tarn_arena *arena, const void *at);

/**
 * tarn_arena_grow - make room for a block of @size bytes now, so that no alloc has to wait for the
 * system. The room stays the arena's if the tx is undone.
 * Return: 0 (also where there is a hole that large), -EINVAL (beyond max_size), -ENOMEM,
 *   -ETIMEDOUT, or as tarn_arena_alloc().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_grow(struct tarn_arena *arena, struct tarn_tx *tx,
					    uint64_t size);

/**
 * tarn_arena_trim - give back to the region what the arena grew by and no block is in. Enters
 * @section, the arena's, some times; the calling thread may not be inside.
 * @ret_size: bytes given back; may be NULL
 * Return: 0, -EINVAL (another section), -EDEADLK (inside), or as tarn_section_enter() and
 *   tarn_section_leave().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_trim(struct tarn_arena *arena, struct tarn_section *section,
					    int64_t deadline, uint64_t *ret_size);

/* One size of blocks. */
struct tarn_arena_class {
	uint32_t size;  /* bytes of each block */
	uint32_t slabs; /* runs of pages that are cut up into this size */
	uint64_t used;  /* blocks allocated */
	uint64_t free;  /* blocks that these slabs still have */
};

struct tarn_arena_tag {
	uint64_t used;       /* blocks */
	uint64_t used_bytes; /* of them, as tarn_arena_usable_size() */
};

struct tarn_arena_stat {
	uint64_t size;     /* bytes for blocks now */
	uint64_t max_size; /* by growth */
	uint64_t overhead; /* bytes beside them: tables, and what aligning takes */
	uint64_t used;     /* bytes of allocated blocks */
	uint64_t free;     /* bytes that blocks can have: free pages, and free blocks of slabs */
	uint64_t largest;  /* bytes of the largest block that needs no growth */
	uint64_t used_count;
	uint64_t large_count;   /* of them, those of whole pages */
	uint32_t free_runs;     /* runs of free pages */
	uint32_t fragmentation; /* of the free pages, in thousandths, those outside of the largest
	                           run */
	uint32_t extents;       /* pieces that it consists of; 1: it has not grown */
	uint32_t flags;
	uint64_t section; /* offset of its section, as in struct tarn_section_stat */
	struct tarn_arena_class classes[TARN_ARENA_CLASSES];
	struct tarn_arena_tag tags[TARN_ARENA_TAGS];
};

/**
 * tarn_arena_stat - count. Goes through all pages, some nanoseconds each. Where this thread is
 * not inside of the section, it reads without entering if it can, and enters if it must.
 * Return: 0, -ENOENT (removed), -EUCLEAN, -EAGAIN (to an observer: it changed all the time), or
 *   what entering returns.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_stat(struct tarn_arena *arena,
					    struct tarn_arena_stat *ret_stat);

struct tarn_block {
	tarn_ref ref;
	uint64_t size; /* usable bytes */
	uint32_t tag;
	uint32_t pad;
};

/**
 * tarn_arena_walk - call @fn for each allocated block, in order of place, until it returns
 * non-zero. Whoever is inside sees exactly what is there; others what there was at some time.
 * Return: 0, -EAGAIN (it changed meanwhile), -ENOENT, -EUCLEAN, what @fn returned, or, where a dead
 *   owner's changes are to be undone first, what entering returns.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_walk(struct tarn_arena *arena,
					    int (*fn)(const struct tarn_block *block, void *arg),
					    void *arg);

/**
 * tarn_arena_check - test every invariant of the arena; changes nothing. tarn_region_check() does
 * so for each arena of the region.
 * @fn: called for each violation; may be NULL
 * Return: 0 all hold, -EUCLEAN otherwise, or as tarn_arena_stat().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_arena_check(struct tarn_arena *arena, tarn_report_fn *fn,
					     void *arg);

TARN_END_DECLS

#endif /* TARN_ARENA_H */
