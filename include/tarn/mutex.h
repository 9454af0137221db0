/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/mutex.h - a lock that a dead owner leaves to the next one, who is told.
 *
 * Where what it guards can be changed through logged stores, a section (tarn/section.h) is the
 * better choice: there a death leaves nothing half changed. A mutex is for what is not in the
 * region, or is mended by other means. Like a robust pthread mutex it says -EOWNERDEAD to whoever
 * locks it after a death, who then has it, and mends:
 *
 *     r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
 *     if (r == -EOWNERDEAD) {
 *             mend();
 *             r = tarn_mutex_consistent(mutex);
 *     }
 *     ...
 *     r = tarn_mutex_unlock(mutex);
 *
 * Unlike there, one who unlocks without having mended makes nothing unusable: the next one is
 * told again.
 *
 * Callers:   any thread; threads of a process may share a handle. A child of fork() has nothing
 *            locked, whatever its parent had.
 * Progress:  locking and unlocking make no system call and allocate nothing while nobody has to
 *            wait. Who waits spins a little, then sleeps.
 * Crash:     a dead owner is noticed within a wake by the kernel, or 10 ms where it gives none (see
 *            region.h). A thread that ends with a mutex locked counts as dead. A dead waiter is no
 *            concern of anybody.
 * Memory:    384 bytes and an entry of the region's directory.
 * Trust:     members may take and never give back. Damage is -EUCLEAN or -ENOTRECOVERABLE for this
 *            mutex; other objects go on.
 */
#ifndef TARN_MUTEX_H
#define TARN_MUTEX_H

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_mutex; /* this process's handle */

/* What locking does to a thread that has it already. To notice that costs nothing, so NORMAL and
 * ERRORCHECK are the same. */
enum tarn_mutex_type {
	TARN_MUTEX_NORMAL = 0,
	TARN_MUTEX_ERRORCHECK = 0, /* -EDEADLK */
	TARN_MUTEX_RECURSIVE = 1,  /* counts; as many unlocks, by the same handle */
};

/* All zero means: the default of each. */
struct tarn_mutex_opts {
	uint32_t type; /* enum tarn_mutex_type */
	uint32_t pad;  /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_mutex_open - open mutex @name of @region.
 * @opts:      it is created with them if it is absent. NULL: it must exist, and may be of any type.
 * @ret_mutex: handle on success, untouched on failure; tarn_mutex_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such mutex
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists with another type than @opts asks; diag has both
 *   -EPROTO   the object is no mutex, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_mutex_open(struct tarn_region *region, const char *name,
					    const struct tarn_mutex_opts *opts,
					    struct tarn_mutex **ret_mutex);

/**
 * tarn_mutex_close - give the handle up. Accepts NULL. If the calling thread has it locked, the
 * next one gets it with -EOWNERDEAD. No other thread may use the handle. The mutex stays.
 * Since: 0.1
 */
TARN_API void tarn_mutex_close(struct tarn_mutex *mutex);

/**
 * tarn_mutex_lock - wait until nobody has it, and have it.
 * @diag: who has it and for how long, where that is the reason; may be NULL
 *
 * Return: 0, or
 *   -EOWNERDEAD  it is locked, as with 0; one who had it has died, and nobody has called
 *                tarn_mutex_consistent() since
 *   -ETIMEDOUT   @deadline has passed; the owner lives (it may be stopped)
 *   -EDEADLK     this thread has it already, or would wait for a thread that waits for it
 *   -ENOTRECOVERABLE  set aside: its words contradict each other. tarn_section_recover() mends it
 *   -EUCLEAN     the lock word names nobody who could have it; or, in a child of fork() that has
 *                not used it yet, the mutex was removed meanwhile
 *   -EPERM       the region was opened to look on
 *   -EIO         the file was truncated
 *   -ENOMEM      a thread's first call
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_mutex_lock(struct tarn_mutex *mutex, int64_t deadline,
					    struct tarn_diag *diag);

/**
 * tarn_mutex_try - the same without waiting.
 * Return: -EAGAIN while a live thread has it, or as tarn_mutex_lock().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_mutex_try(struct tarn_mutex *mutex, struct tarn_diag *diag);

/**
 * tarn_mutex_unlock - let others have it.
 * Return: 0, or -EPERM: this thread has not locked it by this handle; nothing happened.
 * Since: 0.1
 */
TARN_API int tarn_mutex_unlock(struct tarn_mutex *mutex);

/**
 * tarn_mutex_consistent - what the dead owner left is mended: no more -EOWNERDEAD.
 * Return: 0, or -EPERM: this thread has not locked it by this handle.
 * Since: 0.1
 */
TARN_API int tarn_mutex_consistent(struct tarn_mutex *mutex);

TARN_END_DECLS

#endif /* TARN_MUTEX_H */
