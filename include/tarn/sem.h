/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/sem.h - a counting semaphore, whose permits the dead give back.
 *
 * There are two kinds:
 *
 *   counted  a number. Whoever waits takes one off, anybody may post one. For counting what one
 *            process makes and another uses, as slots of a buffer. Nobody owns a permit, so one
 *            that was taken by a process that died is gone with it.
 *   owned    so many permits as there are seats, each of which has a holder by name. For "at most
 *            eight at a time". The permits of a process that dies are free at once.
 *
 * Callers:   any thread; threads of a process may share a handle, and each may post a permit that
 *            another one of the same process has taken. A child of fork() owns none of its
 *            parent's permits.
 * Progress:  wait and post make no system call and allocate nothing while nobody has to wait. Who
 *            waits spins a little, then sleeps. An owned one is looked through from the seat that
 *            was last used.
 * Crash:     a permit of the dead is free within a wake by the kernel or 10 ms; a dead waiter has
 *            taken nothing away. Killed inside of a post: it was posted, or it was not.
 * Memory:    384 bytes, and 16 for each permit of an owned one.
 * Trust:     members may take and never give back, and post to a counted one what they never took.
 *            A number that cannot be is -EUCLEAN.
 */
#ifndef TARN_SEM_H
#define TARN_SEM_H

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_sem; /* this process's handle */

#define TARN_SEM_MAX       2147483647u /* of a counted one */
#define TARN_SEM_OWNED_MAX 4096u

enum tarn_sem_flags {
	TARN_SEM_OWNED = 1u << 0, /* permits have holders, and there are never more than value */
};

/* All zero means: the default of each. */
struct tarn_sem_opts {
	uint32_t value; /* permits at first: 0 .. TARN_SEM_MAX; owned 1 .. TARN_SEM_OWNED_MAX */
	uint32_t flags; /* enum tarn_sem_flags */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_sem_open - open semaphore @name of @region.
 * @opts:    it is created with them if it is absent; the value of one that exists stays as it is.
 *           NULL: it must exist.
 * @ret_sem: handle on success, untouched on failure; tarn_sem_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such semaphore
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists with other flags, or another number of owned permits; diag has both
 *   -EPROTO   the object is no semaphore, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sem_open(struct tarn_region *region, const char *name,
					  const struct tarn_sem_opts *opts,
					  struct tarn_sem **ret_sem);

/**
 * tarn_sem_close - give the handle up. Accepts NULL. Permits that this process owns stay its own
 * until it posts them or closes the region. No other thread may use the handle.
 * Since: 0.1
 */
TARN_API void tarn_sem_close(struct tarn_sem *sem);

/**
 * tarn_sem_wait - wait until there is a permit, and take it.
 * @diag: who has them, where that is the reason; may be NULL
 *
 * Return: 0, or
 *   -ETIMEDOUT   @deadline has passed
 *   -EUCLEAN     the number is one that cannot be; or, in a child of fork() that has not used it
 *                yet, the semaphore was removed meanwhile
 *   -EPERM       the region was opened to look on
 *   -EIO         the file was truncated
 *   -ENOMEM      a thread's first call
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sem_wait(struct tarn_sem *sem, int64_t deadline,
					  struct tarn_diag *diag);

/**
 * tarn_sem_try - the same without waiting.
 * Return: -EAGAIN where there is no permit, or as tarn_sem_wait().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_sem_try(struct tarn_sem *sem, struct tarn_diag *diag);

/**
 * tarn_sem_post - give a permit back, or one more.
 * Return: 0, or
 *   -EOVERFLOW  a counted one stands at TARN_SEM_MAX
 *   -EPERM      this process owns no permit of an owned one; or the region was opened to look on
 *   -ENOMEM, -EUCLEAN and others as tarn_sem_wait()
 *   Nothing happened then.
 * Since: 0.1
 */
TARN_API int tarn_sem_post(struct tarn_sem *sem);

/**
 * tarn_sem_value - permits that are free just now; for the eye. From any thread, and on a handle of
 * a region that is only looked on. Seats of the dead whom nobody has noticed yet count as taken.
 * Since: 0.1
 */
TARN_API uint32_t tarn_sem_value(const struct tarn_sem *sem);

TARN_END_DECLS

#endif /* TARN_SEM_H */
