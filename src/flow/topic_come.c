/* SPDX-License-Identifier: BSD-2-Clause */
/* topic_come.c - a subscriber comes and leaves, and finds lanes. See topic.h. */
#include <errno.h>
#include <stdlib.h>

#include "flow/apart.h"
#include "region/trace.h"

enum {
	WALKS = 16,      /* to find where to begin beside one that publishes all the while */
	STEPS = 1 << 16, /* to the end of what was published and not counted */
};

/* A publisher sleeps on it: wake it. */
void tarn__topic_wake(_Atomic uint32_t *token, int count)
{
	/* release: low was stored before */
	atomic_fetch_add_explicit(token, 1, memory_order_release);
	(void)tarn__plat_futex_wake(token, count);
}

/* --- lanes --------------------------------------------------------------------------------- */

/* From @pos on, over what was published and not counted: to the header that says 0. */
static int walk_on(struct reader *reader, uint64_t pos, uint64_t number)
{
	/* What one batch may have left uncounted, where the publisher may be anybody's: it is not
	 * to keep us here. */
	uint64_t begin = pos, steps = reader->sleep != NULL ? STEPS : UINT64_MAX;

	while (pos - begin <= reader->lane.capacity && steps-- > 0) {
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
	reader->pos = reader->lane.capacity; /* of one that came later: its first message */
	reader->number = 1;
	if (reader->low != NULL) /* relaxed: for the eye */
		atomic_store_explicit(&reader->low->missed, 0, memory_order_relaxed);
	if (coming) {
		if (reader->low != NULL) /* what a predecessor left. seq_cst: T3 <> T4 */
			atomic_store_explicit(&reader->low->pos, 0, memory_order_seq_cst);
		if (begin(reader, history) < 0)
			reader->damaged = reader->untold = true;
	}
	if (reader->low == NULL || !takes_all(subscriber))
		return;
	if (reader->damaged)
		reader->raised = LOW_OF_NOBODY;
	else if (coming)
		reader->raised = reader->pos;
	/* seq_cst: before it says that it has come */
	atomic_store_explicit(&reader->low->pos, reader->raised, memory_order_seq_cst);
}

static int grow_readers(struct tarn_subscriber *subscriber, uint32_t lanes)
{
	struct reader *grown;

	if (lanes > TARN_TOPIC_PUBLISHERS_MAX)
		lanes = TARN_TOPIC_PUBLISHERS_MAX;
	if (lanes <= subscriber->reader_count)
		return 0;
	grown = realloc(subscriber->readers, lanes * sizeof(*grown));
	if (grown == NULL)
		return -ENOMEM;
	memset(grown + subscriber->reader_count, 0,
	       (lanes - subscriber->reader_count) * sizeof(*grown));
	subscriber->readers = grown;
	subscriber->reader_count = lanes;
	return 0;
}

static void sit_in(struct tarn_subscriber *subscriber, struct reader *reader)
{
	uint32_t seat = subscriber->topic.seat;

	if (seat == UINT32_MAX)
		return;
	reader->low = &reader->lane.shm->lows[seat - TARN_TOPIC_PUBLISHERS_MAX];
	reader->token = &subscriber->topic.prim.seats[seat].token;
}

/* --- who came later ------------------------------------------------------------------------ *
 *
 * One that goes on in another lane has published in the first one before it came to the second; so
 * when somebody comes, each subscriber by itself takes what is there then in the order in which
 * its publishers came, and nothing that is later than what is left of it. Of peers that trust
 * nobody only those of one user wait for one another.
 */

static const struct message_shm *next_of(const struct reader *reader)
{
	return message_at(&reader->lane, reader->pos);
}

/* When did the publisher of its next message come? */
static uint32_t came_of(const struct tarn_subscriber *subscriber, const struct reader *reader)
{
	if (subscriber->scout != NULL)
		return reader->came;
	/* relaxed: its number was seen */
	return atomic_load_explicit(&next_of(reader)->came, memory_order_relaxed);
}

/* Was its next message written over? */
static bool is_gone(const struct tarn_subscriber *subscriber, const struct reader *reader)
{
	return !guarded(subscriber) && oldest_of(reader) > reader->pos;
}

static bool has_next(const struct tarn_subscriber *subscriber, const struct reader *reader)
{
	return reader->lane.shm != NULL && !reader->damaged &&
	       /* acquire: what else it says is whole */
	       (atomic_load_explicit(&next_of(reader)->number, memory_order_acquire) != 0 ||
		is_gone(subscriber, reader));
}

bool tarn__held_back(struct tarn_subscriber *subscriber, struct reader *reader)
{
	uint32_t came = came_of(subscriber, reader);
	bool some = false;

	if (is_gone(subscriber, reader)) /* until its next one is found, where that is not known */
		return true;
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		struct reader *other = &subscriber->readers[i];
		uint32_t others;

		if (other->pos > other->until || !has_next(subscriber, other))
			continue;
		others = came_of(subscriber, other);
		some = true;
		if (other != reader && other->owner == reader->owner &&
		    (is_gone(subscriber, other) || (int32_t)(came - others) > 0))
			return true;
	}
	subscriber->orders = some;
	return false;
}

/* Some have come. What is there is from pos on: not more than a lane holds, whatever it says. */
static void note_what_is_there(struct tarn_subscriber *subscriber)
{
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		struct reader *reader = &subscriber->readers[i];
		uint64_t oldest, last;

		if (reader->lane.shm == NULL)
			continue;
		oldest = oldest_of(reader);
		if (!guarded(subscriber) && oldest > reader->pos &&
		    is_position(&reader->lane, oldest)) {
			reader->pos = oldest; /* as look_again() does */
			reader->loose = true;
		}
		/* acquire: what it counts is there */
		last = atomic_load_explicit(&reader->lane.shm->last, memory_order_acquire);
		reader->until = reader->pos + reader->lane.capacity;
		if (last < reader->until)
			reader->until = last;
	}
	subscriber->orders = true;
}

/* --- lanes ---------------------------------------------------------------------------------- */

/* With no region: a publisher has come to be at @place, or has left. */
static bool look_apart(struct tarn_subscriber *subscriber, uint32_t place, bool coming)
{
	struct reader *reader = &subscriber->readers[place];
	struct tarn_peer who = { .uid = 0 };
	struct ack_shm *ack;
	bool comes = false;

	if (reader->lane.shm == NULL && tarn__scout_lane(subscriber, place, &reader->lane, &ack)) {
		reader->low = &ack->low;
		reader->token = &ack->token;
		reader->sleep = &ack->sleep;
		settle_in(subscriber, reader, coming, subscriber->history);
		(void)tarn__scout_who(subscriber, place, &who);
		reader->owner = who.uid;
		reader->came = ++subscriber->came;
		comes = !coming;
		/* seq_cst: where it begins is stored before */
		atomic_store_explicit(&ack->how, subscriber->how, memory_order_seq_cst);
		tarn__topic_wake(reader->token, 1); /* who was held up by its coming */
	}
	reader->leaves = reader->lane.shm != NULL && tarn__scout_gone(subscriber, place);
	return comes;
}

/* Its publisher is gone, and all was taken. */
void tarn__subscriber_part(struct tarn_subscriber *subscriber, struct reader *reader)
{
	free(reader->held);
	tarn__scout_done(subscriber, (uint32_t)(reader - subscriber->readers));
	memset(reader, 0, sizeof(*reader));
}

static int add_apart(struct tarn_subscriber *subscriber, bool coming)
{
	/* acquire: the lanes are there before */
	uint32_t comings = atomic_load_explicit(subscriber->topic.comings, memory_order_acquire);
	int r = grow_readers(subscriber, tarn__scout_places(subscriber));
	bool some = false;

	if (r < 0)
		return r;
	for (uint32_t place = 0; place < subscriber->reader_count; place++)
		some |= look_apart(subscriber, place, coming);
	if (some)
		note_what_is_there(subscriber);
	subscriber->comings = comings;
	return 0;
}

/* Publishers have come: open those lanes that are there and not open. */
static int add_readers(struct tarn_subscriber *subscriber, bool coming, uint32_t history)
{
	struct topic *topic = &subscriber->topic;
	/* acquire, both: the lanes are made before */
	uint32_t comings = atomic_load_explicit(&topic->shm->comings, memory_order_acquire);
	uint32_t lanes = atomic_load_explicit(&topic->shm->lanes, memory_order_acquire);
	int grown = grow_readers(subscriber, lanes);

	if (grown < 0)
		return grown;
	for (uint32_t place = 0; place < subscriber->reader_count; place++) {
		struct reader *reader = &subscriber->readers[place];
		int r = 0;

		if (reader->lane.shm == NULL) {
			r = tarn__lane_open(topic, place, 0, &reader->lane, NULL);
			reader->damaged = r < 0;
			reader->untold = r == -EUCLEAN || r == -EPROTO;
			if (r == 0) {
				sit_in(subscriber, reader);
				settle_in(subscriber, reader, coming, history);
			}
		}
		/* One that was removed is no more; of one that is damaged the next take tells. */
		if (r < 0 && r != -ENOENT && !reader->untold)
			return r;
	}
	if (!coming)
		note_what_is_there(subscriber);
	subscriber->comings = comings;
	return 0;
}

int tarn__subscriber_lanes(struct tarn_subscriber *subscriber)
{
	subscriber->topic.limit = 0;
	return subscriber->scout != NULL ? add_apart(subscriber, false)
					 : add_readers(subscriber, false, 0);
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
		if (id != 0)
			tarn__prim_freed(prim);
		topic->seat = TARN_TOPIC_PUBLISHERS_MAX + i;
		if (id != 0)
			tarn__trace(prim->sec.region, TARN_TRACE_GONE, &prim->sec.object,
				    TARN_TRACE_SUBSCRIBER, i);
		/* T3 <> T4 in nobody_needs(): what is known of those who sat there is of no use */
		(void)atomic_fetch_add_explicit(&topic->shm->sittings, 1, memory_order_seq_cst);
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
	(void)atomic_exchange_explicit(&topic->prim.seats[topic->seat].value,
				       subscriber->latest ? LATEST : subscriber->how,
				       memory_order_seq_cst);
	/* who was held up by its coming */
	tarn__topic_wake(&topic->prim.seats[topic->seat].token, INT32_MAX);
	tarn__prim_ring(&topic->prim, INT32_MAX);
	tarn__trace(topic->prim.sec.region, TARN_TRACE_COME, &topic->prim.sec.object,
		    TARN_TRACE_SUBSCRIBER, topic->seat - TARN_TOPIC_PUBLISHERS_MAX);
}

static void set_how(struct tarn_subscriber *subscriber, const struct tarn_topic_opts *opts)
{
	uint32_t flags = opts != NULL ? opts->flags : 0;

	subscriber->latest = (flags & TARN_TOPIC_LATEST) != 0;
	subscriber->how = (flags & TARN_TOPIC_LOSSY) != 0 || subscriber->latest ? LOSSY : LOSSLESS;
	subscriber->history = opts != NULL ? opts->history : 0;
}

static int open_apart(const char *name, const struct tarn_topic_opts *opts,
		      struct tarn_subscriber **ret_subscriber)
{
	struct tarn_subscriber *subscriber;
	struct topic *topic;
	int r = tarn__topic_apart(name, sizeof(*subscriber), opts, &topic);

	if (r < 0)
		return r;
	subscriber = (struct tarn_subscriber *)topic;
	set_how(subscriber, opts);
	r = tarn__scout_open(subscriber, name, opts);
	if (r == 0)
		r = add_apart(subscriber, true);
	if (r < 0) {
		tarn_subscriber_close(subscriber);
		return r;
	}
	*ret_subscriber = subscriber;
	return 0;
}

int tarn_subscriber_open(struct tarn_region *region, const char *name,
			 const struct tarn_topic_opts *opts,
			 struct tarn_subscriber **ret_subscriber)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn_subscriber *subscriber;
	struct topic *topic;
	int r = tarn__topic_where(region, name, opts);

	if (r > 0)
		return open_apart(name, opts, ret_subscriber);
	if (r == 0)
		r = tarn__topic_open(region, name, sizeof(*subscriber), opts, &topic);
	if (r < 0)
		return r;
	subscriber = (struct tarn_subscriber *)topic;
	set_how(subscriber, opts);
	r = tarn__prim_ready(&topic->prim, diag);
	if (r == -EPERM) { /* it looks on */
		subscriber->how = LOSSY;
		r = 0;
	} else if (r == 0) {
		r = take_seat(subscriber, diag);
	}
	subscriber->guarded = subscriber->how == LOSSLESS;
	if (r == 0)
		r = add_readers(subscriber, true, subscriber->history);
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
		tarn__topic_wake(&topic->prim.seats[topic->seat].token, INT32_MAX);
	}
	if (subscriber->scout != NULL) {
		tarn__scout_close(subscriber);
		for (uint32_t i = 0; i < subscriber->reader_count; i++)
			subscriber->readers[i].lane.shm = NULL; /* it was the scout's */
	}
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		tarn__lane_close(topic, &subscriber->readers[i].lane);
		free(subscriber->readers[i].held);
	}
	free(subscriber->readers);
	tarn__topic_close(topic);
}

int tarn_subscriber_peer(struct tarn_subscriber *subscriber, uint32_t publisher,
			 struct tarn_peer *ret_peer)
{
	return subscriber->scout == NULL ? -EOPNOTSUPP
					 : tarn__scout_who(subscriber, publisher, ret_peer);
}

int tarn_subscriber_describe(struct tarn_subscriber *subscriber, uint32_t publisher,
			     struct tarn_type **ret_type)
{
	return subscriber->scout == NULL ? tarn__topic_describe(&subscriber->topic, ret_type)
					 : tarn__scout_describe(subscriber, publisher, ret_type);
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
