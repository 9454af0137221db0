/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_look.c - which publishers there are in a directory of sockets, for the eye. See apart.h.
 *
 * A look asks a publisher as a subscriber does, and gets what one gets. Where a subscriber says how
 * it subscribes, it says at once that it does not, and hangs up: so it is never counted, and nobody
 * waits for it but who finds it just COMING. What that costs is told in <tarn/topic.h>.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "flow/apart.h"

#define ANSWER_NS INT64_C(100000000) /* who has not answered by then does not */
#define HIDDEN_NS                                                                                  \
	INT64_C(60000000000) /* for so long a publisher may take to let its name be seen */

enum {
	AT_ONCE = 32,    /* so many are asked, then heard */
	STEPS = 1 << 16, /* as in topic_come.c */
};

struct socket_entry {
	char name[TARN_TOPIC_NAME_MAX + 1];
	bool hidden; /* its publisher was killed before others were to see it, or is not yet */
	int sock;    /* -1: it was not reached, and said.state says why */
	struct shown shown;
	struct tarn_topic_socket said;
};

struct look {
	const char *name; /* NULL: all */
	bool removes;
	bool stopped; /* by fn */
	int dir;
	struct apart_peers peers;
	uint32_t count;
	struct socket_entry entries[AT_ONCE];
	int (*fn)(const struct tarn_topic_socket *found, void *arg);
	void *arg;
};

/* --- ask ----------------------------------------------------------------------------------- */

/* What it means that one cannot connect. 0: it is gone, or none of a publisher. */
static uint32_t state_of(int error)
{
	switch (error) {
	case -ECONNREFUSED:
		return TARN_SOCKET_DEAD;
	case -EACCES:
	case -EPERM:
		return TARN_SOCKET_DENIED;
	case -EAGAIN: /* as many wait as may */
		return TARN_SOCKET_SILENT;
	case -ENOENT:
		return 0;
	default: /* a socket of another kind */
		return TARN_SOCKET_DAMAGED;
	}
}

static bool is_old(const struct stat *st)
{
	int64_t made = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;

	return tarn__plat_realtime() - made > HIDDEN_NS;
}

static bool is_ours(int error)
{
	return error == -EMFILE || error == -ENFILE || error == -ENOMEM || error == -ENOBUFS;
}

/* Connect. 0, or why nothing more can be looked at. */
static int ask(const struct look *look, struct socket_entry *entry)
{
	struct tarn_topic_socket *said = &entry->said;
	char path[APART_PATH_MAX];
	struct stat st;

	tarn__apart_path(path, look->dir, entry->name, said->token, entry->hidden);
	if (tarn__plat_stat(path, false, &st) < 0 || !S_ISSOCK(st.st_mode) ||
	    (entry->hidden && !is_old(&st)))
		return 0;
	said->who.uid = st.st_uid; /* of its name, while no more is known */
	said->who.gid = st.st_gid;
	entry->sock = tarn__plat_connect(path);
	if (entry->sock < 0) {
		if (is_ours(entry->sock))
			return entry->sock;
		said->state = state_of(entry->sock);
		entry->sock = -1;
		if (entry->hidden && said->state != TARN_SOCKET_DEAD)
			said->state = 0;
		said->removed = said->state == TARN_SOCKET_DEAD && look->removes &&
				tarn__plat_unlink(path) == 0;
		return 0;
	}
	if (entry->hidden) { /* it may yet be seen */
		tarn__apart_hang_up(&entry->sock);
		return 0;
	}
	said->state = TARN_SOCKET_SILENT;
	if (!tarn__apart_lets_in(&look->peers, entry->sock, &said->who)) {
		said->state = TARN_SOCKET_STRANGER;
		tarn__apart_hang_up(&entry->sock);
	}
	return 0;
}

/* --- hear ---------------------------------------------------------------------------------- */

/* When the message at @pos was published; 0: it is gone, or says nothing of that. */
static int64_t time_at(const struct lane *lane, uint64_t pos)
{
	int64_t time;

	if (!is_position(lane, pos))
		return 0;
	/* acquire: before oldest */
	time = (int64_t)atomic_load_explicit(&message_at(lane, pos)->time, memory_order_acquire);
	/* T8 <- T7: it was that of this lap */
	return atomic_load_explicit(&lane->shm->oldest, memory_order_acquire) <= pos && time > 0
		       ? time
		       : 0;
}

static void measure(const struct shown *shown, struct tarn_topic_socket *said)
{
	const struct lane *lane = &shown->geometry;
	struct extent extent;

	tarn__lane_measure(lane, STEPS, &extent);
	said->lane_size = lane->capacity;
	said->size = shown->lane_bytes;
	said->number = extent.number;
	said->kept = extent.kept;
	/* relaxed: for the eye */
	said->waits = atomic_load_explicit(&lane->shm->waits, memory_order_relaxed) != 0;
	if (said->kept == 0)
		return;
	said->oldest_ns = time_at(lane, extent.oldest);
	/* acquire: the message is there */
	said->newest_ns =
		time_at(lane, atomic_load_explicit(&lane->shm->last, memory_order_acquire));
}

/* Say that it subscribes not, before anything else. */
static void subscribe_not(struct ack_shm *ack)
{
	/* seq_cst: as in look_apart() */
	atomic_store_explicit(&ack->how, SUBSCRIBES_NOT, memory_order_seq_cst);
	tarn__topic_wake(&ack->token, 1); /* who was held up by its coming */
}

/* What was asked answers until @deadline, or does not. */
static int hear(struct socket_entry *entry, int64_t deadline)
{
	struct tarn__poll poll = { .fd = entry->sock, .wanted = POLLIN };
	int r;

	do {
		(void)tarn__plat_poll(&poll, 1, deadline);
		r = tarn__shown_hear(entry->sock, entry->name, entry->said.token, NULL, NULL,
				     &entry->shown);
	} while (r == -EAGAIN && tarn__plat_now() < deadline);
	if (is_ours(r))
		return r;
	if (r == 0) {
		subscribe_not(entry->shown.ack);
		entry->said.state = TARN_SOCKET_ANSWERS;
	} else if (r != -EAGAIN) {
		entry->said.state =
			r == -EPIPE || r == -ECONNRESET ? TARN_SOCKET_REFUSES : TARN_SOCKET_DAMAGED;
	}
	tarn__apart_hang_up(&entry->sock);
	return 0;
}

static int tell(struct look *look, struct socket_entry *entry)
{
	struct tarn_type *type = NULL;
	int r = 0;

	entry->said.name = entry->name;
	if (entry->said.state == TARN_SOCKET_ANSWERS) {
		measure(&entry->shown, &entry->said);
		r = tarn__shown_describe(&entry->shown, &type);
		if (r == -EUCLEAN)
			entry->said.state = TARN_SOCKET_DAMAGED;
		r = r == -ENOMEM ? r : 0;
	}
	entry->said.type = type;
	if (r == 0 && entry->said.state != 0) {
		r = look->fn(&entry->said, look->arg);
		look->stopped = r != 0;
	}
	tarn_type_free(type);
	return r;
}

/* --- look ---------------------------------------------------------------------------------- */

/* All that were found by now: ask, hear and tell. */
static int look_at_them(struct look *look)
{
	int64_t deadline;
	uint32_t asked = 0;
	int r = 0;

	while (asked < look->count && r == 0)
		r = ask(look, &look->entries[asked++]);
	deadline = tarn__plat_now() + ANSWER_NS;
	for (uint32_t i = 0; i < asked && r == 0; i++)
		if (look->entries[i].sock >= 0)
			r = hear(&look->entries[i], deadline);
	for (uint32_t i = 0; i < asked; i++) {
		struct socket_entry *entry = &look->entries[i];

		if (r == 0)
			r = tell(look, entry);
		tarn__apart_hang_up(&entry->sock);
		tarn__shown_forget(&entry->shown);
	}
	look->count = 0;
	return r;
}

static int find(const char *text, void *arg)
{
	struct look *look = arg;
	struct socket_entry *entry = &look->entries[look->count];
	bool hidden = text[0] == '.';
	const char *colon = strchr(text += hidden, ':');
	size_t size = colon != NULL ? (size_t)(colon - text) : 0;

	if (size == 0 || size > TARN_TOPIC_NAME_MAX || text[0] == '.')
		return 0;
	*entry = (struct socket_entry){ .sock = -1, .hidden = hidden };
	memcpy(entry->name, text, size);
	if ((look->name != NULL && strcmp(look->name, entry->name) != 0) ||
	    !tarn__apart_token(text, entry->name, &entry->said.token))
		return 0;
	return ++look->count == AT_ONCE ? look_at_them(look) : 0;
}

static int look_through(struct look *look, const struct tarn_topic_opts *opts)
{
	char path[48];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", look->dir);
	r = tarn__plat_listdir(path, find, look);
	if (r == 0)
		r = look_at_them(look);
	if (r >= 0 || look->stopped)
		return r;
	tarn__diag(opts->diag, r, "the directory of sockets %s: %s", opts->socket_dir,
		   strerror(-r));
	if (r == -EACCES)
		tarn__diag_hint(opts->diag, "who lists it has to be allowed to read it (chmod +r)");
	return r;
}

int tarn_topic_sockets(const char *name, const struct tarn_topic_opts *opts, uint32_t flags,
		       int (*fn)(const struct tarn_topic_socket *found, void *arg), void *arg)
{
	struct look look = { .name = name,
			     .removes = (flags & TARN_SOCKETS_REMOVE_DEAD) != 0,
			     .fn = fn,
			     .arg = arg };
	struct apart_where where;
	int r;

	if (opts == NULL || opts->socket_dir == NULL)
		return tarn__diag(opts != NULL ? opts->diag : NULL, -EINVAL,
				  "no directory of sockets is given");
	if ((flags & ~(uint32_t)TARN_SOCKETS_REMOVE_DEAD) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "flags 0x%x: TARN_SOCKETS_REMOVE_DEAD (1) is the only one",
				  flags);
	where = tarn__topic_meets(opts);
	r = look.dir = name != NULL ? tarn__apart_begin(name, &where, &look.peers)
				    : tarn__apart_open(NULL, &where, &look.peers);
	if (r < 0)
		return r;
	r = look_through(&look, opts);
	tarn__plat_close(look.dir);
	tarn__apart_forget(&look.peers);
	return r;
}
