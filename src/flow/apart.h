/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart.h - topics whose peers need not trust each other: no memory is written by two of them.
 *
 * Such a topic has no region. Each publisher listens on a UNIX socket of its own, DIR/TOPIC:TOKEN,
 * where TOKEN is a random number in 16 hexadecimal digits. Who connects, and is among those that
 * the publisher lets in (the kernel says who it is), gets one packet and three descriptors, and
 * that is all that ever goes over the socket:
 *
 *     magic u32, version u32, type_size u32, check u32 (FNV-1a of all the rest), token u64, the
 *     topic's name in 64 bytes
 *     lane    the publisher's lane as topic.h draws it, its lows unused; behind it at the next
 *             line the description, type_size bytes. Written by the publisher alone
 *     bell    a page: a word that the subscriber sleeps on. Written by the publisher alone
 *     ack     a page: below. Written by the subscriber alone
 *
 *     ack    0 +---------------------------------------------+
 *              | low missed                                  |  as in a lane
 *           64 +---------------------------------------------+
 *              | how token                                   |  as value and token of a seat
 *          128 +---------------------------------------------+
 *              | sleep                                       |  changes when it sleeps
 *              +---------------------------------------------+
 *
 * All three are memfds of the publisher's, sealed against shrinking, growing and further seals,
 * lane and bell against new writers too. Bell and ack are a pair's own, so that nobody else can
 * map them, and move a sleeper away by FUTEX_REQUEUE.
 *
 * A publisher (apart_door.c) reads acks, through mappings that cannot be written, and what it
 * reads is compared with positions, and no more; it takes nothing from the socket, whose reading
 * side it shuts, and learns from the kernel that the subscriber is gone. A subscriber
 * (apart_scout.c) checks lane, seals and sizes once, keeps them privately, and believes no message
 * before it has looked at oldest behind it: the publisher may go on without it at any time.
 *
 * Each handle has a thread, which opens the door to others, or looks for publishers; it is in
 * nobody's way, and the handle's owner reads what it leaves:
 *
 *   door   a pair's pages lie at a fixed place, and stay when it leaves: they are handed to the
 *          next of the same user, or replaced by mmap(), at once for the owner, who needs no lock.
 *          generations say whether anybody is there
 *   scout  a pair is the owner's from THERE on, until it makes its place EMPTY; the thread says
 *          GONE meanwhile
 *
 * Ordering, besides that of topic.h:
 *   A1 <> A2  a pair's pages are at their place before the packet is sent, so before its
 *             subscriber looks at oldest; a publisher stores oldest, then looks at acks
 *   A3 <> A4  a sleeper stores sleep, has all processors pass a barrier, and looks once more; the
 *             publisher stores number, then looks at sleep. Where there is no membarrier bit 1 of
 *             sleep says so, and the publisher pays a full barrier for as long as it is set
 *
 * After a crash: the kernel closes the sockets and tells the other side; a publisher's messages go
 * with the last who has them mapped. The socket's name stays, until somebody finds that nobody
 * listens there, and removes it; no other ever has that name. Before others are to see it, it
 * begins with a dot; one that is left so is removed by who is asked to, a minute later
 * (apart_look.c).
 */
#ifndef TARN_FLOW_APART_H
#define TARN_FLOW_APART_H

#include "flow/topic.h"

#define HELLO_MAGIC   0x54687041u /* "AphT" */
#define HELLO_VERSION 1u

enum {
	APART_FDS = 3,     /* lane, bell, ack */
	APART_PAGE = 4096, /* bytes of bell, and of ack */
	APART_TOKEN_DIGITS = 16,
	APART_PATH_MAX = 128, /* /proc/self/fd/N/.TOPIC:TOKEN */
	/* Of the places of a publisher or subscriber one user may have so many, so that it takes
	 * more than one to keep others out. */
	APART_PER_USER = 128,
};

/* ack_shm.sleep; the rest of it counts */
enum { SLEEPS = 1, SLEEPS_FENCED = 2, SLEEP_STEP = 4 };

/* Token and name say of which socket it is: who may write the directory may name it anew. */
struct hello_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t type_size;
	uint32_t check; /* FNV-1a of all of it but this */
	uint64_t token;
	char name[64]; /* NUL-padded */
};

struct ack_shm {
	struct low_shm low;
	_Atomic uint32_t how;
	_Atomic uint32_t token;
	uint8_t pad[56];
	_Atomic uint32_t sleep;
	uint8_t pad2[60];
};

struct bell_shm {
	_Atomic uint32_t bell;
};

static_assert(sizeof(struct hello_shm) == 88, "layout");
static_assert(offsetof(struct hello_shm, type_size) == 8, "layout");
static_assert(offsetof(struct hello_shm, check) == 12, "layout");
static_assert(offsetof(struct hello_shm, token) == 16, "layout");
static_assert(offsetof(struct hello_shm, name) == 24, "layout");
static_assert(sizeof(((struct hello_shm *)0)->name) > TARN_TOPIC_NAME_MAX, "room for a name");
static_assert(offsetof(struct ack_shm, how) == 64, "layout");
static_assert(offsetof(struct ack_shm, token) == 68, "layout");
static_assert(offsetof(struct ack_shm, sleep) == 128, "layout");
static_assert(sizeof(struct ack_shm) == 192, "layout");
static_assert(sizeof(struct lane_shm) % TARN__CACHE_LINE == 0, "the description is at a line");

/* Whom to let in, or to believe; a copy of what the caller gave. */
struct apart_peers {
	uint32_t *users, *groups;
	uint32_t user_count, group_count;
	bool anybody;
};

/* What a publisher shows of itself, mapped. All zero: nothing. */
struct shown {
	struct lane_shm *lane;
	uint64_t lane_bytes;
	struct ack_shm *ack;
	struct lane geometry; /* as it was checked */
	uint32_t type_size;
};

/* --- apart.c ------------------------------------------------------------------------------- */

/* The directory of @opts, opened, and whom it lets in. 0 and the directory's descriptor. */
int tarn__apart_begin(const char *name, const struct tarn_topic_opts *opts,
		      struct apart_peers *ret_peers);
/* The same without a look at @name, which NULL means all. */
int tarn__apart_open(const char *name, const struct tarn_topic_opts *opts,
		     struct apart_peers *ret_peers);
void tarn__apart_forget(struct apart_peers *peers);
/* Is who is at the other end of @sock one of them? */
bool tarn__apart_lets_in(const struct apart_peers *peers, int sock, struct tarn_peer *ret_who);
/* /proc/self/fd/DIR/NAME:TOKEN; @hidden: nobody looks for it. */
void tarn__apart_path(char path[APART_PATH_MAX], int dir, const char *name, uint64_t token,
		      bool hidden);
/* Is @entry the name of a publisher's socket of topic @name? */
bool tarn__apart_token(const char *entry, const char *name, uint64_t *ret_token);
/* Hang up, and close *@sock, which is -1 from then on, where that cannot wait for what the peer has
 * sent along; else a thread does. */
void tarn__apart_hang_up(int *sock);
uint32_t tarn__hello_check(const struct hello_shm *hello);
/* Bytes of a lane's memfd. */
uint64_t tarn__apart_lane_bytes(uint64_t capacity, uint32_t type_size);

/* --- apart_door.c: of a publisher ------------------------------------------------------------ */

struct door;

/* Make a lane of @capacity, listen, and let others in from now on. 0 and publisher->door. */
int tarn__door_open(struct tarn_publisher *publisher, const char *name, uint64_t capacity,
		    const struct tarn_topic_opts *opts);
/* A second one as publisher->door is, but for the @capacity of its lane, which takes the place of
 * that. 0, or publisher->door is as before. */
int tarn__door_again(struct tarn_publisher *publisher, uint64_t capacity, struct tarn_diag *diag);
/* What its publisher's lane was is gone. */
void tarn__door_close(struct door *door);
/* Behind the store of number: wake who sleeps. */
void tarn__door_notify(struct tarn_publisher *publisher);
/* Does nobody that is still waited for need what lies below @oldest? If so, publisher->blocker. */
bool tarn__door_nobody_needs(struct tarn_publisher *publisher, uint64_t oldest);
/* How often the blocker has raised its low while it was waited for; sleep until it does so once
 * more, or patience is through. 0, -ETIMEDOUT. */
_Atomic uint32_t *tarn__door_token(struct tarn_publisher *publisher);
int tarn__door_sleep(struct tarn_publisher *publisher, uint32_t turn, int64_t deadline);
/* Until so many have @come; if not, until so many were let in, which keep all for themselves. */
int tarn__door_wait_subscribers(struct tarn_publisher *publisher, uint32_t count, bool come,
				int64_t deadline);
uint32_t tarn__door_subscribers(const struct tarn_publisher *publisher, uint32_t *ret_coming);
/* Who is at @place. 0, -ENOENT. */
int tarn__door_who(const struct tarn_publisher *publisher, uint32_t place,
		   struct tarn_peer *ret_who, uint32_t *ret_how);

/* --- apart_shown.c: what a publisher shows --------------------------------------------------- */

/* Hear what is said at @sock, map what came with it, and check all of it: is it of topic @name, by
 * the socket of @token, its messages of @type (NULL: any)? The bell is mapped at @bell, if that is
 * not NULL. 0; -EAGAIN: nothing is said yet; -EPIPE: it has hung up; -EPROTO, -EUCLEAN: it is no
 * publisher, or of another type; -EMFILE, -ENOMEM ... */
int tarn__shown_hear(int sock, const char *name, uint64_t token, const struct tarn_type *type,
		     struct bell_shm *bell, struct shown *ret_shown);
void tarn__shown_forget(struct shown *shown);
/* Of which type its messages are. 0, -ENOENT, -EUCLEAN, -ENOMEM. */
int tarn__shown_describe(const struct shown *shown, struct tarn_type **ret_type);

/* --- apart_scout.c: of a subscriber ---------------------------------------------------------- */

struct scout;

/* Look for publishers from now on; those that are there have been asked. 0 and
 * subscriber->scout. */
int tarn__scout_open(struct tarn_subscriber *subscriber, const char *name,
		     const struct tarn_topic_opts *opts);
void tarn__scout_close(struct tarn_subscriber *subscriber);
/* Of its thread: the publisher at place @at has hung up. */
void tarn__scout_lose(struct scout *scout, uint32_t at);
/* So many places, from 0 on, have or had a publisher. */
uint32_t tarn__scout_places(const struct tarn_subscriber *subscriber);
/* Is there a lane at place @at, to be read? */
bool tarn__scout_lane(struct tarn_subscriber *subscriber, uint32_t at, struct lane *ret_lane,
		      struct ack_shm **ret_ack);
/* Its publisher is gone. */
bool tarn__scout_gone(const struct tarn_subscriber *subscriber, uint32_t at);
/* ... and all of it was taken: the place is free. */
void tarn__scout_done(struct tarn_subscriber *subscriber, uint32_t at);
uint32_t tarn__scout_publishers(const struct tarn_subscriber *subscriber);
/* Who is, or was, at place @at. 0, -ENOENT. */
int tarn__scout_who(const struct tarn_subscriber *subscriber, uint32_t at,
		    struct tarn_peer *ret_who);
/* Of which type its messages are. 0, -ENOENT, -EUCLEAN, -ENOMEM. */
int tarn__scout_describe(const struct tarn_subscriber *subscriber, uint32_t at,
			 struct tarn_type **ret_type);
/* What tarn_waiter_wait() returns. */
int tarn__scout_wait(struct tarn_subscriber *subscriber, int64_t deadline);
/* For a waiter: say in all lanes that it sleeps; that publishers are to fence; that it does not. */
void tarn__scout_announce(struct tarn_subscriber *subscriber);
void tarn__scout_fence(struct tarn_subscriber *subscriber);
void tarn__scout_awake(struct tarn_subscriber *subscriber);
/* What to sleep on, @room words at most. How many; @ret_all: there are no more. */
unsigned tarn__scout_words(const struct tarn_subscriber *subscriber, struct tarn__futex *words,
			   unsigned room, bool *ret_all);

#endif /* TARN_FLOW_APART_H */
