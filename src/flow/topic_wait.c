/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_wait.c - the subscriber waits for a message. See topic.h.
 *
 * It looks at its lanes for some microseconds, since a publisher that is awake has the next message
 * there that soon; then it waits as whoever sleeps on the bell of a primitive does (T9), or, of
 * peers that do not trust each other, as apart.h says. Who only looks on naps.
 */
#include <errno.h>

#include "flow/apart.h"

enum {
	LOOKS = 512, /* at lanes: a few microseconds, before one prepares to sleep */
	YIELDS = 64, /* of so many one lets others have the processor: the publisher, maybe */
};
#define NAP_NS INT64_C(1000000)

/* Is a look worth it? */
static bool message_there(const struct tarn_subscriber *subscriber)
{
	/* relaxed, all: who finds something looks again */
	if (atomic_load_explicit(subscriber->topic.comings, memory_order_relaxed) !=
	    subscriber->comings)
		return true;
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		const struct reader *reader = &subscriber->readers[i];

		if ((reader->damaged && !reader->untold) ||
		    (reader->lane.shm == NULL && !reader->damaged))
			continue;
		if (reader->damaged ||
		    atomic_load_explicit(&message_at(&reader->lane, reader->pos)->number,
					 memory_order_relaxed) != 0 ||
		    (!guarded(subscriber) &&
		     atomic_load_explicit(&reader->lane.shm->oldest, memory_order_relaxed) >
			     reader->pos))
			return true;
	}
	return false;
}

static int try_message(struct prim *prim, struct await *w, void *arg)
{
	struct tarn_subscriber *subscriber = (struct tarn_subscriber *)prim;

	(void)arg;
	/* T9 <> T10 in notify() */
	if (w != NULL && w->announced && tarn__plat_membarrier_sync() < 0)
		tarn__subscriber_fence(subscriber);
	return message_there(subscriber);
}

void tarn__subscriber_fence(struct tarn_subscriber *subscriber)
{
	if (subscriber->scout != NULL) {
		tarn__scout_fence(subscriber);
		return;
	}
	atomic_store_explicit(&subscriber->topic.shm->fence, 1, memory_order_seq_cst);
}

/* Nothing is there, and of those that are gone nothing will be: their places are for others, also
 * while one sleeps. */
static void part_with_the_gone(struct tarn_subscriber *subscriber)
{
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		struct reader *reader = &subscriber->readers[i];

		if (TARN__UNLIKELY(reader->leaves) && reader->held_count == 0)
			tarn__subscriber_part(subscriber, reader);
	}
}

bool tarn__subscriber_there(struct tarn_subscriber *subscriber)
{
	if (TARN__UNLIKELY(subscriber->topic.stale) || notice_lanes(subscriber) < 0 ||
	    message_there(subscriber))
		return true;
	part_with_the_gone(subscriber);
	return tarn__subscriber_nothing(subscriber) != -EAGAIN;
}

/* Who may not say that it sleeps looks again and again. */
static int wait_outside(struct tarn_subscriber *subscriber, int64_t deadline)
{
	_Atomic uint32_t word = 0;
	int64_t now = tarn__plat_now(), nap = now + NAP_NS;

	if (now >= deadline)
		return -ETIMEDOUT;
	(void)tarn__plat_futex_wait(&word, 0, nap < deadline ? nap : deadline);
	return topic_damaged(&subscriber->topic) ? -EIO : 0;
}

/* A publisher that is awake has the next message there that soon. */
static bool comes_soon(const struct tarn_subscriber *subscriber)
{
	uint32_t lanes = subscriber->reader_count, looks = LOOKS / (lanes + 1);

	for (uint32_t i = 0; i < looks; i++) {
		if (message_there(subscriber))
			return true;
		if (i % YIELDS == YIELDS - 1)
			tarn__plat_yield();
		else
			tarn__plat_pause();
	}
	return false;
}

static int wait_message(struct tarn_subscriber *subscriber, int64_t deadline)
{
	if (looks_on(subscriber))
		return wait_outside(subscriber, deadline);
	if (comes_soon(subscriber))
		return 0;
	if (subscriber->scout != NULL)
		return tarn__scout_wait(subscriber, deadline);
	return tarn__prim_await(&subscriber->topic.prim, deadline, try_message, NULL);
}

int tarn_subscriber_take_wait(struct tarn_subscriber *subscriber, void *buf, size_t buf_size,
			      int64_t deadline, struct tarn_message *ret_message)
{
	for (bool vain = false;; vain = true) {
		int r = tarn_subscriber_take(subscriber, buf, buf_size, ret_message);

		if (r == -EAGAIN && vain && tarn__plat_now() >= deadline)
			r = -ETIMEDOUT; /* whatever a peer makes us look for */
		if (r != -EAGAIN)
			return r;
		r = wait_message(subscriber, deadline);
		if (r < 0)
			return r;
	}
}

int tarn_subscriber_hold_wait(struct tarn_subscriber *subscriber, int64_t deadline,
			      struct tarn_message *ret_message)
{
	for (bool vain = false;; vain = true) {
		int r = tarn_subscriber_hold(subscriber, ret_message);

		if (r == -EAGAIN && vain && tarn__plat_now() >= deadline)
			r = -ETIMEDOUT; /* whatever a peer makes us look for */
		if (r != -EAGAIN)
			return r;
		r = wait_message(subscriber, deadline);
		if (r < 0)
			return r;
	}
}
