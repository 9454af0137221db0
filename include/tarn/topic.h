/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/topic.h - messages from any number of publishers to any number of subscribers, which come,
 * go and die at any time.
 *
 *     r = tarn_publisher_open(region, "news", &opts, &publisher);
 *     r = tarn_publisher_publish(publisher, "hello", 6);
 *
 *     r = tarn_subscriber_open(region, "news", &opts, &subscriber);
 *     r = tarn_subscriber_take_wait(subscriber, buf, sizeof(buf), TARN_FOREVER, &message);
 *
 * Each publisher writes its own lane, and numbers its messages from 1; a subscriber reads all
 * lanes, and writes a word in each that says from where on it still needs it. A lane is used again
 * from its beginning, so it keeps the newest messages until their memory is needed: for subscribers
 * that are slower, and for those that come late (history). It stays when its publisher leaves or
 * dies, and the next publisher goes on with it.
 *
 * A subscriber is lossless, if it does not say otherwise: a publisher whose lane is full of what
 * it has not taken yet waits for it, or is told by whom it is held up. One that is lossy holds
 * nobody up, but by what it holds in place, while it copies more than 256 bytes, and while it
 * opens; it is told exactly how many messages it has missed.
 *
 * Callers:   a handle belongs to one thread at a time. A child of fork() cannot use its parent's;
 *            it opens its own.
 * Progress:  publish, take, hold and release are wait-free, and make no system call while nobody
 *            sleeps; the _wait calls sleep.
 * Crash:     a publisher killed anywhere leaves its message whole or absent, a batch as one; a dead
 *            subscriber holds nobody up for longer than it takes to notice it.
 * Memory:    12.5 KiB a topic, and lane_size + 32.2 KiB for each publisher there is at the same
 *            time. A message takes 32 bytes and its own, rounded up to 32.
 * Trust:     members may write what they like, whenever they like: then messages may be wrong, and
 *            damage is -EUCLEAN, never an access outside of the objects.
 *
 * Peers that do not trust each other
 *
 *     const struct tarn_topic_peers peers = { .users = &uid, .user_count = 1 };
 *     const struct tarn_topic_opts opts = { .socket_dir = "/run/market", .peers = &peers };
 *
 *     r = tarn_publisher_open(NULL, "prices", &opts, &publisher);
 *     r = tarn_subscriber_open(NULL, "prices", &opts, &subscriber);
 *
 * With socket_dir a topic is in no region. Each publisher has its lane in memory that it alone can
 * write, now and ever, and hands it out over a UNIX socket in that directory to those whom peers
 * names; each subscriber acknowledges in memory that it alone writes. All other calls are the same,
 * across containers too, where they share the directory. What differs:
 *
 *   - A subscriber holds a publisher up for patience_ns of each 16 times that, if at all; past that
 *     it is lossy, and its user is waited for again after 16 times that. Whatever a subscriber
 *     writes, or does to what it has mapped, it delays nobody else, and its publisher by a system
 *     call a message at most.
 *   - A subscriber may be passed over while it holds a message in place:
 *     tarn_subscriber_release() says so. It believes nothing that it has not checked, so a
 *     publisher can lie in its own messages, and no more.
 *   - A publisher that leaves takes its messages along, but for those that are subscribed; its
 *     successor has another place, and numbers of its own.
 *   - A subscriber gets the messages of those publishers that answer while it opens (within 100 ms)
 *     from then on, or from history on; of others, that come later as a rule, from the first, as
 *     far as it is still there; what is not counts as missed.
 *   - member of a message is 0: tarn_subscriber_peer() tells who a publisher is.
 *     TARN_TOPIC_EXISTING means nothing, for such a topic is not made; the directory must be there.
 *   - A message that is larger than the buffer (-ENOBUFS) is the next one still of its publisher,
 *     and keeps those of others from nobody; one that is smaller than the type is damage.
 *   - The directory is to be writable for those that publish, and nobody else, or sticky, as /tmp.
 *   - Each handle has a thread of its own, which gets no signals.
 * Memory:    as above, and two pages for each pair of publisher and subscriber.
 */
#ifndef TARN_TOPIC_H
#define TARN_TOPIC_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/base.h>
#include <tarn/region.h>
#include <tarn/ring.h>
#include <tarn/segment.h>

TARN_BEGIN_DECLS

struct tarn_publisher; /* this process's handles */
struct tarn_subscriber;
struct tarn_type; /* <tarn/type.h> */

#define TARN_TOPIC_NAME_MAX        58   /* bytes: those of its lanes are longer */
#define TARN_TOPIC_PUBLISHERS_MAX  256u /* at a time */
#define TARN_TOPIC_SUBSCRIBERS_MAX 512u

/* tarn_topic_opts.flags */
enum {
	/* Subscriber: it holds no publisher up, but by what it holds in place. */
	TARN_TOPIC_LOSSY = 1u << 0,
	/* Subscriber: of each publisher the newest message alone; what is passed over counts as
	 * missed. Lossy. */
	TARN_TOPIC_LATEST = 1u << 1,
	/* Publisher: messages have no time stamp, which takes about as long as all the rest. */
	TARN_TOPIC_NO_TIME = 1u << 2,
	/* The topic is not created: -ENOENT where it is absent. */
	TARN_TOPIC_EXISTING = 1u << 3,
};

/* Whose processes may be at the other end, as the kernel vouches; beside those of this user. */
struct tarn_topic_peers {
	const uint32_t *users;  /* effective user ids */
	const uint32_t *groups; /* ids of groups, whether it is their first one or not */
	uint32_t user_count;
	uint32_t group_count;
	bool anybody;
};

/* All zero means: the default of each. */
struct tarn_topic_opts {
	uint64_t
		lane_size; /* publisher: bytes of its lane, a power of two, 4096 .. 2^31; 0 = 1 MiB,
	                       or as that which is taken over has it */
	uint32_t history;  /* subscriber: so many older messages of each publisher, as far as they
	                       are still there; UINT32_MAX: all */
	uint32_t flags;    /* TARN_TOPIC_ */
	/* What each message is, all of it. NULL: bytes; of an existing topic: whatever they are. */
	const struct tarn_type *type;
	/* Peers need not trust each other, and there is no region: the directory in which
	 * publishers have their sockets. See "Peers that do not trust each other" above. */
	const char *socket_dir;
	const struct tarn_topic_peers *peers; /* who may be at the other end, beside this user */
	/* Publisher in socket_dir: for how long a subscriber that needs what is to be written over
	 * may hold it up; 0: not at all; TARN_FOREVER: as in a region. */
	int64_t patience_ns;
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/* A message, as its subscriber sees it. */
struct tarn_message {
	const void *data; /* of a hold: in place; of a batch: in its buffer; else NULL */
	size_t size;      /* bytes */
	uint64_t number;  /* of this publisher's messages, counted from 1 */
	uint64_t missed;  /* how many of this publisher's were lost between the last one and this */
	int64_t time_ns;  /* when it was published, CLOCK_MONOTONIC; 0: TARN_TOPIC_NO_TIME */
	uint32_t publisher; /* its place, 0 .. TARN_TOPIC_PUBLISHERS_MAX - 1 */
	uint32_t member;    /* that published it: tarn_member_stat's id */
};

struct tarn_publisher_stat {
	uint64_t lane_size;
	uint64_t size_max;    /* bytes of the largest message */
	uint64_t number;      /* of the last message; 0 = none yet */
	uint32_t publisher;   /* its place */
	uint32_t subscribers; /* of the topic, that are alive */
	uint32_t publishers;
	uint32_t pad;
};

struct tarn_subscriber_stat {
	uint64_t taken;      /* messages, since it was opened */
	uint64_t missed;     /* of all publishers, since it was opened */
	uint32_t subscriber; /* its place; UINT32_MAX: it looks on, and has none */
	uint32_t publishers; /* of the topic, that are alive */
	uint32_t lanes;      /* that it reads, also those whose publisher is gone */
	uint32_t held;       /* messages that it holds in place */
};

/* Who holds a publisher up: the first that is met. */
struct tarn_topic_blocker {
	uint32_t subscriber; /* its place */
	uint32_t member;
	int32_t pid;
	uint32_t lossy; /* 1: by what it holds in place */
};

/**
 * tarn_publisher_open - become a publisher of topic @name.
 * @region:        NULL with @opts->socket_dir
 * @opts:          the topic is created if it is absent, of @opts->type. NULL: it must exist, and
 *                 the default of each.
 * @ret_publisher: handle on success, untouched on failure; tarn_publisher_close() it
 *
 * It gets the lane of one that left or died, if there is one of the size asked for, and goes on
 * with its numbers; else a new one.
 *
 * Return: 0, or
 *   -ENOENT   there is no such topic, and it is not to be created
 *   -EINVAL   name or @opts out of range; diag says what
 *   -EUSERS   as many publishers as there may be are alive, or lanes of other sizes take the places
 *   -EPROTO   the object is no topic, or of another version; or its messages are of another type:
 *             diag names the first field that differs
 *   -ENOSPC, -ENFILE, -ENOMEM  no room for topic or lane
 *   -EPERM    the region was opened to look on
 *   -EUCLEAN  a header or a description is damaged, or what all lanes say that it could have
 *   with socket_dir also -EACCES, -ENOTDIR, -EROFS, -EMFILE ...: what the kernel says of the
 *             directory, of memory or of descriptors; diag says which
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_open(struct tarn_region *region, const char *name,
						const struct tarn_topic_opts *opts,
						struct tarn_publisher **ret_publisher);

/** tarn_publisher_close - leave. Accepts NULL. Its lane and messages stay. Since: 0.1 */
TARN_API void tarn_publisher_close(struct tarn_publisher *publisher);

/**
 * tarn_publisher_publish - publish a copy of @size bytes.
 * Return: 0, or
 *   -EAGAIN    the next sixteenth of the lane, or what it takes, is needed by a subscriber:
 *              tarn_publisher_blocker() tells by whom
 *   -EMSGSIZE  @size is larger than size_max of tarn_publisher_stat(), or not that of the type
 *   -EBUSY     the handle was inherited over fork()
 *   -EIO       the file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_publish(struct tarn_publisher *publisher,
						   const void *data, size_t size);

/** tarn_publisher_publish_wait - the same, waiting for room until @deadline (-ETIMEDOUT).
 * Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_publisher_publish_wait(struct tarn_publisher *publisher,
							const void *data, size_t size,
							int64_t deadline);

/**
 * tarn_publisher_publish_batch - publish as many of @count messages as there is room for; they
 * become visible at once, and have one time stamp.
 * @ret_count: how many, at least 1
 * Return: as tarn_publisher_publish(), of the first; -EINVAL if @count is 0.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_publish_batch(struct tarn_publisher *publisher,
							 const struct tarn_buf *bufs, size_t count,
							 size_t *ret_count);

/**
 * tarn_publisher_loan - memory in the lane for a message of up to @size bytes, to be filled in
 * place.
 * @ret_data: 32-byte aligned, until tarn_publisher_commit() or tarn_publisher_abort(). Another
 *            loan, or publishing, drops this one.
 * Return: as tarn_publisher_publish().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_loan(struct tarn_publisher *publisher, size_t size,
						void **ret_data);

/** tarn_publisher_loan_wait - the same, waiting for room until @deadline (-ETIMEDOUT).
 * Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_publisher_loan_wait(struct tarn_publisher *publisher, size_t size,
						     int64_t deadline, void **ret_data);

/**
 * tarn_publisher_commit - publish the first @size bytes of the loan.
 * Return: 0, -EINVAL (nothing is on loan), -EMSGSIZE (more than was lent, or not the size of the
 *   type; the loan stays), -EBUSY.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_commit(struct tarn_publisher *publisher, size_t size);

/** tarn_publisher_abort - drop the loan, if there is one. Since: 0.1 */
TARN_API void tarn_publisher_abort(struct tarn_publisher *publisher);

/**
 * tarn_publisher_grow - have messages of up to @size bytes fit, whatever the lane was opened with.
 * @diag: may be NULL
 *
 * Nothing happens where they fit already. Else the publisher goes on in a lane that four such
 * messages have room in, at another place, and with the numbers of that one: that of another
 * publisher that left, or a new one. What it has published stays where it is, for those that have
 * not taken it yet, who do so before they get anything from the new lane, and for those that come
 * late. A loan is dropped. With socket_dir subscribers have to connect anew; up to 100 ms are
 * waited for, until as many have connected as there were. One that has not by then, while the
 * publisher grows again, gets the two lanes in the order in which it finds them.
 *
 * Return: 0, or the publisher is as it was, and
 *   -EMSGSIZE  there can be no lane that is large enough (one of 2^31 bytes takes 2^30 - 64), or
 *              messages of the topic's type are smaller
 *   -EUSERS, -ENOSPC, -ENFILE, -ENOMEM, -EUCLEAN, -EPROTO  as tarn_publisher_open()
 *   -EBUSY     the handle was inherited over fork()
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_grow(struct tarn_publisher *publisher, size_t size,
						struct tarn_diag *diag);

/**
 * tarn_publisher_wait_subscribers - wait until @count subscribers are there: what is published from
 * then on they get.
 * Return: 0, -ETIMEDOUT, -EBUSY, -EIO.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_wait_subscribers(struct tarn_publisher *publisher,
							    uint32_t count, int64_t deadline);

/**
 * tarn_publisher_blocker - by whom the last call was held up that returned -EAGAIN or -ETIMEDOUT.
 * Return: 0, -ENOENT (nobody is in the way now).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_publisher_blocker(struct tarn_publisher *publisher,
						   struct tarn_topic_blocker *ret_blocker);

/**
 * tarn_publisher_explain - why the last call that published @size bytes, or lent them, failed.
 * @error: what it returned
 * @diag:  gets the words: of -EMSGSIZE both sizes, of -EAGAIN and -ETIMEDOUT who is in the way; of
 *         others what strerror() says
 *
 * Publishing itself has no @diag: it would be one more argument to a call of some nanoseconds.
 * Return: @error. Since: 0.1
 */
TARN_API int tarn_publisher_explain(struct tarn_publisher *publisher, int error, size_t size,
				    struct tarn_diag *diag);

/** tarn_publisher_stat - facts, see the struct. Return: 0. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_publisher_stat(struct tarn_publisher *publisher,
						struct tarn_publisher_stat *ret_stat);

/**
 * tarn_subscriber_open - become a subscriber of topic @name: of all publishers there are and will
 * be. What is published from the moment on at which this returns, is seen.
 * @opts:           as of tarn_publisher_open()
 * @ret_subscriber: handle on success, untouched on failure; tarn_subscriber_close() it
 *
 * In a region that is only looked on it has no place, and nobody knows of it: it is lossy, and can
 * hold nothing in place.
 *
 * Return: as tarn_publisher_open(); -EUSERS: as many subscribers as there may be are alive.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_subscriber_open(struct tarn_region *region, const char *name,
						 const struct tarn_topic_opts *opts,
						 struct tarn_subscriber **ret_subscriber);

/** tarn_subscriber_close - release what is held, and leave. Accepts NULL. Since: 0.1 */
TARN_API void tarn_subscriber_close(struct tarn_subscriber *subscriber);

/**
 * tarn_subscriber_take - copy the next message of any publisher, each by turns.
 * @ret_message: on -ENOBUFS too, else untouched on failure
 * Return: 0, or
 *   -EAGAIN   none now
 *   -ENOBUFS  it is larger than @buf_size; it is the next one still
 *   -EBUSY    the handle was inherited over fork()
 *   -EUCLEAN  what a lane says contradicts itself: the rest of that lane is passed over
 *   -EIO      the file was truncated
 *   -ENOMEM   no memory for what this handle knows of a new publisher
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_subscriber_take(struct tarn_subscriber *subscriber, void *buf,
						 size_t buf_size, struct tarn_message *ret_message);

/** tarn_subscriber_take_wait - the same, waiting for a message until @deadline (-ETIMEDOUT).
 * Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_subscriber_take_wait(struct tarn_subscriber *subscriber, void *buf,
						      size_t buf_size, int64_t deadline,
						      struct tarn_message *ret_message);

/**
 * tarn_subscriber_take_batch - copy as many of the next messages as there are and as fit, up to
 * @count: of one publisher all that are there, then of the next one, each by turns. So what is
 * done once a call is done once a batch.
 * @buf:          they lie one behind another, each at the next multiple of 8 bytes from here on:
 *                those of a type whose size is one are an array of it
 * @ret_messages: @count of them, of which *@ret_count are filled, in the order in which they lie;
 *                data is where. On -ENOBUFS the first one is: what it says does not fit
 * @ret_count:    how many, at least 1; untouched on failure
 *
 * A subscriber for the newest alone gets one of each publisher at most.
 *
 * Return: as tarn_subscriber_take(), of the first; -EINVAL if @count is 0. What would fail behind
 *   one that was taken ends the batch, and is what the next call begins with.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_subscriber_take_batch(struct tarn_subscriber *subscriber,
						       void *buf, size_t buf_size,
						       struct tarn_message *ret_messages,
						       size_t count, size_t *ret_count);

/**
 * tarn_subscriber_hold - the next message of any publisher, in place, for as long as one likes.
 * Several may be held; its memory, and that of all later messages of its publisher, is not used
 * again meanwhile.
 * @ret_message: data is 32-byte aligned, until tarn_subscriber_release()
 * Return: as tarn_subscriber_take(), and -EPERM: the region was opened to look on.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_subscriber_hold(struct tarn_subscriber *subscriber,
						 struct tarn_message *ret_message);

/** tarn_subscriber_hold_wait - the same, waiting for a message until @deadline (-ETIMEDOUT).
 * Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_subscriber_hold_wait(struct tarn_subscriber *subscriber,
						      int64_t deadline,
						      struct tarn_message *ret_message);

/**
 * tarn_subscriber_release - let go of a held message; in any order.
 * Return: 0, -EINVAL (it is not held), -EBUSY (the handle was inherited over fork()), -ESTALE (with
 *   socket_dir: it is released, and was written over before that, so what was read of it may be
 *   of another message; or its publisher, which waits for who is lossy too, was about to, and found
 *   just then that it is held).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_subscriber_release(struct tarn_subscriber *subscriber,
						    const struct tarn_message *message);

/** tarn_subscriber_stat - facts, see the struct. Return: 0. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_subscriber_stat(struct tarn_subscriber *subscriber,
						 struct tarn_subscriber_stat *ret_stat);

/**
 * tarn_subscriber_peer - who publishes at place @publisher, as the kernel vouches.
 * Return: 0, -ENOENT (nobody does), -EOPNOTSUPP (the topic is in a region: tarn_member_stat()),
 *   -EBUSY (the handle was inherited over fork()).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_subscriber_peer(struct tarn_subscriber *subscriber,
						 uint32_t publisher, struct tarn_peer *ret_peer);

/**
 * tarn_subscriber_describe - what the messages of the publisher at place @publisher consist of.
 * Publishers that trust nobody may each have a type of their own; in a region it is the topic's.
 * @ret_type: a copy; tarn_type_free() it
 * Return: 0, -ENOENT (nobody is there, or it publishes bytes), -EUCLEAN, -ENOMEM.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_subscriber_describe(struct tarn_subscriber *subscriber,
						     uint32_t publisher,
						     struct tarn_type **ret_type);

/**
 * tarn_topic_describe - what the messages of topic @name consist of, whoever made it.
 * @ret_type: a copy; tarn_type_free() it
 * Return: 0, -ENOENT (no such topic, or bytes: it has no type), -EPROTO, -EUCLEAN, -ENOMEM.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_topic_describe(struct tarn_region *region, const char *name,
						struct tarn_type **ret_type);

enum tarn_topic_role {
	TARN_TOPIC_PUBLISHES = 1,
	TARN_TOPIC_COMES = 2, /* a subscriber that is just opening: it needs all that is there */
	TARN_TOPIC_TAKES_ALL = 3,
	TARN_TOPIC_TAKES_LOSSY = 4,
	TARN_TOPIC_TAKES_LATEST = 5, /* lossy, of each publisher the newest alone */
};

/* A publisher or subscriber of a topic, as others see it. */
struct tarn_topic_user {
	uint32_t role;  /* enum tarn_topic_role */
	uint32_t place; /* of publishers, or of subscribers */
	uint32_t slot;  /* of its member; UINT32_MAX: a lane whose publisher has left */
	int32_t pid;    /* in its PID namespace, for the eye */
	int32_t tid;
	bool alive;
	bool waits;          /* publisher: it sleeps for want of room */
	uint32_t held_up_by; /* publisher: place of the subscriber that still needs what its next
	                        message would be written over; UINT32_MAX: of none */
	uint64_t lane_size;  /* publisher: bytes */
	uint64_t number;     /* publisher: of its last message */
	/* Messages: publisher: that its lane still has; subscriber: that stay, since it has not
	 * taken them, or holds them in place; said a thirty-second of the lane at a time. */
	uint64_t kept;
	uint64_t missed; /* subscriber: since it was opened */
};

struct tarn_topic_stat {
	uint64_t number;      /* of messages that were published, by all */
	uint64_t size;        /* bytes of the topic and its lanes */
	uint32_t publishers;  /* that are alive */
	uint32_t subscribers; /* the same */
	uint32_t lanes;       /* also those whose publisher is gone */
	uint32_t pad;
};

/**
 * tarn_topic_users - call @fn for each publisher of topic @name, then for each subscriber, until it
 * returns non-zero. It looks only: who only looks on is seen by nobody.
 * Return: 0, what @fn returned, or -ENOENT (no such topic), -EPROTO, -EUCLEAN, -ENOMEM, -EIO.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_topic_users(struct tarn_region *region, const char *name,
		 int (*fn)(const struct tarn_topic_user *user, void *arg), void *arg);

/** tarn_topic_stat - facts, see the struct. Return: as tarn_topic_users(). Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_topic_stat(struct tarn_region *region, const char *name,
					    struct tarn_topic_stat *ret_stat);

/* What a look at the socket of a publisher comes to. */
enum tarn_socket_state {
	TARN_SOCKET_ANSWERS = 1, /* it lets this process in, and its lane was looked at */
	TARN_SOCKET_DEAD = 2,    /* nobody listens: a publisher that was killed has left its name */
	TARN_SOCKET_SILENT = 3, /* somebody listens, and has not answered within 100 ms: stopped? */
	TARN_SOCKET_REFUSES =
		4,              /* it hung up: it does not let this user in, or has no place left */
	TARN_SOCKET_DENIED = 5, /* the kernel does not let this user connect */
	TARN_SOCKET_STRANGER =
		6, /* a user that @opts->peers does not name: nothing was taken of it */
	TARN_SOCKET_DAMAGED =
		7, /* what it shows contradicts itself, or is of another version or kind */
};

/* A name in a directory of sockets, and what a look has found behind it. */
struct tarn_topic_socket {
	const char *name; /* of the topic; during the call */
	uint64_t token;   /* the socket is DIR/NAME:TOKEN, TOKEN in 16 hexadecimal digits */
	uint32_t state;   /* enum tarn_socket_state */
	bool removed;     /* nobody listens, and the name is gone now */
	/* What follows is said where it answers; else 0. */
	bool waits; /* it sleeps for want of room */
	/* As the kernel vouches; where nobody listens, or one may not connect, pid is 0, and the
	 * user and group are those of the name. */
	struct tarn_peer who;
	uint64_t lane_size;
	uint64_t size;     /* bytes of the memory that holds the lane */
	uint64_t number;   /* of its last message */
	uint64_t kept;     /* messages that its lane still has */
	int64_t oldest_ns; /* when the oldest of them was published, CLOCK_MONOTONIC; 0: unknown */
	int64_t newest_ns; /* ... and the newest */
	const struct tarn_type *type; /* of its messages, during the call; NULL: bytes */
};

/* tarn_topic_sockets() flags */
enum {
	/* Remove the names of those that are DEAD, as who subscribes does. */
	TARN_SOCKETS_REMOVE_DEAD = 1u << 0,
};

/**
 * tarn_topic_sockets - call @fn for each publisher of topic @name in directory @opts->socket_dir,
 * and for each name that one has left, until it returns non-zero; in no order.
 * @name:  NULL: of all topics
 * @opts:  socket_dir; peers: whose publishers are looked at, beside those of this user; diag
 * @flags: TARN_SOCKETS_
 *
 * It is no subscriber: it is counted by nobody, takes nothing, and says so in the first thing that
 * it writes. What it costs a publisher: one of the places of this user for as long as the look
 * takes, and two pages that the place keeps for the next of this user; its thread's time for one
 * connection, none of the publisher's own. One with patience whose lane is full in the moment
 * between answer and withdrawal waits for that long. Who subscribes to a publisher is told to
 * nobody but itself: tarn_publisher_stat().
 *
 * Return: 0, what @fn returned, or -EINVAL, -ENOENT, -ENOTDIR, -EACCES (of the directory: diag says
 *   which), -EMFILE, -ENFILE, -ENOMEM.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_topic_sockets(const char *name, const struct tarn_topic_opts *opts, uint32_t flags,
		   int (*fn)(const struct tarn_topic_socket *found, void *arg), void *arg);

TARN_END_DECLS

#endif /* TARN_TOPIC_H */
