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
#include "flow/copy.h"
#include "region/trace.h"

enum {
	SMALL = 256,    /* bytes that are copied without a hold, as topic_publish.c stores them */
	RAISES = 32,    /* of low, a lap */
	BATCH_UNIT = 8, /* bytes: messages of a batch begin at a multiple of it */
	TRIES = 1000,   /* to find a message in a lane that is written over all the while */
};

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

/* Nothing is there yet. A message may end in the next line: have that come, too, by when its number
 * is seen, or the two come one after the other. */
static inline void fetch_rest(const struct reader *reader)
{
	const unsigned char *next = reader->lane.messages + (reader->pos & reader->lane.mask);

	__builtin_prefetch(next + TARN__CACHE_LINE);
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

/* The next message of the lane, whatever it takes. */
__attribute__((noinline)) static int look_again(struct tarn_subscriber *subscriber,
						struct reader *reader, struct sight *ret_sight)
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

/* The next message of the lane: how far it may be read is decided here, for take, batch and hold.
 * 0, -EAGAIN: none now, -EUCLEAN. What is not as it mostly is, or amiss, is looked at again. */
static TARN__ALWAYS_INLINE int look(struct tarn_subscriber *subscriber, struct reader *reader,
				    struct sight *ret_sight)
{
	if (TARN__LIKELY(guarded(subscriber)) &&
	    TARN__LIKELY(tarn__message_see(&reader->lane, reader->pos, ret_sight) == 0)) {
		if (ret_sight->number == 0) {
			fetch_rest(reader);
			return -EAGAIN;
		}
		if (TARN__LIKELY(ret_sight->number == reader->number && !ret_sight->skip))
			return 0;
	}
	return look_again(subscriber, reader, ret_sight);
}

int tarn__subscriber_nothing(struct tarn_subscriber *subscriber)
{
	for (uint32_t i = 0; takes_all(subscriber) && i < subscriber->reader_count; i++) {
		struct reader *reader = &subscriber->readers[i];

		if (reader->low != NULL && !reader->damaged && floor_of(reader) != reader->raised)
			store_low(subscriber, reader, floor_of(reader));
	}
	return topic_damaged(&subscriber->topic) ? -EIO : -EAGAIN;
}

/* The next message of the next *@left lanes, each by turns: whose it is, is decided here. *@left
 * is how many are left behind that one. 0, -EAGAIN, -EUCLEAN: of *@ret_reader. */
static TARN__ALWAYS_INLINE int find_next(struct tarn_subscriber *subscriber, uint32_t *left,
					 struct reader **ret_reader, struct sight *ret_sight)
{
	uint32_t count = subscriber->reader_count, at = subscriber->turn;

	*ret_reader = NULL; /* nobody uses it; the compiler cannot know */
	for (; *left > 0; at++) {
		struct reader *reader;
		int r;

		--*left;
		if (at >= count)
			at = 0;
		reader = *ret_reader = &subscriber->readers[at];
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
		r = look(subscriber, reader, ret_sight);
		if (r == -EAGAIN) {
			if (TARN__UNLIKELY(reader->leaves) && reader->held_count == 0)
				tarn__subscriber_part(subscriber, reader);
			else if (takes_all(subscriber))
				raise_low(subscriber, reader);
			continue;
		}
		/* One that came meanwhile, and said so before it published, may have to wait. */
		if (r == 0 && has_news(subscriber))
			return -EAGAIN;
		if (TARN__UNLIKELY(subscriber->orders) && r == 0 &&
		    tarn__held_back(subscriber, reader))
			continue;
		subscriber->turn = at + 1;
		return r;
	}
	return -EAGAIN;
}

/* Go on behind what was written over: see tarn__held_back(). */
__attribute__((noinline)) static void catch_up(struct tarn_subscriber *subscriber)
{
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		struct reader *reader = &subscriber->readers[i];
		struct sight sight;

		if (reader->lane.shm != NULL && !reader->damaged)
			reader->untold |= look_again(subscriber, reader, &sight) == -EUCLEAN;
	}
}

/* Is it known that a look at all lanes would find nothing, and nobody is to be told so? */
static inline bool is_idle(const struct tarn_subscriber *subscriber, const struct reader *reader)
{
	return subscriber->reader_count == 1 && floor_of(reader) == reader->raised &&
	       !has_news(subscriber) && !topic_damaged(&subscriber->topic);
}

/* A look like most, at the lane whose turn it is, where nothing is out of the ordinary. 0: there is
 * the message that was expected; -EAGAIN: there is none; 1: find() is to look. */
static TARN__ALWAYS_INLINE int find_usual(struct tarn_subscriber *subscriber, uint32_t *ret_place,
					  struct sight *ret_sight)
{
	uint32_t at = subscriber->turn < subscriber->reader_count ? subscriber->turn : 0;
	const struct reader *reader = &subscriber->readers[at];
	const struct message_shm *message;
	uint64_t pos;

	if (TARN__UNLIKELY(subscriber->topic.limit == 0) || TARN__UNLIKELY(reader->damaged))
		return 1;
	pos = reader->pos;
	message = message_at(&reader->lane, pos);
	/* T2 <- T1 in make_visible() */
	ret_sight->number = atomic_load_explicit(&message->number, memory_order_acquire);
	if (ret_sight->number == 0) {
		fetch_rest(reader);
		return is_idle(subscriber, reader) ? -EAGAIN : 1;
	}
	/* acquire: as in tarn__message_see() */
	ret_sight->size = atomic_load_explicit(&message->size, memory_order_acquire);
	ret_sight->end = pos + bytes_of(ret_sight->size);
	*ret_place = at;
	return TARN__UNLIKELY(ret_sight->number != reader->number) || has_news(subscriber) ||
	       TARN__UNLIKELY(ret_sight->end - pos >
			      reader->lane.capacity - (pos & reader->lane.mask));
}

/* The next message of any lane, each by turns. 0, -EAGAIN, -EUCLEAN. */
static TARN__ALWAYS_INLINE int find(struct tarn_subscriber *subscriber, uint32_t *ret_left,
				    struct reader **ret_reader, struct sight *ret_sight)
{
	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		int r = TARN__UNLIKELY(subscriber->topic.stale) ? -EBUSY : notice_lanes(subscriber);

		if (TARN__UNLIKELY(r < 0))
			return r;
		if (TARN__UNLIKELY(subscriber->orders))
			catch_up(subscriber);
		*ret_left = subscriber->reader_count;
		r = find_next(subscriber, ret_left, ret_reader, ret_sight);
		subscriber->topic.limit =
			guarded(subscriber) && !subscriber->orders && subscriber->reader_count != 0;
		if (TARN__LIKELY(r == 0) || r == -EUCLEAN)
			return r;
		if (!has_news(subscriber))
			break;
	}
	return tarn__subscriber_nothing(subscriber);
}

/* What the rest of its header says. */
struct said {
	uint32_t size;
	uint32_t member;
	int64_t time;
};

static inline struct said hear(const struct tarn_subscriber *subscriber,
			       const struct message_shm *message, uint32_t size)
{
	uint32_t most = subscriber->topic.most;

	return (struct said){
		.size = size < most ? size : most,
		/* acquire, both: who is not guarded looks at oldest afterwards */
		.member = atomic_load_explicit(&message->member, memory_order_acquire),
		.time = (int64_t)atomic_load_explicit(&message->time, memory_order_acquire),
	};
}

/* Each field by itself: a struct that is copied is loaded in larger pieces than it was stored in,
 * and waits for that. */
static TARN__ALWAYS_INLINE void tell(struct tarn_message *ret_message, const void *data,
				     struct said said, uint64_t number, uint64_t missed,
				     uint32_t place)
{
	ret_message->data = data;
	ret_message->size = said.size;
	ret_message->number = number;
	ret_message->missed = missed;
	ret_message->time_ns = said.time;
	ret_message->publisher = place;
	ret_message->member = said.member;
}

static inline uint64_t missed_before(const struct reader *reader, const struct sight *sight)
{
	return reader->number != 0 ? sight->number - reader->number : 0;
}

static inline uint32_t at_place(const struct tarn_subscriber *subscriber,
				const struct reader *reader)
{
	return (uint32_t)(reader - subscriber->readers);
}

/* Say how many were missed, for the eye. */
__attribute__((noinline, cold)) static void note_missed(struct tarn_subscriber *subscriber,
							struct reader *reader, uint64_t missed)
{
	if (subscriber->scout == NULL)
		tarn__trace(subscriber->topic.prim.sec.region, TARN_TRACE_MISSED,
			    &subscriber->topic.prim.sec.object, TARN_TRACE_SUBSCRIBER, missed);
	subscriber->missed += missed;
	reader->missed += missed;
	if (reader->low != NULL) /* relaxed: for the eye */
		atomic_store_explicit(&reader->low->missed, reader->missed, memory_order_relaxed);
}

static inline void step(struct tarn_subscriber *subscriber, struct reader *reader,
			const struct sight *sight, uint64_t missed)
{
	reader->pos = sight->end;
	reader->number = sight->number + 1;
	reader->loose = false;
	subscriber->taken++;
	if (TARN__UNLIKELY(missed != 0))
		note_missed(subscriber, reader, missed);
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

/* Copy what is not guarded. False: it was written over meanwhile. */
__attribute__((noinline)) static bool copy_beside(struct tarn_subscriber *subscriber,
						  struct reader *reader, void *buf, size_t size)
{
	const unsigned char *from = message_at(&reader->lane, reader->pos)->payload;

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

/* Copy the message that @sight is of. 0, -ENOBUFS, -EAGAIN: it was written over meanwhile. */
static TARN__ALWAYS_INLINE int take_seen(struct tarn_subscriber *subscriber, struct reader *reader,
					 const struct sight *sight, void *buf, size_t buf_size,
					 struct tarn_message *ret_message)
{
	const struct message_shm *message = message_at(&reader->lane, reader->pos);
	struct said said = hear(subscriber, message, sight->size);
	uint64_t missed = missed_before(reader, sight);
	int r = 0;

	if (TARN__UNLIKELY(said.size > buf_size))
		r = still_there(subscriber, reader) ? -ENOBUFS : -EAGAIN;
	else if (TARN__LIKELY(guarded(subscriber)))
		copy(buf, message->payload, said.size);
	else if (!copy_beside(subscriber, reader, buf, said.size))
		r = -EAGAIN;
	if (TARN__UNLIKELY(r == -EAGAIN))
		return r;
	tell(ret_message, NULL, said, sight->number, missed, at_place(subscriber, reader));
	if (TARN__LIKELY(r == 0))
		step(subscriber, reader, sight, missed);
	return r;
}

__attribute__((noinline)) static int take_any(struct tarn_subscriber *subscriber, void *buf,
					      size_t buf_size, struct tarn_message *ret_message)
{
	for (int tries = 0; tries < TRIES; tries++) {
		struct reader *reader;
		struct sight sight;
		uint32_t left;
		int r = find(subscriber, &left, &reader, &sight);

		if (r < 0)
			return r;
		r = take_seen(subscriber, reader, &sight, buf, buf_size, ret_message);
		if (TARN__UNLIKELY(r == -EAGAIN))
			continue;
		/* It is the next one still; of publishers that trust nobody, of its own. */
		if (TARN__UNLIKELY(r == -ENOBUFS) && subscriber->scout == NULL)
			subscriber->turn = ret_message->publisher;
		else if (takes_all(subscriber))
			raise_low(subscriber, reader);
		return r;
	}
	return -EAGAIN;
}

int tarn_subscriber_take(struct tarn_subscriber *subscriber, void *buf, size_t buf_size,
			 struct tarn_message *ret_message)
{
	struct sight sight;
	uint32_t at;
	int r = find_usual(subscriber, &at, &sight);

	if (r < 0)
		return r;
	if (TARN__LIKELY(r == 0)) {
		struct reader *reader = &subscriber->readers[at];
		const struct message_shm *message = message_at(&reader->lane, reader->pos);
		struct said said = hear(subscriber, message, sight.size);

		if (TARN__LIKELY(said.size <= buf_size)) {
			copy(buf, message->payload, said.size);
			tell(ret_message, NULL, said, sight.number, 0, at);
			step(subscriber, reader, &sight, 0);
			subscriber->turn = at + 1;
			raise_low(subscriber, reader);
			return 0;
		}
	}
	return take_any(subscriber, buf, buf_size, ret_message);
}

/* --- batches ------------------------------------------------------------------------------- */

/* What is taken at once: messages, one behind another, and what is said of each. */
struct batch {
	unsigned char *at; /* of the next one */
	size_t room;       /* bytes from there on */
	struct tarn_message *messages;
	size_t count, done; /* that are wanted, that there are */
};

static inline void add(struct batch *batch, size_t size)
{
	size_t bytes = (size + BATCH_UNIT - 1) & ~(size_t)(BATCH_UNIT - 1);

	bytes = bytes < batch->room ? bytes : batch->room;
	batch->at += bytes;
	batch->room -= bytes;
	batch->done++;
}

/* Up to here a batch goes on without a look. */
static inline uint64_t until_of(const struct reader *reader)
{
	return reader->pos + reader->lane.capacity / RAISES;
}

/* From pos on, below @until: what is there, and as it mostly is. All else is for look(). */
static TARN__ALWAYS_INLINE void take_more(struct tarn_subscriber *subscriber, struct reader *reader,
					  uint64_t until, struct batch *batch, bool guarded)
{
	const uint64_t mask = reader->lane.mask, capacity = reader->lane.capacity;
	const uint32_t place = at_place(subscriber, reader), least = subscriber->topic.least;
	uint32_t most = guarded ? UINT32_MAX : SMALL;
	uint64_t pos = reader->pos, number = reader->number;
	struct batch b = *batch;

	most = subscriber->topic.most < most ? subscriber->topic.most : most;
	while (b.done < b.count && pos < until) {
		const struct message_shm *message = message_at(&reader->lane, pos);
		struct said said;
		uint32_t size;

		/* T2 <- T1 in make_visible() */
		if (atomic_load_explicit(&message->number, memory_order_acquire) != number ||
		    has_news(subscriber))
			break;
		/* acquire: as in tarn__message_see() */
		size = atomic_load_explicit(&message->size, memory_order_acquire);
		if (TARN__UNLIKELY(size > b.room || size < least || size > most) ||
		    TARN__UNLIKELY(bytes_of(size) > capacity - (pos & mask)))
			break;
		said = hear(subscriber, message, size);
		if (guarded)
			copy(b.at, message->payload, size);
		else
			tarn__load_bytes(b.at, message->payload, size);
		if (!guarded && TARN__UNLIKELY(oldest_of(reader) > pos))
			break;
		tell(&b.messages[b.done], b.at, said, number, 0, place);
		pos += bytes_of(size);
		number++;
		add(&b, size);
	}
	subscriber->taken += b.done - batch->done;
	reader->pos = pos;
	reader->number = number;
	*batch = b;
}

/* What is to be told of @reader is for the next call, since there are messages. */
static void tell_later(struct tarn_subscriber *subscriber, struct reader *reader)
{
	reader->untold = true;
	subscriber->turn = at_place(subscriber, reader);
}

/* Of @reader what is there, from the message that @sight is of on. 0: room is left, perhaps;
 * -ENOBUFS; -EUCLEAN: it was damaged, behind what was taken. */
static TARN__ALWAYS_INLINE int take_run(struct tarn_subscriber *subscriber, struct reader *reader,
					struct sight *sight, struct batch *batch)
{
	size_t before = batch->done;
	int r;

	do {
		struct tarn_message *message = &batch->messages[batch->done];

		r = take_seen(subscriber, reader, sight, batch->at, batch->room, message);
		if (r < 0)
			break;
		message->data = batch->at;
		add(batch, message->size);
		if (guarded(subscriber) && !subscriber->orders)
			take_more(subscriber, reader, until_of(reader), batch, true);
		else if (!subscriber->latest && !subscriber->orders)
			take_more(subscriber, reader, until_of(reader), batch, false);
		if (takes_all(subscriber))
			raise_low(subscriber, reader);
		if (batch->done == batch->count || subscriber->latest)
			break;
		r = look(subscriber, reader, sight);
	} while (r == 0 && !has_news(subscriber) &&
		 !(subscriber->orders && tarn__held_back(subscriber, reader)));
	/* If it is the first one of its lane, it is the first one of the next batch, lest it never
	 * be; alone, as in tarn_subscriber_take(). */
	if (r == -ENOBUFS && batch->done == before && (subscriber->scout == NULL || before != 0))
		subscriber->turn = at_place(subscriber, reader);
	return r == -EAGAIN ? 0 : r;
}

int tarn_subscriber_take_batch(struct tarn_subscriber *subscriber, void *buf, size_t buf_size,
			       struct tarn_message *ret_messages, size_t count, size_t *ret_count)
{
	struct batch batch = { buf, buf_size, ret_messages, count, 0 };

	if (count == 0)
		return -EINVAL;
	for (int tries = 0; tries < TRIES; tries++) {
		struct reader *reader;
		struct sight sight;
		uint32_t left;
		int r = find(subscriber, &left, &reader, &sight);

		if (r < 0)
			return r;
		do
			r = take_run(subscriber, reader, &sight, &batch);
		while (r == 0 && batch.done < count &&
		       (r = find_next(subscriber, &left, &reader, &sight)) == 0);
		if (r == -EUCLEAN)
			tell_later(subscriber, reader);
		if (r == -ENOBUFS && batch.done == 0)
			return r;
		if (batch.done != 0) {
			*ret_count = batch.done;
			return 0;
		}
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

static TARN__ALWAYS_INLINE void keep(struct tarn_subscriber *subscriber, struct reader *reader,
				     const struct sight *sight, uint64_t missed)
{
	reader->held[reader->held_count++] =
		(struct held){ .pos = reader->pos, .number = sight->number };
	subscriber->held++;
	step(subscriber, reader, sight, missed);
}

__attribute__((noinline)) static int hold_any(struct tarn_subscriber *subscriber,
					      struct tarn_message *ret_message)
{
	if (looks_on(subscriber))
		return -EPERM;
	for (int tries = 0; tries < TRIES; tries++) {
		const struct message_shm *message;
		struct reader *reader;
		struct sight sight;
		uint64_t missed;
		uint32_t left;
		int r = find(subscriber, &left, &reader, &sight);

		if (r == 0)
			r = make_room(reader);
		if (r < 0)
			return r;
		if (!take_hold(subscriber, reader))
			continue;
		/* once more, since it was not guarded when it was looked at */
		message = message_at(&reader->lane, reader->pos);
		missed = missed_before(reader, &sight);
		tell(ret_message, message->payload, hear(subscriber, message, sight.size),
		     sight.number, missed, at_place(subscriber, reader));
		keep(subscriber, reader, &sight, missed);
		if (takes_all(subscriber))
			raise_low(subscriber, reader);
		return 0;
	}
	return -EAGAIN;
}

int tarn_subscriber_hold(struct tarn_subscriber *subscriber, struct tarn_message *ret_message)
{
	struct sight sight;
	uint32_t at;
	int r = find_usual(subscriber, &at, &sight);

	if (r < 0)
		return r;
	if (TARN__LIKELY(r == 0)) {
		struct reader *reader = &subscriber->readers[at];
		const struct message_shm *message = message_at(&reader->lane, reader->pos);

		if (TARN__LIKELY(reader->held_count < reader->held_room)) {
			tell(ret_message, message->payload, hear(subscriber, message, sight.size),
			     sight.number, 0, at);
			keep(subscriber, reader, &sight, 0);
			subscriber->turn = at + 1;
			raise_low(subscriber, reader); /* to what it holds: the rest it has taken */
			return 0;
		}
	}
	return hold_any(subscriber, ret_message);
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
	if (reader->held_count != 0)
		memmove(reader->held, reader->held + gone,
			reader->held_count * sizeof(*reader->held));
	if (reader->damaged && reader->held_count == 0)
		store_low(subscriber, reader, takes_all(subscriber) ? LOW_OF_NOBODY : 0);
	else if (takes_all(subscriber))
		raise_low(subscriber, reader);
	else
		store_low(subscriber, reader, reader->held_count != 0 ? reader->held[0].pos : 0);
}

/* The only one that is held, where nothing is out of the ordinary. False: not that. */
static inline bool release_only(struct tarn_subscriber *subscriber, struct reader *reader,
				const struct tarn_message *message)
{
	const struct held *held = &reader->held[0];

	if (held->number != message->number || reader->damaged ||
	    message_at(&reader->lane, held->pos)->payload != message->data)
		return false;
	reader->held_count = 0;
	subscriber->held--;
	raise_low(subscriber, reader);
	return true;
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
	if (TARN__LIKELY(subscriber->topic.limit != 0) && TARN__LIKELY(reader->held_count == 1) &&
	    TARN__LIKELY(release_only(subscriber, reader, message)))
		return 0;
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
