/* SPDX-License-Identifier: BSD-2-Clause */
/* thread.h - what a thread knows of itself: who it is, which tx it is inside of, what it holds. */
#ifndef TARN_SYNC_THREAD_H
#define TARN_SYNC_THREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tx;
struct prim;

struct thread {
	union {
		struct {
			uint32_t tid;   /* 0: not ready */
			uint32_t token; /* drawn by the thread, not 0: tells it from one of equal
			                   ids in another PID namespace */
		};
		uint64_t both;
	};
	struct tx *open;   /* one a region */
	struct prim *held; /* primitives, to tarn__held_none; NULL: the thread is not ready */
	bool seated;       /* it has had a seat that it must not keep */
	uint32_t seat;     /* 1 + which it had last, 0 none: rwlock.c */
};

/* One segment-relative access, where the C library lets a library that is loaded late have one. */
#if defined(__GLIBC__) && defined(__ELF__)
#define TARN__TLS __attribute__((tls_model("initial-exec")))
#else
#define TARN__TLS
#endif

extern _Thread_local struct thread tarn__self TARN__TLS;

/* The end of a list of what is held: no primitive. */
extern struct prim tarn__held_none;

static inline bool tarn__thread_has_locks(const struct thread *me)
{
	return me->held != NULL && me->held != &tarn__held_none;
}

/* Is it inside of anything that another may wait for? */
static inline bool tarn__thread_holds(void)
{
	return tarn__self.open != NULL || tarn__thread_has_locks(&tarn__self);
}

/* Make tarn__self ready. 0, -ENOMEM. */
int tarn__thread_begin(void);

#endif /* TARN_SYNC_THREAD_H */
