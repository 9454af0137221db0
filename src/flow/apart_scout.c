/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_scout.c - the subscriber's side: which publishers there are, and what they may be believed.
 * See apart.h.
 *
 * The scout's thread looks through the directory when a name comes to be there, connects, and has
 * what it is sent checked before the subscriber's own thread sees it. A place goes
 *
 *   EMPTY -> ASKED -> THERE -> GONE -> EMPTY
 *
 * by the thread, but for the last step, which is the subscriber's, once it has taken all; from
 * THERE on lane, bell and ack are the subscriber's.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <tarn/waiter.h>

#include "flow/apart.h"

#define ANSWER_NS     INT64_C(100000000)   /* who has not answered by then is late */
#define SETTLE_NS     INT64_C(1000000000)  /* what opening takes at most */
#define LATE_NS       INT64_C(10000000000) /* and by then is given up */
#define AGAIN_NS      INT64_C(200000000)   /* who hung up, full perhaps, is asked again */
#define LOOK_AGAIN_NS INT64_C(100000000)   /* where names cannot be watched, or a call failed */
#define NAP_NS        INT64_C(1000000)
#define SCAN_SHARE    10 /* it rests for so many times as long as it took to look */

enum {
	PLACES = TARN_TOPIC_PUBLISHERS_MAX,
	REFUSALS = 4096,
	LOOKED = 256, /* names, after which it is looked round */
};

enum { EMPTY = 0, ASKED = 1, THERE = 2, GONE = 3 };

struct place {
	_Atomic uint32_t state;
	int sock; /* -1: closed */
	uint64_t token;
	int64_t since; /* when it was asked */
	struct tarn_peer who;
	struct shown shown;
};

/* Whom not to ask. */
struct refusal {
	uint64_t token;
	int64_t until;
	bool named; /* its name was seen by this look */
};

struct scout {
	struct tarn__forkable forkable;
	struct tarn_subscriber *subscriber;
	struct tarn_type *type; /* NULL: any */
	struct tarn_waiter *waiter;
	int dir, watch, quit;
	uintptr_t thread;
	size_t page;
	unsigned char *bells; /* a page for each place, which stays until another is mapped there,
				 so that whoever sleeps on it may be late in learning that */
	_Atomic bool ends;
	_Atomic uint32_t naps;    /* 0: a word to sleep on */
	_Atomic uint32_t comings; /* changes when a place does that the subscriber is to look at */
	_Atomic uint32_t settled; /* 1: who was there has answered, or is late */
	_Atomic uint32_t count;   /* places from 0 on that are or were taken */
	bool again;               /* look once more, soon */
	uint32_t looked;          /* names */
	uint32_t refusal_count;
	struct refusal refusals[REFUSALS];
	struct place places[PLACES];
	struct tarn__poll polls[PLACES + 2];
	struct apart_peers peers;
	pthread_mutex_t mutex; /* whose */
	char name[TARN_TOPIC_NAME_MAX + 1];
};

static inline uint32_t state_of(const struct place *place)
{
	/* acquire: what is there was put there before */
	return atomic_load_explicit(&place->state, memory_order_acquire);
}

static struct bell_shm *bell_at(const struct scout *scout, uint32_t i)
{
	return (struct bell_shm *)(void *)(scout->bells + i * scout->page);
}

/* --- the thread ---------------------------------------------------------------------------- */

static void tell(struct scout *scout)
{
	/* release: with what has become of the place */
	atomic_fetch_add_explicit(&scout->comings, 1, memory_order_release);
	(void)tarn__plat_futex_wake(&scout->comings, INT32_MAX);
}

static void set_state(struct place *place, uint32_t state)
{
	/* release: see state_of() */
	atomic_store_explicit(&place->state, state, memory_order_release);
}

static void refuse(struct scout *scout, uint64_t token, int64_t until)
{
	if (scout->refusal_count < REFUSALS)
		scout->refusals[scout->refusal_count++] =
			(struct refusal){ .token = token, .until = until, .named = true };
	/* else it is asked again at the next look */
}

static void hang_up(struct scout *scout, struct place *place)
{
	pthread_mutex_lock(&scout->mutex);
	tarn__apart_hang_up(&place->sock);
	pthread_mutex_unlock(&scout->mutex);
}

/* It was asked, and has said something, or nothing for too long. */
static void hear_out(struct scout *scout, struct place *place, bool late)
{
	int r = late ? -ETIMEDOUT
		     : tarn__shown_hear(place->sock, scout->name, place->token, scout->type,
					bell_at(scout, (uint32_t)(place - scout->places)),
					&place->shown);

	if (r == -EAGAIN)
		return;
	if (r == 0) {
		/* All of one that comes is wanted, whenever the subscriber looks. Where to begin
		 * with one that was there before only it can say: COMING until then.
		 * relaxed: this thread's; seq_cst: as in look_apart() */
		if (atomic_load_explicit(&scout->settled, memory_order_relaxed) != 0)
			atomic_store_explicit(&place->shown.ack->how, scout->subscriber->how,
					      memory_order_seq_cst);
		set_state(place, THERE);
		tell(scout);
		return;
	}
	hang_up(scout, place);
	/* What contradicts itself, or is of another type, is not asked again; who has no room, came
	 * to its end, or is stopped, may be. */
	refuse(scout, place->token,
	       r == -EPROTO || r == -EUCLEAN ? TARN_FOREVER : tarn__plat_now() + AGAIN_NS);
	set_state(place, EMPTY);
}

static bool is_known(struct scout *scout, uint64_t token)
{
	for (uint32_t i = 0; i < PLACES; i++)
		if (state_of(&scout->places[i]) != EMPTY && scout->places[i].token == token)
			return true;
	for (uint32_t i = 0; i < scout->refusal_count; i++) {
		struct refusal *refusal = &scout->refusals[i];

		if (refusal->token != token)
			continue;
		refusal->named = true;
		if (refusal->until > tarn__plat_now())
			return true;
		*refusal = scout->refusals[--scout->refusal_count];
		return false;
	}
	return false;
}

/* A place for a publisher of user @uid; NULL: there is none. */
static struct place *find_place(struct scout *scout, uint32_t uid)
{
	uint32_t of_user = 0, free = PLACES;

	for (uint32_t i = 0; i < PLACES; i++) {
		struct place *place = &scout->places[i];

		if (state_of(place) != EMPTY)
			of_user += place->who.uid == uid;
		else if (free == PLACES)
			free = i;
	}
	if (free == PLACES || of_user >= APART_PER_USER)
		return NULL;
	tarn__raise32(&scout->count, free + 1);
	return &scout->places[free];
}

static bool is_socket(const char *path)
{
	struct stat st;

	return tarn__plat_stat(path, false, &st) == 0 && S_ISSOCK(st.st_mode);
}

static void ask(struct scout *scout, uint64_t token)
{
	char path[APART_PATH_MAX];
	struct place *place = NULL;
	struct tarn_peer who;
	int sock;

	tarn__apart_path(path, scout->dir, scout->name, token, false);
	sock = tarn__plat_connect(path);
	if (sock == -ECONNREFUSED && is_socket(path) && tarn__plat_unlink(path) == 0)
		return; /* nobody listens there any more */
	if (sock == -EAGAIN || sock == -EMFILE || sock == -ENFILE || sock == -ENOMEM) {
		scout->again = true;
		return;
	}
	if (sock < 0) {
		refuse(scout, token, TARN_FOREVER);
		return;
	}
	if (tarn__apart_lets_in(&scout->peers, sock, &who))
		place = find_place(scout, who.uid);
	if (place == NULL) {
		tarn__apart_hang_up(&sock);
		refuse(scout, token, tarn__plat_now() + AGAIN_NS);
		return;
	}
	pthread_mutex_lock(&scout->mutex);
	place->sock = sock;
	place->who = who;
	pthread_mutex_unlock(&scout->mutex);
	place->token = token;
	place->since = tarn__plat_now();
	set_state(place, ASKED);
}

static bool look_round(struct scout *scout, int64_t deadline, bool *ret_named);

static int look_at(const char *entry, void *arg)
{
	struct scout *scout = arg;
	bool named = true; /* names are being looked at */
	uint64_t token;

	if (tarn__apart_token(entry, scout->name, &token) && !is_known(scout, token))
		ask(scout, token);
	/* However many there are, those that are there already are looked after. */
	return ++scout->looked % LOOKED != 0 || look_round(scout, 0, &named) ? 0 : 1;
}

/* Look through the directory. */
static void look_through(struct scout *scout)
{
	char path[48];
	uint32_t kept = 0;

	scout->again = false;
	for (uint32_t i = 0; i < scout->refusal_count; i++)
		scout->refusals[i].named = false;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", scout->dir);
	if (tarn__plat_listdir(path, look_at, scout) < 0)
		scout->again = true;
	for (uint32_t i = 0; i < scout->refusal_count; i++)
		if (scout->refusals[i].named)
			scout->refusals[kept++] = scout->refusals[i];
	scout->refusal_count = kept;
}

/* When to look through it again, whatever happens. */
static int64_t next_look(const struct scout *scout, int64_t now)
{
	int64_t next = scout->again || scout->watch < 0 ? now + LOOK_AGAIN_NS : TARN_FOREVER;

	for (uint32_t i = 0; i < scout->refusal_count; i++)
		if (scout->refusals[i].until < next)
			next = scout->refusals[i].until;
	return next;
}

/* Those that were there have answered, or are late: the subscriber may begin. */
static void say_settled(struct scout *scout)
{
	int64_t now;

	if (atomic_load_explicit(&scout->settled, memory_order_relaxed) != 0)
		return; /* relaxed: this thread's */
	now = tarn__plat_now();
	for (uint32_t i = 0; i < PLACES; i++)
		if (state_of(&scout->places[i]) == ASKED &&
		    now < scout->places[i].since + ANSWER_NS)
			return;
	/* release: with all places */
	atomic_store_explicit(&scout->settled, 1, memory_order_release);
	(void)tarn__plat_futex_wake(&scout->settled, INT32_MAX);
}

void tarn__scout_lose(struct scout *scout, uint32_t at)
{
	set_state(&scout->places[at], GONE);
	tell(scout);
}

/* What has become of place @i, by what was found of its socket. */
static void look_after(struct scout *scout, uint32_t i, short found, int64_t now)
{
	struct place *place = &scout->places[i];
	uint32_t state = state_of(place);

	if (state == ASKED &&
	    ((found & (POLLIN | POLLHUP | POLLERR)) != 0 || now - place->since > LATE_NS)) {
		hear_out(scout, place, (found & (POLLIN | POLLHUP | POLLERR)) == 0);
	} else if (state == THERE && (found & (POLLHUP | POLLERR)) != 0) {
		hang_up(scout, place);
		tarn__scout_lose(scout, i);
	}
}

/* Wait for something of interest, at most until @deadline. False: the end. */
static bool look_round(struct scout *scout, int64_t deadline, bool *ret_named)
{
	struct tarn__poll *polls = scout->polls;
	/* relaxed: this thread alone raises it */
	uint32_t count = atomic_load_explicit(&scout->count, memory_order_relaxed);
	int64_t now;

	polls[0] = (struct tarn__poll){ .fd = scout->quit, .wanted = POLLIN };
	polls[1] = (struct tarn__poll){ .fd = *ret_named ? -1 : scout->watch, .wanted = POLLIN };
	for (uint32_t i = 0; i < count; i++) {
		const struct place *place = &scout->places[i];
		uint32_t state = state_of(place);

		polls[2 + i] = (struct tarn__poll){
			.fd = state == ASKED || state == THERE ? place->sock : -1,
			.wanted = state == ASKED ? POLLIN : 0,
		};
		if (state == ASKED && place->since + ANSWER_NS < deadline)
			deadline = place->since + ANSWER_NS;
	}
	now = tarn__plat_now();
	if (deadline != 0 && deadline < now + NAP_NS) /* who is late is looked at again and again */
		deadline = now + NAP_NS;
	/* relaxed: quit tells it, too */
	if (tarn__plat_poll(polls, 2 + count, deadline) < 0) { /* no descriptors allowed at all */
		(void)tarn__plat_futex_wait(&scout->naps, 0, now + NAP_NS);
		return !atomic_load_explicit(&scout->ends, memory_order_relaxed);
	}
	if (polls[0].found != 0)
		return false;
	if (polls[1].found != 0) {
		tarn__plat_watch_clear(scout->watch);
		*ret_named = true;
	}
	now = tarn__plat_now();
	for (uint32_t i = 0; i < count; i++)
		look_after(scout, i, polls[2 + i].found, now);
	return true;
}

static void *run(void *arg)
{
	struct scout *scout = arg;
	int64_t next = tarn__plat_now(), rested = next;
	bool named = true;

	do {
		int64_t now = tarn__plat_now();

		if ((named && now >= rested) || now >= next) {
			int64_t after;

			named = false;
			look_through(scout);
			after = tarn__plat_now();
			next = next_look(scout, after);
			rested = after + SCAN_SHARE * (after - now);
			next = next < rested ? rested : next;
		}
		say_settled(scout);
		if (!look_round(scout, named && rested < next ? rested : next, &named))
			return NULL;
		say_settled(scout);
	} while (true);
}

/* --- open and close ------------------------------------------------------------------------ */

static void close_all(struct scout *scout)
{
	tarn__plat_close(scout->dir);
	tarn__plat_close(scout->watch);
	tarn__plat_close(scout->quit);
}

/* In the child of a fork: the parent's connections are not its. */
static void forked(struct tarn__forkable *self)
{
	struct scout *scout =
		(struct scout *)(void *)((char *)self - offsetof(struct scout, forkable));

	scout->subscriber->topic.stale = true;
	close_all(scout);
	for (uint32_t i = 0; i < PLACES; i++)
		tarn__plat_close(scout->places[i].sock);
}

static void free_scout(struct scout *scout)
{
	tarn_waiter_close(scout->waiter);
	for (uint32_t i = 0; i < PLACES; i++)
		tarn__shown_forget(&scout->places[i].shown);
	if (scout->bells != NULL)
		tarn__plat_munmap(scout->bells, PLACES * scout->page);
	tarn_type_free(scout->type);
	tarn__apart_forget(&scout->peers);
	pthread_mutex_destroy(&scout->mutex);
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

static int start(struct scout *scout, const struct tarn_topic_opts *opts)
{
	char path[48];
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
	if (r == 0)
		r = scout->quit = tarn__plat_eventfd();
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/.", scout->dir);
	scout->watch = tarn__plat_watch_names(path); /* else it is looked again and again */
	r = tarn__fork_add_other(&scout->forkable);
	if (r < 0)
		return r;
	r = tarn__plat_thread_start(run, scout, &scout->thread);
	if (r < 0)
		tarn__fork_remove_other(&scout->forkable);
	return r;
}

/* Until those that are there have answered, or the directory is too large to be looked through. */
static void wait_settled(struct scout *scout)
{
	int64_t deadline = tarn__plat_now() + SETTLE_NS;

	/* acquire: their places */
	while (atomic_load_explicit(&scout->settled, memory_order_acquire) == 0 &&
	       tarn__plat_now() < deadline)
		(void)tarn__plat_futex_wait(&scout->settled, 0, deadline);
}

int tarn__scout_open(struct tarn_subscriber *subscriber, const char *name,
		     const struct tarn_topic_opts *opts)
{
	struct scout *scout = calloc(1, sizeof(*scout));
	int r;

	if (scout == NULL)
		return -ENOMEM;
	scout->subscriber = subscriber;
	scout->forkable.forked = forked;
	scout->page = tarn__plat_page_size();
	scout->dir = scout->watch = scout->quit = -1;
	for (uint32_t i = 0; i < PLACES; i++)
		scout->places[i].sock = -1;
	pthread_mutex_init(&scout->mutex, NULL);
	subscriber->scout = scout;
	subscriber->topic.comings = &scout->comings;
	r = scout->dir = tarn__apart_begin(name, opts, &scout->peers);
	if (r >= 0) {
		memcpy(scout->name, name, strlen(name) + 1);
		r = start(scout, opts);
		if (r < 0)
			tarn__diag(opts->diag, r, "topic %s: %s", name, strerror(-r));
	}
	if (r < 0) {
		subscriber->scout = NULL;
		close_all(scout);
		free_scout(scout);
		return r;
	}
	wait_settled(scout);
	return 0;
}

void tarn__scout_close(struct tarn_subscriber *subscriber)
{
	struct scout *scout = subscriber->scout;

	tarn__fork_remove_other(&scout->forkable);
	if (!subscriber->topic.stale) {
		/* relaxed: quit tells it, or the next nap */
		atomic_store_explicit(&scout->ends, true, memory_order_relaxed);
		(void)tarn__plat_eventfd_raise(scout->quit);
		tarn__plat_thread_join(scout->thread);
		for (uint32_t i = 0; i < PLACES; i++)
			tarn__apart_hang_up(&scout->places[i].sock);
		close_all(scout);
	}
	subscriber->scout = NULL;
	free_scout(scout);
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
	struct place *place = &subscriber->scout->places[at];
	uint32_t state = state_of(place);

	if (state != THERE && state != GONE)
		return false;
	*ret_lane = place->shown.geometry;
	*ret_ack = place->shown.ack;
	return true;
}

bool tarn__scout_gone(const struct tarn_subscriber *subscriber, uint32_t at)
{
	return state_of(&subscriber->scout->places[at]) == GONE;
}

void tarn__scout_done(struct tarn_subscriber *subscriber, uint32_t at)
{
	struct place *place = &subscriber->scout->places[at];

	tarn__shown_forget(&place->shown);
	set_state(place, EMPTY);
}

uint32_t tarn__scout_publishers(const struct tarn_subscriber *subscriber)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PLACES; i++)
		count += state_of(&subscriber->scout->places[i]) == THERE;
	return count;
}

int tarn__scout_who(const struct tarn_subscriber *subscriber, uint32_t at,
		    struct tarn_peer *ret_who)
{
	struct scout *scout = subscriber->scout;
	uint32_t state = at < PLACES ? state_of(&scout->places[at]) : EMPTY;

	if (subscriber->topic.stale)
		return -EBUSY; /* the lock may be somebody's who is not here */
	if (state != THERE && state != GONE)
		return -ENOENT;
	pthread_mutex_lock(&scout->mutex);
	*ret_who = scout->places[at].who;
	pthread_mutex_unlock(&scout->mutex);
	return 0;
}

int tarn__scout_describe(const struct tarn_subscriber *subscriber, uint32_t at,
			 struct tarn_type **ret_type)
{
	uint32_t state = at < PLACES ? state_of(&subscriber->scout->places[at]) : EMPTY;

	return state == THERE || state == GONE
		       ? tarn__shown_describe(&subscriber->scout->places[at].shown, ret_type)
		       : -ENOENT;
}

int tarn__scout_wait(struct tarn_subscriber *subscriber, int64_t deadline)
{
	void *tag;
	size_t count;

	return tarn_waiter_wait(subscriber->scout->waiter, deadline, &tag, 1, &count);
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
				&bell_at(subscriber->scout, i)->bell, memory_order_seq_cst);
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
	struct scout *scout = subscriber->scout;
	unsigned count = 0;

	*ret_all = true;
	if (room > 0)
		words[count++] = tarn__futex_of(&scout->comings, subscriber->comings);
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
