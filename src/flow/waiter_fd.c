/* SPDX-License-Identifier: BSD-2-Clause */
/* waiter_fd.c - a descriptor that is readable when something may be ready. See waiter.h. */
#include <errno.h>
#include <linux/futex.h>

#include "flow/waiter.h"

void tarn__waiter_fd_raise(struct waiter_fd *w)
{
	/* seq_cst: before the descriptor is; who clears it is behind disarm(), and alone */
	if (!atomic_exchange_explicit(&w->readable, true, memory_order_seq_cst))
		(void)tarn__plat_eventfd_raise(w->fd);
}

void tarn__waiter_fd_clear(struct waiter_fd *w)
{
	atomic_store_explicit(&w->readable, false, memory_order_seq_cst);
	(void)tarn__plat_eventfd_clear(w->fd); /* in any case: an interrupt does not ask */
}

/* Has one of the words changed, other than phase? A beacon that has fired wakes the next. */
static bool changed(const struct waiter_fd *w)
{
	bool any = false;

	for (unsigned i = 1; i < w->count; i++) {
		_Atomic uint32_t *word = (_Atomic uint32_t *)(uintptr_t)w->words[i].word;
		/* relaxed: whoever is told looks again */
		uint32_t value = atomic_load_explicit(word, memory_order_relaxed);

		if (value == w->words[i].value)
			continue;
		if ((value & FUTEX_OWNER_DIED) != 0)
			(void)tarn__plat_futex_wake(word, 1);
		any = true;
	}
	return any;
}

/* Until one of the words has changed: true. False: phase has. */
static bool sleep_long(struct waiter_fd *w)
{
	for (;;) {
		int r = tarn__plat_futex_waitv(w->words, w->count, tarn__plat_now() + w->slice);

		/* acquire: with the stores of who stops us, or lets us quit */
		if (atomic_load_explicit(&w->phase, memory_order_acquire) != PHASE_ARMED)
			return false;
		if (r == -ENOSYS)
			(void)tarn__plat_futex_wait(&w->phase, PHASE_ARMED,
						    tarn__plat_now() + w->slice);
		else if (r == -EFAULT)
			return true; /* a file was truncated under a word */
		if (changed(w) || w->looks)
			return true;
	}
}

static void *run(void *arg)
{
	struct waiter_fd *w = arg;

	for (;;) {
		/* acquire: words, by tarn__waiter_fd_arm() */
		uint32_t phase = atomic_load_explicit(&w->phase, memory_order_acquire);

		if (phase == PHASE_QUIT)
			return NULL;
		if (phase == PHASE_IDLE) {
			(void)tarn__plat_futex_wait(&w->phase, PHASE_IDLE, TARN_FOREVER);
			continue;
		}
		if (phase == PHASE_ARMED && sleep_long(w)) {
			tarn__waiter_fd_raise(w);
			/* release: words are the waiter's again */
			if (atomic_compare_exchange_strong_explicit(&w->phase, &phase, PHASE_IDLE,
								    memory_order_release,
								    memory_order_relaxed))
				continue;
		}
		phase = PHASE_STOPPING;
		/* release: as above */
		if (atomic_compare_exchange_strong_explicit(&w->phase, &phase, PHASE_IDLE,
							    memory_order_release,
							    memory_order_relaxed))
			(void)tarn__plat_futex_wake(&w->phase, 1);
	}
}

int tarn__waiter_fd_open(struct waiter_fd *w)
{
	int r = tarn__plat_eventfd();

	if (r < 0)
		return r;
	w->fd = r;
	atomic_init(&w->phase, PHASE_IDLE);
	atomic_init(&w->readable, false);
	tarn__waiter_fd_raise(w); /* nobody has looked yet */
	r = tarn__plat_thread_start(run, w, &w->thread);
	if (r < 0) {
		tarn__plat_close(w->fd);
		w->fd = -1;
	}
	return r;
}

static void tell(struct waiter_fd *w, uint32_t phase)
{
	/* release: as in arm() */
	atomic_store_explicit(&w->phase, phase, memory_order_release);
	(void)tarn__plat_futex_wake(&w->phase, 1);
}

void tarn__waiter_fd_close(struct waiter_fd *w, bool here)
{
	if (w->fd < 0)
		return;
	if (here) {
		tarn__waiter_fd_disarm(w);
		tell(w, PHASE_QUIT);
		tarn__plat_thread_join(w->thread);
	}
	tarn__plat_close(w->fd);
	w->fd = -1;
}

void tarn__waiter_fd_disarm(struct waiter_fd *w)
{
	uint32_t phase = PHASE_ARMED;

	/* acquire: the thread is through with words */
	if (!atomic_compare_exchange_strong_explicit(&w->phase, &phase, PHASE_STOPPING,
						     memory_order_acq_rel, memory_order_acquire))
		return;
	(void)tarn__plat_futex_wake(&w->phase, 1);
	while (atomic_load_explicit(&w->phase, memory_order_acquire) == PHASE_STOPPING)
		(void)tarn__plat_futex_wait(&w->phase, PHASE_STOPPING, TARN_FOREVER);
}

void tarn__waiter_fd_arm(struct waiter_fd *w, unsigned count, int64_t slice, bool looks)
{
	w->words[0] = tarn__futex_of(&w->phase, PHASE_ARMED);
	w->count = count;
	w->slice = slice;
	w->looks = looks;
	tell(w, PHASE_ARMED);
}
