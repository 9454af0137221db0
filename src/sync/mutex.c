/* SPDX-License-Identifier: BSD-2-Clause */
/* mutex.c - the lock of prim.h by itself. It has no seats, and state is 0. */
#include <errno.h>

#include <tarn/mutex.h>

#include "sync/prim.h"

struct tarn_mutex {
	struct prim prim;
};

int tarn_mutex_open(struct tarn_region *region, const char *name,
		    const struct tarn_mutex_opts *opts, struct tarn_mutex **ret_mutex)
{
	struct prim_want want = { .kind = TARN_OBJECT_MUTEX, .handle = sizeof(**ret_mutex) };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if (opts->type > TARN_MUTEX_RECURSIVE || opts->pad != 0 || opts->reserved[0] != 0 ||
		    opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL,
					  "mutex %s: type %u: 0 to %d is possible, and reserved "
					  "options are zero",
					  name, opts->type, TARN_MUTEX_RECURSIVE);
		want.make = true;
		want.flags = opts->type;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_mutex = (struct tarn_mutex *)prim;
	return r;
}

void tarn_mutex_close(struct tarn_mutex *mutex)
{
	tarn__prim_close(mutex != NULL ? &mutex->prim : NULL);
}

__attribute__((noinline)) static int lock_slowly(struct tarn_mutex *mutex, int64_t deadline,
						 bool wait, struct tarn_diag *diag)
{
	struct prim *prim = &mutex->prim;

	if (prim->flags == TARN_MUTEX_RECURSIVE && tarn__prim_mine(prim)) {
		prim->depth++;
		return tarn__prim_verdict(prim);
	}
	return tarn__prim_lock(prim, deadline, wait, diag);
}

__attribute__((noinline)) static int lock_anew(struct tarn_mutex *mutex, int64_t deadline,
					       bool wait, struct tarn_diag *diag)
{
	unlock(mutex->prim.sec.shm, 0);
	return lock_slowly(mutex, deadline, wait, diag);
}

static inline int lock_it(struct tarn_mutex *mutex, int64_t deadline, bool wait,
			  struct tarn_diag *diag)
{
	enum prim_fast fast = tarn__prim_lock_fast(&mutex->prim);

	if (TARN__LIKELY(fast == FAST_MINE))
		return 0;
	return fast == FAST_BACK ? lock_anew(mutex, deadline, wait, diag)
				 : lock_slowly(mutex, deadline, wait, diag);
}

int tarn_mutex_lock(struct tarn_mutex *mutex, int64_t deadline, struct tarn_diag *diag)
{
	return lock_it(mutex, deadline, true, diag);
}

int tarn_mutex_try(struct tarn_mutex *mutex, struct tarn_diag *diag)
{
	return lock_it(mutex, INT64_MIN, false, diag);
}

int tarn_mutex_unlock(struct tarn_mutex *mutex)
{
	struct prim *prim = &mutex->prim;

	if (TARN__UNLIKELY(!tarn__prim_mine(prim)))
		return -EPERM;
	if (TARN__UNLIKELY(prim->depth > 0))
		prim->depth--;
	else
		tarn__prim_unlock(prim);
	return 0;
}

struct prim *tarn__mutex_prim(struct tarn_mutex *mutex)
{
	return &mutex->prim;
}

int tarn_mutex_consistent(struct tarn_mutex *mutex)
{
	if (!tarn__prim_mine(&mutex->prim))
		return -EPERM;
	tarn__prim_answer(&mutex->prim);
	return 0;
}
