/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_readers.c - the subscriber's side of a topic apart: publishers that its scout has found,
 * and what of them it may believe. See apart.h.
 *
 * From THERE on lane, bell and ack of a place are the subscriber's, until it makes the place EMPTY.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <tarn/waiter.h>

#include "flow/apart.h"

enum { PLACES = TARN_TOPIC_PUBLISHERS_MAX };

struct lane_scout {
	struct scout scout; /* comes first */
	struct tarn_subscriber *subscriber;
	struct tarn_type *type; /* NULL: any */
	struct tarn_waiter *waiter;
	size_t page;
	unsigned char *bells; /* a page for each place, which stays until another is mapped there,
				 so that whoever sleeps on it may be late in learning that */
	struct shown shown[PLACES];
	struct scout_place places[PLACES];
	struct tarn__poll polls[PLACES + 2];
};

static inline struct lane_scout *lane_scout_of(struct scout *scout)
{
	return (struct lane_scout *)scout; /* its first member */
}

static struct bell_shm *bell_at(const struct lane_scout *scout, uint32_t i)
{
	return (struct bell_shm *)(void *)(scout->bells + i * scout->page);
}

/* --- of the scout's thread ----------------------------------------------------------------- */

static int hear(struct scout *self, uint32_t at)
{
	struct lane_scout *scout = lane_scout_of(self);
	struct shown *shown = &scout->shown[at];
	int r = tarn__shown_hear(self->places[at].sock, self->name, self->places[at].token,
				 scout->type, bell_at(scout, at), shown);

	/* All of one that comes is wanted, whenever the subscriber looks. Where to begin with one
	 * that was there before only it can say: COMING until then.
	 * relaxed: this thread's; seq_cst: as in look_apart() */
	if (r == 0 && atomic_load_explicit(&self->settled, memory_order_relaxed) != 0)
		atomic_store_explicit(&shown->ack->how, scout->subscriber->how,
				      memory_order_seq_cst);
	return r;
}

static void readers_forked(struct scout *self)
{
	lane_scout_of(self)->subscriber->topic.stale = true;
}

static const struct scout_kind readers_kind = { .what = "topic",
						.places = PLACES,
						.per_user = APART_PER_USER,
						.hear = hear,
						.forked = readers_forked };

/* --- open and close ------------------------------------------------------------------------ */

static void free_scout(struct lane_scout *scout)
{
	tarn_waiter_close(scout->waiter);
	for (uint32_t i = 0; i < PLACES; i++)
		tarn__shown_forget(&scout->shown[i]);
	if (scout->bells != NULL)
		tarn__plat_munmap(scout->bells, PLACES * scout->page);
	tarn_type_free(scout->type);
	free(scout);
}

static int copy_type(const struct tarn_type *type, struct tarn_type **ret_type,
		     struct tarn_diag *diag)
{
	unsigned char *bytes;
	const char *fault;
	uint32_t size;
	int r = tarn__type_measure(type, &size, diag);

	if (r < 0)
		return r;
	bytes = malloc(size);
	if (bytes == NULL)
		return -ENOMEM;
	tarn__type_write(type, bytes, size);
	r = tarn__type_read(bytes, size, ret_type, &fault);
	free(bytes);
	return r;
}

static int prepare(struct lane_scout *scout, const struct tarn_topic_opts *opts)
{
	void *bells = NULL;
	int r = opts->type == NULL ? 0 : copy_type(opts->type, &scout->type, opts->diag);

	if (r == 0)
		r = tarn__plat_mmap(NULL, PLACES * scout->page, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &bells);
	scout->bells = bells;
	if (r == 0)
		r = tarn_waiter_open(NULL, &scout->waiter);
	if (r == 0)
		r = tarn_waiter_add_subscriber(scout->waiter, scout->subscriber, NULL);
	return r < 0 ? tarn__diag(opts->diag, r, "topic %s: %s", scout->scout.name, strerror(-r))
		     : 0;
}

int tarn__scout_open(struct tarn_subscriber *subscriber, const char *name,
		     const struct tarn_topic_opts *opts)
{
	const struct apart_where where = tarn__topic_meets(opts);
	struct lane_scout *scout = calloc(1, sizeof(*scout));
	int r;

	if (scout == NULL)
		return -ENOMEM;
	scout->subscriber = subscriber;
	scout->page = tarn__plat_page_size();
	scout->scout.places = scout->places;
	scout->scout.polls = scout->polls;
	subscriber->scout = &scout->scout;
	subscriber->topic.comings = &scout->scout.comings;
	r = tarn__scout_begin(&scout->scout, &readers_kind, name, &where);
	if (r == 0)
		r = prepare(scout, opts);
	if (r == 0)
		r = tarn__scout_start(&scout->scout, &where);
	if (r < 0) {
		subscriber->scout = NULL;
		tarn__scout_end(&scout->scout, true);
		free_scout(scout);
	}
	return r;
}

void tarn__scout_close(struct tarn_subscriber *subscriber)
{
	struct scout *scout = subscriber->scout;
	bool here = !subscriber->topic.stale;

	tarn__fork_remove_other(&scout->forkable);
	if (here)
		tarn__scout_stop(scout);
	subscriber->scout = NULL;
	tarn__scout_end(scout, here);
	free_scout(lane_scout_of(scout));
}

/* --- the subscriber -------------------------------------------------------------------------- */

uint32_t tarn__scout_places(const struct tarn_subscriber *subscriber)
{
	/* acquire: those below have their state */
	return atomic_load_explicit(&subscriber->scout->count, memory_order_acquire);
}

bool tarn__scout_lane(struct tarn_subscriber *subscriber, uint32_t at, struct lane *ret_lane,
		      struct ack_shm **ret_ack)
{
	const struct shown *shown = &lane_scout_of(subscriber->scout)->shown[at];
	uint32_t state = scout_state(subscriber->scout, at);

	if (state != SCOUT_THERE && state != SCOUT_GONE)
		return false;
	*ret_lane = shown->geometry;
	*ret_ack = shown->ack;
	return true;
}

bool tarn__scout_gone(const struct tarn_subscriber *subscriber, uint32_t at)
{
	return scout_state(subscriber->scout, at) == SCOUT_GONE;
}

void tarn__scout_done(struct tarn_subscriber *subscriber, uint32_t at)
{
	tarn__shown_forget(&lane_scout_of(subscriber->scout)->shown[at]);
	tarn__scout_leave(subscriber->scout, at);
}

uint32_t tarn__scout_publishers(const struct tarn_subscriber *subscriber)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PLACES; i++)
		count += scout_state(subscriber->scout, i) == SCOUT_THERE;
	return count;
}

int tarn__scout_who(const struct tarn_subscriber *subscriber, uint32_t at,
		    struct tarn_peer *ret_who)
{
	return subscriber->topic.stale ? -EBUSY /* the lock may be somebody's who is not here */
				       : tarn__scout_whose(subscriber->scout, at, ret_who);
}

int tarn__scout_describe(const struct tarn_subscriber *subscriber, uint32_t at,
			 struct tarn_type **ret_type)
{
	uint32_t state = at < PLACES ? scout_state(subscriber->scout, at) : SCOUT_EMPTY;

	return state == SCOUT_THERE || state == SCOUT_GONE
		       ? tarn__shown_describe(&lane_scout_of(subscriber->scout)->shown[at],
					      ret_type)
		       : -ENOENT;
}

int tarn__scout_wait(struct tarn_subscriber *subscriber, int64_t deadline)
{
	void *tag;
	size_t count;

	return tarn_waiter_wait(lane_scout_of(subscriber->scout)->waiter, deadline, &tag, 1,
				&count);
}

/* Store in all its lanes that it sleeps, or does not. */
static void say(struct tarn_subscriber *subscriber, uint32_t set, uint32_t clear)
{
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		_Atomic uint32_t *word = subscriber->readers[i].sleep;
		uint32_t sleep;

		if (word == NULL)
			continue;
		/* relaxed: its own */
		sleep = atomic_load_explicit(word, memory_order_relaxed) & ~clear;
		if ((set & SLEEPS) != 0)
			sleep += SLEEP_STEP;
		/* A3 <> A4 in tarn__door_notify() */
		atomic_store_explicit(word, sleep | set, memory_order_seq_cst);
	}
}

void tarn__scout_announce(struct tarn_subscriber *subscriber)
{
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		struct reader *reader = &subscriber->readers[i];

		if (reader->sleep != NULL) /* seq_cst: before sleep is stored */
			reader->bell_seen = atomic_load_explicit(
				&bell_at(lane_scout_of(subscriber->scout), i)->bell,
				memory_order_seq_cst);
	}
	say(subscriber, SLEEPS, SLEEPS);
}

void tarn__scout_fence(struct tarn_subscriber *subscriber)
{
	say(subscriber, SLEEPS_FENCED, 0);
}

void tarn__scout_awake(struct tarn_subscriber *subscriber)
{
	say(subscriber, 0, SLEEPS);
}

unsigned tarn__scout_words(const struct tarn_subscriber *subscriber, struct tarn__futex *words,
			   unsigned room, bool *ret_all)
{
	struct lane_scout *scout = lane_scout_of(subscriber->scout);
	unsigned count = 0;

	*ret_all = true;
	if (room > 0)
		words[count++] = tarn__futex_of(&scout->scout.comings, subscriber->comings);
	for (uint32_t i = 0; i < subscriber->reader_count; i++) {
		const struct reader *reader = &subscriber->readers[i];

		if (reader->sleep == NULL)
			continue;
		/* relaxed: its own; one that has come since it said that it sleeps was not told */
		if (count == room ||
		    (atomic_load_explicit(reader->sleep, memory_order_relaxed) & SLEEPS) == 0) {
			*ret_all = false;
			break;
		}
		words[count++] = tarn__futex_of(&bell_at(scout, i)->bell, reader->bell_seen);
	}
	return count;
}
