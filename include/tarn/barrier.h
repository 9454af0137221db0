/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/barrier.h - so many parties wait for each other, round after round.
 *
 * A party is a thread with a seat. It gets one by its first wait, or by tarn_barrier_join(), and
 * keeps it until tarn_barrier_leave(). Each party passes each round once: its next wait is for the
 * round after.
 *
 *     r = tarn_barrier_wait(barrier, TARN_FOREVER, NULL);
 *     if (r == -EOWNERDEAD)
 *             ... one is missing; what this round was to do is not whole
 *
 * A party that dies, or whose thread ends, before it has arrived breaks the round that is under
 * way: all who wait in it, and the living who have yet to arrive in it, are told -EOWNERDEAD, once
 * each. Then the seat is free, and the next round is complete when somebody else has taken it. One
 * that dies after it has arrived does not break that round, but the next one, unless its seat is
 * taken before.
 *
 * Callers:   any thread; threads of a process may share a handle, and each is a party of its own. A
 *            child of fork() has no seat.
 * Progress:  the last to arrive looks at every seat; it waits for nobody. Who waits spins a little,
 *            then sleeps.
 * Crash:     a death is told within a wake by the kernel, or 10 ms. There is no count that could be
 *            wrong: each party writes on its own seat what it has arrived for.
 * Memory:    384 bytes, and 16 for each party.
 * Trust:     members may fail to come, or come in another's name.
 */
#ifndef TARN_BARRIER_H
#define TARN_BARRIER_H

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_barrier; /* this process's handle */

#define TARN_BARRIER_MAX 4096u

/* All zero but for count means: the default of each. */
struct tarn_barrier_opts {
	uint32_t count; /* parties of a round, 1 .. TARN_BARRIER_MAX */
	uint32_t pad;   /* zero */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_barrier_open - open barrier @name of @region.
 * @opts:        it is created with them if it is absent. NULL: it must exist.
 * @ret_barrier: handle on success, untouched on failure; tarn_barrier_close() it
 * tarn_object_remove() removes it; those who have it open keep it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such barrier
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists for another number of parties than @opts asks; diag has both
 *   -EPROTO   the object is no barrier, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_barrier_open(struct tarn_region *region, const char *name,
					      const struct tarn_barrier_opts *opts,
					      struct tarn_barrier **ret_barrier);

/**
 * tarn_barrier_close - leave, and give the handle up. Accepts NULL. No other thread may use the
 * handle. Seats of this process's other threads stay theirs; if no handle is left when they end,
 * until the process closes the region or ends.
 * Since: 0.1
 */
TARN_API void tarn_barrier_close(struct tarn_barrier *barrier);

/**
 * tarn_barrier_join - take a seat, for the round that is under way. Where the only free one is that
 * of a party that arrived and died: for the next one. Does nothing where this thread has one.
 *
 * Return: 0, or
 *   -EUSERS  all seats are those of living parties
 *   -EPERM   the region was opened to look on
 *   -ENOMEM  a thread's first call
 *   -EUCLEAN somebody writes over its rounds without end; no seat was taken
 *   and what becoming a member anew in a child of fork() returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_barrier_join(struct tarn_barrier *barrier, struct tarn_diag *diag);

/**
 * tarn_barrier_wait - arrive, and wait until all others have.
 * @diag: who is missing, where that is the reason; may be NULL
 *
 * Return: the round is over:
 *   0            all have arrived
 *   1            the same, and this is the one party of the round that is told so; nobody is where
 *                that one died
 *   -EOWNERDEAD  one has died before it arrived
 *   the round is not over, and this party has arrived:
 *   -ETIMEDOUT   not all have arrived until @deadline. The arrival stands: the next wait goes on
 *                waiting for the same round
 *   -EIO         the file was truncated
 *   this party has not arrived:
 *   -EUSERS, -EPERM, -ENOMEM and others as tarn_barrier_join()
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_barrier_wait(struct tarn_barrier *barrier, int64_t deadline,
					      struct tarn_diag *diag);

/**
 * tarn_barrier_leave - give the seat up. The round that is under way, and those after it, wait for
 * somebody who takes it.
 * Return: 0, -EPERM (this thread has none).
 * Since: 0.1
 */
TARN_API int tarn_barrier_leave(struct tarn_barrier *barrier);

TARN_END_DECLS

#endif /* TARN_BARRIER_H */
