/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * latest.c - the newest whole value. A primitive (sync/prim.h): its lock is the writers', its seats
 * are those of handles that hold a value, who waits for a change sleeps on its bell. Behind the
 * seats, at the next line:
 *
 *     0 +---------------------------------------------+
 *       | magic size type_size check                  |  set by the creator, then constant
 *    64 +---------------------------------------------+
 *       | number size                                 |  buffer 0
 *   128 +---------------------------------------------+
 *       | value: size bytes, padded to 64             |
 *       +---------------------------------------------+
 *       | buffer 1 ...                                |  two more than there are seats
 *       +---------------------------------------------+
 *       | description, type_size bytes                |  region/type.h; the creator's, constant
 *       +---------------------------------------------+
 *
 *     state       bits 0..5 the newest buffer, the rest its number modulo 2^26
 *     number      which value this is, counted from 1; 0 = none yet, or it is being written
 *     seat.value  bits 0..1 how: 0 nothing, 1 asks, 2 holds; the rest the buffer
 *
 * A writer takes a buffer that is neither the newest nor held: there is one, since all seats
 * together hold one less than that leaves. A reader asks, looks which is the newest, and changes
 * "asks" into "holds that one"; a writer that finds one asking, before it chooses, does the same
 * for it. So one of the two has done it before a buffer is chosen that the reader could mean.
 *
 * Ordering, besides that of prim.h:
 *   L1 -> L2  a value, its size, its number are stored before state; who loads state reads them.
 *             Who copies compares the two: a number that state does not say yet may never be said
 *   L3 <> L4  a reader asks, then loads state; a writer stores state, unlocks (a full barrier),
 *             and some pass later looks who asks, before it chooses. All seq_cst
 *   L5 -> L6  a reader has read, and lets go; a writer finds it not held, and writes there
 *   L7 -> L8  number is 0 before a byte is stored; who copies without a hold sees that afterwards
 *   L9 -> L10 another is the newest, before a buffer is chosen: who copies what is filled in place,
 *             by whatever stores, without a hold, sees that afterwards
 *
 * Invariants (tarn__latest_check() tests them):
 *   I1  the object has room for seats + 2 buffers of the size that its header says, and behind them
 *       for the description
 *   I2  state names a buffer; while state is not 0 that one's number is its own, and not 0
 *   I3  no number is larger than that of the newest; no size larger than the object's
 *   I4  a description is as region/type.h wants it, and its type has the object's size
 *
 * After a crash: a writer leaves a buffer whose number is 0, and state as it was; the next one
 * takes the lock, and there is nothing to mend. A reader leaves its seat, with the buffer that it
 * held, until somebody needs the seat.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bits.h"
#include "flow/latest.h"

enum {
	HOLDERS = 8,
	TRIES = 8,            /* to copy without a hold, in a row */
	TRIES_OUTSIDE = 1000, /* where no hold can be had */
};
#define NAP_NS INT64_C(1000000)

/* --- open ---------------------------------------------------------------------------------- */

static uint64_t stride_of(uint32_t size)
{
	return sizeof(struct buffer_shm) +
	       (((uint64_t)size + TARN__CACHE_LINE - 1) & ~(uint64_t)(TARN__CACHE_LINE - 1));
}

static uint64_t bytes_behind(uint32_t size, uint32_t seats, uint32_t type_size)
{
	return sizeof(struct latest_shm) + (uint64_t)(seats + 2) * stride_of(size) + type_size;
}

static uint32_t check_of(const struct latest_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct latest_shm, check), TARN__FNV32_BASIS);
}

/* What a new one is to be. */
struct fresh {
	const struct tarn_type *type; /* NULL: none */
	uint32_t size, type_size, seats;
};

static void init_latest(void *behind, uint64_t size, void *arg)
{
	const struct fresh *fresh = arg;
	struct latest_shm *shm = behind;
	unsigned char *at = (unsigned char *)behind + sizeof(*shm);

	(void)size; /* as bytes_behind() says */
	memset(shm, 0, sizeof(*shm));
	shm->magic = LATEST_MAGIC;
	shm->size = fresh->size;
	shm->type_size = fresh->type_size;
	shm->check = check_of(shm);
	for (uint32_t i = 0; i < fresh->seats + 2; i++, at += stride_of(fresh->size))
		memset(at, 0, sizeof(struct buffer_shm));
	if (fresh->type != NULL)
		tarn__type_write(fresh->type, at, fresh->type_size);
}

static int check_opts(const char *name, const struct tarn_latest_opts *opts)
{
	if (opts->size > TARN_LATEST_SIZE_MAX || opts->holders > TARN_LATEST_HOLDERS_MAX)
		return tarn__diag(opts->diag, -EINVAL,
				  "latest value %s: %" PRIu32 " bytes for %" PRIu32
				  " holders: 1 to %u and 1 to %u are possible",
				  name, opts->size, opts->holders, TARN_LATEST_SIZE_MAX,
				  TARN_LATEST_HOLDERS_MAX);
	if ((opts->flags & ~(uint32_t)TARN_LATEST_IN_PLACE) != 0 || opts->pad != 0 ||
	    opts->reserved[0] != 0 || opts->reserved[1] != 0)
		return tarn__diag(opts->diag, -EINVAL,
				  "latest value %s: flags 0x%" PRIx32
				  ": TARN_LATEST_IN_PLACE (1) is the only one, and reserved "
				  "options are zero",
				  name, opts->flags);
	if (opts->type != NULL && opts->size != 0 && opts->size != opts->type->size)
		return tarn__diag(opts->diag, -EINVAL,
				  "latest value %s: size is %" PRIu32
				  " bytes, and that of type %.47s is %" PRIu32,
				  name, opts->size, opts->type->name, opts->type->size);
	return 0;
}

int tarn__latest_geometry(struct tarn_latest *latest, const struct tarn_latest_opts *opts,
			  struct tarn_diag *diag)
{
	struct prim *prim = &latest->prim;
	uint64_t off = (uint64_t)((unsigned char *)prim->seats - (unsigned char *)prim->sec.shm) +
		       (uint64_t)prim->seat_count * SECTION_UNIT;
	const struct latest_shm *shm;

	off = (off + TARN__CACHE_LINE - 1) & ~(uint64_t)(TARN__CACHE_LINE - 1);
	shm = (const struct latest_shm *)(void *)((unsigned char *)prim->sec.shm + off);
	if (prim->seat_count == 0 || prim->seat_count > TARN_LATEST_HOLDERS_MAX ||
	    off + sizeof(*shm) > prim->sec.object.size)
		return tarn__diag(diag, -EUCLEAN, "latest value %s: its header is damaged (units)",
				  prim->sec.name);
	latest->size = shm->size;
	latest->type_size = shm->type_size;
	if (shm->magic != LATEST_MAGIC || shm->check != check_of(shm) || latest->size == 0 ||
	    latest->size > TARN_LATEST_SIZE_MAX || latest->type_size > TARN__TYPE_SIZE_MAX ||
	    off + bytes_behind(latest->size, prim->seat_count, latest->type_size) >
		    prim->sec.object.size)
		return tarn__diag(diag, -EUCLEAN, "latest value %s: its header is damaged (size)",
				  prim->sec.name);
	latest->stride = stride_of(latest->size);
	latest->count = prim->seat_count + 2;
	latest->buffers = (unsigned char *)prim->sec.shm + off + sizeof(*shm);
	if (opts != NULL && (opts->flags & ~prim->flags) != 0) /* whatever the holders */
		return tarn__diag(diag, -EEXIST,
				  "latest value %s is one that is copied; wanted was one that is "
				  "filled in place (TARN_LATEST_IN_PLACE)",
				  prim->sec.name);
	if (opts != NULL && opts->type == NULL && opts->size != 0 && opts->size != latest->size)
		return tarn__diag(diag, -EEXIST,
				  "latest value %s is for %" PRIu32 " bytes; asked were %" PRIu32,
				  prim->sec.name, latest->size, opts->size);
	return 0;
}

static int want_of(const char *name, const struct tarn_latest_opts *opts, struct fresh *fresh,
		   struct prim_want *want)
{
	int r = check_opts(name, opts);

	fresh->type = opts->type;
	fresh->size = opts->size;
	if (r == 0 && opts->type != NULL) {
		r = tarn__type_measure(opts->type, &fresh->type_size, opts->diag);
		fresh->size = opts->type->size;
	}
	if (r < 0)
		return r;
	want->make = fresh->size != 0;
	want->any = opts->holders == 0;
	want->seats = fresh->seats = opts->holders != 0 ? opts->holders : HOLDERS;
	want->flags = opts->flags;
	want->diag = opts->diag;
	want->behind = bytes_behind(fresh->size, fresh->seats, fresh->type_size);
	want->init_behind = init_latest;
	want->arg = fresh;
	return 0;
}

static void forget_hold(struct tarn_latest *latest);

int tarn_latest_open(struct tarn_region *region, const char *name,
		     const struct tarn_latest_opts *opts, struct tarn_latest **ret_latest)
{
	struct prim_want want = { .kind = TARN_OBJECT_LATEST,
				  .handle = sizeof(struct tarn_latest) };
	struct fresh fresh = { .type = NULL };
	struct tarn_latest *latest;
	struct prim *prim;
	int r = opts != NULL ? want_of(name, opts, &fresh, &want) : 0;

	if (r < 0)
		return r;
	r = tarn__prim_open(region, name, &want, &prim);
	if (r < 0)
		return r;
	latest = (struct tarn_latest *)prim;
	r = tarn__latest_geometry(latest, opts, want.diag);
	if (r == 0)
		r = tarn__latest_fit(latest, fresh.type, want.diag);
	if (r < 0) {
		tarn__prim_close(prim);
		return r;
	}
	*ret_latest = latest;
	return 0;
}

void tarn_latest_close(struct tarn_latest *latest)
{
	if (latest == NULL)
		return;
	forget_hold(latest);
	tarn__prim_close(&latest->prim);
}

/* --- write --------------------------------------------------------------------------------- */

static inline uint32_t newest_state(const struct tarn_latest *latest)
{
	/* L2 <- L1 in make_newest(), and L3 <> L4 */
	return atomic_load_explicit(&latest->prim.sec.shm->state, memory_order_seq_cst);
}

static inline uint32_t newest_index(const struct tarn_latest *latest)
{
	return newest_state(latest) & INDEX_MASK;
}

/* The buffers that are held, as bits. Who asks is given the newest. */
static uint64_t held_buffers(struct tarn_latest *latest, uint32_t newest)
{
	struct prim *prim = &latest->prim;
	uint64_t held = 0;

	for (uint32_t at = 0; at < prim->seat_count; at++) {
		_Atomic uint32_t *value = &prim->seats[at].value;
		/* L4 <> L3 in tarn_latest_hold(), and L6 <- L5 */
		uint32_t seen = atomic_load_explicit(value, memory_order_seq_cst);

		/* once: who asks may do it meanwhile, which comes to the same. seq_cst: as above */
		if (TARN__UNLIKELY((seen & SEAT_HOW) == SEAT_ASKS) &&
		    atomic_compare_exchange_strong_explicit(value, &seen, newest << 2 | SEAT_HOLDS,
							    memory_order_seq_cst,
							    memory_order_seq_cst))
			seen = newest << 2 | SEAT_HOLDS;
		if ((seen & SEAT_HOW) == SEAT_HOLDS && seen >> 2 < latest->count)
			held |= UINT64_C(1) << (seen >> 2);
	}
	return held;
}

/* A buffer for the next value; the lock is ours. 0, -EUCLEAN. */
static int choose(struct tarn_latest *latest, uint32_t *ret_index)
{
	uint32_t newest = newest_index(latest);
	uint64_t all = latest->count == 64 ? UINT64_MAX : (UINT64_C(1) << latest->count) - 1;
	uint64_t later = ~((UINT64_C(2) << newest) - 1), free;

	if (newest >= latest->count)
		return -EUCLEAN; /* I2 */
	free = all & ~held_buffers(latest, newest) & ~(UINT64_C(1) << newest);
	/* There is one: no seat holds two. The next one by turns: who copies has the more time. */
	free = (free & later) != 0 ? free & later : free;
	if (free == 0)
		return -EUCLEAN;
	*ret_index = (uint32_t)__builtin_ctzll(free);
	return 0;
}

/* Have the lock, and a buffer that nobody looks for a value in. */
static int begin(struct tarn_latest *latest, int64_t deadline, struct tarn_diag *diag)
{
	struct prim *prim = &latest->prim;
	enum prim_fast fast = tarn__prim_lock_fast(prim);
	int r = 0;

	if (TARN__UNLIKELY(fast != FAST_MINE)) {
		if (fast == FAST_BACK)
			unlock(prim->sec.shm, 0);
		r = tarn__prim_lock(prim, deadline, true, diag);
	}
	if (r == -EOWNERDEAD) { /* the last value is whole: there is nothing to mend */
		tarn__prim_answer(prim);
		r = 0;
	}
	if (r < 0)
		return r;
	r = choose(latest, &latest->loan);
	if (r < 0) {
		tarn__prim_unlock(prim);
		return tarn__diag(diag, r, "latest value %s: its words name a buffer that is none",
				  prim->sec.name);
	}
	/* L7 -> L8: by the release of what is stored next, or by the reader's hold */
	atomic_store_explicit(&buffer_at(latest, latest->loan)->number, 0, memory_order_relaxed);
	return 0;
}

/* The value in the buffer that begin() chose is whole. */
static void make_newest(struct tarn_latest *latest, uint32_t size)
{
	struct prim *prim = &latest->prim;
	struct buffer_shm *buffer = buffer_at(latest, latest->loan);
	uint32_t newest = newest_index(latest);
	/* relaxed: written under the lock. A hostile one makes numbers wrong, no more. */
	uint64_t number = newest < latest->count
				  ? atomic_load_explicit(&buffer_at(latest, newest)->number,
							 memory_order_relaxed)
				  : 0;

	if (TARN__UNLIKELY(latest->most != latest->size)) {
		tarn__latest_keep_rest(latest, buffer,
				       number != 0 ? buffer_at(latest, newest) : NULL);
		size = latest->size;
	}
	number++;
	/* release: size comes before number, and number before state: L1 -> L2, L9 -> L10 */
	atomic_store_explicit(&buffer->size, size, memory_order_release);
	atomic_store_explicit(&buffer->number, number, memory_order_release);
	atomic_store_explicit(&prim->sec.shm->state,
			      (uint32_t)(number << INDEX_BITS) | latest->loan,
			      memory_order_seq_cst);
	tarn__prim_unlock(prim);
	tarn__prim_ring(prim, INT32_MAX);
}

static int check_size(const struct tarn_latest *latest, size_t size, struct tarn_diag *diag)
{
	if (TARN__LIKELY(size <= latest->most && size >= latest->least))
		return 0;
	return tarn__diag(diag, -EMSGSIZE, "latest value %s takes %s%" PRIu32 " bytes, not %zu",
			  latest->prim.sec.name, latest->least == latest->most ? "" : "up to ",
			  latest->most, size);
}

int tarn_latest_write(struct tarn_latest *latest, const void *data, size_t size, int64_t deadline,
		      struct tarn_diag *diag)
{
	int r = check_size(latest, size, diag);

	if (r == 0)
		r = begin(latest, deadline, diag);
	if (r < 0)
		return r;
	tarn__store_bytes(buffer_at(latest, latest->loan)->value, data, size);
	make_newest(latest, (uint32_t)size);
	return 0;
}

int tarn_latest_write_if(struct tarn_latest *latest, const void *data, size_t size, uint64_t seen,
			 int64_t deadline, struct tarn_diag *diag)
{
	int r = check_size(latest, size, diag);

	if (r == 0)
		r = begin(latest, deadline, diag);
	if (r < 0)
		return r;
	if (tarn_latest_number(latest) != seen) {
		tarn__prim_unlock(&latest->prim);
		return tarn__diag(diag, -EAGAIN, "latest value %s: there is a newer one",
				  latest->prim.sec.name);
	}
	tarn__store_bytes(buffer_at(latest, latest->loan)->value, data, size);
	make_newest(latest, (uint32_t)size);
	return 0;
}

int tarn_latest_loan(struct tarn_latest *latest, int64_t deadline, void **ret_data,
		     struct tarn_diag *diag)
{
	int r;

	if ((latest->prim.flags & TARN_LATEST_IN_PLACE) == 0)
		return tarn__diag(diag, -EOPNOTSUPP,
				  "latest value %s was created without TARN_LATEST_IN_PLACE",
				  latest->prim.sec.name);
	r = begin(latest, deadline, diag);
	if (r == 0)
		*ret_data = buffer_at(latest, latest->loan)->value;
	return r;
}

int tarn_latest_publish(struct tarn_latest *latest, size_t size)
{
	int r = check_size(latest, size, NULL);

	if (!tarn__prim_mine(&latest->prim))
		return -EPERM;
	if (r == 0)
		make_newest(latest, (uint32_t)size);
	return r;
}

void tarn_latest_abort(struct tarn_latest *latest)
{
	if (tarn__prim_mine(&latest->prim))
		tarn__prim_unlock(&latest->prim);
}

/* --- hold ---------------------------------------------------------------------------------- */

/* This handle has a seat that is still its own: not that of the parent. */
static inline bool has_seat(const struct tarn_latest *latest)
{
	const struct prim *prim = &latest->prim;
	uint32_t id = id_of(&prim->sec); /* 0: in a child that is no member yet */

	/* relaxed: only this process puts its id there */
	return latest->seated && id != 0 &&
	       atomic_load_explicit(&prim->seats[latest->seat].id, memory_order_relaxed) == id;
}

static void forget_hold(struct tarn_latest *latest)
{
	tarn_latest_release(latest);
	if (has_seat(latest))
		(void)tarn__seat_give(&latest->prim, &latest->prim.seats[latest->seat]);
	latest->seated = false;
}

/* Every seat is taken: say by whom. */
static int say_full(struct tarn_latest *latest, struct tarn_diag *diag)
{
	struct prim *prim = &latest->prim;
	/* relaxed, both: for the eye */
	uint32_t id = atomic_load_explicit(&prim->seats[0].id, memory_order_relaxed);
	uint32_t tid = atomic_load_explicit(&prim->seats[0].tid, memory_order_relaxed);
	struct tarn_section_who who;

	tarn__section_who(&prim->sec, id, tid, &who);
	tarn__diag(diag, -EUSERS,
		   "latest value %s: all of its %" PRIu32
		   " places for holders are taken, one by process %" PRId32,
		   prim->sec.name, prim->seat_count, who.pid);
	tarn__diag_hint(diag, "create it with room for more (holders)");
	return -EUSERS;
}

static int take_seat(struct tarn_latest *latest, struct tarn_diag *diag)
{
	struct prim *prim = &latest->prim;
	int r = tarn__prim_ready(prim, diag), at;
	uint32_t peer;

	latest->seated = latest->holds = false;
	if (r < 0)
		return r;
	for (int tries = 0; tries < PRIM_TRIES; tries++) {
		at = tarn__seat_find(prim, true, &peer);
		if (at < 0)
			return say_full(latest, diag);
		if (!tarn__seat_take(prim, (uint32_t)at, SEAT_NONE))
			continue;
		latest->seat = (uint32_t)at;
		latest->seated = true;
		return 0;
	}
	return say_full(latest, diag);
}

/* Hold the newest value. Its buffer, or -EUCLEAN. */
static int hold_newest(struct tarn_latest *latest)
{
	_Atomic uint32_t *value = &latest->prim.seats[latest->seat].value;
	uint32_t asks = SEAT_ASKS, index;

	/* L3 <> L4 in held_buffers() */
	(void)atomic_exchange_explicit(value, SEAT_ASKS, memory_order_seq_cst);
	latest->holds = true;
	index = newest_index(latest);
	if (!atomic_compare_exchange_strong_explicit(value, &asks, index << 2 | SEAT_HOLDS,
						     memory_order_seq_cst, memory_order_seq_cst)) {
		if ((asks & SEAT_HOW) != SEAT_HOLDS)
			return -EUCLEAN;
		index = asks >> 2; /* a writer has done it */
	}
	return index < latest->count ? (int)index : -EUCLEAN;
}

/* Of a value of @size bytes those that this handle knows. Of a damaged size: as it is. */
static inline uint32_t known(const struct tarn_latest *latest, uint32_t size)
{
	return TARN__LIKELY(size <= latest->most) || size > latest->size ? size : latest->most;
}

int tarn_latest_hold(struct tarn_latest *latest, const void **ret_data, size_t *ret_size,
		     uint64_t *ret_number, struct tarn_diag *diag)
{
	struct buffer_shm *buffer;
	uint64_t number;
	uint32_t size;
	int r = TARN__LIKELY(has_seat(latest)) ? 0 : take_seat(latest, diag);

	if (r < 0)
		return r;
	if (TARN__UNLIKELY(tarn_segment_damaged(latest->prim.sec.region->seg)))
		return tarn__diag(diag, -EIO, "latest value %s: the file was truncated",
				  latest->prim.sec.name);
	r = hold_newest(latest);
	if (r < 0) {
		tarn_latest_release(latest);
		return tarn__diag(diag, r, "latest value %s: its words name a buffer that is none",
				  latest->prim.sec.name);
	}
	buffer = buffer_at(latest, (uint32_t)r);
	/* acquire: L2 <- L1, where a writer has named the buffer */
	number = atomic_load_explicit(&buffer->number, memory_order_acquire);
	/* relaxed: nobody changes it while it is held */
	size = atomic_load_explicit(&buffer->size, memory_order_relaxed);
	if (TARN__UNLIKELY(number == 0 || size > latest->size)) {
		tarn_latest_release(latest);
		return number == 0
			       ? tarn__diag(diag, -ENODATA, "latest value %s: none yet",
					    latest->prim.sec.name)
			       : tarn__diag(diag, -EUCLEAN, "latest value %s: its size is %" PRIu32,
					    latest->prim.sec.name, size);
	}
	*ret_data = buffer->value;
	*ret_size = known(latest, size);
	if (ret_number != NULL)
		*ret_number = number;
	return 0;
}

void tarn_latest_release(struct tarn_latest *latest)
{
	if (!latest->holds)
		return;
	latest->holds = false;
	if (has_seat(latest)) /* L5 -> L6 in held_buffers() */
		atomic_store_explicit(&latest->prim.seats[latest->seat].value, SEAT_NONE,
				      memory_order_release);
}

/* --- read ---------------------------------------------------------------------------------- */

/* @state named a buffer, whose @number is 0, or not the one that @state has. */
__attribute__((noinline, cold)) static int other_number(const struct tarn_latest *latest,
							uint32_t state, uint64_t number)
{
	/* relaxed: ordered behind the acquire load of number. If that is not 0, it comes with the
	 * state that was stored before its buffer was chosen; 0 does not. */
	uint32_t now = atomic_load_explicit(&latest->prim.sec.shm->state, memory_order_relaxed);

	if (now != state || (state != 0 && number == 0))
		return -EAGAIN;
	return state == 0 ? -ENODATA : -EUCLEAN; /* nothing was ever written; I2 */
}

/* The value is larger than where it is to go, or than it can be. */
__attribute__((noinline, cold)) static int too_large(const struct tarn_latest *latest,
						     const struct buffer_shm *buffer,
						     uint64_t number, uint32_t size,
						     size_t *ret_size, uint64_t *ret_number)
{
	/* L8 <- L7: relaxed, ordered behind the acquire loads before it */
	if (atomic_load_explicit(&buffer->number, memory_order_relaxed) != number)
		return -EAGAIN;
	if (size > latest->size)
		return -EUCLEAN; /* I3 */
	*ret_size = size;
	if (ret_number != NULL)
		*ret_number = number;
	return -ENOBUFS;
}

/* Copy the newest value without a trace. 0; -EAGAIN: it was written over meanwhile. */
static inline int copy_newest(struct tarn_latest *latest, void *buf, size_t buf_size,
			      size_t *ret_size, uint64_t *ret_number)
{
	uint32_t state = newest_state(latest), index = state & INDEX_MASK, size;
	struct buffer_shm *buffer;
	uint64_t number;

	if (TARN__UNLIKELY(index >= latest->count))
		return -EUCLEAN; /* I2 */
	buffer = buffer_at(latest, index);
	/* L2 <- L1 */
	number = atomic_load_explicit(&buffer->number, memory_order_acquire);
	/* acquire: number is looked at again after it */
	size = known(latest, atomic_load_explicit(&buffer->size, memory_order_acquire));
	/* One with another number is being written, or is whole and not yet the newest: if its
	 * writer dies it never is, and the next value has that number. */
	if (TARN__UNLIKELY((uint32_t)(number << INDEX_BITS | index) != state || number == 0))
		return other_number(latest, state, number);
	if (TARN__UNLIKELY(size > buf_size || size > latest->most))
		return too_large(latest, buffer, number, size, ret_size, ret_number);
	tarn__load_bytes(buf, buffer->value, size);
	/* L8 <- L7: relaxed, ordered behind the acquire loads before it */
	if (TARN__UNLIKELY(atomic_load_explicit(&buffer->number, memory_order_relaxed) != number))
		return -EAGAIN;
	*ret_size = size;
	if (ret_number != NULL)
		*ret_number = number;
	return 0;
}

/* The same of a value that was filled in place: its bytes are the user's stores, and not ordered
 * behind number. But its buffer is chosen again only once another is the newest. */
static int copy_filled(struct tarn_latest *latest, void *buf, size_t buf_size, size_t *ret_size,
		       uint64_t *ret_number)
{
	const _Atomic uint32_t *word = &latest->prim.sec.shm->state;
	/* acquire: before the copy */
	uint32_t before = atomic_load_explicit(word, memory_order_acquire);
	uint64_t number = 0;
	size_t size = 0;
	int r = copy_newest(latest, buf, buf_size, &size, &number);

	if (r != 0 && r != -ENOBUFS)
		return r;
	/* L10 <- L9: relaxed, ordered behind the acquire loads before it */
	if (atomic_load_explicit(word, memory_order_relaxed) != before)
		return -EAGAIN;
	*ret_size = size;
	if (ret_number != NULL)
		*ret_number = number;
	return r;
}

/* With a hold, since writers fill values in place, or are faster than copies. */
static int read_held(struct tarn_latest *latest, void *buf, size_t buf_size, size_t *ret_size,
		     uint64_t *ret_number)
{
	const void *data = NULL;
	size_t size = 0;
	uint64_t number = 0;
	int r = tarn_latest_hold(latest, &data, &size, &number, NULL);

	if (r < 0)
		return r;
	if (size <= buf_size)
		memcpy(buf, data, size);
	else
		r = -ENOBUFS;
	tarn_latest_release(latest);
	*ret_size = size;
	if (ret_number != NULL)
		*ret_number = number;
	return r;
}

__attribute__((noinline)) static int read_again(struct tarn_latest *latest, void *buf,
						size_t buf_size, size_t *ret_size,
						uint64_t *ret_number)
{
	bool copies = (latest->prim.flags & TARN_LATEST_IN_PLACE) == 0;
	int r = -EAGAIN;

	for (int tries = 0; tries < TRIES && copies && r == -EAGAIN; tries++)
		r = copy_newest(latest, buf, buf_size, ret_size, ret_number);
	if (r != -EAGAIN)
		return r;
	/* What this handle holds stays its caller's. */
	r = latest->holds ? -EBUSY : read_held(latest, buf, buf_size, ret_size, ret_number);
	if (r != -EPERM && (!copies || (r != -EUSERS && r != -EBUSY)))
		return r;
	for (int tries = 0; tries < TRIES_OUTSIDE; tries++) {
		r = copies ? copy_newest(latest, buf, buf_size, ret_size, ret_number)
			   : copy_filled(latest, buf, buf_size, ret_size, ret_number);
		if (r != -EAGAIN)
			return r;
		tarn__plat_pause();
	}
	return r;
}

int tarn_latest_read(struct tarn_latest *latest, void *buf, size_t buf_size, size_t *ret_size,
		     uint64_t *ret_number)
{
	int r = -EAGAIN;

	if (TARN__UNLIKELY(tarn_segment_damaged(latest->prim.sec.region->seg)))
		return -EIO;
	if ((latest->prim.flags & TARN_LATEST_IN_PLACE) == 0)
		r = copy_newest(latest, buf, buf_size, ret_size, ret_number);
	return TARN__LIKELY(r != -EAGAIN) ? r
					  : read_again(latest, buf, buf_size, ret_size, ret_number);
}

/* --- wait ---------------------------------------------------------------------------------- */

uint64_t tarn_latest_number(const struct tarn_latest *latest)
{
	const _Atomic uint32_t *word = &latest->prim.sec.shm->state;

	for (int tries = 0; tries < TRIES_OUTSIDE; tries++) {
		/* L2 <- L1. seq_cst: for who waits, behind saying that it does */
		uint32_t state = atomic_load_explicit(word, memory_order_seq_cst);
		uint32_t index = state & INDEX_MASK;
		uint64_t number = index >= latest->count
					  ? 0 /* relaxed: what state was stored behind */
					  : atomic_load_explicit(&buffer_at(latest, index)->number,
								 memory_order_relaxed);

		if (state == 0 || index >= latest->count ||
		    (uint32_t)(number << INDEX_BITS) == (state & ~(uint32_t)INDEX_MASK))
			return number;
	}
	return 0;
}

static int try_number(struct prim *prim, struct await *w, void *arg)
{
	const uint64_t *seen = arg;

	(void)w;
	return tarn_latest_number((struct tarn_latest *)prim) != *seen;
}

/* Who may not say that it sleeps looks again and again. */
static int wait_outside(struct tarn_latest *latest, uint64_t seen, int64_t deadline)
{
	_Atomic uint32_t word = 0;

	while (tarn_latest_number(latest) == seen) {
		int64_t now = tarn__plat_now(), nap = now + NAP_NS;

		if (TARN__UNLIKELY(tarn_segment_damaged(latest->prim.sec.region->seg)))
			return -EIO;
		if (now >= deadline)
			return -ETIMEDOUT;
		(void)tarn__plat_futex_wait(&word, 0, nap < deadline ? nap : deadline);
	}
	return 0;
}

int tarn_latest_wait(struct tarn_latest *latest, uint64_t seen, int64_t deadline,
		     uint64_t *ret_number)
{
	struct prim *prim = &latest->prim;
	int r = 0;

	if (tarn_latest_number(latest) == seen) {
		r = TARN__LIKELY(tarn__prim_is_ready(prim)) ? 0 : tarn__prim_ready(prim, NULL);
		r = r == -EPERM ? wait_outside(latest, seen, deadline)
		    : r == 0    ? tarn__prim_await(prim, deadline, try_number, &seen)
				: r;
	}
	if (r == 0)
		*ret_number = tarn_latest_number(latest);
	return r;
}

int tarn_latest_stat(const struct tarn_latest *latest, struct tarn_latest_stat *ret_stat)
{
	const struct prim *prim = &latest->prim;
	uint32_t index = newest_index(latest);
	struct tarn_latest_stat stat = { .size_max = latest->size,
					 .holders_max = prim->seat_count,
					 .flags = prim->flags };

	if (index >= latest->count)
		return -EUCLEAN; /* I2 */
	stat.number = tarn_latest_number(latest);
	/* relaxed, all: for the eye */
	stat.size = atomic_load_explicit(&buffer_at(latest, index)->size, memory_order_relaxed);
	for (uint32_t at = 0; at < prim->seat_count; at++)
		stat.holders +=
			(atomic_load_explicit(&prim->seats[at].value, memory_order_relaxed) &
			 SEAT_HOW) == SEAT_HOLDS;
	*ret_stat = stat;
	return 0;
}
