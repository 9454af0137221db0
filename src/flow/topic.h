/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * topic.h - the bytes of a topic and of its lanes, their handles, and what the files share.
 *
 * A topic is a primitive (sync/prim.h): a seat for each publisher and subscriber, a bell that
 * subscribers sleep on. Behind the seats, at the next line:
 *
 *     0 +---------------------------------------------+
 *       | magic type_size check                       |  set by the creator, then constant
 *    64 +---------------------------------------------+
 *       | comings lanes seats fence sittings          |  changes when somebody comes
 *   128 +---------------------------------------------+
 *       | description, type_size bytes                |  region/type.h; the creator's, constant
 *       +---------------------------------------------+
 *
 * The lane of the publisher at place N is an object of its own, named TOPIC:N:
 *
 *     0 +---------------------------------------------+
 *       | magic version capacity check                |  set by who made it, then constant
 *       | waits slept                                 |  changes when its publisher sleeps
 *    64 +---------------------------------------------+
 *       | last counted                                |  changes with every message
 *   128 +---------------------------------------------+
 *       | oldest                                      |  changes seldom
 *   192 +---------------------------------------------+
 *       | low, a line for each subscriber             |
 *       +---------------------------------------------+
 *       | messages: capacity bytes                    |
 *       +---------------------------------------------+
 *
 * Positions count bytes since the lane was made, and begin at capacity, so that 0 is none; a
 * position's place is the position masked by capacity - 1. A message starts at a multiple of 32 and
 * lies in one piece:
 *
 *     number u64   which it is, counted from 1; with SKIP: none, go on at place 0, and next is that
 *     size u32     bytes of payload
 *     back u32     bytes from the beginning of the message before to here; 0: there was none
 *     time u64     nanoseconds of CLOCK_MONOTONIC, or 0
 *     member u32
 *     came u32     when its publisher did, by count: the larger the later
 *     payload, padded to 32 bytes
 *
 * The number is the publication. That of the header behind the newest message is 0, so a subscriber
 * looks at one line; what lies there of the lap before is never taken for one, whatever it is.
 *
 * Who writes what:
 *   seat.id               by exchange: 0 or a dead member's id -> own; own -> 0
 *   seat.value, token     who sits there. value: how it subscribes; token: how often it woke a
 *                         publisher that sleeps on it.
 *   comings, lanes        publishers that come, by atomic addition, and upwards alone
 *   seats, sittings, fence  subscribers that come, the same
 *   last, counted, oldest, waits, messages   who has the publisher's seat
 *   low, and what it has missed of that lane   who has the subscriber's seat
 *
 * How memory is used again: a publisher knows up to where all is free. Past that it stores oldest,
 * the first message that is not about to be written over, and looks at all low; only if none is
 * below oldest it goes on. It does so a sixteenth of the lane at a time. See tests/model/lane.pml.
 * Where all are lossless it remembers the least low (floor), which holds until another sits down:
 * up to there it looks at sittings alone.
 *
 *   how subscribed   low = 0                          low > 0
 *   COMING           needs all                        needs all
 *   LOSSLESS         needs all                        needs what lies at low, and all behind
 *   LOSSY, LATEST    needs nothing                    holds what lies at low; it, and all behind
 *
 * Ordering, besides that of prim.h:
 *   T1 -> T2  make_visible() stores number; who looks at a message loads it, then the rest
 *   T3 <> T4  a publisher stores oldest, then looks at sittings, or at seats and low; a
 *             subscriber stores low, or counts and says that it is coming, then looks at
 *             oldest. All seq_cst: one of the two sees the other
 *   T5 -> T6  a subscriber has read, and raises low; a publisher sees that, and writes there
 *   T7 -> T8  oldest is stored before what lies below is written over: who copies without a hold
 *             looks at oldest afterwards
 *   T9 <> T10 a sleeper says so, has all processors pass a barrier (membarrier), and looks again;
 *             the other side stores number, or low, and then looks who sleeps, and pays nothing.
 *             Where there is no membarrier the topic's fence says so, and it pays a full barrier.
 *
 * Invariants (tarn__lane_check() tests them; a peer may break them, so each use is checked):
 *   I1  capacity is a power of two, 4096 .. 2^31; the object has room for it
 *   I2  from oldest on one message lies behind another, their numbers without a gap, up to a header
 *       whose number is 0; last is one of them, or 0
 *   I3  a message ends before the lane does, and before the header behind it
 *
 * After a crash:
 *   publisher   the number of what it wrote is 0: nothing is there. last may lag behind by what was
 *               published and not counted, oldest be ahead of what was written over; its successor
 *               walks from oldest to the end.
 *   subscriber  low stays, until a publisher that needs the memory finds its member dead, and frees
 *               the seat.
 */
#ifndef TARN_FLOW_TOPIC_H
#define TARN_FLOW_TOPIC_H

#include <string.h>

#include <tarn/topic.h>

#include "base/bits.h"
#include "base/diag.h"
#include "region/type.h"
#include "sync/prim.h"

#define TOPIC_MAGIC  0x69706f54u /* "Topi" */
#define LANE_MAGIC   0x656e614cu /* "Lane" */
#define LANE_VERSION 4u

#define LANE_SIZE_MIN     UINT64_C(4096)
#define LANE_SIZE_MAX     (UINT64_C(1) << 31)
#define LANE_SIZE_DEFAULT (UINT64_C(1) << 20)

enum {
	TOPIC_SEATS = TARN_TOPIC_PUBLISHERS_MAX + TARN_TOPIC_SUBSCRIBERS_MAX,
	MESSAGE_UNIT = 32,
	PART_BITS = 4,
	PARTS = 1 << PART_BITS, /* of a lane, for which a publisher asks at a time */
};

/* No lane ever comes so far: a position beyond is none. */
#define POS_MAX (UINT64_MAX / 2)

static_assert(LANE_SIZE_MAX < POS_MAX, "positions begin at capacity");

/* message_shm.number */
#define NUMBER_SKIP (UINT64_C(1) << 63)

/* seat_shm.value of a subscriber */
enum { SUBSCRIBES_NOT = 0, COMING = 1, LOSSLESS = 2, LOSSY = 3, LATEST = 4 };

/* Does who subscribes so need nothing but what it holds? */
static inline bool is_lossy(uint32_t how)
{
	return how == LOSSY || how == LATEST;
}

struct topic_shm {
	uint32_t magic;
	uint32_t type_size; /* bytes of the description; 0 = it has none */
	uint32_t check;     /* FNV-1a of the two words before it */
	uint8_t pad[52];
	_Atomic uint32_t comings;  /* of publishers */
	_Atomic uint32_t lanes;    /* so many places, from 0 on, have or had one */
	_Atomic uint32_t seats;    /* so many places of subscribers, from 0 on, are or were taken */
	_Atomic uint32_t fence;    /* 1: somebody sleeps without membarrier */
	_Atomic uint32_t sittings; /* of subscribers: so many came */
	uint8_t pad2[44];
};

struct low_shm {
	_Atomic uint64_t pos;
	_Atomic uint64_t missed; /* messages, since its subscriber came; for the eye */
	uint8_t pad[48];
};

struct lane_shm {
	uint32_t magic;
	uint32_t version;
	uint64_t capacity; /* bytes */
	uint32_t check;    /* FNV-1a of all before it */
	/* 1: its publisher sleeps for want of room. Not beside oldest, which changes with each
	 * message that is larger than a part. */
	_Atomic uint32_t waits;
	_Atomic uint32_t slept; /* how often it did; for the eye */
	uint8_t pad[36];
	_Atomic uint64_t last;    /* position of the newest message that was counted; 0 = none */
	_Atomic uint64_t counted; /* its number */
	uint8_t pad2[48];
	_Atomic uint64_t oldest;
	uint8_t pad3[56];
	struct low_shm lows[TARN_TOPIC_SUBSCRIBERS_MAX];
	unsigned char messages[];
};

struct message_shm {
	_Atomic uint64_t number;
	_Atomic uint32_t size;
	_Atomic uint32_t back;
	_Atomic uint64_t time;
	_Atomic uint32_t member;
	_Atomic uint32_t came; /* when its publisher did */
	unsigned char payload[];
};

static_assert(offsetof(struct topic_shm, type_size) == 4, "layout");
static_assert(offsetof(struct topic_shm, check) == 8, "layout");
static_assert(offsetof(struct topic_shm, comings) == 64, "layout");
static_assert(offsetof(struct topic_shm, lanes) == 68, "layout");
static_assert(offsetof(struct topic_shm, seats) == 72, "layout");
static_assert(offsetof(struct topic_shm, fence) == 76, "layout");
static_assert(offsetof(struct topic_shm, sittings) == 80, "layout");
static_assert(sizeof(struct topic_shm) == 128, "layout");
static_assert(offsetof(struct low_shm, missed) == 8, "layout");
static_assert(sizeof(struct low_shm) == TARN__CACHE_LINE, "layout");
static_assert(offsetof(struct lane_shm, version) == 4, "layout");
static_assert(offsetof(struct lane_shm, capacity) == 8, "layout");
static_assert(offsetof(struct lane_shm, check) == 16, "layout");
static_assert(offsetof(struct lane_shm, waits) == 20, "layout");
static_assert(offsetof(struct lane_shm, slept) == 24, "layout");
static_assert(offsetof(struct lane_shm, last) == 64, "layout");
static_assert(offsetof(struct lane_shm, counted) == 72, "layout");
static_assert(offsetof(struct lane_shm, oldest) == 128, "layout");
static_assert(offsetof(struct lane_shm, lows) == 192, "layout");
static_assert(offsetof(struct lane_shm, messages) == 192 + 512 * 64, "layout");
static_assert(offsetof(struct message_shm, size) == 8, "layout");
static_assert(offsetof(struct message_shm, back) == 12, "layout");
static_assert(offsetof(struct message_shm, time) == 16, "layout");
static_assert(offsetof(struct message_shm, member) == 24, "layout");
static_assert(offsetof(struct message_shm, came) == 28, "layout");
static_assert(offsetof(struct message_shm, payload) == MESSAGE_UNIT, "layout");
static_assert(TOPIC_SEATS <= PRIM_SEATS, "seats of a primitive");

#define LOW_OF_NOBODY UINT64_MAX /* of a lane that nothing is taken from any more */

/* What publisher and subscriber have in common. The primitive comes first: tarn__prim_open(). */
struct topic {
	struct prim prim;
	struct topic_shm *shm;
	struct tarn__forkable forkable;
	uint32_t type_size;
	uint32_t least, most; /* bytes of a message, as this handle knows its type; 0, UINT32_MAX */
	uint32_t seat;        /* of all; UINT32_MAX: it looks on, and has none */
	/* Of a publisher: a message that ends below it, and the header behind it, need no thought.
	 * Of a subscriber: not 0 while nothing is out of the ordinary. 0 once it is stale. */
	uint64_t limit;
	bool stale;   /* inherited over fork() */
	bool fence;   /* this process takes no part in membarrier */
	bool special; /* of a publisher: to be seen is not all, since fence is set, or the topic has
			 no region: see apart.h */
	/* Of a subscriber: counts publishers that came, and with no region those that left. */
	const _Atomic uint32_t *comings;
};

/* A lane that this handle has open. Its geometry was checked, and is not read again. */
struct lane {
	struct lane_shm *shm; /* NULL: none */
	unsigned char *messages;
	uint64_t capacity, mask;
	uint32_t part_shift; /* bytes of a part are 1 << this */
	struct tarn__object object;
};

struct tarn_publisher {
	struct topic topic;
	struct lane lane;
	/* what every call reads */
	uint64_t pos;    /* of the next message */
	uint64_t number; /* of the next message */
	uint32_t back;   /* bytes of the message before it */
	uint32_t id;     /* this member's */
	uint32_t came;   /* as its messages say; with no region 0 */
	uint32_t size_max;
	bool timed;

	bool lent;
	uint64_t lent_pos;
	uint32_t lent_size;
	uint64_t free_to;       /* all below is free, or its own */
	uint64_t oldest;        /* as stored */
	uint64_t floor;         /* all subscribers are lossless, and need nothing below it; 0: not
				   known */
	uint32_t sittings;      /* of the topic, as of then: floor holds while it is the same */
	uint64_t starts[PARTS]; /* the first message at or behind the beginning of each part */
	uint64_t part;          /* the newest of which that is known, counted as positions are */
	uint32_t blocker;  /* place of the subscriber that was in the way last; UINT32_MAX: none */
	struct door *door; /* apart.h; NULL: the topic is one of a region */
};

/* A held message, one of a lane's, in the order in which they were taken. */
struct held {
	uint64_t pos;
	uint64_t number;
	bool released;
};

/* A lane, as its subscriber knows it. */
struct reader {
	struct lane lane;
	struct low_shm *low;     /* its own; NULL: it looks on */
	_Atomic uint32_t *token; /* the same: counts how often low was raised for who waited */
	_Atomic uint32_t *sleep; /* the same, with no region: apart.h. Else NULL */
	uint32_t bell_seen;      /* with no region: what it sleeps on had this value */
	uint64_t pos;            /* of the next message */
	uint64_t number;         /* that it will have; 0: any */
	uint64_t raised;         /* low, as stored */
	uint64_t missed;         /* of this lane */
	struct held *held;
	uint32_t held_count, held_room;
	bool loose;   /* it may have a larger one: some were written over */
	bool damaged; /* nothing is taken from it any more ... */
	bool untold;  /* ... which nobody was told yet */
	bool leaves;  /* its publisher is gone, and it goes with the last message */
	/* For the order of those that come while one subscribes: see tarn__held_back(). */
	uint32_t came;  /* with no region: when it was found */
	uint32_t owner; /* with no region: the user whose publisher it is */
	uint64_t until; /* position: so much was there when the last one came */
};

struct tarn_subscriber {
	struct topic topic;
	struct reader *readers; /* by place */
	uint32_t reader_count;
	uint32_t comings; /* of the topic, as of when readers were looked up last */
	uint32_t turn;    /* the lane to begin with */
	uint32_t came;    /* with no region: so many publishers */
	bool orders;      /* some came, and not all is taken that was there before */
	uint32_t how;     /* LOSSLESS, LOSSY */
	bool guarded;     /* what it has not released is not written over */
	bool latest;
	uint32_t history;
	struct scout *scout; /* apart.h; NULL: the topic is one of a region */
	uint64_t taken, missed;
	uint32_t held;
};

/* Nothing from its low on is written over. */
static inline bool guarded(const struct tarn_subscriber *subscriber)
{
	return subscriber->guarded;
}

/* It says in low what it has taken. With no region that is a wish. */
static inline bool takes_all(const struct tarn_subscriber *subscriber)
{
	return subscriber->how == LOSSLESS;
}

/* Nobody knows of it. */
static inline bool looks_on(const struct tarn_subscriber *subscriber)
{
	return subscriber->topic.seat == UINT32_MAX && subscriber->scout == NULL;
}

/* T8 <- T7 in claim(): behind what was loaded with acquire before. */
static inline uint64_t oldest_of(const struct reader *reader)
{
	return atomic_load_explicit(&reader->lane.shm->oldest, memory_order_acquire);
}

static inline struct message_shm *message_at(const struct lane *lane, uint64_t pos)
{
	return (struct message_shm *)(void *)(lane->messages + (size_t)(pos & lane->mask));
}

/* May a message lie there? */
static inline bool is_position(const struct lane *lane, uint64_t pos)
{
	return pos >= lane->capacity && pos <= POS_MAX && pos % MESSAGE_UNIT == 0;
}

/* Bytes of a message of @size bytes, its header included. */
static inline uint64_t bytes_of(uint64_t size)
{
	return (sizeof(struct message_shm) + size + MESSAGE_UNIT - 1) &
	       ~(uint64_t)(MESSAGE_UNIT - 1);
}

/* What a look finds at a position. */
struct sight {
	uint64_t number; /* 0: nothing is there yet */
	uint32_t size;
	uint64_t end; /* of a message; of a skip the beginning of the next lap */
	bool skip;
};

/* 0, or -EUCLEAN: what is there cannot be a message. */
static inline int tarn__message_see(const struct lane *lane, uint64_t pos, struct sight *ret_sight)
{
	const struct message_shm *message = message_at(lane, pos);
	/* T2 <- T1 in make_visible() */
	uint64_t number = atomic_load_explicit(&message->number, memory_order_acquire);
	/* acquire: who is not guarded looks at oldest afterwards */
	uint32_t size = atomic_load_explicit(&message->size, memory_order_acquire);
	uint64_t left = lane->capacity - (pos & lane->mask);

	ret_sight->number = number & ~NUMBER_SKIP;
	ret_sight->size = size;
	ret_sight->skip = (number & NUMBER_SKIP) != 0;
	ret_sight->end = pos + (ret_sight->skip ? left : bytes_of(size));
	/* a skip leads on: there is none at the beginning of the lane */
	return number == 0 || (ret_sight->number != 0 && ret_sight->end - pos <= left &&
			       !(ret_sight->skip && left == lane->capacity))
		       ? 0
		       : -EUCLEAN;
}

/* Any two of them fit a lane, with a header behind. */
static inline uint64_t size_max_of(uint64_t capacity)
{
	uint64_t size = capacity / 2 - 2 * sizeof(struct message_shm);

	return size < UINT32_MAX ? size : UINT32_MAX;
}

static inline struct seat_shm *publisher_seat(const struct topic *topic, uint32_t place)
{
	return &topic->prim.seats[place];
}

static inline struct seat_shm *subscriber_seat(const struct topic *topic, uint32_t place)
{
	return &topic->prim.seats[TARN_TOPIC_PUBLISHERS_MAX + place];
}

/* --- topic.c ------------------------------------------------------------------------------- */

/* Open topic @name, with a handle of @handle bytes that begins with struct topic. */
int tarn__topic_open(struct tarn_region *region, const char *name, size_t handle,
		     const struct tarn_topic_opts *opts, struct topic **ret_topic);
/* What the header behind the seats says, read once, and checked as it was read. 0, -EUCLEAN. */
int tarn__topic_header(struct topic *topic, struct tarn_diag *diag);
/* Its type: tarn_type_free() it. 0, -ENOENT, -EUCLEAN, -ENOMEM. */
int tarn__topic_describe(const struct topic *topic, struct tarn_type **ret_type);
/* Give the seat back, if there is one, and the handle up. */
void tarn__topic_close(struct topic *topic);
/* The lane at @place: found, or where @capacity is not 0 and it is absent, made. 0, -ENOENT, also
 * if the topic was removed, and the errors of opening. */
int tarn__lane_open(struct topic *topic, uint32_t place, uint64_t capacity, struct lane *ret_lane,
		    struct tarn_diag *diag);
void tarn__lane_close(struct topic *topic, struct lane *lane);
/* The geometry of what lies at @object, checked. 0, -EUCLEAN, -EPROTO. */
int tarn__lane_at(const struct tarn__object *object, struct lane *ret_lane);
/* A new one, at @base. */
void tarn__lane_init(unsigned char *base, uint64_t capacity);
/* A handle of @handle bytes that begins with struct topic, of no region. */
int tarn__topic_apart(const char *name, size_t handle, const struct tarn_topic_opts *opts,
		      struct topic **ret_topic);
/* Was its file truncated? */
static inline bool topic_damaged(const struct topic *topic)
{
	const struct tarn_region *where = topic->prim.sec.region;

	return where != NULL && TARN__UNLIKELY(tarn_segment_damaged(where->seg));
}
/* *@word is at least @value from now on. */
void tarn__raise32(_Atomic uint32_t *word, uint32_t value);
/* Its subscribers that are there, and have come. */
uint32_t tarn__topic_subscribers(struct topic *topic);
uint32_t tarn__topic_publishers(struct topic *topic);

/* Where is it? 0: in @region; 1: in a directory of sockets, apart.h; -EINVAL. */
int tarn__topic_where(const struct tarn_region *region, const char *name,
		      const struct tarn_topic_opts *opts);

/* --- topic_publisher.c --------------------------------------------------------------------- */

/* The first message at or behind the beginning of each part up to that of @start is @start. */
static inline void tarn__note_start(struct tarn_publisher *publisher, uint64_t start)
{
	uint64_t part = start >> publisher->lane.part_shift, known = publisher->part;

	if (part <= known) /* of a batch behind a skip it is known before */
		return;
	/* what is more than a lap ago is written over by later ones */
	if (part - known > PARTS)
		known = part - PARTS;
	do
		publisher->starts[++known % PARTS] = start;
	while (known != part);
	publisher->part = part;
}

/* The newest message lies at @pos. */
static inline void tarn__note_last(struct tarn_publisher *publisher, uint64_t pos, uint64_t number)
{
	struct lane_shm *shm = publisher->lane.shm;

	/* release, both: who begins there sees the message */
	atomic_store_explicit(&shm->last, pos, memory_order_release);
	atomic_store_explicit(&shm->counted, number, memory_order_release);
}

/* --- topic_publish.c ----------------------------------------------------------------------- */

/* A full barrier between the number that was stored and a look at who sleeps. */
void tarn__publisher_fence(struct tarn_publisher *publisher);

/* --- topic_come.c -------------------------------------------------------------------------- */

/* Publishers sleep on it: wake @count. */
void tarn__topic_wake(_Atomic uint32_t *token, int count);
/* Publishers have come, or left. 0, and the errors of opening. */
int tarn__subscriber_lanes(struct tarn_subscriber *subscriber);
/* With no region: the publisher is gone, and all was taken. */
void tarn__subscriber_part(struct tarn_subscriber *subscriber, struct reader *reader);
/* Some have come: is anything left, elsewhere, of who came before the publisher of @reader's next
 * message did? That may be the same one, in another lane (tarn_publisher_grow()). */
bool tarn__held_back(struct tarn_subscriber *subscriber, struct reader *reader);

/* --- topic_wait.c -------------------------------------------------------------------------- */

/* Would a take or hold not be -EAGAIN? If it would, whoever waits for room is told so. */
bool tarn__subscriber_there(struct tarn_subscriber *subscriber);
/* There is no membarrier here: publishers are to fence. Before a last look. */
void tarn__subscriber_fence(struct tarn_subscriber *subscriber);

/* --- topic_take.c -------------------------------------------------------------------------- */

/* Nothing is there: say so to those who wait for room, too. -EAGAIN, -EIO. */
int tarn__subscriber_nothing(struct tarn_subscriber *subscriber);

/* Have publishers come, or left? */
static inline bool has_news(const struct tarn_subscriber *subscriber)
{
	/* acquire: as in add_readers() */
	return TARN__UNLIKELY(atomic_load_explicit(subscriber->topic.comings,
						   memory_order_acquire) != subscriber->comings);
}

static inline int notice_lanes(struct tarn_subscriber *subscriber)
{
	return has_news(subscriber) ? tarn__subscriber_lanes(subscriber) : 0;
}

/* --- topic_look.c -------------------------------------------------------------------------- */

/* A lane as it was at one moment. */
struct extent {
	uint64_t oldest;
	uint64_t end;    /* position behind the newest message */
	uint64_t number; /* of the newest */
	uint64_t kept;   /* messages from oldest to end */
};

/* Measure @lane, whoever writes it meanwhile. At most @steps messages that were published and not
 * counted are gone over. */
void tarn__lane_measure(const struct lane *lane, uint64_t steps, struct extent *ret_extent);

/* --- topic_check.c ------------------------------------------------------------------------- */

int tarn__topic_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *where, tarn_report_fn *fn, void *arg);
int tarn__lane_check(const struct tarn__object *object, const char *where, tarn_report_fn *fn,
		     void *arg);

#endif /* TARN_FLOW_TOPIC_H */
