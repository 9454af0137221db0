/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_publisher.c - a publisher comes, goes on in a larger lane, and leaves. See topic.h.
 *
 * It takes over the lane of one that is gone, if there is one of the size it wants, else it makes
 * one at a place that has none. To go on in a larger one it comes once more, under the same handle,
 * and then leaves the place where it was: at no moment is it nowhere, and killed between the two
 * it leaves two lanes, as two publishers would.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "flow/apart.h"
#include "region/trace.h"

enum { DEPTH = 4 }; /* messages that a lane has room for, at least, which somebody grows to */
#define SOON_NS INT64_C(100000000) /* subscribers come over that trust nobody */

/* --- places -------------------------------------------------------------------------------- */

/* Sit down at @place if that is free, or its publisher dead. */
static bool sit_down(struct tarn_publisher *publisher, uint32_t place)
{
	struct prim *prim = &publisher->topic.prim;
	struct seat_shm *seat = publisher_seat(&publisher->topic, place);
	/* relaxed: decided by the exchange */
	uint32_t id = atomic_load_explicit(&seat->id, memory_order_relaxed);

	if (id != 0 && !tarn__seat_dead(prim, id, true))
		return false;
	/* seq_cst: what was done there before is seen; the dead one's, since the kernel says that
	 * it died */
	if (!atomic_compare_exchange_strong_explicit(&seat->id, &id, id_of(&prim->sec),
						     memory_order_seq_cst, memory_order_relaxed))
		return false;
	if (id != 0) {
		tarn__prim_freed(prim);
		tarn__trace(prim->sec.region, TARN_TRACE_GONE, &prim->sec.object,
			    TARN_TRACE_PUBLISHER, place);
	}
	publisher->topic.seat = place;
	/* relaxed: for the eye */
	atomic_store_explicit(&seat->tid, tarn__self.tid, memory_order_relaxed);
	return true;
}

/* Leave @place, whose lane it is. */
static void get_up(struct topic *topic, uint32_t place, struct lane *lane)
{
	tarn__lane_close(topic, lane);
	(void)tarn__seat_give(&topic->prim, publisher_seat(topic, place));
}

/* Walk from the oldest message to the end of all: what the last publisher left. */
static int find_end(struct tarn_publisher *publisher)
{
	struct lane *lane = &publisher->lane;
	/* acquire: what the last one wrote is visible, since it left, or the kernel says it died */
	uint64_t oldest = atomic_load_explicit(&lane->shm->oldest, memory_order_acquire);
	uint64_t pos = oldest, number = 0, last = 0;

	if (!is_position(lane, oldest))
		return -EUCLEAN;
	publisher->part = (oldest >> lane->part_shift) - 1;
	tarn__note_start(publisher, oldest);
	while (pos - oldest <= lane->capacity) {
		struct sight sight;
		int r = tarn__message_see(lane, pos, &sight);

		if (r < 0 || (sight.number != 0 && number != 0 && sight.number != number))
			return -EUCLEAN; /* I2, I3 */
		tarn__note_start(publisher, pos);
		if (sight.number == 0)
			break;
		number = sight.number + !sight.skip;
		publisher->back = sight.skip ? publisher->back + (uint32_t)(sight.end - pos)
					     : (uint32_t)(sight.end - pos);
		last = sight.skip ? last : pos;
		pos = sight.end;
	}
	if (pos - oldest > lane->capacity)
		return -EUCLEAN;
	publisher->oldest = oldest;
	publisher->pos = publisher->topic.limit = pos;
	publisher->free_to = pos + sizeof(struct message_shm);
	publisher->number = number;
	if (number == 0) /* nothing is left. relaxed: as oldest, which was stored after it */
		publisher->number =
			atomic_load_explicit(&lane->shm->counted, memory_order_relaxed) + 1;
	if (last != 0)
		tarn__note_last(publisher, last, publisher->number - 1);
	publisher->size_max = (uint32_t)size_max_of(lane->capacity);
	if (publisher->size_max > publisher->topic.most)
		publisher->size_max = publisher->topic.most;
	publisher->blocker = UINT32_MAX;
	publisher->floor = 0; /* of another lane */
	return 0;
}

/* Sit down where there is a lane that suits, or none and one is made. 0; -EAGAIN: try the next
 * place. */
static int try_place(struct tarn_publisher *publisher, uint32_t place, uint64_t asked, bool make,
		     struct tarn_diag *diag)
{
	struct topic *topic = &publisher->topic;
	struct lane *lane = &publisher->lane;
	int r = tarn__lane_open(topic, place, 0, lane, diag);

	if (r < 0 && (r != -ENOENT || !make))
		return r == -ENOENT ? -EAGAIN : r;
	if (r == 0 && asked != 0 && lane->capacity != asked)
		r = -EAGAIN;
	else if (!sit_down(publisher, place))
		r = -EAGAIN;
	else if (r == -ENOENT)
		r = tarn__lane_open(topic, place, asked != 0 ? asked : LANE_SIZE_DEFAULT, lane,
				    diag);
	if (r == 0 && asked != 0 && lane->capacity != asked)
		r = -EAGAIN; /* another made it, and left */
	if (r == 0) {
		r = find_end(publisher);
		if (r < 0)
			tarn__diag(diag, r,
				   "topic %s: what lane %" PRIu32 " says contradicts itself",
				   topic->prim.sec.name, place);
	}
	if (r < 0 && topic->seat != UINT32_MAX) {
		get_up(topic, place, lane);
		topic->seat = UINT32_MAX;
	} else if (r < 0) {
		tarn__lane_close(topic, lane);
	}
	return r;
}

static int find_place(struct tarn_publisher *publisher, uint64_t asked, struct tarn_diag *diag)
{
	int worst = 0;

	/* First those that have a lane that suits, then those without one. */
	for (int make = 0; make < 2; make++) {
		for (uint32_t i = 0; i < TARN_TOPIC_PUBLISHERS_MAX; i++) {
			/* relaxed: a hint, those behind it have never had one */
			uint32_t lanes = atomic_load_explicit(&publisher->topic.shm->lanes,
							      memory_order_relaxed);
			int r;

			if (!make && i >= lanes)
				break;
			r = try_place(publisher, i, asked, make != 0, diag);
			if (r == -EUCLEAN || r == -EPROTO)
				worst = r; /* another place may be sound */
			else if (r != -EAGAIN)
				return r;
		}
	}
	if (worst < 0)
		return worst;
	return tarn__diag(
		diag, -EUSERS,
		"topic %s: all of its %u places for publishers are taken, or have lanes of "
		"another size",
		publisher->topic.prim.sec.name, TARN_TOPIC_PUBLISHERS_MAX);
}

/* --- open and close ------------------------------------------------------------------------ */

/* It sits, and has a lane. */
static void say_come(struct tarn_publisher *publisher)
{
	struct topic *topic = &publisher->topic;

	tarn__raise32(&topic->shm->lanes, topic->seat + 1);
	/* seq_cst: the lane was there before, and what it has published elsewhere; then it is
	 * looked who sleeps */
	publisher->came =
		atomic_fetch_add_explicit(&topic->shm->comings, 1, memory_order_seq_cst) + 1;
	tarn__prim_ring(&topic->prim, INT32_MAX);
	tarn__trace(topic->prim.sec.region, TARN_TRACE_COME, &topic->prim.sec.object,
		    TARN_TRACE_PUBLISHER, topic->seat);
}

/* With no region: its lane is new, and its own. */
static int open_apart(const char *name, const struct tarn_topic_opts *opts,
		      struct tarn_publisher **ret_publisher)
{
	struct tarn_publisher *publisher;
	struct topic *topic;
	int r = tarn__topic_apart(name, sizeof(*publisher), opts, &topic);

	if (r < 0)
		return r;
	publisher = (struct tarn_publisher *)topic;
	publisher->timed = (opts->flags & TARN_TOPIC_NO_TIME) == 0;
	publisher->id = 0; /* no member of anything */
	r = tarn__door_open(publisher, name,
			    opts->lane_size != 0 ? opts->lane_size : LANE_SIZE_DEFAULT, opts);
	if (r == 0)
		r = find_end(publisher); /* it is the beginning */
	if (r < 0) {
		publisher->lane.shm = NULL; /* it is the door's, or was */
		tarn_publisher_close(publisher);
		return r;
	}
	*ret_publisher = publisher;
	return 0;
}

int tarn_publisher_open(struct tarn_region *region, const char *name,
			const struct tarn_topic_opts *opts, struct tarn_publisher **ret_publisher)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn_publisher *publisher;
	struct topic *topic;
	int r = tarn__topic_where(region, name, opts);

	if (r > 0)
		return open_apart(name, opts, ret_publisher);
	if (r == 0)
		r = tarn__topic_open(region, name, sizeof(*publisher), opts, &topic);
	if (r < 0)
		return r;
	publisher = (struct tarn_publisher *)topic;
	publisher->timed = opts == NULL || (opts->flags & TARN_TOPIC_NO_TIME) == 0;
	r = tarn__prim_ready(&topic->prim, diag);
	if (r == 0) {
		publisher->id = id_of(&topic->prim.sec);
		r = find_place(publisher, opts != NULL ? opts->lane_size : 0, diag);
	}
	if (r < 0) {
		tarn__topic_close(topic);
		return r;
	}
	say_come(publisher);
	*ret_publisher = publisher;
	return 0;
}

void tarn_publisher_close(struct tarn_publisher *publisher)
{
	if (publisher == NULL)
		return;
	if (publisher->door != NULL) {
		tarn__door_close(publisher->door);
		publisher->lane.shm = NULL; /* it was the door's */
	}
	tarn__lane_close(&publisher->topic, &publisher->lane);
	tarn__topic_close(&publisher->topic);
}

/* --- grow ---------------------------------------------------------------------------------- */

/* Bytes of a lane that has room for some messages of @size; 0: there is none. */
static uint64_t lane_for(const struct tarn_publisher *publisher, uint64_t size)
{
	uint64_t capacity = publisher->lane.capacity;

	if (size > size_max_of(LANE_SIZE_MAX))
		return 0;
	while (capacity < LANE_SIZE_MAX && capacity < DEPTH * bytes_of(size))
		capacity *= 2;
	return capacity;
}

/* Where it publishes: all of @from but what others know by its address. */
static void keep(struct tarn_publisher *to, const struct tarn_publisher *from)
{
	const size_t own = offsetof(struct tarn_publisher, lane);

	to->topic.seat = from->topic.seat;
	to->topic.limit = from->topic.limit;
	memcpy((char *)to + own, (const char *)from + own, sizeof(*from) - own);
}

/* Come to a place with a lane of @capacity; @before is where it was. */
static int come_again(struct tarn_publisher *publisher, const struct tarn_publisher *before,
		      uint64_t capacity, struct tarn_diag *diag)
{
	uint32_t count, coming;
	int r;

	if (before->door == NULL) {
		r = find_place(publisher, capacity, diag);
		if (r == 0)
			say_come(publisher);
		return r;
	}
	count = tarn__door_subscribers(before, &coming) + coming;
	r = tarn__door_again(publisher, capacity, diag);
	if (r < 0)
		return r;
	r = find_end(publisher); /* it is the beginning */
	if (r < 0)
		tarn__door_close(publisher->door);
	else /* who does not come soon may be late for the first messages */
		(void)tarn__door_wait_subscribers(publisher, count, false,
						  tarn__plat_now() + SOON_NS);
	return r;
}

static void leave(struct tarn_publisher *publisher, struct tarn_publisher *before)
{
	if (before->door != NULL) {
		tarn__door_close(before->door);
		return;
	}
	get_up(&publisher->topic, before->topic.seat, &before->lane);
	tarn__prim_ring(&publisher->topic.prim, INT32_MAX);
}

int tarn_publisher_grow(struct tarn_publisher *publisher, size_t size, struct tarn_diag *diag)
{
	struct topic *topic = &publisher->topic;
	const char *name = topic->prim.sec.name;
	struct tarn_publisher before = { .door = NULL };
	uint64_t capacity;
	int r;

	if (topic->stale)
		return -EBUSY;
	if (size <= publisher->size_max)
		return 0;
	if (size > topic->most)
		return tarn__diag(diag, -EMSGSIZE,
				  "topic %s: a message of %zu bytes: those of its type have "
				  "%" PRIu32,
				  name, size, topic->most);
	capacity = lane_for(publisher, size);
	if (capacity == 0)
		return tarn__diag(diag, -EMSGSIZE,
				  "topic %s: a message of %zu bytes: the largest lane there may be "
				  "(%" PRIu64 " bytes) takes %" PRIu64,
				  name, size, LANE_SIZE_MAX, size_max_of(LANE_SIZE_MAX));
	keep(&before, publisher);
	topic->seat = UINT32_MAX;
	publisher->lane.shm = NULL;
	publisher->lent = false;
	publisher->back = 0;
	r = come_again(publisher, &before, capacity, diag);
	if (r == 0)
		leave(publisher, &before);
	else
		keep(publisher, &before);
	return r;
}
