/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_door.c - the publisher's side: who is let in, whom it waits for, whom it wakes. See
 * apart.h.
 *
 * The door's thread makes pairs and takes them apart; it owns sockets and places. The publisher's
 * own thread reads acks and writes bells at any time, and keeps what it knows of each pair in
 * notes, which it begins anew where the pair's generation is another.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "flow/apart.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define BACK_OFF_NS INT64_C(100000000) /* where the system has no descriptors left */
#define SLICE_NS    INT64_C(10000000)
#define QUIET_NS    INT64_C(10000000) /* a subscriber looks so often by itself */

enum {
	PLACES = TARN_TOPIC_SUBSCRIBERS_MAX,
	VAIN_MAX = 64,   /* wakes in a row that nobody slept for */
	ADMIT_MAX = 64,  /* at once: then it is looked who has left */
	UNSENT_MAX = 16, /* places of one user that has not received what it was sent */
	NAMES_TRIED = 4,
	COOL_DOWN = 16, /* times patience, after which a user is waited for again */
};

/* The thread's. */
struct place {
	int sock;  /* -1: it is nobody's */
	bool left; /* ... it is, but has not received what it was sent, which is ours still */
	struct tarn_peer who;
	int ack, bell; /* its pages; they stay for the next of the same user. -1: it has none */
	uint32_t pages_of;
};

/* The publisher's. */
struct note {
	uint32_t generation;
	uint32_t rung; /* sleep, for which the bell was rung */
	uint32_t vain;
	bool left;      /* it is waited for no more */
	int64_t since;  /* when it was first in the way; 0: it is not */
	int64_t window; /* since when spent is counted */
	int64_t spent;  /* for how long it has been in the way */
	int64_t quiet_until;
};

/* A user that was left behind: by when. */
struct lapse {
	uint32_t uid;
	int64_t until;
};

struct door {
	struct tarn__forkable forkable;
	struct tarn_publisher *publisher;
	int dir, listener, quit, lane_fd;
	uintptr_t thread;
	uint64_t token;
	void *lane; /* lane_bytes */
	uint64_t lane_bytes;
	int64_t patience_ns;
	uint32_t type_size;
	size_t page;
	unsigned char *pages; /* of place i: ack at 2i, bell at 2i + 1 */
	_Atomic bool ends;
	_Atomic uint32_t count;               /* places from 0 on that are or were taken */
	_Atomic uint32_t arrivals;            /* changes when there is another */
	_Atomic uint32_t generations[PLACES]; /* odd: somebody is there */
	pthread_mutex_t mutex;                /* places and lapses */
	struct place places[PLACES];
	struct lapse lapses[PLACES];
	struct note notes[PLACES];
	struct tarn__poll polls[PLACES + 2];
	struct apart_peers peers;
	char name[TARN_TOPIC_NAME_MAX + 1];
};

static inline struct ack_shm *ack_at(const struct door *door, uint32_t i)
{
	return (struct ack_shm *)(void *)(door->pages + 2 * i * door->page);
}

static inline struct bell_shm *bell_at(const struct door *door, uint32_t i)
{
	return (struct bell_shm *)(void *)(door->pages + (2 * i + 1) * door->page);
}

/* --- the thread ---------------------------------------------------------------------------- */

static bool is_there(const struct door *door, uint32_t i)
{
	/* relaxed: this thread alone changes it */
	return atomic_load_explicit(&door->generations[i], memory_order_relaxed) % 2 == 1;
}

/* It is gone; what is there says nothing any more. What it has not received is charged to us until
 * the kernel has dropped it, so its place stays taken until then. */
static void leave(struct door *door, uint32_t i)
{
	const struct ack_shm nobody = { .pad = { 0 } };
	struct place *place = &door->places[i];

	pthread_mutex_lock(&door->mutex);
	if (is_there(door, i)) /* relaxed: see above */
		atomic_fetch_add_explicit(&door->generations[i], 1, memory_order_relaxed);
	/* one that died asleep is not to be looked at with each message */
	(void)tarn__plat_pwrite(place->ack, &nobody, sizeof(nobody), 0);
	if (tarn__plat_unsent(place->sock) > 0) {
		place->left = true;
		(void)tarn__plat_shut(place->sock, true);
	} else {
		place->left = false;
		tarn__apart_hang_up(&place->sock);
	}
	pthread_mutex_unlock(&door->mutex);
}

/* A page of its own for a pair, at @at. 0 and its descriptor. */
static int make_page(const char *name, void *at, int prot, int *ret_fd)
{
	const unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int fd = tarn__plat_memfd(name, MFD_ALLOW_SEALING), r;
	void *mapped;

	if (fd < 0)
		return fd;
	r = tarn__plat_fallocate(fd, 0, APART_PAGE);
	if (r == 0)
		r = tarn__plat_mmap(at, APART_PAGE, prot, MAP_SHARED | MAP_FIXED, fd, 0, &mapped);
	if (r == 0)
		r = tarn__plat_seals_add(fd, (prot & PROT_WRITE) != 0 ? seals | F_SEAL_FUTURE_WRITE
								      : seals);
	if (r < 0)
		tarn__plat_close(fd);
	else
		*ret_fd = fd;
	return r;
}

static void drop_pages(struct place *place)
{
	int ack = place->ack, bell = place->bell;

	place->ack = place->bell = -1; /* before another file can have their numbers */
	tarn__plat_close(ack);
	tarn__plat_close(bell);
}

/* Pages for user @uid at place @i: those that one of the same had before, which it may have kept,
 * so that who comes and goes for ever has no more of our memory than its places; else new ones. */
static int have_pages(struct door *door, uint32_t i, uint32_t uid)
{
	struct place *place = &door->places[i];
	struct ack_shm fresh = { .pad = { 0 } };
	int r = 0;

	if (place->ack < 0 || place->bell < 0 || place->pages_of != uid) {
		drop_pages(place);
		r = make_page("tarn-ack", ack_at(door, i), PROT_READ, &place->ack);
		if (r == 0)
			r = make_page("tarn-bell", bell_at(door, i), PROT_READ | PROT_WRITE,
				      &place->bell);
		if (r < 0)
			drop_pages(place);
		place->pages_of = uid;
	}
	atomic_init(&fresh.how, COMING);
	if (r == 0 &&
	    tarn__plat_pwrite(place->ack, &fresh, sizeof(fresh), 0) != (ssize_t)sizeof(fresh))
		r = -EIO;
	return r;
}

static int send_hello(const struct door *door, uint32_t i)
{
	const struct place *place = &door->places[i];
	const int fds[APART_FDS] = { door->lane_fd, place->bell, place->ack };
	struct hello_shm hello = { .magic = HELLO_MAGIC,
				   .version = HELLO_VERSION,
				   .type_size = door->type_size,
				   .token = door->token };
	ssize_t n;

	memcpy(hello.name, door->name, strlen(door->name));
	hello.check = tarn__hello_check(&hello);
	n = tarn__plat_send_fds(place->sock, &hello, sizeof(hello), fds, APART_FDS);
	return n == (ssize_t)sizeof(hello) ? 0 : n < 0 ? (int)n : -EPIPE;
}

/* A place for user @uid, or PLACES: one that had such a user before, if there is one, else one that
 * nobody has had. Who has not received what it was sent, which the kernel counts as ours, may have
 * few. */
static uint32_t find_place(const struct door *door, uint32_t uid)
{
	uint32_t same = PLACES, fresh = PLACES, other = PLACES, of_user = 0, unsent = 0;

	for (uint32_t i = 0; i < PLACES; i++) {
		const struct place *place = &door->places[i];

		if (place->sock >= 0) {
			of_user += place->who.uid == uid;
			unsent += place->who.uid == uid && tarn__plat_unsent(place->sock) > 0;
			continue;
		}
		if (place->ack < 0)
			fresh = fresh == PLACES ? i : fresh;
		else if (place->pages_of == uid)
			same = same == PLACES ? i : same;
		else
			other = other == PLACES ? i : other;
	}
	if (of_user >= APART_PER_USER || unsent >= UNSENT_MAX)
		return PLACES;
	return same != PLACES ? same : fresh != PLACES ? fresh : other;
}

/* Pages, then the packet. */
static void admit(struct door *door, int sock)
{
	struct tarn_peer who;
	uint32_t i = PLACES;

	/* Nothing is taken from it, and what came with what it sent is not ours to close. */
	if (tarn__apart_lets_in(&door->peers, sock, &who) && tarn__plat_shut(sock, false) == 0 &&
	    tarn__plat_unread(sock) == 0)
		i = find_place(door, who.uid);
	if (i == PLACES || have_pages(door, i, who.uid) < 0) {
		tarn__apart_hang_up(&sock);
		return;
	}
	pthread_mutex_lock(&door->mutex);
	door->places[i].sock = sock;
	door->places[i].left = false;
	door->places[i].who = who;
	pthread_mutex_unlock(&door->mutex);
	/* A1 <> A2, both: before it looks at oldest */
	atomic_fetch_add_explicit(&door->generations[i], 1, memory_order_seq_cst);
	tarn__raise32(&door->count, i + 1);
	if (send_hello(door, i) < 0) {
		leave(door, i);
		return;
	}
	/* release: for who waits for subscribers */
	atomic_fetch_add_explicit(&door->arrivals, 1, memory_order_release);
	(void)tarn__plat_futex_wake(&door->arrivals, INT32_MAX);
}

/* False: the system has no more of something. */
static bool admit_all(struct door *door)
{
	for (int i = 0; i < ADMIT_MAX; i++) {
		int sock = tarn__plat_accept(door->listener);

		if (sock == -EAGAIN)
			return true;
		if (sock == -ECONNABORTED || sock == -EINTR)
			continue;
		if (sock < 0)
			return false;
		admit(door, sock);
	}
	return true;
}

/* What to wait for. True: some have left, and not received what they were sent. */
static bool gather(struct door *door, uint32_t count, bool shut)
{
	bool some = false;

	door->polls[0] = (struct tarn__poll){ .fd = door->quit, .wanted = POLLIN };
	door->polls[1] = (struct tarn__poll){ .fd = shut ? -1 : door->listener, .wanted = POLLIN };
	for (uint32_t i = 0; i < count; i++) {
		struct place *place = &door->places[i];

		if (place->sock >= 0 && place->left)
			leave(door, i);
		some |= place->left;
		door->polls[2 + i] = (struct tarn__poll){ .fd = place->left ? -1 : place->sock };
	}
	return some;
}

static void *run(void *arg)
{
	struct door *door = arg;
	const struct tarn__poll *polls = door->polls;
	int64_t shut_until = 0;

	/* relaxed: it is told by quit, too */
	while (!atomic_load_explicit(&door->ends, memory_order_relaxed)) {
		/* relaxed: this thread alone raises it */
		uint32_t count = atomic_load_explicit(&door->count, memory_order_relaxed);
		int64_t now = tarn__plat_now();
		bool shut = now < shut_until, some = gather(door, count, shut);
		int r = tarn__plat_poll(door->polls, 2 + count,
					shut || some ? now + BACK_OFF_NS : TARN_FOREVER);

		if (r < 0) /* as with a limit of no descriptors at all */
			(void)tarn__plat_futex_wait(
				&door->arrivals,
				atomic_load_explicit(&door->arrivals, memory_order_relaxed),
				now + SLICE_NS); /* relaxed: a nap */
		if (r <= 0)
			continue;
		for (uint32_t i = 0; i < count; i++)
			if ((polls[2 + i].found & (POLLHUP | POLLERR)) != 0)
				leave(door, i);
		if (polls[1].found != 0 && !admit_all(door))
			shut_until = now + BACK_OFF_NS;
	}
	return NULL;
}

/* --- open and close ------------------------------------------------------------------------ */

/* In the child of a fork: the parent's connections are not its. */
static void forked(struct tarn__forkable *self)
{
	struct door *door = (struct door *)(void *)((char *)self - offsetof(struct door, forkable));

	door->publisher->topic.stale = true;
	door->publisher->topic.limit = 0;
	tarn__plat_close(door->listener);
	tarn__plat_close(door->quit);
	tarn__plat_close(door->dir);
	tarn__plat_close(door->lane_fd);
	for (uint32_t i = 0; i < PLACES; i++) {
		tarn__plat_close(door->places[i].sock);
		drop_pages(&door->places[i]);
	}
}

static void give_up(struct door *door)
{
	for (uint32_t i = 0; i < PLACES; i++) {
		tarn__apart_hang_up(&door->places[i].sock);
		drop_pages(&door->places[i]);
	}
	tarn__plat_close(door->listener);
	tarn__plat_close(door->quit);
	tarn__plat_close(door->dir);
	tarn__plat_close(door->lane_fd);
}

static void free_door(struct door *door)
{
	if (door->pages != NULL)
		tarn__plat_munmap(door->pages, 2 * PLACES * door->page);
	if (door->lane != NULL)
		tarn__plat_munmap(door->lane, (size_t)door->lane_bytes);
	tarn__apart_forget(&door->peers);
	pthread_mutex_destroy(&door->mutex);
	free(door);
}

static int make_lane(struct door *door, uint64_t capacity, const struct tarn_type *type,
		     struct tarn_diag *diag)
{
	const unsigned seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	struct tarn__object object = { .size = 0 };
	int r;

	door->lane_bytes = tarn__apart_lane_bytes(capacity, door->type_size);
	door->lane_fd = tarn__plat_memfd("tarn-lane", MFD_ALLOW_SEALING);
	r = door->lane_bytes > SIZE_MAX / 2 ? -ENOMEM
	    : door->lane_fd < 0             ? door->lane_fd
				: tarn__plat_fallocate(door->lane_fd, 0, door->lane_bytes);
	if (r == 0)
		r = tarn__plat_mmap(NULL, (size_t)door->lane_bytes, PROT_READ | PROT_WRITE,
				    MAP_SHARED, door->lane_fd, 0, &door->lane);
	if (r < 0)
		return tarn__diag(diag, r, "topic %s: a lane of %" PRIu64 " bytes: %s", door->name,
				  door->lane_bytes, strerror(-r));
	object.base = door->lane;
	object.size = door->lane_bytes;
	tarn__lane_init(object.base, capacity);
	if (type != NULL)
		tarn__type_write(type, object.base + object.size - door->type_size,
				 door->type_size);
	r = tarn__lane_at(&object, &door->publisher->lane);
	if (r == 0)
		r = tarn__plat_seals_add(door->lane_fd, seals);
	if (r < 0)
		return tarn__diag(diag, r,
				  "topic %s: memory cannot be sealed against those that read it "
				  "(Linux 5.1): %s",
				  door->name, strerror(-r));
	return 0;
}

/* Found by nobody before it listens. */
static int try_listen(struct door *door, uint32_t mode)
{
	char hidden[APART_PATH_MAX], path[APART_PATH_MAX];
	int r = tarn__plat_random(&door->token, sizeof(door->token));

	tarn__apart_path(hidden, door->dir, door->name, door->token, true);
	tarn__apart_path(path, door->dir, door->name, door->token, false);
	if (r == 0)
		r = door->listener = tarn__plat_listen(hidden, mode);
	if (r < 0)
		return r;
	tarn__plat_no_fds(door->listener);
	r = tarn__plat_rename(hidden, path);
	if (r < 0) {
		(void)tarn__plat_unlink(hidden);
		tarn__plat_close(door->listener);
		door->listener = -1;
	}
	return r;
}

/* Another may be in the way of a name, on purpose, or have removed one while we were stopped: then
 * by another name. */
static int listen_there(struct door *door, uint32_t mode, struct tarn_diag *diag)
{
	int r = -EEXIST;

	for (int tries = 0; tries < NAMES_TRIED &&
			    (r == -EEXIST || r == -EADDRINUSE || r == -EPERM || r == -ENOENT);
	     tries++)
		r = try_listen(door, mode);
	if (r >= 0)
		return 0;
	tarn__diag(diag, r, "topic %s: no socket in its directory: %s", door->name, strerror(-r));
	if (r == -ENOENT)
		tarn__diag_hint(diag, "mount /proc, by which the directory is named");
	return r;
}

static int start(struct door *door, const struct tarn_topic_opts *opts, uint64_t capacity)
{
	const struct tarn_topic_peers *peers = opts->peers;
	bool others =
		peers != NULL && (peers->anybody || peers->user_count + peers->group_count > 0);
	void *pages = NULL;
	int r = make_lane(door, capacity, opts->type, opts->diag);

	if (r < 0)
		return r;
	r = tarn__plat_mmap(NULL, 2 * PLACES * door->page, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, &pages);
	door->pages = pages;
	if (r == 0)
		r = door->quit = tarn__plat_eventfd();
	if (r < 0)
		return tarn__diag(opts->diag, r, "topic %s: %s", door->name, strerror(-r));
	r = listen_there(door, others ? 0666 : 0600, opts->diag);
	if (r < 0)
		return r;
	r = tarn__fork_add_other(&door->forkable);
	if (r == 0) {
		r = tarn__plat_thread_start(run, door, &door->thread);
		if (r < 0)
			tarn__fork_remove_other(&door->forkable);
	}
	return r < 0 ? tarn__diag(opts->diag, r, "topic %s: no thread: %s", door->name,
				  strerror(-r))
		     : 0;
}

static void remove_socket(const struct door *door)
{
	char path[APART_PATH_MAX];

	tarn__apart_path(path, door->dir, door->name, door->token, false);
	(void)tarn__plat_unlink(path);
}

int tarn__door_open(struct tarn_publisher *publisher, const char *name, uint64_t capacity,
		    const struct tarn_topic_opts *opts)
{
	struct door *door = calloc(1, sizeof(*door));
	int r;

	if (door == NULL)
		return tarn__diag(opts->diag, -ENOMEM, "topic %s: no memory", name);
	door->publisher = publisher;
	door->forkable.forked = forked;
	/* what is longer than years is for ever */
	door->patience_ns =
		opts->patience_ns < INT64_MAX / (4 * COOL_DOWN) ? opts->patience_ns : TARN_FOREVER;
	door->page = tarn__plat_page_size();
	door->dir = door->listener = door->quit = door->lane_fd = -1;
	for (uint32_t i = 0; i < PLACES; i++)
		door->places[i] = (struct place){ .sock = -1, .ack = -1, .bell = -1 };
	pthread_mutex_init(&door->mutex, NULL);
	r = door->dir = tarn__apart_begin(name, opts, &door->peers);
	if (r >= 0) {
		memcpy(door->name, name, strlen(name) + 1);
		r = opts->type == NULL
			    ? 0
			    : tarn__type_measure(opts->type, &door->type_size, opts->diag);
	}
	if (r >= 0)
		r = start(door, opts, capacity);
	if (r < 0) {
		if (door->listener >= 0)
			remove_socket(door);
		give_up(door);
		free_door(door);
		return r;
	}
	publisher->door = door;
	return 0;
}

int tarn__door_again(struct tarn_publisher *publisher, uint64_t capacity, struct tarn_diag *diag)
{
	const struct door *door = publisher->door;
	const struct apart_peers *in = &door->peers;
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

	snprintf(path, sizeof(path), "/proc/self/fd/%d", door->dir);
	if (door->type_size != 0)
		r = tarn__type_read(lane_end - door->type_size, door->type_size, &type, &fault);
	if (r == 0)
		r = tarn__door_open(publisher, door->name, capacity,
				    &(struct tarn_topic_opts){ .type = type,
							       .socket_dir = path,
							       .peers = &peers,
							       .patience_ns = door->patience_ns,
							       .diag = diag });
	tarn_type_free(type);
	return r;
}

void tarn__door_close(struct door *door)
{
	tarn__fork_remove_other(&door->forkable);
	if (!door->publisher->topic.stale) {
		/* relaxed: quit tells it, or the next nap */
		atomic_store_explicit(&door->ends, true, memory_order_relaxed);
		(void)tarn__plat_eventfd_raise(door->quit);
		tarn__plat_thread_join(door->thread);
		remove_socket(door);
		give_up(door);
	}
	free_door(door);
}

/* --- the publisher ------------------------------------------------------------------------- */

/* What it knows of the pair that is there now. NULL: nobody is. */
static struct note *note_of(struct door *door, uint32_t i)
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

static void ring(struct door *door, uint32_t i)
{
	struct note *note = note_of(door, i);
	_Atomic uint32_t *bell = &bell_at(door, i)->bell;
	/* relaxed: once more, now that it is known whose it is */
	uint32_t sleep = atomic_load_explicit(&ack_at(door, i)->sleep, memory_order_relaxed);

	if (note == NULL || (sleep & SLEEPS) == 0 || note->rung == sleep ||
	    (note->quiet_until != 0 && tarn__plat_now() < note->quiet_until))
		return;
	note->rung = sleep;
	note->quiet_until = 0;
	/* seq_cst: whoever sleeps on the new value has looked after what was published */
	atomic_fetch_add_explicit(bell, 1, memory_order_seq_cst);
	/* One sleeps there, if it is honest; others may have put thousands there. */
	if (tarn__plat_futex_wake(bell, 1) > 0)
		note->vain = 0;
	else if (++note->vain == VAIN_MAX) { /* it says that it sleeps, and does not */
		note->vain = 0;
		note->quiet_until = tarn__plat_now() + QUIET_NS;
	}
}

void tarn__door_notify(struct tarn_publisher *publisher)
{
	struct door *door = publisher->door;
	bool fenced = publisher->topic.fence;
	/* relaxed: who comes meanwhile looks at what is there */
	uint32_t count = atomic_load_explicit(&door->count, memory_order_relaxed);

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

static bool needs_below(const struct door *door, uint32_t i, uint64_t oldest)
{
	const struct ack_shm *ack = ack_at(door, i);
	/* T4 <> T3 in settle_in() and take_hold(); T6 <- T5 */
	uint32_t how = atomic_load_explicit(&ack->how, memory_order_seq_cst);
	uint64_t low = atomic_load_explicit(&ack->low.pos, memory_order_seq_cst);

	return how == COMING || (low < oldest && (how == LOSSLESS || (how == LOSSY && low != 0)));
}

/* When a user whose subscriber was left behind is waited for again; @set: from now on. */
static int64_t lapse_of(struct door *door, uint32_t i, bool set)
{
	int64_t now = tarn__plat_now(), until = 0;
	struct lapse *at = &door->lapses[0];
	uint32_t uid;

	pthread_mutex_lock(&door->mutex);
	uid = door->places[i].who.uid;
	for (uint32_t k = 0; k < PLACES; k++) {
		struct lapse *lapse = &door->lapses[k];

		if (lapse->until > now && lapse->uid == uid)
			until = lapse->until;
		if (lapse->uid == uid || lapse->until < at->until)
			at = lapse;
	}
	if (set)
		*at = (struct lapse){ .uid = uid, .until = now + COOL_DOWN * door->patience_ns };
	pthread_mutex_unlock(&door->mutex);
	return until;
}

/* It is in the way. Is it waited for? Not if it has been for patience_ns of COOL_DOWN times that,
 * all in all. */
static bool has_patience(struct door *door, uint32_t i, struct note *note)
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
	struct door *door = publisher->door;
	/* A2 <> A1: raised before its subscriber looks at oldest */
	uint32_t count = atomic_load_explicit(&door->count, memory_order_seq_cst);

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
	struct door *door = publisher->door;
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
	return &ack_at(publisher->door, publisher->blocker)->token;
}

/* How many are there, and how many of these have not come yet. */
static uint32_t count_them(const struct door *door, uint32_t *ret_coming)
{
	/* acquire: what is counted was there before */
	uint32_t count = atomic_load_explicit(&door->count, memory_order_acquire), there = 0;

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
	return count_them(publisher->door, ret_coming);
}

int tarn__door_wait_subscribers(struct tarn_publisher *publisher, uint32_t count, bool come,
				int64_t deadline)
{
	struct door *door = publisher->door;

	for (;;) {
		/* acquire: before they are counted */
		uint32_t arrivals = atomic_load_explicit(&door->arrivals, memory_order_acquire);
		uint32_t coming, there = count_them(door, &coming);
		int64_t now = tarn__plat_now(), slice;

		if (there + (come ? 0 : coming) >= count)
			return 0;
		if (now >= deadline)
			return -ETIMEDOUT;
		slice = now + (coming > 0 ? SLICE_NS / 10 : SLICE_NS);
		(void)tarn__plat_futex_wait(&door->arrivals, arrivals,
					    slice < deadline ? slice : deadline);
	}
}

int tarn__door_who(const struct tarn_publisher *publisher, uint32_t place,
		   struct tarn_peer *ret_who, uint32_t *ret_how)
{
	struct door *door = publisher->door;
	int r = -ENOENT;

	if (publisher->topic.stale) /* the lock may be somebody's who is not here */
		return r;
	pthread_mutex_lock(&door->mutex);
	if (place < PLACES && door->places[place].sock >= 0 && !door->places[place].left) {
		*ret_who = door->places[place].who;
		/* relaxed: for the eye */
		*ret_how = atomic_load_explicit(&ack_at(door, place)->how, memory_order_relaxed);
		r = 0;
	}
	pthread_mutex_unlock(&door->mutex);
	return r;
}
