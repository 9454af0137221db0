/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/seqlock.h - a value that is read without a trace and written seldom: readers copy it, and
 * copy again if somebody has written meanwhile.
 *
 *     r = tarn_seqlock_write(lock, shared, &mine, sizeof(mine), TARN_FOREVER, NULL);
 *     r = tarn_seqlock_read(lock, &mine, shared, sizeof(mine), TARN_FOREVER);
 *
 * or in steps: what is read between begin and valid counts only if it was valid.
 *
 *     r = tarn_seqlock_begin(lock, &version);
 *     if (r == 0) {
 *             tarn_seqlock_load(lock, &mine, &shared->part, sizeof(mine));
 *             ok = tarn_seqlock_valid(lock, version);
 *     }
 *
 * Both sides copy by tarn_seqlock_load() and tarn_seqlock_store(), which are made for being torn;
 * plain accesses are not. Whoever needs more than one value changed whole, or put back after a
 * death, wants a section (tarn/section.h).
 *
 * Callers:   any thread; threads of a process may share a handle. Readers may have a region that is
 *            only looked on. A child of fork() has nothing locked.
 * Progress:  reading stores nothing and makes no system call while nobody writes; who writes
 *            without a pause can keep readers from ever finding it whole, until their deadline.
 *            Writers exclude each other as with a mutex.
 * Crash:     a reader's death is no concern of anybody. A writer that dies in the middle leaves a
 *            torn value: reading it is -EOWNERDEAD, at once, until a writer, who is told the same,
 *            has written all of it and says that it is consistent.
 * Memory:    384 bytes, besides what it guards.
 * Trust:     members may write what they like, whenever they like. Damage is -EUCLEAN or
 *            -ENOTRECOVERABLE for this lock; other objects go on.
 */
#ifndef TARN_SEQLOCK_H
#define TARN_SEQLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_seqlock; /* this process's handle */

/* All zero means: the default of each. */
struct tarn_seqlock_opts {
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_seqlock_open - open sequence lock @name of @region.
 * @opts:     it is created if it is absent. NULL: it must exist.
 * @ret_lock: handle on success, untouched on failure; tarn_seqlock_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such sequence lock
 *   -EINVAL   name or @opts out of range
 *   -EPROTO   the object is no sequence lock, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_seqlock_open(struct tarn_region *region, const char *name,
					      const struct tarn_seqlock_opts *opts,
					      struct tarn_seqlock **ret_lock);

/**
 * tarn_seqlock_close - give the handle up. Accepts NULL. If the calling thread has it locked, that
 * is as if it had died. No other thread may use the handle. The sequence lock stays.
 * Since: 0.1
 */
TARN_API void tarn_seqlock_close(struct tarn_seqlock *lock);

/**
 * tarn_seqlock_read - copy @size bytes at @from to @ret_to, as one writer has left them.
 * @from: in shared memory; which bytes the lock guards is the callers' business
 *
 * Return: 0, or, with @ret_to holding anything,
 *   -EOWNERDEAD  a writer has died in the middle, and nobody has written it anew
 *   -ETIMEDOUT   until @deadline somebody always wrote
 *   -ENOTRECOVERABLE  set aside: its words contradict each other. tarn_section_recover() mends it
 *   -EUCLEAN     the version says that somebody has it, and the lock word names nobody who could
 *   -EIO         the file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_seqlock_read(struct tarn_seqlock *lock, void *ret_to,
					      const void *from, size_t size, int64_t deadline);

/**
 * tarn_seqlock_begin - begin to read.
 * Return: 0, or -EAGAIN: somebody writes; or as tarn_seqlock_read().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_seqlock_begin(struct tarn_seqlock *lock, uint32_t *ret_version);

/**
 * tarn_seqlock_load - copy @size bytes of the region; they may be torn until
 * tarn_seqlock_valid() has said otherwise.
 * Since: 0.1
 */
TARN_API void tarn_seqlock_load(struct tarn_seqlock *lock, void *ret_to, const void *from,
				size_t size);

/**
 * tarn_seqlock_valid - has nobody written since tarn_seqlock_begin() returned @version?
 * Since: 0.1
 */
TARN_API TARN_NODISCARD bool tarn_seqlock_valid(struct tarn_seqlock *lock, uint32_t version);

/**
 * tarn_seqlock_write - lock, copy @size bytes from @from to @to, unlock. If a writer has died, what
 * is written here counts as the whole value, and readers are no longer told of it.
 * @diag: who has it, where that is the reason; may be NULL
 * Return: 0, or an error as tarn_seqlock_lock(); nothing is written then.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_seqlock_write(struct tarn_seqlock *lock, void *to,
					       const void *from, size_t size, int64_t deadline,
					       struct tarn_diag *diag);

/**
 * tarn_seqlock_lock - wait until no other writes, and begin to write.
 * @diag: who has it and for how long, where that is the reason; may be NULL
 *
 * Return: 0, or
 *   -EOWNERDEAD  it is locked, as with 0; a writer has died in the middle, and nobody has called
 *                tarn_seqlock_consistent() since: write all of the value, and call it
 *   -ETIMEDOUT   @deadline has passed; the owner lives (it may be stopped)
 *   -EDEADLK     this thread has it already, or would wait for a thread that waits for it
 *   -ENOTRECOVERABLE, -EIO  as tarn_seqlock_read()
 *   -EUCLEAN     the same; or, in a child of fork() that has not used it yet, it was removed
 *   -EPERM       the region was opened to look on
 *   -ENOMEM      a thread's first call
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_seqlock_lock(struct tarn_seqlock *lock, int64_t deadline,
					      struct tarn_diag *diag);

/**
 * tarn_seqlock_try - the same without waiting.
 * Return: -EAGAIN while a live thread has it, or as tarn_seqlock_lock().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_seqlock_try(struct tarn_seqlock *lock, struct tarn_diag *diag);

/**
 * tarn_seqlock_store - copy @size bytes to @to, in shared memory, while it is locked.
 * Return: 0, or -EPERM: this thread has not locked it by this handle; nothing is stored.
 * Since: 0.1
 */
TARN_API int tarn_seqlock_store(struct tarn_seqlock *lock, void *to, const void *from, size_t size);

/**
 * tarn_seqlock_unlock - what was stored counts, and readers find it.
 * Return: 0, or -EPERM: this thread has not locked it by this handle; nothing happened.
 * Since: 0.1
 */
TARN_API int tarn_seqlock_unlock(struct tarn_seqlock *lock);

/**
 * tarn_seqlock_consistent - all of the value is written anew: no more -EOWNERDEAD.
 * Return: 0, or -EPERM: this thread has not locked it by this handle.
 * Since: 0.1
 */
TARN_API int tarn_seqlock_consistent(struct tarn_seqlock *lock);

TARN_END_DECLS

#endif /* TARN_SEQLOCK_H */
