/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic_look.c - who publishes and subscribes, and who holds whom up, seen from outside: nothing is
 * written, and nobody waits. What is read may be of different moments; each value is checked or
 * clamped before it is used.
 */
#include <errno.h>
#include <stdlib.h>

#include "flow/topic.h"

enum { WALKS = 16 }; /* beside one that publishes all the while */

struct view {
	struct topic *topic;
	struct lane *lanes; /* by place; shm NULL: there is none */
	struct extent *extents;
	uint32_t lane_count, seat_count;
};

/* --- a lane -------------------------------------------------------------------------------- */

/* The number of the message at @pos, or of the one to come. */
static uint64_t number_at(const struct lane *lane, uint64_t pos, uint64_t next)
{
	struct sight sight;

	if (tarn__message_see(lane, pos, &sight) < 0 || sight.number == 0)
		return next;
	return sight.number;
}

/* False: it contradicts itself, or changes all the while; @extent has what was counted. */
static bool measure_once(const struct lane *lane, uint64_t steps, struct extent *extent)
{
	struct sight sight;
	/* acquire, all: of the order in which they are stored */
	uint64_t oldest = atomic_load_explicit(&lane->shm->oldest, memory_order_acquire);
	uint64_t last = atomic_load_explicit(&lane->shm->last, memory_order_acquire);
	uint64_t counted = atomic_load_explicit(&lane->shm->counted, memory_order_acquire);
	uint64_t pos = last >= oldest ? last : oldest, first;

	*extent = (struct extent){ .oldest = oldest, .end = pos, .number = counted };
	if (!is_position(lane, oldest) || !is_position(lane, pos) || pos - oldest > lane->capacity)
		return false;
	while (extent->end - oldest <= lane->capacity && steps-- > 0) {
		if (tarn__message_see(lane, extent->end, &sight) < 0)
			return false;
		if (sight.number == 0)
			break;
		extent->number = sight.number - sight.skip;
		extent->end = sight.end;
	}
	first = number_at(lane, oldest, extent->number + 1);
	/* T8 <- T7: what was looked at is of this lap */
	if (atomic_load_explicit(&lane->shm->oldest, memory_order_acquire) != oldest ||
	    extent->end - oldest > lane->capacity || first > extent->number + 1)
		return false;
	extent->kept = extent->number + 1 - first;
	return true;
}

void tarn__lane_measure(const struct lane *lane, uint64_t steps, struct extent *ret_extent)
{
	for (int tries = 0; tries < WALKS; tries++)
		if (measure_once(lane, steps, ret_extent))
			return;
}

/* --- who needs what ------------------------------------------------------------------------ */

static enum tarn_topic_role role_of(uint32_t how)
{
	return how == LOSSLESS ? TARN_TOPIC_TAKES_ALL
	       : how == LOSSY  ? TARN_TOPIC_TAKES_LOSSY
	       : how == LATEST ? TARN_TOPIC_TAKES_LATEST
			       : TARN_TOPIC_COMES;
}

static bool sits(const struct view *view, struct seat_shm *seat, uint32_t *ret_id)
{
	/* acquire: what it says of itself is as of then, or later */
	*ret_id = atomic_load_explicit(&seat->id, memory_order_acquire);
	return *ret_id != 0 && !tarn__seat_dead(&view->topic->prim, *ret_id, true);
}

/* From where on subscriber @i needs lane @at; UINT64_MAX: nothing of it. */
static uint64_t need_of(const struct view *view, uint32_t i, uint32_t at)
{
	/* acquire, both: who is seen to have come has said before where it begins */
	uint32_t how =
		atomic_load_explicit(&subscriber_seat(view->topic, i)->value, memory_order_acquire);
	uint64_t low =
		atomic_load_explicit(&view->lanes[at].shm->lows[i].pos, memory_order_acquire);

	if (how == COMING)
		return 0;
	return how == SUBSCRIBES_NOT || (is_lossy(how) && low == 0) ? UINT64_MAX : low;
}

/* How many messages of lane @at are kept for subscriber @i. */
static uint64_t kept_for(const struct view *view, uint32_t i, uint32_t at)
{
	const struct extent *extent = &view->extents[at];
	const struct lane *lane = &view->lanes[at];
	uint64_t need = need_of(view, i, at), first;

	if (need < extent->oldest)
		return extent->kept;
	if (need > extent->end || !is_position(lane, need))
		return 0;
	first = number_at(lane, need, extent->number + 1);
	return first > extent->number || extent->number + 1 - first > extent->kept
		       ? 0
		       : extent->number + 1 - first;
}

/* Who is in the way of a small message on lane @at, as claim() would find it: of several the one
 * that is furthest behind. @waits: somebody is. */
static uint32_t blocker_of(const struct view *view, uint32_t at, bool waits)
{
	const struct extent *extent = &view->extents[at];
	uint64_t capacity = view->lanes[at].capacity, part_size = capacity / PARTS;
	uint64_t end = extent->end + bytes_of(1) + sizeof(struct message_shm);
	uint64_t gone = ((end + part_size - 1) & ~(part_size - 1)) - capacity;
	uint64_t lowest = UINT64_MAX;
	uint32_t blocker = UINT32_MAX, id;

	for (uint32_t i = 0; i < view->seat_count; i++) {
		uint64_t need;

		if (!sits(view, subscriber_seat(view->topic, i), &id))
			continue;
		need = need_of(view, i, at);
		if (need < lowest && (waits || (gone > extent->oldest && need < gone))) {
			lowest = need;
			blocker = i;
		}
	}
	return blocker;
}

/* --- telling ------------------------------------------------------------------------------- */

static void fill_who(const struct view *view, uint32_t id, const struct seat_shm *seat,
		     struct tarn_topic_user *user)
{
	struct tarn_section_who who;
	/* relaxed: for the eye */
	uint32_t tid = atomic_load_explicit(&seat->tid, memory_order_relaxed);

	tarn__section_who(&view->topic->prim.sec, id, tid, &who);
	user->slot = who.slot;
	user->pid = who.pid;
	user->tid = who.tid;
	user->alive = who.alive;
}

static int tell_publisher(const struct view *view, uint32_t at,
			  int (*fn)(const struct tarn_topic_user *user, void *arg), void *arg)
{
	struct tarn_topic_user user = {
		.role = TARN_TOPIC_PUBLISHES,
		.place = at,
		.slot = UINT32_MAX,
		.held_up_by = UINT32_MAX,
		.lane_size = view->lanes[at].capacity,
		.number = view->extents[at].number,
		.kept = view->extents[at].kept,
	};
	struct seat_shm *seat = publisher_seat(view->topic, at);
	uint32_t id;

	if (view->lanes[at].shm == NULL)
		return 0;
	if (sits(view, seat, &id)) {
		/* relaxed: for the eye */
		user.waits = atomic_load_explicit(&view->lanes[at].shm->waits,
						  memory_order_relaxed) != 0;
		user.held_up_by = blocker_of(view, at, user.waits);
	}
	if (id != 0)
		fill_who(view, id, seat, &user);
	return fn(&user, arg);
}

static int tell_subscriber(const struct view *view, uint32_t i,
			   int (*fn)(const struct tarn_topic_user *user, void *arg), void *arg)
{
	struct tarn_topic_user user = { .place = i, .held_up_by = UINT32_MAX };
	struct seat_shm *seat = subscriber_seat(view->topic, i);
	/* acquire, both: as in need_of() */
	uint32_t id = atomic_load_explicit(&seat->id, memory_order_acquire);
	uint32_t how = atomic_load_explicit(&seat->value, memory_order_acquire);

	if (id == 0 || how == SUBSCRIBES_NOT)
		return 0;
	user.role = role_of(how);
	fill_who(view, id, seat, &user);
	for (uint32_t at = 0; at < view->lane_count; at++) {
		if (view->lanes[at].shm == NULL)
			continue;
		user.kept += kept_for(view, i, at);
		/* relaxed: for the eye. What stands there while it comes is its predecessor's. */
		if (how != COMING)
			user.missed += atomic_load_explicit(&view->lanes[at].shm->lows[i].missed,
							    memory_order_relaxed);
	}
	return fn(&user, arg);
}

/* --- looking ------------------------------------------------------------------------------- */

static void close_view(struct view *view)
{
	for (uint32_t i = 0; view->lanes != NULL && i < view->lane_count; i++)
		tarn__lane_close(view->topic, &view->lanes[i]);
	free(view->lanes);
	free(view->extents);
	tarn__topic_close(view->topic);
}

static uint32_t at_most(const _Atomic uint32_t *word, uint32_t most)
{
	/* acquire: what it counts was there before */
	uint32_t value = atomic_load_explicit(word, memory_order_acquire);

	return value < most ? value : most;
}

static int open_view(struct tarn_region *region, const char *name, struct view *ret_view)
{
	struct view view = { .topic = NULL };
	int r = tarn__topic_open(region, name, sizeof(*view.topic), NULL, &view.topic);

	if (r < 0)
		return r;
	view.lane_count = at_most(&view.topic->shm->lanes, TARN_TOPIC_PUBLISHERS_MAX);
	view.seat_count = at_most(&view.topic->shm->seats, TARN_TOPIC_SUBSCRIBERS_MAX);
	view.lanes = calloc(view.lane_count + 1, sizeof(*view.lanes));
	view.extents = calloc(view.lane_count + 1, sizeof(*view.extents));
	if (view.lanes == NULL || view.extents == NULL)
		r = -ENOMEM;
	for (uint32_t i = 0; i < view.lane_count && r == 0; i++) {
		r = tarn__lane_open(view.topic, i, 0, &view.lanes[i], NULL);
		if (r == 0)
			tarn__lane_measure(&view.lanes[i], UINT64_MAX, &view.extents[i]);
		r = r == -ENOENT ? 0 : r; /* one that was removed is no more */
	}
	if (r == 0 && tarn_segment_damaged(region->seg))
		r = -EIO;
	if (r < 0)
		close_view(&view);
	else
		*ret_view = view;
	return r;
}

int tarn_topic_users(struct tarn_region *region, const char *name,
		     int (*fn)(const struct tarn_topic_user *user, void *arg), void *arg)
{
	struct view view;
	int r = open_view(region, name, &view);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < view.lane_count && r == 0; i++)
		r = tell_publisher(&view, i, fn, arg);
	for (uint32_t i = 0; i < view.seat_count && r == 0; i++)
		r = tell_subscriber(&view, i, fn, arg);
	close_view(&view);
	return r;
}

int tarn_topic_stat(struct tarn_region *region, const char *name, struct tarn_topic_stat *ret_stat)
{
	struct tarn_topic_stat stat = { .lanes = 0 };
	struct view view;
	int r = open_view(region, name, &view);

	if (r < 0)
		return r;
	stat.publishers = tarn__topic_publishers(view.topic);
	stat.subscribers = tarn__topic_subscribers(view.topic);
	stat.size = view.topic->prim.sec.object.size;
	for (uint32_t i = 0; i < view.lane_count; i++) {
		if (view.lanes[i].shm == NULL)
			continue;
		stat.lanes++;
		stat.number += view.extents[i].number;
		stat.size += view.lanes[i].object.size;
	}
	close_view(&view);
	*ret_stat = stat;
	return 0;
}
