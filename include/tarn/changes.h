/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/changes.h - listen to what sections change: a log of each tx, a map of dirty pages.
 *
 * A change log belongs to one section. Whoever leaves the section writes into it what the tx has
 * changed, new bytes and all, in the order of the versions, and it becomes visible with the
 * commit: what was aborted or undone never appears, what was committed does, whoever dies. Any
 * number of readers follow it, by a mapping to look on, too; they are never waited for. One that
 * falls behind by more than the log holds is told so.
 *
 *     r = tarn_changes_open(region, "log", &opts, &changes);  opts.section = section
 *     copy what the section guards, with its version: tarn_section_read_begin() and so on
 *     while ((r = tarn_changes_wait(changes, TARN_FOREVER)) == 0)
 *         while ((r = tarn_changes_next(changes, &tx)) == 0)
 *             if ((int32_t)(tx.version - version) > 0)
 *                 while (tarn_changes_each(changes, &change))
 *                     memcpy(copy + change.off, change.data, change.size);
 *     on -EOVERFLOW: copy again, and go on
 *
 * The dirty map belongs to a region. Whoever ends a tx, by a commit or by undoing it, marks the
 * pages that the tx has changed, after its stores; so who takes a mark away and then copies the
 * page has either all of that tx's stores, or will find the mark again. Copying so, until few
 * marks are left, and the last ones while nobody is inside, is how a snapshot is made beside
 * writers.
 *
 * Both tell of changes that a tx has made through logged stores and in new blocks of an arena.
 * What is stored otherwise, the words of sections and journals, and objects that come and go are
 * not told of. A tx over several sections is in the log of each of them, whole; blocks that it
 * has allocated before it entered a section that has a log are in that log only as far as logged
 * stores have changed them.
 *
 * Both are objects of the region; tarn_object_remove() ends them, at any time: whoever leaves a
 * section next sees that, and their memory is free when all who wrote to them have seen it or have
 * closed the section. A section without listeners pays one comparison, in a cache line that it
 * has anyway.
 *
 * Callers:   a handle is one thread's at a time. Of handles on the dirty map only one should take
 *            marks, or each gets a part of them.
 * Progress:  tarn_changes_open() with a section, and tarn_dirty_open(), wait for who is inside.
 *            Nobody else waits for listeners, and there is no system call but to wake readers
 *            that sleep.
 * Crash:     killed anywhere, the log says exactly what was committed, and the map has every page
 *            that was changed. A reader that dies leaves nothing. A reader asleep beside a
 *            writer that dies before it wakes it looks again after 10 ms.
 *            A tx whose owner died between its commit and showing it is seen when somebody
 *            enters the section next, or recovers it.
 * Trust:     members may spoil either: -EUCLEAN, or wrong bytes inside the region's bounds.
 */
#ifndef TARN_CHANGES_H
#define TARN_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/base.h>
#include <tarn/region.h>
#include <tarn/section.h>

TARN_BEGIN_DECLS

struct tarn_changes; /* this process's handle on a change log, with a position in it */
struct tarn_dirty;   /* this process's handle on a dirty map */

/* All zero means: the default of each. */
struct tarn_changes_opts {
	uint64_t size; /* bytes of the ring, 1024 .. 2^30, rounded up to a power of two; 0 = 65536.
	                  A tx takes 32, each store 24 or 16 and its size rounded up to 8s */
	struct tarn_section *section; /* whose changes; of the same region */
	int64_t deadline; /* until when to wait for who is inside of it; 0 = TARN_FOREVER */
	uint32_t flags;   /* zero */
	uint32_t pad;     /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/* A committed tx. */
struct tarn_changes_tx {
	uint32_t version; /* what the section's version became with it */
	uint32_t count;   /* of its changes */
};

/* Bytes that it has changed. The same may come more than once, with the same contents. */
struct tarn_change {
	uint64_t off;     /* in the region */
	uint64_t size;    /* bytes */
	const void *data; /* as they are with that version; until the next call but each */
};

struct tarn_changes_stat {
	char section[TARN_OBJECT_NAME_MAX + 1]; /* whose; empty: it is gone */
	bool attached;                          /* what is committed there is logged here */
	uint64_t size;                          /* bytes of the ring */
	uint64_t logged;                        /* bytes that were ever logged */
	uint64_t position;      /* of them, those this handle has read or given up */
	uint64_t overrun_count; /* how often this handle was told -EOVERFLOW */
	uint32_t tx_count;      /* that were ever logged; modulo 2^32, as the next */
	uint32_t lost_count;    /* that were too large for the log, and other gaps */
};

/**
 * tarn_changes_open - open change log @name of @region; its position is behind what was committed
 * before.
 * @opts: with a section, the log is created if it is absent, and bound to the section if it is
 *        not, after waiting for who is inside. NULL, or no section: it must exist.
 * Read what the section guards after this call, and take what comes with a later version.
 *
 * Return: 0, or
 *   -ENOENT   there is none, and no section to make it for
 *   -EINVAL   name or @opts out of range; the section is another region's
 *   -EEXIST   the section has another log; or @name is another section's, or has another size than
 *             asked; diag says which
 *   -EPROTO   the object is no change log, or of another version
 *   -EDEADLK  this thread is inside a section
 *   -EPERM    the region was opened to look on, and @opts has a section
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 *   and what tarn_section_enter() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_changes_open(struct tarn_region *region, const char *name,
					      const struct tarn_changes_opts *opts,
					      struct tarn_changes **ret_changes);

/** tarn_changes_close - give the handle up. Accepts NULL. The log stays. Since: 0.1 */
TARN_API void tarn_changes_close(struct tarn_changes *changes);

/**
 * tarn_changes_next - read the next tx.
 * @ret_tx: what it is; tarn_changes_each() gives its changes
 *
 * Return: 0, or
 *   -EAGAIN     nothing was committed since
 *   -EOVERFLOW  txs were overwritten before they were read, or one was too large for the log.
 *               The position is now behind all that was committed: read what the section
 *               guards anew, and take what comes with a later version
 *   -ENODATA    the log or its section was removed, or the section has another log
 *   -EUCLEAN    what was read is damaged; the position is as after -EOVERFLOW
 *   -EIO        the file was truncated
 *   -ENOMEM     no memory for a copy; the position is as before
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_changes_next(struct tarn_changes *changes,
					      struct tarn_changes_tx *ret_tx);

/**
 * tarn_changes_each - the next change of the tx that was read last.
 * Return: true, or false when there are no more; @ret_change is untouched then.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD bool tarn_changes_each(struct tarn_changes *changes,
					       struct tarn_change *ret_change);

/**
 * tarn_changes_wait - wait until tarn_changes_next() has something to say.
 * Return: 0, -ETIMEDOUT (@deadline has passed), -ENODATA and -EIO as tarn_changes_next().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_changes_wait(struct tarn_changes *changes, int64_t deadline);

/** tarn_changes_stat - facts, see the struct. Return: 0, -EIO. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_changes_stat(struct tarn_changes *changes,
					      struct tarn_changes_stat *ret_stat);

/* The name of a region's dirty map in its directory. */
#define TARN_DIRTY_NAME "tarn.dirty"

/**
 * tarn_dirty_open - open the dirty map of @region, creating it if it is absent, and see that every
 * section's changes are marked in it: those that begin after this call has returned. It enters each
 * section once. A new section is marked from its first tx on.
 * @deadline: until when to wait for who is inside of one
 *
 * Return: 0, or
 *   -EDEADLK  this thread is inside a section
 *   -EPERM    the region was opened to look on
 *   -EPROTO   there is another object of that name, or of another version
 *   -ENOSPC, -ENFILE  no room to create it: it takes a byte for each 4096 of the region's max_size
 *   -EUCLEAN  its header is damaged
 *   -ENOTRECOVERABLE  a section is set aside: tarn_section_recover(); diag has its name
 *   and what tarn_section_enter() returns; then the map is there, and not all sections mark it
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_dirty_open(struct tarn_region *region, int64_t deadline,
					    struct tarn_dirty **ret_dirty, struct tarn_diag *diag);

/** tarn_dirty_close - give the handle up. Accepts NULL. Marking goes on. Since: 0.1 */
TARN_API void tarn_dirty_close(struct tarn_dirty *dirty);

/**
 * tarn_dirty_take - find the first run of marked pages in [@from, @to), offsets in the region, and
 * take its marks away. Copy the pages after that.
 * @ret_off, @ret_size: the run, in bytes; whole pages of 4096
 *
 * Return: 0, or
 *   -EAGAIN   no page there is marked
 *   -ENODATA  the map was removed
 *   -EIO      the file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_dirty_take(struct tarn_dirty *dirty, uint64_t from, uint64_t to,
					    uint64_t *ret_off, uint64_t *ret_size);

/** tarn_dirty_count - marked pages. Return: 0, -ENODATA, -EIO. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_dirty_count(struct tarn_dirty *dirty, uint64_t *ret_pages);

TARN_END_DECLS

#endif /* TARN_CHANGES_H */
