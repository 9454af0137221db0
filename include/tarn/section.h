/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/section.h - change shared structs under a lock that is rolled back when its owner dies.
 *
 * A section is an object of a region: a lock, and a journal beside it. One thread at a time is
 * inside. What it changes there it changes through logged stores, each of which saves the old
 * bytes in the journal first; together they are a tx. Leaving the section makes them all final
 * with one store. If the thread aborts, ends, or its process is killed at whatever instruction,
 * all of them are undone before the next one enters. So nobody ever sees half a change, and no
 * program has to think about the others' deaths.
 *
 *     r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);
 *     tarn_tx_set64(tx, &node->next, list->first);
 *     tarn_tx_set64(tx, &list->first, node_off);
 *     r = tarn_section_leave(section);
 *
 * A section guards what its users agree on, anywhere in the region's objects. What is stored
 * inside without a log is not undone.
 *
 * Several sections make one tx: a thread that is inside one may enter others of the same region,
 * in the order of their offsets (tarn_section_stat() tells it), and all changes become final when
 * it has left every one of them. Until then none of them can be entered by others.
 *
 * Readers need not enter: a version tells them whether what they read was whole. They leave no
 * trace, so a reader that dies is no concern of anybody; a region opened to look on will do.
 *
 * Callers:   any thread; threads of a process may share a handle. A tx is its thread's own. A
 *            child of fork() is inside no section, whatever its parent was inside of.
 * Progress:  enter, leave and logged stores make no system call, take no lock of the process and
 *            allocate nothing while nobody has to wait. Who waits spins a little, then sleeps;
 *            a live owner that is stopped is waited for until the deadline.
 * Crash:     killed anywhere, rolling back included, the section is free again and its changes
 *            are made whole or not at all, within a wake by the kernel, or 10 ms where it
 *            gives none (see region.h). A thread that ends inside aborts.
 * Memory:    384 bytes and the journal, 4096 if nothing else is asked for: 16 bytes a logged word,
 *            16 and its size for a range. Emptied by each tx, so it is to hold the largest one.
 * Trust:     members may spoil the data that a section guards. Damage to lock or journal is
 *            -EUCLEAN or -ENOTRECOVERABLE for this section; other objects go on.
 */
#ifndef TARN_SECTION_H
#define TARN_SECTION_H

#include <stdbool.h>

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_section; /* this process's handle */

/* One logged word; two words of the journal. */
struct tarn_tx_entry {
	uint64_t where; /* offset << 16 | a tag of the tx << 4 | the size's logarithm */
	uint64_t old;
};

/*
 * What a thread has under way. The fields are the library's own: they stand here so that logged
 * stores can be made in line, and are part of the binary interface.
 */
struct tarn_tx {
	unsigned char *heap; /* the first byte that may be changed */
	uint64_t span;       /* bytes that may be changed */
	uint64_t mark;       /* offset of heap << 16 | the tx's tag */
	struct tarn_tx_entry *journal;
	uint32_t *count; /* in the region: units of the journal that are to be undone */
	uint32_t limit;  /* of count; 0 where stores must not be made in line */
	uint32_t pad;
};

/* All zero means: the default of each. */
struct tarn_section_opts {
	uint64_t journal_size; /* bytes, 64 .. 2^30, rounded up to 16s; 0 = 4096. A logged word
	                          takes 16, a range 16 and its size rounded up to 16s */
	uint32_t flags;        /* zero */
	uint32_t pad;          /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/* The region's own section: one for all who want no more than one. A section like any other, made
 * by whoever first opens it with options; in the directory, and for tarn_section_remove() and
 * tarn_section_recover(), it has this name. */
#define TARN_SECTION_REGION "tarn.region"

#define TARN_SECTION_WAITERS 8

/* A thread that is inside, or waits. */
struct tarn_section_who {
	int32_t pid; /* in its PID namespace, for the eye */
	int32_t tid;
	uint32_t slot; /* of its member */
	bool alive;
};

struct tarn_section_stat {
	uint64_t off;          /* of the object: the order in which sections are entered */
	uint64_t journal_size; /* bytes */
	uint64_t journal_used; /* of them, by the tx under way */
	uint32_t version;      /* odd while somebody is inside, or what a dead one left waits to be
	                          undone; two more a pass */
	uint32_t wait_count;   /* of those who slept; modulo 2^32, as the next two */
	uint32_t abort_count;
	uint32_t recover_count; /* changes of the dead that were undone */
	bool held;
	bool set_aside; /* it could not be rolled back: tarn_section_recover() */
	bool damaged;   /* its lock word names nobody, or contradicts its version: the same */
	struct tarn_section_who owner;
	int64_t since_ns;      /* CLOCK_MONOTONIC: seen with this owner at least since; 0 unknown */
	uint32_t waiter_count; /* that there was room to write down */
	struct tarn_section_who waiters[TARN_SECTION_WAITERS];
};

/**
 * tarn_section_open - open section @name of @region.
 * @name:        NULL: the region's own, TARN_SECTION_REGION
 * @opts:        the section is created with it if it is absent. NULL: it must exist.
 * @ret_section: handle on success, untouched on failure; tarn_section_close() it
 * Where the region was opened to look on, the handle serves for reading and tarn_section_stat().
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such section
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists with another journal size than @opts asks; diag has both
 *   -EPROTO   the object is no section, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_open(struct tarn_region *region, const char *name,
					      const struct tarn_section_opts *opts,
					      struct tarn_section **ret_section);

/**
 * tarn_section_close - give the handle up. Accepts NULL. If the calling thread is inside, its tx is
 * aborted; so it is where the thread has left this section, and not yet the last one of the tx. No
 * other thread may be inside. The section stays.
 * Since: 0.1
 */
TARN_API void tarn_section_close(struct tarn_section *section);

/**
 * tarn_section_remove - remove section @name. What a dead owner left half-changed, in this or other
 * sections of @region, is undone first. Those who have it open keep it.
 * Return: 0, -ENOENT, -EINVAL, -EPROTO (no section), -EPERM (region opened to look on), -EUCLEAN,
 *   -ENOTRECOVERABLE (it is set aside: recover it first, or remove it with tarn_object_remove()).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_remove(struct tarn_region *region, const char *name,
						struct tarn_diag *diag);

/**
 * tarn_section_enter - wait until nobody is inside, and be inside.
 * @ret_tx: what logged stores take; the same for every section that this thread is inside of in
 *          this region. Valid until the last of them is left, or one is aborted.
 * @diag:   who is inside and for how long, where that is the reason; may be NULL
 *
 * Waits can close a circle over several regions only. It is found where each of its sections has
 * no more than TARN_SECTION_WAITERS waiting threads that are inside of something themselves, and
 * where those who wait for one another are 32 at most; beyond that it lasts until enough of them
 * have given up. Who enters sections of several regions sets a deadline, or keeps an order.
 *
 * Return: 0, or
 *   -ETIMEDOUT  @deadline has passed; the owner lives (it may be stopped)
 *   -EDEADLK    this thread is inside already; or inside one that comes later in the order of
 *               offsets; or it would wait for a thread that waits for it
 *   -ENOTRECOVERABLE  set aside: what a dead owner left could not be undone
 *   -EUCLEAN    the lock word names nobody who could have it; or, in a child of fork() that has not
 *               entered yet, the section was removed meanwhile
 *   -EPERM      the region was opened to look on
 *   -EIO        the file was truncated
 *   -ENOMEM     a thread's first enter
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_enter(struct tarn_section *section, int64_t deadline,
					       struct tarn_tx **ret_tx, struct tarn_diag *diag);

/**
 * tarn_section_try - the same without waiting, and in any order of sections.
 * Return: -EAGAIN while a live thread is inside, or as tarn_section_enter().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_try(struct tarn_section *section, struct tarn_tx **ret_tx,
					     struct tarn_diag *diag);

/**
 * tarn_section_leave - leave. When it is the last section of the tx, every change becomes final
 * with one store, and others may enter.
 * Return: 0, or
 *   -EPERM  this thread is not inside; nothing happened
 *   otherwise the error of the first logged store that was refused: the tx was undone, whole,
 *   and all of its sections are left. So the results of stores need not be looked at one by one.
 *   -ENOTRECOVERABLE: undoing it failed a check, and the section is set aside
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_leave(struct tarn_section *section);

/**
 * tarn_section_abort - undo all changes of the tx and leave all of its sections.
 * Return: 0, -EPERM (this thread is not inside), -ENOTRECOVERABLE as tarn_section_leave().
 * Since: 0.1
 */
TARN_API int tarn_section_abort(struct tarn_section *section);

/**
 * tarn_tx_store - store @value, of @size 1, 2, 4 or 8 bytes, at @word, which is aligned to its
 * size and lies in the region's objects; the old value is saved first.
 * What tarn_tx_set8() to tarn_tx_set64() do, for bindings and where they cannot do it in line.
 * Those do not look whether @word lies in the first section of the tx itself, as this does: never
 * store there. Such a store may return 0, and if the tx is then undone, that fails and the section
 * is set aside.
 *
 * Return: 0, or, with nothing stored, and the tx bound to be undone when it is left,
 *   -ENOSPC  the journal is full
 *   -EINVAL  @word is unaligned or outside, or in the first section of the tx, whose journal it
 *            has; or @size is none of these
 *   -EPERM   @tx is NULL or over
 *   -EUCLEAN the section's version contradicts its lock
 *   or the error of an earlier store of this tx
 * Since: 0.1
 */
TARN_API int tarn_tx_store(struct tarn_tx *tx, void *word, uint64_t value, size_t size);

/**
 * tarn_tx_write - copy @size bytes from @from to @to, of any alignment, the old ones saved first.
 * The two do not overlap.
 * Return: as tarn_tx_store().
 * Since: 0.1
 */
TARN_API int tarn_tx_write(struct tarn_tx *tx, void *to, const void *from, size_t size);

/**
 * tarn_tx_log - save the @size bytes at @at; then store there as you like until the tx ends.
 * Return: as tarn_tx_store(). On failure store nothing there.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_tx_log(struct tarn_tx *tx, void *at, size_t size);

/**
 * tarn_tx_text - store @text, its bytes up to its NUL and, where there is room for it, that too, in
 * the @size bytes at @to; the old ones are saved first. What TARN_SET_TEXT of <tarn/set.h> does.
 * Return: as tarn_tx_store(); -EMSGSIZE: it is longer than @size.
 * Since: 0.1
 */
TARN_API int tarn_tx_text(struct tarn_tx *tx, char *to, size_t size, const char *text);

/* The unit of the journal for @word; or what is not below tx->limit, and then tarn_tx_store() is to
 * do it. count is in the region: it is loaded once and checked, as is all that comes from there. */
static inline uint32_t tarn__tx_unit(const struct tarn_tx *tx, const void *word, uint64_t size)
{
	uint64_t off = (uint64_t)((uintptr_t)word - (uintptr_t)tx->heap);

	if (__builtin_expect(off >= tx->span || (off & (size - 1)) != 0, 0))
		return UINT32_MAX;
	return __atomic_load_n(tx->count, __ATOMIC_RELAXED);
}

static inline void tarn__tx_log(struct tarn_tx *tx, uint32_t unit, const void *word,
				uint64_t logarithm, uint64_t old)
{
	uint64_t off = (uint64_t)((uintptr_t)word - (uintptr_t)tx->heap);
	struct tarn_tx_entry *entry = &tx->journal[unit];
	uint32_t *count = tx->count;

	entry->where = (off << 16) + tx->mark + logarithm;
	entry->old = old;
	/* release: the entry before its count, the count before the store that it undoes */
	__atomic_store_n(count, unit + 1, __ATOMIC_RELEASE);
}

/* Words as they are stored, whatever the fields are that they stand in. */
typedef uint8_t __attribute__((__may_alias__)) tarn__word8;
typedef uint16_t __attribute__((__may_alias__)) tarn__word16;
typedef uint32_t __attribute__((__may_alias__)) tarn__word32;
typedef uint64_t __attribute__((__may_alias__)) tarn__word64;

static inline int tarn__tx_put8(struct tarn_tx *tx, void *word, uint8_t value)
{
	uint32_t unit = tx != NULL ? tarn__tx_unit(tx, word, sizeof(value)) : UINT32_MAX;

	if (__builtin_expect(tx == NULL || unit >= tx->limit, 0))
		return tarn_tx_store(tx, word, value, sizeof(value));
	tarn__tx_log(tx, unit, word, 0, *(tarn__word8 *)word);
	__atomic_store_n((tarn__word8 *)word, value, __ATOMIC_RELEASE);
	return 0;
}

static inline int tarn__tx_put16(struct tarn_tx *tx, void *word, uint16_t value)
{
	uint32_t unit = tx != NULL ? tarn__tx_unit(tx, word, sizeof(value)) : UINT32_MAX;

	if (__builtin_expect(tx == NULL || unit >= tx->limit, 0))
		return tarn_tx_store(tx, word, value, sizeof(value));
	tarn__tx_log(tx, unit, word, 1, *(tarn__word16 *)word);
	__atomic_store_n((tarn__word16 *)word, value, __ATOMIC_RELEASE);
	return 0;
}

static inline int tarn__tx_put32(struct tarn_tx *tx, void *word, uint32_t value)
{
	uint32_t unit = tx != NULL ? tarn__tx_unit(tx, word, sizeof(value)) : UINT32_MAX;

	if (__builtin_expect(tx == NULL || unit >= tx->limit, 0))
		return tarn_tx_store(tx, word, value, sizeof(value));
	tarn__tx_log(tx, unit, word, 2, *(tarn__word32 *)word);
	__atomic_store_n((tarn__word32 *)word, value, __ATOMIC_RELEASE);
	return 0;
}

static inline int tarn__tx_put64(struct tarn_tx *tx, void *word, uint64_t value)
{
#if UINTPTR_MAX > 0xffffffffu
	uint32_t unit = tx != NULL ? tarn__tx_unit(tx, word, sizeof(value)) : UINT32_MAX;

	if (__builtin_expect(tx != NULL && unit < tx->limit, 1)) {
		tarn__tx_log(tx, unit, word, 3, *(tarn__word64 *)word);
		__atomic_store_n((tarn__word64 *)word, value, __ATOMIC_RELEASE);
		return 0;
	}
#endif
	return tarn_tx_store(tx, word, value, sizeof(value));
}

/** tarn_tx_set8 - a logged store of one byte. Return: as tarn_tx_store(). Since: 0.1 */
static inline int tarn_tx_set8(struct tarn_tx *tx, uint8_t *word, uint8_t value)
{
	return tarn__tx_put8(tx, word, value);
}

/** tarn_tx_set16 - a logged store of 16 bits. Return: as tarn_tx_store(). Since: 0.1 */
static inline int tarn_tx_set16(struct tarn_tx *tx, uint16_t *word, uint16_t value)
{
	return tarn__tx_put16(tx, word, value);
}

/** tarn_tx_set32 - a logged store of 32 bits. Return: as tarn_tx_store(). Since: 0.1 */
static inline int tarn_tx_set32(struct tarn_tx *tx, uint32_t *word, uint32_t value)
{
	return tarn__tx_put32(tx, word, value);
}

/** tarn_tx_set64 - a logged store of 64 bits. Return: as tarn_tx_store(). Since: 0.1 */
static inline int tarn_tx_set64(struct tarn_tx *tx, uint64_t *word, uint64_t value)
{
	return tarn__tx_put64(tx, word, value);
}

/**
 * tarn_section_read_begin - the version, before reading without entering.
 * Return: 0, or
 *   -EAGAIN     somebody is inside
 *   -EOWNERDEAD whoever was inside has died; the next member to enter will undo that
 *   -ENOTRECOVERABLE  set aside
 *   -EUCLEAN    the lock word names nobody who could have it
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_read_begin(struct tarn_section *section,
						    uint32_t *ret_version);

/**
 * tarn_section_load - copy @size bytes at @from, which may be any address, out of the region.
 * @ret_to: what was there at some time since the version was read: no more is known until
 *          tarn_section_read_valid() says so. Use nothing of it before, other than to follow it,
 *          with this call, to what it refers to.
 * Return: 0, -EINVAL (not inside the region's objects; @ret_to is untouched).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_load(struct tarn_section *section, void *ret_to,
					      const void *from, size_t size);

/**
 * tarn_section_read_valid - was all that was loaded since tarn_section_read_begin() there at once?
 * Since: 0.1
 */
TARN_API bool tarn_section_read_valid(struct tarn_section *section, uint32_t version);

/**
 * tarn_section_read - copy @size bytes at @from, all of one moment. Tries without entering; a
 * member that keeps failing enters.
 * Return: 0, -EINVAL (not inside the region's objects), or as tarn_section_enter(); in a region
 *   opened to look on -ETIMEDOUT or as tarn_section_read_begin(); -EOWNERDEAD also before
 *   @deadline, since it may be that nobody comes who undoes it. After an error other than
 *   -EINVAL @ret_to may hold anything.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_read(struct tarn_section *section, void *ret_to,
					      const void *from, size_t size, int64_t deadline);

/** tarn_section_stat - facts, see the struct. Return: 0, -EIO. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_section_stat(struct tarn_section *section,
					      struct tarn_section_stat *ret_stat);

#define TARN_SECTION_FORCE (1u << 0) /* recover: give up what cannot be undone */

/**
 * tarn_section_recover - roll back what a dead owner of section @name left, or mend one that is
 * set aside.
 * @name:  NULL: every section of the region; and primitives (tarn/mutex.h, and so on), which have
 *         no journal: one that was set aside is freed, and the next one is told -EOWNERDEAD;
 *         permits and read locks of the dead are given back
 * @flags: TARN_SECTION_FORCE: undo the entries of the journal that can be undone, drop the
 *         others, and free the section; what it guards may be inconsistent
 * @diag:  which check failed
 * Return: 0 (also where there was nothing to do), -ENOENT, -EINVAL, -EPROTO (neither), -EPERM
 *   (region opened to look on), -EBUSY (its owner lives), -ENOTRECOVERABLE, -EUCLEAN (its header
 *   is damaged).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_section_recover(struct tarn_region *region, const char *name,
						 uint32_t flags, struct tarn_diag *diag);

TARN_END_DECLS

#endif /* TARN_SECTION_H */
