/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * waiter.h - one thread waits for many things.
 *
 * Nothing of it is in shared memory. What a source already has for who waits for it alone - a word
 * to sleep on, and a mark that somebody sleeps - serves a waiter as well:
 *
 *   source             says that it sleeps         sleeps on
 *   subscriber         sleep of the topic          bell of the topic
 *   latest, event      sleep                       bell
 *   ring               waiting of its side         the same word, and the peer's beacon
 *   service, client    waiting of its place        the same word, and the beacons of servers that
 *                                                  owe a client answers
 *
 * A wait: look at all; say of all that it sleeps; one barrier on all processors (membarrier); look
 * once more; sleep on all words. So whoever makes something ready behind the last look finds the
 * mark of its own source, and wakes: W4, T9 and B3 of the sources' files.
 *
 * The descriptor is an eventfd. After a wait that found nothing somebody else, who has a copy of
 * words and values, sleeps on them in the waiter's place, and makes the descriptor readable when
 * one of them has changed, or some slices have passed: a peer that was killed between making
 * something ready and telling so has changed none. That is the kernel (io_uring, plat/uring.c), so
 * that whoever makes something ready writes the eventfd itself; where it is refused, when the
 * descriptor is made, a thread. Neither touches a handle.
 *
 * The kernel does not look at the words again after a slice, as the thread does: a wake that went
 * to somebody else is made up for after SLICES of them. When it has told, it still has its place
 * in the queues of the other words, until the second wait from then on, or one that finds nothing:
 * to give them back takes a call and stops a timer, some 10 us for who has just been woken. Its
 * ring is one thread's: a waiter that has been handed to another gets a new one.
 *
 * phase is the word that the thread and its waiter go by:
 *
 *   IDLE      the thread sleeps on phase; words are the waiter's to fill
 *   ARMED     the thread sleeps on words, of which phase is the first
 *   STOPPING  the waiter wants its words back; the thread answers with IDLE
 *   QUIT      the thread is to end
 *
 * tests/model/waiter.pml has both sides, and both forms.
 */
#ifndef TARN_FLOW_WAITER_H
#define TARN_FLOW_WAITER_H

#include <tarn/waiter.h>

#include "region/region.h"

#define NAP_NS INT64_C(1000000) /* from one look to the next, where nobody can wake us */

/* What to sleep on. */
struct waiter_words {
	unsigned count; /* the first word is whose the sleep is: interrupts, phase */
	int64_t slice;
	bool looks; /* after a slice somebody is to look: words do not tell all that may happen */
	bool beacon[TARN__FUTEX_MAX];
	struct tarn__futex words[TARN__FUTEX_MAX];
};

struct waiter_fd {
	int fd;                  /* -1: there is none */
	_Atomic int told;        /* the same for interrupters, once all is well with it */
	struct tarn__uring ring; /* the kernel sleeps ... */
	bool threaded;           /* ... or a thread */
	uintptr_t thread;
	_Atomic uint32_t phase;
	_Atomic bool readable; /* as far as is known */
	struct waiter_words sleep;
};

enum { PHASE_IDLE = 0, PHASE_ARMED = 1, PHASE_STOPPING = 2, PHASE_QUIT = 3 };

struct source_kind; /* waiter.c */

struct source {
	const struct source_kind *kind;
	void *handle;
	const uint64_t *seen; /* of a latest value */
	void *tag;
	struct tarn_region *region;
	_Atomic uint32_t *word; /* to sleep on; NULL: it was not announced */
	uint32_t value;
	uint32_t peer; /* member whose death is to wake us; 0: nobody's */
	int64_t slice; /* for how long to sleep, where the kernel has told of that death in vain */
};

struct tarn_waiter {
	struct source *sources;
	size_t count, room;
	size_t turn;     /* the source to begin with */
	int64_t spin_ns; /* adapts, but for 0 */
	int32_t pid;     /* of the process that opened it */
	_Atomic uint32_t interrupts;
	uint32_t interrupted; /* of which so many were told */
	struct waiter_words sleep;
	struct waiter_fd fd;
};

/* --- waiter_fd.c --------------------------------------------------------------------------- */

/* Make the descriptor, and who sleeps. 0, -EMFILE, -ENFILE, -EAGAIN, -ENOMEM. */
int tarn__waiter_fd_open(struct waiter_fd *w);
/* @here: false in a child of fork(). */
void tarn__waiter_fd_close(struct waiter_fd *w, bool here);
/* Nobody sleeps in the waiter's place, and words may go. */
void tarn__waiter_fd_disarm(struct waiter_fd *w);
/* Sleep on w->sleep, which is not armed, in the waiter's place. */
void tarn__waiter_fd_arm(struct waiter_fd *w);
void tarn__waiter_fd_raise(struct waiter_fd *w);
void tarn__waiter_fd_clear(struct waiter_fd *w);
/* One slice, until @deadline at most. 0: look; -EFAULT: a file was truncated under a word. */
int tarn__waiter_sleep(const struct waiter_words *sleep, int64_t deadline);

#endif /* TARN_FLOW_WAITER_H */
