/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * once.c - the lock of prim.h for who does it; state is 1 once it is done, else 0.
 *
 * Ordering, besides that of prim.h:
 *   O1 -> O2  state is 1 after all that was done                who reads 1 sees that
 *
 * After a crash: as prim.h says; who died before state was 1 is told of to the next one, until it
 * is done. After that nobody looks at the lock any more.
 */
#include <errno.h>

#include <tarn/once.h>

#include "sync/prim.h"

struct tarn_once {
	struct prim prim;
};

static inline bool done(const struct prim *prim)
{
	/* O2 <- O1 in finish() */
	return TARN__LIKELY(atomic_load_explicit(&prim->sec.shm->state, memory_order_acquire) == 1);
}

int tarn_once_open(struct tarn_region *region, const char *name, const struct tarn_once_opts *opts,
		   struct tarn_once **ret_once)
{
	struct prim_want want = { .kind = TARN_OBJECT_ONCE, .handle = sizeof(**ret_once) };
	struct prim *prim;
	int r;

	if (opts != NULL) {
		if (opts->reserved[0] != 0 || opts->reserved[1] != 0)
			return tarn__diag(opts->diag, -EINVAL, "once %s: reserved options are zero",
					  name);
		want.make = true;
		want.diag = opts->diag;
	}
	r = tarn__prim_open(region, name, &want, &prim);
	if (r == 0)
		*ret_once = (struct tarn_once *)prim;
	return r;
}

void tarn_once_close(struct tarn_once *once)
{
	tarn__prim_close(once != NULL ? &once->prim : NULL);
}

int tarn_once_begin(struct tarn_once *once, int64_t deadline, struct tarn_diag *diag)
{
	struct tarn_diag words = { .what = "" };
	struct prim *prim = &once->prim;
	int r;

	if (done(prim))
		return TARN_ONCE_DONE;
	r = tarn__prim_lock(prim, deadline, true, &words);
	if (r < 0 && r != -EOWNERDEAD)
		return tarn__diag_pass(diag, &words, r);
	if (!done(prim))
		return r == 0 ? TARN_ONCE_FIRST : TARN_ONCE_AGAIN;
	tarn__prim_unlock(prim);
	return TARN_ONCE_DONE;
}

static void finish(struct prim *prim)
{
	/* O1 -> O2 in done() */
	atomic_store_explicit(&prim->sec.shm->state, 1, memory_order_release);
	tarn__prim_answer(prim);
	tarn__prim_unlock(prim);
}

int tarn_once_done(struct tarn_once *once)
{
	if (!tarn__prim_mine(&once->prim))
		return -EPERM;
	finish(&once->prim);
	return 0;
}

int tarn_once_fail(struct tarn_once *once)
{
	if (!tarn__prim_mine(&once->prim))
		return -EPERM;
	tarn__prim_unlock(&once->prim);
	return 0;
}

int tarn_once_run(struct tarn_once *once, int64_t deadline, int (*fn)(void *arg, bool again),
		  void *arg, struct tarn_diag *diag)
{
	int r;

	if (done(&once->prim))
		return 0;
	r = tarn_once_begin(once, deadline, diag);
	if (r <= 0)
		return r;
	r = fn(arg, r == TARN_ONCE_AGAIN);
	if (r < 0)
		tarn__prim_unlock(&once->prim);
	else
		finish(&once->prim);
	return r < 0 ? r : 0;
}

bool tarn_once_is_done(const struct tarn_once *once)
{
	return done(&once->prim);
}
