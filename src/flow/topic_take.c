/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_take.c - the subscriber's side. See topic.h.
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

#include "flow/topic.h"

enum {
	SMALL = 256,  /* bytes that are copied without a hold, as topic_publish.c stores them */
	RAISES = 32,  /* of low, a lap */
	WALKS = 16,   /* to find where to begin beside one that publishes all the while */
	TRIES = 1000, /* to find a message in a lane that is written over all the while */
};
#define NAP_NS        INT64_C(1000000)
#define LOW_OF_NOBODY UINT64_MAX /* of a lane that nothing is taken from any more */

static inline bool guarded(const struct tarn_subscriber *subscriber)
{
	return subscriber->how == LOSSLESS;
}

/* T8 <- T7 in claim(): behind what was loaded with acquire before. */
static inline uint64_t oldest_of(const struct reader *reader)
{
	return atomic_load_explicit(&reader->lane.shm->oldest, memory_order_acquire);
}

/* --- low ----------------------------------------------------------------------------------- */

/* Its publisher sleeps on our seat: wake it. */
static void wake(struct tarn_subscriber *subscriber)
{
	struct seat_shm *seat = &subscriber->topic.prim.seats[subscriber->topic.seat];

	/* release: low was stored before */
	atomic_fetch_add_explicit(&seat->token, 1, memory_order_release);
	(void)tarn__plat_futex_wake(&seat->token, INT32_MAX);
}

static void store_low(struct tarn_subscriber *subscriber, struct reader *reader, uint64_t low)
{
	reader->raised = low;
	if (TARN__UNLIKELY(subscriber->topic.fence)) /* T10 <> T9, by ourselves */
		(void)atomic_exchange_explicit(reader->low, low, memory_order_seq_cst);
	else /* T5 -> T6 in needs_below() */
		atomic_store_explicit(reader->low, low, memory_order_release);
	/* T10 <> T9 in wait_room(): relaxed, the sleeper's barrier orders it behind our store */
	if (TARN__UNLIKELY(atomic_load_explicit(&reader->lane.shm->waits, memory_order_relaxed) !=
			   0))
		wake(subscriber);
}

/* What this subscriber needs of the lane begins here. */
static inline uint64_t floor_of(const struct reader *reader)
{
	return reader->held_count != 0 ? reader->held[0].pos : reader->pos;
}

/* A guarded one: raise low, if it is worth it, or waited for. */
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

/* --- lanes --------------------------------------------------------------------------------- */

/* From @pos on, over what was published and not counted: to the header that says 0. */
static int walk_on(struct reader *reader, uint64_t pos, uint64_t number)
{
	uint64_t begin = pos;

	while (pos - begin <= reader->lane.capacity) {
		struct sight sight;
		int r = tarn__message_see(&reader->lane, pos, &sight);

		if (r < 0)
			return r;
		if (sight.number == 0) {
			reader->pos = pos;
			reader->number = number;
			return 0;
		}
		number = sight.number + !sight.skip;
		pos = sight.end;
	}
	return -EUCLEAN;
}

/* Go @count messages back from the end, as far as they are there. */
static void walk_back(struct reader *reader, uint64_t oldest, uint64_t last, uint32_t count)
{
	uint64_t pos = last;
	struct sight sight;

	if (count == 0 || last < oldest || tarn__message_see(&reader->lane, last, &sight) < 0 ||
	    sight.number == 0 || sight.skip)
		return;
	for (uint32_t i = 1;; i++) {
		/* relaxed: published with the number */
		uint32_t back = atomic_load_explicit(&message_at(&reader->lane, pos)->back,
						     memory_order_relaxed);
		struct sight before;

		reader->pos = pos;
		reader->number = sight.number;
		if (i == count || back == 0 || back % MESSAGE_UNIT != 0 || back > pos - oldest ||
		    tarn__message_see(&reader->lane, pos - back, &before) < 0 || before.skip ||
		    before.number + 1 != sight.number)
			return;
		pos -= back;
		sight = before;
	}
}

/* Where to begin in a lane that was there before: behind its messages, or @history of them further
 * back. */
static int begin(struct reader *reader, uint32_t history)
{
	struct lane *lane = &reader->lane;

	for (int tries = 0; tries < WALKS; tries++) {
		/* T4 <> T3, and T8 <- T7 of who has no place */
		uint64_t oldest = atomic_load_explicit(&lane->shm->oldest, memory_order_seq_cst);
		/* acquire: what it counts is there */
		uint64_t last = atomic_load_explicit(&lane->shm->last, memory_order_acquire);
		/* acquire: the message that it counts is seen by the walk */
		uint64_t counted = atomic_load_explicit(&lane->shm->counted, memory_order_acquire);
		uint64_t from = last >= oldest ? last : oldest, now;
		int r;

		if (!is_position(lane, oldest) || !is_position(lane, from) ||
		    from - oldest > lane->capacity)
			r = -EUCLEAN;
		else
			r = walk_on(reader, from, counted + 1);
		if (r == 0)
			walk_back(reader, oldest, last, history);
		now = oldest_of(reader);
		if (now == oldest || (r == 0 && now <= reader->pos))
			return r;
		/* what was looked at may have been of two laps */
	}
	reader->pos = oldest_of(reader); /* who has no place, beside one that never rests */
	reader->number = 0;
	reader->loose = true;
	return is_position(lane, reader->pos) ? 0 : -EUCLEAN;
}

/* Where it begins in a lane that it has just opened; low says so. */
static void settle_in(struct tarn_subscriber *subscriber, struct reader *reader, bool coming,
		      uint32_t history)
{
	uint32_t seat = subscriber->topic.seat;

	reader->pos = reader->lane.capacity; /* of one that came later: its first message */
	reader->number = 1;
	if (seat != UINT32_MAX) {
		struct low_shm *own = &reader->lane.shm->lows[seat - TARN_TOPIC_PUBLISHERS_MAX];

		reader->low = &own->pos;
		/* relaxed: for the eye */
		atomic_store_explicit(&own->missed, 0, memory_order_relaxed);
	}
	if (coming) {
		if (reader->low != NULL) /* what a predecessor left. seq_cst: T3 <> T4 */
			atomic_store_explicit(reader->low, 0, memory_order_seq_cst);
		if (begin(reader, history) < 0)
			reader->damaged = reader->untold = true;
	}
	if (reader->low == NULL || !guarded(subscriber))
		return;
	if (reader->damaged)
		reader->raised = LOW_OF_NOBODY;
	else if (coming)
		reader->raised = reader->pos;
	/* seq_cst: before it says that it has come */
	atomic_store_explicit(reader->low, reader->raised, memory_order_seq_cst);
}

/* Publishers have come: open those lanes that are there and not open. */
static int add_readers(struct tarn_subscriber *subscriber, bool coming, uint32_t history)
{
	struct topic *topic = &subscriber->topic;
	/* acquire, both: the lanes are made before */
	uint32_t comings = atomic_load_explicit(&topic->shm->comings, memory_order_acquire);
	uint32_t lanes = atomic_load_explicit(&topic->shm->lanes, memory_order_acquire);
	struct reader *grown;

	if (lanes > TARN_TOPIC_PUBLISHERS_MAX)
		lanes = TARN_TOPIC_PUBLISHERS_MAX;
	if (lanes > subscriber->reader_count) {
		grown = realloc(subscriber->readers, lanes * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		memset(grown + subscriber->reader_count, 0,
		       (lanes - subscriber->reader_count) * sizeof(*grown));
		subscriber->readers = grown;
		subscriber->reader_count = lanes;
	}
	for (uint32_t place = 0; place < subscriber->reader_count; place++) {
		struct reader *reader = &subscriber->readers[place];
		int r = 0;

		if (reader->lane.shm == NULL) {
			r = tarn__lane_open(topic, place, 0, &reader->lane, NULL);
			reader->damaged = r < 0;
			reader->untold = r == -EUCLEAN || r == -EPROTO;
			if (r == 0)
				settle_in(subscriber, reader, coming, history);
		}
		/* One that was removed is no more; of one that is damaged the next take tells. */
		if (r < 0 && r != -ENOENT && !reader->untold)
			return r;
	}
	subscriber->comings = comings;
	return 0;
}

/* --- open and close ------------------------------------------------------------------------ */

/* Sit down, and have all that is published from now on kept. 0, -EUSERS. */
static int take_seat(struct tarn_subscriber *subscriber, struct tarn_diag *diag)
{
	struct topic *topic = &subscriber->topic;
	struct prim *prim = &topic->prim;

	for (uint32_t i = 0; i < TARN_TOPIC_SUBSCRIBERS_MAX; i++) {
		struct seat_shm *seat = subscriber_seat(topic, i);
		/* relaxed: decided by the exchange */
		uint32_t id = atomic_load_explicit(&seat->id, memory_order_relaxed);

		if (id != 0 && !tarn__seat_dead(prim, id, true))
			continue;
		tarn__raise32(&topic->shm->seats, i + 1);
		/* T3 <> T4 in nobody_needs() */
		if (!atomic_compare_exchange_strong_explicit(&seat->id, &id, id_of(&prim->sec),
							     memory_order_seq_cst,
							     memory_order_relaxed))
			continue;
		topic->seat = TARN_TOPIC_PUBLISHERS_MAX + i;
		/* T3 <> T4: what a predecessor said of itself holds until here */
		(void)atomic_exchange_explicit(&seat->value, COMING, memory_order_seq_cst);
		/* relaxed: for the eye */
		atomic_store_explicit(&seat->tid, tarn__self.tid, memory_order_relaxed);
		return 0;
	}
	return tarn__diag(diag, -EUSERS, "topic %s: all of its %u places for subscribers are taken",
			  prim->sec.name, TARN_TOPIC_SUBSCRIBERS_MAX);
}

/* It has come, and low says in each lane where it begins. */
static void has_come(struct tarn_subscriber *subscriber)
{
	struct topic *topic = &subscriber->topic;

	if (topic->seat == UINT32_MAX)
		return;
	/* seq_cst: the lows are stored before, and then it is looked who sleeps */
	(void)atomic_exchange_explicit(&topic->prim.seats[topic->seat].value, subscriber->how,
				       memory_order_seq_cst);
	wake(subscriber); /* who was held up by its coming */
	tarn__prim_ring(&topic->prim, INT32_MAX);
}

int tarn_subscriber_open(struct tarn_region *region, const char *name,
			 const struct tarn_topic_opts *opts,
			 struct tarn_subscriber **ret_subscriber)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	uint32_t flags = opts != NULL ? opts->flags : 0;
	struct tarn_subscriber *subscriber;
	struct topic *topic;
	int r = tarn__topic_open(region, name, sizeof(*subscriber), opts, &topic);

	if (r < 0)
		return r;
	subscriber = (struct tarn_subscriber *)topic;
	subscriber->latest = (flags & TARN_TOPIC_LATEST) != 0;
	subscriber->how = (flags & TARN_TOPIC_LOSSY) != 0 || subscriber->latest ? LOSSY : LOSSLESS;
	r = tarn__prim_ready(&topic->prim, diag);
	if (r == -EPERM) { /* it looks on */
		subscriber->how = LOSSY;
		r = 0;
	} else if (r == 0) {
		r = take_seat(subscriber, diag);
	}
	if (r == 0)
		r = add_readers(subscriber, true, opts != NULL ? opts->history : 0);
	if (r < 0) {
		tarn_subscriber_close(subscriber);
		return r == -ENOMEM ? tarn__diag(diag, r, "topic %s: no memory", name) : r;
	}
	has_come(subscriber);
	*ret_subscriber = subscriber;
	return 0;
}

void tarn_subscriber_close(struct tarn_subscriber *subscriber)
{
	struct topic *topic;

	if (subscriber == NULL)
		return;
	topic = &subscriber->topic;
	if (topic->seat != UINT32_MAX && !topic->stale) {
		/* release: all reading is done */
		atomic_store_explicit(&topic->prim.seats[topic->seat].value, SUBSCRIBES_NOT,
				      memory_order_release);
		wake(subscriber);
	}
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		tarn__lane_close(topic, &subscriber->readers[i].lane);
		free(subscriber->readers[i].held);
	}
	free(subscriber->readers);
	tarn__topic_close(topic);
}

/* --- look ---------------------------------------------------------------------------------- */

/* The lane contradicts itself: leave it to itself. */
static int give_up(struct tarn_subscriber *subscriber, struct reader *reader)
{
	reader->damaged = true;
	if (reader->low != NULL && reader->held_count == 0)
		store_low(subscriber, reader, guarded(subscriber) ? LOW_OF_NOBODY : 0);
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
			return 0;
		reader->pos = ret_sight->end;
	}
	return -EAGAIN;
}

static int notice_lanes(struct tarn_subscriber *subscriber)
{
	/* acquire: as in add_readers() */
	if (TARN__LIKELY(atomic_load_explicit(&subscriber->topic.shm->comings,
					      memory_order_acquire) == subscriber->comings))
		return 0;
	return add_readers(subscriber, false, 0);
}

/* Nothing is there: say so to those who wait for room, too. */
static int nothing(struct tarn_subscriber *subscriber)
{
	for (uint32_t i = 0; guarded(subscriber) && i < subscriber->reader_count; i++) {
		struct reader *reader = &subscriber->readers[i];

		if (!reader->damaged && floor_of(reader) != reader->raised)
			store_low(subscriber, reader, floor_of(reader));
	}
	return TARN__UNLIKELY(tarn_segment_damaged(subscriber->topic.prim.sec.region->seg))
		       ? -EIO
		       : -EAGAIN;
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
			if (!reader->untold)
				continue;
			reader->untold = false;
			return -EUCLEAN;
		}
		r = look(subscriber, reader, ret_sight);
		if (r == -EAGAIN) {
			if (guarded(subscriber))
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
	struct low_shm *lows = reader->lane.shm->lows;

	subscriber->missed += missed;
	reader->missed += missed;
	if (reader->low != NULL) /* relaxed: for the eye */
		atomic_store_explicit(
			&lows[subscriber->topic.seat - TARN_TOPIC_PUBLISHERS_MAX].missed,
			reader->missed, memory_order_relaxed);
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
	if (guarded(subscriber) || reader->held_count != 0)
		return true;
	/* T3 <> T4 in needs_below() */
	atomic_store_explicit(reader->low, reader->pos, memory_order_seq_cst);
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
	if (!guarded(subscriber) && reader->held_count == 0)
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
		if (!take_hold(subscriber, reader))
			return false;
		memcpy(buf, from, size);
		let_go(subscriber, reader);
		return true;
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
			subscriber->turn = message.publisher; /* it is the next one still */
			*ret_message = message;
			return -ENOBUFS;
		}
		if (TARN__UNLIKELY(!copy(subscriber, reader, buf, message.size)))
			continue;
		step(subscriber, reader, &sight, &message);
		if (guarded(subscriber))
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
	if (subscriber->topic.seat == UINT32_MAX)
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
		reader->held[reader->held_count++] = (struct held){ .pos = reader->pos };
		subscriber->held++;
		step(subscriber, reader, &sight, ret_message);
		if (guarded(subscriber))
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
		store_low(subscriber, reader, guarded(subscriber) ? LOW_OF_NOBODY : 0);
	else if (guarded(subscriber))
		raise_low(subscriber, reader);
	else
		store_low(subscriber, reader, reader->held_count != 0 ? reader->held[0].pos : 0);
}

int tarn_subscriber_release(struct tarn_subscriber *subscriber, const struct tarn_message *message)
{
	struct reader *reader;

	if (subscriber->topic.stale)
		return -EBUSY;
	if (message->data == NULL || message->publisher >= subscriber->reader_count)
		return -EINVAL;
	reader = &subscriber->readers[message->publisher];
	for (uint32_t i = 0; i < reader->held_count; i++) {
		struct held *held = &reader->held[i];

		if (held->released ||
		    message_at(&reader->lane, held->pos)->payload != message->data)
			continue;
		held->released = true;
		subscriber->held--;
		drop_released(subscriber, reader);
		return 0;
	}
	return -EINVAL;
}

/* --- waiting ------------------------------------------------------------------------------- */

/* Is a look worth it? */
static bool message_there(const struct tarn_subscriber *subscriber)
{
	/* relaxed, all: who finds something looks again */
	if (atomic_load_explicit(&subscriber->topic.shm->comings, memory_order_relaxed) !=
	    subscriber->comings)
		return true;
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		const struct reader *reader = &subscriber->readers[i];

		if (reader->damaged && !reader->untold)
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
	atomic_store_explicit(&subscriber->topic.shm->fence, 1, memory_order_seq_cst);
}

bool tarn__subscriber_there(struct tarn_subscriber *subscriber)
{
	return TARN__UNLIKELY(subscriber->topic.stale) || notice_lanes(subscriber) < 0 ||
	       message_there(subscriber) || nothing(subscriber) != -EAGAIN;
}

/* Who may not say that it sleeps looks again and again. */
static int wait_outside(struct tarn_subscriber *subscriber, int64_t deadline)
{
	_Atomic uint32_t word = 0;
	int64_t now = tarn__plat_now(), nap = now + NAP_NS;

	if (now >= deadline)
		return -ETIMEDOUT;
	(void)tarn__plat_futex_wait(&word, 0, nap < deadline ? nap : deadline);
	return TARN__UNLIKELY(tarn_segment_damaged(subscriber->topic.prim.sec.region->seg)) ? -EIO
											    : 0;
}

static int wait_message(struct tarn_subscriber *subscriber, int64_t deadline)
{
	if (subscriber->topic.seat == UINT32_MAX)
		return wait_outside(subscriber, deadline);
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
		.publishers = tarn__topic_publishers(&subscriber->topic),
		.lanes = subscriber->reader_count,
		.held = subscriber->held,
	};
	return 0;
}
