/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart_meet.h - how peers that need not trust each other meet, whatever they meet for: topics
 * (apart.h), calls (call_apart.h).
 *
 * Who serves listens on a UNIX socket of its own, DIR/NAME:TOKEN, where TOKEN is a random number in
 * 16 hexadecimal digits. Who connects, and is among those that are let in (the kernel says who it
 * is), gets one packet and some descriptors, and that is all that ever goes over the socket:
 *
 *     magic u32, version u32, info u32, check u32 (FNV-1a of all the rest), token u64, the name in
 *     64 bytes, and what else is said to those who come for this
 *
 * The descriptors are memfds of who serves, sealed against shrinking, growing and further seals,
 * and against new writers, but for those that the peer is to write.
 *
 * door (apart_door.c)    who serves: it takes nothing from the socket, whose reading side it shuts,
 *                        and learns from the kernel that a peer is gone
 * scout (apart_scout.c)  who looks for servers: it finds names in the directory, asks, checks what
 *                        it is sent, and learns from the kernel that a server is gone
 *
 * Each has a thread, which is in nobody's way; what it does with a place is said by its kind.
 *
 * After a crash: the kernel closes the sockets and tells the other side; memory goes with the last
 * who has it mapped. The socket's name stays, until somebody finds that nobody listens there, and
 * removes it; no other ever has that name. Before others are to see it, it begins with a dot; one
 * that is left so is removed by who is asked to, a minute later (apart_look.c).
 */
#ifndef TARN_FLOW_APART_MEET_H
#define TARN_FLOW_APART_MEET_H

#include <pthread.h>
#include <string.h>

#include <tarn/topic.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/region.h"

#define HELLO_VERSION 1u

enum {
	APART_TOKEN_DIGITS = 16,
	APART_PATH_MAX = 128,   /* /proc/self/fd/N/.TOPIC:TOKEN */
	APART_PER_USER = 128,   /* of more places than that: see struct door_kind */
	PACKET_FDS_MAX = 4,     /* of one packet */
	PACKET_BYTES_MAX = 128, /* the same */
	SCOUT_REFUSALS = 4096,
};

/* Token and name say of which socket it is: who may write the directory may name it anew. */
struct hello_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t type_size; /* of a topic; else 0 */
	uint32_t check;     /* FNV-1a of all of the packet but this */
	uint64_t token;
	char name[64]; /* NUL-padded */
};

static_assert(sizeof(struct hello_shm) == 88, "layout");
static_assert(offsetof(struct hello_shm, type_size) == 8, "layout");
static_assert(offsetof(struct hello_shm, check) == 12, "layout");
static_assert(offsetof(struct hello_shm, token) == 16, "layout");
static_assert(offsetof(struct hello_shm, name) == 24, "layout");
static_assert(sizeof(((struct hello_shm *)0)->name) > TARN_TOPIC_NAME_MAX, "room for a name");

/* What is said to who comes. */
struct packet {
	union {
		struct hello_shm hello;
		unsigned char bytes[PACKET_BYTES_MAX];
	};
	size_t size; /* bytes */
	unsigned fd_count;
	int fds[TARN__FDS_MAX];
};

/* Whom to let in, or to believe; a copy of what the caller gave. */
struct apart_peers {
	uint32_t *users, *groups;
	uint32_t user_count, group_count;
	bool anybody;
};

/* Where to meet, and whom, as the caller gave it. */
struct apart_where {
	const char *what; /* "topic": what the name is one of */
	const char *dir;
	const struct tarn_topic_peers *peers;
	struct tarn_diag *diag;
};

/* A word that says of somebody that it sleeps; the rest of it counts, so that each sleep is
 * another. It sleeps on a bell, a word of whoever is to wake it. */
enum { SLEEPS = 1, SLEEPS_FENCED = 2, SLEEP_STEP = 4 };

/* Who wakes it, which may lie. */
struct ringer {
	uint32_t rung; /* the sleep for which the bell was rung */
	uint32_t vain;
	int64_t quiet_until;
};

/* --- apart.c ------------------------------------------------------------------------------- */

/* The directory, opened, and whom it lets in. 0 and the directory's descriptor. */
int tarn__apart_begin(const char *name, const struct apart_where *where,
		      struct apart_peers *ret_peers);
/* The same without a look at @name, which NULL means all. */
int tarn__apart_open(const char *name, const struct apart_where *where,
		     struct apart_peers *ret_peers);
void tarn__apart_forget(struct apart_peers *peers);
/* Is who is at the other end of @sock one of them? */
bool tarn__apart_lets_in(const struct apart_peers *peers, int sock, struct tarn_peer *ret_who);
/* /proc/self/fd/DIR/NAME:TOKEN; @hidden: nobody looks for it. */
void tarn__apart_path(char path[APART_PATH_MAX], int dir, const char *name, uint64_t token,
		      bool hidden);
/* Is @entry the name of a socket of @name? */
bool tarn__apart_token(const char *entry, const char *name, uint64_t *ret_token);
/* Hang up, and close *@sock, which is -1 from then on, where that cannot wait for what the peer has
 * sent along; else a thread does. */
void tarn__apart_hang_up(int *sock);
/* It says @sleep: wake it, if it was not woken from that sleep. */
void tarn__ringer_ring(struct ringer *ringer, _Atomic uint32_t *bell, uint32_t sleep);

/* --- apart_packet.c ------------------------------------------------------------------------ */

/* A memfd of @size bytes, all of it there, mapped at @at, NULL: anywhere; @theirs: the peer is to
 * write it, and it is mapped to be read. It is not sealed yet. 0 and its descriptor. */
int tarn__apart_make(const char *name, void *at, uint64_t size, bool theirs, int *ret_fd,
		     void **ret_at);
/* Seal it: from now on nobody else can map what is ours to be written, nor resize it. */
int tarn__apart_seal(int fd, bool theirs);
/* Is @fd memory that can neither shrink nor grow, and all of it there? A hole would be filled at
 * our expense when we read it. Nothing but that is mapped. @theirs: only its maker writes it. */
bool tarn__apart_is_sealed(int fd, bool theirs, uint64_t *ret_size);
uint32_t tarn__packet_check(const struct packet *packet);
/* The packet, whose hello has magic, token and name by then, goes to @sock. 0, -EPIPE ... */
int tarn__packet_send(int sock, struct packet *packet);
/* Look at what is said at @sock, which is to be a packet as large as @packet, of its magic, by the
 * socket of @token of @name, with as many descriptors. What it brings is open until it is taken.
 * 0; -EAGAIN: nothing is said yet; -EPIPE: it has hung up; -EPROTO; -EMFILE, -ENOMEM ... */
int tarn__packet_peek(int sock, const char *name, uint64_t token, struct packet *packet);
/* It was looked at, and is as it should be, if @r is 0: it is received. @r, -EPROTO. */
int tarn__packet_take(int sock, struct packet *packet, int r);

/* --- apart_door.c -------------------------------------------------------------------------- */

struct door;

/* What a door is for. All but busy and forked of its thread. */
struct door_kind {
	const char *what;  /* as in struct apart_where */
	uint32_t places;   /* at most so many peers */
	uint32_t per_user; /* ... of one user, so that it takes more than one to keep others out */
	uint32_t magic;
	/* Memory for one of user @uid at place @at - what one of the same had before, which it may
	 * have kept, so that who comes and goes for ever has no more of it than its places; else
	 * new - and what is said: the rest of @packet. 0, or why not. */
	int (*prepare)(struct door *door, uint32_t at, uint32_t uid, struct packet *packet);
	/* It is let in: before the packet is sent. */
	void (*enter)(struct door *door, uint32_t at);
	/* It is gone; with door->mutex held, and perhaps more than once. */
	void (*leave)(struct door *door, uint32_t at);
	/* It is gone, but its place is in use. NULL: never is */
	bool (*busy)(const struct door *door, uint32_t at);
	/* The descriptors of its memory are needed no more. */
	void (*drop)(struct door *door, uint32_t at);
	/* In the child of a fork: this is not its. */
	void (*forked)(struct door *door);
};

struct door_place {
	int sock;  /* -1: it is nobody's */
	bool left; /* ... it is, but has not received what it was sent, which is ours still */
	bool kept; /* it has memory, of user pages_of */
	uint32_t pages_of;
	struct tarn_peer who;
};

struct door {
	struct tarn__forkable forkable;
	const struct door_kind *kind;
	int dir, listener, quit;
	uintptr_t thread;
	uint64_t token;
	_Atomic bool ends;
	_Atomic uint32_t count;    /* places from 0 on that are or were taken */
	_Atomic uint32_t arrivals; /* changes when there is another */
	pthread_mutex_t mutex;     /* places' sock, left and who */
	struct door_place *places; /* kind->places */
	struct tarn__poll *polls;  /* two more */
	struct apart_peers peers;
	char name[TARN_TOPIC_NAME_MAX + 1];
};

/* Begin a door that is all zero, but for places and polls. 0, or why there is no such directory;
 * then, and once it is stopped, tarn__door_end(). */
int tarn__door_begin(struct door *door, const struct door_kind *kind, const char *name,
		     const struct apart_where *where);
/* Listen, and let others in from now on. */
int tarn__door_start(struct door *door, const struct apart_where *where);
/* Nobody is let in any more, and its name is removed. */
void tarn__door_stop(struct door *door);
/* All that is left; @here: not in a child of fork(). */
void tarn__door_end(struct door *door, bool here);
/* Hang up on who is at @at. Of any thread. */
void tarn__door_shut(struct door *door, uint32_t at);

/* --- apart_scout.c ------------------------------------------------------------------------- */

struct scout;

struct scout_kind {
	const char *what;
	uint32_t places, per_user; /* as of a door */
	/* Of its thread: hear what is said at the place's socket, map and check it. 0: it is there;
	 * and as tarn__packet_peek(), -EPROTO, -EUCLEAN: it is not asked again. */
	int (*hear)(struct scout *scout, uint32_t at);
	/* In the child of a fork: this is not its. */
	void (*forked)(struct scout *scout);
};

/* A place goes EMPTY -> ASKED -> THERE -> GONE -> EMPTY, by the thread, but for the last step,
 * which is that of who looks for servers, once it needs nothing of it any more. */
enum { SCOUT_EMPTY = 0, SCOUT_ASKED = 1, SCOUT_THERE = 2, SCOUT_GONE = 3 };

struct scout_place {
	_Atomic uint32_t state;
	int sock; /* -1: closed */
	uint64_t token;
	int64_t since; /* when it was asked */
	struct tarn_peer who;
};

/* Whom not to ask. */
struct refusal {
	uint64_t token;
	int64_t until;
	bool named; /* its name was seen by this look */
};

struct scout {
	struct tarn__forkable forkable;
	const struct scout_kind *kind;
	int dir, watch, quit;
	uintptr_t thread;
	_Atomic bool ends;
	_Atomic uint32_t naps;    /* 0: a word to sleep on */
	_Atomic uint32_t comings; /* changes when a place does that is to be looked at */
	_Atomic uint32_t settled; /* 1: who was there has answered, or is late */
	_Atomic uint32_t count;   /* places from 0 on that are or were taken */
	bool again;               /* look once more, soon */
	uint32_t looked;          /* names */
	uint32_t refusal_count;
	struct refusal refusals[SCOUT_REFUSALS];
	struct scout_place *places; /* kind->places */
	struct tarn__poll *polls;   /* two more */
	struct apart_peers peers;
	pthread_mutex_t mutex; /* whose */
	char name[TARN_TOPIC_NAME_MAX + 1];
};

/* As of a door. Who was there has been asked when it has started. */
int tarn__scout_begin(struct scout *scout, const struct scout_kind *kind, const char *name,
		      const struct apart_where *where);
int tarn__scout_start(struct scout *scout, const struct apart_where *where);
void tarn__scout_stop(struct scout *scout);
void tarn__scout_end(struct scout *scout, bool here);
/* Of its thread: the server at place @at has hung up. */
void tarn__scout_lose(struct scout *scout, uint32_t at);
/* Whatever was of the server at @at is needed no more, which was THERE or GONE. Hang up. */
void tarn__scout_leave(struct scout *scout, uint32_t at);
/* Who is, or was, at place @at. 0, -ENOENT. */
int tarn__scout_whose(struct scout *scout, uint32_t at, struct tarn_peer *ret_who);

static inline uint32_t scout_state(const struct scout *scout, uint32_t at)
{
	/* acquire: what is there was put there before */
	return atomic_load_explicit(&scout->places[at].state, memory_order_acquire);
}

#endif /* TARN_FLOW_APART_MEET_H */
