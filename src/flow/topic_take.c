/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_take.c - the subscriber takes and holds. See topic.h.
 *
 * A lossless subscriber is guarded: nothing from its low on is written over, so it reads as one
 * reads what is one's own. It raises low a thirty-second of the lane at a time, when nothing is
 * there, and at once where the publisher waits for it. A lossy one is not: whatever it reads may be
 * of a later lap, and so it believes nothing before it has looked at oldest. What is found there is
 * clamped to the lane before it selects an address.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "flow/apart.h"

enum {
	SMALL = 256,  /* bytes that are copied without a hold, as topic_publish.c stores them */
	RAISES = 32,  /* of low, a lap */
	TRIES = 1000, /* to find a message in a lane that is written over all the while */
	LOOKS = 512,  /* at lanes: a few microseconds, before one prepares to sleep */
};
#define NAP_NS INT64_C(1000000)

/* --- low ----------------------------------------------------------------------------------- */

static void store_low(struct tarn_subscriber *subscriber, struct reader *reader, uint64_t low)
{
	reader->raised = low;
	if (TARN__UNLIKELY(subscriber->topic.fence)) /* T10 <> T9, by ourselves */
		(void)atomic_exchange_explicit(&reader->low->pos, low, memory_order_seq_cst);
	else /* T5 -> T6 in needs_below() */
		atomic_store_explicit(&reader->low->pos, low, memory_order_release);
	/* T10 <> T9 in wait_room(): relaxed, the sleeper's barrier orders it behind our store */
	if (TARN__UNLIKELY(atomic_load_explicit(&reader->lane.shm->waits, memory_order_relaxed) !=
			   0))
		/* With no region one publisher sleeps there; others may have put thousands. */
		tarn__topic_wake(reader->token, reader->sleep != NULL ? 1 : INT32_MAX);
}

/* What this subscriber needs of the lane begins here. */
static inline uint64_t floor_of(const struct reader *reader)
{
	return reader->held_count != 0 ? reader->held[0].pos : reader->pos;
}

/* One that takes all: raise low, if it is worth it, or waited for. */
static inline void raise_low(struct tarn_subscriber *subscriber, struct reader *reader)
{
	uint64_t low = floor_of(reader);

	/* relaxed: as in store_low() */
	if (TARN__UNLIKELY(low - reader->raised >= reader->lane.capacity / RAISES) ||
	    (low != reader->raised &&
	     TARN__UNLIKELY(atomic_load_explicit(&reader->lane.shm->waits, memory_order_relaxed) !=
			    0)))
		store_low(subscriber, reader, low);
}

/* --- look ---------------------------------------------------------------------------------- */

/* The lane contradicts itself: leave it to itself. */
static int give_up(struct tarn_subscriber *subscriber, struct reader *reader)
{
	reader->damaged = true;
	if (reader->low != NULL && reader->held_count == 0)
		store_low(subscriber, reader, takes_all(subscriber) ? LOW_OF_NOBODY : 0);
	return -EUCLEAN;
}

/* Is what lies at pos still that of this lap? */
static inline bool still_there(const struct tarn_subscriber *subscriber,
			       const struct reader *reader)
{
	return guarded(subscriber) || oldest_of(reader) <= reader->pos;
}

static inline bool is_next(const struct reader *reader, const struct sight *sight)
{
	return sight->number == reader->number ||
	       (reader->loose && sight->number >= reader->number);
}

/* To the newest message, over all others. */
static inline void go_to_last(struct reader *reader)
{
	/* acquire: what it counts is there */
	uint64_t last = atomic_load_explicit(&reader->lane.shm->last, memory_order_acquire);

	if (last > reader->pos && is_position(&reader->lane, last)) {
		reader->pos = last;
		reader->loose = true;
	}
}

/* The next message of the lane. 0, -EAGAIN: none now, -EUCLEAN. */
static int look(struct tarn_subscriber *subscriber, struct reader *reader, struct sight *ret_sight)
{
	for (int tries = 0; tries < TRIES; tries++) {
		int r;

		if (subscriber->latest)
			go_to_last(reader);
		r = tarn__message_see(&reader->lane, reader->pos, ret_sight);
		if (!still_there(subscriber, reader)) {
			reader->pos = oldest_of(reader);
			reader->loose = true;
			if (!is_position(&reader->lane, reader->pos))
				return give_up(subscriber, reader);
			continue;
		}
		if (r < 0 || (ret_sight->number != 0 && !is_next(reader, ret_sight)))
			return give_up(subscriber, reader);
		if (ret_sight->number == 0)
			return -EAGAIN;
		if (!ret_sight->skip)
			return subscriber->scout != NULL &&
					       ret_sight->size < subscriber->topic.least
				       ? give_up(subscriber, reader)
				       : 0;
		reader->pos = ret_sight->end;
	}
	return -EAGAIN;
}

static int notice_lanes(struct tarn_subscriber *subscriber)
{
	/* acquire: as in add_readers() */
	if (TARN__LIKELY(atomic_load_explicit(subscriber->topic.comings, memory_order_acquire) ==
			 subscriber->comings))
		return 0;
	return tarn__subscriber_lanes(subscriber);
}

/* Nothing is there: say so to those who wait for room, too. */
static int nothing(struct tarn_subscriber *subscriber)
{
	for (uint32_t i = 0; takes_all(subscriber) && i < subscriber->reader_count; i++) {
		struct reader *reader = &subscriber->readers[i];

		if (reader->low != NULL && !reader->damaged && floor_of(reader) != reader->raised)
			store_low(subscriber, reader, floor_of(reader));
	}
	return topic_damaged(&subscriber->topic) ? -EIO : -EAGAIN;
}

/* The next message of any lane, each by turns. 0, -EAGAIN, -EUCLEAN. */
static int find(struct tarn_subscriber *subscriber, struct reader **ret_reader,
		struct sight *ret_sight)
{
	uint32_t count, at;
	int r = TARN__UNLIKELY(subscriber->topic.stale) ? -EBUSY : notice_lanes(subscriber);

	if (TARN__UNLIKELY(r < 0))
		return r;
	count = subscriber->reader_count;
	at = subscriber->turn;
	for (uint32_t i = 0; i < count; i++, at++) {
		struct reader *reader;

		if (at >= count)
			at = 0;
		reader = &subscriber->readers[at];
		if (TARN__UNLIKELY(reader->damaged)) {
			if (!reader->untold && reader->leaves && reader->held_count == 0)
				tarn__subscriber_part(subscriber, reader);
			if (!reader->untold)
				continue;
			reader->untold = false;
			return -EUCLEAN;
		}
		if (TARN__UNLIKELY(reader->lane.shm == NULL))
			continue; /* with no region: nobody is there now */
		if (TARN__UNLIKELY(reader->waits) && tarn__held_back(subscriber, reader))
			continue;
		r = look(subscriber, reader, ret_sight);
		if (r == -EAGAIN) {
			if (TARN__UNLIKELY(reader->leaves) && reader->held_count == 0)
				tarn__subscriber_part(subscriber, reader);
			else if (takes_all(subscriber))
				raise_low(subscriber, reader);
			continue;
		}
		subscriber->turn = at + 1;
		*ret_reader = reader;
		return r;
	}
	return nothing(subscriber);
}

/* What is said of it in its header. */
static void fill(const struct tarn_subscriber *subscriber, const struct reader *reader,
		 const struct sight *sight, struct tarn_message *ret_message)
{
	const struct message_shm *message = message_at(&reader->lane, reader->pos);
	uint32_t most = subscriber->topic.most;

	*ret_message = (struct tarn_message){
		.size = sight->size < most ? sight->size : most,
		.number = sight->number,
		.missed = reader->number != 0 ? sight->number - reader->number : 0,
		/* acquire: who is not guarded looks at oldest afterwards */
		.time_ns = (int64_t)atomic_load_explicit(&message->time, memory_order_acquire),
		.publisher = (uint32_t)(reader - subscriber->readers),
		.member = atomic_load_explicit(&message->member, memory_order_acquire),
	};
}

/* Say how many were missed, for the eye. */
static void note_missed(struct tarn_subscriber *subscriber, struct reader *reader, uint64_t missed)
{
	subscriber->missed += missed;
	reader->missed += missed;
	if (reader->low != NULL) /* relaxed: for the eye */
		atomic_store_explicit(&reader->low->missed, reader->missed, memory_order_relaxed);
}

static inline void step(struct tarn_subscriber *subscriber, struct reader *reader,
			const struct sight *sight, const struct tarn_message *message)
{
	reader->pos = sight->end;
	reader->number = sight->number + 1;
	reader->loose = false;
	subscriber->taken++;
	if (TARN__UNLIKELY(message->missed != 0))
		note_missed(subscriber, reader, message->missed);
}

/* Hold what lies at pos: nothing from there on is written over. False: it is too late. */
static bool take_hold(struct tarn_subscriber *subscriber, struct reader *reader)
{
	if (takes_all(subscriber) || reader->held_count != 0)
		return still_there(subscriber, reader); /* by the low that it has */
	/* T3 <> T4 in needs_below() */
	atomic_store_explicit(&reader->low->pos, reader->pos, memory_order_seq_cst);
	reader->raised = reader->pos;
	/* T4 <> T3 in claim() */
	if (TARN__LIKELY(atomic_load_explicit(&reader->lane.shm->oldest, memory_order_seq_cst) <=
			 reader->pos))
		return true;
	store_low(subscriber, reader, 0);
	return false;
}

static void let_go(struct tarn_subscriber *subscriber, struct reader *reader)
{
	if (!takes_all(subscriber) && reader->held_count == 0)
		store_low(subscriber, reader, 0);
}

/* --- take ---------------------------------------------------------------------------------- */

/* Copy the message at pos. False: it was written over meanwhile. */
static bool copy(struct tarn_subscriber *subscriber, struct reader *reader, void *buf, size_t size)
{
	const unsigned char *from = message_at(&reader->lane, reader->pos)->payload;

	if (guarded(subscriber)) {
		if (size != 0) /* there may be no buffer then */
			memcpy(buf, from, size);
		return true;
	}
	if (size > SMALL && reader->low != NULL) {
		bool there = take_hold(subscriber, reader);

		if (there && reader->sleep == NULL) {
			memcpy(buf, from, size);
		} else if (there) { /* who goes on all the same is found out afterwards */
			tarn__load_bytes(buf, from, size);
			there = oldest_of(reader) <= reader->pos;
		}
		if (there || reader->sleep != NULL)
			let_go(subscriber, reader);
		return there;
	}
	tarn__load_bytes(buf, from, size);
	return oldest_of(reader) <= reader->pos;
}

int tarn_subscriber_take(struct tarn_subscriber *subscriber, void *buf, size_t buf_size,
			 struct tarn_message *ret_message)
{
	for (int tries = 0; tries < TRIES; tries++) {
		struct tarn_message message;
		struct reader *reader;
		struct sight sight;
		int r = find(subscriber, &reader, &sight);

		if (r < 0)
			return r;
		fill(subscriber, reader, &sight, &message);
		if (TARN__UNLIKELY(message.size > buf_size)) {
			if (!still_there(subscriber, reader))
				continue;
			/* It is the next one still; of publishers that trust nobody, of its own. */
			if (subscriber->scout == NULL)
				subscriber->turn = message.publisher;
			*ret_message = message;
			return -ENOBUFS;
		}
		if (TARN__UNLIKELY(!copy(subscriber, reader, buf, message.size)))
			continue;
		step(subscriber, reader, &sight, &message);
		if (takes_all(subscriber))
			raise_low(subscriber, reader);
		*ret_message = message;
		return 0;
	}
	return -EAGAIN;
}

/* --- hold ---------------------------------------------------------------------------------- */

static int make_room(struct reader *reader)
{
	uint32_t room = reader->held_room != 0 ? reader->held_room * 2 : 4;
	struct held *grown;

	if (reader->held_count < reader->held_room)
		return 0;
	grown = realloc(reader->held, room * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	reader->held = grown;
	reader->held_room = room;
	return 0;
}

int tarn_subscriber_hold(struct tarn_subscriber *subscriber, struct tarn_message *ret_message)
{
	if (looks_on(subscriber))
		return -EPERM;
	for (int tries = 0; tries < TRIES; tries++) {
		struct reader *reader;
		struct sight sight;
		int r = find(subscriber, &reader, &sight);

		if (r == 0)
			r = make_room(reader);
		if (r < 0)
			return r;
		if (!take_hold(subscriber, reader))
			continue;
		/* once more, since it was not guarded when it was looked at */
		fill(subscriber, reader, &sight, ret_message);
		ret_message->data = message_at(&reader->lane, reader->pos)->payload;
		reader->held[reader->held_count++] =
			(struct held){ .pos = reader->pos, .number = sight.number };
		subscriber->held++;
		step(subscriber, reader, &sight, ret_message);
		if (takes_all(subscriber))
			raise_low(subscriber, reader);
		return 0;
	}
	return -EAGAIN;
}

/* The messages at the front that were released are held no more. */
static void drop_released(struct tarn_subscriber *subscriber, struct reader *reader)
{
	uint32_t gone = 0;

	while (gone < reader->held_count && reader->held[gone].released)
		gone++;
	if (gone == 0)
		return;
	reader->held_count -= gone;
	memmove(reader->held, reader->held + gone, reader->held_count * sizeof(*reader->held));
	if (reader->damaged && reader->held_count == 0)
		store_low(subscriber, reader, takes_all(subscriber) ? LOW_OF_NOBODY : 0);
	else if (takes_all(subscriber))
		raise_low(subscriber, reader);
	else
		store_low(subscriber, reader, reader->held_count != 0 ? reader->held[0].pos : 0);
}

int tarn_subscriber_release(struct tarn_subscriber *subscriber, const struct tarn_message *message)
{
	struct reader *reader;
	bool there;

	if (subscriber->topic.stale)
		return -EBUSY;
	if (message->data == NULL || message->publisher >= subscriber->reader_count)
		return -EINVAL;
	reader = &subscriber->readers[message->publisher];
	for (uint32_t i = 0; i < reader->held_count; i++) {
		struct held *held = &reader->held[i];

		/* one that was written over may lie where another does that is held, too */
		if (held->released || held->number != message->number ||
		    message_at(&reader->lane, held->pos)->payload != message->data)
			continue;
		there = guarded(subscriber) || oldest_of(reader) <= held->pos;
		held->released = true;
		subscriber->held--;
		drop_released(subscriber, reader);
		return there || reader->sleep == NULL ? 0 : -ESTALE;
	}
	return -EINVAL;
}

/* --- waiting ------------------------------------------------------------------------------- */

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
	return nothing(subscriber) != -EAGAIN;
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

int tarn_subscriber_stat(struct tarn_subscriber *subscriber, struct tarn_subscriber_stat *ret_stat)
{
	*ret_stat = (struct tarn_subscriber_stat){
		.taken = subscriber->taken,
		.missed = subscriber->missed,
		.subscriber = subscriber->topic.seat == UINT32_MAX
				      ? UINT32_MAX
				      : subscriber->topic.seat - TARN_TOPIC_PUBLISHERS_MAX,
		.publishers = subscriber->scout != NULL
				      ? tarn__scout_publishers(subscriber)
				      : tarn__topic_publishers(&subscriber->topic),
		.lanes = subscriber->reader_count,
		.held = subscriber->held,
	};
	return 0;
}
