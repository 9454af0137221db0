/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/once.h - something that is done once in the life of a region, by whichever process comes
 * first; if that one dies in the middle, by the next.
 *
 *     static int fill(void *table, bool again) { ... return 0; }
 *
 *     r = tarn_once_run(once, TARN_FOREVER, fill, table, NULL);
 *
 * Callers:   any thread; threads of a process may share a handle.
 * Progress:  once it is done, running it is one load, on a region that is only looked on, too.
 *            Until then everybody waits for the one who does it, asleep.
 * Crash:     one who dies doing it leaves it to the next, who is told. A thread that ends in the
 *            middle counts as dead.
 * Memory:    384 bytes and an entry of the region's directory.
 * Trust:     members may say that it is done, or never end. Damage is -EUCLEAN or
 *            -ENOTRECOVERABLE for this object; others go on.
 */
#ifndef TARN_ONCE_H
#define TARN_ONCE_H

#include <stdbool.h>

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_once; /* this process's handle */

/* All zero means: the default of each. */
struct tarn_once_opts {
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

enum tarn_once_turn {
	TARN_ONCE_DONE = 0,
	TARN_ONCE_FIRST = 1, /* it is this thread's to do */
	TARN_ONCE_AGAIN = 2, /* the same, and one who did it has died: it may be half done */
};

/**
 * tarn_once_open - open once @name of @region.
 * @opts:     it is created, undone, if it is absent. NULL: it must exist.
 * @ret_once: handle on success, untouched on failure; tarn_once_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such once
 *   -EINVAL   name or @opts out of range
 *   -EPROTO   the object is no once, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_once_open(struct tarn_region *region, const char *name,
					   const struct tarn_once_opts *opts,
					   struct tarn_once **ret_once);

/**
 * tarn_once_close - give the handle up. Accepts NULL. If the calling thread is doing it, the next
 * one begins again. No other thread may use the handle. The once stays.
 * Since: 0.1
 */
TARN_API void tarn_once_close(struct tarn_once *once);

/**
 * tarn_once_run - see to it that it is done: by calling @fn, or by waiting for who does it.
 * @fn:   its @again is true if one who did it has died in the middle. Less than 0: it is not done,
 *        and the next one tries; @fn has put back what it changed. 0 or more: it is done.
 * @diag: who does it, where that is the reason; may be NULL
 *
 * Return: 0, it is done, or
 *   -ETIMEDOUT   @deadline has passed; who does it lives (it may be stopped)
 *   -EDEADLK     this thread is doing it, or would wait for a thread that waits for it
 *   -ENOTRECOVERABLE  set aside: its words contradict each other. tarn_section_recover() mends it
 *   -EUCLEAN     the lock word names nobody who could do it; or, in a child of fork() that has not
 *                used it yet, the once was removed meanwhile
 *   -EPERM       it is not done, and the region was opened to look on
 *   -EIO         the file was truncated
 *   -ENOMEM      a thread's first call
 *   what @fn returned, and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_once_run(struct tarn_once *once, int64_t deadline,
					  int (*fn)(void *arg, bool again), void *arg,
					  struct tarn_diag *diag);

/**
 * tarn_once_begin - the same without a callback: if it is not TARN_ONCE_DONE, the caller does it,
 * and calls tarn_once_done() or tarn_once_fail().
 * Return: enum tarn_once_turn, or an error as tarn_once_run().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_once_begin(struct tarn_once *once, int64_t deadline,
					    struct tarn_diag *diag);

/**
 * tarn_once_done - it is done, for good.
 * Return: 0, or -EPERM: this thread is not doing it by this handle.
 * Since: 0.1
 */
TARN_API int tarn_once_done(struct tarn_once *once);

/**
 * tarn_once_fail - it is not done: the next one tries.
 * Return: 0, or -EPERM: this thread is not doing it by this handle.
 * Since: 0.1
 */
TARN_API int tarn_once_fail(struct tarn_once *once);

/**
 * tarn_once_is_done - is it done? What was done is visible then. From any thread, and on a handle
 * of a region that is only looked on.
 * Since: 0.1
 */
TARN_API bool tarn_once_is_done(const struct tarn_once *once);

TARN_END_DECLS

#endif /* TARN_ONCE_H */
