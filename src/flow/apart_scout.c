/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_scout.c - who looks for servers: which there are, and who of them is to be believed. See
 * apart_meet.h.
 *
 * The scout's thread looks through the directory when a name comes to be there, connects, and has
 * what it is sent checked, by the scout's kind, before anybody else sees it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "flow/apart_meet.h"
#include "flow/topic.h"

#define ANSWER_NS     INT64_C(100000000)   /* who has not answered by then is late */
#define SETTLE_NS     INT64_C(1000000000)  /* what opening takes at most */
#define LATE_NS       INT64_C(10000000000) /* and by then is given up */
#define AGAIN_NS      INT64_C(200000000)   /* who hung up, full perhaps, is asked again */
#define LOOK_AGAIN_NS INT64_C(100000000)   /* where names cannot be watched, or a call failed */
#define NAP_NS        INT64_C(1000000)
#define SCAN_SHARE    10 /* it rests for so many times as long as it took to look */

enum { LOOKED = 256 /* names, after which it is looked round */ };

static inline uint32_t state_of(const struct scout_place *place)
{
	/* acquire: what is there was put there before */
	return atomic_load_explicit(&place->state, memory_order_acquire);
}

/* --- the thread ---------------------------------------------------------------------------- */

static void tell(struct scout *scout)
{
	/* release: with what has become of the place */
	atomic_fetch_add_explicit(&scout->comings, 1, memory_order_release);
	(void)tarn__plat_futex_wake(&scout->comings, INT32_MAX);
}

static void set_state(struct scout_place *place, uint32_t state)
{
	/* release: see state_of() */
	atomic_store_explicit(&place->state, state, memory_order_release);
}

static void refuse(struct scout *scout, uint64_t token, int64_t until)
{
	if (scout->refusal_count < SCOUT_REFUSALS)
		scout->refusals[scout->refusal_count++] =
			(struct refusal){ .token = token, .until = until, .named = true };
	/* else it is asked again at the next look */
}

static void hang_up(struct scout *scout, struct scout_place *place)
{
	pthread_mutex_lock(&scout->mutex);
	tarn__apart_hang_up(&place->sock);
	pthread_mutex_unlock(&scout->mutex);
}

/* It was asked, and has said something, or nothing for too long. */
static void hear_out(struct scout *scout, struct scout_place *place, bool late)
{
	int r = late ? -ETIMEDOUT : scout->kind->hear(scout, (uint32_t)(place - scout->places));

	if (r == -EAGAIN)
		return;
	if (r == 0) {
		set_state(place, SCOUT_THERE);
		tell(scout);
		return;
	}
	hang_up(scout, place);
	/* What contradicts itself, or is of another type, is not asked again; who has no room, came
	 * to its end, or is stopped, may be. */
	refuse(scout, place->token,
	       r == -EPROTO || r == -EUCLEAN ? TARN_FOREVER : tarn__plat_now() + AGAIN_NS);
	set_state(place, SCOUT_EMPTY);
}

static bool is_known(struct scout *scout, uint64_t token)
{
	for (uint32_t i = 0; i < scout->kind->places; i++)
		if (state_of(&scout->places[i]) != SCOUT_EMPTY && scout->places[i].token == token)
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

/* A place for a server of user @uid; NULL: there is none. */
static struct scout_place *find_place(struct scout *scout, uint32_t uid)
{
	uint32_t of_user = 0, free = scout->kind->places;

	for (uint32_t i = 0; i < scout->kind->places; i++) {
		struct scout_place *place = &scout->places[i];

		if (state_of(place) != SCOUT_EMPTY)
			of_user += place->who.uid == uid;
		else if (free == scout->kind->places)
			free = i;
	}
	if (free == scout->kind->places || of_user >= scout->kind->per_user)
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
	struct scout_place *place = NULL;
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
	set_state(place, SCOUT_ASKED);
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

/* Those that were there have answered, or are late: whoever opened it may begin. */
static void say_settled(struct scout *scout)
{
	int64_t now;

	if (atomic_load_explicit(&scout->settled, memory_order_relaxed) != 0)
		return; /* relaxed: this thread's */
	now = tarn__plat_now();
	for (uint32_t i = 0; i < scout->kind->places; i++)
		if (state_of(&scout->places[i]) == SCOUT_ASKED &&
		    now < scout->places[i].since + ANSWER_NS)
			return;
	/* release: with all places */
	atomic_store_explicit(&scout->settled, 1, memory_order_release);
	(void)tarn__plat_futex_wake(&scout->settled, INT32_MAX);
}

void tarn__scout_lose(struct scout *scout, uint32_t at)
{
	set_state(&scout->places[at], SCOUT_GONE);
	tell(scout);
}

/* What has become of place @i, by what was found of its socket. */
static void look_after(struct scout *scout, uint32_t i, short found, int64_t now)
{
	struct scout_place *place = &scout->places[i];
	uint32_t state = state_of(place);

	if (state == SCOUT_ASKED &&
	    ((found & (POLLIN | POLLHUP | POLLERR)) != 0 || now - place->since > LATE_NS)) {
		hear_out(scout, place, (found & (POLLIN | POLLHUP | POLLERR)) == 0);
	} else if (state == SCOUT_THERE && (found & (POLLHUP | POLLERR)) != 0) {
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
		const struct scout_place *place = &scout->places[i];
		uint32_t state = state_of(place);

		polls[2 + i] = (struct tarn__poll){
			.fd = state == SCOUT_ASKED || state == SCOUT_THERE ? place->sock : -1,
			.wanted = state == SCOUT_ASKED ? POLLIN : 0,
		};
		if (state == SCOUT_ASKED && place->since + ANSWER_NS < deadline)
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

	scout->kind->forked(scout);
	close_all(scout);
	for (uint32_t i = 0; i < scout->kind->places; i++)
		tarn__plat_close(scout->places[i].sock);
}

int tarn__scout_begin(struct scout *scout, const struct scout_kind *kind, const char *name,
		      const struct apart_where *where)
{
	int r;

	scout->kind = kind;
	scout->forkable.forked = forked;
	scout->dir = scout->watch = scout->quit = -1;
	for (uint32_t i = 0; i < kind->places; i++)
		scout->places[i].sock = -1;
	pthread_mutex_init(&scout->mutex, NULL);
	r = scout->dir = tarn__apart_begin(name, where, &scout->peers);
	if (r < 0)
		return r;
	memcpy(scout->name, name, strlen(name) + 1);
	return 0;
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

static int start(struct scout *scout)
{
	char path[48];
	int r = scout->quit = tarn__plat_eventfd();

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

int tarn__scout_start(struct scout *scout, const struct apart_where *where)
{
	int r = start(scout);

	if (r < 0)
		return tarn__diag(where->diag, r, "%s %s: %s", where->what, scout->name,
				  strerror(-r));
	wait_settled(scout);
	return 0;
}

void tarn__scout_stop(struct scout *scout)
{
	/* relaxed: quit tells it, or the next nap */
	atomic_store_explicit(&scout->ends, true, memory_order_relaxed);
	(void)tarn__plat_eventfd_raise(scout->quit);
	tarn__plat_thread_join(scout->thread);
}

void tarn__scout_end(struct scout *scout, bool here)
{
	if (here) {
		for (uint32_t i = 0; i < scout->kind->places; i++)
			tarn__apart_hang_up(&scout->places[i].sock);
		close_all(scout);
	}
	tarn__apart_forget(&scout->peers);
	pthread_mutex_destroy(&scout->mutex);
}

/* --- for who opened it --------------------------------------------------------------------- */

int tarn__scout_whose(struct scout *scout, uint32_t at, struct tarn_peer *ret_who)
{
	uint32_t state = at < scout->kind->places ? state_of(&scout->places[at]) : SCOUT_EMPTY;

	if (state != SCOUT_THERE && state != SCOUT_GONE)
		return -ENOENT;
	pthread_mutex_lock(&scout->mutex);
	*ret_who = scout->places[at].who;
	pthread_mutex_unlock(&scout->mutex);
	return 0;
}

void tarn__scout_leave(struct scout *scout, uint32_t at)
{
	set_state(&scout->places[at], SCOUT_EMPTY);
}
