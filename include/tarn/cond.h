/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/cond.h - a condition variable: sleep until another says that something has changed.
 *
 * As everywhere, whoever waits looks again at what it waits for, under the lock:
 *
 *     r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);
 *     while (r == 0 && !there())
 *             r = tarn_cond_wait(cond, mutex, deadline, NULL);
 *
 * It serves with a tarn_mutex, and with a section, where nothing is ever left half changed:
 * tarn_cond_wait_in(). All who wait on one use the same lock.
 *
 * Each waiter has a seat that says what has become of it, so the dead are told from the living:
 * a signal goes to the oldest waiter that lives. One that dies after it was signalled, and before
 * it has the lock again, leaves its signal to another one of those who waited at the time. So no
 * signal is lost with the dead, none is doubled, and nobody waits for the dead.
 *
 * Wake-ups that nobody caused do not happen, but what was there when the signal was given may be
 * gone by the time that the lock is had.
 *
 * Callers:   any thread; threads of a process may share a handle. Signals may be given with or
 *            without the lock.
 * Progress:  signal and broadcast wait for nobody, and make no system call where nobody waits.
 * Crash:     a waiter that dies is no concern of anybody. What it was signalled, another one gets
 *            within 10 ms. A signal or broadcast of one that is killed was given, or was not;
 *            a broadcast reaches all or none.
 * Memory:    384 bytes, and 16 for each waiter that there is room for.
 * Trust:     members may wake everybody, or take signals and do nothing.
 */
#ifndef TARN_COND_H
#define TARN_COND_H

#include <tarn/base.h>
#include <tarn/mutex.h>
#include <tarn/region.h>
#include <tarn/section.h>

TARN_BEGIN_DECLS

struct tarn_cond; /* this process's handle */

#define TARN_COND_WAITERS_MAX 4096u

/* All zero means: the default of each. */
struct tarn_cond_opts {
	uint32_t waiters; /* that there is room for at once, 1 .. TARN_COND_WAITERS_MAX; 0 = 64, or
	                     as many as one that exists has */
	uint32_t pad;     /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_cond_open - open condition variable @name of @region.
 * @opts:     it is created with them if it is absent. NULL: it must exist.
 * @ret_cond: handle on success, untouched on failure; tarn_cond_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such object
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists with room for another number of waiters than @opts asks; diag has both
 *   -EPROTO   the object is no condition variable, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_cond_open(struct tarn_region *region, const char *name,
					   const struct tarn_cond_opts *opts,
					   struct tarn_cond **ret_cond);

/**
 * tarn_cond_close - give the handle up. Accepts NULL. No thread waits by it.
 * Since: 0.1
 */
TARN_API void tarn_cond_close(struct tarn_cond *cond);

/**
 * tarn_cond_wait - let go of @mutex, sleep until signalled, and lock it again.
 * @deadline: of the sleep. To have the mutex again is waited for as long as it takes.
 * @diag:     may be NULL
 *
 * Return: with the mutex locked
 *   0            signalled
 *   -ETIMEDOUT   not signalled until @deadline, and no signal was used up
 *   -EOWNERDEAD  one who had the mutex died, see tarn_mutex_lock(); the sleep ended as with 0 or
 *                with -ETIMEDOUT, and @diag says which. Mend, then look at what is waited for
 *   -EUCLEAN     somebody has written over the words that say how it stands with this waiter
 *   with the mutex locked, and nothing done
 *   -EINVAL      it is a recursive one that was locked more than once: others could not get it
 *   -EUSERS      so many wait already as there is room for
 *   -EPERM, -ENOMEM and others as tarn_mutex_lock(), before anything was let go
 *   with the mutex not locked
 *   -EPERM       this thread has not locked it by this handle; nothing happened
 *   -EDEADLK, -ENOTRECOVERABLE, -EIO and others: it could not be locked again. If this waiter
 *                was signalled, another one has that signal now
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_cond_wait(struct tarn_cond *cond, struct tarn_mutex *mutex,
					   int64_t deadline, struct tarn_diag *diag);

/**
 * tarn_cond_wait_in - the same inside of @section: its tx is committed, and after the sleep another
 * one begun.
 * @ret_tx: the new tx where this thread is inside again; the old one is over, but where nothing
 *          was done
 *
 * Return: inside of the section, with a new tx
 *   0, -ETIMEDOUT, -EUCLEAN as above
 *   inside, with the old tx, and nothing done
 *   -EINVAL      this thread is inside of another section too, or of this one by another's tx
 *   -EUSERS      so many wait already as there is room for
 *   not inside
 *   -EPERM       this thread was not inside; nothing happened
 *   what tarn_section_leave() returns where a store of the tx was refused: it was undone, and
 *                nothing waited for; or what tarn_section_enter() returns, see -EDEADLK above
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_cond_wait_in(struct tarn_cond *cond, struct tarn_section *section,
					      int64_t deadline, struct tarn_tx **ret_tx,
					      struct tarn_diag *diag);

/**
 * tarn_cond_signal - wake the one who has waited longest of those who live. Does nothing where
 * nobody waits.
 * Return: 0, or
 *   -EPERM   the region was opened to look on
 *   -ENOMEM  a thread's first call
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API int tarn_cond_signal(struct tarn_cond *cond);

/**
 * tarn_cond_broadcast - wake all who wait.
 * Return: as tarn_cond_signal().
 * Since: 0.1
 */
TARN_API int tarn_cond_broadcast(struct tarn_cond *cond);

TARN_END_DECLS

#endif /* TARN_COND_H */
