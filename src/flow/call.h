/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * call.h - the bytes of a service and of its rings, their handles, and what the files share.
 *
 * A service has a place for each server and each client:
 *
 *     0 +---------------------------------------------+
 *       | magic version servers clients .. check      |  set by the creator, then constant
 *    64 +---------------------------------------------+
 *       | comings servings server_places ..           |  changes when somebody comes or leaves
 *   128 +---------------------------------------------+
 *       | a place for each server, 64 bytes           |
 *       +---------------------------------------------+
 *       | a place for each client                     |
 *       +---------------------------------------------+
 *
 * The rings between the server at place S and the clients at places 4 N to 4 N + 3 are a bundle, an
 * object of its own named SERVICE:S.N, with a header of a line and four pairs of rings:
 *
 *     0 +---------------------------------------------+
 *       | the client's side of the requests' ring     |  and how often it has cancelled
 *    64 +---------------------------------------------+
 *       | the server's side of the responses' ring    |
 *   128 +---------------------------------------------+
 *       | tail, head of requests; of responses        |  a line each
 *   384 +---------------------------------------------+
 *       | cancelled: a word for each 256th call       |
 *  2432 +---------------------------------------------+
 *       | records of requests, then of responses      |
 *       +---------------------------------------------+
 *
 * The rings are those of ring.h, each part where its writer wants it. The other sides of both are
 * in the places: all requests of a server wake it by one word, the one in its place; all responses
 * of a client wake it by the one in its own. So who serves 50 sleeps on one word, and looks at one
 * to see whether somebody has come.
 *
 * A record is a frame of 24 bytes and the payload:
 *
 *     tag u64     which of its client's calls this is, counted from 1, << 8 | kind
 *     from u32    when its writer came, by count of the service's comings
 *     to u32      when the one came that it is for
 *     value u64   of a request: the deadline; of an error: the code
 *
 * Places, and rings with what is in them, go to successors; no two who come have the same number.
 * What is not from whom it seems, or not for who reads it, or for no call that waits for it, is
 * dropped. So nothing has to be emptied, or agreed upon, when somebody dies, and the living one of
 * a pair goes on with the position that it has.
 *
 * Who writes what:
 *   owner of a place       by exchange: 0 or a dead member's id -> own; own -> 0
 *   the rest of a place    who has it; waiting is also cleared by who wakes; callers is counted up
 *                          by clients that come or leave
 *   comings .. *_places    who comes or leaves, by atomic addition, and upwards alone
 *   a pair                 its client: client, request_tail, response_head, cancelled, requests;
 *                          its server: server, request_head, response_tail, responses
 *
 * Ordering, besides that of ring.h:
 *   Q1 -> Q2  set_out() stores state behind all else that a place says; whoever goes by it loads it
 *   Q3 -> Q4  a client has rings with a server, says so, and counts up its callers; the server
 *             loads callers, then looks at the clients' places
 *   Q5 -> Q6  cancel() stores the number, then counts cancels; who is asked loads cancels first
 *   Q7 <> Q8  a server comes or leaves, then wakes who sleeps on servings; who waits for one looks
 *             at servings, then for servers, and sleeps on the value it saw
 *
 * Invariants (tarn__service_check(), tarn__bundle_check(); a peer may break them):
 *   I1  the sizes are possible, and the object has room for them
 *   I2  an owner is 0 or names a member slot; *_places is a number of places
 *   I3  the rings keep those of ring.h
 *
 * After a crash:
 *   either    owner of the place names the dead; the next one that comes takes the place.
 *   server    its clients find that out by the beacon, take what it had answered, and fail what is
 *             left. What it had not taken lies in the rings; its successor drops it.
 *   client    what it asked lies in the rings; its server drops it, or is told by the ring when it
 *             answers. Killed half way through coming it has rings that nobody looks at.
 */
#ifndef TARN_FLOW_CALL_H
#define TARN_FLOW_CALL_H

#include <linux/futex.h>

#include <tarn/call.h>

#include "flow/ring.h"
#include "region/region.h"

#define SERVICE_MAGIC   0x76726553u /* "Serv" */
#define BUNDLE_MAGIC    0x646e7542u /* "Bund" */
#define SERVICE_VERSION 2u

enum {
	BUNDLE_PAIRS = 4,
	PART_TRIES = 1000, /* records in a row that are dropped: a peer could go on for ever */
	KIND_REQUEST = 4,  /* besides enum tarn_response_kind */
};

static_assert(RING_FRAME == 24, "layout");

/* It begins as a side of rings does. */
struct party_shm {
	union {
		struct ring_side_shm side;
		struct {
			uint8_t as_side[16];
			_Atomic uint32_t came;    /* by count of the service's comings; not 0 */
			_Atomic uint32_t callers; /* of a server: changes when a client has come */
			_Atomic uint64_t
				connected; /* of a client: with which servers it has rings */
			_Atomic uint32_t pid;
			_Atomic uint32_t uid;
			_Atomic uint32_t gid;
			/* waits and deaths: of the side */
		};
	};
};

struct service_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t servers; /* places */
	uint32_t clients;
	uint32_t request_capacity; /* bytes */
	uint32_t response_capacity;
	uint32_t check; /* FNV-1a of the six words before it */
	uint8_t pad[36];
	_Atomic uint32_t comings;       /* of anybody */
	_Atomic uint32_t servings;      /* servers that came or left; clients sleep on it */
	_Atomic uint32_t server_places; /* so many, from 0 on, are or were taken */
	_Atomic uint32_t client_places;
	uint8_t pad2[48];
	struct party_shm places[]; /* servers, then clients */
};

struct caller_shm {
	union {
		struct ring_side_shm side;
		struct {
			uint8_t as_side[16];
			_Atomic uint32_t cancels; /* how often; 0: never */
		};
	};
};

struct pair_shm {
	struct caller_shm client; /* as producer of requests */
	struct ring_side_shm server;
	struct ring_pos_shm request_tail;
	struct ring_pos_shm request_head;
	struct ring_pos_shm response_tail;
	struct ring_pos_shm response_head;
	/* Of the calls with that remainder, the last one that was cancelled. One is begun only when
	 * the one before of the same remainder is over. */
	_Atomic uint64_t cancelled[TARN_CLIENT_CALLS_MAX];
	unsigned char records[];
};

struct bundle_shm {
	uint32_t magic;
	uint32_t version;
	uint32_t request_capacity; /* bytes */
	uint32_t response_capacity;
	uint32_t check; /* FNV-1a of the four words before it */
	uint8_t pad[44];
	unsigned char pairs[];
};

struct frame_shm {
	_Atomic uint64_t tag;
	_Atomic uint32_t from;
	_Atomic uint32_t to;
	_Atomic uint64_t value;
};

static_assert(offsetof(struct party_shm, came) == 16, "layout");
static_assert(offsetof(struct party_shm, callers) == 20, "layout");
static_assert(offsetof(struct party_shm, connected) == 24, "layout");
static_assert(offsetof(struct party_shm, pid) == 32, "layout");
static_assert(offsetof(struct party_shm, uid) == 36, "layout");
static_assert(offsetof(struct party_shm, gid) == 40, "layout");
static_assert(sizeof(struct party_shm) == TARN__CACHE_LINE, "layout");
static_assert(offsetof(struct service_shm, version) == 4, "layout");
static_assert(offsetof(struct service_shm, servers) == 8, "layout");
static_assert(offsetof(struct service_shm, clients) == 12, "layout");
static_assert(offsetof(struct service_shm, request_capacity) == 16, "layout");
static_assert(offsetof(struct service_shm, response_capacity) == 20, "layout");
static_assert(offsetof(struct service_shm, check) == 24, "layout");
static_assert(offsetof(struct service_shm, comings) == 64, "layout");
static_assert(offsetof(struct service_shm, servings) == 68, "layout");
static_assert(offsetof(struct service_shm, server_places) == 72, "layout");
static_assert(offsetof(struct service_shm, client_places) == 76, "layout");
static_assert(offsetof(struct service_shm, places) == 128, "layout");
static_assert(offsetof(struct caller_shm, cancels) == 16, "layout");
static_assert(sizeof(struct caller_shm) == TARN__CACHE_LINE, "layout");
static_assert(offsetof(struct pair_shm, server) == 64, "layout");
static_assert(offsetof(struct pair_shm, request_tail) == 128, "layout");
static_assert(offsetof(struct pair_shm, request_head) == 192, "layout");
static_assert(offsetof(struct pair_shm, response_tail) == 256, "layout");
static_assert(offsetof(struct pair_shm, response_head) == 320, "layout");
static_assert(offsetof(struct pair_shm, cancelled) == 384, "layout");
static_assert(offsetof(struct pair_shm, records) == 2432, "layout");
static_assert(offsetof(struct bundle_shm, version) == 4, "layout");
static_assert(offsetof(struct bundle_shm, request_capacity) == 8, "layout");
static_assert(offsetof(struct bundle_shm, response_capacity) == 12, "layout");
static_assert(offsetof(struct bundle_shm, check) == 16, "layout");
static_assert(offsetof(struct bundle_shm, pairs) == 64, "layout");
static_assert(offsetof(struct frame_shm, from) == 8, "layout");
static_assert(offsetof(struct frame_shm, to) == 12, "layout");
static_assert(offsetof(struct frame_shm, value) == 16, "layout");
static_assert(sizeof(struct frame_shm) == RING_FRAME, "layout");
static_assert(TARN_SERVICE_SERVERS_MAX <= 64, "bits of connected");

/* A frame as it was loaded, or is to be stored. */
struct frame {
	uint64_t tag;
	uint32_t from;
	uint32_t to;
	uint64_t value;
};

static_assert(sizeof(struct frame) == RING_FRAME, "layout");

static inline struct frame frame_at(const void *data)
{
	const struct frame_shm *shm = data;

	/* relaxed, all: published with the record */
	return (struct frame){ .tag = atomic_load_explicit(&shm->tag, memory_order_relaxed),
			       .from = atomic_load_explicit(&shm->from, memory_order_relaxed),
			       .to = atomic_load_explicit(&shm->to, memory_order_relaxed),
			       .value = atomic_load_explicit(&shm->value, memory_order_relaxed) };
}

static inline uint64_t tag_of(uint64_t number, uint32_t kind)
{
	return number << 8 | kind;
}

static inline void write_frame(unsigned char *to, uint64_t tag, uint64_t who, uint64_t value)
{
	memcpy(to, &tag, sizeof(tag));
	memcpy(to + 8, &who, sizeof(who));
	memcpy(to + 16, &value, sizeof(value));
}

static inline uint32_t kind_of(const struct frame *frame)
{
	return (uint32_t)(frame->tag & 0xff);
}

static inline uint64_t number_of(const struct frame *frame)
{
	return frame->tag >> 8;
}

/* from and to, as they lie side by side. */
static inline uint64_t from_to(uint32_t from, uint32_t to)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (uint64_t)to << 32 | from;
#else
	return (uint64_t)from << 32 | to;
#endif
}

/* What servers and clients have in common. Geometry was checked, and is not read again. */
struct party {
	struct tarn_region *region;
	struct tarn__object object;
	struct tarn__forkable forkable;
	struct service_shm *shm;
	struct party_shm *me;
	uint32_t place; /* UINT32_MAX: none yet */
	uint32_t came;
	uint32_t id; /* this member's */
	uint32_t clients;
	uint32_t request_capacity; /* bytes */
	uint32_t response_capacity;
	uint32_t request_max; /* bytes of a payload */
	uint32_t response_max;
	bool server;
	bool stale; /* inherited over fork() */
	int64_t spin_ns;
	char name[TARN_SERVICE_NAME_MAX + 1];
};

/* Who is at a place that this handle goes by. */
struct peer {
	struct party_shm *place;
	uint32_t id;
	uint32_t came;  /* 0: nobody */
	uint32_t looks; /* for the rate of liveness probes */
	/* what its member's slot says, and the beacon */
	const _Atomic uint32_t *slot_state, *beacon;
};

/* Is who @peer says still there, as far as can be seen from here? */
static inline bool seems_there(const struct peer *peer)
{
	const struct party_shm *place = peer->place;

	/* relaxed, all: hints; what goes to who is not there is dropped */
	return atomic_load_explicit(&place->came, memory_order_relaxed) == peer->came &&
	       atomic_load_explicit(&place->side.owner, memory_order_relaxed) == peer->id &&
	       atomic_load_explicit(&place->side.state, memory_order_relaxed) == SIDE_ACTIVE &&
	       atomic_load_explicit(peer->slot_state, memory_order_relaxed) ==
		       (peer->id | TARN__ID_FLAG) &&
	       (atomic_load_explicit(peer->beacon, memory_order_relaxed) & FUTEX_OWNER_DIED) == 0;
}

/* Both rings of a pair, as one of its ends has them. */
struct wires {
	struct pair_shm *pair; /* NULL: none */
	struct tarn_ring requests;
	struct tarn_ring responses;
	struct tarn__object object; /* the bundle */
};

/* The word of the record that this side takes next. */
static inline const _Atomic uint32_t *next_word(const struct tarn_ring *ring)
{
	return &record_at(ring, ring->pos)->word;
}

/* Does @word begin a record? Where it does not yet, have the next line come, too, in which most
 * records end: when it is seen the two would come one after the other. */
static inline bool begins_record(const _Atomic uint32_t *word)
{
	/* relaxed: whoever takes it loads it again, with acquire */
	if (atomic_load_explicit(word, memory_order_relaxed) != 0)
		return true;
	__builtin_prefetch((const char *)word + TARN__CACHE_LINE);
	return false;
}

static inline bool has_record(const struct tarn_ring *ring)
{
	return begins_record(next_word(ring));
}

/* The record that was peeked. */
static inline void release_one(struct tarn_ring *ring)
{
	if (tarn_ring_release(ring, 1) < 0)
		return; /* it was not, since damage had its positions read anew */
}

static inline struct party_shm *server_place(const struct party *party, uint32_t at)
{
	return &party->shm->places[at];
}

static inline struct party_shm *client_place(const struct party *party, uint32_t at)
{
	return &party->shm->places[TARN_SERVICE_SERVERS_MAX + at];
}

/* --- call.c -------------------------------------------------------------------------------- */

/* Open service @name, and take a place: a handle of @handle bytes that begins with struct party. */
int tarn__party_open(struct tarn_region *region, const char *name, size_t handle, bool server,
		     const struct tarn_call_opts *opts, struct party **ret_party);
/* Find service @name, and take no place: what tarn__wires_open() needs. tarn__party_unlook() it. */
int tarn__party_look(struct tarn_region *region, const char *name, struct party *ret_party);
void tarn__party_unlook(struct party *party);
/* Give the place back, and the handle up. */
void tarn__party_close(struct party *party);
/* A server has come, or left: wake who waits for that. */
void tarn__party_say(struct party *party);
/* Is who @peer says still there? @probe: ask the kernel even if nothing hints at a death. */
bool tarn__peer_there(const struct party *party, struct peer *peer, bool probe);
/* Who sits at @place: false, nobody who has come. */
bool tarn__peer_at(const struct party *party, struct party_shm *place, struct peer *ret_peer);
/* What it says of itself. 0; -EPIPE: it is there no more. */
int tarn__peer_who(const struct party *party, struct peer *peer, struct tarn_call_peer *ret_who);
/* The rings between these two, as their server has them, or their client, which may @make them.
 * 0, -ENOENT, and the errors of opening. */
int tarn__wires_open(struct party *party, uint32_t server, uint32_t client, bool make,
		     struct wires *ret_wires);
/* The side that is this one's alone is taken, and its positions. 0, -EUCLEAN. */
int tarn__wires_take(struct party *party, struct wires *wires);
void tarn__wires_close(struct party *party, struct wires *wires);

/* Spin while that lately paid off: true as soon as @ready. */
typedef bool tarn__party_ready_fn(void *arg);
bool tarn__party_spin(struct party *party, tarn__party_ready_fn *ready, void *arg,
		      int64_t deadline);
/* Sleep on this party's word while nothing is @ready, which is asked once more; @peer: whose death
 * is to wake us, 0 nobody's. 0: look; -ETIMEDOUT, -EIO. */
int tarn__party_sleep(struct party *party, tarn__party_ready_fn *ready, void *arg, uint32_t peer,
		      int64_t deadline);

/* --- call_client.c, call_take.c ------------------------------------------------------------ */

/* Would a take be other than -EAGAIN and -ENOENT? */
bool tarn__client_there(struct tarn_client *client, bool thorough);
struct tarn__futex;
/* What it sleeps on, its own word having @value: that word, and the beacons of all servers that owe
 * it answers, which @beacons marks; @room words at most. How long to sleep; 0: until one of these
 * changes. */
int64_t tarn__client_words(struct tarn_client *client, uint32_t value, struct tarn__futex *words,
			   bool *beacons, unsigned room, unsigned *ret_count);

/* --- call_service.c ------------------------------------------------------------------------ */

bool tarn__service_there(struct tarn_service *service);

/* --- call_check.c -------------------------------------------------------------------------- */

uint32_t tarn__service_header_check(const struct service_shm *shm);
uint32_t tarn__bundle_header_check(const struct bundle_shm *shm);
/* The field of the header that breaks I1, or NULL. @size: of the object. */
const char *tarn__service_fault(const struct service_shm *shm, uint64_t size);
const char *tarn__bundle_fault(const struct bundle_shm *shm, uint64_t size);
/* Bytes of both. */
uint64_t tarn__service_size(uint32_t clients);
uint64_t tarn__pair_size(uint64_t request_capacity, uint64_t response_capacity);
int tarn__service_check(struct tarn_region *region, const struct tarn__object *object,
			const char *where, tarn_report_fn *fn, void *arg);
int tarn__bundle_check(const struct tarn__object *object, const char *where, tarn_report_fn *fn,
		       void *arg);
/* The parts of both rings of @pair. */
void tarn__pair_parts(struct pair_shm *pair, uint32_t request_capacity, uint32_t response_capacity,
		      struct ring_parts *ret_requests, struct ring_parts *ret_responses);

#endif /* TARN_FLOW_CALL_H */
