/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - make a ring, take and give back its roles, tell what the other side is. The bytes,
 * their owners and the ordering are drawn in ring.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdlib.h>

#include "flow/ring.h"
#include "region/trace.h"

#define CAPACITY_DEFAULT (UINT64_C(4) << 20) /* more than an L2, less than an L3 */
#define CAPACITY_MIN     UINT64_C(256)
#define CAPACITY_MAX     (UINT64_C(1) << 32)
#define REST_MAX_NS      INT64_C(50000)

enum { TRIES = 100 }; /* lost to others in a row; a hostile peer could go on for ever */

void tarn__copy_pieces(void *to, const void *from, size_t size)
{
	for (size_t done = 0, piece; done < size; done += piece) {
		piece = size - done < COPY_PIECE ? size - done : COPY_PIECE;
		memcpy((char *)to + done, (const char *)from + done, piece);
	}
}

uint32_t tarn__ring_record_max(uint64_t capacity)
{
	/* Half of the ring less a header, and what a large record is padded with: fits behind any
	 * position, whatever must be skipped. */
	uint64_t half = capacity / 2;
	uint64_t max = half - (half <= LARGE ? RING_UNIT : TARN__CACHE_LINE);

	return max < RECORD_MAX ? (uint32_t)max : RECORD_MAX;
}

static int check_opts(const struct tarn_ring_opts *opts, uint64_t *ret_capacity)
{
	uint64_t capacity = opts->capacity != 0 ? opts->capacity : CAPACITY_DEFAULT;

	if (!tarn__is_pow2(capacity) || capacity < CAPACITY_MIN || capacity > CAPACITY_MAX)
		return tarn__diag(opts->diag, -EINVAL,
				  "capacity %" PRIu64 ": a power of two from %" PRIu64
				  " to %" PRIu64 " is needed",
				  capacity, CAPACITY_MIN, CAPACITY_MAX);
	if (opts->record_size > tarn__ring_record_max(capacity)) {
		tarn__diag(opts->diag, -EINVAL,
			   "record_size %" PRIu32 ": a ring of %" PRIu64
			   " bytes takes records of up to %" PRIu32,
			   opts->record_size, capacity, tarn__ring_record_max(capacity));
		tarn__diag_hint(opts->diag, "ask for a larger capacity");
		return -EINVAL;
	}
	if (opts->flags == (TARN_RING_NO_SPIN | TARN_RING_STREAM))
		return tarn__diag(opts->diag, -EINVAL,
				  "flags 0x%" PRIx32
				  ": who is not to spin cannot stream: its waits "
				  "would spin through each rest",
				  opts->flags);
	if ((opts->flags & ~(uint32_t)(TARN_RING_NO_SPIN | TARN_RING_STREAM)) != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "flags 0x%" PRIx32
				  ": TARN_RING_NO_SPIN (1) and TARN_RING_STREAM (2) are possible",
				  opts->flags);
	if (opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL, "reserved options are not zero");
	*ret_capacity = capacity;
	return 0;
}

struct new_ring {
	uint64_t capacity;
	uint32_t record_size;
};

static void init_ring(unsigned char *base, uint64_t size, void *arg)
{
	const struct new_ring *want = arg;
	struct ring_shm *shm = (struct ring_shm *)(void *)base;

	(void)size;
	memset(shm, 0, sizeof(*shm) + RING_UNIT); /* header, and the word of the first record */
	shm->magic = RING_MAGIC;
	shm->version = RING_VERSION;
	shm->capacity = (uint32_t)(want->capacity / RING_UNIT);
	shm->record_size = want->record_size;
	shm->record_max = tarn__ring_record_max(want->capacity);
	shm->check = tarn__ring_header_check(shm);
}

static int find_or_make(struct tarn_region *region, const char *name,
			const struct tarn_ring_opts *opts, struct tarn__object *ret_object)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct new_ring ring = { 0 };
	int r = -ENOENT;

	if (opts != NULL) {
		r = check_opts(opts, &ring.capacity);
		if (r < 0)
			return r;
		ring.record_size = opts->record_size;
	}

	const struct tarn__object_want want = {
		.kind = TARN_OBJECT_RING,
		.size = sizeof(struct ring_shm) + ring.capacity,
		.init = init_ring,
		.arg = &ring,
	};

	return tarn__object_find_or_make(region, name, &want, opts != NULL, ret_object, diag);
}

static int check_geometry(const struct ring_shm *shm, const struct tarn__object *object,
			  const char *name, const struct tarn_ring_opts *opts)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	const char *fault = tarn__ring_fault(shm, object->size);

	if (fault != NULL && strcmp(fault, "version") == 0)
		return tarn__diag(diag, -EPROTO, "ring %s: version is %" PRIu32 ", expected %u",
				  name, shm->version, RING_VERSION);
	if (fault != NULL)
		return tarn__diag(diag, -EUCLEAN, "ring %s: its header is damaged (%s)", name,
				  fault);
	if (opts == NULL)
		return 0;

	uint64_t capacity = (uint64_t)shm->capacity * RING_UNIT;

	if ((opts->capacity != 0 && opts->capacity != capacity) ||
	    (opts->record_size != 0 && opts->record_size != shm->record_size))
		return tarn__diag(diag, -EEXIST,
				  "ring %s has capacity %" PRIu64 " and record_size %" PRIu32
				  "; asked were %" PRIu64 " and %" PRIu32,
				  name, capacity, shm->record_size, opts->capacity,
				  opts->record_size);
	return 0;
}

/* --- roles --------------------------------------------------------------------------------- */

static void set_state(struct tarn_ring *ring, uint32_t state)
{
	/* W3 -> R3 in tarn__ring_peer() */
	atomic_store_explicit(&ring->mine->state, state, memory_order_seq_cst);
	tarn__ring_wake(ring->theirs);
}

/* Make this handle's member the owner of its end. */
static int claim(struct tarn_ring *ring)
{
	for (int i = 0; i < TRIES; i++) {
		/* relaxed: decided by the exchange */
		uint32_t owner = atomic_load_explicit(&ring->mine->owner, memory_order_relaxed);

		if (owner != 0 && tarn__member_alive(ring->region, owner))
			return -EBUSY;
		/* acquire: what the dead owner did is visible, since the kernel said it died */
		if (!atomic_compare_exchange_strong_explicit(&ring->mine->owner, &owner,
							     ring->region->id, memory_order_acq_rel,
							     memory_order_relaxed))
			continue;
		if (owner != 0)
			tarn__count_one(&ring->mine->deaths);
		set_state(ring, SIDE_ACTIVE);
		return 0;
	}
	return -EBUSY;
}

/* Step over what the last producer published and did not count (I4). */
static int find_tail(struct tarn_ring *ring)
{
	/* acquire: what the last producer wrote is visible, since the kernel said it died */
	uint32_t tail = atomic_load_explicit(&ring->my_pos->pos, memory_order_acquire);
	/* R2 <- W2 in advance() */
	uint32_t head = atomic_load_explicit(&ring->their_pos->pos, memory_order_acquire);
	uint32_t start = tail;

	/* What the dead producer published and did not count may have been consumed: head may be
	 * ahead of tail until the walk is over. Nobody else writes there, so the chain is whole. */
	while (tail - start <= ring->capacity) {
		struct record_shm *record = record_at(ring, tail);
		/* R1 <- W1 in publish(), as the consumer would */
		uint32_t word = atomic_load_explicit(&record->word, memory_order_acquire);
		uint32_t units = units_at(tail, word);

		if (word == 0)
			break;
		if (atomic_load_explicit(&record->mark, memory_order_relaxed) != tail ||
		    (tail & ring->mask) + units > ring->capacity)
			return -EUCLEAN; /* I3 */
		tail += units;
	}
	if (tail - head >= ring->capacity)
		return -EUCLEAN; /* I2 */
	ring->pos = tail;
	ring->head = head;
	ring->zero_to = tail + 1;
	ring->zero_at = tail;
	ring->run = 0;
	ring->reserved = false;
	/* release: as after a publication of our own */
	atomic_store_explicit(&ring->my_pos->pos, tail, memory_order_release);
	return 0;
}

int tarn__ring_go_on(struct tarn_ring *ring)
{
	int r = 0;

	if (ring->role == TARN_RING_PRODUCER) {
		r = find_tail(ring);
	} else {
		/* acquire: the last consumer's, as in find_tail() */
		ring->pos = atomic_load_explicit(&ring->my_pos->pos, memory_order_acquire);
		ring->peek_count = 0;
	}
	make_plain(ring, SPECIAL_REST);
	ring->rested_at = ring->pos;
	return r;
}

static void say_part(const struct tarn_ring *ring, uint32_t kind)
{
	bool producer = ring->role == TARN_RING_PRODUCER;

	tarn__trace(ring->region, kind, &ring->object,
		    producer ? TARN_TRACE_PRODUCER : TARN_TRACE_CONSUMER, 0);
}

static int take_role(struct tarn_ring *ring)
{
	int r = claim(ring);

	if (r < 0)
		return r;
	r = tarn__ring_go_on(ring);
	if (r == 0)
		say_part(ring, TARN_TRACE_COME);
	if (r < 0) /* release: nothing was done in the role */
		atomic_store_explicit(&ring->mine->owner, 0, memory_order_release);
	return r;
}

static void ring_forked(struct tarn__forkable *self)
{
	struct tarn_ring *ring =
		(struct tarn_ring *)(void *)((char *)self - offsetof(struct tarn_ring, forkable));

	make_special(ring, SPECIAL_STALE);
}

void tarn__ring_set_fence(struct tarn_ring *ring)
{
	if (tarn__plat_membarrier_register() < 0)
		make_special(ring, SPECIAL_FENCE);
}

int tarn__ring_reclaim(struct tarn_ring *ring)
{
	int r = tarn__region_enter(ring->region);

	if (r < 0)
		return r;
	/* The parent may have removed the ring, and its memory be another's by now.
	 * seq_cst: read after the hold that joining anew has set, as D5 in directory.c */
	uint32_t state = atomic_load_explicit(&ring->region->directory[ring->object.index].state,
					      memory_order_seq_cst);

	tarn__ring_set_fence(ring);
	make_plain(ring, SPECIAL_STALE);
	r = (state & ~3u) == (ring->object.state & ~3u) ? take_role(ring) : -EUCLEAN;
	if (r < 0)
		make_special(ring, SPECIAL_STALE);
	tarn__region_leave(ring->region);
	return r;
}

/*
 * Is it worth asking the kernel whether @owner lives, @looks being how often that was asked? A poll
 * that finds nothing should cost no system call: what the member's slot and beacon say is in the
 * cache, and the kernel is asked now and then in case they are wrong, the more seldom the more they
 * can be relied on.
 */
bool tarn__ring_worth_probing(struct tarn_region *region, uint32_t owner, uint32_t *looks)
{
	enum { ARMED_EVERY = 1 << 16, UNARMED_EVERY = 1 << 12, FIRED_EVERY = 1 << 6 };
	uint32_t slot = tarn__id_slot(owner);
	uint32_t every = UNARMED_EVERY;

	if (slot >= region->member_max)
		return true;
	/* relaxed: hints */
	if (atomic_load_explicit(&tarn__member_at(region, slot)->state, memory_order_relaxed) !=
	    (owner | TARN__ID_FLAG))
		return true;

	uint32_t beacon =
		atomic_load_explicit(tarn__member_beacon(region, slot), memory_order_relaxed);

	if ((beacon & FUTEX_OWNER_DIED) != 0)
		every = FIRED_EVERY;
	else if ((beacon & FUTEX_TID_MASK) != 0)
		every = ARMED_EVERY;
	return (*looks)++ % every == 0;
}

static enum tarn_ring_peer peer_of(struct tarn_ring *ring, struct ring_side_shm *side, bool probe)
{
	/* R3 <- W3 in set_state() */
	uint32_t state = atomic_load_explicit(&side->state, memory_order_acquire);
	/* acquire: of the same edge, so that an owner is not older than its state */
	uint32_t owner = atomic_load_explicit(&side->owner, memory_order_acquire);

	if (state == SIDE_FINISHED)
		return TARN_PEER_FINISHED;
	if (owner == 0)
		return state == SIDE_NONE ? TARN_PEER_NONE : TARN_PEER_LEFT;
	if (!probe && !tarn__ring_worth_probing(ring->region, owner, &ring->empty_count))
		return TARN_PEER_ALIVE;
	return tarn__member_alive(ring->region, owner) ? TARN_PEER_ALIVE : TARN_PEER_DEAD;
}

enum tarn_ring_peer tarn__ring_peer(struct tarn_ring *ring, bool probe)
{
	return peer_of(ring, ring->theirs, probe);
}

int tarn__ring_idle(struct tarn_ring *ring, bool probe)
{
	if (TARN__UNLIKELY(tarn_segment_damaged(ring->region->seg)))
		return -EIO;
	switch (tarn__ring_peer(ring, probe)) {
	case TARN_PEER_DEAD:
		return -EPIPE;
	case TARN_PEER_FINISHED:
		return ring->role == TARN_RING_CONSUMER ? -ENODATA : -EAGAIN;
	default:
		return -EAGAIN;
	}
}

/* --- open and close ------------------------------------------------------------------------ */

void tarn__ring_of(struct tarn_ring *ring, struct tarn_region *region,
		   const struct ring_parts *parts, enum tarn_ring_role role)
{
	bool producer = role != TARN_RING_CONSUMER;

	memset(ring, 0, sizeof(*ring));
	ring->region = region;
	ring->role = role;
	ring->records = parts->records;
	ring->my_pos = producer ? parts->tail : parts->head;
	ring->their_pos = producer ? parts->head : parts->tail;
	ring->mine = producer ? parts->producer : parts->consumer;
	ring->theirs = producer ? parts->consumer : parts->producer;
	ring->capacity = parts->capacity;
	ring->mask = parts->capacity - 1;
	ring->record_size = parts->record_size;
	ring->record_max = parts->record_max;
	ring->size_min = ring->record_size;
	ring->size_span = ring->record_size != 0 ? 0 : ring->record_max;
	ring->like_units = UINT32_MAX;
	ring->like_last = -1;
	ring->spin_ns = 20000;
}

static struct tarn_ring *new_handle(struct tarn_region *region, enum tarn_ring_role role,
				    const struct tarn__object *object)
{
	struct tarn_ring *ring = malloc(sizeof(*ring));

	if (ring == NULL)
		return NULL;

	struct ring_shm *shm = (struct ring_shm *)(void *)object->base;
	const struct ring_parts parts = { .records = shm->records,
					  .capacity = shm->capacity,
					  .record_size = shm->record_size,
					  .record_max = shm->record_max,
					  .tail = &shm->tail,
					  .head = &shm->head,
					  .producer = &shm->producer,
					  .consumer = &shm->consumer };

	tarn__ring_of(ring, region, &parts, role);
	ring->object = *object;
	ring->shm = shm;
	ring->forkable.forked = ring_forked;
	return ring;
}

/* How this handle waits. */
static void set_manners(struct tarn_ring *ring, uint32_t flags)
{
	/* An eighth of the ring, at 16 bytes a nanosecond. */
	int64_t rest = (int64_t)ring->capacity / 8 * RING_UNIT / 16;

	if ((flags & TARN_RING_NO_SPIN) != 0)
		ring->spin_ns = 0;
	if ((flags & TARN_RING_STREAM) != 0)
		ring->rest_ns = rest < REST_MAX_NS ? rest : REST_MAX_NS;
}

/* Geometry is read twice, by the check and here; the second copy must still keep I1. */
static bool handle_sound(const struct tarn_ring *ring)
{
	return tarn__is_pow2(ring->capacity) && ring->capacity >= CAPACITY_MIN / RING_UNIT &&
	       (uint64_t)ring->capacity * RING_UNIT + sizeof(struct ring_shm) <=
		       ring->object.size &&
	       ring->record_max == tarn__ring_record_max((uint64_t)ring->capacity * RING_UNIT) &&
	       ring->record_size <= ring->record_max;
}

static int open_entered(struct tarn_region *region, const char *name, enum tarn_ring_role role,
			const struct tarn_ring_opts *opts, struct tarn_ring **ret_ring)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;
	struct tarn_ring *ring = NULL;
	struct tarn__object object;
	int r = find_or_make(region, name, opts, &object);

	if (r < 0)
		return r;
	if (object.size < sizeof(struct ring_shm))
		r = tarn__diag(diag, -EUCLEAN, "ring %s: %" PRIu64 " bytes are no ring", name,
			       object.size);
	if (r == 0)
		r = check_geometry((struct ring_shm *)(void *)object.base, &object, name, opts);
	if (r == 0) {
		ring = new_handle(region, role, &object);
		if (ring != NULL && opts != NULL)
			set_manners(ring, opts->flags);
		r = ring == NULL ? -ENOMEM
		    : handle_sound(ring)
			    ? 0
			    : tarn__diag(diag, -EUCLEAN,
					 "ring %s: the numbers in its header contradict each other",
					 name);
	}
	if (r == 0 && role != TARN_RING_OBSERVER) {
		tarn__ring_set_fence(ring);
		r = take_role(ring);
		if (r == -EBUSY)
			tarn__diag(diag, r, "ring %s already has a %s that is alive", name,
				   role == TARN_RING_PRODUCER ? "producer" : "consumer");
		if (r == -EUCLEAN)
			tarn__diag(diag, r, "ring %s: its positions contradict each other", name);
	}
	if (r < 0) {
		free(ring);
		tarn__object_drop(region, &object);
		return r;
	}
	tarn__fork_add(region, &ring->forkable);
	*ret_ring = ring;
	return 0;
}

static int open_ring(struct tarn_region *region, const char *name, enum tarn_ring_role role,
		     const struct tarn_ring_opts *opts, struct tarn_ring **ret_ring)
{
	struct tarn_diag *diag = opts != NULL ? opts->diag : NULL;

	if ((unsigned)role > TARN_RING_CONSUMER)
		return tarn__diag(diag, -EINVAL, "role %u is none", (unsigned)role);

	int r = role == TARN_RING_OBSERVER ? tarn__region_enter(region)
					   : tarn__region_enter_member(region);

	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EPERM ? "the region was opened to look on"
					      : "the region cannot be used");
	r = open_entered(region, name, role, opts, ret_ring);
	tarn__region_leave(region);
	return r;
}

int tarn_ring_open(struct tarn_region *region, const char *name, enum tarn_ring_role role,
		   const struct tarn_ring_opts *opts, struct tarn_ring **ret_ring)
{
	struct tarn_diag words = { .what = "" }; /* not finding it, for one, may yet end well */
	struct tarn_ring_opts with;

	if (opts == NULL)
		return open_ring(region, name, role, NULL, ret_ring);
	with = *opts;
	with.diag = &words;
	return tarn__diag_pass(opts->diag, &words, open_ring(region, name, role, &with, ret_ring));
}

static void give_role_back(struct tarn_ring *ring)
{
	uint32_t mine = ring->region->id;
	/* relaxed: only the owner of the role stores it */
	uint32_t state = atomic_load_explicit(&ring->mine->state, memory_order_relaxed);

	if (state != SIDE_FINISHED)
		set_state(ring, SIDE_LEFT);
	/* By exchange: what a hostile peer put there is not ours to clear.
	 * release: what this handle did is visible to whoever takes the role next */
	(void)atomic_compare_exchange_strong_explicit(&ring->mine->owner, &mine, 0,
						      memory_order_release, memory_order_relaxed);
	tarn__ring_wake(ring->theirs);
}

void tarn_ring_close(struct tarn_ring *ring)
{
	if (ring == NULL)
		return;

	struct tarn_region *region = ring->region;

	tarn__region_enter_to_leave(region);
	tarn__fork_remove(region, &ring->forkable);
	if (!is_stale(ring) && ring->role != TARN_RING_OBSERVER) {
		say_part(ring, TARN_TRACE_GO);
		give_role_back(ring);
	}
	tarn__object_drop(region, &ring->object);
	tarn__region_leave(region);
	free(ring);
}

int tarn_ring_finish(struct tarn_ring *ring)
{
	assert(ring->role == TARN_RING_PRODUCER);
	if (is_stale(ring)) {
		int r = tarn__ring_reclaim(ring);

		if (r < 0)
			return r;
	}
	tarn_ring_abort(ring);
	set_state(ring, SIDE_FINISHED);
	return 0;
}

int tarn_ring_stat(struct tarn_ring *ring, struct tarn_ring_stat *ret_stat)
{
	struct ring_shm *shm = ring->shm;
	struct tarn_ring_stat stat = { 0 };
	/* acquire: head first, so that the tail read after it is not behind it */
	uint32_t head = atomic_load_explicit(&shm->head.pos, memory_order_acquire);
	/* acquire: not for what it publishes, but to keep the order of the two loads */
	uint32_t used = atomic_load_explicit(&shm->tail.pos, memory_order_acquire) - head;

	/* what was published and not yet counted may have been consumed already */
	if (used > UINT32_MAX / 2)
		used = 0;
	stat.producer = peer_of(ring, &shm->producer, true);
	stat.consumer = peer_of(ring, &shm->consumer, true);
	stat.capacity = (uint64_t)ring->capacity * RING_UNIT;
	stat.used = (uint64_t)(used < ring->capacity ? used : ring->capacity) * RING_UNIT;
	stat.record_size = ring->record_size;
	stat.record_max = ring->record_max;
	/* relaxed: for the eye */
	stat.producer_waits = (atomic_load_explicit(&shm->producer.waiting, memory_order_relaxed) &
			       WAIT_ASLEEP) != 0;
	stat.consumer_waits = (atomic_load_explicit(&shm->consumer.waiting, memory_order_relaxed) &
			       WAIT_ASLEEP) != 0;
	*ret_stat = stat;
	return 0;
}
