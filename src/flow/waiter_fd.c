/* SPDX-License-Identifier: BSD-2-Clause */
/* waiter_fd.c - a descriptor that is readable when something may be ready. See waiter.h. */
#include <errno.h>
#include <linux/futex.h>

#include "flow/waiter.h"

enum { SLICES = 10 }; /* after which somebody is to look, whatever the words say */

/* What the kernel sleeps on in place of phase, which it may go on with for some ms after a ring was
 * closed: phase may be that of another waiter by then, whose thread a wake would be for. */
static _Atomic uint32_t nobody;

void tarn__waiter_fd_raise(struct waiter_fd *w)
{
	/* seq_cst: before the descriptor is; who clears it is behind disarm(), and alone */
	if (!atomic_exchange_explicit(&w->readable, true, memory_order_seq_cst))
		(void)tarn__plat_eventfd_raise(w->fd);
	else if (!w->threaded)
		tarn__waiter_fd_disarm(w); /* and not at once: who was just woken is in a hurry */
}

void tarn__waiter_fd_clear(struct waiter_fd *w)
{
	atomic_store_explicit(&w->readable, false, memory_order_seq_cst);
	(void)tarn__plat_eventfd_clear(w->fd); /* in any case: an interrupt does not ask */
}

/* A beacon that has fired wakes one sleeper, who wakes the next (beacon.c). */
static void pass_on(const struct waiter_words *sleep)
{
	for (unsigned i = 1; i < sleep->count; i++) {
		_Atomic uint32_t *word = (_Atomic uint32_t *)(uintptr_t)sleep->words[i].word;

		/* relaxed: a hint */
		if (sleep->beacon[i] &&
		    (atomic_load_explicit(word, memory_order_relaxed) & FUTEX_OWNER_DIED) != 0)
			(void)tarn__plat_futex_wake(word, 1);
	}
}

int tarn__waiter_sleep(const struct waiter_words *sleep, int64_t deadline)
{
	int64_t until = tarn__plat_now() + sleep->slice, nap;
	int r = tarn__plat_futex_waitv(sleep->words, sleep->count,
				       until < deadline ? until : deadline);

	if (r == 0 || r == -EAGAIN || r == -ETIMEDOUT || r == -EFAULT) {
		if (r != -EFAULT)
			pass_on(sleep);
		return r == -EFAULT ? r : 0;
	}
	/* An older kernel, or a filter. */
	nap = tarn__plat_now() + NAP_NS;
	(void)tarn__plat_futex_wait((_Atomic uint32_t *)(uintptr_t)sleep->words[0].word,
				    (uint32_t)sleep->words[0].value,
				    nap < deadline ? nap : deadline);
	return 0;
}

/* Has one of the words changed, other than phase? */
static bool changed(const struct waiter_words *sleep)
{
	for (unsigned i = 1; i < sleep->count; i++) {
		const _Atomic uint32_t *word = (_Atomic uint32_t *)(uintptr_t)sleep->words[i].word;

		/* relaxed: whoever is told looks again */
		if (atomic_load_explicit(word, memory_order_relaxed) != sleep->words[i].value)
			return true;
	}
	return false;
}

/* Until it is time to look: true. False: phase has changed. */
static bool sleep_long(struct waiter_fd *w)
{
	for (int slices = 1;; slices++) {
		int r = tarn__waiter_sleep(&w->sleep, TARN_FOREVER);

		/* acquire: with the stores of who stops us */
		if (atomic_load_explicit(&w->phase, memory_order_acquire) != PHASE_ARMED)
			return false;
		if (r < 0 || w->sleep.looks || slices == SLICES || changed(&w->sleep))
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

static int start_thread(struct waiter_fd *w)
{
	int r;

	w->threaded = true;
	r = tarn__plat_thread_start(run, w, &w->thread);
	if (r < 0)
		w->threaded = false;
	return r;
}

int tarn__waiter_fd_open(struct waiter_fd *w)
{
	int r = tarn__plat_eventfd();

	if (r < 0)
		return r;
	w->fd = r;
	w->ring = (struct tarn__uring){ .fd = -1 };
	w->threaded = false;
	atomic_init(&w->phase, PHASE_IDLE);
	atomic_init(&w->readable, false);
	tarn__waiter_fd_raise(w); /* nobody has looked yet */
	r = tarn__plat_uring_open(w->fd, &w->ring);
	if (r < 0)
		r = start_thread(w);
	if (r < 0) {
		tarn__plat_close(w->fd);
		w->fd = -1;
	} else { /* release: with all that it takes to be raised */
		atomic_store_explicit(&w->told, w->fd, memory_order_release);
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
	if (here)
		tarn__waiter_fd_disarm(w);
	if (here && w->threaded) {
		tell(w, PHASE_QUIT);
		tarn__plat_thread_join(w->thread);
	}
	tarn__plat_uring_close(&w->ring, here);
	/* relaxed: nobody may interrupt what is being closed */
	atomic_store_explicit(&w->told, -1, memory_order_relaxed);
	tarn__plat_close(w->fd);
	w->fd = -1;
}

static void stop_kernel(struct waiter_fd *w)
{
	if (w->ring.pending == 0)
		return;
	if (tarn__plat_uring_cancel(&w->ring) < 0)
		tarn__plat_uring_close(&w->ring, true); /* which ends all */
	pass_on(&w->sleep);
}

static void stop_thread(struct waiter_fd *w)
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

void tarn__waiter_fd_disarm(struct waiter_fd *w)
{
	if (w->threaded)
		stop_thread(w);
	else
		stop_kernel(w);
}

/* Whatever comes of it, the descriptor is readable then. */
static int ask_kernel(struct waiter_fd *w)
{
	const struct waiter_words *sleep = &w->sleep;

	return tarn__plat_uring_wait(&w->ring, sleep->words, sleep->count,
				     sleep->looks ? sleep->slice : SLICES * sleep->slice);
}

/* Another thread has opened it, or it was closed in disarm(): a new one. */
static int ask_kernel_anew(struct waiter_fd *w)
{
	int r;

	tarn__plat_uring_close(&w->ring, true);
	r = tarn__plat_uring_open(w->fd, &w->ring);
	if (r == 0)
		r = ask_kernel(w);
	if (r < 0)
		tarn__plat_uring_close(&w->ring, true);
	return r;
}

void tarn__waiter_fd_arm(struct waiter_fd *w)
{
	w->sleep.words[0] = tarn__futex_of(&nobody, 0);
	if (!w->threaded && ask_kernel(w) < 0 && ask_kernel_anew(w) < 0 && start_thread(w) < 0) {
		tarn__waiter_fd_raise(w); /* nobody can sleep: its owner looks all the time */
		return;
	}
	if (w->threaded) {
		w->sleep.words[0] = tarn__futex_of(&w->phase, PHASE_ARMED);
		tell(w, PHASE_ARMED);
	}
}
