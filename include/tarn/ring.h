/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/ring.h - bounded queue of records, one producer, one consumer.
 *
 * A ring is an object of a region. Records are bytes, of one size or of any; each lies in one
 * piece, so it can be filled and read in place. The producer and the consumer may come in
 * either order, leave, die and be replaced: whoever takes a role goes on where the last one
 * stopped.
 *
 * Callers:   a handle belongs to one thread at a time. Producer and consumer may be threads
 *            or processes. Anyone may call tarn_ring_stat() on a handle of its own.
 * Progress:  push, pop, reserve, commit, peek and release are wait-free and do not enter
 *            the kernel, except to wake a peer that sleeps. The _wait calls sleep.
 * Crash:     a producer killed anywhere leaves its records whole or absent, a batch as one;
 *            a consumer killed before pop or release returned may leave the record, to be
 *            seen again by its successor.
 * Trust:     a hostile peer can make calls fail with -EUCLEAN, never make them read or
 *            write outside the ring. What peek shows may change under the reader's eyes if the
 *            producer is hostile; pop copies.
 */
#ifndef TARN_RING_H
#define TARN_RING_H

#include <stdbool.h>

#include <tarn/base.h>

TARN_BEGIN_DECLS

struct tarn_region; /* <tarn/region.h> */
struct tarn_ring;   /* this process's handle */

enum tarn_ring_role {
	TARN_RING_OBSERVER = 0, /* takes no role: for tarn_ring_stat() and tarn_ring_check() */
	TARN_RING_PRODUCER = 1,
	TARN_RING_CONSUMER = 2,
};

/* All zero means: the default of each. */
struct tarn_ring_opts {
	uint64_t capacity;    /* bytes, headers of 8 bytes a record included; a power of two,
	                         256 .. 2^32; 0 = 4 MiB */
	uint32_t record_size; /* bytes of every record, 1 .. capacity / 2 - 8, of 4096 and
	                         more - 64; 0 = any size */
	uint32_t flags;       /* TARN_RING_ of this handle, not of the ring */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/* tarn_ring_opts.flags */
enum {
	/* The _wait calls sleep at once: they cost the processor least, and a peer that answers
	 * within microseconds is waited for as long as the kernel takes to switch. */
	TARN_RING_NO_SPIN = 1u << 0,
	/* Throughput before latency: who has caught up with the other side, and finds nothing, does
	 * not look again for as long as an eighth of the ring takes, 50 microseconds at most; until
	 * then calls say -EAGAIN, or wait, whatever has come. So both sides work some hundred KiB
	 * apart, and not on the same cache lines. Once for each 1/64 of the ring. The _wait calls
	 * spin meanwhile, so not together with TARN_RING_NO_SPIN. */
	TARN_RING_STREAM = 1u << 1,
};

/* One record of a batch. */
struct tarn_buf {
	void *data;
	size_t size;
};

enum tarn_ring_peer {
	TARN_PEER_NONE = 0, /* nobody has had the other role since the ring was made */
	TARN_PEER_ALIVE = 1,
	TARN_PEER_LEFT = 2,     /* closed its handle */
	TARN_PEER_FINISHED = 3, /* producer only: called tarn_ring_finish() */
	TARN_PEER_DEAD = 4,
};

struct tarn_ring_stat {
	uint64_t capacity;    /* bytes */
	uint64_t used;        /* bytes published and not yet removed, headers included */
	uint32_t record_size; /* 0 = any */
	uint32_t record_max;  /* bytes, the largest record it takes */
	enum tarn_ring_peer producer;
	enum tarn_ring_peer consumer;
	bool producer_waits; /* asleep for want of room */
	bool consumer_waits; /* asleep for want of records */
};

/**
 * tarn_ring_open - attach to ring @name of @region in @role.
 * @opts:     geometry; the ring is created with it if it is absent. NULL: it must exist.
 * @ret_ring: handle on success, untouched on failure; tarn_ring_close() it
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL and there is no such ring
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   the ring exists with another geometry than @opts asks; diag has both
 *   -EBUSY    a live process holds @role
 *   -EPROTO   the object is no ring, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EPERM    the region was opened to look on, and @role is not TARN_RING_OBSERVER
 *   -EUCLEAN  its header is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_open(struct tarn_region *region, const char *name,
					   enum tarn_ring_role role,
					   const struct tarn_ring_opts *opts,
					   struct tarn_ring **ret_ring);

/**
 * tarn_ring_close - give the role back. Accepts NULL. The ring and its records stay.
 * A record reserved and not committed is dropped, one peeked and not released is kept.
 * Since: 0.1
 */
TARN_API void tarn_ring_close(struct tarn_ring *ring);

/* Producer and consumer fail alike with
 *   -EPIPE    the other side died, and there is no room (or no record) left; wait for a
 *             successor with tarn_ring_wait_peer()
 *   -ENODATA  consumer only: the producer called tarn_ring_finish() and all was read
 *   -EBUSY    this handle was inherited over fork() and the parent still has the role
 *   -EUCLEAN  the ring's words contradict each other; nothing was changed
 */

/**
 * tarn_ring_push - copy one record of @size bytes into the ring.
 * Return: 0, or
 *   -EAGAIN    no room now; nothing was written
 *   -EMSGSIZE  @size is larger than record_max, or not record_size; 0 is a valid size
 *   or as above
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_push(struct tarn_ring *ring, const void *data, size_t size);

/** tarn_ring_push_wait - the same, waiting for room until @deadline (-ETIMEDOUT). Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_ring_push_wait(struct tarn_ring *ring, const void *data,
						size_t size, int64_t deadline);

/**
 * tarn_ring_push_batch - copy as many of @count records as there is room for; all of them become
 * visible at once, with one store.
 * @ret_count: how many were pushed, at least 1
 * Return: as tarn_ring_push(), of the first record; -EINVAL if @count is 0.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_push_batch(struct tarn_ring *ring,
						 const struct tarn_buf *bufs, size_t count,
						 size_t *ret_count);

/**
 * tarn_ring_reserve - room for a record of up to @size bytes, to be filled in place.
 * @ret_data: 8-byte aligned, valid until tarn_ring_commit() or tarn_ring_abort(). Reserving
 *            again first moves the reservation.
 * Return: as tarn_ring_push().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_reserve(struct tarn_ring *ring, size_t size, void **ret_data);

/** tarn_ring_reserve_wait - the same, waiting for room until @deadline. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_ring_reserve_wait(struct tarn_ring *ring, size_t size,
						   int64_t deadline, void **ret_data);

/**
 * tarn_ring_commit - publish the reserved record with its first @size bytes.
 * Return: 0, -EINVAL (nothing reserved), -EMSGSIZE (more than was reserved; it stays reserved).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_commit(struct tarn_ring *ring, size_t size);

/** tarn_ring_abort - drop the reservation, if there is one. Since: 0.1 */
TARN_API void tarn_ring_abort(struct tarn_ring *ring);

/**
 * tarn_ring_finish - say that no more will come: the consumer reads what is there and then gets
 * -ENODATA, until another producer takes the role.
 * Return: 0, or as above.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_finish(struct tarn_ring *ring);

/**
 * tarn_ring_pop - copy the oldest record out and remove it.
 * @ret_size: its size in bytes; on -ENOBUFS too, else untouched on failure
 * Return: 0, or
 *   -EAGAIN   no record now
 *   -ENOBUFS  it is larger than @buf_size; it stays in the ring
 *   or as above
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_pop(struct tarn_ring *ring, void *buf, size_t buf_size,
					  size_t *ret_size);

/** tarn_ring_pop_wait - the same, waiting for a record until @deadline. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_ring_pop_wait(struct tarn_ring *ring, void *buf, size_t buf_size,
					       int64_t deadline, size_t *ret_size);

/**
 * tarn_ring_peek - the oldest record, in place.
 * @ret_data: 8-byte aligned, valid until tarn_ring_release()
 * Return: as tarn_ring_pop().
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_peek(struct tarn_ring *ring, const void **ret_data,
					   size_t *ret_size);

/** tarn_ring_peek_wait - the same, waiting for a record until @deadline. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_ring_peek_wait(struct tarn_ring *ring, int64_t deadline,
						const void **ret_data, size_t *ret_size);

/**
 * tarn_ring_peek_batch - up to @max of the oldest records, in place.
 * @ret_count: how many, at least 1
 * Return: as tarn_ring_peek(); -EINVAL if @max is 0.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_peek_batch(struct tarn_ring *ring, struct tarn_buf *ret_bufs,
						 size_t max, size_t *ret_count);

/**
 * tarn_ring_release - remove the @count oldest of the records that were last peeked.
 * Return: 0, -EINVAL (more than were peeked).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_release(struct tarn_ring *ring, size_t count);

/**
 * tarn_ring_wait_peer - wait until a live process holds the other role.
 * Return: 0, -ETIMEDOUT, -EBUSY or -EUCLEAN as above; for a consumer also 0 where records are
 *   there to be read, whoever wrote them, and -ENODATA where the stream is finished.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_ring_wait_peer(struct tarn_ring *ring, int64_t deadline);

/** tarn_ring_stat - facts, see the struct. Return: 0, -EUCLEAN. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_ring_stat(struct tarn_ring *ring, struct tarn_ring_stat *ret_stat);

TARN_END_DECLS

#endif /* TARN_RING_H */
