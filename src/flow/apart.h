/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * apart.h - topics whose peers need not trust each other: no memory is written by two of them.
 *
 * Such a topic has no region. Publishers and subscribers meet as apart_meet.h says: each publisher
 * has a door, named TOPIC:TOKEN, each subscriber a scout. The packet has the size of a description,
 * and three descriptors:
 *
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
 * All three are memfds of the publisher's, lane and bell sealed against new writers. Bell and ack
 * are a pair's own, so that nobody else can map them, and move a sleeper away by FUTEX_REQUEUE.
 *
 * A publisher (apart_lane.c) reads acks, through mappings that cannot be written, and what it
 * reads is compared with positions, and no more. A subscriber (apart_readers.c) checks lane, seals
 * and sizes once, keeps them privately, and believes no message before it has looked at oldest
 * behind it: the publisher may go on without it at any time.
 *
 * What the threads of door and scout leave for the handle's owner:
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
 * After a crash: as apart_meet.h says; a publisher's messages go with the last who has them mapped.
 */
#ifndef TARN_FLOW_APART_H
#define TARN_FLOW_APART_H

#include "flow/apart_meet.h"
#include "flow/topic.h"

#define HELLO_MAGIC 0x54687041u /* "AphT" */

enum {
	APART_FDS = 3,     /* lane, bell, ack */
	APART_PAGE = 4096, /* bytes of bell, and of ack */
};

struct ack_shm {
	struct low_shm low;
	_Atomic uint32_t how;
	_Atomic uint32_t token;
	uint8_t pad[56];
	_Atomic uint32_t sleep; /* SLEEPS */
	uint8_t pad2[60];
};

struct bell_shm {
	_Atomic uint32_t bell;
};

static_assert(offsetof(struct ack_shm, how) == 64, "layout");
static_assert(offsetof(struct ack_shm, token) == 68, "layout");
static_assert(offsetof(struct ack_shm, sleep) == 128, "layout");
static_assert(sizeof(struct ack_shm) == 192, "layout");
static_assert(sizeof(struct lane_shm) % TARN__CACHE_LINE == 0, "the description is at a line");

/* What a publisher shows of itself, mapped. All zero: nothing. */
struct shown {
	struct lane_shm *lane;
	uint64_t lane_bytes;
	struct ack_shm *ack;
	struct lane geometry; /* as it was checked */
	uint32_t type_size;
};

/* --- apart_shown.c: what a publisher shows --------------------------------------------------- */

/* Where a topic of @opts meets. */
struct apart_where tarn__topic_meets(const struct tarn_topic_opts *opts);
/* Bytes of a lane's memfd. */
uint64_t tarn__apart_lane_bytes(uint64_t capacity, uint32_t type_size);

/* Hear what is said at @sock, map what came with it, and check all of it: is it of topic @name, by
 * the socket of @token, its messages of @type (NULL: any)? The bell is mapped at @bell, if that is
 * not NULL. 0; -EAGAIN: nothing is said yet; -EPIPE: it has hung up; -EPROTO, -EUCLEAN: it is no
 * publisher, or of another type; -EMFILE, -ENOMEM ... */
int tarn__shown_hear(int sock, const char *name, uint64_t token, const struct tarn_type *type,
		     struct bell_shm *bell, struct shown *ret_shown);
void tarn__shown_forget(struct shown *shown);
/* Of which type its messages are. 0, -ENOENT, -EUCLEAN, -ENOMEM. */
int tarn__shown_describe(const struct shown *shown, struct tarn_type **ret_type);

/* --- apart_lane.c: of a publisher ------------------------------------------------------------ */

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

/* --- apart_readers.c: of a subscriber -------------------------------------------------------- */

/* Look for publishers from now on; those that are there have been asked. 0 and
 * subscriber->scout. */
int tarn__scout_open(struct tarn_subscriber *subscriber, const char *name,
		     const struct tarn_topic_opts *opts);
void tarn__scout_close(struct tarn_subscriber *subscriber);
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
