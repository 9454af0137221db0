/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/waiter.h - wait for any number of subscribers, latest values, rings, events, services and
 * clients at once.
 *
 *     r = tarn_waiter_open(NULL, &waiter);
 *     r = tarn_waiter_add_subscriber(waiter, news, news);
 *     r = tarn_waiter_add_event(waiter, stop, stop);
 *     while ((r = tarn_waiter_wait(waiter, TARN_FOREVER, tags, 8, &count)) == 0)
 *             for (size_t i = 0; i < count; i++) ...
 *
 * It is level-triggered: what is ready is told again until it is not any more. What was added is a
 * handle of this process, of any region, and stays its owner's.
 *
 *   added                    it is ready while
 *   a subscriber             a take would not be -EAGAIN
 *   a latest value           its number is not *seen
 *   a ring, as consumer      a pop would not be -EAGAIN: there is a record, or its producer is
 *                            dead, or has finished. Of one that streams, some microseconds earlier
 *   a ring, as producer      a quarter of it is free, and what there was no room for last has some;
 *                            or its consumer is dead
 *   an event                 it is set
 *   a service                there is a request, or a client has come or left
 *   a client                 a take of any answer would not be -EAGAIN: one has come, or who owes
 *                            it is gone. Not while it awaits none
 *
 * tarn_waiter_fd() gives one descriptor for all of it, for poll(), epoll, io_uring and the loops
 * that are built upon them: libevent, libuv, asyncio. It is readable when something may be ready,
 * and stays so until tarn_waiter_wait() has found nothing. So the loop calls, each time that the
 * descriptor is readable, tarn_waiter_wait() with a deadline that has passed (0), does what there
 * is to do, and goes back to sleep. It is not to be read or written. Each 100 ms it is readable
 * though nothing is ready: against peers that were killed between doing something and telling.
 * From Linux 6.7 on (io_uring) whoever makes something ready makes it readable, too; otherwise a
 * thread does, that was woken for it. Which one is chosen by the first tarn_waiter_fd().
 *
 * Callers:   a waiter belongs to the thread that all its sources belong to; tarn_waiter_interrupt()
 *            alone may be called by any thread, and by a signal handler. A child of fork() may only
 *            close it. What a source's own _wait call does while the descriptor is armed may make
 *            it late by 100 ms. Any thread may poll the descriptor.
 * Progress:  who makes something ready pays nothing for waiters while none sleeps, and one system
 *            call when one does. A waiter spins a little, then sleeps on all of it at once
 *            (futex_waitv): up to 126 sources, or half as many rings; beyond that, and before Linux
 *            5.16, it looks at the rest each millisecond.
 * Crash:     a waiter keeps nothing in shared memory; killed asleep, it costs whoever makes
 *            something ready next one system call.
 * Memory:    64 bytes a source, and nothing in shared memory. With a descriptor: an eventfd, and an
 *            io_uring of two pages and another descriptor; where that is refused (an older kernel,
 *            kernel.io_uring_disabled, a filter of system calls) a thread that sleeps, blocks all
 *            signals, and touches none of the handles.
 * Trust:     members may keep it from sleeping, or from being woken for 10 ms at a time, its
 *            descriptor from being readable for 100 ms.
 */
#ifndef TARN_WAITER_H
#define TARN_WAITER_H

#include <stddef.h>

#include <tarn/base.h>
#include <tarn/call.h>
#include <tarn/event.h>
#include <tarn/latest.h>
#include <tarn/ring.h>
#include <tarn/topic.h>

TARN_BEGIN_DECLS

struct tarn_waiter; /* this process's handle */

enum tarn_waiter_flags {
	TARN_WAITER_NO_SPIN = 1u << 0, /* waits sleep at once */
};

/* All zero means: the default of each. */
struct tarn_waiter_opts {
	uint32_t flags; /* enum tarn_waiter_flags */
	uint32_t zero;
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/**
 * tarn_waiter_open - make one, with no sources.
 * @opts: may be NULL
 *
 * Return: 0, or
 *   -EINVAL   unknown flags, or reserved options that are not zero; diag has them
 *   -ENOMEM
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_open(const struct tarn_waiter_opts *opts,
					     struct tarn_waiter **ret_waiter);

/**
 * tarn_waiter_close - give it up; its sources stay as they are. Its descriptor is closed, and must
 * not be in a poll set any more; some ms later the kernel may end one epoll_wait() of this thread
 * by EINTR (io_uring). Accepts NULL. Since: 0.1
 */
TARN_API void tarn_waiter_close(struct tarn_waiter *waiter);

/**
 * tarn_waiter_add_subscriber - wait for messages, too.
 * @subscriber: stays open until it is removed, or the waiter closed
 * @tag: what tarn_waiter_wait() tells of it; NULL: the handle itself
 *
 * Return: 0, or
 *   -EEXIST   it was added before
 *   -EBUSY    in a child of fork()
 *   -ENOMEM
 *   and what becoming a member returns; a region that was opened to look on does, too: its sources
 *   are looked at each millisecond
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_add_subscriber(struct tarn_waiter *waiter,
						       struct tarn_subscriber *subscriber,
						       void *tag);

/**
 * tarn_waiter_add_latest - wait for another value, too.
 * @seen: where its owner keeps the number of the value that it has seen last, 0 none; read by each
 *        wait, and by no descriptor: who changes it otherwise waits anew. A read that stores the
 *        number there makes it not ready.
 *
 * Return: as tarn_waiter_add_subscriber(). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_add_latest(struct tarn_waiter *waiter,
						   struct tarn_latest *latest, const uint64_t *seen,
						   void *tag);

/**
 * tarn_waiter_add_ring - wait for records, or for room, too.
 *
 * Return: as tarn_waiter_add_subscriber(), and
 *   -EINVAL   the handle has no role
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_add_ring(struct tarn_waiter *waiter, struct tarn_ring *ring,
						 void *tag);

/**
 * tarn_waiter_add_event - wait for it to be set, too. An auto event that is ready is taken by
 * tarn_event_try(), which another may be faster at.
 *
 * Return: as tarn_waiter_add_subscriber(). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_add_event(struct tarn_waiter *waiter,
						  struct tarn_event *event, void *tag);

/**
 * tarn_waiter_add_service - wait for requests, too.
 * Return: as tarn_waiter_add_subscriber(). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_add_service(struct tarn_waiter *waiter,
						    struct tarn_service *service, void *tag);

/**
 * tarn_waiter_add_client - wait for answers, too, and for the deaths of those who owe them.
 * Return: as tarn_waiter_add_subscriber(). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_add_client(struct tarn_waiter *waiter,
						   struct tarn_client *client, void *tag);

/**
 * tarn_waiter_remove - wait for it no longer. Before its handle is closed.
 * @source: the handle that was added
 *
 * Return: 0; -ENOENT: it was not there. Since: 0.1
 */
TARN_API int tarn_waiter_remove(struct tarn_waiter *waiter, const void *source);

/**
 * tarn_waiter_wait - wait until something is ready.
 * @deadline: CLOCK_MONOTONIC nanoseconds, as tarn_deadline_after() gives; past (0): only look
 * @ret_tags: of what is ready, up to @max; the next call begins with those behind
 * @ret_count: how many
 *
 * Return: 0, or
 *   -ETIMEDOUT   @deadline has passed; from now on the descriptor, if there is one, becomes
 *                readable when something is ready
 *   -EINTR       tarn_waiter_interrupt(); nothing was looked at
 *   -EINVAL      @max is 0
 *   -EIO         the file under one of the sources was truncated
 *   -EBUSY       in a child of fork(): it was the parent's
 *   and what becoming a member anew returns
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_wait(struct tarn_waiter *waiter, int64_t deadline,
					     void **ret_tags, size_t max, size_t *ret_count);

/** tarn_waiter_interrupt - make the wait that is going on, or the next one, return -EINTR.
 * Since: 0.1 */
TARN_API void tarn_waiter_interrupt(struct tarn_waiter *waiter);

/**
 * tarn_waiter_fd - a descriptor that is readable when something may be ready; the same each time.
 *
 * Return: 0, or
 *   -EMFILE, -ENFILE   no descriptor is left: raise RLIMIT_NOFILE
 *   -EAGAIN            there is no io_uring, and no thread could be started: raise RLIMIT_NPROC
 *   -ENOMEM
 *   -EBUSY             in a child of fork()
 *   and the waiter is as it was
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_waiter_fd(struct tarn_waiter *waiter, int *ret_fd);

TARN_END_DECLS

#endif /* TARN_WAITER_H */
