/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/rwlock.h - many read, or one writes; a reader that dies is dropped, a writer that dies is
 * told of.
 *
 *     r = tarn_rwlock_read(lock, TARN_FOREVER, NULL);
 *     ...
 *     r = tarn_rwlock_unlock(lock);
 *
 * Each reader sits on a seat that bears its name, so one that dies reading holds nobody up: a
 * writer finds its seat, and frees it. After the death of a writer, what it guards may be half
 * changed: everyone, reader or writer, is told -EOWNERDEAD, and has it all the same, until a writer
 * has mended it and says so.
 *
 * Callers:   any thread; threads of a process may share a handle. Locks belong to threads. A child
 *            of fork() has nothing locked, whatever its parent had.
 * Progress:  locking and unlocking make no system call and allocate nothing while nobody has to
 *            wait. A reader's way is two exchanges on its own seat; a writer looks at as many seats
 *            as were ever taken at the same time. A writer that waits holds new readers back, but
 *            not one that reads already and reads again. Writers who come without a pause can hold
 *            readers back for ever.
 * Crash:     a dead reader or writer is noticed within a wake by the kernel, or 10 ms where it
 *            gives none (see region.h). A thread that ends gives back what it reads, and counts as
 *            dead with what it writes. A writer killed while it still waits for readers counts as
 *            one that wrote. A dead waiter is no concern of anybody.
 * Deadlock:  found where threads wait for writers; of whom a writer waits for only the thread
 *            itself is known.
 * Memory:    384 bytes, and 16 for each reader that there is room for.
 * Trust:     members may take and never give back. Damage is -EUCLEAN or -ENOTRECOVERABLE for this
 *            lock; other objects go on.
 */
#ifndef TARN_RWLOCK_H
#define TARN_RWLOCK_H

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_rwlock; /* this process's handle */

#define TARN_RWLOCK_READERS_MAX 4096u

/* All zero means: the default of each. */
struct tarn_rwlock_opts {
	uint32_t readers; /* at the same time, 1 .. TARN_RWLOCK_READERS_MAX; 0: 64 */
	uint32_t pad;     /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_rwlock_open - open rwlock @name of @region.
 * @opts:     it is created with them if it is absent. NULL: it must exist, with any room.
 * @ret_lock: handle on success, untouched on failure; tarn_rwlock_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such rwlock
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists with room for another number of readers; diag has both
 *   -EPROTO   the object is no rwlock, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_rwlock_open(struct tarn_region *region, const char *name,
					     const struct tarn_rwlock_opts *opts,
					     struct tarn_rwlock **ret_lock);

/**
 * tarn_rwlock_close - give the handle up. Accepts NULL. What the calling thread reads is unlocked,
 * by whichever handle it was locked; what it writes by this one is left as by the dead. No other
 * thread may use the handle. The rwlock stays.
 * Since: 0.1
 */
TARN_API void tarn_rwlock_close(struct tarn_rwlock *lock);

/**
 * tarn_rwlock_read - wait until nobody writes or waits to write, and read.
 * @diag: who writes, where that is the reason; may be NULL
 * A thread that reads already reads once more, and unlocks as many times.
 *
 * Return: 0, or
 *   -EOWNERDEAD  it is locked, as with 0; a writer has died, and nobody has called
 *                tarn_rwlock_consistent() since
 *   -ETIMEDOUT   @deadline has passed: a live thread writes, or waits to; or there is no seat
 *   -EDEADLK     this thread writes, or would wait for a thread that waits for it
 *   -ENOTRECOVERABLE  set aside: its words contradict each other. tarn_section_recover() mends it
 *   -EUCLEAN     the lock word names nobody who could have it; or, in a child of fork() that has
 *                not used it yet, the rwlock was removed meanwhile
 *   -EPERM       the region was opened to look on
 *   -EIO         the file was truncated
 *   -ENOMEM      a thread's first call
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_rwlock_read(struct tarn_rwlock *lock, int64_t deadline,
					     struct tarn_diag *diag);

/**
 * tarn_rwlock_try_read - the same without waiting.
 * Return: -EAGAIN while a live thread writes or waits to, or there is no seat; or as
 *   tarn_rwlock_read().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_rwlock_try_read(struct tarn_rwlock *lock, struct tarn_diag *diag);

/**
 * tarn_rwlock_write - wait until nobody else writes, keep new readers back, wait until those who
 * read have unlocked or are dead, and write.
 * @diag: who has it, where that is the reason; may be NULL
 *
 * Return: as tarn_rwlock_read(), but
 *   -ETIMEDOUT   @deadline has passed: a live thread writes, or reads
 *   -EDEADLK     this thread reads or writes already, or would wait for a writer that waits for it
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_rwlock_write(struct tarn_rwlock *lock, int64_t deadline,
					      struct tarn_diag *diag);

/**
 * tarn_rwlock_try_write - the same without waiting.
 * Return: -EAGAIN while a live thread has it, or as tarn_rwlock_write().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_rwlock_try_write(struct tarn_rwlock *lock, struct tarn_diag *diag);

/**
 * tarn_rwlock_downgrade - stop writing and read on, with no writer in between.
 * Return: 0, or
 *   -EPERM   this thread does not write by this handle
 *   -EAGAIN  just now there is no seat: readers who are about to see that they must wait have them;
 *            it still writes
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_rwlock_downgrade(struct tarn_rwlock *lock);

/**
 * tarn_rwlock_unlock - stop writing, if this thread writes by this handle, or reading.
 * Return: 0, or -EPERM: it does neither; nothing happened.
 * Since: 0.1
 */
TARN_API int tarn_rwlock_unlock(struct tarn_rwlock *lock);

/**
 * tarn_rwlock_consistent - what the dead writer left is mended: no more -EOWNERDEAD.
 * Return: 0, or -EPERM: this thread does not write by this handle.
 * Since: 0.1
 */
TARN_API int tarn_rwlock_consistent(struct tarn_rwlock *lock);

TARN_END_DECLS

#endif /* TARN_RWLOCK_H */
