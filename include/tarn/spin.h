/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/spin.h - a lock for a few instructions: whoever waits spins, ever less often, and never
 * sleeps in the kernel.
 *
 * For what takes less time than a sleep and a wake (some microseconds), and only where there are
 * more processors than threads that want it; anything else is the business of tarn/mutex.h. What
 * becomes of it when its owner dies is as there: -EOWNERDEAD, until somebody has mended what it
 * guards and says so.
 *
 * Callers:   any thread; threads of a process may share a handle. A child of fork() has nothing
 *            locked, whatever its parent had.
 * Progress:  locking is one exchange, unlocking one store. Who waits may yield the processor, and
 *            now and then asks the kernel whether the owner lives.
 * Crash:     a dead owner is noticed within 10 ms. A thread that ends with it locked counts as
 *            dead.
 * Deadlock:  only to lock it twice is noticed; circles are not.
 * Memory:    384 bytes and an entry of the region's directory.
 * Trust:     members may take and never give back. Damage is -EUCLEAN or -ENOTRECOVERABLE for this
 *            lock; other objects go on.
 */
#ifndef TARN_SPIN_H
#define TARN_SPIN_H

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_spin; /* this process's handle */

/* All zero means: the default of each. */
struct tarn_spin_opts {
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_spin_open - open spin lock @name of @region.
 * @opts:     it is created if it is absent. NULL: it must exist.
 * @ret_spin: handle on success, untouched on failure; tarn_spin_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such spin lock
 *   -EINVAL   name or @opts out of range
 *   -EPROTO   the object is no spin lock, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_spin_open(struct tarn_region *region, const char *name,
					   const struct tarn_spin_opts *opts,
					   struct tarn_spin **ret_spin);

/**
 * tarn_spin_close - give the handle up. Accepts NULL. If the calling thread has it locked, the next
 * one gets it with -EOWNERDEAD. No other thread may use the handle. The spin lock stays.
 * Since: 0.1
 */
TARN_API void tarn_spin_close(struct tarn_spin *spin);

/**
 * tarn_spin_lock - spin until nobody has it, and have it.
 * @diag: who has it, where that is the reason; may be NULL
 *
 * Return: 0, or
 *   -EOWNERDEAD  it is locked, as with 0; one who had it has died, and nobody has called
 *                tarn_spin_consistent() since
 *   -ETIMEDOUT   @deadline has passed; the owner lives (it may be stopped)
 *   -EDEADLK     this thread has it already
 *   -ENOTRECOVERABLE  set aside: its words contradict each other. tarn_section_recover() mends it
 *   -EUCLEAN     the lock word names nobody who could have it; or, in a child of fork() that has
 *                not used it yet, the spin lock was removed meanwhile
 *   -EPERM       the region was opened to look on
 *   -EIO         the file was truncated
 *   -ENOMEM      a thread's first call
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_spin_lock(struct tarn_spin *spin, int64_t deadline,
					   struct tarn_diag *diag);

/**
 * tarn_spin_try - the same without waiting.
 * Return: -EAGAIN while a live thread has it, or as tarn_spin_lock().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_spin_try(struct tarn_spin *spin, struct tarn_diag *diag);

/**
 * tarn_spin_unlock - let others have it.
 * Return: 0, or -EPERM: this thread has not locked it by this handle; nothing happened.
 * Since: 0.1
 */
TARN_API int tarn_spin_unlock(struct tarn_spin *spin);

/**
 * tarn_spin_consistent - what the dead owner left is mended: no more -EOWNERDEAD.
 * Return: 0, or -EPERM: this thread has not locked it by this handle.
 * Since: 0.1
 */
TARN_API int tarn_spin_consistent(struct tarn_spin *spin);

TARN_END_DECLS

#endif /* TARN_SPIN_H */
