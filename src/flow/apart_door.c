/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_door.c - who serves listens: who is let in, what each is handed, who has left. See
 * apart_meet.h.
 *
 * The door's thread owns sockets and places. What a place is for is known to the door's kind alone,
 * whose functions it calls.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>

#include "flow/apart_meet.h"
#include "flow/topic.h"

#define BACK_OFF_NS INT64_C(100000000) /* where the system has no descriptors left */
#define SLICE_NS    INT64_C(10000000)

enum {
	ADMIT_MAX = 64,  /* at once: then it is looked who has left */
	UNSENT_MAX = 16, /* places of one user that has not received what it was sent */
	NAMES_TRIED = 4,
};

/* --- the thread ---------------------------------------------------------------------------- */

/* It is gone; what is there says nothing any more. What it has not received is charged to us until
 * the kernel has dropped it, so its place stays taken until then. */
static void leave(struct door *door, uint32_t i)
{
	struct door_place *place = &door->places[i];

	pthread_mutex_lock(&door->mutex);
	door->kind->leave(door, i);
	if (tarn__plat_unsent(place->sock) > 0) {
		place->left = true;
		(void)tarn__plat_shut(place->sock, true);
	} else {
		place->left = false;
		tarn__apart_hang_up(&place->sock);
	}
	pthread_mutex_unlock(&door->mutex);
}

/* A place for user @uid, or as many as there are: one that had such a user before, if there is one,
 * else one that nobody has had. Who has not received what it was sent, which the kernel counts as
 * ours, may have few. */
static uint32_t find_place(const struct door *door, uint32_t uid)
{
	const struct door_kind *kind = door->kind;
	const uint32_t none = kind->places;
	uint32_t same = none, fresh = none, other = none, of_user = 0, unsent = 0;

	for (uint32_t i = 0; i < kind->places; i++) {
		const struct door_place *place = &door->places[i];

		if (place->sock >= 0 || (kind->busy != NULL && kind->busy(door, i))) {
			of_user += place->who.uid == uid;
			unsent += place->sock >= 0 && place->who.uid == uid &&
				  tarn__plat_unsent(place->sock) > 0;
			continue;
		}
		if (!place->kept)
			fresh = fresh == none ? i : fresh;
		else if (place->pages_of == uid)
			same = same == none ? i : same;
		else
			other = other == none ? i : other;
	}
	if (of_user >= kind->per_user || unsent >= UNSENT_MAX)
		return none;
	return same != none ? same : fresh != none ? fresh : other;
}

static int prepare(struct door *door, uint32_t i, uint32_t uid, struct packet *packet)
{
	struct door_place *place = &door->places[i];
	int r;

	*packet = (struct packet){ .hello = { .magic = door->kind->magic, .token = door->token },
				   .size = sizeof(packet->hello) };
	memcpy(packet->hello.name, door->name, strlen(door->name));
	r = door->kind->prepare(door, i, uid, packet);
	place->kept = r == 0;
	place->pages_of = uid;
	return r;
}

/* Memory, then the packet. */
static void admit(struct door *door, int sock)
{
	struct packet packet;
	struct tarn_peer who;
	uint32_t i = door->kind->places;

	/* Nothing is taken from it, and what came with what it sent is not ours to close. */
	if (tarn__apart_lets_in(&door->peers, sock, &who) && tarn__plat_shut(sock, false) == 0 &&
	    tarn__plat_unread(sock) == 0)
		i = find_place(door, who.uid);
	if (i == door->kind->places || prepare(door, i, who.uid, &packet) < 0) {
		tarn__apart_hang_up(&sock);
		return;
	}
	pthread_mutex_lock(&door->mutex);
	door->places[i].sock = sock;
	door->places[i].left = false;
	door->places[i].who = who;
	pthread_mutex_unlock(&door->mutex);
	door->kind->enter(door, i);
	tarn__raise32(&door->count, i + 1);
	if (tarn__packet_send(sock, &packet) < 0) {
		leave(door, i);
		return;
	}
	/* release: for who waits for somebody to come */
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
		struct door_place *place = &door->places[i];

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

/* Descriptors, those of a parent among them. */
static void close_all(struct door *door)
{
	tarn__plat_close(door->listener);
	tarn__plat_close(door->quit);
	tarn__plat_close(door->dir);
	for (uint32_t i = 0; i < door->kind->places; i++)
		door->kind->drop(door, i);
}

/* In the child of a fork: the parent's connections are not its. */
static void forked(struct tarn__forkable *self)
{
	struct door *door = (struct door *)(void *)((char *)self - offsetof(struct door, forkable));

	door->kind->forked(door);
	for (uint32_t i = 0; i < door->kind->places; i++)
		tarn__plat_close(door->places[i].sock);
	close_all(door);
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
	tarn__diag(diag, r, "%s %s: no socket in its directory: %s", door->kind->what, door->name,
		   strerror(-r));
	if (r == -ENOENT)
		tarn__diag_hint(diag, "mount /proc, by which the directory is named");
	return r;
}

int tarn__door_begin(struct door *door, const struct door_kind *kind, const char *name,
		     const struct apart_where *where)
{
	int r;

	door->kind = kind;
	door->forkable.forked = forked;
	door->dir = door->listener = door->quit = -1;
	for (uint32_t i = 0; i < kind->places; i++)
		door->places[i] = (struct door_place){ .sock = -1 };
	pthread_mutex_init(&door->mutex, NULL);
	r = door->dir = tarn__apart_begin(name, where, &door->peers);
	if (r < 0)
		return r;
	memcpy(door->name, name, strlen(name) + 1);
	return 0;
}

static void remove_socket(const struct door *door)
{
	char path[APART_PATH_MAX];

	tarn__apart_path(path, door->dir, door->name, door->token, false);
	(void)tarn__plat_unlink(path);
}

int tarn__door_start(struct door *door, const struct apart_where *where)
{
	const struct tarn_topic_peers *peers = where->peers;
	const char *what = door->kind->what;
	bool others =
		peers != NULL && (peers->anybody || peers->user_count + peers->group_count > 0);
	int r = door->quit = tarn__plat_eventfd();

	if (r < 0)
		return tarn__diag(where->diag, r, "%s %s: %s", what, door->name, strerror(-r));
	r = listen_there(door, others ? 0666 : 0600, where->diag);
	if (r < 0)
		return r;
	r = tarn__fork_add_other(&door->forkable);
	if (r == 0) {
		r = tarn__plat_thread_start(run, door, &door->thread);
		if (r < 0)
			tarn__fork_remove_other(&door->forkable);
	}
	if (r < 0)
		remove_socket(door);
	return r < 0 ? tarn__diag(where->diag, r, "%s %s: no thread: %s", what, door->name,
				  strerror(-r))
		     : 0;
}

void tarn__door_stop(struct door *door)
{
	/* relaxed: quit tells it, or the next nap */
	atomic_store_explicit(&door->ends, true, memory_order_relaxed);
	(void)tarn__plat_eventfd_raise(door->quit);
	tarn__plat_thread_join(door->thread);
	remove_socket(door);
}

void tarn__door_end(struct door *door, bool here)
{
	if (here) {
		for (uint32_t i = 0; i < door->kind->places; i++)
			tarn__apart_hang_up(&door->places[i].sock);
		close_all(door);
	}
	tarn__apart_forget(&door->peers);
	pthread_mutex_destroy(&door->mutex);
}

void tarn__door_shut(struct door *door, uint32_t at)
{
	pthread_mutex_lock(&door->mutex);
	/* The thread hears of it as if the peer had hung up. */
	if (door->places[at].sock >= 0)
		(void)tarn__plat_shut(door->places[at].sock, true);
	pthread_mutex_unlock(&door->mutex);
}
