/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_lane.c - the publisher's side of a topic apart: its lane, whom it waits for, whom it wakes.
 * See apart.h.
 *
 * The door's thread makes pairs and takes them apart. The publisher's own thread reads acks and
 * writes bells at any time, and keeps what it knows of each pair in notes, which it begins anew
 * where the pair's generation is another.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "flow/apart.h"

#define SLICE_NS INT64_C(10000000)

enum {
	PLACES = TARN_TOPIC_SUBSCRIBERS_MAX,
	COOL_DOWN = 16, /* times patience, after which a user is waited for again */
};

/* The thread's: a pair's pages; they stay for the next of the same user. -1: there are none */
struct pages {
	int ack, bell;
};

/* The publisher's. */
struct note {
	uint32_t generation;
	struct ringer ringer;
	bool left;      /* it is waited for no more */
	int64_t since;  /* when it was first in the way; 0: it is not */
	int64_t window; /* since when spent is counted */
	int64_t spent;  /* for how long it has been in the way */
};

/* A user that was left behind: by when. */
struct lapse {
	uint32_t uid;
	int64_t until;
};

struct lane_door {
	struct door door; /* comes first */
	struct tarn_publisher *publisher;
	int lane_fd;
	void *lane; /* lane_bytes */
	uint64_t lane_bytes;
	int64_t patience_ns;
	uint32_t type_size;
	size_t page;
	unsigned char *mapped;                /* of place i: ack at 2i, bell at 2i + 1 */
	_Atomic uint32_t generations[PLACES]; /* odd: somebody is there */
	struct lapse lapses[PLACES];          /* by door.mutex */
	struct pages pages[PLACES];
	struct note notes[PLACES];
	struct door_place places[PLACES];
	struct tarn__poll polls[PLACES + 2];
};

static inline struct lane_door *lane_door_of(struct door *door)
{
	return (struct lane_door *)door; /* its first member */
}

static inline struct ack_shm *ack_at(const struct lane_door *door, uint32_t i)
{
	return (struct ack_shm *)(void *)(door->mapped + 2 * i * door->page);
}

static inline struct bell_shm *bell_at(const struct lane_door *door, uint32_t i)
{
	return (struct bell_shm *)(void *)(door->mapped + (2 * i + 1) * door->page);
}

/* --- of the door's thread ------------------------------------------------------------------ */

static bool is_there(const struct lane_door *door, uint32_t i)
{
	/* relaxed: this thread alone changes it */
	return atomic_load_explicit(&door->generations[i], memory_order_relaxed) % 2 == 1;
}

static void pair_leaves(struct door *self, uint32_t i)
{
	const struct ack_shm nobody = { .pad = { 0 } };
	struct lane_door *door = lane_door_of(self);

	if (is_there(door, i)) /* relaxed: see above */
		atomic_fetch_add_explicit(&door->generations[i], 1, memory_order_relaxed);
	/* one that died asleep is not to be looked at with each message */
	(void)tarn__plat_pwrite(door->pages[i].ack, &nobody, sizeof(nobody), 0);
}

static void pair_drops(struct door *self, uint32_t i)
{
	struct pages *pages = &lane_door_of(self)->pages[i];
	int ack = pages->ack, bell = pages->bell;

	pages->ack = pages->bell = -1; /* before another file can have their numbers */
	tarn__plat_close(ack);
	tarn__plat_close(bell);
}

/* A page of its own for a pair, at @at. 0 and its descriptor. */
static int make_page(const char *name, void *at, bool theirs, int *ret_fd)
{
	void *mapped;
	int fd, r = tarn__apart_make(name, at, APART_PAGE, theirs, &fd, &mapped);

	if (r < 0)
		return r;
	r = tarn__apart_seal(fd, theirs);
	if (r < 0)
		tarn__plat_close(fd);
	else
		*ret_fd = fd;
	return r;
}

static int pair_prepares(struct door *self, uint32_t i, uint32_t uid, struct packet *packet)
{
	struct lane_door *door = lane_door_of(self);
	struct pages *pages = &door->pages[i];
	struct ack_shm fresh = { .pad = { 0 } };
	int r = 0;

	if (!self->places[i].kept || self->places[i].pages_of != uid) {
		pair_drops(self, i);
		r = make_page("tarn-ack", ack_at(door, i), true, &pages->ack);
		if (r == 0)
			r = make_page("tarn-bell", bell_at(door, i), false, &pages->bell);
		if (r < 0)
			pair_drops(self, i);
	}
	atomic_init(&fresh.how, COMING);
	if (r == 0 &&
	    tarn__plat_pwrite(pages->ack, &fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
		r = -EIO;
	packet->hello.type_size = door->type_size;
	packet->fd_count = APART_FDS;
	packet->fds[0] = door->lane_fd;
	packet->fds[1] = pages->bell;
	packet->fds[2] = pages->ack;
	return r;
}

static void pair_enters(struct door *self, uint32_t i)
{
	/* A1 <> A2, and the count that is raised: before it looks at oldest */
	atomic_fetch_add_explicit(&lane_door_of(self)->generations[i], 1, memory_order_seq_cst);
}

static void pair_forked(struct door *self)
{
	struct lane_door *door = lane_door_of(self);

	door->publisher->topic.stale = true;
	door->publisher->topic.limit = 0;
	tarn__plat_close(door->lane_fd);
}

static const struct door_kind lane_kind = { .what = "topic",
					    .places = PLACES,
					    .per_user = APART_PER_USER,
					    .magic = HELLO_MAGIC,
					    .prepare = pair_prepares,
					    .enter = pair_enters,
					    .leave = pair_leaves,
					    .drop = pair_drops,
					    .forked = pair_forked };

/* --- open and close ------------------------------------------------------------------------ */

static void free_door(struct lane_door *door)
{
	if (door->mapped != NULL)
		tarn__plat_munmap(door->mapped, 2 * PLACES * door->page);
	if (door->lane != NULL)
		tarn__plat_munmap(door->lane, (size_t)door->lane_bytes);
	free(door);
}

static int make_lane(struct lane_door *door, uint64_t capacity, const struct tarn_type *type,
		     struct tarn_diag *diag)
{
	struct tarn__object object = { .size = 0 };
	const char *name = door->door.name;
	int r;

	door->lane_bytes = tarn__apart_lane_bytes(capacity, door->type_size);
	r = tarn__apart_make("tarn-lane", NULL, door->lane_bytes, false, &door->lane_fd,
			     &door->lane);
	if (r < 0)
		return tarn__diag(diag, r, "topic %s: a lane of %" PRIu64 " bytes: %s", name,
				  door->lane_bytes, strerror(-r));
	object.base = door->lane;
	object.size = door->lane_bytes;
	tarn__lane_init(object.base, capacity);
	if (type != NULL)
		tarn__type_write(type, object.base + object.size - door->type_size,
				 door->type_size);
	r = tarn__lane_at(&object, &door->publisher->lane);
	if (r == 0)
		r = tarn__apart_seal(door->lane_fd, false);
	if (r < 0)
		return tarn__diag(diag, r,
				  "topic %s: memory cannot be sealed against those that read it "
				  "(Linux 5.1): %s",
				  name, strerror(-r));
	return 0;
}

static int start(struct lane_door *door, const struct tarn_topic_opts *opts, uint64_t capacity,
		 const struct apart_where *where)
{
	void *mapped = NULL;
	int r = make_lane(door, capacity, opts->type, opts->diag);

	if (r < 0)
		return r;
	r = tarn__plat_mmap(NULL, 2 * PLACES * door->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &mapped);
	door->mapped = mapped;
	if (r < 0)
		return tarn__diag(opts->diag, r, "topic %s: %s", door->door.name, strerror(-r));
	return tarn__door_start(&door->door, where);
}

int tarn__door_open(struct tarn_publisher *publisher, const char *name, uint64_t capacity,
		    const struct tarn_topic_opts *opts)
{
	const struct apart_where where = tarn__topic_meets(opts);
	struct lane_door *door = calloc(1, sizeof(*door));
	int r;

	if (door == NULL)
		return tarn__diag(opts->diag, -ENOMEM, "topic %s: no memory", name);
	door->publisher = publisher;
	/* what is longer than years is for ever */
	door->patience_ns =
		opts->patience_ns < INT64_MAX / (4 * COOL_DOWN) ? opts->patience_ns : TARN_FOREVER;
	door->page = tarn__plat_page_size();
	door->lane_fd = -1;
	door->door.places = door->places;
	door->door.polls = door->polls;
	for (uint32_t i = 0; i < PLACES; i++)
		door->pages[i] = (struct pages){ .ack = -1, .bell = -1 };
	r = tarn__door_begin(&door->door, &lane_kind, name, &where);
	if (r >= 0)
		r = opts->type == NULL
			    ? 0
			    : tarn__type_measure(opts->type, &door->type_size, opts->diag);
	if (r >= 0)
		r = start(door, opts, capacity, &where);
	if (r < 0) {
		tarn__door_end(&door->door, true);
		tarn__plat_close(door->lane_fd);
		free_door(door);
		return r;
	}
	publisher->door = &door->door;
	return 0;
}

int tarn__door_again(struct tarn_publisher *publisher, uint64_t capacity, struct tarn_diag *diag)
{
	const struct lane_door *door = lane_door_of(publisher->door);
	const struct apart_peers *in = &door->door.peers;
	const struct tarn_topic_peers peers = { .users = in->users,
						.groups = in->groups,
						.user_count = in->user_count,
						.group_count = in->group_count,
						.anybody = in->anybody };
	const unsigned char *lane_end = (const unsigned char *)door->lane + door->lane_bytes;
	struct tarn_type *type = NULL;
	const char *fault;
	char path[32];
	int r = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", door->door.dir);
	if (door->type_size != 0)
		r = tarn__type_read(lane_end - door->type_size, door->type_size, &type, &fault);
	if (r == 0)
		r = tarn__door_open(publisher, door->door.name, capacity,
				    &(struct tarn_topic_opts){ .type = type,
							       .socket_dir = path,
							       .peers = &peers,
							       .patience_ns = door->patience_ns,
							       .diag = diag });
	tarn_type_free(type);
	return r;
}

void tarn__door_close(struct door *self)
{
	struct lane_door *door = lane_door_of(self);
	bool here = !door->publisher->topic.stale;

	tarn__fork_remove_other(&self->forkable);
	if (here) {
		tarn__door_stop(self);
		tarn__plat_close(door->lane_fd);
	}
	tarn__door_end(self, here);
	free_door(door);
}

/* --- the publisher ------------------------------------------------------------------------- */

/* What it knows of the pair that is there now. NULL: nobody is. */
static struct note *note_of(struct lane_door *door, uint32_t i)
{
	/* A2 <> A1 in make_pair() */
	uint32_t generation = atomic_load_explicit(&door->generations[i], memory_order_seq_cst);
	struct note *note = &door->notes[i];

	if (generation % 2 == 0)
		return NULL;
	if (note->generation != generation)
		*note = (struct note){ .generation = generation };
	return note;
}

static void ring(struct lane_door *door, uint32_t i)
{
	struct note *note = note_of(door, i);

	/* relaxed: once more, now that it is known whose it is */
	if (note != NULL)
		tarn__ringer_ring(
			&note->ringer, &bell_at(door, i)->bell,
			atomic_load_explicit(&ack_at(door, i)->sleep, memory_order_relaxed));
}

void tarn__door_notify(struct tarn_publisher *publisher)
{
	struct lane_door *door = lane_door_of(publisher->door);
	bool fenced = publisher->topic.fence;
	/* relaxed: who comes meanwhile looks at what is there */
	uint32_t count = atomic_load_explicit(&door->door.count, memory_order_relaxed);

	if (TARN__UNLIKELY(fenced))
		tarn__publisher_fence(publisher);
	for (uint32_t i = 0; i < count; i++) {
		_Atomic uint32_t *word = &ack_at(door, i)->sleep;
		/* A4 <> A3 in tarn__scout_announce(): relaxed, the sleeper's barrier orders it */
		uint32_t sleep = atomic_load_explicit(word, memory_order_relaxed);

		if (TARN__LIKELY((sleep & (SLEEPS | SLEEPS_FENCED)) == 0))
			continue;
		if ((sleep & SLEEPS_FENCED) != 0 && !fenced) {
			tarn__publisher_fence(publisher);
			fenced = true;
			sleep = atomic_load_explicit(word, memory_order_relaxed);
		}
		if ((sleep & SLEEPS) != 0)
			ring(door, i);
	}
}

static bool needs_below(const struct lane_door *door, uint32_t i, uint64_t oldest)
{
	const struct ack_shm *ack = ack_at(door, i);
	/* T4 <> T3 in settle_in() and take_hold(); T6 <- T5 */
	uint32_t how = atomic_load_explicit(&ack->how, memory_order_seq_cst);
	uint64_t low = atomic_load_explicit(&ack->low.pos, memory_order_seq_cst);

	return how == COMING || (low < oldest && (how == LOSSLESS || (how == LOSSY && low != 0)));
}

/* When a user whose subscriber was left behind is waited for again; @set: from now on. */
static int64_t lapse_of(struct lane_door *door, uint32_t i, bool set)
{
	int64_t now = tarn__plat_now(), until = 0;
	struct lapse *at = &door->lapses[0];
	uint32_t uid;

	pthread_mutex_lock(&door->door.mutex);
	uid = door->door.places[i].who.uid;
	for (uint32_t k = 0; k < PLACES; k++) {
		struct lapse *lapse = &door->lapses[k];

		if (lapse->until > now && lapse->uid == uid)
			until = lapse->until;
		if (lapse->uid == uid || lapse->until < at->until)
			at = lapse;
	}
	if (set)
		*at = (struct lapse){ .uid = uid, .until = now + COOL_DOWN * door->patience_ns };
	pthread_mutex_unlock(&door->door.mutex);
	return until;
}

/* It is in the way. Is it waited for? Not if it has been for patience_ns of COOL_DOWN times that,
 * all in all. */
static bool has_patience(struct lane_door *door, uint32_t i, struct note *note)
{
	int64_t now;

	if (note->left)
		return false;
	if (door->patience_ns == TARN_FOREVER)
		return true;
	now = tarn__plat_now();
	if (note->since == 0) {
		note->since = now;
		note->left = lapse_of(door, i, false) > now;
		if (now - note->window > COOL_DOWN * door->patience_ns) {
			note->window = now;
			note->spent = 0;
		}
	} else if (note->spent + (now - note->since) >= door->patience_ns) {
		note->left = true;
		(void)lapse_of(door, i, true);
	}
	return !note->left;
}

static void is_out_of_the_way(struct note *note)
{
	if (note->since != 0)
		note->spent += tarn__plat_now() - note->since;
	note->since = 0;
}

bool tarn__door_nobody_needs(struct tarn_publisher *publisher, uint64_t oldest)
{
	struct lane_door *door = lane_door_of(publisher->door);
	/* A2 <> A1: raised before its subscriber looks at oldest */
	uint32_t count = atomic_load_explicit(&door->door.count, memory_order_seq_cst);

	publisher->blocker = UINT32_MAX;
	for (uint32_t i = 0; i < count && door->patience_ns != 0; i++) {
		struct note *note = note_of(door, i);

		if (note == NULL)
			continue;
		if (!needs_below(door, i, oldest)) {
			is_out_of_the_way(note);
		} else if (has_patience(door, i, note)) {
			publisher->blocker = i;
			return false;
		}
	}
	return true;
}

int tarn__door_sleep(struct tarn_publisher *publisher, uint32_t turn, int64_t deadline)
{
	struct lane_door *door = lane_door_of(publisher->door);
	uint32_t i = publisher->blocker;
	const struct note *note = &door->notes[i];
	int64_t now = tarn__plat_now(), slice = now + SLICE_NS;

	if (now >= deadline)
		return -ETIMEDOUT;
	if (door->patience_ns != TARN_FOREVER &&
	    note->since + door->patience_ns - note->spent < slice)
		slice = note->since + door->patience_ns - note->spent;
	(void)tarn__plat_futex_wait(&ack_at(door, i)->token, turn,
				    slice < deadline ? slice : deadline);
	return 0;
}

_Atomic uint32_t *tarn__door_token(struct tarn_publisher *publisher)
{
	return &ack_at(lane_door_of(publisher->door), publisher->blocker)->token;
}

/* How many are there, and how many of these have not come yet. */
static uint32_t count_them(const struct lane_door *door, uint32_t *ret_coming)
{
	/* acquire: what is counted was there before */
	uint32_t count = atomic_load_explicit(&door->door.count, memory_order_acquire), there = 0;

	*ret_coming = 0;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t how;

		if (atomic_load_explicit(&door->generations[i], memory_order_acquire) % 2 == 0)
			continue;
		/* acquire: where it begins was stored before */
		how = atomic_load_explicit(&ack_at(door, i)->how, memory_order_acquire);
		there += how == LOSSLESS || how == LOSSY;
		*ret_coming += how == COMING;
	}
	return there;
}

uint32_t tarn__door_subscribers(const struct tarn_publisher *publisher, uint32_t *ret_coming)
{
	return count_them(lane_door_of(publisher->door), ret_coming);
}

int tarn__door_wait_subscribers(struct tarn_publisher *publisher, uint32_t count, bool come,
				int64_t deadline)
{
	struct lane_door *door = lane_door_of(publisher->door);

	for (;;) {
		/* acquire: before they are counted */
		uint32_t arrivals =
			atomic_load_explicit(&door->door.arrivals, memory_order_acquire);
		uint32_t coming, there = count_them(door, &coming);
		int64_t now = tarn__plat_now(), slice;

		if (there + (come ? 0 : coming) >= count)
			return 0;
		if (now >= deadline)
			return -ETIMEDOUT;
		slice = now + (coming > 0 ? SLICE_NS / 10 : SLICE_NS);
		(void)tarn__plat_futex_wait(&door->door.arrivals, arrivals,
					    slice < deadline ? slice : deadline);
	}
}

int tarn__door_who(const struct tarn_publisher *publisher, uint32_t place,
		   struct tarn_peer *ret_who, uint32_t *ret_how)
{
	struct lane_door *door = lane_door_of(publisher->door);
	int r = -ENOENT;

	if (publisher->topic.stale) /* the lock may be somebody's who is not here */
		return r;
	pthread_mutex_lock(&door->door.mutex);
	if (place < PLACES && door->door.places[place].sock >= 0 &&
	    !door->door.places[place].left) {
		*ret_who = door->door.places[place].who;
		/* relaxed: for the eye */
		*ret_how = atomic_load_explicit(&ack_at(door, place)->how, memory_order_relaxed);
		r = 0;
	}
	pthread_mutex_unlock(&door->door.mutex);
	return r;
}
